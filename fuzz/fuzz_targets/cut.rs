//! What holds for every transport: it never panics, gives no more than it got, and does not care how its input is cut.

use sori_net::{Error, Transport};

/// Gives these bytes to a transport at once, and to another one of the same kind in pieces of this size.
pub fn feed(mut whole: Transport, mut cut: Transport, wire: &[u8], piece: u8) {
    let (mut whole_got, mut cut_got) = (Vec::new(), Vec::new());
    let whole_outcome = whole.receive(&mut wire.to_vec(), &mut whole_got);
    let mut pieces = wire.chunks(usize::from(piece).max(1));
    let cut_outcome: Result<(), Error> = pieces.try_for_each(|piece| cut.receive(&mut piece.to_vec(), &mut cut_got));
    assert!(whole_got.len() <= wire.len());
    assert_eq!(whole_outcome, cut_outcome);
    assert_eq!(whole_got, cut_got);
    assert_eq!((whole.is_open(), whole.is_ended()), (cut.is_open(), cut.is_ended()));
    assert_eq!(whole.peer(), cut.peer());
    if whole_outcome.is_ok() && whole.is_open() {
        let _ = whole.send(b"a packet");
        whole.close();
    }
    let count = whole.output().len();
    whole.sent(count);
    assert!(whole.output().is_empty());
}

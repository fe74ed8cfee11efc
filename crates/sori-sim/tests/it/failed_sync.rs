//! A disk that fails once, and a restart after that: the operating system shows what it never stored.

use sori_sim::{Fault, SimDisk};
use sori_store::{Committer, Disk, OpenError, Options, Outcome, Piece};
use std::sync::Arc;

fn open(disk: &SimDisk, seed: u64) -> Result<(Committer, Vec<u8>), OpenError> {
    let mut found = Vec::new();
    let options = Options { store_id: seed, ..Options::default() };
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let committer = Committer::open(disk, options, 1, &mut |_, bytes| {
        found.extend_from_slice(bytes);
        Ok(())
    })?;
    Ok((committer, found))
}

/// Gives whether it is durable.
fn keep(committer: &mut Committer, number: u8) -> bool {
    let bytes = vec![number; 2000];
    committer.submit(Piece { upto: number.into(), is_awaited: true, bytes, ..Piece::default() });
    let is_durable = |outcome: &Outcome| matches!(outcome, Outcome::Durable { upto, .. } if *upto == u64::from(number));
    committer.step(0).iter().any(is_durable)
}

#[test]
fn what_is_found_after_a_failed_sync_is_made_durable_before_anything_is_built_on_it() {
    let mut found_again = 0;
    for seed in 0..100 {
        let disk = SimDisk::new(seed);
        let (mut committer, _) = open(&disk, seed).unwrap();
        // With an odd seed nothing was durable in this segment before.
        assert!(seed % 2 == 1 || keep(&mut committer, 1));
        disk.fail(Fault::Sync, 1);
        assert!(!keep(&mut committer, 2));
        drop(committer);
        disk.kill();
        let (mut committer, found) = open(&disk, seed).unwrap();
        found_again += u32::from(found.contains(&2));
        assert!(keep(&mut committer, 3));
        drop(committer);
        disk.cut_power_hard();
        let left = open(&disk, seed).map(|(_, left)| left).map_err(|error| error.to_string());
        assert_eq!(left, Ok([found, vec![3; 2000]].concat()), "seed {seed}");
    }
    assert!(found_again > 20, "only {found_again} of 100 found it again");
}

//! The store of messages on a disk in memory that loses power.

use sori_mqtt::{Property, PropertyBuffer};
use sori_store::MemoryDisk;

use super::*;

fn open(disk: &Arc<MemoryDisk>, bytes_max: usize) -> Open {
    let store = Store::new("memory").bytes_max(bytes_max).sync(true);
    store.open_on(Arc::clone(disk) as Arc<dyn Disk>).expect("opens")
}

fn publish<'a>(payload: &'a [u8], properties: &'a PropertyBuffer) -> Publish<'a> {
    Publish {
        dup: false,
        qos: QoS::ExactlyOnce,
        retain: true,
        topic: "a/b",
        packet_id: None,
        properties: properties.as_properties(),
        payload,
    }
}

fn payloads(open: &Open) -> Vec<Vec<u8>> {
    open.unsent().map(|(_, publish)| publish.payload.to_vec()).collect()
}

#[test]
fn what_is_open_comes_back_as_it_was() {
    let disk = Arc::new(MemoryDisk::new());
    let mut properties = PropertyBuffer::new();
    properties.push(Property::ContentType("text/plain"));
    let mut store = open(&disk, 1_000_000);
    let numbers: Vec<u64> = (0..5)
        .map(|n| {
            store.accept(Duration::from_secs(n), &publish(&[u8::try_from(n).unwrap_or(0)], &properties)).expect("room")
        })
        .collect();
    store.done(Duration::from_secs(9), numbers[1]);
    store.done(Duration::from_secs(9), numbers[3]);
    store.close();
    let store = open(&disk, 1_000_000);
    assert_eq!(payloads(&store), [[0], [2], [4]]);
    let (number, found) = store.unsent().next().expect("is there");
    assert_eq!(number, numbers[0]);
    assert_eq!(found, publish(&[0], &properties));
}

#[test]
fn records_that_are_damaged_are_told() {
    let record = record::accepted(7, &publish(b"payload", &PropertyBuffer::new()));
    let (sent, released) = (record::sent(7, id(3)), record::released(7));
    for record in [&record, &sent, &released, &record::done(7), &record::forgotten()] {
        for length in 1..record.len() {
            assert!(Book::default().replay(&record[..length]).is_err(), "{length} of {record:?}");
        }
        assert_eq!(Book::default().replay(record), Ok(()));
    }
    let all = [&record[..], &sent, &released, &record::done(7)].concat();
    let mut book = Book::default();
    assert_eq!(book.replay(&all), Ok(()));
    assert!(book.len() == 0 && book.bytes() == 0 && book.next() == 8);
    assert!(book.replay(&[9; 40]).is_err());
}

fn id(value: u16) -> PacketId {
    PacketId::new(value).expect("not zero")
}

/// Payload, packet identifier, whether it is released.
fn in_flight(open: &Open) -> Vec<(u8, u16, bool)> {
    let seen = open.in_flight();
    seen.map(|seen| (seen.publish.payload[0], seen.publish.packet_id.map_or(0, PacketId::value), seen.is_released))
        .collect()
}

/// Power is cut after the fence, at any moment the disk can choose.
#[test]
fn what_is_in_flight_comes_back_in_the_order_in_which_it_was_sent() {
    let properties = PropertyBuffer::new();
    let now = Duration::ZERO;
    for seed in 0..50 {
        let disk = Arc::new(MemoryDisk::new());
        let mut store = open(&disk, 1_000_000);
        for n in 0..5 {
            assert_eq!(store.accept(now, &publish(&[n], &properties)).ok(), Some(n.into()));
        }
        for (number, packet_id) in [(1, 65_535), (2, 1), (0, 2), (3, 4)] {
            store.sent(number, id(packet_id));
        }
        store.released(1);
        store.released(4);
        store.done(now, 2);
        store.fence(now).expect("works");
        let expected = [(1, 65_535, true), (0, 2, false), (3, 4, false)];
        assert_eq!(in_flight(&store), expected);
        let disk = Arc::new(disk.after_power_cut(seed));
        let mut store = open(&disk, 1_000_000);
        assert_eq!(in_flight(&store), expected, "{seed}");
        assert_eq!(payloads(&store), [[4]]);
        // The session is gone: all is sent anew.
        store.forget();
        store.sent(0, id(7));
        store.fence(now).expect("works");
        let store = open(&Arc::new(disk.after_power_cut(seed)), 1_000_000);
        assert_eq!(in_flight(&store), [(0, 7, false)]);
        assert_eq!(payloads(&store), [[1], [3], [4]]);
    }
}

/// Checkpoints write all of it once more, and a power cut in the midst of one changes nothing.
#[test]
fn what_is_in_flight_comes_through_checkpoints() {
    let disk = Arc::new(MemoryDisk::new());
    let properties = PropertyBuffer::new();
    let mut now = Duration::ZERO;
    let mut store = open(&disk, 1 << 20);
    for (number, packet_id) in [(0, 9), (1, 8), (2, 10)] {
        store.accept(now, &publish(&[u8::try_from(number).unwrap_or(0)], &properties)).expect("room");
        store.sent(number, id(packet_id));
    }
    store.released(1);
    let expected = [(0, 9, false), (1, 8, true), (2, 10, false)];
    let payload = vec![5; 100_000];
    for turn in 0..600 {
        now += Duration::from_millis(10);
        let number = store.accept(now, &publish(&payload, &properties)).expect("there is room");
        store.done(now, number);
        if turn % 20 == 0 {
            let copy = Arc::new(disk.after_power_cut(turn));
            assert_eq!(in_flight(&open(&copy, 1 << 20)), expected, "{turn}");
        }
    }
    let files = disk.list().expect("a list");
    assert!(!files.contains(&"00000001.log".to_owned()), "no checkpoint has come to its end: {files:?}");
    drop(store);
    assert_eq!(in_flight(&open(&disk, 1 << 20)), expected);
}

/// Far more passes through than the store may keep: its files stay small, and its bound holds.
#[test]
fn the_files_have_a_bound() {
    let disk = Arc::new(MemoryDisk::new());
    let properties = PropertyBuffer::new();
    let payload = vec![5; 100_000];
    let bytes_max = 1 << 20;
    let mut store = open(&disk, bytes_max);
    let mut waiting = std::collections::VecDeque::new();
    let mut now = Duration::ZERO;
    for _ in 0..1_000 {
        now += Duration::from_millis(10);
        while !store.has_room(&publish(&payload, &properties)).expect("works") {
            store.done(now, waiting.pop_front().expect("some wait"));
        }
        waiting.push_back(store.accept(now, &publish(&payload, &properties)).expect("there is room"));
    }
    assert!(store.bytes() <= bytes_max);
    let files: u64 = disk.list().expect("a list").iter().map(|name| disk.length(name).expect("is there")).sum();
    assert!(files <= FILES_FACTOR * (bytes_max as u64) + 5 * SEGMENT_BYTES, "{files}");
    let kept = payloads(&store).len();
    assert_eq!(kept, waiting.len());
    drop(store);
    assert_eq!(payloads(&open(&disk, bytes_max)).len(), kept);
}

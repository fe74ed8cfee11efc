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
    open.messages().map(|(_, publish)| publish.payload.to_vec()).collect()
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
    let (number, found) = store.messages().next().expect("is there");
    assert_eq!(number, numbers[0]);
    assert_eq!(found, publish(&[0], &properties));
}

#[test]
fn records_that_are_damaged_are_told() {
    let record = encode(7, &publish(b"payload", &PropertyBuffer::new()));
    for length in 1..record.len() {
        let told = replay(&record[..length], &mut BTreeMap::new(), &mut 0);
        assert!(told.is_err(), "{length}");
    }
    let both = [&record[..], &[DONE], &7_u64.to_le_bytes()].concat();
    let (mut open, mut next) = (BTreeMap::new(), 0);
    assert_eq!(replay(&both, &mut open, &mut next), Ok(()));
    assert!(open.is_empty() && next == 8);
    assert!(replay(&[9; 40], &mut open, &mut next).is_err());
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

//! The table against a map, and that it gives memory back.

use std::collections::BTreeMap;

use core::hash::BuildHasher;
use hashbrown::DefaultHashBuilder;
use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn random_changes_agree_with_a_map(steps in prop::collection::vec((any::<bool>(), 0..60_u32), 0..300)) {
        let hasher = DefaultHashBuilder::default();
        // Hashes that often fall into one part, and are sometimes alike.
        let hash = |key: u32| hasher.hash_one(key % 40) & !(0xF0 << 44);
        let mut table: Table<(u32, usize)> = Table::default();
        let mut map: BTreeMap<u32, usize> = BTreeMap::new();
        for (number, (adds, key)) in steps.into_iter().enumerate() {
            let known = table.find(hash(key), |entry| entry.0 == key).map(|entry| entry.1);
            prop_assert_eq!(known, map.get(&key).copied());
            if adds && known.is_none() {
                table.insert_unique(hash(key), (key, number), |entry| hash(entry.0));
                map.insert(key, number);
            } else if !adds {
                let gone = table.remove(hash(key), |entry| entry.0 == key, |entry| hash(entry.0));
                prop_assert_eq!(gone.map(|entry| entry.1), map.remove(&key));
            }
            prop_assert_eq!(table.len(), map.len());
        }
    }
}

#[test]
fn parts_stay_small_and_give_memory_back() {
    let hasher = DefaultHashBuilder::default();
    let hash = |key: &u32| hasher.hash_one(key);
    let mut table: Table<u32> = Table::default();
    let largest = |table: &Table<u32>| table.parts.iter().map(HashTable::capacity).max().unwrap_or(0);
    for key in 0..100_000 {
        table.insert_unique(hash(&key), key, hash);
    }
    assert!(largest(&table) < 2000, "{} entries in one part", largest(&table));
    for key in 0..99_000 {
        assert_eq!(table.remove(hash(&key), |other| *other == key, hash), Some(key));
    }
    let room: usize = table.parts.iter().map(HashTable::capacity).sum();
    assert!(room < 8000, "room for {room} is left");
    assert!((99_000..100_000).all(|key| table.find(hash(&key), |other| *other == key).is_some()));
}

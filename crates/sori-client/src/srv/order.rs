//! The order in which the targets of SRV records are tried. RFC 2782, "Usage rules" and "Weight"

use super::message::Record;

/// By priority; among those of one priority by chance, in proportion to their weights. `chance` gives a number from 0 to
/// what it is given, both included.
pub(super) fn ordered(mut records: Vec<Record>, mut chance: impl FnMut(u32) -> u32) -> Vec<Record> {
    // Those without weight stand first: they are chosen only when chance is 0.
    records.sort_by_key(|record| (record.priority, record.weight));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(first) = records.first() {
        let priority = first.priority;
        let alike = records.iter().take_while(|record| record.priority == priority);
        let total = alike.map(|record| u32::from(record.weight)).sum();
        let chosen = chance(total);
        let mut sum = 0;
        let at = records.iter().position(|record| {
            sum += u32::from(record.weight);
            sum >= chosen
        });
        ordered.push(records.remove(at.unwrap_or(0)));
    }
    ordered
}

/// The number after this one in a row that looks like chance (splitmix64).
pub(super) fn next(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(list: &[(u16, u16, &str)]) -> Vec<Record> {
        let record = |&(priority, weight, target): &(u16, u16, &str)| Record {
            priority,
            weight,
            port: 1883,
            target: target.to_owned(),
        };
        list.iter().map(record).collect()
    }

    fn names(records: &[Record]) -> String {
        records.iter().map(|record| record.target.as_str()).collect()
    }

    #[test]
    fn the_lowest_priority_comes_first_whatever_the_weights() {
        let list = records(&[(20, 9, "c"), (10, 0, "a"), (20, 0, "d"), (15, 65_535, "b")]);
        for chance in [0, u32::MAX] {
            let ordered = ordered(list.clone(), |most| chance.min(most));
            assert!(["abcd", "abdc"].contains(&&*names(&ordered)), "{}", names(&ordered));
        }
    }

    #[test]
    fn each_number_of_chance_chooses_in_proportion_to_the_weights() {
        let list = records(&[(1, 3, "b"), (1, 1, "a"), (1, 0, "z")]);
        let mut first = String::new();
        for number in 0..=4 {
            let mut numbers = [number, 0, 0].into_iter();
            let ordered = ordered(list.clone(), |most| {
                let number = numbers.next().unwrap_or(0);
                assert!(number <= most);
                number
            });
            assert_eq!(ordered.len(), 3);
            first.push_str(&ordered[0].target);
        }
        assert_eq!(first, "zabbb");
    }

    #[test]
    fn many_heavy_records_do_not_overflow() {
        let list = records(&[(0, u16::MAX, "x"); 1000]);
        assert_eq!(ordered(list, |most| most).len(), 1000);
    }

    #[test]
    fn numbers_differ() {
        let mut seen: Vec<u64> = std::iter::successors(Some(7), |seed| Some(next(*seed))).take(100).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 100);
    }
}

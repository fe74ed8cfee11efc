//! The timers of a shard against a list.

use alloc::vec::Vec;
use proptest::prelude::*;

use super::*;

fn timer(number: u32) -> Timer {
    match number % 3 {
        0 => Timer::Connection(number),
        1 => Timer::Session(number),
        _ => Timer::Retained,
    }
}

proptest! {
    /// Each timer is set, moved and taken out at random; what is due comes in order, and nothing else.
    #[test]
    fn random_timers_agree_with_a_list(
        steps in prop::collection::vec((0..9_u32, prop::option::of(0..50_u64), 0..50_u64), 1..100),
    ) {
        let mut timers = Timers::default();
        // There is one retained timer: number 2.
        let mut places: Vec<Time> = alloc::vec![Time::NEVER; 9];
        let mut now = 0;
        for (number, when, pass) in steps {
            let number = if number % 3 == 2 { 2 } else { number as usize };
            let when = when.map_or(Time::NEVER, |in_millis| Time(now + in_millis));
            timers.set(timer(number as u32), &mut places[number], when);
            prop_assert_eq!(places[number], when);
            prop_assert_eq!(timers.next(), places.iter().min().copied().filter(|first| *first != Time::NEVER));
            now += pass / 10;
            let mut last = Time(0);
            while let Some(due) = timers.pop(Time(now)) {
                let at = (0..9).find(|&at| timer(at) == due && (at % 3 != 2 || at == 2)).expect("a timer of ours") as usize;
                let was = core::mem::replace(&mut places[at], Time::NEVER);
                prop_assert!(was <= Time(now) && was >= last, "{:?} at {}", was, now);
                last = was;
            }
            prop_assert!(places.iter().all(|when| *when > Time(now)));
        }
    }
}

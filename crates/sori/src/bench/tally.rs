//! What became of numbered messages.

use std::collections::HashSet;
use std::time::Duration;

use serde::Serialize;
use sori_mqtt::QoS;

/// One message that came; times are since the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) number: u32,
    pub(super) at: Duration,
}

/// Everything about the messages of one QoS.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) qos: QoS,
    /// When message 0, 1, 2... was handed to the client.
    pub(super) sent: Vec<Duration>,
    /// Messages with a receipt of the broker; QoS 0 has none.
    pub(super) acknowledged: u32,
    /// In the order in which they came.
    pub(super) arrivals: Vec<Arrival>,
}

/// The counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Tally {
    pub(super) qos: u8,
    pub(super) sent: u32,
    pub(super) acknowledged: u32,
    /// All that came, those that came again included: `sent - lost + duplicated`.
    pub(super) received: u32,
    /// Messages that never came.
    pub(super) lost: u32,
    /// Arrivals of messages that had come already.
    pub(super) duplicated: u32,
    /// Messages that came for the first time after a later one had come.
    pub(super) reordered: u32,
}

impl Course {
    pub(super) fn tally(&self) -> Tally {
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let mut seen = HashSet::new();
        let (mut latest, mut reordered) = (None, 0);
        for arrival in &self.arrivals {
            if !seen.insert(arrival.number) {
                continue;
            }
            if latest > Some(arrival.number) {
                reordered += 1;
            }
            latest = latest.max(Some(arrival.number));
        }
        let (sent, received, different) = (count(self.sent.len()), count(self.arrivals.len()), count(seen.len()));
        Tally {
            qos: self.qos as u8,
            sent,
            acknowledged: self.acknowledged,
            received,
            lost: sent.saturating_sub(different),
            duplicated: received - different,
            reordered,
        }
    }

    /// One line for each arrival, and one without a time for each message that never came.
    pub(super) fn csv(&self, csv: &mut String) {
        let (mut seen, qos) = (HashSet::new(), self.qos as u8);
        for Arrival { number, at } in &self.arrivals {
            seen.insert(*number);
            let sent = usize::try_from(*number).ok().and_then(|number| self.sent.get(number)).copied();
            let sent = sent.map_or(String::new(), |sent| format!("{:.6}", sent.as_secs_f64()));
            csv.push_str(&format!("{qos},{number},{sent},{:.6}\n", at.as_secs_f64()));
        }
        for (number, sent) in (0_u32..).zip(&self.sent).filter(|(number, _)| !seen.contains(number)) {
            csv.push_str(&format!("{qos},{number},{:.6},\n", sent.as_secs_f64()));
        }
    }
}

impl Tally {
    /// What MQTT promises and this run did not keep. [MQTT-4.3.2-1] [MQTT-4.3.3-1]
    pub(super) fn broken_promise(&self) -> Option<String> {
        let Self { qos, lost, duplicated, .. } = self;
        match qos {
            1 if *lost > 0 => Some(format!("{lost} messages of QoS 1 were lost")),
            2 if *lost > 0 || *duplicated > 0 => {
                Some(format!("{lost} messages of QoS 2 were lost, and {duplicated} came twice"))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(qos: QoS, sent: u32, numbers: &[u32]) -> Course {
        let at = |number: &u32| Arrival { number: *number, at: Duration::from_millis(500) };
        Course {
            qos,
            sent: (0..sent).map(|number| Duration::from_millis(number.into())).collect(),
            acknowledged: 2,
            arrivals: numbers.iter().map(at).collect(),
        }
    }

    #[test]
    fn messages_are_counted() {
        let check = |numbers: &[u32], lost, duplicated, reordered| {
            let tally = course(QoS::AtLeastOnce, 4, numbers).tally();
            let received = u32::try_from(numbers.len()).expect("few");
            let expected = Tally { qos: 1, sent: 4, acknowledged: 2, received, lost, duplicated, reordered };
            assert_eq!(tally, expected, "{numbers:?}");
        };
        check(&[0, 1, 2, 3], 0, 0, 0);
        check(&[], 4, 0, 0);
        check(&[0, 2, 3], 1, 0, 0);
        // What comes again is not out of order.
        check(&[0, 1, 0, 1, 2, 3], 0, 2, 0);
        check(&[0, 3, 1, 2], 0, 0, 2);
        check(&[3, 3, 0], 2, 1, 1);
    }

    #[test]
    fn promises_are_held_against_the_counts() {
        let broken = |qos, numbers: &[u32]| course(qos, 2, numbers).tally().broken_promise().is_some();
        assert!(!broken(QoS::AtMostOnce, &[]) && !broken(QoS::AtMostOnce, &[0]));
        assert!(broken(QoS::AtLeastOnce, &[0]) && !broken(QoS::AtLeastOnce, &[0, 0, 1]));
        assert!(broken(QoS::ExactlyOnce, &[0, 0, 1]) && broken(QoS::ExactlyOnce, &[1]));
        assert!(!broken(QoS::ExactlyOnce, &[0, 1]));
    }

    #[test]
    fn a_table_of_arrivals_names_what_is_missing_too() {
        let mut csv = String::new();
        course(QoS::AtMostOnce, 3, &[1, 1]).csv(&mut csv);
        let expected = "0,1,0.001000,0.500000\n0,1,0.001000,0.500000\n0,0,0.000000,\n0,2,0.002000,\n";
        assert_eq!(csv, expected);
    }
}

//! SIGUSR2: what the broker holds, as log lines for people.

use crate::log::Log;
use sori_broker::SessionView;
use std::collections::BTreeMap;

/// A filter with more subscribers has several lines.
const SUBSCRIBERS_PER_LINE: usize = 50;

/// One line for each topic filter with its subscribers, one for each session that lost messages, and the sums.
pub(crate) fn log(log: &Log, sessions: Vec<SessionView>) {
    for line in lines(&sessions) {
        log.notice(format_args!("{line}"));
    }
}

fn lines(sessions: &[SessionView]) -> Vec<String> {
    let mut filters: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for session in sessions {
        for (filter, qos) in &session.subscriptions {
            filters.entry(filter).or_default().push(format!("({}, {})", session.client_id, *qos as u8));
        }
    }
    let connected = sessions.iter().filter(|session| session.is_connected).count();
    let queued: usize = sessions.iter().map(|session| session.queued).sum();
    let mut lines = vec![format!(
        "{} sessions, {connected} of them connected; {queued} messages queued; {} topic filters subscribed:",
        sessions.len(),
        filters.len()
    )];
    for (filter, mut subscribers) in filters {
        subscribers.sort_unstable();
        lines.extend(subscribers.chunks(SUBSCRIBERS_PER_LINE).map(|some| format!("    {filter} {}", some.join(" "))));
    }
    let mut losers: Vec<&SessionView> = sessions.iter().filter(|session| session.dropped > 0).collect();
    losers.sort_unstable_by(|a, b| a.client_id.cmp(&b.client_id));
    lines.extend(losers.iter().map(|loser| {
        format!("    {} messages were dropped for {}, {} wait", loser.dropped, loser.client_id, loser.queued)
    }));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use sori_mqtt::QoS;

    #[test]
    fn an_overview_names_subscribers_and_losers() {
        let session = |client_id: &str, is_connected, queued, dropped, filters: &[&str]| SessionView {
            client_id: client_id.into(),
            is_connected,
            queued,
            dropped,
            subscriptions: filters.iter().map(|filter| ((*filter).to_owned(), QoS::AtLeastOnce)).collect(),
        };
        let sessions = [session("b", true, 0, 0, &["home/#", "a"]), session("a", false, 7, 3, &["home/#"])];
        assert_eq!(
            lines(&sessions),
            [
                "2 sessions, 1 of them connected; 7 messages queued; 2 topic filters subscribed:",
                "    a (b, 1)",
                "    home/# (a, 1) (b, 1)",
                "    3 messages were dropped for a, 7 wait",
            ]
        );
    }
}

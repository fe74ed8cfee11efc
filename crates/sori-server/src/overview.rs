//! SIGUSR2: what the broker holds, as log lines for people.

use crate::log::Log;
use crate::store::gauges;
use sori_broker::SessionView;
use sori_store::Figures;
use std::collections::BTreeMap;

/// A filter with more subscribers has several lines.
const SUBSCRIBERS_PER_LINE: usize = 50;

/// One line for each topic filter with its subscribers, one for each session that lost messages, the sums, and one for
/// the store.
pub(crate) fn log(log: &Log, sessions: &[SessionView], store: Option<&Figures>) {
    for line in lines(sessions).into_iter().chain(store.map(store_line)) {
        log.notice(format_args!("{line}"));
    }
}

fn store_line(figures: &Figures) -> String {
    let Figures { state, pieces, commits, syncs, checkpoints, pieces_waiting, .. } = figures;
    format!(
        "The store is {}: {}; {pieces} changes written in {commits} commits with {syncs} syncs, {pieces_waiting} wait; \
         {checkpoints} checkpoints",
        gauges::word(state),
        gauges::sizes(figures),
    )
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
    fn the_store_has_a_line() {
        let figures =
            Figures { disk_bytes: 2048, live_bytes: 1024, segments: 1, pieces: 9, commits: 4, ..Figures::default() };
        assert_eq!(
            store_line(&figures),
            "The store is ok: 2.0 KiB on disk in 1 segments, about 1.0 KiB of them in use; 9 changes written in 4 commits \
             with 0 syncs, 0 wait; 0 checkpoints"
        );
    }

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

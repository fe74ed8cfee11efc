//! What a run has seen, for people and for programs.

use std::fmt;
use std::fmt::Write as _;

use super::book::{Book, Micros};

/// The result of one run.
#[derive(Debug, Clone)]
pub struct Report {
    /// Rules that were broken, the first few of each.
    pub faults: Vec<String>,
    /// How often each rule was broken.
    pub fault_counts: Vec<(&'static str, u64)>,
    /// How many times the broker was killed.
    pub kills: u32,
    /// Messages by what was counted.
    pub counts: Vec<(&'static str, u64)>,
    seed: u64,
}

impl Report {
    pub(super) fn new(book: &Book, seed: u64) -> Report {
        let counts = &book.counts;
        let restarts = book.restart_times.iter().copied();
        Report {
            faults: book.faults.told().map(str::to_owned).collect(),
            fault_counts: book.faults.counts().collect(),
            kills: book.kills,
            counts: vec![
                ("milliseconds", book.now / 1000),
                ("sent", counts.sent),
                ("acknowledged_qos1", counts.acknowledged[1]),
                ("acknowledged_qos2", counts.acknowledged[2]),
                ("refused", counts.refused),
                ("received", counts.received),
                ("repeated_qos1", counts.repeated_qos1),
                ("connections", counts.connections),
                ("take_overs", counts.take_overs),
                ("wills", book.wills.len() as u64),
                ("retained_reads", book.probes_done),
                ("restart_micros_mean", restarts.clone().sum::<Micros>() / (book.restart_times.len().max(1) as u64)),
                ("restart_micros_max", restarts.max().unwrap_or(0)),
            ],
            seed,
        }
    }

    /// Whether nothing was broken.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.fault_counts.is_empty()
    }

    /// One line of JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let mut text = format!("{{\"seed\":{},\"kills\":{}", self.seed, self.kills);
        for (name, count) in &self.counts {
            let _ = write!(text, ",\"{name}\":{count}");
        }
        let faults: Vec<String> = self.fault_counts.iter().map(|(rule, count)| format!("\"{rule}\":{count}")).collect();
        let _ = write!(text, ",\"faults\":{{{}}}}}", faults.join(","));
        text
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.faults {
            writeln!(f, "{fault}")?;
        }
        write!(f, "seed {}: {} kills", self.seed, self.kills)?;
        for (name, count) in &self.counts {
            write!(f, ", {} {count}", name.replace('_', " "))?;
        }
        if self.fault_counts.is_empty() {
            return f.write_str("\nall rules were kept");
        }
        f.write_str("\nBROKEN:")?;
        for (rule, count) in &self.fault_counts {
            write!(f, " {rule} {count};")?;
        }
        Ok(())
    }
}

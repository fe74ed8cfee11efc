//! Figures of one running broker: what it writes and when, how fast it is, what it costs.

mod canary;
mod crowd;
mod load;
mod priority;
mod process;
mod store_figures;
mod strace;
mod sync_probe;
mod wire;

pub mod churn;
pub mod clean_path;
pub mod compare;
pub mod durable_rate;
pub mod growth;
pub mod restart;
pub mod scaling;
pub mod sync_order;
pub mod syscalls;
pub mod trouble;

pub use canary::Latencies;

/// The value below which `percent` of the sorted values lie.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((sorted.len() * percent / 100).min(last)).copied().unwrap_or(0)
}

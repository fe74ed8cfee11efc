//! kill -9 at random moments under load, and what the clients then know.
//!
//! All clients live in one thread: one clock orders what they send and what they learn, and one book holds it. The
//! broker is a real process on a real disk. A seed fixes the plan (who takes part, when what is due, when the broker is
//! killed); how the machine runs it differs from run to run.

mod book;
mod cast;
mod check;
mod fault;
mod killer;
mod line;
mod packet_log;
mod report;
mod role;
mod run;

pub use report::Report;
pub use run::{Options, run};

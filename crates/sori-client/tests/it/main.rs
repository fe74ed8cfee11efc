//! The client library against real brokers, against servers that mean no good, and against a network that breaks.

mod brokers;
mod certificates;
mod chaos;
mod durable;
mod examples;
mod flows;
mod hostile;
mod place;
mod proxy;
mod router;
mod scram;
mod session;
mod standstill;
mod transports;

//! Tests of the whole program and of its manual.

mod acl;
mod broker;
mod client;
mod debug_lines;
mod durability;
mod endurance;
mod keep_alive;
mod limits;
mod local;
mod manual;
mod moving;
mod passwords;
mod program;
mod reload;
mod scram;
mod sharing;
mod signals;
mod store_faults;
mod storm;
mod topics;
mod unix_socket;

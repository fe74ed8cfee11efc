//! Tests of the whole program and of its manual.

mod broker;
mod client;
mod limits;
mod local;
mod manual;
mod moving;
mod program;
mod sharing;

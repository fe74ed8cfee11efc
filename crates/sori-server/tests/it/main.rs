//! Tests of the whole program and of its manual.

mod manual;
mod program;

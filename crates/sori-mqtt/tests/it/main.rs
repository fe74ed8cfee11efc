//! Rules that hold for all packets, tried on generated ones.

mod generate;
mod robustness;
mod round_trip;

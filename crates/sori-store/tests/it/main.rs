//! The store on disks that fail, fill up, lose power and come back damaged.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod chance;
mod cleaning;
mod commit;
mod crash;
mod damage;
mod full_disk;
mod keeper;
mod offline;
mod overlay;
mod real_files;

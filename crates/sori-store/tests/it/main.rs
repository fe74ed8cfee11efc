//! The store on disks that fail, fill up, lose power and come back damaged.

mod chance;
mod crash;
mod keeper;

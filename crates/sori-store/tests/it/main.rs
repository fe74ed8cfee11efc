//! The store on disks that fail, fill up, lose power and come back damaged.

mod chance;
mod cleaning;
mod commit;
mod crash;
mod damage;
mod full_disk;
mod keeper;
mod offline;
mod real_files;

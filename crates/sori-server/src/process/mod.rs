//! What the program is to the operating system: a daemon, a user, a process id, a number of open files.

pub mod daemon;
pub mod open_files;
pub mod pid_file;
pub mod privileges;
pub(crate) mod systemd;
pub mod umask;

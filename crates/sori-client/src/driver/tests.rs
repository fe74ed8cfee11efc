//! The driver: a server of bytes, and time that the test moves.

//! Giving freed memory back to the system.
//!
//! The C library of Linux keeps what is freed for what is allocated next, and gives back by itself only what lies at the end of a
//! heap. One message that is still wanted there keeps a gigabyte. [`give_back`] goes through all of it; elsewhere it does nothing.

/// Gives back every whole page that is free in the heaps of all threads. True: some of it has gone to the system.
///
/// Whoever allocates meanwhile waits, some milliseconds for each hundred megabytes that go: it is for when there is little to do.
///
/// ```
/// drop(vec![0_u8; 1_000_000]);
/// sori_system::give_back();
/// ```
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "a call of the C library that no safe crate has")]
pub fn give_back() -> bool {
    // SAFETY: malloc_trim takes a number and no pointer, may be called by any thread at any time (malloc_trim(3): MT-Safe), and
    // touches nothing but memory that is free.
    unsafe { libc::malloc_trim(0) == 1 }
}

/// Nothing: this C library has no such call.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn give_back() -> bool {
    false
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    fn resident_bytes() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it tells it");
        line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
    }

    /// Small pieces with one that stays at their end, which is what the C library does not give back.
    #[test]
    fn what_is_free_below_something_that_stays_goes_to_the_system() {
        const PIECES: usize = 300_000;
        let pieces: Vec<Box<[u8; 200]>> = (0..PIECES).map(|n| Box::new([n as u8; 200])).collect();
        let stays = Box::new([1_u8; 200]);
        let full = resident_bytes();
        drop(pieces);
        assert!(give_back());
        let left = resident_bytes();
        assert!(full - left > PIECES * 200 * 3 / 4, "{full} bytes before, {left} after");
        assert_eq!(stays.len(), 200);
    }
}

//! How long the processor is kept before others have their turn.
//!
//! Linux gives each thread the same share of a processor, in slices of some milliseconds. A thread that wakes up takes it from
//! another one at once if its own slice ends earlier: who asks for short slices gets no more of the processor, but gets it when there is
//! something to do, and not when the other one has gone to sleep.

use std::io;

/// The system's own are 0.7 ms on one processor and up to 2.8 on many; it takes nothing below 0.1, and all from there to 0.7 are alike.
#[cfg(target_os = "linux")]
const SLICE_NANOS: u64 = 300_000;

/// From now on this thread has short slices of the processor, if it is one of many like it: real-time, idle and batch threads stay what
/// they are, and its niceness, too. Linux before 6.12 has one length for all.
///
/// # Errors
///
/// The system refuses it, for example to a process in a sandbox: nothing has changed, and it works as well without it.
///
/// ```
/// let _ = sori_system::ask_for_short_slices();
/// ```
#[cfg(target_os = "linux")]
pub fn ask_for_short_slices() -> io::Result<()> {
    let mut attributes = attributes()?;
    if attributes.sched_policy != libc::SCHED_OTHER as u32 {
        return Ok(());
    }
    attributes.sched_runtime = SLICE_NANOS;
    set_attributes(&attributes)
}

/// Of this thread.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "a system call that neither the C library nor a safe crate has")]
fn attributes() -> io::Result<libc::sched_attr> {
    let mut attributes = NOTHING;
    let size = size_of::<libc::sched_attr>() as libc::c_uint;
    let (me, flags): (libc::pid_t, libc::c_uint) = (0, 0);
    // SAFETY: sched_getattr(2) writes at most `size` bytes to the third argument, which is a place of that size that nobody else has, and
    // whose type has no invalid values.
    let outcome = unsafe { libc::syscall(libc::SYS_sched_getattr, me, &raw mut attributes, size, flags) };
    if outcome == 0 { Ok(attributes) } else { Err(io::Error::last_os_error()) }
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "a system call that neither the C library nor a safe crate has")]
fn set_attributes(attributes: &libc::sched_attr) -> io::Result<()> {
    let (me, flags): (libc::pid_t, libc::c_uint) = (0, 0);
    // SAFETY: sched_setattr(2) reads as many bytes from the second argument as its first field says, and that has been set to the size of
    // the place by the kernel.
    let outcome = unsafe { libc::syscall(libc::SYS_sched_setattr, me, &raw const *attributes, flags) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(target_os = "linux")]
const NOTHING: libc::sched_attr = libc::sched_attr {
    size: 0,
    sched_policy: 0,
    sched_flags: 0,
    sched_nice: 0,
    sched_priority: 0,
    sched_runtime: 0,
    sched_deadline: 0,
    sched_period: 0,
};

/// Nothing: this system has no such call.
///
/// # Errors
///
/// None.
#[cfg(not(target_os = "linux"))]
pub fn ask_for_short_slices() -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// In a thread of its own: it ends with the test.
    fn in_a_thread<T: Send + 'static>(does: impl FnOnce() -> T + Send + 'static) -> T {
        std::thread::spawn(does).join().expect("it does not panic")
    }

    #[test]
    fn the_slice_changes_and_nothing_else() {
        let (before, after) = in_a_thread(|| {
            let before = attributes().expect("every thread may ask");
            ask_for_short_slices().expect("every thread may ask for it");
            (before, attributes().expect("every thread may ask"))
        });
        assert_eq!((after.sched_policy, after.sched_nice), (before.sched_policy, before.sched_nice));
        // Kernels before 6.12 have no slice of a thread's own, and say 0.
        assert!([0, SLICE_NANOS].contains(&after.sched_runtime), "{}", after.sched_runtime);
    }

    #[test]
    fn a_nice_thread_stays_nice_and_an_idle_one_idle() {
        for (policy, nice) in [(libc::SCHED_OTHER, 5), (libc::SCHED_IDLE, 0), (libc::SCHED_BATCH, 3)] {
            let after = in_a_thread(move || {
                let mut wanted = attributes().expect("every thread may ask");
                (wanted.sched_policy, wanted.sched_nice, wanted.sched_runtime) = (policy as u32, nice, 0);
                set_attributes(&wanted).expect("every thread may be nicer");
                ask_for_short_slices().expect("every thread may ask for it");
                attributes().expect("every thread may ask")
            });
            assert_eq!(after.sched_policy, policy as u32);
            assert!(policy == libc::SCHED_IDLE || after.sched_nice == nice, "{policy}: {}", after.sched_nice);
        }
    }
}

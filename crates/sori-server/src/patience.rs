//! A broker that was killed a moment ago may not have let go of its ports and of its store yet.

use std::time::{Duration, Instant};

/// How long the next broker waits for it.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(20);

/// Try until it is not in use any more, for a second.
pub(crate) fn until_free<T, E>(
    mut attempt: impl FnMut() -> Result<T, E>,
    is_in_use: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let begun = Instant::now();
    loop {
        match attempt() {
            Err(error) if is_in_use(&error) && begun.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_free_is_taken_and_another_error_is_told_at_once() {
        let mut left = 3;
        let mut attempt = || {
            left -= 1;
            if left > 0 { Err("in use") } else { Ok(left) }
        };
        assert_eq!(until_free(&mut attempt, |error| *error == "in use"), Ok(0));
        let mut attempts = 0;
        let mut attempt = || {
            attempts += 1;
            Err::<(), _>("broken")
        };
        assert_eq!(until_free(&mut attempt, |error| *error == "in use"), Err("broken"));
        assert_eq!(attempts, 1);
    }
}

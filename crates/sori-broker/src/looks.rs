//! Counts what is looked at where something is searched for, so that tests can say how much work that is. Only tests count.

#[cfg(test)]
std::thread_local! {
    static LOOKS: core::cell::Cell<usize> = const { core::cell::Cell::new(0) };
}

/// Something is looked at.
#[inline]
pub(crate) fn note() {
    #[cfg(test)]
    LOOKS.set(LOOKS.get() + 1);
}

/// How much this thread looks at meanwhile.
#[cfg(test)]
pub(crate) fn during<T>(work: impl FnOnce() -> T) -> usize {
    let before = LOOKS.get();
    work();
    LOOKS.get() - before
}

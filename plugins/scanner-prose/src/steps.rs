//! A count of the work done, which shows in tests that it is linear, without a clock.
//!
//! Invariant: whatever loops over the text counts its turns here; outside tests this is nothing.

#[cfg(test)]
thread_local! {
    static STEPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Counts work, in tests.
#[cfg(test)]
pub(crate) fn tick(steps: usize) {
    STEPS.with(|count| count.set(count.get() + steps as u64));
}
#[cfg(not(test))]
#[inline(always)]
pub(crate) fn tick(_: usize) {}

/// What was counted since the last call.
#[cfg(test)]
pub(crate) fn take() -> u64 {
    STEPS.with(|count| count.replace(0))
}

//! A bound on what a hostile input may make this side allocate, held on every execution.

/// Runs it, and fails if at any moment it held more than `limit` bytes of its own.
pub(crate) fn at_most(limit: u64, run: impl FnOnce()) {
    let held = allocation_counter::measure(run).bytes_max;
    assert!(held <= limit, "{held} bytes allocated, at most {limit} are allowed");
}

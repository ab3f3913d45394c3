//! Memory that was needed for a moment goes back to the system; it must not know what it was needed for.

/// Gives freed memory back. The allocator keeps it otherwise: reading the kernel's types at the start takes some 25 MB that an
/// agent would hold for as long as it runs.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) takes a number and touches nothing but the allocator's free memory, under its own locks.
    unsafe {
        nix::libc::malloc_trim(0);
    }
}

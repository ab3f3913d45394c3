//! The allocator, and how freed memory goes back to the system; it must not know what memory is for.
//!
//! An agent runs for months, and what it keeps comes and goes in all sizes. In an arena for each thread that grows only at its end
//! (glibc 2.36) freed room stays in holes that nothing fits into: under the load of `cargo xtask bench --only soak` 9 MiB of 53 after
//! half an hour. jemalloc keeps sizes apart and gives whole pages back.

use std::ptr;

use tikv_jemalloc_sys::mallctl;
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// What jemalloc reads at its start (jemalloc 5.3, "TUNING"): one arena, as one thread does nearly all; only small sizes are kept
/// by threads; freed pages go back after two seconds, and for good. An option that it does not know ends the program.
///
/// The name is sound: jemalloc declares `const char *malloc_conf`, with the prefix `_rjem_` that its crate gives it, and expects a
/// string that ends with a zero byte. A reference to an array is one pointer.
#[unsafe(export_name = "_rjem_malloc_conf")]
static OPTIONS: &[u8; 89] =
    b"abort_conf:true,narenas:1,tcache_max:4096,dirty_decay_ms:2000,muzzy_decay_ms:0,thp:never\0";

/// Gives freed memory back now. The allocator would do so while memory is used on, which an idle agent hardly does: reading the
/// kernel's types at the start takes some 25 MB.
pub fn give_back() {
    // MALLCTL_ARENAS_ALL (jemalloc/jemalloc_macros.h) is 4096.
    let name = c"arena.4096.purge";
    // SAFETY: mallctl takes a string that ends with a zero byte; this name takes and gives no value, for which it wants null.
    let refused = unsafe { mallctl(name.as_ptr(), ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), 0) };
    debug_assert_eq!(refused, 0, "jemalloc knows this name");
}

#[cfg(test)]
mod tests {
    use std::{ffi::CStr, ptr};

    use procfs::process::Process;
    use tikv_jemalloc_sys::mallctl;

    /// `T` is an integer.
    fn number<T: Default>(name: &CStr) -> T {
        let mut value = T::default();
        let mut size_bytes = size_of::<T>();
        // SAFETY: the name ends with a zero byte, and the value has the size that is given along, which mallctl checks.
        let refused = unsafe {
            mallctl(name.as_ptr(), ptr::from_mut(&mut value).cast(), &raw mut size_bytes, ptr::null_mut(), 0)
        };
        assert_eq!(refused, 0, "{name:?}");
        value
    }

    #[test]
    fn the_allocator_has_the_options_that_are_meant_for_it() {
        assert_eq!(number::<u32>(c"opt.narenas"), 1);
        assert_eq!(number::<isize>(c"opt.dirty_decay_ms"), 2000);
    }

    #[test]
    fn what_was_needed_for_a_moment_goes_back() {
        let resident_kib = || Process::myself().unwrap().status().unwrap().rssanon.unwrap();
        // Much more than what other tests need at the same time.
        let many: Vec<Vec<u8>> = (0..400_000).map(|_| vec![1; 1000]).collect();
        let before = resident_kib();
        drop(many);
        super::give_back();
        let after = resident_kib();
        assert!(after + 200_000 < before, "{before} {after}");
    }
}

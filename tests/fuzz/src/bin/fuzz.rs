//! The program that libFuzzer drives: one target of all, named by a variable, because arguments are libFuzzer's.
#![no_main]

use std::{env, sync::LazyLock};

use libfuzzer_sys::Corpus;
use mtlsnoop_fuzz::Target;

/// Names the target.
const VARIABLE: &str = "MTLSNOOP_FUZZ_TARGET";

static TARGET: LazyLock<&'static Target> = LazyLock::new(|| {
    let name = env::var(VARIABLE).unwrap_or_default();
    mtlsnoop_fuzz::target(&name).unwrap_or_else(|| panic!("there is no target {name:?}; set {VARIABLE}"))
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| -> Corpus {
    if bytes.len() > TARGET.max_bytes {
        return Corpus::Reject;
    }
    (TARGET.run)(bytes);
    Corpus::Keep
});

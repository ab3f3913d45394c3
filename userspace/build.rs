//! Hands the path of the eBPF object to the compiler, which puts the object into the library. It builds nothing.
use std::{env, path::PathBuf};

/// Where `cargo xtask build` leaves the object, in the target folder.
const IN_TARGET: &str = "ebpf/bpfel-unknown-none/release/mtlsnoop-bpf";

/// Names another object; also the name under which the path is handed on.
const VARIABLE: &str = "MTLSNOOP_EBPF_OBJECT";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for variable in [VARIABLE, "CARGO_TARGET_DIR"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let places = places();
    match places.iter().find(|place| place.is_file()) {
        Some(object) => {
            println!("cargo::rerun-if-changed={}", object.display());
            println!("cargo::rustc-env={VARIABLE}={}", object.display());
        }
        None => println!(
            "cargo::error=the eBPF object is not at {}: run `cargo xtask build` once, or name an object in {VARIABLE}",
            places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(" nor at ")
        ),
    }
}

/// Where the object can be: where the user says, else in the target folder in use, else in the usual one.
fn places() -> Vec<PathBuf> {
    if let Some(named) = env::var_os(VARIABLE).filter(|named| !named.is_empty()) {
        return vec![PathBuf::from(named)];
    }
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let workspace = package.parent().unwrap_or(&package);
    let mut places: Vec<PathBuf> = env::var_os("CARGO_TARGET_DIR")
        .map(|target| workspace.join(target))
        .into_iter()
        .chain([workspace.join("target")])
        .map(|target| target.join(IN_TARGET))
        .collect();
    places.dedup();
    places
}

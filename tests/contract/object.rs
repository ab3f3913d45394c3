//! The eBPF object that the binary carries: its programs, maps, licence and type information, and nothing else.

use std::{collections::BTreeSet, env, fs, path::PathBuf, sync::LazyLock};

use aya_obj::{Object, ProgramSection, generated::bpf_map_type};
use mtlsnoop_ebpf::{map, program};

/// Where `cargo xtask build` leaves it.
const IN_TARGET: &str = "ebpf/bpfel-unknown-none/release/mtlsnoop-bpf";

static OBJECT: LazyLock<Object> = LazyLock::new(|| {
    let path = path();
    let bytes = fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask build`", path.display()));
    Object::parse(&bytes).unwrap()
});

/// As the build of the library finds it (`userspace/build.rs`).
fn path() -> PathBuf {
    let named = env::var_os("MTLSNOOP_EBPF_OBJECT").filter(|path| !path.is_empty()).map(PathBuf::from);
    let usual = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).with_file_name("target");
    let folders = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from).into_iter().chain([usual()]);
    let built = || folders.map(|folder| folder.join(IN_TARGET)).find(|path| path.is_file());
    named.or_else(built).unwrap_or_else(|| usual().join(IN_TARGET))
}

/// Type, sizes and length of a map; empty for what is no map.
pub(crate) fn map_description(name: &str) -> String {
    let Some(found) = OBJECT.maps.get(name) else { return String::new() };
    let kind =
        bpf_map_type::try_from(found.map_type()).map_or_else(|_| "?".to_owned(), |kind| format!("{kind:?}"));
    format!(
        ": {kind}, key {} bytes, value {} bytes, {} entries",
        found.key_size(),
        found.value_size(),
        found.max_entries()
    )
}

fn set<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
    names.into_iter().collect()
}

#[test]
fn it_holds_the_programs_of_the_contract_and_no_other() {
    assert_eq!(set(OBJECT.programs.keys().map(String::as_str)), set(program::ALL));
}

#[test]
fn its_programs_are_of_kinds_that_cannot_change_traffic_unasked() {
    for (name, program) in &OBJECT.programs {
        let is_filter = matches!(program.section, ProgramSection::CgroupSkb { .. });
        let only_looks = matches!(
            program.section,
            ProgramSection::BtfTracePoint
                | ProgramSection::FExit { .. }
                | ProgramSection::KProbe
                | ProgramSection::KRetProbe
                | ProgramSection::TracePoint
                // It could ask for more calls and set replies; `hook/ops.rs` leaves them as they are.
                | ProgramSection::SockOps
        );
        assert_eq!(is_filter, [program::PAYLOAD_SENT, program::PAYLOAD_RECEIVED].contains(&name.as_str()));
        assert!(is_filter || only_looks, "{name}: {:?}", program.section);
    }
}

#[test]
fn it_holds_the_maps_of_the_contract_and_those_of_the_logger_and_the_compiler() {
    let ours = set(map::ALL);
    let others = set(OBJECT.maps.keys().map(String::as_str)).difference(&ours).copied().collect::<Vec<_>>();
    assert!(ours.iter().all(|name| OBJECT.maps.contains_key(*name)), "{:?}", OBJECT.maps.keys());
    // The compiler makes several of constants, by their size.
    let (constants, others): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|name| name.starts_with(".rodata"));
    assert!(constants.contains(&".rodata"), "{constants:?}");
    assert_eq!(others, ["AYA_LOGS"]);
}

#[test]
fn nothing_of_it_asks_to_be_pinned() {
    for (name, map) in &OBJECT.maps {
        assert_eq!(map.pinning(), aya_obj::maps::PinningType::None, "{name}");
    }
}

#[test]
fn its_licence_lets_it_use_the_helpers_it_needs() {
    // `license_is_gpl_compatible` in include/linux/license.h knows this one.
    assert_eq!(OBJECT.license.to_str(), Ok("Dual MIT/GPL"));
}

#[test]
fn it_has_types_and_lines() {
    assert!(OBJECT.btf.is_some(), ".BTF is missing: is bpf-linker run with --btf?");
    assert!(OBJECT.btf_ext.is_some(), ".BTF.ext is missing: is bpf-linker run with --btf?");
}

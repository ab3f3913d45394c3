//! The contract between the two halves as a text file that a reviewer reads; a change of it must be seen in a diff.

use std::{env, fmt::Write as _, fs, path::Path};

use mtlsnoop_ebpf::{classify::Class, counter, global, map, program, record};

use crate::{layout, object};

/// Rewrites the file instead of comparing with it.
const BLESS: &str = "MTLSNOOP_BLESS";

#[test]
fn the_two_halves_agree_on_what_is_written_down() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("contract/records.txt");
    let actual = written();
    if env::var_os(BLESS).is_some() {
        fs::write(&path, &actual).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap();
    let difference = expected.lines().zip(actual.lines()).find(|(expected, actual)| expected != actual);
    assert!(
        expected == actual,
        "the contract has changed (first difference: {difference:?}). Recordings and running programs depend on it; if it is \
         meant, run this test with {BLESS}=1 and commit the file"
    );
}

/// Everything, a line each.
fn written() -> String {
    let mut text = String::new();
    for layout in layout::all() {
        writeln!(text, "{layout}").unwrap();
    }
    numbers(&mut text, "kind", &kinds());
    numbers(&mut text, "flag", &flags());
    numbers(&mut text, "class", &classes());
    numbers(&mut text, "limit", &limits());
    let counters: Vec<_> = (0..).zip(counter::NAMES).map(|(index, name)| (name.to_owned(), index)).collect();
    numbers(&mut text, "counter", &counters);
    for (what, names) in [
        ("program", program::ALL.as_slice()),
        ("map", map::ALL.as_slice()),
        ("global", [global::OFFSETS, global::RESET_FIELDS, global::TRACER].as_slice()),
    ] {
        writeln!(text, "{what}").unwrap();
        for name in names {
            writeln!(text, "  {name}{}", object::map_description(name)).unwrap();
        }
        writeln!(text).unwrap();
    }
    text
}

fn numbers(text: &mut String, what: &str, named: &[(String, u32)]) {
    writeln!(text, "{what}").unwrap();
    for (name, number) in named {
        writeln!(text, "  {number} {name}").unwrap();
    }
    writeln!(text).unwrap();
}

/// Constants with their names.
macro_rules! constants {
    ($module:path: $( $name:ident )+) => {{
        use $module as named;
        [$( (stringify!($name).to_owned(), u32::from(named::$name)) ),+].to_vec()
    }};
}

fn kinds() -> Vec<(String, u32)> {
    constants!(record::kind: OPENED ESTABLISHED ACCEPTED ENDED HELLO FIRST_BYTES RESET LISTENING LISTENER_CLOSED CONNECT_FAILED)
}

fn flags() -> Vec<(String, u32)> {
    constants!(record::flag: SENT OWN PEER_CLOSED REASON PUBLIC_FIELDS)
}

fn limits() -> Vec<(String, u32)> {
    constants!(record: HELLO_LIMIT_BYTES ANSWER_LIMIT_BYTES)
}

fn classes() -> Vec<(String, u32)> {
    Class::ALL.map(|class| (format!("{class:?}"), u32::from(class as u16))).to_vec()
}

#[test]
fn kinds_and_flags_are_told_apart() {
    let mut numbers: Vec<_> = kinds().into_iter().map(|(_, number)| number).collect();
    numbers.sort_unstable();
    assert!(numbers.iter().copied().eq(1..=10), "{numbers:?}");
    let bits = flags().into_iter().fold(0, |seen, (name, bit)| {
        assert!(bit.is_power_of_two() && seen & bit == 0, "{name}");
        seen | bit
    });
    assert_eq!(bits.count_ones(), 5);
}

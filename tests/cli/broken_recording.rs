//! Files that are no whole recording: what is whole is used, and the message says where and what.

use mtlsnoop::recording::HEADER_BYTES;

use crate::program::{expected, incident, recording, run, scenario, written};

/// The events of an incident with its resolution, as a recording.
fn whole() -> Vec<u8> {
    recording(&scenario("resolved-after-the-fix"))
}

#[test]
fn cut_short_everything_whole_is_used() {
    let whole = whole();
    let (_folder, path) = written(&whole[..whole.len() - 1]);
    let analyzed = run(&["analyze", &path, "-o", "json"]);
    assert_eq!(analyzed.code, Some(0), "{analyzed:?}");
    assert!(analyzed.stderr.contains("cut short at byte"), "{}", analyzed.stderr);
    assert!(analyzed.stderr.contains(&path), "{}", analyzed.stderr);
    let without_summary =
        |lines: &str| lines.lines().filter(|line| !line.contains(r#""kind":"summary""#)).count();
    let all = expected(&scenario("resolved-after-the-fix"));
    assert_eq!(without_summary(&analyzed.stdout), without_summary(&all), "{analyzed:?}");
    assert!(analyzed.stdout.contains(r#""kind":"summary""#), "{analyzed:?}");
}

#[test]
fn corrupt_everything_before_is_used_and_the_exit_code_tells() {
    let mut changed = whole();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    let (_folder, path) = written(&changed);
    let analyzed = run(&["analyze", &path, "-o", "json", "--fail-on-finding"]);
    assert_eq!(analyzed.code, Some(1), "{analyzed:?}");
    assert!(analyzed.stdout.contains(r#""kind":"finding""#), "{analyzed:?}");
    assert!(analyzed.stderr.contains("corrupt at byte"), "{}", analyzed.stderr);
}

#[test]
fn without_events_it_says_so() {
    let (_folder, path) = written(&whole()[..HEADER_BYTES]);
    let analyzed = run(&["analyze", &path]);
    assert_eq!(analyzed.code, Some(0), "{analyzed:?}");
    assert!(analyzed.stderr.contains("holds no events"), "{}", analyzed.stderr);
}

#[test]
fn what_cannot_be_read_at_all_says_what_it_is_and_what_to_try() {
    let mut newer = whole();
    newer[8] = 9;
    for (bytes, says) in [
        (b"".as_slice(), "the file is empty"),
        (b"MTLSN", "ends within its first 10 bytes"),
        (
            b"{\"kind\":\"finding\"}\n",
            "the file is neither a recording nor a packet capture; they are made with `mtlsnoop trace -w FILE`",
        ),
        (b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00", "the packet capture ends within its header"),
        (b"\x28\xb5\x2f\xfd\x04\x58\x00\x00", "compressed with zstd; decompress it first: `unzstd`"),
        (
            &newer,
            "has format version 9, and this mtlsnoop reads version 4; analyze it with the mtlsnoop that recorded it",
        ),
    ] {
        let (_folder, path) = written(bytes);
        run(&["analyze", &path]).fails_with(1, &[says, &path]);
    }
}

#[test]
fn a_missing_file_and_a_folder_are_named() {
    let (folder, path) = incident();
    run(&["analyze", &format!("{path}.not")]).fails_with(1, &["file.mtlsnoop.not", "No such file"]);
    let folder = folder.path().to_str().unwrap();
    run(&["analyze", folder]).fails_with(1, &[folder, "Is a directory"]);
}

//! A trace that cannot start: it says why and what to try, and what was on the disk before is there after.

use std::fs;

use crate::program::{Run, for_nobody, incident, run, written};

#[test]
fn without_root_it_says_what_to_do_and_an_old_recording_stays() {
    let (folder, path) = incident();
    let before = fs::read(&path).unwrap();
    let everyone = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    fs::set_permissions(&path, everyone).unwrap();
    let new = folder.path().join("new.mtlsnoop");
    for target in [path.as_str(), new.to_str().unwrap()] {
        let run = Run::from(for_nobody(folder.path(), &["trace", "-w", target]).output().unwrap());
        run.fails_with(1, &["not root", "sudo mtlsnoop"]);
    }
    assert_eq!(fs::read(&path).unwrap(), before);
    assert!(!new.exists());
}

#[test]
fn a_cluster_file_that_is_none_is_named_with_what_was_expected() {
    let (folder, _) = incident();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for (name, content) in [
        ("text", "no JSON at all"),
        ("cut.json", r#"{"apiVersion":"v1","kind":"List","items":[{"#),
        ("other.json", r#"{"name":"package","version":"1.0.0"}"#),
        ("array.json", "[1,2,3]"),
        ("empty.json", ""),
        ("nothing-of-use.json", r#"{"apiVersion":"v1","kind":"List","items":[]}"#),
    ] {
        fs::write(path(name), content).unwrap();
        run(&["trace", "--cluster", &path(name)]).fails_with(1, &[&path(name), "kubectl get"]);
    }
    run(&["trace", "--cluster", &path("missing")]).fails_with(1, &[&path("missing"), "No such file"]);
    run(&["trace", "--cluster", &path("")]).fails_with(1, &[&path(""), "Is a directory"]);
}

#[test]
fn only_a_recording_is_recorded_over() {
    let (folder, path) = written(b"my thesis");
    run(&["trace", "-w", &path]).fails_with(1, &[&path, "is no recording", "name another file"]);
    assert_eq!(fs::read(&path).unwrap(), b"my thesis");
    let folder = folder.path().to_str().unwrap();
    run(&["trace", "-w", folder]).fails_with(1, &[folder, "it is a folder"]);
    run(&["trace", "-w", &format!("{folder}/missing/file")]).fails_with(1, &["missing/file", "No such file"]);
}

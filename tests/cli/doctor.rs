//! What `doctor` says of this machine: to root, to nobody, and where something is missing. It must tell the truth, so what
//! it promises is compared with what a trace does.

use mtlsnoop_tests::privilege::{self, Privileges};
use serde_json::Value;

use crate::program::{Run, for_nobody, run};

fn report(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"))
}

fn names<'a>(list: &'a Value, key: &str, value: bool) -> Vec<&'a str> {
    let wanted = list.as_array().unwrap().iter().filter(|entry| entry[key] == value);
    wanted.map(|entry| entry["name"].as_str().unwrap()).collect()
}

fn is_to_schema(report: &Value) {
    let schema: Value =
        serde_json::from_str(include_str!("../../userspace/schema/mtlsnoop-doctor-1.schema.json")).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    if let Err(error) = jsonschema::validator_for(&schema).unwrap().validate(report) {
        panic!("{error} at {} in {report}", error.instance_path());
    }
}

#[test]
fn the_schema_that_is_printed_is_the_published_one() {
    let printed = run(&["schema", "doctor"]);
    assert_eq!(printed.stdout, include_str!("../../userspace/schema/mtlsnoop-doctor-1.schema.json"));
}

#[test]
fn to_nobody_it_says_what_is_lacking() {
    let folder = tempfile::tempdir().unwrap();
    let json = Run::from(for_nobody(folder.path(), &["doctor", "-o", "json"]).output().unwrap());
    assert_eq!((json.code, json.stderr.as_str()), (Some(1), ""), "{json:?}");
    let report = report(&json);
    is_to_schema(&report);
    assert_eq!(report["can_trace"], false);
    assert_eq!(names(&report["capabilities"], "held", true), [""; 0]);
    assert_eq!(names(&report["captures"], "possible", true), [""; 0]);
    assert!(report["hooks"].as_array().unwrap().iter().all(|hook| hook.get("used").is_none()), "{report}");
    let text = Run::from(for_nobody(folder.path(), &["doctor"]).output().unwrap());
    assert_eq!(text.code, Some(1));
    let advice = "lacks the capabilities BPF, PERFMON and NET_ADMIN; try `sudo mtlsnoop doctor`.";
    assert!(text.stdout.trim_end().ends_with(advice), "{}", text.stdout);
}

#[test]
fn to_root_everything_that_works_is_said_to_work() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: loading programs needs root");
        return;
    }
    let json = run(&["doctor", "-o", "json"]);
    assert_eq!((json.code, json.stderr.as_str()), (Some(0), ""), "{json:?}");
    let report = report(&json);
    is_to_schema(&report);
    assert_eq!(names(&report["captures"], "possible", false), [""; 0], "{report}");
    let trace = run(&["trace", "--duration", "1ms", "--verbose"]);
    for hook in report["hooks"].as_array().unwrap() {
        let name = hook["name"].as_str().unwrap();
        // The hooks of other modes are not in this trace.
        if let Some(line) = trace.stderr.lines().find(|line| line.starts_with(&format!("mtlsnoop: {name}: ")))
        {
            let expected = hook["used"].as_str().unwrap_or("not available");
            assert!(line.contains(expected), "doctor says {hook}, the trace says {line}");
        }
    }
}

/// A mount namespace of its own hides what some nodes do not have.
fn hiding(script: &str) -> Run {
    let tracer = mtlsnoop_tests::program::TRACER.find().unwrap();
    std::process::Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script])
        .arg(tracer)
        .output()
        .unwrap()
        .into()
}

#[test]
fn a_node_without_cgroup_version_2_is_recognised_and_traced_all_the_same() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: hiding mounts needs root");
        return;
    }
    let hide = "grep ' - cgroup2 ' /proc/self/mountinfo | cut -d' ' -f5 | tac | xargs -r -n1 umount -l";
    let run =
        hiding(&format!("{hide}; \"$0\" doctor -o json && exec \"$0\" trace --duration 1ms > /dev/null"));
    assert_eq!(run.code, Some(0), "{run:?}");
    let report = report(&run);
    is_to_schema(&report);
    let layout = report["cgroup"]["layout"].as_str().unwrap();
    assert!(["v1", "unmounted"].contains(&layout), "{report}");
    assert_eq!(report["cgroup"].get("lost").is_some(), layout == "v1", "{report}");
    assert_eq!(report["cgroup"]["root"], "a mount of its own that nobody else sees");
}

#[test]
fn without_the_right_to_mount_it_says_that_there_is_no_cgroup_hierarchy() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: hiding mounts needs root");
        return;
    }
    let hide = "grep ' - cgroup2 ' /proc/self/mountinfo | cut -d' ' -f5 | tac | xargs -r -n1 umount -l";
    let drop = "setpriv --bounding-set -sys_admin --inh-caps -sys_admin";
    let run = hiding(&format!("{hide}; exec {drop} \"$0\" doctor -o json"));
    assert_eq!(run.code, Some(1), "{run:?}");
    let report = report(&run);
    is_to_schema(&report);
    let problem = report["cgroup"]["problem"].as_str().unwrap();
    assert!(problem.contains("SYS_ADMIN") && problem.contains("mount -t cgroup2"), "{problem}");
    assert_eq!(names(&report["captures"], "possible", true), ["sentinel"], "{report}");
}

#[test]
fn with_exactly_what_it_says_is_needed_it_is_possible() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: giving capabilities needs root");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let report = report(&run(&["doctor", "-o", "json"]));
    for capture in report["captures"].as_array().unwrap() {
        let needs: Vec<&str> =
            capture["needs"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        for lacking in needs.iter().map(Some).chain([None]) {
            let held: Vec<&str> = needs.iter().copied().filter(|name| Some(name) != lacking).collect();
            let mut doctor = privilege::command(folder.path(), &Privileges::of(&held)).unwrap();
            let run = Run::from(doctor.args(["doctor", "-o", "json"]).output().unwrap());
            let said = self::report(&run);
            is_to_schema(&said);
            assert_eq!(names(&said["capabilities"], "held", true), held);
            let name = capture["name"].as_str().unwrap();
            let is_possible = names(&said["captures"], "possible", true).contains(&name);
            assert_eq!(is_possible, lacking.is_none(), "{name} with {held:?}: {said}");
        }
    }
}

//! The JSON lines that are written down in scenarios, against the published schema and the design's example.

use std::{fs, path::Path};

use jsonschema::Validator;
use mtlsnoop::{
    event::loss::Loss,
    update::{Behaviour, Confidence, EndedBy, EndedHow},
};
use serde_json::{Value, json};

fn published() -> Value {
    serde_json::from_str(include_str!("../../userspace/schema/mtlsnoop-1.schema.json")).unwrap()
}

fn validator() -> Validator {
    jsonschema::validator_for(&published()).unwrap()
}

/// Each line that some scenario expects, with the scenario's name.
fn expected_lines() -> Vec<(String, Value)> {
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut lines = Vec::new();
    for folder in fs::read_dir(scenarios).unwrap() {
        let folder = folder.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        for line in fs::read_to_string(folder.join("expected.jsonl")).unwrap().lines() {
            lines.push((name.clone(), serde_json::from_str(line).unwrap()));
        }
    }
    lines
}

/// The line that shows most.
fn finding() -> Value {
    let of_incident =
        |(name, line): &(String, Value)| name == "redis-silent-with-cluster" && line["kind"] == "finding";
    expected_lines().into_iter().find(of_incident).unwrap().1
}

#[test]
fn every_expected_line_is_to_the_schema() {
    let validator = validator();
    let lines = expected_lines();
    for (scenario, line) in &lines {
        if let Err(error) = validator.validate(line) {
            panic!("{scenario}: {error} at {} in {line}", error.instance_path());
        }
    }
    assert!(lines.len() > 30, "{}", lines.len());
}

#[test]
fn what_is_not_to_the_contract_is_refused() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 9] = [
        ("no kind", |line| drop(line.as_object_mut().unwrap().remove("kind"))),
        ("a kind that there is not", |line| line["kind"] = json!("verdict")),
        ("another line's kind", |line| line["kind"] = json!("summary")),
        ("another version", |line| line["schema"] = json!(2)),
        ("a behaviour that there is not", |line| line["listener"]["behaviour"] = json!("asleep")),
        ("a confidence that there is not", |line| line["confidence"] = json!("sure")),
        ("no cause", |line| drop(line.as_object_mut().unwrap().remove("cause"))),
        ("a port out of range", |line| line["server"]["port"] = json!(65536)),
        ("bytes that are no number", |line| line["outcome"]["bytes_sent"] = json!("205")),
    ];
    let validator = validator();
    let finding = finding();
    assert!(validator.is_valid(&finding));
    for (what, change) in changes {
        let mut line = finding.clone();
        change(&mut line);
        assert!(!validator.is_valid(&line), "{what}: {line}");
    }
}

#[test]
fn every_name_that_can_be_written_is_to_the_schema() {
    let validator = validator();
    let check = |path: &str, name: &str| {
        let mut line = finding();
        *line.pointer_mut(path).unwrap() = json!(name);
        assert!(validator.is_valid(&line), "{path}: {name}");
    };
    for behaviour in Behaviour::ALL {
        check("/listener/behaviour", behaviour.name());
    }
    for confidence in [Confidence::Possible, Confidence::Likely, Confidence::Certain] {
        check("/confidence", confidence.name());
    }
    for by in [EndedBy::Client, EndedBy::Server, EndedBy::Both, EndedBy::Network] {
        check("/outcome/ended_by", by.name());
    }
    for how in [EndedHow::Fin, EndedHow::Reset, EndedHow::Error, EndedHow::GivenUp] {
        check("/outcome/how", how.name());
    }
    let mut summary = expected_lines().into_iter().find(|(_, line)| line["kind"] == "summary").unwrap().1;
    for loss in Loss::ALL {
        summary["lost"][loss.name()] = json!(1);
    }
    assert!(validator.is_valid(&summary), "{summary}");
}

/// The example in the design, with its shortened values.
fn example() -> Value {
    json!({
        "kind": "finding", "schema": 1, "time": "", "code": "mtls-to-plaintext", "confidence": "likely",
        "cause": { "code": "headless-unconditional-mtls", "text": "" },
        "client": {
            "address": "10.1.1.25", "port": 50714, "pod": "", "namespace": "default", "container": "istio-proxy",
            "workload": "Deployment/redis-client", "process": "envoy",
            "victim": { "container": "app", "process": "redis-cli", "port": 45940 },
        },
        "server": {
            "address": "10.1.1.24", "port": 6379, "pod": "redis-0", "namespace": "default",
            "workload": "StatefulSet/redis", "service": "redis", "headless": true, "sidecar": false,
            "process": "redis-server",
        },
        "client_hello": {
            "sni": "outbound_.6379_._.redis.default.svc.cluster.local", "alpn": ["istio-peer-exchange", "istio"],
            "mesh": "istio", "ja4": "",
        },
        "listener": { "behaviour": "silent", "protocol": null, "first_bytes": "" },
        "outcome": {
            "ended_by": "client", "how": "fin", "after_ms": 998.2, "bytes_sent": 205, "bytes_received": 0,
        },
        "evidence": [""], "fix": { "text": "", "manifest": "" }, "count": 1, "first_seen": "", "incomplete": false,
    })
}

/// Every key of the example is in what is printed, and every value of its own is the same; the empty ones differ.
fn assert_holds(printed: &Value, example: &Value, path: &str) {
    match example {
        Value::Object(fields) => {
            for (key, value) in fields {
                let inner = printed.get(key).unwrap_or_else(|| panic!("{path}/{key} is not printed"));
                assert_holds(inner, value, &format!("{path}/{key}"));
            }
        }
        Value::Array(_) if path.ends_with("/evidence") => assert!(!printed.as_array().unwrap().is_empty()),
        Value::String(text) if text.is_empty() => assert!(printed.is_string(), "{path}: {printed}"),
        value => assert_eq!(printed, value, "{path}"),
    }
}

#[test]
fn the_example_of_the_design_is_what_is_printed() {
    assert_holds(&finding(), &example(), "");
}

//! The published JSON Schema: it is a schema, it is the one that is printed, and all lines are to it.

use serde_json::{Value, json};

use crate::program::{recording, run, scenarios, written};

fn published() -> Value {
    serde_json::from_str(include_str!("../../userspace/schema/mtlsnoop-1.schema.json")).unwrap()
}

#[test]
fn it_is_a_schema_and_the_one_that_is_printed() {
    let printed = run(&["schema"]);
    assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""));
    assert_eq!(serde_json::from_str::<Value>(&printed.stdout).unwrap(), published());
    jsonschema::meta::validate(&published()).unwrap();
    assert_eq!(published()["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

#[test]
fn every_line_of_every_scenario_is_to_it() {
    let validator = jsonschema::validator_for(&published()).unwrap();
    let mut kinds = std::collections::BTreeSet::new();
    for scenario in scenarios() {
        let (_folder, path) = written(&recording(&scenario));
        for line in run(&["analyze", &path, "-o", "json", "--all"]).stdout.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            if let Err(error) = validator.validate(&line) {
                panic!("{}: {error} at {} in {line}", scenario.display(), error.instance_path());
            }
            kinds.insert(line["kind"].as_str().unwrap().to_owned());
        }
    }
    assert!(kinds.iter().eq(["connection", "finding", "resolved", "summary"]), "{kinds:?}");
}

#[test]
fn what_is_not_to_the_contract_is_not_to_the_schema() {
    let validator = jsonschema::validator_for(&published()).unwrap();
    let summary = json!({
        "kind": "summary", "schema": 1, "time": "2020-05-14T07:30:00.000000000Z", "seen": 0, "reported": 0, "filtered": 0,
        "open": 0, "began_before": 0, "findings": 0, "resolved": 0, "lost": {},
    });
    validator.validate(&summary).unwrap();
    for (key, value) in [
        ("kind", json!("total")),
        ("schema", json!(2)),
        ("time", json!("2020-05-14T07:30:00Z")),
        ("seen", json!(-1)),
        ("lost", json!({ "lost_hello": "many" })),
        ("open", Value::Null),
    ] {
        let mut changed = summary.clone();
        changed[key] = value;
        assert!(!validator.is_valid(&changed), "{changed}");
    }
}

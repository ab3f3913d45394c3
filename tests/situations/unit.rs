//! What the comparison of expected and found rests on, as a test target: tests inside a program without harness would
//! never run.

mod expected;
mod finding;
mod score;
mod table;

use serde_json::json;

use crate::{
    expected::{Expected, Wanted},
    finding::{Finding, distinct},
    score::{Demand, Score, score},
    table::{Looked, Row},
};

const WANTED: Wanted = Wanted {
    code: "mtls-to-plaintext",
    cause: "unconditional-mtls",
    behaviour: "plaintext",
    protocol: Some("http"),
    confidence: "likely",
};

fn finding(code: &str, cause: &str, confidence: &str) -> Finding {
    let line = json!({
        "kind": "finding",
        "code": code,
        "confidence": confidence,
        "cause": { "code": cause },
        "client": { "address": "10.1.1.25" },
        "server": { "address": "::ffff:10.1.1.24" },
        "listener": { "behaviour": "plaintext", "protocol": "http" }
    });
    Finding::read(&line).expect("it has all that a finding has").expect("it is one")
}

fn right(confidence: &str) -> Finding {
    finding(WANTED.code, WANTED.cause, confidence)
}

#[test]
fn addresses_are_those_of_both_ends_in_one_form() {
    let addresses: Vec<String> = right("likely").addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["10.1.1.25", "10.1.1.24"]);
}

#[test]
fn other_lines_are_no_findings_and_broken_ones_are_errors() {
    assert_eq!(Finding::read(&json!({ "kind": "summary" })).unwrap(), None);
    assert!(Finding::read(&json!({ "kind": "finding" })).is_err());
}

#[test]
fn a_finding_that_is_said_again_is_one_and_as_sure_as_it_became() {
    let first = Finding { after_ms: Some(7), ..right("likely") };
    let again = Finding { after_ms: Some(90), ..right("certain") };
    let other = finding(WANTED.code, "another-cause", "possible");
    let all = distinct([first, again, right("possible"), other.clone()]);
    assert_eq!(all, [Finding { after_ms: Some(7), ..right("certain") }, other]);
}

#[test]
fn each_mistake_is_counted() {
    let wanted = Expected::Finding(WANTED);
    let other = || finding("double-tls", WANTED.cause, "likely");
    let table = [
        ("quiet and quiet", Expected::Quiet, vec![], Demand::Exact, (0, 0, 0)),
        ("accused wrongly", Expected::Quiet, vec![right("likely")], Demand::Exact, (0, 0, 1)),
        ("as it should be", wanted, vec![right("likely")], Demand::Exact, (1, 0, 0)),
        ("missed", wanted, vec![], Demand::Exact, (0, 1, 0)),
        ("another code", wanted, vec![other()], Demand::Exact, (0, 1, 1)),
        ("one too many", wanted, vec![right("likely"), other()], Demand::Exact, (1, 0, 1)),
        ("another cause", wanted, vec![finding(WANTED.code, "x", "likely")], Demand::Exact, (0, 1, 1)),
        ("too sure", wanted, vec![right("certain")], Demand::Exact, (0, 1, 1)),
        ("not sure enough", wanted, vec![right("possible")], Demand::Exact, (0, 1, 1)),
        ("a capture knows less", wanted, vec![right("possible")], Demand::AtMost, (1, 0, 0)),
        ("and never more", wanted, vec![right("certain")], Demand::AtMost, (0, 1, 1)),
    ];
    for (name, expected, found, demand, (right, missing, wrong)) in table {
        assert_eq!(score(expected, &found, demand), Score { right, missing, wrong }, "{name}");
    }
}

#[test]
fn what_the_listener_did_counts_too() {
    for changed in [
        Finding { behaviour: "silent".to_owned(), ..right("likely") },
        Finding { protocol: Some("redis".to_owned()), ..right("likely") },
    ] {
        let score = score(Expected::Finding(WANTED), &[changed], Demand::Exact);
        assert_eq!(score, Score { right: 0, missing: 1, wrong: 1 });
    }
}

#[test]
fn a_server_that_races_with_itself_may_do_either() {
    let wanted = Expected::Finding(Wanted { behaviour: "closed or plaintext", ..WANTED });
    let found = [right("likely")];
    assert_eq!(score(wanted, &found, Demand::Exact), Score { right: 1, missing: 0, wrong: 0 });
}

#[test]
fn rates_are_of_all_situations() {
    let sum =
        Score::sum([Score { right: 3, missing: 1, wrong: 0 }, Score { right: 0, missing: 0, wrong: 2 }]);
    assert!((sum.recall_percent() - 75.0).abs() < 1e-9 && (sum.precision_percent() - 60.0).abs() < 1e-9);
    assert!(!sum.is_perfect());
    assert!((Score::default().recall_percent() - 100.0).abs() < 1e-9);
}

fn row(expected: Expected, found: &[Finding]) -> Row {
    let looked = |demand| Looked { score: score(expected, found, demand), found: found.to_vec() };
    let (live, captured) = (looked(Demand::Exact), Some(looked(Demand::AtMost)));
    Row { name: "nginx", told: "nginx answers 400", expected, not_captured: None, live, captured }
}

#[test]
fn the_table_shows_how_sure_it_is_and_what_is_wrong() {
    let found = [Finding { after_ms: Some(12), ..right("likely") }];
    let rows = [row(Expected::Finding(WANTED), &found), row(Expected::Quiet, &found)];
    let text = table::markdown(&rows);
    let declared = "| nginx | nginx answers 400 | mtls-to-plaintext, unconditional-mtls; plaintext, http |";
    assert!(text.contains(&format!("{declared} likely | 12 ms | likely |\n")), "{text}");
    assert!(
        text.contains("| nothing | **likely mtls-to-plaintext, unconditional-mtls; plaintext, http** |"),
        "{text}"
    );
    assert!(text.ends_with("2 situations, 1 of them quiet. Live: recall 100 %, precision 50 %. In captures: recall 100 %, precision 50 %.\n"), "{text}");
    assert_eq!(table::declared(&rows[0]), declared);
    let unseen = Row { not_captured: Some("it is dark"), ..row(Expected::Quiet, &[]) };
    let text = table::markdown(std::slice::from_ref(&unseen));
    let line = text.lines().nth(2).expect("a row");
    assert!(line.ends_with("| nothing |  | nothing: it is dark |") && table::is_of(&unseen, line), "{text}");
    assert!(!table::is_of(&unseen, &line.replace("dark", "late")) && !table::is_of(&rows[0], line));
    let value = table::json(&rows);
    assert_eq!(value["live"]["wrong"], 1);
    assert_eq!(value["situations"][1]["live"]["is_right"], false);
    assert_eq!(value["situations"][0]["live"]["found"][0]["after_ms"], 12);
}

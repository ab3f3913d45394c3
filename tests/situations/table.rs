//! The table: a row for each situation, for people, for the docs and for programs; it must not know how anything was
//! found.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{
    expected::{Expected, Wanted},
    finding::Finding,
    score::Score,
};

/// One situation with what was found there.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) told: &'static str,
    pub(crate) expected: Expected,
    /// Why captures alone do not show it, if they do not.
    pub(crate) not_captured: Option<&'static str>,
    pub(crate) live: Looked,
    /// None when nothing was captured.
    pub(crate) captured: Option<Looked>,
}

/// One way of looking at a situation.
#[derive(Debug, Clone)]
pub(crate) struct Looked {
    pub(crate) found: Vec<Finding>,
    pub(crate) score: Score,
}

/// How often each way of looking was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) live: Score,
    pub(crate) captured: Option<Score>,
}

const HEAD: &str = "| situation | | expected | live | after | capture |\n|---|---|---|---|---|---|\n";

/// Adds up.
pub(crate) fn totals(rows: &[Row]) -> Totals {
    let captured: Option<Vec<Score>> =
        rows.iter().map(|row| row.captured.as_ref().map(|looked| looked.score)).collect();
    Totals { live: Score::sum(rows.iter().map(|row| row.live.score)), captured: captured.map(Score::sum) }
}

/// The rows and their sum as Markdown.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text = HEAD.to_owned();
    // Writing to a String cannot fail.
    for row in rows {
        let after = row.live.found.first().and_then(|finding| finding.after_ms);
        let after = after.map_or_else(String::new, |after_ms| format!("{after_ms} ms"));
        let mut captured = row.captured.as_ref().map_or_else(String::new, cell);
        if let Some(because) = row.not_captured {
            let _ = write!(captured, ": {because}");
        }
        let _ = writeln!(text, "{} {} | {after} | {captured} |", declared(row), cell(&row.live));
    }
    let _ = write!(text, "\n{}", sum(rows));
    text
}

/// The part of a row that no run changes.
pub(crate) fn declared(row: &Row) -> String {
    format!("| {} | {} | {} |", row.name, row.told, expectation(row.expected))
}

/// The line of a table is this row as it is declared, with why captures do not show it.
pub(crate) fn is_of(row: &Row, line: &str) -> bool {
    let because = row.not_captured.map_or_else(String::new, |because| format!(": {because} |"));
    line.starts_with(&declared(row)) && line.ends_with(&because)
}

/// One line on how often each way of looking was right.
fn sum(rows: &[Row]) -> String {
    let Totals { live, captured } = totals(rows);
    let quiet = rows.iter().filter(|row| row.expected == Expected::Quiet).count();
    let mut text = format!("{} situations, {quiet} of them quiet. {}", rows.len(), rates("Live", live));
    if let Some(captured) = captured {
        let _ = write!(text, " {}", rates("In captures", captured));
    }
    text.push('\n');
    text
}

fn rates(way: &str, score: Score) -> String {
    format!(
        "{way}: recall {:.0} %, precision {:.0} %.",
        score.recall_percent().floor(),
        score.precision_percent().floor()
    )
}

fn expectation(expected: Expected) -> String {
    match expected {
        Expected::Quiet => "nothing".to_owned(),
        Expected::Finding(Wanted { code, cause, behaviour, protocol, .. }) => {
            format!("{code}, {cause}; {}", listener(behaviour, protocol))
        }
    }
}

fn listener(behaviour: &str, protocol: Option<&str>) -> String {
    protocol.map_or_else(|| behaviour.to_owned(), |protocol| format!("{behaviour}, {protocol}"))
}

/// `as expected` with how sure, or what was found instead.
fn cell(looked: &Looked) -> String {
    match (looked.score.is_perfect(), looked.found.as_slice()) {
        (true, []) => "nothing".to_owned(),
        (true, [finding]) => finding.confidence.clone(),
        (_, []) => "**missing**".to_owned(),
        (_, all) => {
            let all: Vec<String> = all.iter().map(told).collect();
            format!("**{}**", all.join("; "))
        }
    }
}

fn told(finding: &Finding) -> String {
    let Finding { code, cause, behaviour, protocol, confidence, .. } = finding;
    format!("{confidence} {code}, {cause}; {}", listener(behaviour, protocol.as_deref()))
}

/// The same for programs.
pub(crate) fn json(rows: &[Row]) -> Value {
    let Totals { live, captured } = totals(rows);
    json!({
        "situations": rows.iter().map(row_json).collect::<Vec<_>>(),
        "live": score_json(live),
        "captured": captured.map(score_json)
    })
}

fn row_json(row: &Row) -> Value {
    let expected = match row.expected {
        Expected::Quiet => Value::Null,
        Expected::Finding(Wanted { code, cause, behaviour, protocol, confidence }) => json!({
            "code": code, "cause": cause, "behaviour": behaviour, "protocol": protocol, "confidence": confidence
        }),
    };
    json!({
        "name": row.name,
        "told": row.told,
        "expected": expected,
        "not_captured": row.not_captured,
        "live": looked_json(&row.live),
        "captured": row.captured.as_ref().map(looked_json)
    })
}

fn looked_json(looked: &Looked) -> Value {
    let found = looked.found.iter().map(|finding| {
        let Finding { code, cause, behaviour, protocol, confidence, after_ms, .. } = finding;
        json!({
            "code": code, "cause": cause, "behaviour": behaviour, "protocol": protocol,
            "confidence": confidence, "after_ms": after_ms
        })
    });
    json!({ "is_right": looked.score.is_perfect(), "found": found.collect::<Vec<_>>() })
}

fn score_json(score: Score) -> Value {
    json!({
        "right": score.right,
        "missing": score.missing,
        "wrong": score.wrong,
        "recall_percent": score.recall_percent(),
        "precision_percent": score.precision_percent()
    })
}

//! Metrics: what dashboard and alert rules ask for is what the agent exports, with labels that it has, and nothing that it
//! exports is shown nowhere. The agent's own unit test keeps the table in README.md true.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::rule;
use crate::workspace::Workspace;

/// What all metrics begin with.
const PREFIX: &str = "mtlsnoop_";

/// What Prometheus and the `PodMonitor` add to every series.
const ADDED: [&str; 2] = ["instance", "node"];

/// Metrics with the labels of each.
type Metrics<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

pub(super) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let read = |path: &str| {
        fs::read_to_string(workspace.root.join(path)).with_context(|| format!("could not read {path}"))
    };
    let readme = read("README.md")?;
    let exported = exported(&readme).context("README.md has no table of metrics")?;
    let rules: Value = serde_saphyr::from_str(&read("deploy/prometheus/rules.yaml")?)?;
    let mut expressions = Vec::new();
    let dashboard = rule::dashboard(workspace)?;
    collect(&rules, "expr", &mut expressions);
    collect(&dashboard, "expr", &mut expressions);
    Ok(compare(&exported, &expressions))
}

/// The rows of the table: the metric, its labels, what it is.
fn exported(readme: &str) -> Option<Metrics<'_>> {
    let table = readme.split_once("<!-- metrics -->")?.1.split_once("<!-- end -->")?.0;
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let rows = rows.map(|(name, rest)| {
        let labels = rest.split('|').nth(1).unwrap_or_default();
        (
            name,
            labels
                .split(',')
                .map(|label| label.trim().trim_matches('`'))
                .filter(|label| !label.is_empty())
                .collect(),
        )
    });
    Some(rows.collect())
}

/// Every text under this key, however deep.
fn collect<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get(key).and_then(Value::as_str));
            fields.values().for_each(|value| collect(value, key, found));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, key, found)),
        _ => {}
    }
}

fn compare(exported: &Metrics<'_>, expressions: &[&str]) -> Vec<String> {
    let mut shown = BTreeSet::new();
    let mut complaints = BTreeSet::new();
    for expression in expressions {
        let mut known = BTreeSet::from(ADDED);
        for metric in words(expression).filter(|word| word.starts_with(PREFIX)) {
            shown.insert(metric);
            match exported.get(metric) {
                Some(labels) => known.extend(labels),
                None => drop(complaints.insert(format!("no agent exports {metric}, which is asked for"))),
            }
        }
        let unknown = labels(expression).into_iter().filter(|label| !known.contains(label));
        complaints.extend(unknown.map(|label| format!("there is no label {label} in `{expression}`")));
    }
    let unseen = exported.keys().filter(|metric| !shown.contains(*metric));
    complaints.extend(unseen.map(|metric| format!("neither dashboard nor rules show {metric}")));
    complaints.into_iter().collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))
        .filter(|word| !word.is_empty())
}

/// The labels that an expression names: in `by (…)`, and before `=` in `{…}`.
fn labels(expression: &str) -> Vec<&str> {
    let grouped = expression.split("by (").skip(1).filter_map(|rest| rest.split_once(')'));
    let grouped = grouped.flat_map(|(labels, _)| words(labels));
    // Before each value, which is in quotes, is the label that it is compared with.
    let parts: Vec<&str> = expression.split('"').collect();
    let selected = parts.chunks_exact(2).filter_map(|pair| words(pair[0]).last());
    grouped.chain(selected).collect()
}

#[cfg(test)]
mod tests {
    use super::{compare, exported, labels};

    const README: &str = "<!-- metrics -->\n| metric | labels | what |\n|---|---|---|\n\
        | `mtlsnoop_lost_total` | `loss` | Lost. |\n| `mtlsnoop_flows_open` |  | Open. |\n<!-- end -->";

    #[test]
    fn metrics_and_labels_are_compared_both_ways() {
        let exported = exported(README).unwrap();
        let both =
            ["sum by (loss, node) (rate(mtlsnoop_lost_total{instance=~\"a\"}[5m]))", "mtlsnoop_flows_open"];
        assert_eq!(compare(&exported, &both), [""; 0]);
        for (expression, complaint) in [
            ("mtlsnoop_lost", "no agent exports mtlsnoop_lost, which"),
            ("sum by (reason) (mtlsnoop_lost_total)", "there is no label reason in"),
            ("mtlsnoop_flows_open{loss=\"a\"}", "there is no label loss in"),
            ("vector(0)", "neither dashboard nor rules show mtlsnoop_lost_total"),
        ] {
            let found = compare(&exported, &[expression]);
            assert!(found.join("\n").contains(complaint), "{expression}: {found:?}");
        }
    }

    #[test]
    fn labels_are_read_from_groups_and_selectors() {
        let expression = "sum by (a, b) (rate(x{c=~\"d,e\", f!=\"g\"}[5m])) / count(y{h=\"i\"})";
        assert_eq!(labels(expression), ["a", "b", "c", "f", "h"]);
    }
}

//! Alert rules and dashboard, by Prometheus' own tool: every expression is one, and the rules fire when they should.
use std::{collections::BTreeMap, fs, process::Command};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::{process, setup::Validators, workspace::Workspace};

/// What Grafana puts in for its variables.
const VARIABLES: [(&str, &str); 3] = [("$__rate_interval", "5m"), ("$namespace", ".*"), ("$node", ".*")];

pub(super) fn check(workspace: &Workspace, validators: &Validators) -> Result<Vec<String>> {
    let folder = workspace.root.join("deploy/prometheus");
    let mut complaints = Vec::new();
    let mut run = |command: &mut Command| {
        complaints.extend(process::read(command).err().map(|error| format!("{error:#}")));
    };
    let promtool = || {
        let mut command = Command::new(&validators.promtool);
        command.current_dir(&folder);
        command
    };
    run(promtool().args(["check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"]));
    run(promtool().args(["test", "rules", "rules_test.yaml"]));

    let dashboard = dashboard(workspace)?;
    let recorded = tempfile::NamedTempFile::with_suffix(".yaml")?;
    fs::write(recorded.path(), as_rules(&expressions(&dashboard)).to_string())?;
    run(promtool().args(["check", "rules"]).arg(recorded.path()));

    let rules = fs::read_to_string(folder.join("rules.yaml")).context("could not read the alert rules")?;
    let tests = fs::read_to_string(folder.join("rules_test.yaml")).context("could not read their tests")?;
    complaints.extend(untested(&serde_saphyr::from_str(&rules)?, &tests));
    complaints.extend(misplaced(&dashboard));
    Ok(complaints)
}

/// The dashboard.
pub(super) fn dashboard(workspace: &Workspace) -> Result<Value> {
    let text = fs::read_to_string(workspace.root.join("deploy/grafana/mtlsnoop.json"))
        .context("could not read the dashboard")?;
    serde_json::from_str(&text).context("the dashboard is not JSON")
}

/// Each expression of the dashboard by the title of its panel.
fn expressions(dashboard: &Value) -> BTreeMap<String, String> {
    let panels = dashboard["panels"].as_array().into_iter().flatten();
    panels
        .flat_map(|panel| {
            let targets = panel["targets"].as_array().into_iter().flatten();
            targets.map(|target| {
                (
                    format!("{} {}", panel["title"], target["refId"]),
                    target["expr"].as_str().unwrap_or_default().to_owned(),
                )
            })
        })
        .collect()
}

/// Recording rules, which promtool can check; YAML takes JSON.
fn as_rules(expressions: &BTreeMap<String, String>) -> Value {
    let filled = |expression: &String| {
        VARIABLES.iter().fold(expression.clone(), |text, (name, value)| text.replace(name, value))
    };
    let rules: Vec<Value> = expressions
        .iter()
        .enumerate()
        .map(|(nth, (panel, expression))| json!({"record": format!("panel:{nth}"), "expr": filled(expression), "labels": {"panel": panel}}))
        .collect();
    json!({"groups": [{"name": "dashboard", "rules": rules}]})
}

/// Every alert has a test that sees it fire.
fn untested(rules: &Value, tests: &str) -> Vec<String> {
    let groups = rules["groups"].as_array().into_iter().flatten();
    let rules = groups.flat_map(|group| group["rules"].as_array().into_iter().flatten());
    let alerts = rules.filter_map(|rule| rule["alert"].as_str());
    alerts
        .filter(|alert| !tests.contains(&format!("alertname: {alert}\n        exp_alerts:\n          - ")))
        .map(|alert| format!("no test sees the alert {alert} fire"))
        .collect()
}

/// Panels with an id of their own, inside the grid of 24 columns, and with a source of data that can be chosen.
fn misplaced(dashboard: &Value) -> Vec<String> {
    let mut ids = std::collections::BTreeSet::new();
    let panels = dashboard["panels"].as_array().into_iter().flatten();
    panels
        .filter(|panel| {
            let place = &panel["gridPos"];
            let right = place["x"].as_u64().zip(place["w"].as_u64()).map(|(left, width)| left + width);
            let is_chosen = panel["type"] == "row" || panel["datasource"]["uid"] == "${datasource}";
            !ids.insert(panel["id"].as_u64()) || right.is_none_or(|right| right > 24) || !is_chosen
        })
        .map(|panel| format!("the panel {} has a wrong id, place or source of data", panel["title"]))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{as_rules, expressions, misplaced, untested};

    #[test]
    fn expressions_of_a_dashboard_become_rules() {
        let dashboard = json!({"panels": [
            {"title": "a", "targets": [{"refId": "A", "expr": "rate(b{c=~\"$node\"}[$__rate_interval])"}]},
            {"title": "row"},
        ]});
        let rules = as_rules(&expressions(&dashboard));
        assert_eq!(rules["groups"][0]["rules"][0]["expr"], "rate(b{c=~\".*\"}[5m])");
        assert_eq!(rules["groups"][0]["rules"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn an_alert_that_is_only_expected_to_be_silent_is_not_tested() {
        let rules = json!({"groups": [{"rules": [{"alert": "A"}, {"record": "b"}]}]});
        let fires = "      - alertname: A\n        exp_alerts:\n          - exp_labels: {}\n";
        assert_eq!(untested(&rules, fires), [""; 0]);
        assert_eq!(untested(&rules, "      - alertname: A\n        exp_alerts: []\n").len(), 1);
    }

    #[test]
    fn panels_that_do_not_fit_are_reported() {
        let panel = |id: u64, left: u64, uid: &str| json!({"title": "a", "type": "stat", "id": id, "gridPos": {"x": left, "w": 12}, "datasource": {"uid": uid}});
        let good = json!({"panels": [panel(1, 0, "${datasource}"), panel(2, 12, "${datasource}")]});
        assert_eq!(misplaced(&good), [""; 0]);
        for wrong in [panel(1, 0, "${datasource}"), panel(3, 13, "${datasource}"), panel(3, 0, "abc")] {
            let dashboard = json!({"panels": [panel(1, 0, "${datasource}"), wrong]});
            assert_eq!(misplaced(&dashboard).len(), 1, "{dashboard}");
        }
    }
}

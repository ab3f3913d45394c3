//! Which `DestinationRule` a client's sidecar takes for a host. Pure.
//!
//! Written after istio `pilot/pkg/model/push_context.go` (`setDestinationRules`, `destinationRule`),
//! `pilot/pkg/model/destination_rule.go` (`mergeDestinationRule`) and `pilot/pkg/model/sidecar.go` (`DestinationRule`), 1.31.

use crate::{
    event::istio::{DestinationRule, Labels, Subset, TrafficPolicy},
    policy::host::{Fit, fit},
};

/// Who asks, and for what.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Namespace of the client.
    pub client_namespace: &'a str,
    /// Labels of the client; none when not known.
    pub client_labels: Option<&'a Labels>,
    /// Namespace of mesh-wide rules.
    pub root_namespace: &'a str,
    /// Host that the client means.
    pub host: &'a str,
    /// Namespace of what has that host, where known.
    pub service_namespace: Option<&'a str>,
}

/// Where Istio looks for a rule, in this order: the first step that has one decides, however general its host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The client's namespace.
    Client,
    /// The namespace of the Service.
    Service,
    /// The root namespace.
    Root,
}

/// The rule that is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selected<'a> {
    /// The oldest of those that are one for Istio: same namespace, host, selector and visibility.
    pub rule: &'a DestinationRule,
    /// All that are one, the oldest first.
    pub merged: Vec<&'a DestinationRule>,
    /// Where it was found.
    pub step: Step,
    /// How its host fits.
    pub fit: Fit,
}

impl<'a> Selected<'a> {
    /// The `trafficPolicy` of the oldest that has one, and that rule.
    pub fn policy(&self) -> Option<(&'a DestinationRule, &'a TrafficPolicy)> {
        self.merged.iter().find_map(|rule| Some((*rule, rule.policy.as_ref()?)))
    }

    /// The subset of that name in the oldest that has it, its place there, and that rule.
    pub fn subset(&self, name: &str) -> Option<(&'a DestinationRule, usize, &'a Subset)> {
        self.merged.iter().find_map(|rule| {
            let (place, subset) =
                rule.subsets.iter().enumerate().find(|(_, subset)| &*subset.name == name)?;
            Some((*rule, place, subset))
        })
    }
}

/// The rule that is taken; none when there is none for this client and host.
pub fn select<'a>(rules: &'a [DestinationRule], question: &Question<'_>) -> Option<Selected<'a>> {
    let Question { client_namespace, root_namespace, .. } = *question;
    let is_local = |rule: &DestinationRule| {
        // In the root namespace only what is for it alone: the others must not win over those of Services.
        let is_meant =
            if client_namespace == root_namespace { is_private(rule) } else { is_seen_at_home(rule) };
        &*rule.namespace == client_namespace && is_meant
    };
    let found = best(rules.iter().filter(|rule| is_local(rule)), question.host);
    if let Some((fit, found)) = found {
        // A rule for other clients hides those of the next steps all the same.
        return pick(found, question, Step::Client, fit);
    }
    let steps = [(question.service_namespace, Step::Service), (Some(root_namespace), Step::Root)];
    for (namespace, step) in steps {
        let is_exported = |rule: &&DestinationRule| Some(&*rule.namespace) == namespace && !is_private(rule);
        // The most specific host is looked for first, and then whether the client sees it.
        let Some((fit, mut found)) = best(rules.iter().filter(is_exported), question.host) else { continue };
        found.retain(|rule| is_exported_to(rule, client_namespace));
        if !found.is_empty() {
            return pick(found, question, step, fit);
        }
    }
    None
}

/// All rules with the most specific host that fits.
fn best<'a>(
    rules: impl Iterator<Item = &'a DestinationRule>,
    host: &str,
) -> Option<(Fit, Vec<&'a DestinationRule>)> {
    let mut best: Option<(Fit, Vec<&DestinationRule>)> = None;
    for rule in rules {
        let Some(fit) = fit(&rule.host, &rule.namespace, host) else { continue };
        match &mut best {
            Some((best_fit, found)) if *best_fit == fit => found.push(rule),
            Some((best_fit, _)) if *best_fit > fit => {}
            _ => best = Some((fit, vec![rule])),
        }
    }
    best
}

/// Of rules with one host: one whose selector means this client, else one without a selector.
fn pick<'a>(
    mut rules: Vec<&'a DestinationRule>,
    question: &Question<'_>,
    step: Step,
    fit: Fit,
) -> Option<Selected<'a>> {
    rules.sort_by_key(|rule| (rule.selector.is_none(), rule.created, rule.name.clone()));
    let means_client = |rule: &DestinationRule| {
        let selector = rule.selector.as_ref()?;
        Some(is_subset(selector, question.client_labels?))
    };
    let with_selector = rules.iter().position(|rule| means_client(rule) == Some(true));
    // Of those that cannot be merged because others see them, the last one is taken.
    let rule = match with_selector {
        Some(place) => *rules.get(place)?,
        None => rules.iter().rev().find(|rule| rule.selector.is_none())?,
    };
    let is_merged = |other: &&DestinationRule| {
        let has_same_reach = other.selector == rule.selector && reach(other) == reach(rule);
        // A rule without a selector fills in what one with a selector leaves open.
        has_same_reach || (rule.selector.is_some() && other.selector.is_none())
    };
    let merged: Vec<_> = rules.into_iter().filter(is_merged).collect();
    Some(Selected { rule: merged.first()?, merged, step, fit })
}

/// Namespaces that see it, in one order.
fn reach(rule: &DestinationRule) -> Vec<&str> {
    let mut reach: Vec<&str> = rule.export_to.iter().map(|namespace| &**namespace).collect();
    reach.sort_unstable();
    reach.dedup();
    reach
}

/// Clients of its own namespace see it.
fn is_seen_at_home(rule: &DestinationRule) -> bool {
    let is_home = |namespace: &str| matches!(namespace, "*" | ".") || *namespace == *rule.namespace;
    let is_given_home = rule.export_to.iter().any(|namespace| is_home(namespace));
    rule.selector.is_some() || rule.export_to.is_empty() || is_given_home
}

/// Only clients of its own namespace see it; so do all with a selector.
fn is_private(rule: &DestinationRule) -> bool {
    let is_home = |namespace: &&str| *namespace == "." || *namespace == &*rule.namespace;
    rule.selector.is_some() || matches!(reach(rule).as_slice(), [only] if is_home(only))
}

fn is_exported_to(rule: &DestinationRule, client_namespace: &str) -> bool {
    let is_meant = |namespace: &str| namespace == "*" || namespace == client_namespace;
    rule.export_to.is_empty() || rule.export_to.iter().any(|namespace| is_meant(namespace))
}

/// Every label of `selector` is among `labels`.
pub fn is_subset(selector: &Labels, labels: &Labels) -> bool {
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::{Question, Step, select};
    use crate::event::{
        istio::{DestinationRule, Labels, TrafficPolicy},
        time::Time,
    };

    const HOST: &str = "redis.data.svc.cluster.local";

    /// `namespace/name host`, created in the order of the table, with the namespaces that see it after a `>` and the
    /// client label that it wants after an `@`.
    fn rule(created: u64, text: &str) -> DestinationRule {
        let (text, selector) = text.split_once('@').map_or((text, None), |(text, app)| (text, Some(app)));
        let (text, export_to) = text.split_once('>').unwrap_or((text, ""));
        let (id, host) = text.split_once(' ').unwrap();
        let (namespace, name) = id.split_once('/').unwrap();
        DestinationRule {
            namespace: namespace.into(),
            name: name.into(),
            created: Time(created),
            host: host.into(),
            export_to: export_to.split(',').filter(|one| !one.is_empty()).map(Into::into).collect(),
            selector: selector.map(|app| Labels::from([("app".into(), app.into())])),
            ..DestinationRule::default()
        }
    }

    fn selected(rules: &[DestinationRule], client_namespace: &str) -> Option<(String, Step)> {
        let labels = Labels::from([("app".into(), "web".into())]);
        let question = Question {
            client_namespace,
            client_labels: Some(&labels),
            root_namespace: "istio-system",
            host: HOST,
            service_namespace: Some("data"),
        };
        select(rules, &question).map(|found| (found.rule.name.to_string(), found.step))
    }

    /// Why, the rules, the client's namespace, and the rule that is taken.
    type Case = (&'static str, &'static [&'static str], &'static str, Option<(&'static str, Step)>);

    const TABLE: &[Case] = &[
        ("there is none", &[], "app", None),
        ("one for another host", &["app/a zookeeper.data.svc.cluster.local"], "app", None),
        // istio.io/latest/docs/ops/best-practices/traffic-management/#cross-namespace-configuration: client, service, root.
        ("the Service's namespace", &["data/a redis"], "app", Some(("a", Step::Service))),
        ("the root namespace", &["istio-system/a *.local"], "app", Some(("a", Step::Root))),
        ("any other namespace is not looked at", &["other/a redis.data.svc.cluster.local"], "app", None),
        (
            "the step goes before the host: a wildcard of the client's wins",
            &["data/exact redis", "app/wide *.local"],
            "app",
            Some(("wide", Step::Client)),
        ),
        (
            "the Service's namespace goes before the root",
            &["istio-system/exact redis.data.svc.cluster.local", "data/wide *.local"],
            "app",
            Some(("wide", Step::Service)),
        ),
        (
            "inside a step the most specific host wins",
            &["data/wide *.local", "data/narrow *.data.svc.cluster.local", "data/exact redis", "data/all *"],
            "app",
            Some(("exact", Step::Service)),
        ),
        (
            "the longest wildcard is the most specific",
            &["data/wide *.local", "data/narrow *.data.svc.cluster.local", "data/all *"],
            "app",
            Some(("narrow", Step::Service)),
        ),
        // exportTo: istio.io/latest/docs/reference/config/networking/destination-rule/#DestinationRule
        ("not exported", &["data/a redis>."], "app", None),
        ("not exported, by name", &["data/a redis>data"], "app", None),
        ("exported to others", &["data/a redis>other"], "app", None),
        ("exported to the client", &["data/a redis>other,app"], "app", Some(("a", Step::Service))),
        ("exported to all", &["data/a redis>*"], "app", Some(("a", Step::Service))),
        ("private, for a client at home", &["data/a redis>."], "data", Some(("a", Step::Client))),
        ("exported to others, for a client at home", &["data/a redis>other"], "data", None),
        (
            "the host is chosen before it is looked who sees it (getExportedDestinationRuleFromNamespace)",
            &["data/exact redis>other", "data/wide *.local", "istio-system/root *.local"],
            "app",
            Some(("root", Step::Root)),
        ),
        // push_context.go, destinationRule: a client in the root namespace takes only what is for it alone before a Service's.
        (
            "a client in the root namespace: the Service's goes first",
            &["istio-system/wide *.local", "data/exact redis"],
            "istio-system",
            Some(("exact", Step::Service)),
        ),
        (
            "a client in the root namespace: what is for it alone goes first",
            &["istio-system/own *.local>.", "data/exact redis"],
            "istio-system",
            Some(("own", Step::Client)),
        ),
        // sidecar.go, DestinationRule: workloadSelector counts for clients of the same namespace.
        (
            "a selector that means the client",
            &["app/any redis.data.svc.cluster.local", "app/web redis.data.svc.cluster.local@web"],
            "app",
            Some(("web", Step::Client)),
        ),
        (
            "a selector for others, and one for all",
            &["app/any redis.data.svc.cluster.local", "app/batch redis.data.svc.cluster.local@batch"],
            "app",
            Some(("any", Step::Client)),
        ),
        (
            "a selector for others hides the next steps (destinationRule returns the list, DestinationRule then finds none)",
            &["app/batch redis.data.svc.cluster.local@batch", "data/exact redis"],
            "app",
            None,
        ),
        ("with a selector it is not exported", &["data/web redis@web"], "app", None),
        // destination_rule.go, mergeDestinationRule: the oldest of those with one host is the rule.
        (
            "the oldest of several",
            &["data/b redis", "data/a redis.data.svc.cluster.local"],
            "app",
            Some(("b", Step::Service)),
        ),
        (
            "of those that others see, the last",
            &["data/b redis", "data/a redis>app"],
            "app",
            Some(("a", Step::Service)),
        ),
    ];

    #[test]
    fn rules_are_taken_as_istio_takes_them() {
        for (why, rules, client_namespace, expected) in TABLE {
            let rules: Vec<_> = (0_u64..).zip(*rules).map(|(at, text)| rule(at, text)).collect();
            let expected = expected.map(|(name, step)| (name.to_owned(), step));
            assert_eq!(selected(&rules, client_namespace), expected, "{why}");
        }
    }

    #[test]
    fn what_the_oldest_leaves_open_the_next_fills_in() {
        let younger =
            DestinationRule { policy: Some(TrafficPolicy::default()), ..rule(2, "data/younger redis") };
        let rules = [younger, rule(1, "data/older redis")];
        let question = Question {
            client_namespace: "app",
            client_labels: None,
            root_namespace: "istio-system",
            host: HOST,
            service_namespace: Some("data"),
        };
        let found = select(&rules, &question).unwrap();
        assert_eq!(&*found.rule.name, "older");
        assert_eq!(found.policy().map(|(rule, _)| &*rule.name), Some("younger"));
    }
}

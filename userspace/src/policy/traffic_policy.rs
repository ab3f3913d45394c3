//! What a `DestinationRule` says of one port and subset. Pure.
//!
//! Written after istio `pilot/pkg/networking/util/util.go` (`GetPortLevelTrafficPolicy`, `MergeSubsetTrafficPolicy`) and
//! `pilot/pkg/networking/core/cluster_builder.go` (`applyDestinationRule`, `buildSubsetCluster`), 1.31.

use crate::{
    event::istio::{ClientMode, ClientTls, DestinationRule, LoadBalancer, TrafficPolicy},
    policy::destination_rule::Selected,
};

/// Which part of a rule says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// `trafficPolicy` itself.
    Rule,
    /// The entry of its `portLevelSettings` at this place.
    Port(usize),
    /// The subset at this place.
    Subset(usize),
    /// The subset at the first place, and the entry of its `portLevelSettings` at the second.
    SubsetPort(usize, usize),
}

/// Where something is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The rule.
    pub rule: &'a DestinationRule,
    /// The part of it.
    pub level: Level,
}

/// What counts for one port and subset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effective<'a> {
    /// TLS settings, and where they are; none where Istio decides.
    pub tls: Option<(&'a ClientTls, Place<'a>)>,
    /// TLS settings that count for endpoints that the sidecar knows one by one, though `tls` has none: what an entry of
    /// `portLevelSettings` leaves out is taken from beside it there (istio `pilot/pkg/xds/endpoints/mtls_checker.go`,
    /// `trafficPolicyTLSModeForPort`).
    pub of_endpoints: Option<(&'a ClientTls, Place<'a>)>,
    /// Where it is said that clients go where the app asked to.
    pub passthrough: Option<Place<'a>>,
    /// Istio looks at all endpoints because of that; it asks another part of the rule than the one that counts.
    pub is_passthrough_asked: bool,
    /// The entry of `portLevelSettings` without `tls` that put nothing in the place of `tls.mode: DISABLE`.
    pub lost_disable: Option<Place<'a>>,
}

/// What a policy says of a port.
#[derive(Clone, Copy, Default)]
struct Said<'a> {
    /// Its entry for the port, which replaces all the rest.
    entry: Option<Place<'a>>,
    tls: Option<(&'a ClientTls, Place<'a>)>,
    balancer: Option<(LoadBalancer, Place<'a>)>,
    /// What it says beside its entry for the port.
    beside: Option<(&'a ClientTls, Place<'a>)>,
}

impl Said<'_> {
    /// Without the entry, there would be no TLS.
    fn would_disable(&self) -> bool {
        self.beside.is_some_and(|(tls, _)| tls.mode == ClientMode::Disable)
    }
}

/// What the selected rule says of a port and a subset of its host.
pub fn effective<'a>(selected: &Selected<'a>, port: u16, subset: Option<&str>) -> Effective<'a> {
    let whole = selected.policy();
    let top = whole.map(|(rule, policy)| said(rule, policy, port, None)).unwrap_or_default();
    let subset = subset.and_then(|name| selected.subset(name));
    let own = subset.and_then(|(rule, at, subset)| Some(said(rule, subset.policy.as_ref()?, port, Some(at))));
    let own = own.unwrap_or_default();
    // An entry for the port replaces everything, a subset only what it speaks of.
    let inherited = if own.entry.is_some() { Said::default() } else { top };
    let tls = own.tls.or(inherited.tls);
    let balancer = own.balancer.or(inherited.balancer);
    let lost_by_own = own.entry.filter(|_| own.would_disable() || top.would_disable());
    let lost_by_top = inherited.entry.filter(|_| top.would_disable());
    // The part that is asked for endpoints is the subset's or the rule's alone.
    let alone = if subset.is_some() { own } else { top };
    // Asked is the subset's policy or the rule's as they are written, without what one takes from the other.
    let asked = match subset {
        Some((_, _, subset)) => subset.policy.as_ref(),
        None => whole.map(|(_, policy)| policy),
    };
    Effective {
        tls,
        of_endpoints: tls.is_none().then_some(alone.tls.or(alone.beside)).flatten(),
        passthrough: balancer
            .filter(|(balancer, _)| *balancer == LoadBalancer::Passthrough)
            .map(|(_, at)| at),
        is_passthrough_asked: asked
            .is_some_and(|policy| policy.load_balancer == Some(LoadBalancer::Passthrough)),
        lost_disable: lost_by_own.or(lost_by_top).filter(|_| tls.is_none()),
    }
}

fn said<'a>(
    rule: &'a DestinationRule,
    policy: &'a TrafficPolicy,
    port: u16,
    subset: Option<usize>,
) -> Said<'a> {
    let place = Place { rule, level: subset.map_or(Level::Rule, Level::Subset) };
    let beside = policy.tls.as_ref().map(|tls| (tls, place));
    let Some((at, entry)) = policy.ports.iter().enumerate().find(|(_, entry)| entry.port == port) else {
        let balancer = policy.load_balancer.map(|balancer| (balancer, place));
        return Said { entry: None, tls: beside, balancer, beside };
    };
    let level = subset.map_or(Level::Port(at), |subset| Level::SubsetPort(subset, at));
    let place = Place { rule, level };
    Said {
        entry: Some(place),
        tls: entry.tls.as_ref().map(|tls| (tls, place)),
        balancer: entry.load_balancer.map(|balancer| (balancer, place)),
        beside,
    }
}

#[cfg(test)]
mod tests {
    use super::{Level, effective};
    use crate::{
        event::istio::{
            ClientMode, ClientTls, DestinationRule, LoadBalancer, PortPolicy, Subset, TrafficPolicy,
        },
        policy::{
            destination_rule::{Selected, Step},
            host::Fit,
        },
    };

    fn tls(mode: &str) -> Option<ClientTls> {
        let mode = match mode {
            "disable" => ClientMode::Disable,
            "simple" => ClientMode::Simple,
            "mutual" => ClientMode::IstioMutual,
            _ => return None,
        };
        Some(ClientTls { mode, ..ClientTls::default() })
    }

    fn balancer(words: &str) -> Option<LoadBalancer> {
        [("passthrough", LoadBalancer::Passthrough), ("random", LoadBalancer::Other)]
            .into_iter()
            .find_map(|(word, balancer)| words.contains(word).then_some(balancer))
    }

    /// `mode balancer`, and after a `/` the same for port 6379; `-` is no policy at all.
    fn policy(text: &str) -> Option<TrafficPolicy> {
        let (whole, port) = text.split_once('/').map_or((text, None), |(whole, port)| (whole, Some(port)));
        let first = |words: &str| tls(words.split(' ').next().unwrap_or_default());
        let entry = |words| PortPolicy { port: 6379, tls: first(words), load_balancer: balancer(words) };
        let ports = port.map(entry).into_iter().collect();
        (text != "-").then(|| TrafficPolicy { tls: first(whole), load_balancer: balancer(whole), ports })
    }

    /// No subset where its text is empty.
    fn rule(top: &str, subset: &str) -> DestinationRule {
        let subset = (!subset.is_empty()).then(|| Subset { name: "v1".into(), policy: policy(subset) });
        DestinationRule {
            policy: policy(top),
            subsets: subset.into_iter().collect(),
            ..DestinationRule::default()
        }
    }

    fn selected(rule: &DestinationRule) -> Selected<'_> {
        Selected { rule, merged: vec![rule], step: Step::Service, fit: Fit::Exact }
    }

    fn mode(effective: &super::Effective<'_>) -> &'static str {
        effective.tls.map_or("auto", |(tls, _)| tls.mode.name())
    }

    #[test]
    fn ports_replace_and_subsets_override() {
        // Why, the rule's policy, the subset's («» where there is no such subset), mode, level, lost.
        for (why, top, subset, expected, level, is_lost) in [
            ("nothing said: Istio decides", "-", "", "auto", None, false),
            (
                "no tls: auto-mTLS (istio.io/latest/docs/ops/configuration/traffic-management/tls-configuration)",
                "auto random",
                "",
                "auto",
                None,
                false,
            ),
            ("the rule", "mutual", "", "ISTIO_MUTUAL", Some(Level::Rule), false),
            ("the port", "mutual/disable", "", "DISABLE", Some(Level::Port(0)), false),
            // istio.io/latest/docs/reference/config/networking/destination-rule/#TrafficPolicy-PortTrafficPolicy
            ("a port without tls inherits nothing", "mutual/random", "", "auto", None, false),
            ("and so a DISABLE is lost", "disable/random", "", "auto", None, true),
            ("a subset without a policy", "mutual", "-", "ISTIO_MUTUAL", Some(Level::Rule), false),
            (
                "a subset without tls (MergeTrafficPolicy)",
                "mutual",
                "auto random",
                "ISTIO_MUTUAL",
                Some(Level::Rule),
                false,
            ),
            ("a subset overrides", "mutual", "disable", "DISABLE", Some(Level::Subset(0)), false),
            (
                "a subset overrides the rule's port too",
                "auto/simple",
                "disable",
                "DISABLE",
                Some(Level::Subset(0)),
                false,
            ),
            ("a subset's port", "mutual", "simple/disable", "DISABLE", Some(Level::SubsetPort(0, 0)), false),
            ("a subset's port without tls replaces all", "disable", "auto/random", "auto", None, true),
            (
                "a subset that mends what the port lost",
                "disable/random",
                "simple",
                "SIMPLE",
                Some(Level::Subset(0)),
                false,
            ),
        ] {
            let rule = rule(top, subset);
            let selected = selected(&rule);
            let found = effective(&selected, 6379, (!subset.is_empty()).then_some("v1"));
            let found_level = found.tls.map(|(_, place)| place.level);
            assert_eq!(
                (mode(&found), found_level, found.lost_disable.is_some()),
                (expected, level, is_lost),
                "{why}"
            );
            let other = effective(&selected, 1, None);
            assert!(other.lost_disable.is_none(), "{why}: another port");
        }
    }

    #[test]
    fn endpoints_take_from_beside_an_entry_what_it_leaves_out() {
        for (top, subset, expected) in [
            ("mutual/auto random", "", Some(ClientMode::IstioMutual)),
            ("disable/auto random", "", Some(ClientMode::Disable)),
            ("auto/auto random", "", None),
            ("mutual/simple", "", None),
            ("mutual/auto random", "-", None),
            ("auto", "disable/auto random", Some(ClientMode::Disable)),
        ] {
            let rule = rule(top, subset);
            let selected = selected(&rule);
            let found = effective(&selected, 6379, (!subset.is_empty()).then_some("v1"));
            assert_eq!(found.of_endpoints.map(|(tls, _)| tls.mode), expected, "{top} | {subset}");
        }
    }

    #[test]
    fn passthrough_counts_in_one_place_and_is_asked_in_another() {
        for (top, subset, counts, is_asked) in [
            ("auto random", "", false, false),
            ("auto passthrough", "", true, true),
            // cluster_builder.go, applyDestinationRule: BestEffortInferServiceMTLSMode is given the whole policy …
            ("auto/auto passthrough", "", true, false),
            ("auto passthrough/auto random", "", false, true),
            // … and in buildSubsetCluster that of the subset alone.
            ("auto passthrough", "-", true, false),
            ("auto passthrough", "auto passthrough", true, true),
            ("auto random", "auto passthrough", true, true),
        ] {
            let rule = rule(top, subset);
            let selected = selected(&rule);
            let found = effective(&selected, 6379, (!subset.is_empty()).then_some("v1"));
            assert_eq!(
                (found.passthrough.is_some(), found.is_passthrough_asked),
                (counts, is_asked),
                "{top} | {subset}"
            );
        }
    }
}

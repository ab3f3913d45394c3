//! `unconditional-mtls`: the sidecar uses mTLS for a destination without a proxy, and why is not known.

use crate::verdict::{case::Case, cause::Rule, destination_rule, words::host};

/// What is left when nothing more special is known, as without a cluster file.
pub(super) const RULE: Rule = Rule {
    code: "unconditional-mtls",
    situation: "a sidecar uses mTLS for a destination without a proxy, and why is not known",
    confirmed_by: "nothing; it is what is left",
    refuted_by: "a proxy accepts at the endpoint",
    mend: "a DestinationRule that turns mTLS off for the host",
    applies,
    text,
    fix: destination_rule::fix,
};

fn applies(_case: &Case<'_>) -> bool {
    true
}

fn text(case: &Case<'_>) -> String {
    let server = case.server.address;
    if case.declared.service().is_some() || case.declared.service_entry().is_some() {
        return format!(
            "the sidecar uses mTLS for {} though no proxy answers it at {server}, and nothing that is declared explains that",
            host(case)
        );
    }
    format!(
        "the sidecar uses mTLS for every endpoint behind this host name, and at {server} no proxy answers it; with --cluster it \
         could be said whether the Service is headless"
    )
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::verdict::situation::Situation;

    #[test]
    fn it_always_applies_and_asks_for_a_cluster_only_where_that_helps() {
        let known = Situation::default();
        let mut unknown = Situation::default().with(|cluster| cluster.services.clear());
        unknown.is_pod = false;
        for (situation, asks) in [(known, false), (unknown, true)] {
            assert!(situation.with_case(RULE.applies));
            let text = situation.with_case(RULE.text);
            assert_eq!(text.contains("--cluster"), asks, "{text}");
        }
    }
}

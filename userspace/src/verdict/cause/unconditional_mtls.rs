//! `unconditional-mtls`: the sidecar uses mTLS for a destination without a proxy, and why is not known.

use crate::verdict::{case::Case, cause::Rule, destination_rule};

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
    format!(
        "the sidecar uses mTLS for every endpoint behind this host name, and at {} no proxy answers it; with --cluster it \
         could be said whether the Service is headless",
        case.server.address
    )
}

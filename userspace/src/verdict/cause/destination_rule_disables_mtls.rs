//! `destination-rule-disables-mtls`: a DestinationRule tells the client's sidecar to use no mTLS.

use crate::{
    event::istio::ClientMode,
    policy::expectation::{Because, Does},
    update::Fix,
    verdict::{case::Case, cause::Rule, words::selected_rule},
};

pub(super) const RULE: Rule = Rule {
    code: "destination-rule-disables-mtls",
    situation: "a DestinationRule turns mTLS off for a host whose servers are STRICT",
    confirmed_by: "the rule that Istio selects for the client",
    refuted_by: "no such rule is selected",
    mend: "tls of that rule",
    applies,
    text,
    fix,
};

fn applies(case: &Case<'_>) -> bool {
    case.declared.expectation().is_some_and(|expectation| {
        expectation.does == Does::Plaintext
            && matches!(expectation.because, Because::Rule(tls, _) if tls.mode == ClientMode::Disable)
    })
}

fn text(case: &Case<'_>) -> String {
    format!(
        "{} turns mTLS off for this host (mode DISABLE), and the server's proxy takes nothing but mTLS",
        selected_rule(case).map_or_else(|| "a DestinationRule".to_owned(), |rule| rule.to_string())
    )
}

fn fix(case: &Case<'_>) -> Fix {
    let rule = selected_rule(case).map_or_else(|| "the DestinationRule".to_owned(), |rule| rule.to_string());
    Fix {
        text: format!(
            "Take `tls: {{mode: DISABLE}}` out of {rule} (then mTLS is used for endpoints that have a sidecar), or set it to \
             ISTIO_MUTUAL"
        )
        .into(),
        manifest: None,
    }
}

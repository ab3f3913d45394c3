//! `headless-auto-mtls-off`: this release of Istio uses no mTLS for headless Services.

use crate::{
    policy::expectation::{Because, Does},
    update::Fix,
    verdict::{case::Case, cause::Rule, destination_rule},
};

pub(super) const RULE: Rule = Rule {
    code: "headless-auto-mtls-off",
    situation: "Istio 1.6.6 to 1.7.4 (and 1.4) use plaintext for every headless Service: STRICT servers refuse it",
    confirmed_by: "the control plane's version",
    refuted_by: "another version",
    mend: "an upgrade, or a DestinationRule with ISTIO_MUTUAL for the host",
    applies,
    text,
    fix,
};

fn applies(case: &Case<'_>) -> bool {
    case.declared.expectation().is_some_and(|expectation| {
        expectation.does == Does::Plaintext && matches!(expectation.because, Because::Release(_))
    })
}

fn text(_case: &Case<'_>) -> String {
    "this release of Istio uses no mTLS for headless Services (istio#27831, #27042), and the server's proxy takes nothing else"
        .to_owned()
}

fn fix(case: &Case<'_>) -> Fix {
    let manifest = destination_rule::mutual(case);
    Fix {
        text: "Upgrade Istio to 1.7.5, 1.8 or later; until then, turn mTLS on for this host with this DestinationRule, if all of \
               its endpoints have a sidecar"
            .into(),
        manifest: manifest.map(Into::into),
    }
}

//! `headless-mixed-endpoints`: one endpoint without a sidecar keeps clients from mTLS to all of them.

use crate::{
    policy::expectation::{Because, Does},
    update::Fix,
    verdict::{case::Case, cause::Rule},
};

pub(super) const RULE: Rule = Rule {
    code: "headless-mixed-endpoints",
    situation: "a headless Service has endpoints with and without a sidecar: clients speak plaintext to all, and STRICT ones refuse it",
    confirmed_by: "the endpoints' labels security.istio.io/tlsMode",
    refuted_by: "all endpoints have the label",
    mend: "a sidecar for the others, or another Service for them",
    applies,
    text,
    fix,
};

fn applies(case: &Case<'_>) -> bool {
    is_because(case, |because| matches!(because, Because::OneUnlabelled(_)))
}

fn is_because(case: &Case<'_>, wanted: fn(Because<'_>) -> bool) -> bool {
    case.declared
        .expectation()
        .is_some_and(|expectation| expectation.does == Does::Plaintext && wanted(expectation.because))
}

fn text(case: &Case<'_>) -> String {
    let odd = odd_one(case).unwrap_or_default();
    format!(
        "the Service is headless, and its endpoint {odd} has no sidecar (no label security.istio.io/tlsMode: istio): so sidecars \
         use plaintext for all of its endpoints, also for this one, whose proxy takes nothing but mTLS"
    )
}

fn odd_one(case: &Case<'_>) -> Option<String> {
    match case.declared.expectation()?.because {
        Because::OneUnlabelled(name) => Some(name.to_owned()),
        _ => None,
    }
}

fn fix(case: &Case<'_>) -> Fix {
    let odd = odd_one(case).unwrap_or_default();
    Fix {
        text: format!(
            "Give {odd} a sidecar as the others have, or take it out of the Service (a Service of its own for pods without a \
             sidecar); Istio decides about mTLS for a headless Service as a whole"
        )
        .into(),
        manifest: None,
    }
}

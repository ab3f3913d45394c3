//! `endpoint-without-label`: the endpoint's pod does not say that it can do mTLS.

use crate::{
    policy::expectation::{Because, Does},
    update::Fix,
    verdict::{case::Case, cause::Rule},
};

pub(super) const RULE: Rule = Rule {
    code: "endpoint-without-label",
    situation: "a pod with a sidecar lacks the label security.istio.io/tlsMode: clients take it for one without",
    confirmed_by: "the pod's labels",
    refuted_by: "the label is there",
    mend: "a restart with injection, so that the label is set",
    applies,
    text,
    fix,
};

fn applies(case: &Case<'_>) -> bool {
    // For a headless Service one endpoint decides for all: it may be this one itself.
    case.declared.expectation().is_some_and(|expectation| {
        let is_because = match expectation.because {
            Because::NoLabel => true,
            Because::OneUnlabelled(_) => case.declared.is_labelled() == Some(false),
            _ => false,
        };
        expectation.does == Does::Plaintext && is_because
    })
}

fn text(case: &Case<'_>) -> String {
    format!(
        "pod {} has a proxy that takes nothing but mTLS, and no label security.istio.io/tlsMode: istio, by which clients \
         decide: they take it for a pod without a proxy",
        case.server.pod.as_deref().unwrap_or("at the destination")
    )
}

fn fix(_case: &Case<'_>) -> Fix {
    Fix {
        text: "Restart the workload so that injection sets the label, and look what removes it (a template that sets labels of \
               its own, manual injection with an old version)"
            .into(),
        manifest: None,
    }
}

//! `headless-unconditional-mtls`: the sidecar uses mTLS for every endpoint of a headless Service, with or without a proxy.

use crate::verdict::{case::Case, cause::Rule, destination_rule};

/// Istio 1.5.0–1.5.10 and 1.6.0–1.6.5 do it always (istio#21964, #23673); later versions when the inference over all
/// endpoints is wrong or stale (`pilot/pkg/model/push_context.go`, `BestEffortInferServiceMTLSMode`).
pub(super) const RULE: Rule = Rule {
    code: "headless-unconditional-mtls",
    situation: "a sidecar uses mTLS for every endpoint of a headless Service, with or without a proxy",
    confirmed_by: "the Service is headless, and no proxy is at the endpoint",
    refuted_by: "a proxy accepts at the endpoint",
    mend: "a DestinationRule that turns mTLS off for the host",
    applies,
    text,
    fix: destination_rule::fix,
};

fn applies(case: &Case<'_>) -> bool {
    case.server.headless == Some(true)
}

fn text(case: &Case<'_>) -> String {
    let service = case.server.service.as_deref().unwrap_or("this Service");
    format!(
        "Service {service} is headless: for such Services the sidecar has one ORIGINAL_DST cluster with mTLS for every \
         endpoint, whether or not a proxy is there to answer, and at {} there is none",
        case.server.address
    )
}

//! `headless-unconditional-mtls`: the sidecar uses mTLS for every endpoint of a headless Service, with or without a proxy.

use crate::{
    policy::version::{Inference, Version, inference},
    update::Fix,
    verdict::{case::Case, cause::Rule, destination_rule},
};

/// Istio 1.5.0–1.5.10 and 1.6.0–1.6.5 do it always (istio#21964, #23673; mended by #24319 and #25829 in 1.6.6); later versions
/// when the inference over all endpoints is wrong or stale (`pilot/pkg/model/push_context.go`,
/// `BestEffortInferServiceMTLSMode`).
pub(super) const RULE: Rule = Rule {
    code: "headless-unconditional-mtls",
    situation: "a sidecar uses mTLS for every endpoint of a headless Service, with or without a proxy: Istio 1.5.0 to 1.5.10 and 1.6.0 to 1.6.5 always do",
    confirmed_by: "the Service is headless, no proxy is at the endpoint, and the version is one of these",
    refuted_by: "a proxy accepts at the endpoint, or a DestinationRule asks for mTLS",
    mend: "DestinationRule with DISABLE for host and port; an upgrade to 1.6.6 or newer",
    applies,
    text,
    fix,
};

fn applies(case: &Case<'_>) -> bool {
    let is_headless = || case.word.headless_service().is_some();
    case.server.headless.unwrap_or_else(is_headless)
}

/// The release is one that looks at no endpoint, and no rule says otherwise: labels and inference are not to blame then.
pub(super) fn is_of_release(case: &Case<'_>) -> bool {
    let is_headless = case.declared.service().is_some_and(|service| service.headless);
    is_headless && broken(case).is_some() && case.declared.client_tls().tls.is_none()
}

fn broken(case: &Case<'_>) -> Option<Version> {
    case.declared.version().filter(|version| inference(*version) == Inference::AlwaysMtls)
}

fn text(case: &Case<'_>) -> String {
    let service = case.server.service.as_deref().or(case.word.headless_service()).unwrap_or("this Service");
    let release = broken(case)
        .map(|version| format!(". That is a fault of Istio {version} (istio#21964)"))
        .unwrap_or_default();
    format!(
        "Service {service} is headless: for such Services the sidecar has one ORIGINAL_DST cluster with mTLS for every \
         endpoint, whether or not a proxy is there to answer, and at {} there is none{release}",
        case.server.address
    )
}

fn fix(case: &Case<'_>) -> Fix {
    let fix = destination_rule::fix(case);
    match broken(case) {
        None => fix,
        Some(_) => Fix {
            text: format!("Upgrade Istio to 1.6.6 or newer. Until then: {}", fix.text).into(),
            manifest: fix.manifest,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{RULE, is_of_release};
    use crate::verdict::situation::Situation;

    #[test]
    fn some_releases_always_do_it() {
        for (version, headless, expected) in [
            ("1.5.0", true, true),
            ("1.6.5", true, true),
            ("1.6.6", true, false),
            ("1.20.3", true, false),
            ("1.5.0", false, false),
            ("latest", true, false),
        ] {
            let situation = Situation::default().with(|cluster| {
                cluster.pods[0].proxy_version = Some(version.into());
                cluster.services[0].headless = headless;
            });
            assert_eq!(situation.with_case(is_of_release), expected, "{version} {headless}");
            assert_eq!(situation.with_case(RULE.applies), headless, "{version}");
            if headless {
                let says_so = situation.with_case(RULE.text).contains(&format!("fault of Istio {version}"));
                let fix = situation.with_case(RULE.fix);
                assert_eq!(
                    (says_so, fix.text.starts_with("Upgrade Istio")),
                    (expected, expected),
                    "{version}"
                );
                assert!(fix.manifest.is_some(), "{version}");
            }
        }
    }
}

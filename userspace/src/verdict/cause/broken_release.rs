//! `broken-release`: a release of Istio whose sidecars use mTLS for every endpoint of a headless Service.

use crate::{
    policy::version::{Inference, Version, inference},
    update::Fix,
    verdict::{case::Case, cause::Rule, destination_rule, words::host},
};

/// istio#21964, #23673; mended by #24319 and #25829 in 1.6.6.
pub(super) const RULE: Rule = Rule {
    code: "broken-release",
    situation: "Istio 1.5.0 to 1.5.10 and 1.6.0 to 1.6.5 use mTLS for every endpoint of a headless Service, with or without a sidecar",
    confirmed_by: "the version of the control plane, or of the client's sidecar, and a headless Service without a rule about tls",
    refuted_by: "another version, or a rule about tls",
    mend: "an upgrade to 1.6.6 or newer; until then DestinationRule with DISABLE for host and port",
    applies,
    text,
    fix,
};

fn broken(case: &Case<'_>) -> Option<Version> {
    case.declared.version().filter(|version| inference(*version) == Inference::AlwaysMtls)
}

fn applies(case: &Case<'_>) -> bool {
    let is_headless = case.declared.service().is_some_and(|service| service.headless);
    is_headless && broken(case).is_some() && case.declared.client_tls().tls.is_none()
}

fn text(case: &Case<'_>) -> String {
    let version = broken(case).map(|version| version.to_string()).unwrap_or_default();
    format!(
        "this is a fault of Istio {version}: its sidecars use mTLS for every endpoint of a headless Service such as {}, whether or \
         not a proxy is there to answer (istio#21964)",
        host(case)
    )
}

fn fix(case: &Case<'_>) -> Fix {
    let Fix { text, manifest } = destination_rule::fix(case);
    Fix { text: format!("Upgrade Istio to 1.6.6 or newer. Until then: {text}").into(), manifest }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::verdict::situation::Situation;

    #[test]
    fn some_releases_are_broken() {
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
            assert_eq!(situation.with_case(RULE.applies), expected, "{version} {headless}");
        }
        let situation =
            Situation::default().with(|cluster| cluster.pods[0].proxy_version = Some("1.5.3".into()));
        assert!(situation.with_case(RULE.text).contains("Istio 1.5.3"));
        let fix = situation.with_case(RULE.fix);
        assert!(fix.text.starts_with("Upgrade Istio") && fix.manifest.is_some(), "{fix:?}");
    }
}

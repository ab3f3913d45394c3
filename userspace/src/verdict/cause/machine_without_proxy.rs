//! `machine-without-proxy`: an endpoint outside of Kubernetes that clients take for one with a proxy.

use crate::{
    policy::{DeclaredWorkload, endpoint::is_workload_labelled},
    update::Fix,
    verdict::{
        case::Case,
        cause::Rule,
        destination_rule::{self, is_host_name},
    },
};

/// A service account is enough (istio `pilot/pkg/serviceregistry/serviceentry/conversion.go`, `getTLSModeFromWorkloadEntry`;
/// istio#35870).
pub(super) const RULE: Rule = Rule {
    code: "machine-without-proxy",
    situation: "a WorkloadEntry, or an endpoint of a ServiceEntry, has a serviceAccount or the label tlsMode: clients use mTLS for it, and no proxy takes it there",
    confirmed_by: "the WorkloadEntry or ServiceEntry with the address",
    refuted_by: "its label security.istio.io/tlsMode is disabled",
    mend: "label security.istio.io/tlsMode: disabled, or the redirection to the machine's proxy set up",
    applies,
    text,
    fix,
};

fn declared<'a>(case: &Case<'a>) -> Option<DeclaredWorkload<'a>> {
    let is_pod = case.declared.server().is_some();
    case.declared.workload().filter(|declared| !is_pod && is_workload_labelled(declared.workload))
}

fn applies(case: &Case<'_>) -> bool {
    declared(case).is_some()
}

fn text(case: &Case<'_>) -> String {
    let Some(DeclaredWorkload { kind, namespace, name, workload }) = declared(case) else {
        return String::new();
    };
    let why = if workload.has_service_account {
        "a serviceAccount"
    } else {
        "the label security.istio.io/tlsMode: istio"
    };
    format!(
        "{} is declared by {kind} {namespace}/{name} with {why}: clients take that for a proxy and use mTLS, but on that machine \
         nothing takes the connection over before it reaches the app",
        case.server.address.ip()
    )
}

fn fix(case: &Case<'_>) -> Fix {
    let entry = declared(case).filter(|declared| declared.kind == "WorkloadEntry");
    let command = entry.filter(|entry| is_host_name(entry.namespace) && is_host_name(entry.name)).map(|entry| {
        format!(
            "kubectl patch workloadentry {} -n {} --type=merge -p '{{\"spec\":{{\"labels\":{{\"security.istio.io/tlsMode\":\"disabled\"}}}}}}'",
            entry.name, entry.namespace
        )
    });
    match command {
        Some(command) => Fix {
            text: format!(
                "Tell clients that this machine takes plaintext, and leave the others as they are: {command}. Or start its proxy \
                 and set up its redirection (istio-iptables)"
            )
            .into(),
            manifest: None,
        },
        None => destination_rule::fix(case),
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::{
        event::istio::{ServiceEntry, Workload, WorkloadEntry},
        policy::endpoint::TLS_MODE,
        verdict::situation::Situation,
    };

    fn machine(has_service_account: bool, label: Option<&str>) -> Workload {
        Workload {
            address: "10.1.1.24".parse().ok(),
            labels: label.map(|label| (TLS_MODE.into(), label.into())).into_iter().collect(),
            has_service_account,
        }
    }

    #[test]
    fn a_service_account_or_the_label_is_enough() {
        for (has_service_account, label, expected) in [
            (true, None, true),
            (false, Some("istio"), true),
            (false, None, false),
            (true, Some("disabled"), false),
        ] {
            let workload = machine(has_service_account, label);
            let entry =
                WorkloadEntry { namespace: "data".into(), name: "vm-1".into(), workload: workload.clone() };
            let mut situation =
                Situation::default().with(|cluster| cluster.istio.workload_entries = vec![entry]);
            assert!(!situation.with_case(RULE.applies), "a pod");
            situation.is_pod = false;
            assert_eq!(situation.with_case(RULE.applies), expected, "{has_service_account} {label:?}");
            if expected {
                assert!(situation.with_case(RULE.text).contains("WorkloadEntry data/vm-1"));
                assert!(
                    situation.with_case(RULE.fix).text.contains("kubectl patch workloadentry vm-1 -n data")
                );
            }
            let entry =
                ServiceEntry { endpoints: vec![workload], name: "e".into(), ..ServiceEntry::default() };
            let situation = situation.with(|cluster| {
                cluster.istio.workload_entries.clear();
                cluster.istio.service_entries = vec![entry];
            });
            assert_eq!(situation.with_case(RULE.applies), expected);
            assert!(!expected || situation.with_case(RULE.fix).manifest.is_some());
        }
    }
}

//! `label-without-proxy`: the server's pod has the label of an injected one, and no sidecar.

use crate::{
    policy::{endpoint::TLS_MODE, interception::Interception},
    update::Fix,
    verdict::{
        case::Case,
        cause::{Rule, headless_unconditional_mtls::is_of_release},
        destination_rule::is_host_name,
        words::{pod, workload},
    },
};

/// The label alone tells clients that an endpoint can do mTLS (istio `pilot/pkg/model/service.go`,
/// `GetTLSModeFromEndpointLabels`).
pub(super) const RULE: Rule = Rule {
    code: "label-without-proxy",
    situation: "the server's pod has the label security.istio.io/tlsMode: istio, often copied with others, and no sidecar",
    confirmed_by: "labels and containers of the server's pod",
    refuted_by: "a proxy among its containers",
    mend: "the label taken out of pod and template",
    applies,
    text,
    fix,
};

fn applies(case: &Case<'_>) -> bool {
    let is_labelled = case.declared.is_labelled() == Some(true);
    is_labelled && case.declared.interception() == Some(Interception::NoProxy) && !is_of_release(case)
}

fn text(case: &Case<'_>) -> String {
    format!(
        "{} has no sidecar, but the label {TLS_MODE}: istio, which the mesh puts on pods that have one: clients go by that label \
         alone and use mTLS for it. It was copied, or it stayed when the sidecar was taken away",
        pod(case.server)
    )
}

fn fix(case: &Case<'_>) -> Fix {
    let of_pod = names(case.server.pod.as_deref(), case.server.namespace.as_deref())
        .map(|(name, namespace)| format!("kubectl label pod {name} -n {namespace} {TLS_MODE}-"));
    let of_template = template(case)
        .unwrap_or_else(|| format!("take it out of the pod template of {}", workload(case.server)));
    let at_once = of_pod
        .map(|command| format!("{command} (at once, until the pod is made anew), and "))
        .unwrap_or_default();
    Fix {
        text: format!(
            "Take the label away, and do not turn mTLS off for the others: {at_once}{of_template}. Or give it the sidecar that the \
             label speaks of"
        )
        .into(),
        manifest: None,
    }
}

/// Takes it out of the template, from which the next pods are made.
fn template(case: &Case<'_>) -> Option<String> {
    let (kind, name) = case.server.workload.as_deref()?.split_once('/')?;
    let is_known = matches!(kind, "Deployment" | "StatefulSet" | "DaemonSet");
    let (name, namespace) = names(Some(name), case.server.namespace.as_deref()).filter(|_| is_known)?;
    Some(format!(
        "kubectl patch {} {name} -n {namespace} --type=json -p \
         '[{{\"op\":\"remove\",\"path\":\"/spec/template/metadata/labels/security.istio.io~1tlsMode\"}}]'",
        kind.to_ascii_lowercase()
    ))
}

/// Only what a shell may see.
fn names<'a>(name: Option<&'a str>, namespace: Option<&'a str>) -> Option<(&'a str, &'a str)> {
    name.zip(namespace).filter(|(name, namespace)| is_host_name(name) && is_host_name(namespace))
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::{policy::endpoint::TLS_MODE, verdict::situation::Situation};

    #[test]
    fn the_label_stands_without_a_sidecar() {
        for (label, has_proxy, expected) in [
            (Some("istio"), false, true),
            (Some("istio"), true, false),
            (Some("disabled"), false, false),
            (None, false, false),
        ] {
            let situation = Situation::default().with(|cluster| {
                if has_proxy {
                    Situation::inject(&mut cluster.pods[1]);
                }
                cluster.pods[1].labels.remove(TLS_MODE);
                cluster.pods[1].labels.extend(label.map(|label| (TLS_MODE.into(), label.into())));
            });
            assert_eq!(situation.with_case(RULE.applies), expected, "{label:?} {has_proxy}");
        }
    }

    #[test]
    fn the_mend_takes_it_from_pod_and_template() {
        let situation = Situation::default().with(|cluster| {
            cluster.pods[1].labels.insert(TLS_MODE.into(), "istio".into());
        });
        let fix = situation.with_case(RULE.fix);
        for command in [
            "kubectl label pod redis-0 -n data security.istio.io/tlsMode- (",
            "kubectl patch statefulset redis -n data --type=json -p '[{\"op\":\"remove\",\"path\":\"/spec/template/metadata/labels/security.istio.io~1tlsMode\"}]'",
        ] {
            assert!(fix.text.contains(command), "{} lacks {command}", fix.text);
        }
        assert_eq!(fix.manifest, None);
    }
}

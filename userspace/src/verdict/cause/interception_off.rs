//! `interception-off`: the server has a sidecar that takes nothing over.

use crate::{
    policy::interception::{Interception, Past},
    update::Fix,
    verdict::{
        case::Case,
        cause::{Rule, excluded_inbound_port::reached_proxy},
        destination_rule,
        words::{pod, workload},
    },
};

pub(super) const RULE: Rule = Rule {
    code: "interception-off",
    situation: "the server has a sidecar with interceptionMode NONE: nothing reaches it, and clients do not know that",
    confirmed_by: "annotation sidecar.istio.io/interceptionMode of the server's pod",
    refuted_by: "a proxy accepted the connection",
    mend: "DestinationRule with DISABLE for host and port, or another mode",
    applies,
    text,
    fix,
};

fn applies(case: &Case<'_>) -> bool {
    case.declared.interception() == Some(Interception::Past(Past::ModeNone)) && !reached_proxy(case)
}

fn text(case: &Case<'_>) -> String {
    format!(
        "{} has a sidecar, and clients use mTLS for it, but its annotation sidecar.istio.io/interceptionMode is NONE: connections \
         go past that sidecar to the app",
        pod(case.server)
    )
}

fn fix(case: &Case<'_>) -> Fix {
    let Fix { text, manifest } = destination_rule::fix(case);
    let workload = workload(case.server);
    Fix {
        text: format!(
            "{text}. Or take the annotation sidecar.istio.io/interceptionMode out of the pod template of {workload}"
        )
        .into(),
        manifest,
    }
}

#[cfg(test)]
mod tests {
    use super::RULE;
    use crate::verdict::situation::Situation;

    #[test]
    fn the_mode_decides() {
        for (mode, expected) in [("NONE", true), ("REDIRECT", false), ("TPROXY", false)] {
            let situation = Situation::default().with(|cluster| {
                Situation::inject(&mut cluster.pods[1]);
                cluster.pods[1].annotations.insert("sidecar.istio.io/interceptionMode".into(), mode.into());
            });
            assert_eq!(situation.with_case(RULE.applies), expected, "{mode}");
            assert!(situation.with_case(RULE.text).contains("data/redis-0"));
            assert!(situation.with_case(RULE.fix).manifest.is_some());
        }
    }
}

//! `stale-plaintext`: the client's sidecar does not know yet that the servers take mTLS.

use crate::{
    policy::expectation::Does,
    update::Fix,
    verdict::{case::Case, cause::Rule, destination_rule},
};

pub(super) const RULE: Rule = Rule {
    code: "stale-plaintext",
    situation: "a sidecar speaks plaintext although by all that is declared it should use mTLS: its configuration is older than its endpoints",
    confirmed_by: "the declared rules, policies and endpoints",
    refuted_by: "the sidecar's own configuration says otherwise",
    mend: "a push: a change that makes istiod send clusters again, or a restart of the client",
    applies,
    text,
    fix,
};

fn applies(case: &Case<'_>) -> bool {
    case.declared.expectation().is_some_and(|expectation| expectation.does == Does::Mtls)
}

fn text(_case: &Case<'_>) -> String {
    "by all that is declared the client's sidecar should use mTLS here, and it speaks plaintext: its configuration is older than \
     the endpoints. For headless Services a change of endpoints alone does not renew it (istio#48235, #60803)"
        .to_owned()
}

fn fix(case: &Case<'_>) -> Fix {
    Fix {
        text: "Restart the client's pod, or change anything that makes istiod send clusters again; this DestinationRule makes it \
               independent of the endpoints, if all of them have a sidecar"
            .into(),
        manifest: destination_rule::mutual(case).map(Into::into),
    }
}

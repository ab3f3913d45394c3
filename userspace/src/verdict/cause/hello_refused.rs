//! `hello-refused`: the listener has TLS of its own, and refuses the mesh's hello.

use crate::{
    update::Fix,
    verdict::{
        case::Case,
        cause::Rule,
        destination_rule,
        mtls_rejected::{Refusal, refusal},
    },
};

pub(super) const RULE: Rule = Rule {
    code: "hello-refused",
    situation: "a listener with TLS of its own refuses the mesh's hello with an alert",
    confirmed_by: "the first answer is a TLS alert",
    refuted_by: "the same listener answers other mesh hellos with a ServerHello",
    mend: "a DestinationRule that turns the mesh's TLS off for the host",
    applies,
    text,
    fix,
};

fn applies(case: &Case<'_>) -> bool {
    refusal(case) == Some(Refusal::HelloByServer)
}

fn text(case: &Case<'_>) -> String {
    format!(
        "what listens at {} speaks TLS, but not the mesh's: it refused the hello (its protocols, its versions or its missing \
         server name) with an alert",
        case.server.address
    )
}

fn fix(case: &Case<'_>) -> Fix {
    Fix {
        text: "Turn the mesh's TLS off for this destination, so that the application's own TLS goes through as it is (or give \
               the destination a sidecar, and let the application speak plaintext)"
            .into(),
        manifest: destination_rule::fix(case).manifest,
    }
}

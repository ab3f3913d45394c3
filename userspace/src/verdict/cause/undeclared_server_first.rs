//! `undeclared-server-first`: the sidecar waits for the client to learn the protocol, and the client for a greeting.

use crate::{
    update::Fix,
    verdict::{case::Case, cause::Rule, words::declare_protocol},
};

pub(super) const RULE: Rule = Rule {
    code: "undeclared-server-first",
    situation: "a client waits for the greeting of a server behind a port whose protocol is not declared, and its sidecar for the client's first bytes",
    confirmed_by: "the sidecar accepted, connected to nothing, and nothing was said",
    refuted_by: "the sidecar connects to the server at once",
    mend: "the port's name or appProtocol: tcp, or the protocol",
    applies,
    text,
    fix,
};

fn applies(case: &Case<'_>) -> bool {
    case.is_taken_over
}

fn text(case: &Case<'_>) -> String {
    format!(
        "in the protocol of port {} the server speaks first, and the sidecar waits for the client's first bytes to learn which \
         protocol it is",
        case.server.address.port()
    )
}

fn fix(case: &Case<'_>) -> Fix {
    let command = declare_protocol(case.server, "tcp");
    Fix { text: format!("Declare the protocol of the port: {command}").into(), manifest: None }
}

//! `http-declared-port`: the Service says that a TLS port is plain HTTP.

use crate::{
    update::Fix,
    verdict::{case::Case, cause::Rule, words::declare_protocol},
};

pub(super) const RULE: Rule = Rule {
    code: "http-declared-port",
    situation: "an application speaks TLS to a port that the Service declares (by name or appProtocol) as HTTP",
    confirmed_by: "the sidecar itself answers the hello with HTTP 400",
    refuted_by: "the answer is the server's",
    mend: "the port's name or appProtocol: https or tls",
    applies,
    text,
    fix,
};

fn applies(_case: &Case<'_>) -> bool {
    true
}

fn text(case: &Case<'_>) -> String {
    format!(
        "the proxy takes port {} for plain HTTP, because the Service's port is named `http…` or has that appProtocol, and \
         answers the application's ClientHello with an HTTP error itself",
        case.server.address.port()
    )
}

fn fix(case: &Case<'_>) -> Fix {
    let command = declare_protocol(case.server, "https");
    Fix {
        text: format!("Declare the port as TLS: {command} (or call it in plain HTTP)").into(),
        manifest: None,
    }
}

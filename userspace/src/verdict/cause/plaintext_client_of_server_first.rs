//! `plaintext-client-of-server-first`: the server's sidecar waits for a hello, and the client for a greeting.

use crate::{
    update::Fix,
    verdict::{case::Case, cause::Rule, peer_authentication},
};

pub(super) const RULE: Rule = Rule {
    code: "plaintext-client-of-server-first",
    situation: "a client without a sidecar waits for the greeting of a server whose sidecar waits for a hello",
    confirmed_by: "the server's proxy accepted, connected to nothing, and nothing was said",
    refuted_by: "the proxy connects to the server at once",
    mend: "a sidecar for the client, or mode DISABLE for the port",
    applies,
    text,
    fix,
};

fn applies(_case: &Case<'_>) -> bool {
    true
}

fn text(case: &Case<'_>) -> String {
    format!(
        "in the protocol of port {} the server speaks first; its proxy waits for the client's first bytes, to see whether they \
         are mTLS, and the client for the greeting",
        case.server.address.port()
    )
}

fn fix(case: &Case<'_>) -> Fix {
    peer_authentication::disable(case, "Give the client a sidecar")
}

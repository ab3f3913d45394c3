//! What an Event says to people: what happened, why, and what mends it; must not know how it gets to them. Pure.
//!
//! Nothing of what went over the wire is in it: evidence, which may quote first bytes of an answer, stays in the finding.

use crate::{
    sink::terminal::{
        block::sentence,
        text::{name, visible},
    },
    update::{Finding, Resolved},
};

/// `NoteLengthLimit` in Kubernetes `pkg/apis/core/validation/events.go`.
const LIMIT_BYTES: usize = 1024;

/// Where all of it is.
const MORE: &str = "All of it: kubectl mtlsnoop findings.";

/// Of a finding: as much as fits. A mend is there whole or not at all: half a command is worse than none.
pub(super) fn of_finding(finding: &Finding) -> String {
    let mut note = cut(&sentence(finding), LIMIT_BYTES - MORE.len() - 1);
    let mut is_all = finding.fix.manifest.is_none();
    for (label, text) in [("Cause: ", &finding.cause.text), ("Fix: ", &finding.fix.text)] {
        let text = visible(text.trim_end_matches('.'));
        if text.is_empty() {
            continue;
        }
        let part = format!(" {label}{text}.");
        if note.len() + part.len() + 1 + MORE.len() <= LIMIT_BYTES {
            note.push_str(&part);
        } else {
            is_all = false;
        }
    }
    if !is_all {
        note.push(' ');
        note.push_str(MORE);
    }
    note
}

/// Of a resolution.
pub(super) fn of_resolved(resolved: &Resolved) -> String {
    let Resolved { client, server, count, .. } = resolved;
    let attempts = if *count == 1 { "attempt" } else { "attempts" };
    let port = server.address.port();
    let note = format!(
        "{} reaches {} port {port} now, after {count} failed {attempts}.",
        name(client),
        name(server)
    );
    cut(&note, LIMIT_BYTES)
}

/// At most so many bytes of whole characters; where it is cut, the last one is `…`.
fn cut(text: &str, limit_bytes: usize) -> String {
    const ELLIPSIS: char = '…';

    if text.len() <= limit_bytes {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(limit_bytes.saturating_sub(ELLIPSIS.len_utf8()));
    let mut cut = text[..end].to_owned();
    cut.push(ELLIPSIS);
    cut
}

#[cfg(test)]
mod tests {
    use super::{LIMIT_BYTES, MORE, cut, of_finding, of_resolved};
    use crate::{
        sink::{
            kube_events::samples::{client, finding, server},
            samples,
        },
        update::{Cause, Finding, Fix, Party, Resolved},
    };

    #[test]
    fn it_says_what_happened_why_and_what_mends_it() {
        assert_eq!(
            of_finding(&finding()),
            "The istio sidecar of default/redis-client-6d9f7c5b8-x2x9q sends mesh mTLS to default/redis-0 port 6379, and what \
             listens there most likely speaks plaintext. Cause: redis.default is headless, and its cluster in the sidecar sends \
             mTLS to every endpoint, also to those without a sidecar. Fix: Tell clients to speak plaintext to this host. All of \
             it: kubectl mtlsnoop findings."
        );
        let without_manifest = Finding { fix: Fix { manifest: None, ..finding().fix }, ..finding() };
        assert!(!of_finding(&without_manifest).contains(MORE));
    }

    #[test]
    fn it_says_what_works_again() {
        let resolved = Resolved { client: client(), server: server(), ..samples::resolved() };
        assert_eq!(
            of_resolved(&resolved),
            "default/redis-client-6d9f7c5b8-x2x9q reaches default/redis-0 port 6379 now, after 3 failed attempts."
        );
    }

    #[test]
    fn a_mend_that_does_not_fit_is_left_out_whole() {
        let fix = Fix { text: "kubectl patch ".repeat(80).into(), manifest: None };
        let note = of_finding(&Finding { fix, ..finding() });
        assert!(note.len() <= LIMIT_BYTES && !note.contains("Fix:") && note.ends_with(MORE), "{note}");
        assert!(note.contains("Cause:"), "{note}");
    }

    #[test]
    fn the_longest_names_fit() {
        let long =
            Party { namespace: Some("n".repeat(63).into()), pod: Some("p".repeat(253).into()), ..client() };
        let cause = Cause { text: "é".repeat(2000).into(), ..finding().cause };
        for finding in [
            Finding {
                client: long.clone(),
                server: Party { address: server().address, ..long.clone() },
                ..finding()
            },
            Finding { client: long.clone(), cause, ..finding() },
        ] {
            let note = of_finding(&finding);
            assert!(note.len() <= LIMIT_BYTES && note.ends_with(MORE), "{} bytes: {note}", note.len());
        }
        let resolved = Resolved { client: long.clone(), server: long, ..samples::resolved() };
        assert!(of_resolved(&resolved).len() <= LIMIT_BYTES);
    }

    #[test]
    fn nothing_of_the_answer_is_said() {
        let mut finding = finding();
        finding.listener.first_bytes = Box::from(*b"SECRET");
        finding.evidence = vec!["The answer began with \"SECRET\".".into()];
        assert!(!of_finding(&finding).contains("SECRET"));
    }

    #[test]
    fn what_could_command_a_terminal_is_escaped() {
        let cause = Cause { text: "host \u{1b}[2J of a hello".into(), ..finding().cause };
        assert!(!of_finding(&Finding { cause, ..finding() }).contains('\u{1b}'));
    }

    #[test]
    fn text_is_cut_between_characters() {
        for (text, limit, expected) in
            [("abc", 3, "abc"), ("abcdef", 5, "ab…"), ("aéé", 4, "a…"), ("éé", 3, "…"), ("", 0, "")]
        {
            assert_eq!(cut(text, limit), expected, "{text} {limit}");
        }
    }
}

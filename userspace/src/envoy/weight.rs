//! How much an Envoy's word weighs: what it does to the confidence of a finding. Pure.
//!
//! It never makes a finding certain. `WRONG_VERSION_NUMBER` in the log is Envoy's reading of the listener's answer to its hello, so it
//! could be taken for direct evidence. It is not:
//! - it is a report about bytes, and we do not have them: a text that was written, rotated, copied and joined by addresses and times;
//! - where this tracer followed the attempt, it has the answer's bytes itself, and is certain without the log. Where it saw no byte come
//!   back, the log contradicts the wire, so it is of another attempt or not true, and the wire wins;
//! - where the tracer knows only an attempt's end and bytes came back, there is no finding whose confidence could be raised.
//!
//! So it can only confirm what is known already, or be wrong; `certain` stays what the design promises.

use crate::{
    envoy::{Seen, Word},
    update::{Behaviour, Code, Confidence},
};

/// The confidence of a finding, once Envoy's word is known. What it says of TLS that was sent weighs in findings about that.
pub fn weigh(code: Code, confidence: Confidence, word: Word<'_>, seen: Seen) -> Confidence {
    if code != Code::MtlsToPlaintext {
        return confidence;
    }
    match confidence {
        Confidence::Certain => Confidence::Certain,
        Confidence::Likely if gave_up_for_the_app(word, seen) => Confidence::Possible,
        Confidence::Possible if told_of_tls(word, seen) => Confidence::Likely,
        Confidence::Likely | Confidence::Possible => confidence,
    }
}

/// The app closed first (`DC`), and nothing failed upstream: silence until then says less of the listener.
fn gave_up_for_the_app(word: Word<'_>, seen: Seen) -> bool {
    let closed_first = word.log.is_some_and(|entry| entry.has_flag("DC") && !entry.has_flag("UF"));
    closed_first && seen.behaviour == Behaviour::Silent
}

/// All that was missing was the hello, of which only the size was known: Envoy says that what it sends there is always TLS, and that
/// the upstream connection failed.
fn told_of_tls(word: Word<'_>, seen: Seen) -> bool {
    let has_failed = word.log.is_some_and(|entry| entry.has_flag("UF"));
    !seen.had_hello && has_failed && word.uses_tls_always() && !word.uses_no_mtls()
}

#[cfg(test)]
mod tests {
    use super::weigh;
    use crate::{
        envoy::{Seen, Word},
        event::envoy::{ClusterTls, LogEntry, ProxyCluster, TlsContext},
        update::{
            Behaviour, Code,
            Confidence::{Certain, Likely, Possible},
        },
    };

    const NOT_TLS: &str = "TLS_error:|268435703:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER";

    #[test]
    fn an_envoys_word_raises_and_lowers_and_never_makes_certain() {
        let always = |alpn: &str| ProxyCluster {
            name: "outbound|6379||redis".into(),
            tls: ClusterTls::Always(TlsContext { alpn: vec![alpn.into()], ..TlsContext::default() }),
            ..ProxyCluster::default()
        };
        let (always, own) = (always("istio"), always("h2"));
        let never = ProxyCluster::default();
        let unseen = Seen { behaviour: Behaviour::Silent, had_hello: false };
        let seen = Seen { had_hello: true, ..unseen };
        let closed = Seen { behaviour: Behaviour::Closed, ..seen };
        let cases = [
            ("nothing is said", Possible, "", None, None, unseen, Possible),
            ("the missing hello is told", Possible, "UF,URX", None, Some(&always), unseen, Likely),
            ("the configuration alone", Possible, "", None, Some(&always), unseen, Possible),
            ("the log alone", Possible, "UF", None, None, unseen, Possible),
            (
                "the configuration has TLS of the user's own",
                Possible,
                "UF",
                None,
                Some(&own),
                unseen,
                Possible,
            ),
            ("the configuration has no TLS", Possible, "UF", None, Some(&never), unseen, Possible),
            ("nothing is known of the destination", Possible, "UF", None, Some(&always), seen, Possible),
            ("what came back was no TLS", Likely, "UF", Some(NOT_TLS), Some(&always), seen, Likely),
            ("the app gave up", Likely, "DC", None, None, seen, Possible),
            ("the app gave up, the listener closed", Likely, "DC", None, None, closed, Likely),
            ("the upstream failed as well", Likely, "UF,DC", None, None, seen, Likely),
            ("direct evidence", Certain, "DC", Some(NOT_TLS), Some(&never), seen, Certain),
        ];
        for (what, confidence, flags, failure, cluster, seen, expected) in cases {
            let log = LogEntry {
                flags: flags.split_terminator(',').map(Into::into).collect(),
                transport_failure: failure.map(Into::into),
                ..LogEntry::default()
            };
            let log = log.is_failure().then_some(&log);
            let found = weigh(Code::MtlsToPlaintext, confidence, Word { log, cluster }, seen);
            assert_eq!(found, expected, "{what}");
        }
    }
}

//! What an Envoy says, in sentences, and where it contradicts the wire. Pure.

use crate::{
    envoy::{Seen, Word, failure, failure::Failure},
    event::envoy::{ClusterTls, LogEntry, ProxyCluster, TlsContext},
    update::Behaviour,
};

/// A word in sentences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sentences {
    /// What it logged.
    pub log: Option<Box<str>>,
    /// What its configuration has.
    pub cluster: Option<Box<str>>,
    /// Where the wire says otherwise.
    pub contradictions: Vec<Box<str>>,
}

impl Sentences {
    /// The sentences about a word.
    pub fn of(word: Word<'_>, seen: Seen) -> Self {
        let contradictions = contradictions(word, seen).into_iter().map(|(said, wire)| {
            format!("contradiction: Envoy {said}, but on the wire {wire}; the wire is believed").into()
        });
        Self {
            log: word.log.map(|entry| of_log(entry, word.cluster).into()),
            cluster: word.cluster.map(|cluster| of_cluster(cluster).into()),
            contradictions: contradictions.collect(),
        }
    }

    /// All of them, in the order in which they are told.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.log.iter().chain(&self.cluster).chain(&self.contradictions).map(Box::as_ref)
    }
}

fn of_log(entry: &LogEntry, cluster: Option<&ProxyCluster>) -> String {
    let flags = if entry.flags.is_empty() { "no flags".to_owned() } else { entry.flags.join(",") };
    let cluster_name =
        entry.upstream_cluster.as_deref().map(|name| format!(" for {name}")).unwrap_or_default();
    let why = match failure::of(entry) {
        Some(Failure::NotTls) => ": what came back was no TLS (WRONG_VERSION_NUMBER)".to_owned(),
        Some(Failure::Certificate) => {
            ": the server's certificate is not the wanted one (CERTIFICATE_VERIFY_FAILED)".to_owned()
        }
        Some(Failure::Alert) => format!(": the server refused the handshake ({})", reason(entry)),
        Some(Failure::Reset) => ": the connection was cut".to_owned(),
        Some(Failure::NoSecret) => ": it had no certificate of its own yet, and sent no hello".to_owned(),
        Some(Failure::Other) => format!(": {}", reason(entry)),
        None if is_connect_timeout(entry, cluster) => ", which is its connect timeout".to_owned(),
        None if entry.has_flag("DC") && !entry.has_flag("UF") => ": the app closed first".to_owned(),
        None => String::new(),
    };
    format!("Envoy logged {flags} after {} ms{cluster_name}{why}", entry.duration_ms)
}

fn reason(entry: &LogEntry) -> &str {
    entry.transport_failure.as_deref().or(entry.details.as_deref()).unwrap_or("no reason")
}

/// The duration has what Envoy did before it connected too; timers fire late rather than early.
fn is_connect_timeout(entry: &LogEntry, cluster: Option<&ProxyCluster>) -> bool {
    let timeout = cluster.and_then(|cluster| cluster.connect_timeout_ms).filter(|timeout| *timeout > 0);
    timeout.is_some_and(|timeout| {
        let from = timeout - timeout / 50;
        entry.has_flag("UF") && (from..=timeout + timeout / 10).contains(&entry.duration_ms)
    })
}

fn of_cluster(cluster: &ProxyCluster) -> String {
    let ProxyCluster { name, discovery, .. } = cluster;
    let tls = match &cluster.tls {
        ClusterTls::Never => "without TLS".to_owned(),
        ClusterTls::Always(tls) => {
            format!("with TLS for every endpoint (no transport_socket_matches){}", expected_names(tls))
        }
        ClusterTls::ByEndpoint(matches) => {
            let of_match = |one: &crate::event::envoy::SocketMatch| {
                format!("{} ({})", one.name, if one.tls.is_some() { "TLS" } else { "no TLS" })
            };
            let matches: Vec<String> = matches.iter().map(of_match).collect();
            format!("and chooses by the endpoint: {}", matches.join(", "))
        }
        ClusterTls::Other(name) => format!("with the transport socket {name}"),
    };
    let timeout = cluster.connect_timeout_ms.map(|ms| format!(", connect timeout {}", duration(ms)));
    let timeout = timeout.unwrap_or_default();
    let rule = match &cluster.rule {
        Some(rule) => format!(", made with {rule}"),
        None => ", made with no DestinationRule".to_owned(),
    };
    format!("its cluster {name} is {discovery} {tls}{timeout}{rule}")
}

fn expected_names(tls: &TlsContext) -> String {
    match &*tls.subject_names {
        [] => String::new(),
        [name] => format!(", to {name} and nobody else"),
        [name, more @ ..] => format!(", to {name} or {} others", more.len()),
    }
}

fn duration(ms: u64) -> String {
    if ms.is_multiple_of(1000) { format!("{} s", ms / 1000) } else { format!("{ms} ms") }
}

/// What Envoy says, and what was seen instead.
fn contradictions(word: Word<'_>, seen: Seen) -> Vec<(&'static str, &'static str)> {
    let is_without_answer =
        matches!(seen.behaviour, Behaviour::Silent | Behaviour::Closed | Behaviour::Reset);
    let is_plaintext = matches!(seen.behaviour, Behaviour::Plaintext | Behaviour::SpokeFirst);
    let is_tls = matches!(seen.behaviour, Behaviour::Tls | Behaviour::TlsAlert);
    let of_log = match word.log.and_then(failure::of) {
        Some(Failure::NotTls) if is_without_answer => {
            Some(("read bytes that are no TLS", "no byte came back"))
        }
        Some(Failure::NotTls) if is_tls => Some(("read bytes that are no TLS", "the answer was TLS")),
        Some(Failure::Certificate | Failure::Alert) if is_without_answer => {
            Some(("was answered in TLS", "no byte came back"))
        }
        Some(Failure::Certificate | Failure::Alert) if is_plaintext => {
            Some(("was answered in TLS", "the answer was no TLS"))
        }
        Some(Failure::NoSecret) if seen.had_hello => Some(("sent no hello", "there was one")),
        _ => None,
    };
    let of_cluster = (word.uses_no_tls() && seen.had_hello).then_some((
        "has no TLS for it in its configuration, which may be newer than the attempt",
        "there was a hello",
    ));
    of_log.into_iter().chain(of_cluster).collect()
}

#[cfg(test)]
mod tests {
    use super::Sentences;
    use crate::{
        envoy::{Seen, Word},
        event::envoy::{ClusterTls, LogEntry, ProxyCluster, RuleName, SocketMatch, TlsContext},
        update::Behaviour,
    };

    fn of(word: Word<'_>, seen: Seen) -> Vec<String> {
        Sentences::of(word, seen).all().map(Into::into).collect()
    }

    const SILENT: Seen = Seen { behaviour: Behaviour::Silent, had_hello: true };

    fn entry(transport_failure: Option<&str>) -> LogEntry {
        LogEntry {
            duration_ms: 999,
            flags: vec!["UF".into(), "URX".into()],
            upstream_cluster: Some("outbound|6379||redis".into()),
            transport_failure: transport_failure.map(Into::into),
            ..LogEntry::default()
        }
    }

    fn cluster(tls: ClusterTls) -> ProxyCluster {
        ProxyCluster {
            name: "outbound|6379||redis".into(),
            discovery: "ORIGINAL_DST".into(),
            connect_timeout_ms: Some(1000),
            tls,
            ..ProxyCluster::default()
        }
    }

    #[test]
    fn the_log_and_the_configuration_in_sentences() {
        let log = entry(None);
        let always = cluster(ClusterTls::Always(TlsContext::default()));
        let word = Word { log: Some(&log), cluster: Some(&always) };
        let expected = [
            "Envoy logged UF,URX after 999 ms for outbound|6379||redis, which is its connect timeout",
            "its cluster outbound|6379||redis is ORIGINAL_DST with TLS for every endpoint (no transport_socket_matches), connect \
             timeout 1 s, made with no DestinationRule",
        ];
        assert_eq!(of(word, SILENT), expected);
        assert_eq!(of(Word::default(), SILENT), [""; 0]);
    }

    #[test]
    fn a_rule_names_and_a_choice_are_told() {
        let one = |name: &str, tls| SocketMatch { name: name.into(), is_for_all: false, tls };
        let tls = TlsContext {
            subject_names: vec!["spiffe://a".into(), "spiffe://b".into()],
            ..TlsContext::default()
        };
        for (tls, part) in [
            (ClusterTls::Never, "is ORIGINAL_DST without TLS, connect"),
            (ClusterTls::Always(tls), "matches), to spiffe://a or 1 others, connect"),
            (
                ClusterTls::ByEndpoint(vec![
                    one("tlsMode-istio", Some(TlsContext::default())),
                    one("tlsMode-disabled", None),
                ]),
                "and chooses by the endpoint: tlsMode-istio (TLS), tlsMode-disabled (no TLS), connect",
            ),
            (ClusterTls::Other("quic".into()), "with the transport socket quic, connect"),
        ] {
            let rule = Some(RuleName { namespace: "default".into(), name: "redis-mtls".into() });
            let cluster = ProxyCluster { rule, ..cluster(tls) };
            let said =
                &of(Word { log: None, cluster: Some(&cluster) }, Seen { had_hello: false, ..SILENT })[0];
            assert!(
                said.contains(part) && said.ends_with("made with DestinationRule default/redis-mtls"),
                "{said}"
            );
        }
    }

    #[test]
    fn where_it_contradicts_the_wire_that_is_said() {
        let not_tls = Some("TLS_error:|268435703:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER");
        let certificate =
            Some("TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED");
        let no_secret = Some("TLS error: Secret is not supplied by SDS");
        for (failure, behaviour, contradiction) in [
            (
                not_tls,
                Behaviour::Silent,
                Some("read bytes that are no TLS, but on the wire no byte came back"),
            ),
            (not_tls, Behaviour::Tls, Some("no TLS, but on the wire the answer was TLS")),
            (not_tls, Behaviour::Plaintext, None),
            (certificate, Behaviour::Plaintext, Some("in TLS, but on the wire the answer was no TLS")),
            (certificate, Behaviour::Closed, Some("in TLS, but on the wire no byte came back")),
            (certificate, Behaviour::Tls, None),
            (no_secret, Behaviour::Silent, Some("sent no hello, but on the wire there was one")),
            (None, Behaviour::Silent, None),
        ] {
            let log = entry(failure);
            let said = of(Word { log: Some(&log), cluster: None }, Seen { behaviour, had_hello: true });
            assert_eq!(
                said.len(),
                1 + usize::from(contradiction.is_some()),
                "{failure:?} {behaviour:?}: {said:?}"
            );
            assert!(contradiction.is_none_or(|part| said[1].contains(part)), "{said:?}");
        }
        let never = cluster(ClusterTls::Never);
        let said = of(Word { log: None, cluster: Some(&never) }, SILENT);
        assert!(said[1].starts_with("contradiction: Envoy has no TLS for it"), "{said:?}");
    }
}

//! Lines of every format of Istio, and what comes between them; must not know files.

use std::{io::Read, path::Path};

use proptest::prelude::{any, proptest};

use super::{Reader, Tally, lines::Lines};
use crate::event::envoy::{LogEntry, sample_entry};

/// The article's line: Istio 1.5, TCP, nobody answered.
const SEED: &str = r#"[2020-09-12T13:38:23.077Z] "- - -" 0 UF,URX "-" "-" 0 0 1001 - "-" "-" "-" "-" "10.1.1.24:6379" outbound|6379||redis.default.svc.cluster.local - 10.1.1.24:6379 10.1.1.25:45940 - -"#;

fn read(text: &[u8]) -> (Vec<LogEntry>, Tally) {
    let mut lines = Lines::default();
    let mut entries = Vec::new();
    lines.take(text, &mut |entry| entries.push(entry));
    lines.finish(&mut |entry| entries.push(entry));
    (entries, lines.tally().clone())
}

#[track_caller]
fn one(text: &str) -> LogEntry {
    let (mut entries, tally) = read(text.as_bytes());
    assert_eq!((entries.len(), tally.unreadable), (1, 0), "{text}");
    entries.remove(0)
}

/// What every line of the seed's failure tells, whatever its format.
fn seed() -> LogEntry {
    LogEntry { time: sample_entry().ended(), ..sample_entry() }
}

#[test]
fn the_same_failure_is_the_same_entry_in_every_format() {
    let old = LogEntry { details: None, termination_details: None, ..seed() };
    for (version, line) in [
        ("1.3-1.7", SEED.to_owned()),
        ("1.2, without the route", SEED.strip_suffix(" -").unwrap().to_owned()),
        ("1.8, without Mixer", SEED.replace(r#"UF,URX "-" "-""#, r#"UF,URX "-""#)),
        ("1.9 and newer", SEED.replace(r#"UF,URX "-" "-""#, r#"UF,URX - - "-""#)),
        ("with Windows line ends", format!("{SEED}\r\n")),
        ("kubectl logs --prefix", format!("[pod/redis-client-6d4c6c975f-bm5w6/istio-proxy] {SEED}")),
        ("kubectl logs --timestamps", format!("2020-09-12T13:38:24.123456789Z {SEED}")),
        ("containerd", format!("2020-09-12T13:38:24.123456789Z stdout F {SEED}")),
        (
            "containerd, in parts",
            format!(
                "2020-09-12T13:38:24.1Z stdout P {}\n2020-09-12T13:38:24.1Z stderr F [Envoy (Epoch 0)] x\n2020-09-12T13:38:24.1Z stdout F {}\n",
                &SEED[..100],
                &SEED[100..]
            ),
        ),
        ("Docker", serde_json::json!({ "log": format!("{SEED}\n"), "stream": "stdout", "time": "2020-09-12T13:38:24.1Z" }).to_string()),
        (
            "Docker, in parts",
            format!(
                "{}\n{}\n",
                serde_json::json!({ "log": SEED[..80], "stream": "stdout" }),
                serde_json::json!({ "log": format!("{}\n", &SEED[80..]), "stream": "stdout" })
            ),
        ),
    ] {
        assert_eq!(one(&line), old, "{version}");
    }
}

/// As Istio 1.9 and newer write it with `accessLogEncoding: JSON`.
fn json_seed() -> serde_json::Value {
    serde_json::json!({
        "start_time": "2020-09-12T13:38:23.077Z", "route_name": null, "method": null, "path": null, "protocol": null,
        "response_code": 0, "response_flags": "UF,URX", "response_code_details": null,
        "connection_termination_details": null, "bytes_received": 0, "bytes_sent": 0, "duration": 1001,
        "upstream_service_time": null, "x_forwarded_for": null, "user_agent": null, "request_id": null, "authority": null,
        "upstream_host": "10.1.1.24:6379", "upstream_cluster": "outbound|6379||redis.default.svc.cluster.local",
        "upstream_local_address": null, "downstream_local_address": "10.1.1.24:6379",
        "downstream_remote_address": "10.1.1.25:45940", "requested_server_name": null,
        "upstream_transport_failure_reason": null,
    })
}

#[test]
fn json_tells_the_same() {
    let typed = json_seed();
    let mut untyped = typed.clone();
    for value in untyped.as_object_mut().unwrap().values_mut() {
        *value = match &*value {
            serde_json::Value::Null => "-".into(),
            serde_json::Value::Number(number) => number.to_string().into(),
            other => other.clone(),
        };
    }
    for (what, line) in [
        ("typed", typed.to_string()),
        ("untyped", untyped.to_string()),
        ("containerd", format!("2020-09-12T13:38:24.123456789Z stdout F {typed}")),
        ("Docker", serde_json::json!({ "log": format!("{typed}\n"), "stream": "stdout" }).to_string()),
        ("kubectl logs --prefix", format!("[pod/redis-client/istio-proxy] {typed}")),
    ] {
        assert_eq!(one(&line), seed(), "{what}");
    }
}

#[test]
fn requests_tell_their_details_and_nothing_of_what_was_asked() {
    let old = r#"[2020-09-12T13:38:23.077Z] "GET /secret?token=4711 HTTP/1.1" 503 UF,URX "-" "TLS error: 268435703:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER" 0 91 107 - "192.0.2.7" "curl/7.64.1 \"quoted\"" "1f0a" "web.default:8080" "10.1.1.24:8080" outbound|8080|v1|web.default.svc.cluster.local 10.1.1.25:50714 10.96.0.7:8080 10.1.1.25:45940 outbound_.8080_.v1_.web.default.svc.cluster.local default"#;
    let new = r#"[2020-09-12T13:38:23.077Z] "GET /secret?q="token" HTTP/1.1" 503 UF,URX upstream_reset_before_response_started{remote_connection_failure|TLS_error:|268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end} closed by policy "TLS_error:|268435703:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end" 0 91 107 - "192.0.2.7" "secret agent" "1f0a" "web.default:8080" "10.1.1.24:8080" outbound|8080|v1|web.default.svc.cluster.local 10.1.1.25:50714 10.96.0.7:8080 10.1.1.25:45940 outbound_.8080_.v1_.web.default.svc.cluster.local default"#;
    let (old, new) = (one(old), one(new));
    assert_eq!(
        old.transport_failure.as_deref(),
        Some("TLS error: 268435703:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER")
    );
    let details = "upstream_reset_before_response_started{remote_connection_failure|TLS_error:|268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end}";
    assert_eq!(new.details.as_deref(), Some(details));
    assert_eq!(new.termination_details.as_deref(), Some("closed by policy"));
    let failure = "TLS_error:|268435703:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end";
    assert_eq!(new.transport_failure.as_deref(), Some(failure));
    for entry in [old, new] {
        assert_eq!((entry.response_code, entry.bytes_sent, entry.duration_ms), (503, 91, 107));
        assert_eq!(entry.upstream_local, Some("10.1.1.25:50714".parse().unwrap()));
        assert_eq!(entry.route.as_deref(), Some("default"));
        assert_eq!(entry.sni.as_deref(), Some("outbound_.8080_.v1_.web.default.svc.cluster.local"));
        let kept = format!("{entry:?}");
        for secret in ["secret", "token", "4711", "curl", "agent", "192.0.2.7", "1f0a"] {
            assert!(!kept.contains(secret), "{secret}: {kept}");
        }
    }
}

#[test]
fn what_is_no_failure_is_counted_and_never_taken_for_one() {
    let well = SEED.replace("UF,URX", "-");
    let own_format = r#"[2020-09-12T13:38:23.077Z] "GET /" 503 my own format"#;
    let broken = json_seed().to_string().replace("1001", "1001x");
    for (line, expected) in [
        (well.as_str(), Tally { well: 1, ..Tally::default() }),
        (
            "2020-09-12T13:38:23.077Z\tinfo\txdsproxy\tconnected to upstream",
            Tally { others: 1, ..Tally::default() },
        ),
        (
            "[2020-09-12 13:38:23.077][21][warning][config] [source/common/config/grpc_stream.h:101] closed: 14, no healthy upstream",
            Tally { others: 1, ..Tally::default() },
        ),
        (
            r#"{"level":"info","time":"2020-09-12T13:38:23.077Z","scope":"xdsproxy","msg":"connected"}"#,
            Tally { others: 1, ..Tally::default() },
        ),
        ("{", Tally { others: 1, ..Tally::default() }),
        (own_format, Tally { unreadable: 1, first_unreadable: Some(1), ..Tally::default() }),
        (&broken, Tally { unreadable: 1, first_unreadable: Some(1), ..Tally::default() }),
        (&"x".repeat(100_000), Tally { unreadable: 1, first_unreadable: Some(1), ..Tally::default() }),
    ] {
        assert_eq!(read(line.as_bytes()), (vec![], expected), "{line}");
    }
    // What could be read is used, whatever is around it.
    let (entries, tally) = read(format!("{own_format}\n\u{fffd}\n{SEED}\n{broken}\n").as_bytes());
    assert_eq!(entries, [seed()]);
    assert_eq!((tally.failures, tally.others, tally.unreadable, tally.first_unreadable), (1, 1, 2, Some(1)));
    assert!(tally.to_string().contains("line 1"), "{tally}");
}

/// Gives a byte at a time, as a slow pipe does.
struct Slow(&'static [u8]);

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.0.len().min(1).min(buffer.len());
        buffer[..length].copy_from_slice(&self.0[..length]);
        self.0 = &self.0[length..];
        Ok(length)
    }
}

#[test]
fn a_reader_gives_every_failure_once() {
    let mut reader = Reader::new(Path::new("log"), Box::new(Slow(SEED.as_bytes())));
    assert_eq!(reader.peek().unwrap(), Some(&seed()));
    assert_eq!(reader.take().unwrap(), Some(seed()));
    assert_eq!(reader.take().unwrap(), None);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), at in any::<usize>(), length in any::<usize>()) {
        let mut text = SEED.as_bytes().to_vec();
        let at = at % text.len();
        let length = length % (text.len() - at);
        text.splice(at..at + length, bytes);
        let (entries, tally) = read(&text);
        assert_eq!(entries.len() as u64, tally.failures);
    }

    #[test]
    fn the_pieces_in_which_bytes_come_change_nothing(cuts in proptest::collection::vec(any::<usize>(), 0..8)) {
        let text = format!("{SEED}\n2020-09-12T13:38:24.1Z stdout F {SEED}\nx\n{}", json_seed());
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % text.len()).chain([0, text.len()]).collect();
        cuts.sort_unstable();
        let mut lines = Lines::default();
        let mut entries = Vec::new();
        for range in cuts.windows(2) {
            lines.take(&text.as_bytes()[range[0]..range[1]], &mut |entry| entries.push(entry));
        }
        lines.finish(&mut |entry| entries.push(entry));
        assert_eq!(entries, vec![seed(), seed(), seed()]);
    }
}

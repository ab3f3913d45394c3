//! Metrics as they are scraped.

use std::{slice, time::Duration};

use super::{
    Form, Limits, Metrics,
    definition::{ALL, Kind},
    health::{Health, HookState, KubeHealth, KubeWatch, ProgramRuns},
};
use crate::{
    event::time::{SECOND_NS, Time},
    sink::{Sink as _, samples},
    update::{
        Behaviour, Connection, EndedHow, Finding, ListenerSeen, Outcome, Party, Role, Update,
        suspicion::Suspicion,
    },
};

const LIMITS: Limits = Limits { series: 3, expiry: Duration::from_mins(15) };

fn health(time: Time) -> Health {
    Health {
        time,
        events: vec![("opened", 3), ("tick", 40)],
        seen: 9,
        reported: 6,
        filtered: 2,
        lost: vec![("lost_ended", 1), ("lost_hello", 0)],
        ring_fill: 0.25,
        map_fill: vec![("hellos", 0.5), ("connecting", 0.0), ("armed", 0.125)],
        flows_open: 1,
        flows_max: 10,
        armed_pods: 1,
        programs: vec![ProgramRuns { program: "socket_destroyed".into(), run_seconds: 0.5, runs: 7 }],
        hooks: vec![
            HookState { hook: "ends of sockets", program: Some("socket_destroyed") },
            HookState { hook: "resets sent", program: None },
        ],
        clock_step_seconds: -3600.0,
        kube: Some(KubeHealth {
            watches: vec![
                KubeWatch { kind: "pods".into(), state: "listed", age_seconds: Some(1.5) },
                KubeWatch { kind: "services".into(), state: "forbidden", age_seconds: None },
            ],
            requests: vec![(["list", "pods", "200"].map(Into::into), 2)],
            received_bytes: 4096,
            lookups: vec![("found".into(), 1)],
        }),
        announcements: vec![("posted", 1)],
        output_lost: vec![("recording", 0), ("stdout", 5)],
    }
}

fn finding() -> Update {
    Update::Finding(Box::new(samples::finding()))
}

fn refused() -> Connection {
    let listener = ListenerSeen { behaviour: Some(Behaviour::Refused), ..samples::connection().listener };
    let outcome = Outcome { how: EndedHow::Error, ..samples::connection().outcome };
    Connection { listener, outcome, ..samples::connection() }
}

fn updated(updates: &[Update]) -> Metrics {
    let mut metrics = Metrics::new(LIMITS);
    for update in updates {
        metrics.update(update).unwrap();
    }
    metrics
}

/// Values of the series of one metric.
fn series(metrics: &Metrics, name: &str) -> Vec<String> {
    let text = metrics.text(Form::Classic);
    text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
}

#[test]
fn the_text_is_as_it_was() {
    let metrics = updated(&[finding(), Update::Connection(Box::new(refused()))]);
    metrics.health(health(samples::finding().time));
    insta::assert_snapshot!("classic", metrics.text(Form::Classic));
    insta::assert_snapshot!("openmetrics", metrics.text(Form::OpenMetrics));
}

#[test]
fn every_metric_is_exported_under_its_name_with_its_labels() {
    let resolved = Update::Resolved(Box::new(samples::resolved()));
    let metrics = updated(&[finding(), resolved, finding(), Update::Connection(Box::new(refused()))]);
    metrics.health(health(samples::finding().time));
    let text = metrics.text(Form::Classic);
    for metric in ALL {
        let kind = if metric.kind == Kind::Counter { "counter" } else { "gauge" };
        assert!(text.contains(&format!("# TYPE {} {kind}\n", metric.name)), "{} in {text}", metric.name);
        let lines: Vec<_> =
            text.lines().filter(|line| line.split(['{', ' ']).next() == Some(metric.name)).collect();
        assert!(!lines.is_empty(), "{}", metric.name);
        for line in lines {
            for label in metric.labels {
                assert!(line.contains(&format!("{label}=\"")), "{label} in {line}");
            }
        }
    }
}

#[test]
fn what_strangers_name_cannot_break_the_text() {
    let client = Party { workload: Some("a\"b\\c\nd".into()), ..samples::client() };
    let finding = Finding { client, ..samples::finding() };
    let metrics = updated(&[Update::Finding(Box::new(finding))]);
    let found = series(&metrics, "mtlsnoop_findings_total");
    assert_eq!(found.len(), 1);
    assert!(found[0].contains(r#"client_workload="a\"b\\c\nd""#), "{found:?}");
}

#[test]
fn a_crowd_of_workloads_makes_a_bounded_number_of_series() {
    let mut metrics = Metrics::new(LIMITS);
    for nth in 0..1000_u32 {
        let workload = Some(format!("Deployment/client-{nth}").into());
        let address = format!("10.2.{}.{}:1", nth / 250, nth % 250);
        let client = Party { workload, ..Party::at(samples::address(&address)) };
        let finding = Finding { client: client.clone(), incident: nth.into(), ..samples::finding() };
        metrics.update(&Update::Finding(Box::new(finding))).unwrap();
        metrics.update(&Update::Connection(Box::new(Connection { client, ..refused() }))).unwrap();
    }
    metrics.health(health(samples::finding().time));
    for name in ["mtlsnoop_findings_total", "mtlsnoop_findings_active", "mtlsnoop_failed_connections_total"] {
        let found = series(&metrics, name);
        assert_eq!(found.len(), LIMITS.series + 1, "{name}");
        let others = found.iter().find(|line| line.contains("~other")).unwrap();
        assert!(others.ends_with(" 997"), "{others}");
    }
    assert_eq!(series(&metrics, "mtlsnoop_series_overflow_total"), ["mtlsnoop_series_overflow_total 1994"]);
}

#[test]
fn a_failed_connection_is_counted_once_with_its_reason() {
    use EndedHow::{Error, Fin, GivenUp, Reset};

    let with = |role, behaviour, suspicion, how| {
        let Connection { listener, outcome, .. } = samples::connection();
        let listener = ListenerSeen { behaviour, ..listener };
        let outcome = Outcome { how, ..outcome };
        Update::Connection(Box::new(Connection {
            role,
            listener,
            outcome,
            suspicion,
            ..samples::connection()
        }))
    };
    for (update, reason) in [
        (with(Role::Connector, Some(Behaviour::Refused), None, Error), Some("refused")),
        (with(Role::Connector, Some(Behaviour::TlsAlert), None, Reset), Some("tls-alert")),
        (with(Role::Connector, Some(Behaviour::Tls), None, Fin), None),
        (with(Role::Connector, Some(Behaviour::Tls), None, Reset), Some("reset")),
        (with(Role::Connector, Some(Behaviour::Closed), None, Fin), None),
        (with(Role::Connector, None, None, Fin), None),
        (with(Role::Connector, None, None, GivenUp), Some("given-up")),
        (with(Role::Connector, None, Some(Suspicion::CutShort), Fin), Some("cut-short")),
        (with(Role::Connector, Some(Behaviour::Reset), Some(Suspicion::Failed), Reset), Some("reset")),
        (with(Role::Acceptor, Some(Behaviour::Closed), None, Reset), None),
        (with(Role::Unknown, None, Some(Suspicion::Failed), Error), None),
    ] {
        let found = series(&updated(slice::from_ref(&update)), "mtlsnoop_failed_connections_total");
        assert_eq!(found.len(), usize::from(reason.is_some()), "{update:?}");
        let is_told =
            |reason| found.iter().all(|line: &String| line.contains(&format!("reason=\"{reason}\"")));
        assert!(reason.is_none_or(is_told), "{found:?}");
    }
}

#[test]
fn a_quiet_incident_goes() {
    let metrics = updated(&[finding(), Update::Connection(Box::new(refused()))]);
    let time = samples::finding().time;
    for (seconds, count) in [(0, 1), (15 * 60, 1), (15 * 60 + 1, 0)] {
        metrics.health(health(time + seconds * SECOND_NS));
        for name in
            ["mtlsnoop_findings_total", "mtlsnoop_findings_active", "mtlsnoop_failed_connections_total"]
        {
            assert_eq!(series(&metrics, name).len(), count, "{name} after {seconds} s");
        }
    }
}

#[test]
fn a_scraper_gets_what_it_accepts() {
    for (accept, form) in [
        ("", Form::Classic),
        ("*/*", Form::Classic),
        ("text/plain;version=0.0.4;q=0.5", Form::Classic),
        ("application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.5", Form::OpenMetrics),
    ] {
        assert_eq!(Form::accepted(accept), form, "{accept}");
    }
}

//! How cost grows with what is known of a cluster through its changes, as the agent learns it: what an event takes, what one more
//! change takes, and memory.

use std::{
    io::{self, Write as _},
    time::Instant,
};

use anyhow::{Context as _, Result};
use mtlsnoop::{
    engine::Engine,
    event::{
        ClusterChanged, Event,
        cluster::{Change, Endpoint, Service, ServicePort, Slice},
        time::Time,
    },
};
use mtlsnoop_tests::{interrupt, scatter::scatter};
use serde_json::{Value, json};

use crate::figure::{
    self, pods,
    traffic::{PORT, pod_address},
};

/// What each number of endpoints costs, the fewest first.
pub(crate) struct Changes(Vec<Point>);

struct Point {
    endpoints: u64,
    event_ns: f64,
    change_ns: f64,
    endpoint_bytes: f64,
    json: Value,
}

const COUNTS: [usize; 4] = [20, 200, 2_000, 20_000];
/// Each slice, and so each Service, has so many.
const OF_SLICE: usize = 20;
/// Slices that change again.
const CHANGES: u64 = 2_000;

pub(crate) fn measure() -> Result<Changes> {
    let point = |count: &usize| {
        interrupt::check()?;
        eprintln!("bench: growth, {count} endpoints through changes");
        Point::from_json(figure::in_own_process(&["changes", &count.to_string()])?)
    };
    COUNTS.iter().map(point).collect::<Result<_>>().map(Changes)
}

impl Point {
    fn from_json(json: Value) -> Result<Self> {
        let number = |name: &str| json[name].as_f64().with_context(|| format!("no {name} was measured"));
        Ok(Self {
            endpoints: json["endpoints"].as_u64().context("no number of endpoints")?,
            event_ns: number("event_ns")?,
            change_ns: number("change_ns")?,
            endpoint_bytes: number("endpoint_bytes")?,
            json,
        })
    }
}

impl Changes {
    /// How many times as long an event takes with most endpoints as with fewest.
    pub(crate) fn event_growth(&self) -> f64 {
        self.growth(|point| point.event_ns)
    }

    /// The same of a change.
    pub(crate) fn change_growth(&self) -> f64 {
        self.growth(|point| point.change_ns)
    }

    fn growth(&self, of: fn(&Point) -> f64) -> f64 {
        let of = |point: Option<&Point>| point.map_or(f64::NAN, of);
        of(self.0.last()) / of(self.0.first())
    }

    pub(crate) fn lines(&self) -> Vec<[String; 4]> {
        let line = |point: &Point| {
            [
                format!("endpoints by changes ({:.0} ns each)", point.change_ns),
                point.endpoints.to_string(),
                format!("{:.0}", point.event_ns),
                format!("{:.0}", point.endpoint_bytes),
            ]
        };
        self.0.iter().map(line).collect()
    }

    pub(crate) fn json(&self) -> Value {
        self.0.iter().map(|point| point.json.clone()).collect()
    }
}

/// The process that measures one number of endpoints.
pub(crate) fn run(count: usize) -> Result<()> {
    let before = figure::allocated_bytes()?;
    let slices = count.div_ceil(OF_SLICE);
    let mut engine = Engine::new(pods::settings());
    for nth in 0..slices {
        engine.apply(&changed(vec![service(nth), slice(nth, OF_SLICE)]), &mut Vec::new());
    }
    let used = figure::allocated_bytes()?.saturating_sub(before);
    let event_ns = pods::event_ns(&mut engine, count as u64);
    let change_ns = change_ns(&mut engine, slices);
    #[expect(clippy::cast_precision_loss, reason = "bytes of one machine")]
    let endpoint_bytes = used as f64 / count as f64;
    let result = json!({
        "endpoints": count,
        "event_ns": event_ns,
        "change_ns": change_ns,
        "endpoint_bytes": endpoint_bytes,
    });
    writeln!(io::stdout(), "{result}").context("could not print the result")
}

/// Nanoseconds that a change of a slice takes: it loses an endpoint, and gets it back.
fn change_ns(engine: &mut Engine, slices: usize) -> f64 {
    let made: Vec<Event> = (0..CHANGES)
        .map(|nth| {
            // Twice the same in a row.
            let which = usize::try_from(scatter(nth / 2) % slices as u64).unwrap_or(0);
            let endpoints = if nth.is_multiple_of(2) { OF_SLICE - 1 } else { OF_SLICE };
            changed(vec![slice(which, endpoints)])
        })
        .collect();
    let begun = Instant::now();
    for event in &made {
        engine.apply(event, &mut Vec::new());
    }
    #[expect(clippy::cast_precision_loss, reason = "changes of a second")]
    let changes = CHANGES as f64;
    begun.elapsed().as_secs_f64() * 1e9 / changes
}

fn changed(changes: Vec<Change>) -> Event {
    Event::ClusterChanged(Box::new(ClusterChanged { time: Time(1), changes }))
}

fn names(service: usize) -> (Box<str>, Box<str>) {
    (format!("team-{}", service % 50).into(), format!("store-{service}").into())
}

fn service(nth: usize) -> Change {
    let (namespace, name) = names(nth);
    let port = ServicePort { name: "tcp-store".into(), port: PORT, ..ServicePort::default() };
    Change::Service(Box::new(Service {
        namespace,
        name,
        headless: true,
        ports: vec![port],
        ..Service::default()
    }))
}

fn slice(nth: usize, endpoints: usize) -> Change {
    let (namespace, service) = names(nth);
    let endpoint = |ordinal: usize| Endpoint {
        namespace: namespace.clone(),
        service: service.clone(),
        address: pod_address((nth * OF_SLICE + ordinal) as u64).into(),
        port: Some(PORT),
        port_name: "tcp-store".into(),
        pod: Some(format!("{service}-{ordinal}").into()),
    };
    let endpoints = (0..endpoints).map(endpoint).collect();
    Change::Slice(Box::new(Slice {
        namespace: namespace.clone(),
        name: format!("{service}-v4slc").into(),
        endpoints,
    }))
}

//! How the core's cost grows with the connections that are open at a time, and that its memory is bounded.

use std::{
    io::{self, Write as _},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use mtlsnoop::{
    engine::{Engine, Settings},
    event::{Event, loss::Loss},
};
use mtlsnoop_tests::{interrupt, scatter::scatter};
use serde_json::{Value, json};

use crate::figure::{self, traffic::Connection};

/// What each number of flows costs, the fewest first.
pub(crate) struct Flows(Vec<Point>);

struct Point {
    flows: u64,
    event_ns: f64,
    flow_bytes: f64,
    json: Value,
}

/// Of connection ends.
const COUNTS: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// Connections that end and begin while the number stays.
const TURNOVER: u64 = 150_000;
/// Events are made outside the measured time, so many connections at once.
const BATCH: u64 = 500;
/// Short connections that are open at a time.
const SHORT: usize = 100;
/// More pods than a node's connections usually go to.
const PODS: u64 = 5_000;

pub(crate) fn measure() -> Result<Flows> {
    let point = |count: &usize| {
        interrupt::check()?;
        eprintln!("bench: growth, {count} flows");
        Point::from_json(figure::in_own_process(&["flows", &count.to_string()])?)
    };
    COUNTS.iter().map(point).collect::<Result<_>>().map(Flows)
}

impl Point {
    fn from_json(json: Value) -> Result<Self> {
        let number = |name: &str| json[name].as_f64().with_context(|| format!("no {name} was measured"));
        Ok(Self {
            flows: json["flows"].as_u64().context("no number of flows")?,
            event_ns: number("event_ns")?,
            flow_bytes: number("flow_bytes")?,
            json,
        })
    }
}

impl Flows {
    /// How many times as long an event takes with most flows as with fewest.
    pub(crate) fn growth(&self) -> f64 {
        let of = |point: Option<&Point>| point.map_or(f64::NAN, |point| point.event_ns);
        of(self.0.last()) / of(self.0.first())
    }

    /// Flows that had to go for others and were not counted, or the other way round.
    pub(crate) fn uncounted(&self) -> u64 {
        self.0.iter().filter_map(|point| point.json["uncounted"].as_u64()).sum()
    }

    pub(crate) fn lines(&self) -> Vec<[String; 4]> {
        let line = |point: &Point| {
            [
                "flows".to_owned(),
                point.flows.to_string(),
                format!("{:.0}", point.event_ns),
                format!("{:.0}", point.flow_bytes),
            ]
        };
        self.0.iter().map(line).collect()
    }

    pub(crate) fn json(&self) -> Value {
        self.0.iter().map(|point| point.json.clone()).collect()
    }
}

/// The process that measures one number of flows. The core is allowed that many and no more.
pub(crate) fn run(count: usize) -> Result<()> {
    let before = figure::allocated_bytes()?;
    let mut node = Node::new(count);
    node.open(count as u64 / 2);
    let filled = figure::allocated_bytes()?.saturating_sub(before);
    let event_ns = node.turn_over(one_of_the_newest);
    let scattered_event_ns = node.turn_over(any);
    node.open(count as u64 / 2);
    let overfilled = figure::allocated_bytes()?.saturating_sub(before);
    let uncounted = node.evicted().abs_diff(count as u64 / 2 * 2);
    #[expect(clippy::cast_precision_loss, reason = "bytes of one machine")]
    let flow_bytes = filled as f64 / count as f64;
    let result = json!({
        "flows": count,
        "event_ns": event_ns,
        "scattered_event_ns": scattered_event_ns,
        "flow_bytes": flow_bytes,
        "filled_bytes": filled,
        "overfilled_bytes": overfilled,
        "uncounted": uncounted,
    });
    writeln!(io::stdout(), "{result}").context("could not print the result")
}

/// As on a node whose connections stay, while short ones come and go.
fn one_of_the_newest(nth: u64, open: usize) -> usize {
    open - 1 - usize::try_from(nth).unwrap_or(0) % SHORT.min(open)
}

/// As if every connection lasted as long as any other: each is long out of the processor's caches when it ends.
fn any(nth: u64, open: usize) -> usize {
    usize::try_from(scatter(nth)).unwrap_or(0) % open
}

/// A core that sees made-up connections.
struct Node {
    engine: Engine,
    open: Vec<Connection>,
    next: u64,
}

impl Node {
    fn new(max_flows: usize) -> Self {
        let settings = Settings { max_flows, ..Settings::default() };
        Self { engine: Engine::new(settings), open: Vec::with_capacity(max_flows / 2), next: 0 }
    }

    fn begin(&mut self) -> Connection {
        self.next += 1;
        Connection::new(self.next, PODS, 1)
    }

    fn open(&mut self, connections: u64) {
        self.open.clear();
        for _ in 0..connections {
            let connection = self.begin();
            self.apply(&connection.opening());
            self.open.push(connection);
        }
    }

    /// Connections end and as many begin: `which` of the open ones. Gives the nanoseconds that an event takes.
    fn turn_over(&mut self, which: fn(u64, usize) -> usize) -> f64 {
        let mut took = Duration::ZERO;
        let mut events = 0;
        for batch in 0..TURNOVER / BATCH {
            let made: Vec<Event> = (0..BATCH)
                .flat_map(|nth| self.replace(which(batch * BATCH + nth, self.open.len())))
                .collect();
            events += made.len();
            let begun = Instant::now();
            self.apply(&made);
            took += begun.elapsed();
        }
        #[expect(clippy::cast_precision_loss, reason = "events of a second")]
        let events = events as f64;
        took.as_secs_f64() * 1e9 / events
    }

    fn replace(&mut self, which: usize) -> impl Iterator<Item = Event> + use<> {
        let new = self.begin();
        let old = std::mem::replace(&mut self.open[which], new);
        old.ending().into_iter().chain(new.opening())
    }

    fn apply(&mut self, events: &[Event]) {
        let mut updates = Vec::new();
        for event in events {
            self.engine.apply(event, &mut updates);
            updates.clear();
        }
    }

    fn evicted(&self) -> u64 {
        let lost = self.engine.summary().lost;
        lost.iter().filter(|(loss, _)| *loss == Loss::EvictedFlow).map(|(_, count)| count).sum()
    }
}

//! Metrics as text, in the two forms that Prometheus reads; must not know what they mean.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, MetricEncoder, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

use crate::sink::metrics::{
    definition::{Definition, Kind},
    family::{Sample, Value},
};

/// What a scraper reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The text format of Prometheus, version 0.0.4.
    Classic,
    /// `OpenMetrics`, version 1.0.0.
    OpenMetrics,
}

impl Form {
    /// The one to answer with, by the header `Accept` of a request.
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Classic }
    }

    /// As the header `Content-Type` has it.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Everything that is exported at one moment.
#[derive(Debug)]
pub(super) struct Snapshot(pub(super) Vec<(&'static Definition, Vec<Sample>)>);

impl Snapshot {
    /// As text.
    pub(super) fn text(mut self, form: Form) -> String {
        for (_, samples) in &mut self.0 {
            samples.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        }
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        // Writing into memory does not fail.
        let _ = text::encode(&mut text, &registry);
        match form {
            Form::OpenMetrics => text,
            Form::Classic => classic(&text),
        }
    }
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (definition, samples) in self.0.iter().filter(|(_, samples)| !samples.is_empty()) {
            let (name, kind) = match definition.kind {
                Kind::Counter => (definition.name.trim_end_matches("_total"), MetricType::Counter),
                Kind::Gauge => (definition.name, MetricType::Gauge),
            };
            let mut metric = encoder.encode_descriptor(name, definition.help, None, kind)?;
            for Sample { labels, value } in samples {
                let labels: Vec<(&str, &str)> =
                    definition.labels.iter().copied().zip(labels.iter().map(AsRef::as_ref)).collect();
                if labels.is_empty() {
                    // It would have empty braces.
                    encode(definition.kind, *value, metric)?;
                    break;
                }
                encode(definition.kind, *value, metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

fn encode(kind: Kind, value: Value, encoder: MetricEncoder<'_>) -> fmt::Result {
    match (kind, value) {
        (Kind::Counter, Value::Count(count)) => ConstCounter::new(count).encode(encoder),
        (Kind::Counter, Value::Number(number)) => ConstCounter::new(number).encode(encoder),
        (Kind::Gauge, Value::Count(count)) => ConstGauge::new(count).encode(encoder),
        (Kind::Gauge, Value::Number(number)) => ConstGauge::new(number).encode(encoder),
    }
}

/// The format before `OpenMetrics` has a counter's whole name in its comments, and no end mark.
fn classic(text: &str) -> String {
    let mut classic = String::with_capacity(text.len());
    let mut lines = text.lines().filter(|line| *line != "# EOF").peekable();
    while let Some(line) = lines.next() {
        let is_of_counter = |line: &str| line.starts_with("# TYPE ") && line.ends_with(" counter");
        // The help stands before the type.
        let is_total = is_of_counter(line)
            || line.starts_with("# HELP ") && lines.peek().is_some_and(|next| is_of_counter(next));
        match comment(line) {
            Some((what, name, rest)) if is_total => {
                classic.extend(["# ", what, " ", name, "_total ", rest]);
            }
            _ => classic.push_str(line),
        }
        classic.push('\n');
    }
    classic
}

/// `# HELP name rest`.
fn comment(line: &str) -> Option<(&str, &str, &str)> {
    let (what, rest) = line.strip_prefix("# ")?.split_once(' ')?;
    let (name, rest) = rest.split_once(' ')?;
    Some((what, name, rest))
}

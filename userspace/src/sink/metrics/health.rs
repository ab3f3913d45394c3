//! How the agent itself is, as plain numbers that somebody else reads off it, and the series they make; must not know where they come from.

use crate::{
    event::time::Time,
    sink::metrics::{
        definition::{
            ANNOUNCEMENTS, ARMED_PODS, BUILD_INFO, CLOCK_STEP, CONNECTIONS, Definition, EVENTS, FLOWS_MAX,
            FLOWS_OPEN, HOOK_ATTACHED, KUBE_LOOKUPS, KUBE_RECEIVED_BYTES, KUBE_REQUESTS, KUBE_WATCH_AGE,
            KUBE_WATCH_STATE, LOST, MAP_FILL, OUTPUT_LOST, PROGRAM_RUN_SECONDS, PROGRAM_RUNS, RING_FILL,
        },
        family::{Sample, Value},
    },
};

/// How the agent is.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// When this was read.
    pub time: Time,
    /// Events by kind.
    pub events: Vec<(&'static str, u64)>,
    /// Connection ends that began while tracing.
    pub seen: u64,
    /// Of these, reported.
    pub reported: u64,
    /// Of these, left out.
    pub filtered: u64,
    /// Losses by name, all of them.
    pub lost: Vec<(&'static str, u64)>,
    /// How full the ring was.
    pub ring_fill: f64,
    /// How full the kernel's maps are, by name.
    pub map_fill: Vec<(&'static str, f64)>,
    /// Connection ends that are followed.
    pub flows_open: u64,
    /// How many can be.
    pub flows_max: u64,
    /// Pods that are watched closely.
    pub armed_pods: u64,
    /// What programs cost, where the kernel counts it.
    pub programs: Vec<ProgramRuns>,
    /// What is attached.
    pub hooks: Vec<HookState>,
    /// How far the calendar was stepped.
    pub clock_step_seconds: f64,
    /// What is known of the Kubernetes API; none without.
    pub kube: Option<KubeHealth>,
    /// Kubernetes Events by what became of them.
    pub announcements: Vec<(&'static str, u64)>,
    /// What could not be written, by where.
    pub output_lost: Vec<(&'static str, u64)>,
}

/// What one program cost.
#[derive(Clone, Debug, Default)]
pub struct ProgramRuns {
    /// Its name in the object.
    pub program: Box<str>,
    /// How long it ran.
    pub run_seconds: f64,
    /// How often.
    pub runs: u64,
}

/// Whether something can be observed.
#[derive(Clone, Debug, Default)]
pub struct HookState {
    /// Name for people.
    pub hook: &'static str,
    /// By which program; none when it is not attached.
    pub program: Option<&'static str>,
}

/// What is known of the Kubernetes API.
#[derive(Clone, Debug, Default)]
pub struct KubeHealth {
    /// Watches: kind, state, and how long ago it heard something.
    pub watches: Vec<KubeWatch>,
    /// Requests: verb, resource, code of the answer or what went wrong, and how many.
    pub requests: Vec<([Box<str>; 3], u64)>,
    /// Bytes of all answers.
    pub received_bytes: u64,
    /// Lookups by what came of them.
    pub lookups: Vec<(Box<str>, u64)>,
}

/// One watch.
#[derive(Clone, Debug, Default)]
pub struct KubeWatch {
    /// What is watched.
    pub kind: Box<str>,
    /// How it is: one of [`KubeWatch::STATES`].
    pub state: &'static str,
    /// How long ago it heard something; none when it never did.
    pub age_seconds: Option<f64>,
}

impl KubeWatch {
    /// All states.
    pub const STATES: [&'static str; 5] = ["listing", "listed", "absent", "forbidden", "failing"];
}

impl Health {
    /// All series.
    pub(super) fn series(&self) -> Vec<(&'static Definition, Vec<Sample>)> {
        let ends = [("seen", self.seen), ("reported", self.reported), ("filtered", self.filtered)];
        let mut series = vec![
            (&EVENTS, counts(&self.events)),
            (&CONNECTIONS, counts(&ends)),
            (&LOST, counts(&self.lost)),
            (&RING_FILL, one(Value::Number(self.ring_fill))),
            (&MAP_FILL, numbers(&self.map_fill)),
            (&FLOWS_OPEN, one(Value::Count(self.flows_open))),
            (&FLOWS_MAX, one(Value::Count(self.flows_max))),
            (&ARMED_PODS, one(Value::Count(self.armed_pods))),
            (
                &PROGRAM_RUN_SECONDS,
                self.programs
                    .iter()
                    .map(|ran| sample([&*ran.program], Value::Number(ran.run_seconds)))
                    .collect(),
            ),
            (
                &PROGRAM_RUNS,
                self.programs.iter().map(|ran| sample([&*ran.program], Value::Count(ran.runs))).collect(),
            ),
            (&HOOK_ATTACHED, self.hooks.iter().map(HookState::sample).collect()),
            (&CLOCK_STEP, one(Value::Number(self.clock_step_seconds))),
        ];
        if let Some(kube) = &self.kube {
            series.extend(kube.series());
        }
        series.extend([
            (&ANNOUNCEMENTS, counts(&self.announcements)),
            (&OUTPUT_LOST, counts(&self.output_lost)),
            (&BUILD_INFO, vec![sample([env!("CARGO_PKG_VERSION"), std::env::consts::ARCH], Value::Count(1))]),
        ]);
        series
    }
}

impl HookState {
    fn sample(&self) -> Sample {
        sample([self.hook, self.program.unwrap_or_default()], Value::Count(self.program.is_some().into()))
    }
}

impl KubeHealth {
    fn series(&self) -> [(&'static Definition, Vec<Sample>); 5] {
        let states = self.watches.iter().flat_map(|watch| {
            KubeWatch::STATES
                .map(|state| sample([&*watch.kind, state], Value::Count((watch.state == state).into())))
        });
        let ages = self
            .watches
            .iter()
            .filter_map(|watch| Some(sample([&*watch.kind], Value::Number(watch.age_seconds?))));
        let requests = self
            .requests
            .iter()
            .map(|([verb, resource, code], count)| sample([&**verb, resource, code], Value::Count(*count)));
        let lookups = self.lookups.iter().map(|(result, count)| sample([&**result], Value::Count(*count)));
        [
            (&KUBE_WATCH_STATE, states.collect()),
            (&KUBE_WATCH_AGE, ages.collect()),
            (&KUBE_REQUESTS, requests.collect()),
            (&KUBE_RECEIVED_BYTES, one(Value::Count(self.received_bytes))),
            (&KUBE_LOOKUPS, lookups.collect()),
        ]
    }
}

fn counts(counts: &[(&'static str, u64)]) -> Vec<Sample> {
    counts.iter().map(|(name, count)| sample([*name], Value::Count(*count))).collect()
}

fn numbers(numbers: &[(&'static str, f64)]) -> Vec<Sample> {
    numbers.iter().map(|(name, number)| sample([*name], Value::Number(*number))).collect()
}

pub(super) fn one(value: Value) -> Vec<Sample> {
    vec![sample([], value)]
}

fn sample<const LABELS: usize>(labels: [&str; LABELS], value: Value) -> Sample {
    Sample { labels: labels.into_iter().map(Box::from).collect(), value }
}

//! What live events go through, the same for `trace` and `agent`: given cluster, Envoys, recording, pipeline, arming; must not know
//! when it is drained, nor where updates go.

use std::{
    mem::{self, Discriminant},
    time::Duration,
};

use rustc_hash::FxHashMap;

use crate::{
    arming::Armer,
    envoys::ToldLive,
    event::{Event, time::Time},
    given_cluster::GivenCluster,
    outcome::OutputError,
    pipeline::Pipeline,
    recorder::Recorder,
    source::{kernel::Kernel, kube::Kube},
};

/// What a session is made of.
pub struct Parts {
    /// The cluster that the run is told to know.
    pub cluster: GivenCluster,
    /// The cluster that is around.
    pub kube: Option<Kube>,
    /// What Envoys say themselves.
    pub envoys: ToldLive,
    /// Where events are recorded.
    pub recorder: Option<Recorder>,
    /// What they mean, and where that goes.
    pub pipeline: Pipeline,
    /// Who is watched closely.
    pub armer: Armer,
}

/// What events go through.
pub struct Session {
    parts: Parts,
    /// Time of the last event.
    now: Time,
    /// What became of the output so far.
    output: Result<(), OutputError>,
    /// Name of the node, once the source told it.
    node: Option<Box<str>>,
    /// How many events there were of a kind, with its name. Not by the name: hashing that would cost more than the rest of this.
    events: FxHashMap<Discriminant<Event>, (&'static str, u64)>,
}

impl Session {
    /// Nothing went through it yet.
    pub fn new(parts: Parts) -> Self {
        Self { parts, now: Time::default(), output: Ok(()), node: None, events: FxHashMap::default() }
    }

    /// Takes what happened since the last call; tells how soon to do it again.
    pub fn drain(&mut self, kernel: &mut Kernel) -> Duration {
        let pause = kernel.drain(&mut |event| self.event(event));
        self.learn(kernel.now());
        self.hear(kernel.now(), kernel.calendar_step_ns());
        self.flush();
        let suspects = self.parts.pipeline.take_suspects();
        self.parts.armer.apply(&suspects, self.now, kernel);
        pause
    }

    /// Takes what is left, and says what is still to be said.
    pub fn finish(&mut self, kernel: Kernel) -> Result<(), OutputError> {
        let (now, step_ns) = (kernel.now(), kernel.calendar_step_ns());
        kernel.finish(&mut |event| self.event(event));
        let mut said = Vec::new();
        self.parts.envoys.finish(self.now.max(now), step_ns, &mut |event| said.push(event));
        for event in said {
            self.event(event);
        }
        self.parts.armer.finish();
        self.flush();
        match mem::replace(&mut self.output, Ok(())).and_then(|()| self.parts.pipeline.finish()) {
            Err(error) if !error.is_reader_gone() => Err(error),
            _ => Ok(()),
        }
    }

    /// Somebody still takes what is said.
    pub fn is_output_open(&self) -> bool {
        self.output.is_ok()
    }

    /// Every event so far is in the recording, if there is one.
    pub fn is_recording_complete(&self) -> bool {
        self.parts.recorder.as_ref().is_none_or(Recorder::is_complete)
    }

    /// Name of the node, once the source told it.
    pub fn node(&self) -> Option<&str> {
        self.node.as_deref()
    }

    /// Time of the last event.
    pub fn now(&self) -> Time {
        self.now
    }

    /// How many events there were, by kind.
    pub fn events(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.events.values().copied()
    }

    /// The cluster that is around.
    pub fn kube(&self) -> Option<&Kube> {
        self.parts.kube.as_ref()
    }

    /// Speaks with the cluster no longer.
    pub fn leave_cluster(&mut self) {
        if let Some(kube) = self.parts.kube.take() {
            kube.stop();
        }
    }

    /// What events mean.
    pub fn pipeline(&self) -> &Pipeline {
        &self.parts.pipeline
    }

    /// What became known of the cluster; what the core lacks is looked up.
    fn learn(&mut self, now: Time) {
        let Parts { kube: Some(kube), pipeline, .. } = &mut self.parts else { return };
        kube.look_up(pipeline.take_lookups());
        let mut learned = Vec::new();
        kube.poll(now, &mut |event| learned.push(event));
        for event in learned {
            self.event(event);
        }
    }

    /// What Envoys said since the last time; those that are accused are asked.
    fn hear(&mut self, now: Time, step_ns: i64) {
        let Parts { envoys, pipeline, .. } = &mut self.parts;
        envoys.accused(&pipeline.take_accused());
        let mut said = Vec::new();
        envoys.poll(now, step_ns, &mut |event| said.push(event));
        for event in said {
            self.event(event);
        }
    }

    fn event(&mut self, mut event: Event) {
        self.now = self.now.max(event.time());
        let Self { parts, output, node, events, .. } = self;
        let Parts { cluster, kube, envoys, recorder, pipeline, .. } = parts;
        if let Event::Began(began) = &mut event {
            began.looks_up = kube.is_some();
            *node = Some(began.node.clone());
        }
        let mut take = |event: &Event| {
            events.entry(mem::discriminant(event)).or_insert_with(|| (event.kind(), 0)).1 += 1;
            if let Some(recorder) = recorder {
                recorder.event(event);
            }
            if output.is_ok() {
                *output = pipeline.event(event);
            }
        };
        cluster.pass(&event, &mut |event| envoys.pass(event, &mut take));
    }

    /// Everything of a drain is readable after it: a finding by who waits for it, the recording even if we are killed.
    fn flush(&mut self) {
        if let Some(recorder) = &mut self.parts.recorder {
            recorder.flush(self.now);
        }
        if self.output.is_ok() {
            self.output = self.parts.pipeline.flush();
        }
    }
}

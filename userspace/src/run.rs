//! `trace`: wires the live source, the recording and the pipeline, and ends them; must not know how any of them works.

use std::{
    fs::File,
    io, mem,
    path::{Path, PathBuf},
    pin::Pin,
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, Sleep, sleep},
};

use crate::{
    arming::Armer,
    config::{Capture, ClusterSource, Trace},
    envoys::ToldLive,
    event::{Event, time::Time},
    given_cluster::GivenCluster,
    memory, notice,
    outcome::{Outcome, OutputError},
    output,
    pipeline::Pipeline,
    signals,
    sink::record::{RecordWriter, Target, WriteError},
    source::kernel::{self, Kernel, Options},
};

/// Traces until it is told to end.
pub fn trace(config: &Trace) -> Result<Outcome> {
    let cluster = GivenCluster::read(&config.cluster, config.output.is_verbose)?;
    if config.output.is_verbose && config.cluster == ClusterSource::Auto {
        notice::warn("no cluster is known; `--cluster FILE` adds names of pods and Services");
    }
    let envoys = ToldLive::start(&config.envoys, config.output.is_verbose)?;
    let target = config.record.as_deref().map(Target::prepare).transpose()?;
    if config.is_kernel_log_shown {
        notice::show_kernel_log();
    }
    let runtime =
        runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    runtime.block_on(live(config, cluster, envoys, target))
}

async fn live(
    config: &Trace,
    cluster: GivenCluster,
    envoys: ToldLive,
    target: Option<Target>,
) -> Result<Outcome> {
    // Before anything is attached, so that a Ctrl-C during the start ends like one after it.
    let mut inputs = Inputs::listen().context("cannot listen for signals")?;
    let capture = match config.capture {
        Capture::Adaptive => kernel::Capture::Adaptive,
        Capture::Always => kernel::Capture::Always,
    };
    let kernel_log = config.is_kernel_log_shown;
    let options = Options { capture, kernel_log, ..Options::for_hooks(&config.hooks) };
    let mut kernel = Kernel::start(&options)?;
    memory::give_back();
    let mut session = Session {
        cluster,
        envoys,
        recording: target.map(Recording::begin).transpose()?,
        is_recording_complete: true,
        pipeline: Pipeline::with_suspects(config.output.selection.clone(), output::open(&config.output)),
        armer: Armer::new(config.disarm_after, config.output.is_verbose),
        now: Time::default(),
        output: Ok(()),
        node: None,
    };
    inputs.drain_after(session.drain(&mut kernel));
    announce(&kernel, session.node.as_deref(), config.output.is_verbose);
    if let Some(duration) = config.duration {
        inputs.end_after(duration);
    }
    while session.output.is_ok() {
        match inputs.next().await {
            Input::Drain => inputs.drain_after(session.drain(&mut kernel)),
            Input::Interrupted | Input::Elapsed => break,
        }
    }
    session.finish(kernel)?;
    let has_failing_finding = config.output.is_finding_failure && session.pipeline.had_finding();
    Ok(Outcome::of(session.is_recording_complete, has_failing_finding))
}

/// Says what is seen from now on, and what is not.
fn announce(kernel: &Kernel, node: Option<&str>, is_verbose: bool) {
    for hook in kernel.coverage().iter().filter(|hook| is_verbose || hook.is_lessened()) {
        notice::warn(hook);
    }
    let hooks = kernel.coverage().iter().filter(|hook| hook.program.is_some()).count();
    let node = node.unwrap_or("without a name");
    notice::say(format_args!("tracing TCP on node {node} with {hooks} hooks; Ctrl-C ends it"));
}

/// What the loop waits for.
enum Input {
    /// It is time to drain the kernel.
    Drain,
    /// Somebody wants it to end.
    Interrupted,
    /// It was to last no longer.
    Elapsed,
}

struct Inputs {
    drain: Pin<Box<Sleep>>,
    interrupt: Signal,
    terminate: Signal,
    end: Option<Pin<Box<Sleep>>>,
}

impl Inputs {
    fn listen() -> io::Result<Self> {
        signals::raise_then_exit()?;
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { drain: Box::pin(sleep(Duration::ZERO)), interrupt, terminate, end: None })
    }

    fn drain_after(&mut self, pause: Duration) {
        self.drain.as_mut().reset(Instant::now() + pause);
    }

    fn end_after(&mut self, duration: Duration) {
        self.end = Some(Box::pin(sleep(duration)));
    }

    async fn next(&mut self) -> Input {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => Input::Interrupted,
            _ = self.terminate.recv() => Input::Interrupted,
            () = elapsed(self.end.as_mut()) => Input::Elapsed,
            () = self.drain.as_mut() => Input::Drain,
        }
    }
}

async fn elapsed(end: Option<&mut Pin<Box<Sleep>>>) {
    match end {
        Some(end) => end.await,
        None => std::future::pending().await,
    }
}

/// What events go through.
struct Session {
    cluster: GivenCluster,
    envoys: ToldLive,
    recording: Option<Recording>,
    is_recording_complete: bool,
    pipeline: Pipeline,
    armer: Armer,
    /// Time of the last event.
    now: Time,
    /// What became of the output so far.
    output: Result<(), OutputError>,
    /// Name of the node, once the source told it.
    node: Option<Box<str>>,
}

impl Session {
    /// Tells how soon to do it again.
    fn drain(&mut self, kernel: &mut Kernel) -> Duration {
        let pause = kernel.drain(&mut |event| self.event(event));
        self.hear();
        self.flush();
        self.armer.apply(&self.pipeline.take_suspects(), self.now, kernel);
        pause
    }

    /// What Envoys said since the last time; those that are accused are asked.
    fn hear(&mut self) {
        self.envoys.accused(&self.pipeline.take_accused());
        let mut said = Vec::new();
        self.envoys.poll(&mut |event| said.push(event));
        for event in said {
            self.event(event);
        }
    }

    fn event(&mut self, event: Event) {
        self.now = self.now.max(event.time());
        let Self { cluster, envoys, recording, is_recording_complete, pipeline, output, node, .. } = self;
        let mut take = |event: Event| {
            if let Event::Began(began) = &event {
                *node = Some(began.node.clone());
            }
            *is_recording_complete &= Recording::keep(recording, |writer| writer.write(&event));
            if output.is_ok() {
                *output = pipeline.event(&event);
            }
        };
        cluster.pass(event, &mut |event| envoys.pass(event, &mut take));
    }

    /// Everything of a drain is readable after it: a finding by who waits for it, the recording even if we are killed.
    fn flush(&mut self) {
        self.is_recording_complete &= Recording::keep(&mut self.recording, RecordWriter::flush);
        if self.output.is_ok() {
            self.output = self.pipeline.flush();
        }
    }

    /// Takes what is left, and says what is still to be said.
    fn finish(&mut self, kernel: Kernel) -> Result<(), OutputError> {
        kernel.finish(&mut |event| self.event(event));
        let mut said = Vec::new();
        self.envoys.finish(&mut |event| said.push(event));
        for event in said {
            self.event(event);
        }
        self.armer.finish();
        self.flush();
        match mem::replace(&mut self.output, Ok(())).and_then(|()| self.pipeline.finish()) {
            Err(error) if !error.is_reader_gone() => Err(error),
            _ => Ok(()),
        }
    }
}

struct Recording {
    path: PathBuf,
    writer: RecordWriter<File>,
}

impl Recording {
    fn begin(target: Target) -> Result<Self> {
        let path = target.path().to_owned();
        Ok(Self { path, writer: target.begin()? })
    }

    /// Writes to the recording, if there is one; gives it up when that fails, and then gives false.
    fn keep(
        recording: &mut Option<Self>,
        write: impl FnOnce(&mut RecordWriter<File>) -> Result<(), WriteError>,
    ) -> bool {
        let Some(Self { path, writer }) = recording else { return true };
        let Err(error) = write(writer) else { return true };
        say_stopped(path, &error);
        *recording = None;
        false
    }
}

fn say_stopped(path: &Path, error: &WriteError) {
    notice::warn(format_args!(
        "recording to {} stopped: {error}. Likely cause: a full disk. What was recorded before can be analyzed, and tracing \
         goes on without the recording",
        path.display()
    ));
}

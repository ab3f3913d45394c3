//! An agent while it runs: drains, looks after itself every second, and ends; must not know what events mean.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use crate::{
    agent::{Reread, announcing::Announcing, api, health, output, reread::Watched, status::Status},
    arming::Armer,
    config::{Agent, Capture, Envoys},
    envoys::ToldLive,
    event::time::SECOND_NS,
    given_cluster::GivenCluster,
    line_queue::LineQueue,
    live_cluster, memory,
    notice::{self, Level},
    outcome::Outcome,
    pipeline::Pipeline,
    recorder::Recorder,
    run::announce,
    session::{Parts, Session},
    sink::{
        metrics::{Metrics, health::Health},
        record::Target,
    },
    source::{
        kernel::{self, Kernel, Options},
        kube::Kube,
    },
};

/// How often it looks after itself.
const BEAT: Duration = Duration::from_secs(1);

/// How long readers of standard output are waited for at the end.
const READERS_WITHIN: Duration = Duration::from_secs(3);

/// How long the Kubernetes API is waited for at the end.
const API_WITHIN: Duration = Duration::from_secs(3);

/// A running agent.
pub(super) struct Running {
    config: Agent,
    kernel: Kernel,
    session: Session,
    metrics: Metrics,
    announcing: Announcing,
    status: Arc<Status>,
    stdout: LineQueue,
    /// How far the calendar was stepped, for what is written.
    step_ns: Arc<AtomicI64>,
    recording_lost: Option<Arc<AtomicU64>>,
    watched: Option<Watched>,
    /// When it looked after itself last.
    beaten: Option<Instant>,
    /// It was said that standard output loses lines.
    is_loss_said: bool,
}

impl Running {
    /// Attaches everything.
    pub(super) fn start(config: &Agent, metrics: Metrics, status: Arc<Status>) -> Result<Self> {
        let is_verbose = notice::is_told(Level::Debug);
        let cluster = GivenCluster::read(&config.cluster, is_verbose)?;
        let kube =
            live_cluster::start(&config.cluster, config.kubeconfig.as_deref(), config.node.as_deref())?;
        let asked = Envoys { are_asked: config.asks_proxies, ..Envoys::default() };
        let envoys = ToldLive::start(&asked, is_verbose)?;
        let target = match &config.record {
            Some((path, rotation)) => Some((Target::prepare(path)?, *rotation)),
            None => None,
        };
        let stdout = output::queue(&io::stdout()).context("standard output cannot be used")?;
        let kernel = Kernel::start(&options(config))?;
        memory::give_back();
        let recorder = target.map(|(target, rotation)| Recorder::rotating(target, rotation)).transpose()?;
        let recording_lost = recorder.as_ref().map(Recorder::lost);
        let node = config.node.clone().unwrap_or_else(kernel::node_name);
        let announcing =
            Announcing::start(kube.as_ref(), &node, config.announces.then_some(config.announced_confidence));
        let step_ns = Arc::default();
        let lines = output::Lines::new(stdout.clone(), &node, Arc::clone(&step_ns), recording_lost.clone());
        let pipeline = Pipeline::with_observers(
            config.selection.clone(),
            Box::new(lines),
            vec![Box::new(metrics.clone()), Box::new(announcing.clone())],
        );
        let armer = Armer::new(config.disarm_after);
        Ok(Self {
            config: config.clone(),
            kernel,
            session: Session::new(Parts { cluster, kube, envoys, recorder, pipeline, armer }),
            metrics,
            announcing,
            status,
            stdout,
            step_ns,
            recording_lost,
            watched: config.file.clone().map(Watched::new),
            beaten: None,
            is_loss_said: false,
        })
    }

    /// Takes what happened since the last call; tells how soon to do it again.
    pub(super) fn drain(&mut self, reread: Reread<'_>) -> Duration {
        let pause = self.session.drain(&mut self.kernel);
        self.announcing.pump(self.session.now(), self.step_ns.load(Ordering::Relaxed));
        self.status.looked();
        if self.beaten.is_none() {
            announce(&self.kernel, self.session.node(), notice::is_told(Level::Debug));
        }
        if self.beaten.is_none_or(|beaten| beaten.elapsed() >= BEAT) {
            self.beaten = Some(Instant::now());
            self.beat();
            if self.watched.as_mut().is_some_and(Watched::has_changed) {
                self.reread(reread);
            }
        }
        pause
    }

    /// Looks after itself.
    fn beat(&mut self) {
        let health = self.health();
        self.metrics.health(health);
        let api = self.session.kube().map(Kube::state);
        self.status.set_not_ready(api.as_ref().map(api::not_ready).unwrap_or_default());
        self.look_at_output();
        self.look_at_calendar();
    }

    fn health(&mut self) -> Health {
        let recording = self.recording_lost.iter().map(|lost| ("recording", lost.load(Ordering::Relaxed)));
        let output_lost = [("stdout", self.stdout.lost())].into_iter().chain(recording).collect();
        let kube = self.session.kube().map(|kube| api::health(&kube.state()));
        let announcements = self.announcing.outcomes();
        Health {
            kube,
            announcements,
            output_lost,
            ..health::read(&self.session, &mut self.kernel, self.session.now())
        }
    }

    fn look_at_output(&mut self) {
        if self.is_loss_said || self.stdout.lost() == 0 {
            return;
        }
        self.is_loss_said = true;
        let why = match self.stdout.failure() {
            Some(error) => format!("cannot be written to ({error})"),
            None => "is not read fast enough".to_owned(),
        };
        notice::warn(format_args!(
            "standard output {why}: lines are dropped and counted (mtlsnoop_output_lost_total). Tracing, metrics and \
             Kubernetes Events go on"
        ));
    }

    /// Times of lines follow the calendar; order and durations of what happened do not.
    fn look_at_calendar(&mut self) {
        let step_ns = self.kernel.calendar_step_ns();
        let before = self.step_ns.swap(step_ns, Ordering::Relaxed);
        if before.abs_diff(step_ns) >= SECOND_NS {
            notice::warn(format_args!(
                "the node's calendar was set by {} ms. Times of lines follow it; times in the recording go on as before",
                (step_ns - before) / 1_000_000
            ));
        }
    }

    /// Reads again what it is asked for, and does what can be done without a restart.
    pub(super) fn reread(&mut self, reread: Reread<'_>) {
        if let Some(watched) = &mut self.watched {
            watched.look();
        }
        let asked = match reread() {
            Ok(asked) => asked,
            Err(error) => {
                notice::warn(format_args!("{error}. What was configured before stays"));
                return;
            }
        };
        if asked.log_level != self.config.log_level {
            notice::set_level(asked.log_level);
            self.config.log_level = asked.log_level;
            notice::say(format_args!("the log level is {} now", asked.log_level.name()));
        }
        let keys = self.config.needs_restart_for(&asked);
        if !keys.is_empty() {
            notice::warn(format_args!(
                "the configuration has changed, and these keys take effect at the next start: {}",
                keys.join(", ")
            ));
        }
    }

    /// Detaches, and hands on what is left.
    pub(super) fn finish(mut self) -> Result<Outcome> {
        let health = self.health();
        self.metrics.health(health);
        let Self { mut session, kernel, stdout, announcing, step_ns, .. } = self;
        let finished = session.finish(kernel);
        let dropped = announcing.finish(session.now(), step_ns.load(Ordering::Relaxed), API_WITHIN);
        if dropped > 0 {
            notice::warn(format_args!("{dropped} announcements were not posted as Kubernetes Events"));
        }
        session.leave_cluster();
        finished?;
        let left = stdout.finish(READERS_WITHIN);
        if left + stdout.lost() > 0 {
            let lost = stdout.lost();
            notice::warn(format_args!(
                "{lost} lines of output were dropped, and {left} were not read until the end"
            ));
        }
        Ok(Outcome::Done)
    }
}

fn options(config: &Agent) -> Options {
    let capture = match config.capture {
        Capture::Adaptive => kernel::Capture::Adaptive,
        Capture::Always => kernel::Capture::Always,
    };
    let defaults = Options::for_hooks(&config.hooks);
    Options {
        capture,
        node: config.node.clone(),
        ring_bytes: config.ring_bytes.unwrap_or(defaults.ring_bytes),
        ..defaults
    }
}

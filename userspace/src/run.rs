//! `trace`: wires the live source, the recording and the pipeline, and ends them; must not know how any of them works.

use anyhow::{Context as _, Result};
use tokio::runtime;

use crate::{
    arming::Armer,
    config::{Capture, ClusterSource, Contradiction, Trace},
    envoys::ToldLive,
    given_cluster::GivenCluster,
    inputs::{Input, Inputs},
    live_cluster, memory,
    notice::{self, Level},
    outcome::Outcome,
    output,
    pipeline::Pipeline,
    recorder::Recorder,
    session::{Parts, Session},
    sink::record::Target,
    source::{
        kernel::{self, Kernel, Options},
        kube::Kube,
    },
};

/// Traces until it is told to end.
pub fn trace(config: &Trace) -> Result<Outcome> {
    if config.output.is_verbose {
        notice::set_level(Level::Debug);
    }
    let cluster = GivenCluster::read(&config.cluster, config.output.is_verbose)?;
    let kube = live_cluster::start(&config.cluster, config.kubeconfig.as_deref(), config.node.as_deref())?;
    if kube.is_none() && config.cluster == ClusterSource::Auto {
        if config.output.selection.is_of_pods() {
            notice::error(Contradiction::PodsWithoutCluster);
            return Ok(Outcome::WrongUsage);
        }
        if config.output.is_verbose {
            notice::warn("no cluster is around; `--cluster FILE` adds names of pods and Services");
        }
    }
    let envoys = ToldLive::start(&config.envoys, config.output.is_verbose)?;
    let target = config.record.as_deref().map(Target::prepare).transpose()?;
    if config.is_kernel_log_shown {
        notice::show_kernel_log();
    }
    let runtime =
        runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    runtime.block_on(live(config, (cluster, kube), envoys, target))
}

async fn live(
    config: &Trace,
    (cluster, kube): (GivenCluster, Option<Kube>),
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
    let options =
        Options { capture, kernel_log, node: config.node.clone(), ..Options::for_hooks(&config.hooks) };
    let mut kernel = Kernel::start(&options)?;
    memory::give_back();
    let mut session = Session::new(Parts {
        cluster,
        kube,
        envoys,
        recorder: target.map(Recorder::begin).transpose()?,
        pipeline: Pipeline::with_suspects(config.output.selection.clone(), output::open(&config.output)),
        armer: Armer::new(config.disarm_after),
    });
    inputs.drain_after(session.drain(&mut kernel));
    announce(&kernel, session.node(), config.output.is_verbose);
    if let Some(duration) = config.duration {
        inputs.end_after(duration);
    }
    if config.ends_with_input {
        inputs.end_with_input().context("cannot start a thread")?;
    }
    while session.is_output_open() {
        match inputs.next().await {
            Input::Drain => inputs.drain_after(session.drain(&mut kernel)),
            Input::Interrupted | Input::Elapsed | Input::HungUp => break,
        }
    }
    session.finish(kernel)?;
    session.leave_cluster();
    let has_failing_finding = config.output.is_finding_failure && session.pipeline().had_finding();
    Ok(Outcome::of(session.is_recording_complete(), has_failing_finding))
}

/// Says what is seen from now on, and what is not.
pub fn announce(kernel: &Kernel, node: Option<&str>, is_verbose: bool) {
    for hook in kernel.coverage().iter().filter(|hook| is_verbose || hook.is_lessened()) {
        notice::warn(hook);
    }
    let hooks = kernel.coverage().iter().filter(|hook| hook.program.is_some()).count();
    let node = node.unwrap_or("without a name");
    notice::say(format_args!("tracing TCP on node {node} with {hooks} hooks; Ctrl-C ends it"));
}

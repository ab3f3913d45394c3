//! `analyze`: recordings and packet captures through the same pipeline as a live trace; must not know the kernel.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    config::{Analyze, ClusterSource, Contradiction},
    envoys::ToldBefore,
    event::Event,
    given_cluster::GivenCluster,
    notice,
    outcome::{Outcome, OutputError},
    output,
    pipeline::Pipeline,
    progress::Progress,
    signals,
    source::{capture::link_name, merged::Merged, unreadable::Broken},
};

/// Says of recordings what the live trace said, and of captures what it would have said, as far as they show it.
pub fn analyze(config: &Analyze) -> Result<Outcome> {
    let cluster = GivenCluster::read(&config.cluster, config.output.is_verbose)?;
    let mut envoys = ToldBefore::read(&config.envoys, config.output.is_verbose)?;
    let mut source = Merged::open(&config.files)?;
    let captures = source.captures().count();
    let is_of_pods = config.output.selection.is_of_pods();
    if is_of_pods && captures == config.files.len() && config.cluster == ClusterSource::Auto {
        bail!(Contradiction::PodsWithoutCluster);
    }
    if captures > 0 {
        notice::warn(
            "a packet capture shows no processes, containers and network namespaces: what rests on them is not said",
        );
    }
    let is_interrupted = signals::raise_then_exit().context("cannot listen for signals")?;
    let progress = Progress::of(&config.files);
    let sink = output::open_on(&config.output, progress.beside(io::stdout()));
    let mut pipeline = Pipeline::new(config.output.selection.clone(), sink);
    let replayed = replay_into(&mut pipeline, &cluster, &mut envoys, &mut source, &progress, &is_interrupted);
    progress.end();
    envoys.finish();
    match replayed {
        Err(error) if !error.is_reader_gone() => return Err(error.into()),
        _ => {}
    }
    if is_interrupted.load(Ordering::Relaxed) {
        notice::warn("interrupted: this is of what was read until then");
    }
    let is_complete = say_what_is_missing(&source);
    Ok(Outcome::of(is_complete, config.output.is_finding_failure && pipeline.had_finding()))
}

/// Takes everything that can be read.
fn replay_into(
    pipeline: &mut Pipeline,
    cluster: &GivenCluster,
    envoys: &mut ToldBefore,
    source: &mut Merged,
    progress: &Progress,
    is_interrupted: &AtomicBool,
) -> Result<(), OutputError> {
    while let Some(event) = source.next_event() {
        if matches!(event, Event::Counted(_) | Event::Tick(_)) {
            progress.set(source.offset());
        }
        let mut taken = Ok(());
        let mut take = |event: &Event| {
            if taken.is_ok() {
                taken = pipeline.event(event);
            }
        };
        cluster.pass(&event, &mut |event| envoys.pass(event, &mut take));
        taken?;
        if is_interrupted.load(Ordering::Relaxed) {
            source.stop();
        }
    }
    pipeline.finish()
}

/// Says of each file what could not be read of it. A file that is cut short was read as far as it goes.
fn say_what_is_missing(source: &Merged) -> bool {
    for path in source.empty() {
        notice::warn(format_args!("{} holds no events", path.display()));
    }
    for (path, link) in source.captures() {
        if let Some(number) = link {
            let name = link_name(number);
            notice::warn(format_args!(
                "{}: packets of link type {number} ({name}) were not read",
                path.display()
            ));
        }
    }
    let mut is_complete = true;
    for (path, broken) in source.broken() {
        is_complete &= matches!(broken, Broken::CutShort { .. });
        notice::warn(format_args!("{}: {broken}", path.display()));
    }
    if source.repeated() > 0 {
        let repeated = source.repeated();
        notice::warn(format_args!("{repeated} connections are in several files, and told once"));
    }
    is_complete
}

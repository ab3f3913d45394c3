//! `analyze`: a recording through the same pipeline as a live trace; must not know the kernel.

use anyhow::Result;

use crate::{
    config::Analyze,
    envoys::ToldBefore,
    event::Event,
    given_cluster::GivenCluster,
    notice,
    outcome::{Outcome, OutputError},
    output,
    pipeline::Pipeline,
    source::replay::{Broken, Replay},
};

/// Says of a recording what the live trace said.
pub fn analyze(config: &Analyze) -> Result<Outcome> {
    let cluster = GivenCluster::read(&config.cluster, config.output.is_verbose)?;
    let mut envoys = ToldBefore::read(&config.envoys, config.output.is_verbose)?;
    let mut replay = Replay::open(&config.file)?;
    let mut pipeline = Pipeline::new(config.output.selection.clone(), output::open(&config.output));

    let mut events = 0_u64;
    let mut next = || {
        let event = replay.next_event()?;
        events += u64::from(event.is_some());
        Ok(event)
    };
    let broken = match replay_into(&mut pipeline, &cluster, &mut envoys, &mut next) {
        Ok(broken) => broken,
        Err(error) if error.is_reader_gone() => None,
        Err(error) => return Err(error.into()),
    };
    envoys.finish();
    if events == 0 {
        notice::warn(format_args!("{} holds no events", config.file.display()));
    }
    let is_complete = broken.as_ref().is_none_or(|broken| matches!(broken, Broken::CutShort { .. }));
    if let Some(broken) = broken {
        notice::warn(format_args!("{}: {broken}", config.file.display()));
    }
    Ok(Outcome::of(is_complete, config.output.is_finding_failure && pipeline.had_finding()))
}

/// Takes everything that can be read; gives why that is not all.
fn replay_into(
    pipeline: &mut Pipeline,
    cluster: &GivenCluster,
    envoys: &mut ToldBefore,
    next: &mut dyn FnMut() -> Result<Option<Event>, Broken>,
) -> Result<Option<Broken>, OutputError> {
    let broken = loop {
        let event = match next() {
            Ok(Some(event)) => event,
            Ok(None) => break None,
            Err(broken) => break Some(broken),
        };
        let mut taken = Ok(());
        let mut take = |event: Event| {
            if taken.is_ok() {
                taken = pipeline.event(&event);
            }
        };
        cluster.pass(event, &mut |event| envoys.pass(event, &mut take));
        taken?;
    };
    pipeline.finish()?;
    Ok(broken)
}

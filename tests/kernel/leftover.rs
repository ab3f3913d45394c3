//! Nothing stays in the kernel when the tracer ends, by whatever means, and traffic does not notice.

use std::{collections::BTreeSet, fs, path::PathBuf, process};

use anyhow::{Result, ensure};
use aya::{
    maps::loaded_maps,
    programs::{loaded_links, loaded_programs},
};
use mtlsnoop::source::kernel::{Capture, Kernel, Options};
use mtlsnoop_tests::{
    command::Launch,
    program::TRACER,
    wait::{self, until_true},
};
use nix::sys::signal::Signal;

use crate::ground::{Ground, Pair};

/// Objects in the kernel by their numbers, which it does not give again soon.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Objects {
    programs: BTreeSet<u32>,
    maps: BTreeSet<u32>,
    links: BTreeSet<u32>,
}

impl Objects {
    /// What a process holds: its descriptors tell (`bpf_prog_show_fdinfo` and its like in kernel/bpf/syscall.c).
    pub(crate) fn held_by(pid: u32) -> Result<Self> {
        let mut objects = Self::default();
        for descriptor in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
            // One that was closed meanwhile holds nothing.
            let told = fs::read_to_string(descriptor?.path()).unwrap_or_default();
            for (name, ids) in [
                ("prog_id:", &mut objects.programs),
                ("map_id:", &mut objects.maps),
                ("link_id:", &mut objects.links),
            ] {
                ids.extend(
                    told.lines().filter_map(|line| line.strip_prefix(name)?.trim().parse::<u32>().ok()),
                );
            }
        }
        Ok(objects)
    }

    /// Those of these that the kernel still has. One that is being freed has a number, but cannot be opened any more: it is
    /// not there. That any can be opened is for the caller to check, while they are.
    fn still_there(&self) -> Self {
        let mut there = Self::default();
        there.programs.extend(loaded_programs().flatten().map(|program| program.id()));
        there.maps.extend(loaded_maps().flatten().map(|map| map.id()));
        there.links.extend(loaded_links().flatten().map(|link| link.id()));
        let both =
            |mine: &BTreeSet<u32>, theirs: &BTreeSet<u32>| mine.intersection(theirs).copied().collect();
        Self {
            programs: both(&self.programs, &there.programs),
            maps: both(&self.maps, &there.maps),
            links: both(&self.links, &there.links),
        }
    }

    fn check_all_kinds_are_there(&self) -> Result<()> {
        ensure!(self.still_there() == *self, "{self:?} should be in the kernel");
        ensure!(!self.programs.is_empty() && !self.maps.is_empty() && !self.links.is_empty(), "{self:?}");
        Ok(())
    }
}

/// Sends blocks of changing sizes there and back, and looks at every byte that comes.
struct Echo {
    pair: Pair,
    rounds: usize,
}

impl Echo {
    fn round(&mut self) -> Result<()> {
        self.rounds += 1;
        let block: Vec<u8> =
            (0..=u8::MAX).cycle().skip(self.rounds).take(self.rounds * 37 % 9000 + 1).collect();
        self.pair.client.send(&block)?;
        self.pair.server.receive(&block)?;
        self.pair.server.send(&block)?;
        self.pair.client.receive(&block)
    }
}

#[test]
fn after_it_is_dropped() -> Result<()> {
    for capture in [Capture::Always, Capture::Sentinel] {
        let before = Objects::held_by(process::id())?;
        assert_eq!(before, Objects::default());
        let kernel = Kernel::start(&Options { capture, ..Options::default() })?;
        let held = Objects::held_by(process::id())?;
        held.check_all_kinds_are_there()?;
        drop(kernel);
        // The kernel frees them after everybody who may still run them has left.
        until_true("the kernel to free everything", wait::LONG, || {
            Ok(held.still_there() == Objects::default())
        })?;
    }
    Ok(())
}

#[test]
fn while_it_is_paused_programs_stay_and_links_do_not() -> Result<()> {
    for capture in Capture::ALL {
        let mut kernel = Kernel::start(&Options { capture, ..Options::default() })?;
        let running = Objects::held_by(process::id())?;
        kernel.pause();
        let paused = Objects::held_by(process::id())?;
        assert_eq!((&paused.programs, &paused.maps), (&running.programs, &running.maps), "{capture:?}");
        assert_eq!(paused.links, BTreeSet::new(), "{capture:?}");
        kernel.resume()?;
        let resumed = Objects::held_by(process::id())?;
        assert_eq!(resumed.links.len(), running.links.len(), "{capture:?}");
        resumed.check_all_kinds_are_there()?;
    }
    Ok(())
}

#[test]
fn after_it_is_killed_and_traffic_goes_on_unchanged() -> Result<()> {
    const ROUNDS: usize = 100;
    for signal in [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGINT] {
        let ground = Ground::new()?;
        let folder = tempfile::tempdir()?;
        let mut echo = Echo { pair: ground.pair()?, rounds: 0 };
        echo.round()?;
        let launch = Launch::new(&TRACER.find()?, folder.path()).args([
            "trace",
            "-o",
            "json",
            "--cluster",
            "none",
            "--all",
        ]);
        let mut tracer = launch.start()?;
        tracer.wait_for_stderr("the tracer to be ready", |line| line.starts_with("tracing"))?;
        let held = Objects::held_by(tracer.pid())?;
        held.check_all_kinds_are_there()?;
        while echo.rounds < ROUNDS {
            echo.round()?;
        }
        tracer.signal(signal)?;
        until_true(format!("the kernel to free everything after {signal}"), wait::LONG, || {
            echo.round()?;
            // Only then is the killed process's entry gone, with its descriptors.
            Ok(tracer.ended()?.is_some() && held.still_there() == Objects::default())
        })?;
        let later = echo.rounds + ROUNDS;
        while echo.rounds < later {
            echo.round()?;
        }
        echo.pair.client.close()?;
        assert_eq!(echo.pair.server.receive_rest()?, b"");
    }
    Ok(())
}

#[test]
fn nothing_is_pinned() -> Result<()> {
    let pins = PathBuf::from("/sys/fs/bpf");
    let list = || -> BTreeSet<PathBuf> {
        fs::read_dir(&pins).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    let before = list();
    let kernel = Kernel::start(&Options::default())?;
    let during = list();
    drop(kernel);
    assert_eq!(during.difference(&before).count(), 0, "{during:?}");
    Ok(())
}

//! What Envoys say beside the traffic, wired to a run: dumps after the beginning, logs as their time comes, proxies when they are accused; must
//! not know how findings come about.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{
    config::Envoys,
    event::{
        Event,
        envoy::{ClustersSeen, LogEntry},
        time::{SECOND_NS, Time},
    },
    notice,
    source::{
        config_dump::{self, Reading, Unused, admin::Admin},
        envoy_log::{
            self, Reader, Tally,
            follow::Follow,
            piped::{self, Piped},
        },
    },
};

/// How often logs that are followed are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How far entries of a whole log go before events of the same time: an entry tells of attempts that were over before it, as those of a
/// request that was tried again.
const AHEAD_NS: u64 = 30 * SECOND_NS;

/// Entries that ended before what is analyzed began are of nothing that is in it; clocks of logs are cut to milliseconds.
const BEFORE_NS: u64 = SECOND_NS;

/// Configurations from files.
#[derive(Debug, Default)]
struct Dumps(Vec<ClustersSeen>);

impl Dumps {
    fn read(asked: &Envoys, is_verbose: bool) -> Result<Self, config_dump::Error> {
        let read = |path: &Path| {
            let Reading { clusters, node, unused } = config_dump::read(path)?;
            let (path, count) = (path.display(), clusters.len());
            if unused.is_loss() || (is_verbose && unused != Unused::default()) {
                notice::warn(format_args!("not used from {path}: {unused}"));
            }
            if is_verbose {
                notice::warn(format_args!("{path} has {count} clusters"));
            }
            Ok(ClustersSeen { time: Time::default(), node, netns: None, clusters })
        };
        asked.dumps.iter().map(|path| read(path)).collect::<Result<_, _>>().map(Self)
    }

    /// They were there before anything that is seen, after the beginning.
    fn pass(&self, beginning: &Event, on: &mut dyn FnMut(&Event)) {
        let time = beginning.time();
        on(beginning);
        for dump in &self.0 {
            on(&Event::EnvoyClusters(Box::new(ClustersSeen { time, ..dump.clone() })));
        }
    }
}

/// What Envoys said of what is analyzed afterwards.
pub struct ToldBefore {
    dumps: Dumps,
    logs: Vec<Reader>,
    first: Option<Time>,
    is_verbose: bool,
}

impl ToldBefore {
    /// Reads the dumps and opens the logs.
    pub fn read(asked: &Envoys, is_verbose: bool) -> anyhow::Result<Self> {
        let dumps = Dumps::read(asked, is_verbose)?;
        let logs = asked.logs.iter().map(|path| Reader::open(path)).collect::<Result<_, _>>()?;
        Ok(Self { dumps, logs, first: None, is_verbose })
    }

    /// Passes an event on, with what was said until shortly after it.
    pub fn pass(&mut self, event: &Event, on: &mut dyn FnMut(&Event)) {
        let now = event.time();
        let is_first = self.first.is_none();
        let first = *self.first.get_or_insert(now);
        // The beginning goes before everything; several files have several.
        if is_first {
            self.dumps.pass(event, on);
            return self.hand_over(first, now, on);
        }
        self.hand_over(first, now, on);
        on(event);
    }

    fn hand_over(&mut self, first: Time, now: Time, on: &mut dyn FnMut(&Event)) {
        self.logs.retain_mut(|log| match hand_over(log, first, now, on) {
            Ok(()) => true,
            Err(error) => {
                notice::warn(format_args!("{error}; what was read before is used"));
                false
            }
        });
    }

    /// Says what the logs held that was not used.
    pub fn finish(&self) {
        for log in &self.logs {
            say(log.path(), log.tally(), self.is_verbose);
            if !log.tally().has_entries() {
                notice::warn(format_args!(
                    "{} has no entry of an access log; is it the log of the container istio-proxy, and does the mesh write one \
                     (meshConfig.accessLogFile: /dev/stdout)?",
                    log.path().display()
                ));
            }
        }
    }
}

/// Entries that were over before `now`, and a little later ones.
fn hand_over(
    log: &mut Reader,
    first: Time,
    now: Time,
    on: &mut dyn FnMut(&Event),
) -> Result<(), envoy_log::Error> {
    while log.peek()?.is_some_and(|entry| entry.ended() <= now + AHEAD_NS) {
        let Some(entry) = log.take()? else { break };
        if first <= entry.ended() + BEFORE_NS {
            on(&Event::EnvoyLog(Box::new(LogEntry { time: now, ..entry })));
        }
    }
    Ok(())
}

/// A log that is written while it is read.
enum Live {
    File(Follow),
    Pipe(Piped),
}

/// What Envoys say while a live trace goes on.
pub struct ToldLive {
    dumps: Dumps,
    logs: Vec<Live>,
    admin: Option<Admin>,
    last: Option<Instant>,
    is_verbose: bool,
}

impl ToldLive {
    /// Reads the dumps and begins to follow the logs.
    pub fn start(asked: &Envoys, is_verbose: bool) -> anyhow::Result<Self> {
        let open = |path: &PathBuf| {
            if piped::is_pipe(path) {
                Piped::start(path).map(Live::Pipe)
            } else {
                Follow::open(path).map(Live::File)
            }
        };
        let dumps = Dumps::read(asked, is_verbose)?;
        let logs = asked.logs.iter().map(open).collect::<Result<_, _>>()?;
        let admin = asked.are_asked.then(Admin::default);
        Ok(Self { dumps, logs, admin, last: None, is_verbose })
    }

    /// Passes an event of the kernel on, after the beginning with the dumps.
    pub fn pass(&self, event: &Event, on: &mut dyn FnMut(&Event)) {
        match event {
            Event::Began(_) => self.dumps.pass(event, on),
            other => on(other),
        }
    }

    /// There is a finding about these proxies.
    pub fn accused(&mut self, pids: &[u32]) {
        if let Some(admin) = &mut self.admin {
            for pid in pids {
                admin.want(*pid);
            }
        }
    }

    /// Hands over what was said since the last call; it looks no more often than makes sense. `now` is in the time of events, and
    /// `step_ns` how far the calendar was stepped since that began.
    pub fn poll(&mut self, now: Time, step_ns: i64, on: &mut dyn FnMut(Event)) {
        if self.last.is_some_and(|last| last.elapsed() < LOOK_EVERY) {
            return;
        }
        self.last = Some(Instant::now());
        self.poll_logs(now, step_ns, on);
        self.poll_admin(now, on);
    }

    /// Takes what is left, and says what was not used.
    pub fn finish(&mut self, now: Time, step_ns: i64, on: &mut dyn FnMut(Event)) {
        self.poll_logs(now, step_ns, on);
        for log in &self.logs {
            let (path, tally) = match log {
                Live::File(log) => (log.path(), log.tally()),
                Live::Pipe(log) => (log.path(), log.tally()),
            };
            say(path, tally, self.is_verbose);
        }
    }

    fn poll_logs(&mut self, now: Time, step_ns: i64, on: &mut dyn FnMut(Event)) {
        let mut take = |entry: LogEntry| {
            on(Event::EnvoyLog(Box::new(told_at(now, step_ns, entry))));
        };
        self.logs.retain_mut(|log| match log {
            Live::Pipe(log) => {
                log.poll(&mut take);
                true
            }
            Live::File(log) => match log.poll(&mut take) {
                Ok(()) => true,
                Err(error) => {
                    notice::warn(format_args!("{error}. It is followed no longer"));
                    false
                }
            },
        });
    }

    fn poll_admin(&mut self, now: Time, on: &mut dyn FnMut(Event)) {
        let Some(told) = self.admin.as_mut().and_then(Admin::poll) else { return };
        match told {
            Ok(told) => {
                if told.unused.is_loss() {
                    notice::warn(format_args!("not used from a proxy's configuration: {}", told.unused));
                }
                on(Event::EnvoyClusters(Box::new(ClustersSeen { time: now, ..told.seen })));
            }
            Err(error) if error.is_for_all() => {
                notice::warn(format_args!(
                    "--config-dump auto is given up: {error}. Tracing goes on without"
                ));
                self.admin = None;
            }
            Err(error) => notice::warn(error),
        }
    }
}

/// The entry in the time of events, which go on through a step of the calendar as if there had been none. It became known now, or is of
/// a log whose clock is a little ahead.
fn told_at(now: Time, step_ns: i64, entry: LogEntry) -> LogEntry {
    let entry = LogEntry { began: Time(entry.began.0.saturating_sub_signed(step_ns)), ..entry };
    LogEntry { time: entry.ended().clamp(now, now + SECOND_NS), ..entry }
}

fn say(path: &Path, tally: &Tally, is_verbose: bool) {
    if is_verbose || tally.unreadable > 0 {
        notice::warn(format_args!("{}: {tally}", path.display()));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{AHEAD_NS, LogEntry, ToldBefore, told_at};
    use crate::{
        config::Envoys,
        event::{
            Began, Capture, Event,
            time::{SECOND_NS, Time},
        },
    };

    /// 2026-11-22T21:00:00Z.
    const BEGAN: Time = Time(1_795_381_200 * SECOND_NS);

    fn line(at: &str, cluster: &str) -> String {
        format!(
            "[2026-11-22T{at}.000Z] \"- - -\" 0 UF,URX - - \"-\" 0 0 1000 - \"-\" \"-\" \"-\" \"-\" \"10.1.1.24:6379\" {cluster} - \
             10.1.1.24:6379 10.1.1.25:45940 - -\n"
        )
    }

    fn named(event: &Event) -> String {
        match event {
            Event::Began(_) => "began".to_owned(),
            Event::EnvoyClusters(seen) => seen.clusters[0].name.to_string(),
            Event::EnvoyLog(entry) => entry.upstream_cluster.as_deref().unwrap_or_default().to_owned(),
            other => format!("{}", (other.time().0 - BEGAN.0) / SECOND_NS),
        }
    }

    #[test]
    fn dumps_come_after_the_beginning_and_entries_shortly_before_their_time() {
        let folder = tempfile::tempdir().unwrap();
        let (log, dump) = (folder.path().join("log"), folder.path().join("dump"));
        let lines =
            [("20:59:30", "before"), ("21:00:05", "early"), ("21:01:00", "later"), ("21:59:00", "after")];
        fs::write(&log, lines.map(|(at, cluster)| line(at, cluster)).concat()).unwrap();
        fs::write(&dump, r#"[{"name": "dump"}]"#).unwrap();
        let asked = Envoys { logs: vec![log], dumps: vec![dump], are_asked: false };
        let mut told = ToldBefore::read(&asked, false).unwrap();
        let began = |time| {
            Event::Began(Began { time, node: "node".into(), capture: Capture::Always, looks_up: false })
        };
        let mut passed = Vec::new();
        for event in [
            began(BEGAN),
            Event::Tick(BEGAN + SECOND_NS),
            began(BEGAN + 2 * SECOND_NS),
            Event::Tick(BEGAN + 61 * SECOND_NS - AHEAD_NS),
            Event::Tick(BEGAN + 90 * SECOND_NS),
        ] {
            told.pass(&event, &mut |event| {
                assert!(event.time() <= BEGAN + 90 * SECOND_NS, "nothing makes time pass");
                passed.push(named(event));
            });
        }
        assert_eq!(passed, ["began", "dump", "early", "1", "began", "later", "31", "90"]);
    }

    #[test]
    fn an_entry_is_of_the_time_of_events_also_after_the_calendar_was_stepped() {
        let (now, hour_ns) = (Time(1_700_000_000 * SECOND_NS), 3600 * SECOND_NS.cast_signed());
        for (step_ns, began, time) in [
            (0, now - SECOND_NS, now),
            (0, now + 10, now + 10),
            (0, now + 3600 * SECOND_NS, now + SECOND_NS),
            (hour_ns, now + 3599 * SECOND_NS, now),
            (-hour_ns, now - 3601 * SECOND_NS, now),
        ] {
            let entry = LogEntry { began, ..LogEntry::default() };
            let told = told_at(now, step_ns, entry);
            let in_events = Time(began.0.saturating_sub_signed(step_ns));
            assert_eq!((told.time, told.began), (time, in_events), "{step_ns} {began:?}");
        }
    }
}

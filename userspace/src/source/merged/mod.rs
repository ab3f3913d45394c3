//! Several recordings and captures as one stream of events, by time; must not know what becomes of the events.
//!
//! What is a number of one kernel (sockets, network namespaces, control groups) is told apart by file and node. A
//! connection end that is in several files is told once.

mod clocks;
mod counts;
mod numbers;
mod once;
mod recorded;

use std::path::{Path, PathBuf};

use crate::{
    event::{Capture, Event, time::Time},
    source::{
        input::{Format, Input},
        merged::{counts::Counts, numbers::Numbers, once::Once, recorded::Recorded},
        unreadable::{Broken, OpenError, Reason},
    },
};

/// Files that are read together.
pub struct Merged {
    members: Vec<Member>,
    numbers: Numbers,
    once: Once,
    counts: Counts,
}

struct Member {
    path: PathBuf,
    input: Input,
    /// Its events are taken so much later than those of others.
    delay_ns: u64,
    /// Read already, because its time must be known.
    next: Option<Event>,
    broken: Option<Broken>,
    events: u64,
}

impl Merged {
    /// Opens all files.
    pub fn open(paths: &[PathBuf]) -> Result<Self, OpenError> {
        let mut members = paths.iter().map(|path| Member::open(path)).collect::<Result<Vec<_>, _>>()?;
        for member in &mut members {
            member.advance();
        }
        refuse_mixed_modes(&members)?;
        let is_several = members.len() > 1;
        let captures =
            members.iter().filter(|member| matches!(member.input.format(), Format::Capture(_))).count();
        let recorded = Recorded::of(paths, captures > 0 && captures < members.len());
        if is_several {
            for (member, delay_ns) in members.iter_mut().zip(clocks::delays_ns(paths)) {
                member.delay_ns = delay_ns;
            }
        }
        let nodes: Vec<_> = members.iter().map(Member::node).collect();
        Ok(Self {
            numbers: Numbers::of(is_several, &nodes),
            once: Once::new(members.len(), recorded),
            counts: Counts::new(members.len()),
            members,
        })
    }

    /// The next event; none when nothing more can be read of any file.
    pub fn next_event(&mut self) -> Option<Event> {
        loop {
            let (index, mut event) = self.take_earliest()?;
            if self.members.len() == 1 {
                return Some(event);
            }
            self.numbers.apply(index, &mut event);
            if self.once.is_told_already(index, &event, &|member| self.members[member].next.is_none()) {
                continue;
            }
            if let Event::Counted(counters) = event {
                let repeated: Vec<_> =
                    (0..self.members.len()).map(|member| self.once.repeated(member)).collect();
                event = Event::Counted(self.counts.sum(index, counters, &repeated));
            }
            return Some(event);
        }
    }

    /// No more is read; what was read is told.
    pub fn stop(&mut self) {
        self.members.iter_mut().for_each(|member| member.input.stop());
    }

    /// How many bytes of all files were read.
    pub fn offset(&self) -> u64 {
        self.members.iter().map(|member| member.input.offset()).sum()
    }

    /// Connection ends that are in several files.
    pub fn repeated(&self) -> u64 {
        (0..self.members.len()).map(|member| self.once.repeated(member)).sum()
    }

    /// Files that hold nothing.
    pub fn empty(&self) -> impl Iterator<Item = &Path> {
        self.members.iter().filter(|member| member.events == 0).map(|member| member.path.as_path())
    }

    /// Packet captures, each with a link type in it that is not read.
    pub fn captures(&self) -> impl Iterator<Item = (&Path, Option<u16>)> {
        self.members.iter().filter_map(|member| match member.input.format() {
            Format::Capture(capture) => Some((member.path.as_path(), capture.other_link())),
            Format::Recording(_) => None,
        })
    }

    /// Files that could not be read to their ends, and why.
    pub fn broken(&self) -> impl Iterator<Item = (&Path, &Broken)> {
        self.members.iter().filter_map(|member| Some((member.path.as_path(), member.broken.as_ref()?)))
    }

    /// Of the files whose next event is the earliest, the first one's.
    fn take_earliest(&mut self) -> Option<(usize, Event)> {
        let time = |member: &Member| Some(member.next.as_ref()?.time() + member.delay_ns);
        let (index, _): (usize, Time) = self
            .members
            .iter()
            .enumerate()
            .filter_map(|(index, member)| Some((index, time(member)?)))
            .min_by_key(|(index, time)| (*time, *index))?;
        let member = self.members.get_mut(index)?;
        let event = member.next.take()?;
        member.advance();
        Some((index, event))
    }
}

impl Member {
    fn open(path: &Path) -> Result<Self, OpenError> {
        let input = Input::open(path)?;
        Ok(Self { path: path.to_owned(), input, delay_ns: 0, next: None, broken: None, events: 0 })
    }

    fn advance(&mut self) {
        match self.input.next_event() {
            Ok(next) => self.next = next,
            Err(broken) => self.broken = Some(broken),
        }
        self.events += u64::from(self.next.is_some());
    }

    /// Where it was recorded; none for captures, which do not tell.
    fn node(&self) -> Option<Box<str>> {
        match (self.input.format(), &self.next) {
            (Format::Recording(_), Some(Event::Began(began))) => Some(began.node.clone()),
            (Format::Recording(_) | Format::Capture(_), _) => None,
        }
    }

    fn mode(&self) -> Option<Capture> {
        match &self.next {
            Some(Event::Began(began)) => Some(began.capture),
            _ => None,
        }
    }
}

/// Ends are counted in one mode, and beginnings in the other: there is no sum of both.
fn refuse_mixed_modes(members: &[Member]) -> Result<(), OpenError> {
    let is_adaptive = |member: &&Member| member.mode() == Some(Capture::Adaptive);
    let adaptive = members.iter().find(is_adaptive);
    match adaptive {
        Some(member) if !members.iter().all(|member| is_adaptive(&member)) => {
            Err(OpenError { path: member.path.clone(), reason: Reason::MixedModes })
        }
        _ => Ok(()),
    }
}

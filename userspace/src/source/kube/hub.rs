//! Where everything that is told by watches, lookups and who asks for them comes together and goes on to the core, in one
//! place and in its order. Knows no protocol.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kube::Client;
use tokio::{
    sync::mpsc::Receiver,
    task::JoinSet,
    time::{Instant as Sleeping, sleep_until},
};

use crate::{
    event::{
        cluster::{Change, Lookup},
        istio::Istio,
    },
    memory,
    source::kube::{
        limits::Limits,
        lookup::{
            Lookups, Over, Question,
            fetch::{self, Answer},
            kept::Id,
        },
        outbox::Outbox,
        state::{Board, Watch},
        watch::{Heard, News},
        world::World,
    },
};

/// Changes of Istio's objects are told together, so long after the first.
const DEBOUNCE: Duration = Duration::from_millis(250);

/// They are told at most so often, because all of them are told each time.
const ISTIO_PAUSE: Duration = Duration::from_secs(1);

/// Even while a list is on its way, they wait no longer.
const ISTIO_PATIENCE: Duration = Duration::from_secs(10);

/// Something is forgotten so often.
const TIDY_PAUSE: Duration = Duration::from_secs(10);

/// News that are taken in a row before anything else is looked at.
const MOST_NEWS: usize = 1024;

/// A list of so many objects leaves much memory behind that is not needed again.
const LARGE_LIST: usize = 1000;

/// Where it comes together.
pub(super) struct Hub {
    client: Client,
    board: Arc<Board>,
    limits: Limits,
    world: World,
    lookups: Lookups,
    answers: JoinSet<(Question, Answer)>,
    outbox: Outbox,
    /// Told since the last pause; kept for its memory.
    changes: Vec<Change>,
    /// When something of Istio's changed that is not told yet.
    istio_since: Option<Instant>,
    istio_told: Option<Instant>,
    tidied: Instant,
    listed: usize,
}

impl Hub {
    pub(super) fn new(client: Client, board: Arc<Board>, limits: Limits, outbox: Outbox) -> Self {
        Self {
            client,
            board,
            limits,
            world: World::new(&limits),
            lookups: Lookups::new(limits),
            answers: JoinSet::new(),
            outbox,
            changes: Vec::new(),
            istio_since: None,
            istio_told: None,
            tidied: Instant::now(),
            listed: 0,
        }
    }

    /// Takes and tells until nobody asks any more.
    pub(super) async fn run(mut self, mut heard: Receiver<Heard>, mut asked: Receiver<Vec<Lookup>>) {
        loop {
            let wake = Sleeping::from_std(self.wake_at(Instant::now()));
            tokio::select! {
                news = heard.recv() => {
                    let Some(news) = news else { return };
                    self.hear(news).await;
                }
                lookups = asked.recv() => {
                    let Some(lookups) = lookups else { return };
                    self.ask(lookups);
                }
                Some(answer) = self.answers.join_next() => {
                    // One that panicked is never answered; the core does not wait for long.
                    if let Ok((question, answer)) = answer {
                        self.answered(&question, answer);
                    }
                }
                () = sleep_until(wake) => {}
            }
            for _ in 0..MOST_NEWS {
                let Ok(news) = heard.try_recv() else { break };
                self.hear(news).await;
            }
            let now = Instant::now();
            self.begin_lookups(now);
            self.tidy(now);
            self.tell_istio(now);
            self.put().await;
            self.outbox.flush().await;
        }
    }

    async fn hear(&mut self, heard: Heard) {
        let is_other = match heard {
            Heard::Mesh(mesh) => self.world.book.set_mesh(mesh),
            Heard::Watch(watch, news) => {
                let is_end = matches!(news, News::Listed | News::Absent);
                self.listed += usize::from(matches!(news, News::Is { .. }));
                let is_other = if Watch::ISTIO.contains(&watch) {
                    self.world.book.hear(watch, news)
                } else {
                    self.world.hear(watch, news, &mut self.changes);
                    false
                };
                self.world.count(watch, &self.board);
                if is_end && std::mem::take(&mut self.listed) > LARGE_LIST {
                    memory::give_back();
                }
                is_other
            }
        };
        if is_other {
            self.istio_since.get_or_insert_with(Instant::now);
        }
        self.put().await;
    }

    fn ask(&mut self, lookups: Vec<Lookup>) {
        let now = Instant::now();
        for lookup in lookups {
            let is_held = self.world.is_held(lookup.address);
            let over = self.lookups.ask(lookup, is_held, now);
            self.over(over);
        }
    }

    fn begin_lookups(&mut self, now: Instant) {
        while let Some(question) = self.lookups.next(now) {
            let client = self.client.clone();
            match question.clone() {
                Question::Holder(address) => {
                    let named = self.world.named(address);
                    self.answers
                        .spawn(async move { (question, fetch::holder(client, address, named).await) });
                }
                Question::Service(key) => {
                    let has_slices = self.world.has_slices(&key);
                    self.answers
                        .spawn(async move { (question, fetch::service(client, key, has_slices).await) });
                }
            }
        }
    }

    /// What was found comes before the word that it was looked up.
    fn answered(&mut self, question: &Question, answer: Answer) {
        let now = Instant::now();
        let outcome = answer.outcome();
        let service = if let Question::Service(key) = question { Some(key) } else { None };
        self.world.found(answer, service, now, &mut self.changes);
        self.board.kept(self.world.kept.len());
        let over = self.lookups.answered(question, outcome, now);
        self.over(over);
    }

    fn over(&mut self, over: impl IntoIterator<Item = Over>) {
        for (looked_up, result) in over {
            self.board.looked_up(result);
            self.changes.push(Change::LookedUp(looked_up));
        }
    }

    /// Forgets what was looked up long ago.
    fn tidy(&mut self, now: Instant) {
        if now < self.tidied + TIDY_PAUSE.min(self.limits.kept_for) {
            return;
        }
        self.tidied = now;
        self.lookups.forget(now);
        if let Some(before) = now.checked_sub(self.limits.kept_for) {
            self.changes.extend(self.world.kept.expired(before).into_iter().map(Id::gone));
            self.board.kept(self.world.kept.len());
        }
    }

    fn tell_istio(&mut self, now: Instant) {
        if self.istio_at().is_none_or(|at| now < at) {
            return;
        }
        self.istio_since = None;
        let istio = self.world.book.istio();
        if self.istio_told.is_some() || istio != Istio::default() {
            self.istio_told = Some(now);
            self.changes.push(Change::Istio(Box::new(istio)));
        }
    }

    /// When Istio's objects are to be told.
    fn istio_at(&self) -> Option<Instant> {
        let since = self.istio_since?;
        let wait = if self.world.book.is_listing() { ISTIO_PATIENCE } else { DEBOUNCE };
        let pause_ends = self.istio_told.map_or(since, |told| told + ISTIO_PAUSE);
        Some(pause_ends.max(since + wait))
    }

    /// When something is to be done though nothing comes.
    fn wake_at(&self, now: Instant) -> Instant {
        let tidy = self.tidied + TIDY_PAUSE.min(self.limits.kept_for);
        let due = [self.lookups.ready_at(now), self.istio_at()];
        due.into_iter().flatten().fold(tidy, Instant::min)
    }

    async fn put(&mut self) {
        for change in self.changes.drain(..) {
            self.outbox.put(change).await;
        }
    }
}

//! The live cluster: the Kubernetes API, spoken with on a thread of its own. Little of it is watched (this node's pods, headless
//! Services, Istio's objects), and anything else is looked up when it is asked for. Knows nothing of findings.
//!
//! Nothing that the API server does or does not do is fatal: what is known stays known, [`State`] says what is wrong, and it
//! is tried again.

mod around;
mod book;
mod counted;
mod discovery;
mod hub;
mod kind;
mod known;
mod limits;
mod lookup;
mod mesh;
mod outbox;
mod request;
mod state;
#[cfg(test)]
mod tests;
mod watch;
mod world;

use std::{mem, path::PathBuf, sync::Arc, thread};

use ::kube::{Client, client::ClientBuilder, runtime::watcher::Config};
use tokio::{
    runtime::{self, Handle, Runtime},
    sync::{
        mpsc::{self, Sender, error::TrySendError},
        watch as latest,
    },
    time::{Duration, sleep},
};

use crate::{
    event::{
        ClusterChanged, Event,
        cluster::{Change, LookedUp, Lookup, LookupFailure},
        time::Time,
    },
    notice,
    source::kube::{
        counted::Counting,
        discovery::Discovery,
        hub::Hub,
        kind::{Kind, Pods, Services, Slices},
        outbox::Inbox,
        state::{Board, Watch},
        watch::{Heard, Watched, describe},
    },
};

pub use around::StartError;
pub use limits::Limits;
pub use state::{Condition, LookupResult, RequestCount, State, WatchState};

/// Batches of lookups that wait to be looked at.
const MOST_BATCHES: usize = 64;

/// Objects that wait to be looked at.
const MOST_HEARD: usize = 64;

/// Batches of changes that are given in one call: what is left comes with the next one, so that none takes long.
const MOST_IN_A_ROW: usize = 8;

/// Objects in one page of a list, so that no answer is large: a slice has up to some 30 kB, a Service about 2 kB.
const PAGE_OF_SLICES: u32 = 100;
const PAGE_OF_SERVICES: u32 = 250;

/// Label of the slices of headless Services (`pkg/controller/endpointslice`; `k8s.io/api/core/v1/well_known_labels.go`,
/// `IsHeadlessService`).
const HEADLESS: &str = "service.kubernetes.io/headless";

/// After a kind that every cluster has was said to be absent, it is asked for again.
const ABSENT_PAUSE: Duration = Duration::from_mins(1);

/// Patience with name servers and the like at the end.
const STOP_PATIENCE: Duration = Duration::from_millis(100);

/// What the source is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name of this node, as its pods have it in `spec.nodeName`.
    pub node: Box<str>,
    /// The kubeconfig to use; without it the account of this pod, or else the user's own kubeconfig.
    pub kubeconfig: Option<PathBuf>,
    /// Bounds and pauses.
    pub limits: Limits,
}

/// The API, spoken with elsewhere: a handle that never waits.
pub struct Kube {
    client: Client,
    handle: Handle,
    inbox: Inbox,
    asked: Sender<Vec<Lookup>>,
    /// Lookups that were too many, still to be said.
    refused: Vec<Change>,
    board: Arc<Board>,
    thread: thread::JoinHandle<()>,
}

impl Kube {
    /// Starts to speak with the cluster that is around; none where there is none that can be used. Only a kubeconfig that was
    /// named must be right.
    pub fn start(options: &Options) -> Result<Option<Self>, StartError> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let Some(config) = runtime.block_on(around::find(options.kubeconfig.as_deref()))? else {
            return Ok(None);
        };
        let board = Arc::new(Board::default());
        let client = {
            // The client has a task of its own.
            let _inside = runtime.enter();
            client(config, &board)
        };
        let client = match client {
            Ok(client) => client,
            Err(error) if options.kubeconfig.is_none() => {
                notice::warn(format_args!("{error}: {}. Nothing is asked of it", describe(&error)));
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        Ok(Some(Self::begin(options, runtime, client, board)?))
    }

    fn begin(
        options: &Options,
        runtime: Runtime,
        client: Client,
        board: Arc<Board>,
    ) -> Result<Self, StartError> {
        let (outbox, inbox) = outbox::pair();
        let (asked, lookups) = mpsc::channel(MOST_BATCHES);
        let hub = Hub::new(client.clone(), Arc::clone(&board), options.limits, outbox);
        let asking = Asking {
            client: client.clone(),
            board: Arc::clone(&board),
            node: options.node.clone(),
            limits: options.limits,
        };
        let handle = runtime.handle().clone();
        let thread = thread::Builder::new().name("kube".to_owned()).spawn(move || {
            runtime.block_on(async {
                let heard = asking.begin();
                hub.run(heard, lookups).await;
            });
            runtime.shutdown_timeout(STOP_PATIENCE);
        })?;
        Ok(Self { client, handle, inbox, asked, refused: Vec::new(), board, thread })
    }

    /// Gives what became known since the last call, as known now. Never waits.
    pub fn poll(&mut self, now: Time, sink: &mut dyn FnMut(Event)) {
        let refused = mem::take(&mut self.refused);
        let batches = std::iter::from_fn(|| self.inbox.take()).take(MOST_IN_A_ROW);
        for changes in batches.chain([refused]).filter(|changes| !changes.is_empty()) {
            sink(Event::ClusterChanged(Box::new(ClusterChanged { time: now, changes })));
        }
    }

    /// Asks for what is not known. Never waits: what is too much is answered so with the next [`Self::poll`].
    pub fn look_up(&mut self, lookups: Vec<Lookup>) {
        if lookups.is_empty() {
            return;
        }
        if let Err(TrySendError::Full(lookups) | TrySendError::Closed(lookups)) = self.asked.try_send(lookups)
        {
            let failure = LookupFailure::RateLimited;
            for lookup in lookups {
                self.board.looked_up(LookupResult::Failed(failure));
                self.refused.push(Change::LookedUp(LookedUp { lookup, failure: Some(failure) }));
            }
        }
    }

    /// How the API is.
    pub fn state(&self) -> State {
        let mut state = self.board.state();
        if self.thread.is_finished() {
            for watch in &mut state.watches {
                watch.condition = Condition::Failing;
                watch.error.get_or_insert_with(|| "the thread that speaks with the API has ended".into());
            }
        }
        state
    }

    /// The client and where it runs, for who writes to the API.
    pub fn client(&self) -> (Client, Handle) {
        (self.client.clone(), self.handle.clone())
    }

    /// Ends it, with everything that still runs there.
    pub fn stop(self) {
        let Self { inbox, asked, thread, .. } = self;
        drop((inbox, asked));
        // A panic there was told already where it happened.
        let _ = thread.join();
    }
}

/// A client whose requests are counted.
fn client(config: ::kube::Config, board: &Arc<Board>) -> Result<Client, StartError> {
    let url: Box<str> = config.cluster_url.to_string().into();
    let builder = ClientBuilder::try_from(config)
        .map_err(|source| StartError::Client { url, source: Box::new(source) })?;
    Ok(builder.with_layer(&Counting(Arc::clone(board))).build())
}

/// What asks the API on its own.
struct Asking {
    client: Client,
    board: Arc<Board>,
    node: Box<str>,
    limits: Limits,
}

impl Asking {
    /// Begins all watches, and gives what they tell.
    fn begin(self) -> mpsc::Receiver<Heard> {
        let (news, heard) = mpsc::channel(MOST_HEARD);
        // From the server's cache, which knows pods by node: the store would have to read all of them. It is not paged.
        let pods = Config { page_size: None, ..Config::default() }.any_semantic();
        self.watch::<Pods>(Watch::Pods, pods.fields(&format!("spec.nodeName={}", self.node)), &news);
        let services = Config::default().page_size(PAGE_OF_SERVICES).fields("spec.clusterIP=None");
        self.watch::<Services>(Watch::Services, services, &news);
        self.watch::<Slices>(
            Watch::Slices,
            Config::default().page_size(PAGE_OF_SLICES).labels(HEADLESS),
            &news,
        );
        let (is_mesh, mesh) = latest::channel(false);
        tokio::spawn(mesh::run(self.client.clone(), news.clone(), self.limits, mesh));
        let Self { client, board, limits, .. } = self;
        tokio::spawn(Discovery { client, board, news, limits, is_mesh }.run());
        heard
    }

    fn watch<K: Kind>(&self, watch: Watch, config: Config, news: &Sender<Heard>) {
        let watched = Watched {
            watch,
            resource: K::resource("v1"),
            config,
            client: self.client.clone(),
            board: Arc::clone(&self.board),
            news: news.clone(),
            forbidden_pause: self.limits.forbidden_pause,
        };
        tokio::spawn(async move {
            while !watched.news.is_closed() {
                watched.run::<K>().await;
                sleep(ABSENT_PAUSE).await;
            }
        });
    }
}

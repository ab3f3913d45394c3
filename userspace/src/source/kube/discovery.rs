//! Which of Istio's kinds the cluster has, looked at again now and then, and their watches, which run only while it has them.
//! Knows no object.

use std::{sync::Arc, time::Duration};

use kube::{
    Client, Error,
    runtime::watcher::{Config, DefaultBackoff},
};
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::{
    sync::{mpsc::Sender, watch as latest},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::source::{
    kube::{
        kind::{Entries, Kind as _, Policies, Rules, Workloads},
        limits::Limits,
        state::{Board, Condition, Watch},
        watch::{Heard, News, Watched, describe},
    },
    object::istio,
};

/// Patience with one look.
const PATIENCE: Duration = Duration::from_secs(30);

/// Objects in one page of a list: a rule has some kilobytes.
const PAGE: u32 = 250;

/// Watches of Istio's kinds.
pub(super) struct Discovery {
    pub(super) client: Client,
    pub(super) board: Arc<Board>,
    pub(super) news: Sender<Heard>,
    pub(super) limits: Limits,
    /// Told when the cluster has any of the kinds.
    pub(super) is_mesh: latest::Sender<bool>,
}

impl Discovery {
    /// Looks, watches what is there, and looks again, as long as somebody wants to know.
    pub(super) async fn run(self) {
        let mut backoff = DefaultBackoff::default();
        let mut watched: FxHashSet<Watch> = FxHashSet::default();
        let mut running = JoinSet::new();
        while !self.news.is_closed() {
            let pause = match timeout(PATIENCE, present(&self.client)).await {
                Ok(Ok(found)) => {
                    self.watch(&found, &mut watched, &mut running).await;
                    backoff = DefaultBackoff::default();
                    self.limits.discovery_pause
                }
                Ok(Err(error)) => self.fail(&watched, &describe(&error), &mut backoff),
                Err(_elapsed) => self.fail(&watched, "no answer in time", &mut backoff),
            };
            let has_all = watched.len() == Watch::ISTIO.len();
            tokio::select! {
                ended = running.join_next(), if !running.is_empty() => {
                    // The kind is gone, which a new look says too when its last objects are.
                    watched.retain(|watch| ended.as_ref().is_some_and(|ended| ended.as_ref().ok() != Some(watch)));
                    sleep(backoff.next().unwrap_or(pause)).await;
                }
                () = sleep(pause), if !has_all => {}
                () = self.news.closed() => return,
            }
        }
    }

    /// Begins the watches of kinds that are there now.
    async fn watch(
        &self,
        found: &FxHashMap<Watch, String>,
        watched: &mut FxHashSet<Watch>,
        running: &mut JoinSet<Watch>,
    ) {
        if !found.is_empty() {
            self.is_mesh.send_replace(true);
        }
        for watch in Watch::ISTIO {
            match found.get(&watch) {
                Some(version) if watched.insert(watch) => {
                    self.board.failed(watch, Condition::Listing, None);
                    self.tell(watch, News::Present).await;
                    running.spawn(self.watch_kind(watch, version));
                }
                None if !watched.contains(&watch) => {
                    self.board.failed(watch, Condition::Absent, None);
                    self.tell(watch, News::Absent).await;
                }
                Some(_) | None => {}
            }
        }
    }

    /// Fails when nobody wants to know any more; the loop ends then.
    async fn tell(&self, watch: Watch, news: News) {
        let _ = self.news.send(Heard::Watch(watch, news)).await;
    }

    fn watch_kind(&self, watch: Watch, version: &str) -> impl Future<Output = Watch> + use<> {
        let resource = match watch {
            Watch::Policies => Policies::resource(version),
            Watch::Entries => Entries::resource(version),
            Watch::Workloads => Workloads::resource(version),
            Watch::Rules | Watch::Pods | Watch::Services | Watch::Slices => Rules::resource(version),
        };
        let watched = Watched {
            watch,
            resource,
            config: Config::default().page_size(PAGE),
            client: self.client.clone(),
            board: Arc::clone(&self.board),
            news: self.news.clone(),
            forbidden_pause: self.limits.forbidden_pause,
        };
        async move {
            match watch {
                Watch::Policies => watched.run::<Policies>().await,
                Watch::Entries => watched.run::<Entries>().await,
                Watch::Workloads => watched.run::<Workloads>().await,
                Watch::Rules | Watch::Pods | Watch::Services | Watch::Slices => watched.run::<Rules>().await,
            }
            watch
        }
    }

    /// Nothing is known of what is not watched yet.
    fn fail(&self, watched: &FxHashSet<Watch>, why: &str, backoff: &mut DefaultBackoff) -> Duration {
        for watch in Watch::ISTIO.into_iter().filter(|watch| !watched.contains(watch)) {
            self.board.failed(watch, Condition::Failing, Some(why.into()));
        }
        backoff.next().unwrap_or(self.limits.discovery_pause)
    }
}

/// The kinds that the cluster has, with the version that it prefers.
async fn present(client: &Client) -> Result<FxHashMap<Watch, String>, Error> {
    let groups = client.list_api_groups().await?;
    let mut found = FxHashMap::default();
    for group in groups.groups.into_iter().filter(|group| istio::GROUPS.contains(&group.name.as_str())) {
        let Some(version) = group.preferred_version.or_else(|| group.versions.into_iter().next()) else {
            continue;
        };
        let list = match client.list_api_group_resources(&version.group_version).await {
            // It went between the two questions.
            Err(Error::Api(status)) if status.is_not_found() => continue,
            answer => answer?,
        };
        for resource in list.resources {
            let watch = Watch::ISTIO.into_iter().find(|watch| watch.plural() == resource.name);
            found.extend(watch.map(|watch| (watch, version.version.clone())));
        }
    }
    Ok(found)
}

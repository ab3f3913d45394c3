//! The large cluster behind the test API server, in a process and a network of its own, with pods that are replaced as time
//! passes; it must not know who asks, nor what is measured.

use std::{
    io::{self, BufRead as _, Write as _},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use mtlsnoop_tests::{
    api::{Api, Recipe},
    large_cluster::{
        PODS, World,
        pod::Pod,
        recipe::{Pods, Rules, Services, Slices},
        rule::Rule,
        service::Service,
        turnover::{Change, Turnover},
    },
    netns::Netns,
};
use tempfile::TempDir;

use crate::{cpus::Cpus, load::running, node::NODE, spoken::Spoken};

/// What this process is to be.
#[derive(Args)]
pub(crate) struct Cluster {
    /// Where its files go
    folder: PathBuf,
}

/// The running process, and the network in which it listens on loopback.
pub(crate) struct Served {
    // What runs goes before what it runs in.
    process: Spoken,
    kubeconfig: PathBuf,
    netns: Netns,
    _folder: TempDir,
}

impl Served {
    /// Starts it on the load's processor.
    pub(crate) fn start(cpus: &Cpus) -> Result<Self> {
        let folder = tempfile::tempdir().context("could not make a folder; is the disk full?")?;
        let netns = running::loopback()?;
        let arguments = [folder.path().display().to_string()];
        let mut process = cpus.start_on_load(|| Spoken::start(&netns, "cluster", &arguments))?;
        let kubeconfig = process.line()?.into();
        Ok(Self { process, kubeconfig, netns, _folder: folder })
    }

    /// Nothing but what goes between the server and its clients is in it.
    pub(crate) fn netns(&self) -> &Netns {
        &self.netns
    }

    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// From now on pods are replaced, but for those of the node that is measured.
    pub(crate) fn begin_turnover(&mut self) -> Result<()> {
        self.tell("turnover")
    }

    /// Replaces a pod.
    pub(crate) fn replace(&mut self, nth: usize) -> Result<()> {
        self.tell(&format!("replace {nth}"))
    }

    /// How many requests there were.
    pub(crate) fn requests(&mut self) -> Result<u64> {
        let answer = self.process.ask("requests")?;
        answer.parse().with_context(|| format!("the API server said {answer:?}"))
    }

    /// Fails when there was a request that a real server would have refused.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.tell("check")
    }

    fn tell(&mut self, what: &str) -> Result<()> {
        let answer = self.process.ask(what)?;
        ensure!(answer == DONE, "the API server said {answer:?} to {what}");
        Ok(())
    }
}

const DONE: &str = "done";
/// As real servers do (apiserver `pkg/storage/cacher/cacher.go`, `defaultBookmarkFrequency`).
const BOOKMARK_EVERY: Duration = Duration::from_mins(1);
/// Between two looks at who is due.
const STEP: Duration = Duration::from_millis(100);

/// The process, until standard input ends.
pub(crate) fn run(cluster: &Cluster) -> Result<()> {
    let api = Api::start_at(&cluster.folder, (Ipv4Addr::LOCALHOST, 0).into(), None)?;
    api.faults().bookmark_every = Some(BOOKMARK_EVERY);
    let stock = Arc::new(Stock::load(api)?);
    let mut out = io::stdout().lock();
    writeln!(out, "{}", stock.api.kubeconfig()?.display())?;
    let mut turnover = None;
    for line in io::stdin().lock().lines() {
        let line = line.context("could not read from the benchmark")?;
        let answer = match line.split_once(' ') {
            None if line == "requests" => stock.api.requests().len().to_string(),
            None if line == "check" => stock.check(turnover.as_ref()),
            None if line == "turnover" => {
                turnover.get_or_insert_with(|| turn_over(&stock));
                DONE.to_owned()
            }
            Some(("replace", nth)) => {
                stock.replace(nth.parse().context("the benchmark told no number")?)?;
                DONE.to_owned()
            }
            _ => bail!("the benchmark asked for {line}, which nobody knows"),
        };
        writeln!(out, "{answer}")?;
    }
    Ok(())
}

/// Replaces pods from now on; gives where the reason is told if that fails.
fn turn_over(stock: &Arc<Stock>) -> mpsc::Receiver<anyhow::Error> {
    let (failed, failure) = mpsc::channel();
    let stock = Arc::clone(stock);
    thread::spawn(move || {
        let (begun, mut turnover) = (Instant::now(), Turnover::default());
        loop {
            let due = turnover.due(begun.elapsed()).into_iter();
            let replaced =
                due.filter(|nth| World::new_pod(*nth).node() != NODE).try_for_each(|nth| stock.replace(nth));
            if let Err(error) = replaced {
                // Nobody listens any more when the process ends.
                let _ = failed.send(error);
                return;
            }
            // The rate is what is asked for; there is no condition.
            thread::sleep(STEP);
        }
    });
    failure
}

/// The cluster, and the server that tells of it.
struct Stock {
    api: Api,
    world: Mutex<World>,
    pods: Arc<dyn Recipe>,
    slices: Arc<Slices>,
    slices_recipe: Arc<dyn Recipe>,
}

impl Stock {
    fn load(api: Api) -> Result<Self> {
        let pods: Arc<dyn Recipe> = Arc::new(Pods);
        let slices = Arc::<Slices>::default();
        let slices_recipe: Arc<dyn Recipe> = Arc::clone(&slices) as _;
        let (services, rules): (Arc<dyn Recipe>, Arc<dyn Recipe>) = (Arc::new(Services), Arc::new(Rules));
        for pod in (0..PODS).map(World::new_pod) {
            api.load_made("pods", (&pod.service().namespace(), &pod.name()), &pods, pod.number())?;
        }
        for service in Service::all() {
            let (namespace, nth) = (service.namespace(), u32::try_from(service.0)?);
            api.load_made("services", (&namespace, &service.name()), &services, nth)?;
            let slice = service.slice_name();
            api.load_made("endpointslices", (&namespace, &slice), &slices_recipe, nth)?;
        }
        for rule in Rule::all() {
            let (service, nth) = (rule.service(), u32::try_from(rule.0)?);
            api.load_made("destinationrules", (&service.namespace(), &service.name()), &rules, nth)?;
        }
        Ok(Self { api, world: Mutex::default(), pods, slices, slices_recipe })
    }

    fn replace(&self, nth: usize) -> Result<()> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.replace(nth).into_iter().try_for_each(|change| self.tell(change))
    }

    fn tell(&self, change: Change) -> Result<()> {
        let names = |pod: Pod| (pod.service().namespace(), pod.name());
        match change {
            Change::Pod(pod, stage) => {
                let (namespace, name) = names(pod);
                let revision = stage as u32;
                self.api.put_made("pods", (&namespace, &name), &self.pods, pod.number(), revision)
            }
            Change::PodGone(pod) => {
                let (namespace, name) = names(pod);
                self.api.delete("pods", &namespace, &name)
            }
            Change::Slice(service, endpoints) => {
                let (namespace, name) = (service.namespace(), service.slice_name());
                let revision = self.slices.revision(endpoints);
                let nth = u32::try_from(service.0)?;
                let key = (&*namespace, &*name);
                self.api.put_made("endpointslices", key, &self.slices_recipe, nth, revision)
            }
        }
    }

    /// What there is to complain of, or that there is nothing.
    fn check(&self, turnover: Option<&mpsc::Receiver<anyhow::Error>>) -> String {
        let failure = turnover.and_then(|failure| failure.try_recv().ok()).map_or(Ok(()), Err);
        match failure.and_then(|()| self.api.check()) {
            Ok(()) => DONE.to_owned(),
            Err(error) => format!("{error:#}").replace('\n', "; "),
        }
    }
}

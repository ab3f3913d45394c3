//! What a program does that knows all pods: one watch over the whole cluster with the same library. It must not know what
//! it is compared with.

use std::{
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    pin::pin,
};

use anyhow::{Context as _, Result};
use clap::Args;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};

/// What this process is to be.
#[derive(Args)]
pub(crate) struct Naive {
    /// How to reach the API server
    kubeconfig: PathBuf,
}

/// What it says when it knows all pods.
pub(crate) const SYNCED: &str = "synced";

/// Runs until standard input ends.
pub(crate) fn run(naive: &Naive) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(|| {
        // Its end is the end of whoever started this process, however that came.
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    runtime.block_on(watch(&naive.kubeconfig))
}

async fn watch(kubeconfig: &Path) -> Result<()> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).context("could not read the kubeconfig")?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let pods: Api<Pod> = Api::all(Client::try_from(config)?);
    let mut events = pin!(watcher(pods, watcher::Config::default()).default_backoff());
    let mut count = 0_u64;
    while let Some(event) = events.next().await {
        match event.context("the watch failed")? {
            Event::InitApply(_) => count += 1,
            Event::InitDone => writeln!(io::stdout(), "{SYNCED} {count}")?,
            _ => {}
        }
    }
    Ok(())
}

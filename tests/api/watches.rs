//! Watches: what changes, selected, bookmarks, streaming lists, versions that are gone.

use std::pin::pin;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{WatchEvent, WatchParams};
use kube::runtime::watcher::{self, Event, watcher};

use crate::served::{Served, pod};

/// Longer than anything here takes.
const SOON: Duration = Duration::from_secs(20);

/// The next event, as a word and the pod's name.
async fn next(
    events: &mut (impl Stream<Item = kube::Result<WatchEvent<Pod>>> + Unpin),
) -> Result<(&'static str, String)> {
    let event = tokio::time::timeout(SOON, events.try_next()).await??.context("the watch is over")?;
    let name = |pod: Pod| pod.metadata.name.unwrap_or_default();
    Ok(match event {
        WatchEvent::Added(pod) => ("added", name(pod)),
        WatchEvent::Modified(pod) => ("modified", name(pod)),
        WatchEvent::Deleted(pod) => ("deleted", name(pod)),
        WatchEvent::Bookmark(mark) => ("bookmark", mark.metadata.resource_version),
        WatchEvent::Error(status) => ("error", format!("{} {}", status.code, status.reason)),
    })
}

async fn version(served: &Served) -> Result<String> {
    let listed = served.pods().await?.list(&kube::api::ListParams::default()).await?;
    listed.metadata.resource_version.context("no version")
}

#[tokio::test]
async fn changes_are_told_as_far_as_they_are_selected() -> Result<()> {
    let served = Served::with_pods(2)?;
    let pods = served.pods().await?;
    let params = WatchParams::default().fields("spec.nodeName=node-1");
    let mut events = pin!(pods.watch(&params, &version(&served).await?).await?);
    served.api.put(pod(2))?;
    served.api.put(pod(3))?;
    served.api.change("pods", "default", "redis-1", |pod| pod["metadata"]["labels"]["new"] = "1".into())?;
    // Another node has it now, which is for this watch as if it were gone.
    served.api.change("pods", "default", "redis-3", |pod| pod["spec"]["nodeName"] = "node-0".into())?;
    served.api.delete("pods", "default", "redis-1")?;
    for expected in
        [("added", "redis-3"), ("modified", "redis-1"), ("deleted", "redis-3"), ("deleted", "redis-1")]
    {
        let (what, name) = next(&mut events).await?;
        assert_eq!((what, name.as_str()), expected);
    }
    served.api.check()
}

#[tokio::test]
async fn a_version_that_is_gone_is_an_error_event() -> Result<()> {
    let served = Served::with_pods(1)?;
    let old = version(&served).await?;
    served.api.expire_versions();
    let pods = served.pods().await?;
    let mut events = pin!(pods.watch(&WatchParams::default(), &old).await?);
    assert_eq!(next(&mut events).await?, ("error", "410 Expired".to_owned()));
    let watch = served.api.requests().into_iter().rfind(|request| request.verb == "watch");
    assert_eq!(watch.context("no watch")?.code, 200, "the refusal is in the stream");
    served.api.check()
}

#[tokio::test]
async fn bookmarks_come_when_they_are_asked_for() -> Result<()> {
    let served = Served::with_pods(1)?;
    let pods = served.pods().await?;
    let mut events = pin!(pods.watch(&WatchParams::default(), &version(&served).await?).await?);
    let (what, marked) = next(&mut events).await?;
    assert_eq!((what, marked), ("bookmark", version(&served).await?));
    served.api.check()
}

#[tokio::test]
async fn a_watch_ends_when_its_time_is_over() -> Result<()> {
    let served = Served::with_pods(1)?;
    let pods = served.pods().await?;
    let params = WatchParams::default().timeout(1).disable_bookmarks();
    let events = pods.watch(&params, &version(&served).await?).await?;
    let events: Vec<_> = tokio::time::timeout(SOON, events.try_collect()).await??;
    assert!(events.is_empty(), "{events:?}");
    served.api.check()
}

/// Both ways to begin give what is there, once, and then what changes.
#[tokio::test]
async fn a_watcher_follows_lists_and_streaming_lists() -> Result<()> {
    for config in [watcher::Config::default().page_size(2), watcher::Config::default().streaming_lists()] {
        let served = Served::with_pods(5)?;
        let mut events = pin!(watcher(served.pods().await?, config.clone()));
        let mut there = 0;
        loop {
            match tokio::time::timeout(SOON, events.next()).await?.context("over")?? {
                Event::Init => there = 0,
                Event::InitApply(_) => there += 1,
                Event::InitDone => break,
                other => bail!("{other:?}"),
            }
        }
        assert_eq!(there, 5, "{config:?}");
        served.api.put(pod(7))?;
        let event = tokio::time::timeout(SOON, events.next()).await?.context("over")??;
        assert!(matches!(event, Event::Apply(pod) if pod.metadata.name.as_deref() == Some("redis-7")));
        served.api.check()?;
    }
    Ok(())
}

#[tokio::test]
async fn metadata_is_watched_alone() -> Result<()> {
    let served = Served::with_pods(1)?;
    let pods = served.pods().await?;
    let mut events = pin!(pods.watch_metadata(&WatchParams::default(), &version(&served).await?).await?);
    served.api.put(pod(1))?;
    let event = tokio::time::timeout(SOON, events.try_next()).await??.context("over")?;
    let WatchEvent::Added(pod) = event else { bail!("{event:?}") };
    assert_eq!(pod.metadata.name.as_deref(), Some("redis-1"));
    let last = served.api.requests().pop().context("no request")?;
    assert!(last.bytes > 0 && !last.is_over, "{last:?}");
    served.api.check()
}

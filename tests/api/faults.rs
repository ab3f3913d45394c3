//! What goes wrong on order: connections, refusals, a server that is not there.

use std::pin::pin;
use std::time::Duration;

use anyhow::Result;
use futures::TryStreamExt as _;
use kube::api::{ListParams, WatchParams};
use mtlsnoop_tests::api::Refused;

use crate::served::{Served, names};

#[tokio::test]
async fn requests_are_refused_as_often_as_ordered() -> Result<()> {
    let served = Served::with_pods(1)?;
    let pods = served.pods().await?;
    for code in [429, 500, 503] {
        served.api.faults().refusals = vec![Refused {
            resource: Some("pods".to_owned()),
            verb: None,
            code,
            retry_after_seconds: Some(1),
            times: 1,
        }];
        let client = served.client().await?;
        let request = axum::http::Request::get("/api/v1/pods").body(Vec::new())?;
        let refused = client.request_text(request).await;
        // The library tries again by itself where it is told to.
        assert!(refused.is_err() || served.api.requests().iter().any(|request| request.code == code));
        assert_eq!(names(&pods, &ListParams::default()).await?, ["redis-0"]);
    }
    served.api.check()
}

#[tokio::test]
async fn watches_are_cut_and_connections_broken() -> Result<()> {
    let served = Served::with_pods(1)?;
    served.api.faults().cut_watches_after = Some(Duration::from_millis(50));
    let pods = served.pods().await?;
    // The library takes a connection that broke for the end of the watch.
    let cut: kube::Result<Vec<_>> = pods.watch(&WatchParams::default(), "0").await?.try_collect().await;
    assert!(!matches!(&cut, Ok(told) if told.len() != 1), "{cut:?}");
    served.api.faults().cut_watches_after = None;
    let mut watch = pin!(pods.watch(&WatchParams::default(), "0").await?);
    assert!(watch.try_next().await?.is_some());
    served.api.break_connections();
    let after = watch.try_next().await;
    assert!(matches!(after, Err(_) | Ok(None)), "{after:?}");
    assert_eq!(names(&pods, &ListParams::default()).await?, ["redis-0"], "and then it goes on");
    served.api.check()
}

#[tokio::test]
async fn a_server_that_was_killed_is_the_same_afterwards() -> Result<()> {
    let mut served = Served::with_pods(1)?;
    let pods = served.pods().await?;
    let before = pods.list(&ListParams::default()).await?.metadata.resource_version;
    served.api.stop();
    assert!(pods.list(&ListParams::default()).await.is_err());
    served.api.start()?;
    let after = pods.list(&ListParams::default()).await?.metadata.resource_version;
    assert_eq!(before, after);
    served.api.check()
}

//! Events that are written: created, counted up, refused.

use anyhow::Result;
use k8s_openapi::api::{core::v1::Event as CoreEvent, events::v1::Event};
use kube::api::{Api as Objects, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::served::Served;

fn event(name: &str) -> Value {
    json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": { "name": name, "namespace": "default" },
        "eventTime": "2026-11-22T17:12:53.827000Z",
        "reportingController": "mtlsnoop",
        "reportingInstance": "node-1",
        "action": "Connecting",
        "reason": "MtlsToPlaintext",
        "regarding": { "apiVersion": "v1", "kind": "Pod", "namespace": "default", "name": "redis-0" },
        "note": "plaintext",
        "type": "Warning"
    })
}

fn code(error: &kube::Error) -> u16 {
    if let kube::Error::Api(status) = error { status.code } else { 0 }
}

#[tokio::test]
async fn an_event_is_created_once_and_then_counted_up() -> Result<()> {
    let served = Served::with_pods(1)?;
    let client = served.client().await?;
    let events: Objects<Event> = Objects::namespaced(client.clone(), "default");
    let new: Event = serde_json::from_value(event("redis-0.1a"))?;
    let created = events.create(&PostParams::default(), &new).await?;
    assert!(created.metadata.uid.is_some() && created.metadata.creation_timestamp.is_some(), "{created:?}");
    assert_eq!(code(&events.create(&PostParams::default(), &new).await.unwrap_err()), 409);
    let series = json!({ "series": { "count": 7, "lastObservedTime": "2026-11-22T17:13:53.827000Z" } });
    let patched = events.patch("redis-0.1a", &PatchParams::default(), &Patch::Merge(&series)).await?;
    assert_eq!(patched.series.map(|series| series.count), Some(7));
    let core: Objects<CoreEvent> = Objects::all(client);
    let listed = core.list(&ListParams::default().fields("involvedObject.name=redis-0")).await?;
    let [seen] = listed.items.as_slice() else { panic!("{listed:?}") };
    assert_eq!(seen.message.as_deref(), Some("plaintext"));
    assert_eq!(seen.involved_object.name.as_deref(), Some("redis-0"));
    assert_eq!(served.api.list("events")?.len(), 1);
    served.api.check()
}

#[tokio::test]
async fn an_apply_creates_and_changes() -> Result<()> {
    let served = Served::with_pods(1)?;
    let events: Objects<Event> = Objects::namespaced(served.client().await?, "default");
    let params = PatchParams::apply("mtlsnoop");
    events.patch("a", &params, &Patch::Apply(event("a"))).await?;
    let mut more = event("a");
    more["series"] = json!({ "count": 2, "lastObservedTime": "2026-11-22T17:13:53.827000Z" });
    events.patch("a", &params, &Patch::Apply(&more)).await?;
    assert_eq!(served.api.get("events", "default", "a")?["series"]["count"], 2);
    served.api.check()
}

#[tokio::test]
async fn what_may_not_change_and_what_is_no_event_is_refused() -> Result<()> {
    let served = Served::with_pods(1)?;
    let client = served.client().await?;
    let events: Objects<Event> = Objects::namespaced(client.clone(), "default");
    events.create(&PostParams::default(), &serde_json::from_value(event("a"))?).await?;
    let note = Patch::Merge(json!({ "note": "another" }));
    let error = events.patch("a", &PatchParams::default(), &note).await.unwrap_err();
    assert!(code(&error) == 422 && error.to_string().contains("immutable"), "{error}");
    let missing = events.patch("b", &PatchParams::default(), &note).await.unwrap_err();
    assert_eq!(code(&missing), 404);
    let elsewhere: Objects<Event> = Objects::namespaced(client, "nowhere");
    let mut other = event("c");
    other["metadata"]["namespace"] = "nowhere".into();
    other["regarding"]["namespace"] = "nowhere".into();
    let error = elsewhere.create(&PostParams::default(), &serde_json::from_value(other)?).await.unwrap_err();
    assert!(error.to_string().contains("namespaces \"nowhere\" not found"), "{error}");
    assert_eq!(served.api.mistakes().len(), 1, "{:?}", served.api.mistakes());
    Ok(())
}

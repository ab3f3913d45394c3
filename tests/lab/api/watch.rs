//! Watches: what is there, then what changes, and bookmarks; it must not know who watches.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep_until};

use super::accept::Form;
use super::body::{Body, metadata_only};
use super::form::in_version;
use super::list::is_asked_for;
use super::query::{AtVersion, Query};
use super::route::Objects;
use super::state::State;
use super::status::Refusal;
use super::store::{Change, NoSuchVersion, Stored};

/// Changes that are looked through at a time, so that nobody waits long for the store.
const AT_A_TIME: usize = 1000;

/// Longer than any test lasts: apiserver `--min-request-timeout` is 1800 s.
const FOR_LONG: Duration = Duration::from_mins(30);

/// The client has left.
struct Gone;

/// A watch that goes on.
pub(crate) struct Watch {
    pub(crate) state: Arc<State>,
    pub(crate) objects: Objects,
    pub(crate) query: Query,
    pub(crate) form: Form,
    pub(crate) lines: Sender<Result<Bytes, io::Error>>,
}

impl Watch {
    /// Tells all there is to tell, until the client leaves, its time is over, or the watch is cut.
    pub(crate) async fn run(self) {
        let begun = Instant::now();
        let timeout = self.query.timeout_seconds.map_or(FOR_LONG, Duration::from_secs);
        let cut = self.state.faults().cut_watches_after.unwrap_or(FOR_LONG);
        tokio::select! {
            _ = self.tell() => {}
            () = self.lines.closed() => {}
            () = sleep_until(begun + cut), if cut < timeout => {
                // Nobody is left to be told when it fails.
                let _ = self.lines.send(Err(io::ErrorKind::ConnectionReset.into())).await;
            }
            // The client's own time is over.
            () = sleep_until(begun + timeout) => {}
        }
    }

    async fn tell(&self) -> Result<(), Gone> {
        let mut version = match self.begin().await? {
            Ok(version) => version,
            Err(refusal) => return self.event("ERROR", &refusal.status()).await,
        };
        let mut changed = self.state.changed.subscribe();
        let mut next_bookmark = Instant::now() + self.state.bookmark_every();
        loop {
            changed.mark_unchanged();
            loop {
                let upto = match self.changes_after(version).await? {
                    Ok(upto) => upto,
                    Err(refusal) => return self.event("ERROR", &refusal.status()).await,
                };
                if upto == version {
                    break;
                }
                version = upto;
            }
            tokio::select! {
                // The sender lives as long as the state, which is held here.
                _ = changed.changed() => {}
                // Bookmarks come by the clock.
                () = sleep_until(next_bookmark), if self.query.bookmarks => {
                    next_bookmark = Instant::now() + self.state.bookmark_every();
                    self.bookmark(version, false).await?;
                }
            }
        }
    }

    /// Tells what is there, if that was asked for, and gives the version from which changes are to be told.
    async fn begin(&self) -> Result<Result<u64, Refusal>, Gone> {
        let wants_state =
            self.query.initial_events || matches!(self.query.version, AtVersion::Latest | AtVersion::Any);
        if !wants_state {
            let (AtVersion::NotOlderThan(version) | AtVersion::Exact(version)) = self.query.version else {
                return Ok(Ok(self.state.store().version()));
            };
            return Ok(Ok(version));
        }
        let (version, listed) = {
            let store = self.state.store();
            let version = store.version();
            let is_wanted = |key: &_, body: &Body| is_asked_for(&self.objects, &self.query, key, body);
            match store.at(self.objects.stored(), version, None, is_wanted) {
                Ok(listed) => (version, listed),
                Err(_) => return Ok(Err(Refusal::internal(500, None))),
            }
        };
        for (_, stored) in listed {
            self.object("ADDED", &stored.body, stored.version).await?;
        }
        if self.query.initial_events && self.query.bookmarks {
            self.bookmark(version, true).await?;
        }
        Ok(Ok(version))
    }

    /// Tells the next changes, and gives the version up to which all was told.
    async fn changes_after(&self, version: u64) -> Result<Result<u64, Refusal>, Gone> {
        let (upto, changes) = {
            let store = self.state.store();
            let changes = match store.changes_after(version, AT_A_TIME) {
                Ok(changes) => changes,
                Err(NoSuchVersion::TooOld { oldest } | NoSuchVersion::TooLarge { current: oldest }) => {
                    return Ok(Err(Refusal::too_old(version, oldest)));
                }
            };
            let mut upto = version;
            let mut chosen = Vec::new();
            for change in changes {
                upto = change.version;
                chosen.extend(self.event_of(change));
            }
            (upto, chosen)
        };
        for (kind, stored) in changes {
            self.object(kind, &stored.body, stored.version).await?;
        }
        Ok(Ok(upto))
    }

    /// What a change is for this watch: an object that is selected no longer is gone for it.
    fn event_of(&self, change: &Change) -> Option<(&'static str, Stored)> {
        if change.resource != self.objects.stored() {
            return None;
        }
        let is_asked_for = |body: &Body| is_asked_for(&self.objects, &self.query, &change.key, body);
        let before = change.before.as_ref().map(|stored| &stored.body).filter(|body| is_asked_for(body));
        let after = change.after.as_ref().filter(|body| is_asked_for(body));
        let (kind, body) = match (before, after) {
            (None, None) => return None,
            (None, Some(after)) => ("ADDED", after),
            (Some(_), Some(after)) => ("MODIFIED", after),
            (Some(before), None) => ("DELETED", before),
        };
        Some((kind, Stored { version: change.version, body: body.clone() }))
    }

    async fn object(&self, kind: &str, body: &Body, version: u64) -> Result<(), Gone> {
        let object = body.object(version);
        let object = match self.form {
            Form::Whole => in_version(object, &self.objects),
            Form::Metadata | Form::MetadataList => metadata_only(&object),
        };
        self.event(kind, &object).await
    }

    /// An object with nothing but a version, as the server's types print it when they are empty.
    async fn bookmark(&self, version: u64, ends_initial_events: bool) -> Result<(), Gone> {
        let resource = self.objects.resource();
        let (kind, api_version) = match self.form {
            Form::Whole => (resource.kind.to_owned(), resource.api_version(self.objects.version)),
            Form::Metadata | Form::MetadataList => {
                ("PartialObjectMetadata".to_owned(), "meta.k8s.io/v1".to_owned())
            }
        };
        let mut object = json!({
            "kind": kind,
            "apiVersion": api_version,
            "metadata": { "resourceVersion": version.to_string(), "creationTimestamp": null }
        });
        if ends_initial_events {
            object["metadata"]["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        if self.form == Form::Whole {
            add_empty_fields(&mut object, resource.plural);
        }
        self.event("BOOKMARK", &object).await
    }

    async fn event(&self, kind: &str, object: &Value) -> Result<(), Gone> {
        let line = format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n");
        self.lines.send(Ok(line.into())).await.map_err(|_| Gone)
    }
}

/// Fields without `omitempty` in staging/src/k8s.io/api: clients have to read them as they come.
fn add_empty_fields(object: &mut Value, plural: &str) {
    match plural {
        "pods" => {
            object["spec"] = json!({ "containers": null });
            object["status"] = json!({});
        }
        "services" => {
            object["spec"] = json!({});
            object["status"] = json!({ "loadBalancer": {} });
        }
        "endpointslices" => {
            object["addressType"] = "".into();
            object["endpoints"] = Value::Null;
            object["ports"] = Value::Null;
        }
        _ => {}
    }
}

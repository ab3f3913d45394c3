//! A Kubernetes API in this process, just enough for the source's own tests: lists in pages, watches, selectors by equality.
//! The strict one, over TLS, is in the package of tests.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Response, Uri};
use http_body::Frame;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The server; clones are the same one.
#[derive(Clone, Default)]
pub(super) struct Server(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    /// By the name of the kind in paths.
    objects: BTreeMap<String, Vec<Value>>,
    /// HTTP status for all requests of a kind.
    refusals: BTreeMap<String, u16>,
    /// Istio's kinds that the cluster has.
    istio: Vec<&'static str>,
    /// It lists in pages only.
    is_old: bool,
    watchers: Vec<(String, UnboundedSender<Bytes>)>,
    requests: Vec<String>,
    version: u64,
}

/// The body of an answer: one piece, or a watch's lines as they come.
pub(super) struct Pieces(UnboundedReceiver<Bytes>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

impl Server {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap()
    }

    /// The cluster has all of Istio's kinds.
    pub(super) fn install_istio(&self) {
        self.held().istio =
            vec!["destinationrules", "serviceentries", "workloadentries", "peerauthentications"];
    }

    /// It does not list as a watch.
    pub(super) fn make_old(&self) {
        self.held().is_old = true;
    }

    /// Requests of the kind get this status; 0 lets them through.
    pub(super) fn refuse(&self, plural: &str, code: u16) {
        self.held().refusals.insert(plural.to_owned(), code);
    }

    /// Adds or replaces an object, and tells who watches the kind.
    pub(super) fn put(&self, plural: &str, mut object: Value) {
        let mut held = self.held();
        held.version += 1;
        object["metadata"]["resourceVersion"] = held.version.to_string().into();
        let known = held.objects.entry(plural.to_owned()).or_default();
        let kind = if remove(known, &object).is_some() { "MODIFIED" } else { "ADDED" };
        known.push(object.clone());
        held.tell(plural, kind, &object);
    }

    /// Takes an object away, and tells who watches the kind.
    pub(super) fn delete(&self, plural: &str, object: &Value) {
        let mut held = self.held();
        held.version += 1;
        let version = held.version.to_string();
        let gone = held.objects.get_mut(plural).and_then(|known| remove(known, object));
        let mut gone = gone.expect("it was there");
        gone["metadata"]["resourceVersion"] = version.into();
        held.tell(plural, "DELETED", &gone);
    }

    /// The same, while nobody hears of it.
    pub(super) fn delete_silently(&self, plural: &str, object: &Value) {
        let mut held = self.held();
        held.version += 1;
        let gone = held.objects.get_mut(plural).and_then(|known| remove(known, object));
        assert!(gone.is_some(), "it was there");
    }

    /// The version that watches of the kind have is too old.
    pub(super) fn expire(&self, plural: &str) {
        let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "too old resource version", "reason": "Expired", "code": 410});
        self.held().tell(plural, "ERROR", &status);
    }

    /// Requests so far: path and query.
    pub(super) fn requests(&self) -> Vec<String> {
        self.held().requests.clone()
    }

    /// Answers a request.
    pub(super) fn answer(&self, request: &http::Request<Body>) -> Response<Pieces> {
        let uri = request.uri().clone();
        let mut held = self.held();
        held.requests.push(uri.to_string());
        let (code, body) = match held.respond(&uri) {
            Answer::Whole(code, value) => {
                let (sender, body) = unbounded_channel();
                sender.send(value.to_string().into()).unwrap();
                (code, body)
            }
            Answer::Watch(body) => (200, body),
        };
        Response::builder().status(code).body(Pieces(body)).unwrap()
    }
}

enum Answer {
    Whole(u16, Value),
    Watch(UnboundedReceiver<Bytes>),
}

impl Held {
    fn respond(&mut self, uri: &Uri) -> Answer {
        let path: Vec<&str> = uri.path().split('/').skip(1).collect();
        let (namespace, plural, name) = match path.as_slice() {
            ["apis"] => return self.groups(),
            ["apis", group, "v1"] => return self.kinds(group),
            ["api", "v1", rest @ ..] | ["apis", _, "v1", rest @ ..] => match rest {
                ["namespaces", namespace, plural] => (Some(*namespace), *plural, None),
                ["namespaces", namespace, plural, name] => (Some(*namespace), *plural, Some(*name)),
                [plural] => (None, *plural, None),
                _ => return status(404),
            },
            _ => return status(404),
        };
        match self.refusals.get(plural) {
            None | Some(0) => {}
            Some(code) => return status(*code),
        }
        let query = query(uri);
        let value = |key: &str| query.get(key).map(String::as_str);
        let is_initial = value("sendInitialEvents").is_some();
        if is_initial && self.is_old {
            return status(422);
        }
        let all = self.objects.get(plural).map(Vec::as_slice).unwrap_or_default();
        let in_namespace =
            all.iter().filter(|object| namespace.is_none_or(|of| object["metadata"]["namespace"] == of));
        if let Some(name) = name {
            let found = in_namespace.clone().find(|object| object["metadata"]["name"] == name);
            return found.map_or_else(|| status(404), |object| Answer::Whole(200, object.clone()));
        }
        let is_selected = |object: &&Value| {
            selects_fields(value("fieldSelector").unwrap_or_default(), object)
                && selects_labels(value("labelSelector").unwrap_or_default(), object)
        };
        let selected: Vec<&Value> = in_namespace.filter(is_selected).collect();
        if value("watch").is_some() {
            let (sender, lines) = unbounded_channel();
            let initial = selected.iter().filter(|_| is_initial).map(|object| line("ADDED", object));
            let end = json!({"kind": "K", "apiVersion": "v1", "metadata": {"resourceVersion": self.version.to_string(),
                "annotations": {"k8s.io/initial-events-end": "true"}}});
            for line in initial.chain(is_initial.then(|| line("BOOKMARK", &end))) {
                sender.send(line).unwrap();
            }
            self.watchers.push((plural.to_owned(), sender));
            return Answer::Watch(lines);
        }
        let begin: usize = value("continue").and_then(|token| token.parse().ok()).unwrap_or_default();
        // Pages are small here, so that every longer list has several.
        let page = if value("limit").is_some() { 2 } else { selected.len() };
        let items: Vec<&&Value> = selected.iter().skip(begin).take(page).collect();
        let end = begin + items.len();
        let next = if end < selected.len() { end.to_string() } else { String::new() };
        let metadata = json!({"resourceVersion": self.version.to_string(), "continue": next});
        Answer::Whole(200, json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items}))
    }

    fn groups(&self) -> Answer {
        let named = |name: &str| {
            let version = json!({"groupVersion": format!("{name}/v1"), "version": "v1"});
            json!({"name": name, "versions": [version], "preferredVersion": version})
        };
        let istio = ["networking.istio.io", "security.istio.io"].iter().filter(|_| !self.istio.is_empty());
        let groups: Vec<Value> = ["apps"].iter().chain(istio).map(|name| named(name)).collect();
        Answer::Whole(200, json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
    }

    fn kinds(&self, group: &str) -> Answer {
        let is_of = |plural: &&&str| (**plural == "peerauthentications") == (group == "security.istio.io");
        let kind = |plural: &&str| json!({"name": plural, "singularName": "", "namespaced": true, "kind": "K", "verbs": ["list"]});
        let resources: Vec<Value> = self.istio.iter().filter(is_of).map(kind).collect();
        Answer::Whole(
            200,
            json!({"kind": "APIResourceList", "groupVersion": format!("{group}/v1"), "resources": resources}),
        )
    }

    fn tell(&mut self, plural: &str, kind: &str, object: &Value) {
        let line = line(kind, object);
        self.watchers.retain(|(of, watcher)| of != plural || watcher.send(line.clone()).is_ok());
    }
}

/// As Go prints it: the type comes first.
fn line(kind: &str, object: &Value) -> Bytes {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n").into()
}

fn remove(known: &mut Vec<Value>, object: &Value) -> Option<Value> {
    let key = |object: &Value| (object["metadata"]["namespace"].clone(), object["metadata"]["name"].clone());
    let at = known.iter().position(|other| key(other) == key(object))?;
    Some(known.remove(at))
}

fn status(code: u16) -> Answer {
    let reason = if code == 403 { "Forbidden" } else { "Unknown" };
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("answered with {code}"), "reason": reason, "code": code});
    Answer::Whole(code, body)
}

fn query(uri: &Uri) -> BTreeMap<String, String> {
    let parts = uri.query().unwrap_or_default().split('&').filter_map(|part| part.split_once('='));
    let decode =
        |text: &str| text.replace("%3D", "=").replace("%2C", ",").replace("%2F", "/").replace("%3A", ":");
    parts.map(|(key, value)| (key.to_owned(), decode(value))).collect()
}

fn selects_fields(selector: &str, object: &Value) -> bool {
    selector.split(',').filter_map(|part| part.split_once('=')).all(|(field, value)| {
        let pointer = format!("/{}", field.replace('.', "/"));
        object.pointer(&pointer).is_some_and(|found| found == value)
    })
}

fn selects_labels(selector: &str, object: &Value) -> bool {
    let labels = &object["metadata"]["labels"];
    selector.split(',').filter(|part| !part.is_empty()).all(|part| match part.split_once('=') {
        Some((key, value)) => labels[key] == value,
        None => labels.get(part).is_some(),
    })
}

//! An API server that speaks the real Kubernetes protocol over TLS, with objects, users and faults of a test's choice; it
//! must not know who its clients are.
//!
//! It is strict: what a real server would refuse is refused in the same words, and what no client should ask for (an
//! unknown path, parameter, selector, field, media type or a malformed Event) is kept in [`Api::mistakes`]. Tests end with
//! [`Api::check`].
//!
//! Many objects that are alike need not be kept: [`Api::load_made`] takes a [`Recipe`] that makes each when it is asked
//! for.

mod accept;
mod answer;
mod body;
mod complete;
mod credential;
mod discovery;
mod event_rules;
mod fault;
mod form;
mod list;
mod query;
mod rbac;
mod request_log;
mod resource;
mod route;
mod selector;
mod serve;
mod state;
mod status;
mod store;
mod stream;
mod user;
mod watch;
mod write;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use self::body::{Body, Key};
use self::credential::Credentials;
use self::rbac::Rules;
use self::serve::{Place, Serving};
use self::state::State;
use self::store::Store;
use self::user::Users;
use crate::netns::Netns;

pub use self::body::Recipe;
pub use self::fault::{Faults, Refused};
pub use self::request_log::Request;

/// The agent's user, which may do everything until [`Api::restrict`] is called.
pub const AGENT: &str = "system:serviceaccount:mtlsnoop:mtlsnoop";

/// Files are named by this.
const AGENT_FILES: &str = "agent";
/// A person who may do everything.
const ADMIN_FILES: &str = "admin";

/// A server. Its objects and users outlive [`Self::stop`] and [`Self::start`], as those in etcd do.
#[derive(Debug)]
pub struct Api {
    state: Arc<State>,
    credentials: Credentials,
    place: Place,
    serving: Option<Serving>,
}

impl Api {
    /// Starts a server on the loopback of this machine's network, with its files in `folder`.
    pub fn start_in(folder: &Path) -> Result<Self> {
        Self::start_at(folder, ([127, 0, 0, 1], 0).into(), None)
    }

    /// Starts a server at an address, in a network namespace if there is one.
    pub fn start_at(folder: &Path, address: SocketAddr, netns: Option<Netns>) -> Result<Self> {
        let credentials = Credentials::in_folder(folder, &address.ip().to_string())?;
        let mut users = Users::default();
        users.add(AGENT, Rules::all());
        users.add("kubernetes-admin", Rules::all());
        users.admit(&credentials.read_token(AGENT_FILES)?, AGENT);
        users.admit(&credentials.read_token(ADMIN_FILES)?, "kubernetes-admin");
        let place = Place { address, netns };
        let mut api = Self { state: Arc::new(State::new(users)), credentials, place, serving: None };
        api.start()?;
        // From now on it is always the same port.
        api.place.address = api.serving.as_ref().map_or(address, |serving| serving.address);
        Ok(api)
    }

    /// Starts it again after [`Self::stop`].
    pub fn start(&mut self) -> Result<()> {
        if self.serving.is_none() {
            let tls = self.credentials.tls()?;
            // What a server's cache has seen of changes is gone with its process.
            self.state.store().forget_changes();
            self.serving = Some(Serving::start(&self.place, tls, Arc::clone(&self.state))?);
        }
        Ok(())
    }

    /// Ends it as SIGKILL does: connections break, and nobody listens any more.
    pub fn stop(&mut self) {
        self.serving = None;
    }

    /// Breaks all connections; it goes on listening.
    pub fn break_connections(&self) {
        self.state.broken.send_replace(());
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.place.address
    }

    /// The agent's kubeconfig.
    pub fn kubeconfig(&self) -> Result<PathBuf> {
        self.credentials.kubeconfig(AGENT_FILES, &self.url())
    }

    /// The kubeconfig of somebody who may do everything.
    pub fn admin_kubeconfig(&self) -> Result<PathBuf> {
        self.credentials.kubeconfig(ADMIN_FILES, &self.url())
    }

    fn url(&self) -> String {
        format!("https://{}", self.place.address)
    }

    /// What shall go wrong from now on.
    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        self.state.faults()
    }

    /// Every version so far is too old: watches from one end with 410, as do lists that are under way.
    pub fn expire_versions(&self) {
        self.state.change(Store::compact);
    }

    /// The agent gets another token in its file, and the one before is good no more.
    pub fn rotate_token(&self) -> Result<()> {
        let token = self.credentials.new_token(AGENT_FILES)?;
        let mut users = self.state.users();
        users.expire_tokens(AGENT);
        users.admit(&token, AGENT);
        Ok(())
    }

    /// The agent may do from now on what these `ClusterRole` and `Role` objects allow, and nothing else.
    pub fn restrict(&self, objects: &[Value]) -> Result<()> {
        self.state.users().add(AGENT, Rules::of(objects)?);
        Ok(())
    }

    /// The agent may do nothing with this resource any more. Rules have to be there.
    pub fn forbid(&self, resource: &str) -> Result<()> {
        let mut users = self.state.users();
        let agent = users.named(AGENT).context("there is no agent")?;
        agent.rules = std::mem::take(&mut agent.rules).without(resource);
        Ok(())
    }

    /// The cluster has no such group (`networking.istio.io`), as without Istio.
    pub fn remove_group(&self, group: &str) {
        self.state.absent_groups().insert(group.to_owned());
    }

    /// The cluster has the group again.
    pub fn add_group(&self, group: &str) {
        self.state.absent_groups().remove(group);
    }

    /// Puts objects in, or replaces them: complete as a real cluster prints them, whatever was left out.
    pub fn put_all(&self, objects: impl IntoIterator<Item = Value>) -> Result<()> {
        objects.into_iter().try_for_each(|object| self.put(object))
    }

    /// Puts an object in, or replaces it.
    pub fn put(&self, mut object: Value) -> Result<()> {
        let resource = resource::of_object(&object)
            .with_context(|| format!("the server has no {} {}", object["apiVersion"], object["kind"]))?;
        complete::complete(&mut object);
        let key = key_of(&object)?;
        self.ensure_namespace(&key.0);
        self.state.change(|store| store.put(resource, key, Body::Whole(Arc::new(object))));
        Ok(())
    }

    /// Changes an object as it is stored.
    pub fn change(
        &self,
        plural: &str,
        namespace: &str,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) -> Result<()> {
        let mut object = self.get(plural, namespace, name)?;
        change(&mut object);
        let resource = number_of(plural)?;
        let key = (namespace.into(), name.into());
        self.state.change(|store| store.put(resource, key, Body::Whole(Arc::new(object))));
        Ok(())
    }

    /// Takes an object out.
    pub fn delete(&self, plural: &str, namespace: &str, name: &str) -> Result<()> {
        let resource = number_of(plural)?;
        let gone = self.state.change(|store| store.remove(resource, &(namespace.into(), name.into())));
        gone.map(drop).with_context(|| format!("there is no {plural} {namespace}/{name}"))
    }

    /// An object as it is now.
    pub fn get(&self, plural: &str, namespace: &str, name: &str) -> Result<Value> {
        let store = self.state.store();
        let stored = store.get(number_of(plural)?, &(namespace.into(), name.into()));
        let stored = stored.with_context(|| format!("there is no {plural} {namespace}/{name}"))?;
        Ok(stored.body.object(stored.version))
    }

    /// All objects of a kind. Events are in the form of `events.k8s.io`.
    pub fn list(&self, plural: &str) -> Result<Vec<Value>> {
        let store = self.state.store();
        let listed = store.at(number_of(plural)?, store.version(), None, |_, _| true);
        let listed = listed.ok().context("the newest version is gone")?;
        Ok(listed.into_iter().map(|(_, stored)| stored.body.object(stored.version)).collect())
    }

    /// Puts an object in, before anybody watches, that is made when it is asked for: the `nth` of a recipe.
    pub fn load_made(
        &self,
        plural: &str,
        key: (&str, &str),
        recipe: &Arc<dyn Recipe>,
        nth: u32,
    ) -> Result<()> {
        self.ensure_namespace(key.0);
        let body = Body::Made { recipe: Arc::clone(recipe), nth, revision: 0 };
        self.state.store().load(number_of(plural)?, (key.0.into(), key.1.into()), body);
        Ok(())
    }

    /// Puts such an object in, or another revision of it, and tells those who watch.
    pub fn put_made(
        &self,
        plural: &str,
        key: (&str, &str),
        recipe: &Arc<dyn Recipe>,
        nth: u32,
        revision: u32,
    ) -> Result<()> {
        let resource = number_of(plural)?;
        let body = Body::Made { recipe: Arc::clone(recipe), nth, revision };
        self.state.change(|store| store.put(resource, (key.0.into(), key.1.into()), body));
        Ok(())
    }

    /// How many objects of a kind there are.
    pub fn count(&self, plural: &str) -> Result<usize> {
        Ok(self.state.store().count(number_of(plural)?))
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.state.log.requests()
    }

    /// Requests so far that no client should make.
    pub fn mistakes(&self) -> Vec<String> {
        self.state.log.mistakes()
    }

    /// Fails when there was a request that no client should make.
    pub fn check(&self) -> Result<()> {
        let mistakes = self.mistakes();
        ensure!(mistakes.is_empty(), "a real server would have refused:\n{}", mistakes.join("\n"));
        Ok(())
    }

    fn ensure_namespace(&self, name: &str) {
        let Ok(namespaces) = number_of("namespaces") else { return };
        let key: Key = ("".into(), name.into());
        let is_there = name.is_empty() || self.state.store().get(namespaces, &key).is_some();
        if !is_there {
            let mut namespace =
                json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
            complete::complete(&mut namespace);
            self.state.change(|store| store.put(namespaces, key, Body::Whole(Arc::new(namespace))));
        }
    }
}

fn key_of(object: &Value) -> Result<Key> {
    let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default();
    ensure!(!text("name").is_empty(), "an object without a name: {object}");
    Ok((text("namespace").into(), text("name").into()))
}

/// Names of resources here are unique but for Events, which are stored as those of `events.k8s.io`.
fn number_of(plural: &str) -> Result<usize> {
    if plural == "events" {
        return Ok(resource::EVENTS);
    }
    let number = resource::RESOURCES.iter().position(|resource| resource.plural == plural);
    number.with_context(|| format!("the server has no {plural}"))
}

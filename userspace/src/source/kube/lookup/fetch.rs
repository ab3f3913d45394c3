//! Asks the API for the pod that has an address, and for a Service with what is behind it. Knows neither who wants to know nor
//! what is known already.

use std::{net::IpAddr, time::Duration};

use kube::{
    Api, Client, Error,
    api::{ApiResource, ListParams},
};
use tokio::time::{sleep, timeout};

use crate::{
    event::{
        cluster::{LookupFailure, Pod, Service, Slice},
        istio::Labels,
    },
    source::{
        kube::{
            kind::{Arrived, Fact, Key, Kind, Pods, Services, Slices},
            lookup::Outcome,
        },
        object::endpoint,
    },
};

/// Patience with one request.
const PATIENCE: Duration = Duration::from_secs(5);

/// Pauses before an answer that did not come is asked for again.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// Objects in one answer, so that none is large.
const PAGE: u32 = 100;

/// Pods of a Service that are looked at: whether they have sidecars shows in fewer.
const MOST_PODS: usize = 500;

/// Slices of a Service that are looked at; each has up to 100 endpoints by default (`--max-endpoints-per-slice`).
const MOST_SLICES: usize = 100;

/// What was found.
#[derive(Debug, Default)]
pub(in crate::source::kube) struct Answer {
    pub(in crate::source::kube) service: Option<Service>,
    pub(in crate::source::kube) slices: Vec<Slice>,
    pub(in crate::source::kube) pods: Vec<Pod>,
    pub(in crate::source::kube) failure: Option<LookupFailure>,
}

impl Answer {
    pub(in crate::source::kube) fn outcome(&self) -> Outcome {
        let is_found = self.service.is_some() || !self.pods.is_empty();
        Outcome { is_found, failure: self.failure }
    }

    /// Keeps what went well, and remembers that something did not.
    fn take<T: Default>(&mut self, result: Result<T, LookupFailure>) -> T {
        result.unwrap_or_else(|failure| {
            self.failure.get_or_insert(failure);
            T::default()
        })
    }
}

/// The pod that has the address: the one that a slice names, else the one that says so itself; else the Service whose it is.
pub(in crate::source::kube) async fn holder(client: Client, address: IpAddr, named: Option<Key>) -> Answer {
    let mut answer = Answer::default();
    if let Some(key) = named {
        let pod = answer.take(get::<Pods>(&client, &key).await);
        answer.pods.extend(pod.and_then(into_pod).filter(|pod| pod.addresses.contains(&address)));
    }
    if answer.pods.is_empty() {
        // An address is one pod's, or that of a node and of all pods of its network, which it does not tell apart. From the
        // server's cache: the store would have to read every pod there is.
        let pods = answer.take(everywhere::<Pods>(&client, &format!("status.podIP={address}")).await);
        let holds = |pod: &Pod| !pod.host_network && pod.addresses.contains(&address);
        answer.pods = pods.into_iter().filter_map(into_pod).filter(holds).collect();
    }
    if answer.pods.is_empty() && answer.failure.is_none() {
        let field = format!("spec.clusterIP={address}");
        let services = answer.take(everywhere::<Services>(&client, &field).await);
        answer.service = services.into_iter().filter_map(into_service).map(|(service, _)| service).next();
    }
    if !answer.pods.is_empty() || answer.service.is_some() {
        answer.failure = None;
    }
    answer
}

/// The Service, with its slices where no watch tells of them, and with its pods.
pub(in crate::source::kube) async fn service(client: Client, key: Key, are_slices_known: bool) -> Answer {
    let mut answer = Answer::default();
    let found = answer.take(get::<Services>(&client, &key).await);
    let Some((service, selector)) = found.and_then(into_service) else { return answer };
    let (namespace, name) = &key;
    if !are_slices_known {
        let labels = format!("{}={name}", endpoint::SERVICE_NAME);
        let slices = answer.take(pages::<Slices>(&client, namespace, &labels, MOST_SLICES).await);
        answer.slices = slices.into_iter().filter_map(into_slice).collect();
    }
    if !selector.is_empty() {
        let pods = answer.take(pages::<Pods>(&client, namespace, &text(&selector), MOST_PODS).await);
        answer.pods = pods.into_iter().filter_map(into_pod).collect();
    }
    answer.service = Some(service);
    answer
}

/// A selector of labels as requests have it.
fn text(selector: &Labels) -> String {
    let parts: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    parts.join(",")
}

fn into_pod(fact: Fact) -> Option<Pod> {
    if let Fact::Pod(pod, _) = fact { Some(*pod) } else { None }
}

fn into_service(fact: Fact) -> Option<(Service, Labels)> {
    if let Fact::Service(service, selector) = fact { Some((*service, selector)) } else { None }
}

fn into_slice(fact: Fact) -> Option<Slice> {
    if let Fact::Slice(slice) = fact { Some(*slice) } else { None }
}

/// The version of the kinds that are looked up: there is no other.
fn resource<K: Kind>() -> ApiResource {
    K::resource("v1")
}

/// Objects of any namespace with this field, from the server's cache.
async fn everywhere<K: Kind>(client: &Client, field: &str) -> Result<Vec<Fact>, LookupFailure> {
    let api = Api::<Arrived<K>>::all_with(client.clone(), &resource::<K>());
    let parameters = ListParams::default().fields(field).match_any();
    let list = ask(|| api.list(&parameters)).await?;
    Ok(list.items.into_iter().filter_map(|arrived| arrived.fact.ok()).collect())
}

/// One object; none where it is not there, or cannot be read.
async fn get<K: Kind>(client: &Client, (namespace, name): &Key) -> Result<Option<Fact>, LookupFailure> {
    let api = Api::<Arrived<K>>::namespaced_with(client.clone(), namespace, &resource::<K>());
    let found = ask(|| api.get_opt(name)).await?;
    Ok(found.and_then(|arrived| arrived.fact.ok()))
}

/// Objects with these labels, in pages, up to so many.
async fn pages<K: Kind>(
    client: &Client,
    namespace: &str,
    labels: &str,
    most: usize,
) -> Result<Vec<Fact>, LookupFailure> {
    let api = Api::<Arrived<K>>::namespaced_with(client.clone(), namespace, &resource::<K>());
    let mut parameters = ListParams::default().labels(labels).limit(PAGE);
    let mut found = Vec::new();
    loop {
        let page = ask(|| api.list(&parameters)).await?;
        found.extend(page.items.into_iter().filter_map(|arrived| arrived.fact.ok()));
        let next = page.metadata.continue_.filter(|token| !token.is_empty());
        match next {
            Some(token) if found.len() < most => parameters.continue_token = Some(token),
            _ => break,
        }
    }
    found.truncate(most);
    Ok(found)
}

/// Asks, and asks again where no answer came or the server had no time.
async fn ask<T, A: Future<Output = Result<T, Error>>>(request: impl Fn() -> A) -> Result<T, LookupFailure> {
    let mut pauses = PAUSES.iter();
    loop {
        let failure = match timeout(PATIENCE, request()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => failure(&error),
            Err(_elapsed) => LookupFailure::Unreachable,
        };
        let pause = pauses.next().filter(|_| failure == LookupFailure::Unreachable);
        sleep(*pause.ok_or(failure)?).await;
    }
}

/// Why there is no answer.
fn failure(error: &Error) -> LookupFailure {
    match error {
        Error::Api(status) if status.is_forbidden() => LookupFailure::Forbidden,
        Error::Api(status) if status.code == 429 => LookupFailure::RateLimited,
        Error::Api(status) if matches!(status.code, 500 | 502..=504) => LookupFailure::Unreachable,
        Error::Api(_) | Error::SerdeError(_) => LookupFailure::Refused,
        _ => LookupFailure::Unreachable,
    }
}

//! How the test API server makes the cluster's objects when somebody asks for one. It must not know who asks.

use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::pod::{Pod, Stage};
use super::rule::Rule;
use super::service::Service;
use super::turnover::Endpoints;
use super::{World, node_name};
use crate::api::Recipe;

/// Pods by their numbers; a revision is a stage.
#[derive(Debug)]
pub struct Pods;

/// Services by their numbers.
#[derive(Debug)]
pub struct Services;

/// Slices by the numbers of their Services; a revision is what a slice told at some time, the first what it tells of pods that
/// were never replaced.
#[derive(Debug, Default)]
pub struct Slices {
    told: Mutex<Vec<Endpoints>>,
}

/// `DestinationRule`s by their numbers.
#[derive(Debug)]
pub struct Rules;

impl Slices {
    /// The revision that tells this.
    pub fn revision(&self, endpoints: Endpoints) -> u32 {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.push(endpoints);
        u32::try_from(told.len()).unwrap_or(u32::MAX)
    }

    fn told(&self, nth: u32, revision: u32) -> Endpoints {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = revision.checked_sub(1).and_then(|index| told.get(index as usize));
        changed.cloned().unwrap_or_else(|| World::new_endpoints(Service(nth as usize)))
    }
}

impl Recipe for Pods {
    fn object(&self, nth: u32, revision: u32) -> Value {
        let stage = Stage::ALL.get(revision as usize).copied().unwrap_or(Stage::Ready);
        Pod::numbered(nth).object_at(stage)
    }

    fn label(&self, nth: u32, key: &str) -> Option<String> {
        Pod::numbered(nth).label(key)
    }

    fn field(&self, nth: u32, path: &str) -> String {
        let pod = Pod::numbered(nth);
        match path {
            "metadata.name" => pod.name(),
            "metadata.namespace" => pod.service().namespace(),
            "spec.nodeName" => node_name(pod.node()),
            "status.podIP" => pod.address().to_string(),
            _ => field(&pod.object(), path),
        }
    }
}

impl Recipe for Services {
    fn object(&self, nth: u32, _revision: u32) -> Value {
        Service(nth as usize).object()
    }

    fn label(&self, nth: u32, key: &str) -> Option<String> {
        label(&Service(nth as usize).object(), key)
    }

    fn field(&self, nth: u32, path: &str) -> String {
        let service = Service(nth as usize);
        match path {
            "spec.clusterIP" if service.is_headless() => "None".to_owned(),
            _ => field(&service.object(), path),
        }
    }
}

impl Recipe for Slices {
    fn object(&self, nth: u32, revision: u32) -> Value {
        Service(nth as usize).slice(&self.told(nth, revision))
    }

    fn label(&self, nth: u32, key: &str) -> Option<String> {
        let service = Service(nth as usize);
        match key {
            "kubernetes.io/service-name" => Some(service.name()),
            "service.kubernetes.io/headless" => service.is_headless().then(String::new),
            // The labels do not depend on the endpoints.
            _ => label(&service.slice(&[]), key),
        }
    }

    fn field(&self, nth: u32, path: &str) -> String {
        field(&Service(nth as usize).slice(&[]), path)
    }
}

impl Recipe for Rules {
    fn object(&self, nth: u32, _revision: u32) -> Value {
        Rule(nth as usize).object()
    }

    fn label(&self, nth: u32, key: &str) -> Option<String> {
        label(&Rule(nth as usize).object(), key)
    }

    fn field(&self, nth: u32, path: &str) -> String {
        field(&Rule(nth as usize).object(), path)
    }
}

fn label(object: &Value, key: &str) -> Option<String> {
    object["metadata"]["labels"].get(key)?.as_str().map(str::to_owned)
}

fn field(object: &Value, path: &str) -> String {
    let value = path.split('.').fold(object, |value, part| &value[part]);
    value.as_str().map(str::to_owned).unwrap_or_default()
}

//! Refusals as the API server words them: `Status` objects; it must not know what was asked for.

use serde_json::{Value, json};

use super::resource::Resource;

/// A request that is not answered with what it asks for.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    reason: &'static str,
    message: String,
    details: Value,
    pub(crate) retry_after_seconds: Option<u32>,
    continue_token: Option<String>,
    /// The request is one that no client should make: what a test has to fail on.
    pub(crate) is_mistake: bool,
    /// Not even a `Status`: the mux answers for paths below which there is nothing.
    is_plain_text: bool,
}

impl Refusal {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: Value::Null,
            retry_after_seconds: None,
            continue_token: None,
            is_mistake: false,
            is_plain_text: false,
        }
    }

    fn mistake(self) -> Self {
        Self { is_mistake: true, ..self }
    }

    /// No mistake of the client's: it cannot know better.
    pub(crate) fn expected(self) -> Self {
        Self { is_mistake: false, ..self }
    }

    /// apimachinery `pkg/api/errors`: `NewBadRequest`.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message).mistake()
    }

    /// apiserver `pkg/endpoints/filters/authentication.go`.
    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// apiserver `pkg/endpoints/handlers/responsewriters/errors.go`: `Forbidden`.
    pub(crate) fn forbidden(user: &str, verb: &str, asked: &Asked<'_>) -> Self {
        let Asked { resource, namespace, name } = asked;
        let place = match namespace {
            Some(namespace) => format!("in the namespace \"{namespace}\""),
            None => "at the cluster scope".to_owned(),
        };
        let which = name.map(|name| format!(" \"{name}\"")).unwrap_or_default();
        let message = format!(
            "{}{which} is forbidden: User \"{user}\" cannot {verb} resource \"{}\" in API group \"{}\" {place}",
            resource.qualified(),
            resource.plural,
            resource.group
        );
        Self { details: details(resource, *name), ..Self::new(403, "Forbidden", message) }
    }

    /// The same for paths that are no resources.
    pub(crate) fn forbidden_path(user: &str, path: &str) -> Self {
        let message = format!("forbidden: User \"{user}\" cannot get path \"{path}\"");
        Self { details: json!({}), ..Self::new(403, "Forbidden", message) }
    }

    /// There is nothing below a path, and never was: the client asks for something that no server has.
    pub(crate) fn no_such_path() -> Self {
        Self { is_plain_text: true, ..Self::new(404, "NotFound", "404 page not found\n") }.mistake()
    }

    /// A group that a cluster need not have is not there.
    pub(crate) fn absent_group() -> Self {
        Self { is_plain_text: true, ..Self::new(404, "NotFound", "404 page not found\n") }
    }

    /// A group without such a resource: the message of `NewGenericServerResponse`.
    pub(crate) fn no_such_resource() -> Self {
        let message = "the server could not find the requested resource";
        Self { details: json!({}), ..Self::new(404, "NotFound", message) }.mistake()
    }

    pub(crate) fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", resource.qualified());
        Self { details: details(resource, Some(name)), ..Self::new(404, "NotFound", message) }
    }

    pub(crate) fn namespace_not_found(namespace: &str) -> Self {
        let message = format!("namespaces \"{namespace}\" not found");
        let details = json!({ "name": namespace, "kind": "namespaces" });
        Self { details, ..Self::new(404, "NotFound", message) }
    }

    pub(crate) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self { details: json!({}), ..Self::new(405, "MethodNotAllowed", message) }.mistake()
    }

    pub(crate) fn not_acceptable() -> Self {
        let message = "only the following media types are accepted: application/json, application/yaml, \
                       application/vnd.kubernetes.protobuf, application/json;stream=watch";
        Self::new(406, "NotAcceptable", message).mistake()
    }

    pub(crate) fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", resource.qualified());
        Self { details: details(resource, Some(name)), ..Self::new(409, "AlreadyExists", message) }
    }

    pub(crate) fn conflict(resource: &Resource, name: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": the object has been modified; please apply your changes \
             to the latest version and try again",
            resource.qualified()
        );
        Self { details: details(resource, Some(name)), ..Self::new(409, "Conflict", message) }
    }

    /// apiserver `pkg/storage/etcd3/errors.go`: `handleExpiredError`.
    pub(crate) fn expired_continue(continue_token: String) -> Self {
        let message = "The provided continue parameter is too old to display a consistent list result. You can start \
                       a new list without the continue parameter, or use the continue token in this response to \
                       retrieve the remainder of the results. Continuing with the provided token results in an \
                       inconsistent list - objects that were created, modified, or deleted between the time the \
                       first chunk was returned and now may show up in the list.";
        Self { continue_token: Some(continue_token), ..Self::new(410, "Expired", message) }
    }

    /// apiserver `pkg/storage/cacher/watch_cache.go`.
    pub(crate) fn too_old(version: u64, oldest: u64) -> Self {
        Self::new(410, "Expired", format!("too old resource version: {version} ({oldest})"))
    }

    /// apiserver `pkg/storage/errors.go`: `NewTooLargeResourceVersionError`.
    pub(crate) fn too_large(version: u64, current: u64) -> Self {
        let message = format!("Too large resource version: {version}, current: {current}");
        let cause = json!({ "reason": "ResourceVersionTooLarge", "message": "Too large resource version" });
        let details = json!({ "causes": [cause], "retryAfterSeconds": 1 });
        Self { details, retry_after_seconds: Some(1), ..Self::new(504, "Timeout", message) }
    }

    pub(crate) fn unsupported_media_type(given: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: \
             application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml (got {given})"
        );
        Self::new(415, "UnsupportedMediaType", message).mistake()
    }

    /// `NewInvalid`: each cause is a field and what is wrong with it.
    pub(crate) fn invalid(kind: &str, name: &str, causes: &[(&str, String)]) -> Self {
        let listed: Vec<String> = causes.iter().map(|(field, what)| format!("{field}: {what}")).collect();
        let all = match listed.as_slice() {
            [one] => one.clone(),
            several => format!("[{}]", several.join(", ")),
        };
        let causes: Vec<Value> = causes
            .iter()
            .map(|(field, what)| json!({ "reason": "FieldValueInvalid", "message": what, "field": field }))
            .collect();
        let details = json!({ "name": name, "kind": kind, "causes": causes });
        Self { details, ..Self::new(422, "Invalid", format!("{kind} \"{name}\" is invalid: {all}")) }
            .mistake()
    }

    /// apiserver `pkg/server/filters/priority-and-fairness.go`.
    pub(crate) fn too_many_requests(retry_after_seconds: u32) -> Self {
        let message = "Too many requests, please try again later.";
        Self {
            retry_after_seconds: Some(retry_after_seconds),
            details: json!({ "retryAfterSeconds": retry_after_seconds }),
            ..Self::new(429, "TooManyRequests", message)
        }
    }

    pub(crate) fn internal(code: u16, retry_after_seconds: Option<u32>) -> Self {
        let (reason, message) = match code {
            503 => ("ServiceUnavailable", "apiserver is shutting down"),
            504 => ("Timeout", "the server was unable to return a response in the time allotted"),
            _ => ("InternalError", "Internal error occurred: etcdserver: request timed out"),
        };
        Self { retry_after_seconds, ..Self::new(code, reason, message) }
    }

    /// The body of the answer, and its type.
    pub(crate) fn body(&self) -> (&'static str, String) {
        if self.is_plain_text {
            return ("text/plain; charset=utf-8", self.message.clone());
        }
        ("application/json", self.status().to_string())
    }

    /// The `Status` object, which is also what an `ERROR` of a watch carries.
    pub(crate) fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code
        });
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        if let Some(token) = &self.continue_token {
            status["metadata"]["continue"] = token.as_str().into();
        }
        status
    }

    /// For the list of mistakes.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

/// What a refused request was about.
pub(crate) struct Asked<'a> {
    pub(crate) resource: &'a Resource,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
}

fn details(resource: &Resource, name: Option<&str>) -> Value {
    let mut details = json!({ "kind": resource.plural });
    if !resource.group.is_empty() {
        details["group"] = resource.group.into();
    }
    if let Some(name) = name {
        details["name"] = name.into();
    }
    details
}

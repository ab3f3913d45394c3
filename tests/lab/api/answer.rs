//! Answers one request: who asks, may it be, what is there; it must not know how requests come.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body as HttpBody, Bytes, to_bytes};
use axum::extract::Query as UriQuery;
use axum::http::{HeaderMap, Method, Request, Response, header};
use serde_json::Value;

use super::accept::{self, Form};
use super::body::Key;
use super::list::{self, Listed};
use super::query::{self, Parameters, Query};
use super::rbac::Attempt;
use super::request_log::Record;
use super::route::{self, Objects, Target};
use super::state::State;
use super::status::{Asked, Refusal};
use super::stream;
use super::user::User;
use super::watch::Watch;
use super::write::{self, PatchKind, Written};
use super::{discovery, form};

/// apiserver `pkg/server/config.go`: `MaxRequestBodyBytes`.
const MAX_BODY_BYTES: usize = 3 << 20;

/// An answer to be sent.
enum Answer {
    Json { code: u16, body: Value },
    Text(&'static str),
    List(Objects, Form, Listed),
    Watch(Watch, tokio::sync::mpsc::Receiver<Result<Bytes, std::io::Error>>),
}

/// Answers a request, whatever it is.
pub(crate) async fn answer(
    state: Arc<State>,
    request: Request<HttpBody>,
) -> Result<Response<HttpBody>, Infallible> {
    let record = state.log.begin(request.method().as_str(), &request.uri().to_string());
    let delay = state.faults().delay;
    if !delay.is_zero() {
        // A slow server is what was ordered.
        tokio::time::sleep(delay).await;
    }
    let what = format!("{} {}", request.method(), request.uri());
    let (code, retry_after, content_type, body) = match decide(&state, request, &record).await {
        Ok(answer) => sendable(answer, &record),
        Err(refusal) => {
            if refusal.is_mistake {
                state.log.mistake(format!("{what}: {} {}", refusal.code, refusal.message()));
            }
            let (content_type, text) = refusal.body();
            record.sent(text.len());
            record.over();
            (refusal.code, refusal.retry_after_seconds, content_type, HttpBody::from(text))
        }
    };
    record.answered(code);
    let mut response = Response::new(body);
    *response.status_mut() = axum::http::StatusCode::from_u16(code).unwrap_or_default();
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    Ok(response)
}

fn sendable(answer: Answer, record: &Arc<Record>) -> (u16, Option<u32>, &'static str, HttpBody) {
    let json = "application/json";
    match answer {
        Answer::Json { code, body } => {
            let text = body.to_string();
            record.sent(text.len());
            record.over();
            (code, None, json, HttpBody::from(text))
        }
        Answer::Text(text) => {
            record.sent(text.len());
            record.over();
            (200, None, "text/plain; charset=utf-8", HttpBody::from(text))
        }
        Answer::List(objects, form, listed) => {
            (200, None, json, stream::list(objects, form, listed, Arc::clone(record)))
        }
        Answer::Watch(watch, lines) => {
            tokio::spawn(watch.run());
            (200, None, json, stream::watch(lines, Arc::clone(record)))
        }
    }
}

async fn decide(state: &Arc<State>, request: Request<HttpBody>, record: &Record) -> Result<Answer, Refusal> {
    let (parts, body) = request.into_parts();
    let user = state.users().authenticate(text(&parts.headers, header::AUTHORIZATION)).cloned();
    let user = user.ok_or_else(Refusal::unauthorized)?;
    let is_absent = |group: &str| state.absent_groups().contains(group);
    let parameters = UriQuery::<Parameters>::try_from_uri(&parts.uri)
        .map_err(|error| Refusal::bad_request(error.to_string()))?
        .0;
    let target = route::route(parts.uri.path(), is_absent);
    if let Ok(Target::Objects(objects)) = &target {
        let verb = objects.verb(&parts.method, query::is_watch(&parameters))?;
        record.named(verb, objects.resource().plural);
        refuse_on_order(state, Some(objects.resource().plural), verb)?;
        let mut objects = objects.clone();
        let query = read_query(&mut objects, verb, &parameters);
        allow(&user, &objects, verb, query.as_ref().ok())?;
        let form = accept::negotiate(text(&parts.headers, header::ACCEPT))?;
        let query = query?;
        if matches!(verb, "get" | "list" | "watch") {
            return read(state, objects, query, form, verb);
        }
        let body =
            to_bytes(body, MAX_BODY_BYTES).await.map_err(|error| Refusal::bad_request(error.to_string()))?;
        let content_type = text(&parts.headers, header::CONTENT_TYPE).unwrap_or_default();
        return change(state, &user, &objects, &query, content_type, &body, verb);
    }
    refuse_on_order(state, None, "get")?;
    if !user.rules.allow_path(parts.uri.path()) {
        return Err(Refusal::forbidden_path(&user.name, parts.uri.path()));
    }
    let target = target?;
    if parts.method != Method::GET {
        return Err(Refusal::method_not_allowed());
    }
    about_itself(&target, &parts.headers, is_absent)
}

fn about_itself(
    target: &Target,
    headers: &HeaderMap,
    is_absent: impl Fn(&str) -> bool,
) -> Result<Answer, Refusal> {
    accept::negotiate(text(headers, header::ACCEPT))?;
    let body = match target {
        Target::Health => return Ok(Answer::Text("ok")),
        Target::Version => discovery::version(),
        Target::CoreVersions => discovery::core_versions(text(headers, header::HOST).unwrap_or_default()),
        Target::Groups => discovery::groups(is_absent),
        Target::Versions(group) => discovery::versions(group),
        Target::Resources { group, version } => discovery::resources(group, version),
        Target::Objects(_) => return Err(Refusal::no_such_path()),
    };
    Ok(Answer::Json { code: 200, body })
}

fn refuse_on_order(state: &State, resource: Option<&str>, verb: &str) -> Result<(), Refusal> {
    state.faults().refuse(resource, verb).map_or(Ok(()), Err)
}

/// Reads the query for the verb. A watch of one object by its path is one of a list with that name.
fn read_query(objects: &mut Objects, verb: &str, parameters: &Parameters) -> Result<Query, Refusal> {
    match verb {
        "get" => query::of_get(parameters),
        "list" => query::of_reader(objects.resource(), parameters),
        "watch" => {
            let mut parameters = parameters.clone();
            if let Some(name) = &objects.name {
                parameters.push(("fieldSelector".to_owned(), format!("metadata.name={name}")));
            }
            query::of_reader(objects.resource(), &parameters)
        }
        _ => query::of_writer(parameters),
    }
}

fn allow(user: &User, objects: &Objects, verb: &str, query: Option<&Query>) -> Result<(), Refusal> {
    let resource = objects.resource();
    let name = objects.name.as_deref().or_else(|| query?.selector.name());
    let namespace = objects.namespace.as_deref();
    let attempt = Attempt { verb, group: resource.group, resource: resource.plural, namespace, name };
    if user.rules.allow(&attempt) {
        return Ok(());
    }
    Err(Refusal::forbidden(&user.name, verb, &Asked { resource, namespace, name: objects.name.as_deref() }))
}

fn read(
    state: &Arc<State>,
    objects: Objects,
    query: Query,
    form: Form,
    verb: &str,
) -> Result<Answer, Refusal> {
    match (verb, form) {
        ("get" | "watch", Form::MetadataList) | ("list", Form::Metadata) => Err(Refusal::not_acceptable()),
        ("get", _) => get(state, &objects, form),
        ("list", _) => {
            let listed = list::list(&state.store(), &objects, &query, form)?;
            Ok(Answer::List(objects, form, listed))
        }
        _ => {
            if query.initial_events && state.faults().no_streaming_lists {
                let what = "Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate \
                            is enabled";
                let causes = [("sendInitialEvents", what.to_owned())];
                return Err(Refusal::invalid("ListOptions.meta.k8s.io", "", &causes).expected());
            }
            // A few events at a time: a client that does not read is not told more.
            let (lines, receiver) = tokio::sync::mpsc::channel(64);
            Ok(Answer::Watch(Watch { state: Arc::clone(state), objects, query, form, lines }, receiver))
        }
    }
}

fn get(state: &State, objects: &Objects, form: Form) -> Result<Answer, Refusal> {
    let name = objects.name.as_deref().unwrap_or_default();
    let key: Key = (objects.namespace.as_deref().unwrap_or_default().into(), name.into());
    let stored = state.store().get(objects.stored(), &key).cloned();
    let stored = stored.ok_or_else(|| Refusal::not_found(objects.resource(), name))?;
    let object = stored.body.object(stored.version);
    let body = match form {
        Form::Whole => form::in_version(object, objects),
        Form::Metadata | Form::MetadataList => super::body::metadata_only(&object),
    };
    Ok(Answer::Json { code: 200, body })
}

fn change(
    state: &State,
    user: &User,
    objects: &Objects,
    query: &Query,
    content_type: &str,
    body: &[u8],
    verb: &str,
) -> Result<Answer, Refusal> {
    let written = match verb {
        "create" => state.change(|store| write::create(store, objects, query, body)),
        "patch" => {
            let kind = PatchKind::of(content_type, objects.resource())?;
            // apiserver `pkg/endpoints/handlers/patch.go`: what apply creates needs the right to create, too.
            let may_create = allow(user, objects, "create", None);
            state.change(|store| write::patch(store, objects, query, kind, body, may_create))
        }
        "delete" => {
            let object = state.change(|store| write::delete(store, objects))?;
            Ok(Written { object, is_new: false })
        }
        _ => Err(Refusal::method_not_allowed()),
    }?;
    let code = if written.is_new { 201 } else { 200 };
    Ok(Answer::Json { code, body: form::in_version(written.object, objects) })
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

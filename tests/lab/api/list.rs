//! Lists: whole, in parts, at a version; it must not know how they are sent.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use super::accept::Form;
use super::body::{Body, Key, metadata_only};
use super::form::in_version;
use super::query::{AtVersion, Query};
use super::route::Objects;
use super::status::Refusal;
use super::store::{NoSuchVersion, Store, Stored};

/// What a list holds, before any of its objects is made.
pub(crate) struct Listed {
    pub(crate) beginning: String,
    pub(crate) items: Vec<Stored>,
}

/// Which objects a request names: of a namespace or all, selected.
pub(crate) fn is_asked_for(objects: &Objects, query: &Query, key: &Key, body: &Body) -> bool {
    objects.namespace.as_deref().is_none_or(|namespace| *namespace == *key.0)
        && (query.selector.is_empty() || query.selector.selects(body))
}

/// The objects of a list, and its head.
pub(crate) fn list(store: &Store, objects: &Objects, query: &Query, form: Form) -> Result<Listed, Refusal> {
    let start = Start::of(store, query)?;
    let is_wanted = |key: &Key, body: &Body| is_asked_for(objects, query, key, body);
    let all = store.at(objects.stored(), start.version, start.after.as_ref(), is_wanted);
    let mut all = all.map_err(|missing| refusal(missing, &start))?;
    // Without a version to hold on to, a server answers from its cache and pays no heed to the limit (apiserver
    // `pkg/storage/cacher/delegator`, `ShouldDelegateList`).
    let is_limited = query.limit > 0 && query.version != AtVersion::Any;
    let limit = if is_limited { query.limit } else { usize::MAX };
    let left = all.len().saturating_sub(limit);
    all.truncate(limit);
    let mut metadata = json!({ "resourceVersion": start.version.to_string() });
    if left > 0
        && let Some((last, _)) = all.last()
    {
        metadata["continue"] = token(start.version, last).into();
        if query.selector.is_empty() {
            metadata["remainingItemCount"] = left.into();
        }
    }
    Ok(Listed {
        beginning: head(objects, form, &metadata),
        items: all.into_iter().map(|(_, stored)| stored).collect(),
    })
}

/// One object as it stands in a list.
pub(crate) fn item(objects: &Objects, form: Form, stored: &Stored) -> Value {
    let object = stored.body.object(stored.version);
    if form == Form::MetadataList {
        return metadata_only(&object);
    }
    let resource = objects.resource();
    let mut object = in_version(object, objects);
    if !resource.is_custom()
        && let Some(object) = object.as_object_mut()
    {
        object.remove("kind");
        object.remove("apiVersion");
    }
    object
}

/// All of a list up to its items.
fn head(objects: &Objects, form: Form, metadata: &Value) -> String {
    let resource = objects.resource();
    let (kind, api_version) = if form == Form::MetadataList {
        ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned())
    } else {
        (format!("{}List", resource.kind), resource.api_version(objects.version))
    };
    format!("{{\"kind\":\"{kind}\",\"apiVersion\":\"{api_version}\",\"metadata\":{metadata},\"items\":[")
}

struct Start {
    version: u64,
    after: Option<Key>,
}

impl Start {
    fn of(store: &Store, query: &Query) -> Result<Self, Refusal> {
        if let Some(token) = &query.continue_token {
            let (version, after) = read_token(token)
                .ok_or_else(|| Refusal::bad_request("continue key is not valid: encoded start key"))?;
            return Ok(Self { version, after: Some(after) });
        }
        let version = match query.version {
            AtVersion::Latest | AtVersion::Any => store.version(),
            AtVersion::NotOlderThan(version) => version.max(store.version()),
            AtVersion::Exact(version) => version,
        };
        Ok(Self { version, after: None })
    }
}

fn refusal(missing: NoSuchVersion, start: &Start) -> Refusal {
    match (missing, &start.after) {
        (NoSuchVersion::TooOld { oldest }, Some(after)) => Refusal::expired_continue(token(oldest, after)),
        (NoSuchVersion::TooOld { oldest }, None) => Refusal::too_old(start.version, oldest),
        (NoSuchVersion::TooLarge { current }, _) => Refusal::too_large(start.version, current),
    }
}

/// apiserver `pkg/storage/continue.go`.
fn token(version: u64, (namespace, name): &Key) -> String {
    let token = json!({ "v": "meta.k8s.io/v1", "rv": version, "start": format!("{namespace}/{name}\0") });
    BASE64URL_NOPAD.encode(token.to_string().as_bytes())
}

fn read_token(text: &str) -> Option<(u64, Key)> {
    let token: Value = serde_json::from_slice(&BASE64URL_NOPAD.decode(text.as_bytes()).ok()?).ok()?;
    let (namespace, name) = token["start"].as_str()?.strip_suffix('\0')?.split_once('/')?;
    Some((token["rv"].as_u64()?, (namespace.into(), name.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pods() -> Objects {
        Objects { resource: 0, version: "v1", namespace: None, name: None }
    }

    #[test]
    fn a_state_that_is_not_there_yet_is_to_be_asked_for_again() {
        let query = Query { version: AtVersion::NotOlderThan(u64::MAX), ..Query::default() };
        let refusal = list(&Store::new(), &pods(), &query, Form::Whole).err().unwrap();
        assert_eq!((refusal.code, refusal.retry_after_seconds), (504, Some(1)));
        assert!(refusal.message().starts_with("Too large resource version"), "{refusal:?}");
    }

    #[test]
    fn a_token_that_is_none_is_refused() {
        let query = Query { continue_token: Some("abc".to_owned()), ..Query::default() };
        let refusal = list(&Store::new(), &pods(), &query, Form::Whole).err().unwrap();
        assert!(refusal.code == 400 && refusal.is_mistake, "{refusal:?}");
        let token = token(7, &("default".into(), "redis-0".into()));
        assert_eq!(read_token(&token), Some((7, ("default".into(), "redis-0".into()))));
    }
}

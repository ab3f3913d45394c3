//! JSON documents one after another, and the objects of the lists among them; knows no kind but lists.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::source::cluster_file::{collected::Object, malformed::Malformed};

/// What Windows programs put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The documents of the text: it may have several, as a script with several kubectl commands prints them.
pub(super) fn split(text: &[u8]) -> Result<Vec<&RawValue>, Malformed> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    serde_json::Deserializer::from_slice(text)
        .into_iter()
        .collect::<Result<_, _>>()
        .map_err(|error| Malformed::not_json(text, &error))
}

/// What every object and every list has; for an item of a typed list (`PodList`) both may be missing.
#[derive(Deserialize)]
struct Head {
    #[serde(default, rename = "apiVersion")]
    api_version: Option<String>,
    #[serde(default)]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Items<'a> {
    #[serde(borrow, default)]
    items: Option<Vec<&'a RawValue>>,
}

/// What kubectl prints when the API server refuses.
#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    message: Option<String>,
}

/// Hands over the document's object, or those of its list, each with its own kind or that of the list.
pub(super) fn for_each_object<'a>(
    document: &'a RawValue,
    mut take: impl FnMut(Object<'a>),
) -> Result<(), Malformed> {
    let not_kubectl = |found: &str| Malformed::NotKubectl { found: found.into() };
    let head = head_of(document).ok_or_else(|| not_kubectl(describe(document)))?;
    let (Some(kind), Some(api_version)) = (head.kind, head.api_version) else {
        return Err(not_kubectl("an object without `kind` and `apiVersion`"));
    };
    if kind == "Status" {
        let message = serde_json::from_str::<Status>(document.get()).ok().and_then(|status| status.message);
        return Err(not_kubectl(&format!("an error of the API server: {}", message.unwrap_or_default())));
    }
    let item_kind = kind.strip_suffix("List");
    let items = item_kind.and_then(|_| serde_json::from_str::<Items<'_>>(document.get()).ok()?.items);
    let (Some(item_kind), Some(items)) = (item_kind, items) else {
        take(Object { api_version, kind, text: document });
        return Ok(());
    };
    for item in items {
        let own = head_of(item);
        let (own_version, own_kind) = own.map_or((None, None), |own| (own.api_version, own.kind));
        take(Object {
            api_version: own_version.unwrap_or_else(|| api_version.clone()),
            kind: own_kind.unwrap_or_else(|| item_kind.to_owned()),
            text: item,
        });
    }
    Ok(())
}

/// None for what is no object: serde would take an array for the fields in their order.
fn head_of(text: &RawValue) -> Option<Head> {
    text.get().starts_with('{').then(|| serde_json::from_str(text.get()).ok())?
}

/// What kind of JSON value it is.
fn describe(document: &RawValue) -> &'static str {
    match document.get().as_bytes().first() {
        Some(b'{') => "an object whose `kind` or `apiVersion` is no text",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

//! Query parameters of requests for objects, checked as real servers check them; it must not know the objects.
//!
//! Real servers ignore parameters that they do not know. Here they are refused, because a client that writes one means
//! something by it.

use super::resource::Resource;
use super::selector::Selector;
use super::status::Refusal;

/// What may be asked for besides the path.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query {
    pub(crate) selector: Selector,
    pub(crate) limit: usize,
    pub(crate) continue_token: Option<String>,
    pub(crate) version: AtVersion,
    pub(crate) bookmarks: bool,
    pub(crate) initial_events: bool,
    pub(crate) timeout_seconds: Option<u64>,
    pub(crate) field_manager: Option<String>,
}

/// Which state of the objects a reader wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum AtVersion {
    /// The newest.
    #[default]
    Latest,
    /// Any: `0`.
    Any,
    /// This one or a newer one.
    NotOlderThan(u64),
    /// This one and no other.
    Exact(u64),
}

/// Parameters of a request, decoded.
pub(crate) type Parameters = Vec<(String, String)>;

/// Whether the request is a watch, which decides what it is checked for.
pub(crate) fn is_watch(parameters: &Parameters) -> bool {
    value(parameters, "watch").is_some_and(is_true)
}

/// The parameters of a `list` or `watch`.
pub(crate) fn of_reader(resource: &Resource, parameters: &Parameters) -> Result<Query, Refusal> {
    check_names(
        parameters,
        &[
            "allowWatchBookmarks",
            "continue",
            "fieldSelector",
            "labelSelector",
            "limit",
            "pretty",
            "resourceVersion",
            "resourceVersionMatch",
            "sendInitialEvents",
            "timeout",
            "timeoutSeconds",
            "watch",
        ],
    )?;
    let text = |name: &str| value(parameters, name).unwrap_or_default();
    let flag = |name: &str| value(parameters, name).is_some_and(is_true);
    check_versions(parameters)?;
    Ok(Query {
        selector: Selector::parse(resource, text("labelSelector"), text("fieldSelector"))?,
        limit: number(parameters, "limit")?.and_then(|limit| usize::try_from(limit).ok()).unwrap_or_default(),
        continue_token: value(parameters, "continue").filter(|token| !token.is_empty()).map(str::to_owned),
        version: version(parameters)?,
        bookmarks: flag("allowWatchBookmarks"),
        initial_events: flag("sendInitialEvents"),
        timeout_seconds: number(parameters, "timeoutSeconds")?,
        ..Query::default()
    })
}

/// The parameters of a `get`.
pub(crate) fn of_get(parameters: &Parameters) -> Result<Query, Refusal> {
    check_names(parameters, &["pretty", "resourceVersion", "timeout"])?;
    Ok(Query { version: version(parameters)?, ..Query::default() })
}

/// The parameters of a `create`, `patch` or `delete`.
pub(crate) fn of_writer(parameters: &Parameters) -> Result<Query, Refusal> {
    check_names(parameters, &["fieldManager", "fieldValidation", "force", "pretty", "timeout"])?;
    Ok(Query { field_manager: value(parameters, "fieldManager").map(str::to_owned), ..Query::default() })
}

fn check_names(parameters: &Parameters, known: &[&str]) -> Result<(), Refusal> {
    match parameters.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some((name, _)) => Err(Refusal::bad_request(format!("unknown query parameter \"{name}\""))),
    }
}

/// apimachinery `pkg/apis/meta/internalversion/validation`: `ValidateListOptions`.
fn check_versions(parameters: &Parameters) -> Result<(), Refusal> {
    let text = |name: &str| value(parameters, name).unwrap_or_default();
    let (at, matching) = (text("resourceVersion"), text("resourceVersionMatch"));
    let is_watch = is_watch(parameters);
    let initial = value(parameters, "sendInitialEvents").is_some();
    let forbidden = |field, what: &str| {
        Err(Refusal::invalid("ListOptions.meta.k8s.io", "", &[(field, format!("Forbidden: {what}"))]))
    };
    if initial && !is_watch {
        return forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list");
    }
    if initial && matching != "NotOlderThan" {
        let what = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        return forbidden("resourceVersionMatch", what);
    }
    if is_watch && !matching.is_empty() && !initial {
        let what = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
        return forbidden("resourceVersionMatch", what);
    }
    if !text("continue").is_empty() {
        if !at.is_empty() {
            return Err(Refusal::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        if !matching.is_empty() {
            return forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden when continue is provided",
            );
        }
    }
    match matching {
        "" | "Exact" | "NotOlderThan" if matching.is_empty() || !at.is_empty() || initial => {}
        "Exact" | "NotOlderThan" => {
            let what = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            return forbidden("resourceVersionMatch", what);
        }
        _ => return forbidden("resourceVersionMatch", "supported values: \"Exact\", \"NotOlderThan\", \"\""),
    }
    if matching == "Exact" && at == "0" {
        let what = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
        return forbidden("resourceVersionMatch", what);
    }
    Ok(())
}

fn version(parameters: &Parameters) -> Result<AtVersion, Refusal> {
    let given = value(parameters, "resourceVersion").unwrap_or_default();
    if given.is_empty() {
        return Ok(AtVersion::Latest);
    }
    let number: u64 = given.parse().map_err(|_| {
        // apiserver `pkg/storage/api_object_versioner.go`.
        let what = "Invalid value: \"".to_owned() + given + "\": strconv.ParseUint: invalid syntax";
        Refusal::invalid("ListOptions.meta.k8s.io", "", &[("resourceVersion", what)])
    })?;
    // With a limit and no match, a version is taken for exact (the API's concepts, "Resource version parameter").
    let is_exact = value(parameters, "resourceVersionMatch") == Some("Exact")
        || (value(parameters, "resourceVersionMatch").is_none()
            && value(parameters, "limit").is_some()
            && !is_watch(parameters));
    Ok(match number {
        0 => AtVersion::Any,
        number if is_exact => AtVersion::Exact(number),
        number => AtVersion::NotOlderThan(number),
    })
}

fn number(parameters: &Parameters, name: &str) -> Result<Option<u64>, Refusal> {
    let parse = |text: &str| {
        text.parse().map_err(|_| Refusal::bad_request(format!("{name}: \"{text}\" is not a number")))
    };
    value(parameters, name).filter(|text| !text.is_empty()).map(parse).transpose()
}

fn value<'a>(parameters: &'a Parameters, name: &str) -> Option<&'a str> {
    parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// apimachinery `pkg/runtime/conversion.go`, `Convert_Slice_string_To_bool`.
fn is_true(text: &str) -> bool {
    !matches!(text, "0" | "false" | "False" | "FALSE")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::resource::{RESOURCES, numbered};

    fn read(text: &str) -> Result<Query, Refusal> {
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        let parameters = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        of_reader(&RESOURCES[numbered("", "pods").unwrap()], &parameters)
    }

    #[test]
    fn versions_mean_what_they_mean_to_a_real_server() {
        for (text, expected) in [
            ("", AtVersion::Latest),
            ("resourceVersion=0", AtVersion::Any),
            ("resourceVersion=7", AtVersion::NotOlderThan(7)),
            ("resourceVersion=7&limit=5", AtVersion::Exact(7)),
            ("resourceVersion=7&limit=5&resourceVersionMatch=NotOlderThan", AtVersion::NotOlderThan(7)),
            ("resourceVersion=7&resourceVersionMatch=Exact", AtVersion::Exact(7)),
        ] {
            assert_eq!(read(text).unwrap().version, expected, "{text}");
        }
    }

    #[test]
    fn what_a_real_server_refuses_is_refused() {
        for (text, code) in [
            ("resourceVersionMatch=Exact", 422),
            ("resourceVersion=0&resourceVersionMatch=Exact", 422),
            ("resourceVersion=7&resourceVersionMatch=Newer", 422),
            ("resourceVersion=x", 422),
            ("sendInitialEvents=true&resourceVersionMatch=NotOlderThan", 422),
            ("watch=1&sendInitialEvents=true", 422),
            ("watch=1&resourceVersion=7&resourceVersionMatch=NotOlderThan", 422),
            ("continue=abc&resourceVersion=7", 400),
            ("limit=many", 400),
            ("fieldSelector=spec.foo%3D1", 400),
            ("labels=app", 400),
        ] {
            let refusal = read(text).unwrap_err();
            assert!(refusal.is_mistake, "{text}");
            assert_eq!(refusal.code, code, "{text}");
        }
    }

    #[test]
    fn a_streaming_list_is_asked_for_with_three_parameters() {
        let query = read(
            "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
        );
        let query = query.unwrap();
        assert!(query.initial_events && query.bookmarks);
    }
}

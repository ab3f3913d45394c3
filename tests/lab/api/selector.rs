//! Label and field selectors as query parameters write them; it must not know where the labels come from.

use super::form;
use super::resource::{Resource, UnknownField};
use super::status::Refusal;

/// What a request selects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selector {
    pub(crate) labels: Vec<Label>,
    pub(crate) fields: Vec<Field>,
}

/// One requirement on a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    key: String,
    requirement: Requirement,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    Exists,
    Absent,
    In(Vec<String>),
    NotIn(Vec<String>),
}

/// One requirement on a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) path: String,
    value: String,
    is_equal: bool,
}

/// What selectors look at.
pub(crate) trait Selectable {
    /// The value of a label.
    fn label(&self, key: &str) -> Option<String>;
    /// The value of a field; empty where it is not set.
    fn field(&self, path: &str) -> String;
}

impl Selector {
    pub(crate) fn parse(resource: &Resource, labels: &str, fields: &str) -> Result<Self, Refusal> {
        Ok(Self { labels: parse_labels(labels)?, fields: parse_fields(resource, fields)? })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(crate) fn selects(&self, object: &impl Selectable) -> bool {
        self.fields.iter().all(|field| field.holds(&object.field(&field.path)))
            && self.labels.iter().all(|label| label.holds(object.label(&label.key).as_deref()))
    }

    /// The only name that is selected, which RBAC takes for the request's.
    pub(crate) fn name(&self) -> Option<&str> {
        let named = self.fields.iter().find(|field| field.path == "metadata.name" && field.is_equal);
        named.map(|field| field.value.as_str())
    }
}

impl Label {
    /// apimachinery `pkg/labels/selector.go`, `Requirement.Matches`: a label that is not there is in no set.
    fn holds(&self, value: Option<&str>) -> bool {
        match (&self.requirement, value) {
            (Requirement::Exists, value) => value.is_some(),
            (Requirement::Absent, value) => value.is_none(),
            (Requirement::In(set), value) => value.is_some_and(|value| set.iter().any(|one| one == value)),
            (Requirement::NotIn(set), value) => value.is_none_or(|value| set.iter().all(|one| one != value)),
        }
    }
}

impl Field {
    fn holds(&self, value: &str) -> bool {
        (self.value == value) == self.is_equal
    }
}

fn parse_fields(resource: &Resource, text: &str) -> Result<Vec<Field>, Refusal> {
    split(text).into_iter().map(|term| parse_field(resource, term)).collect()
}

fn parse_field(resource: &Resource, term: &str) -> Result<Field, Refusal> {
    let invalid = || Refusal::bad_request(format!("invalid selector: '{term}'; can't understand '{term}'"));
    let (path, value, is_equal) = if let Some((path, value)) = term.split_once("!=") {
        (path, value, false)
    } else if let Some((path, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        (path, value, true)
    } else {
        return Err(invalid());
    };
    let is_known = matches!(path, "metadata.name" | "metadata.namespace")
        && (path != "metadata.namespace" || resource.namespaced)
        || resource.fields.contains(&path);
    if is_known {
        return Ok(Field { path: form::stored_path(resource, path), value: value.to_owned(), is_equal });
    }
    Err(Refusal::bad_request(match resource.unknown_field {
        UnknownField::NotSupported => format!("field label not supported: {path}"),
        UnknownField::NotKnown => format!(
            "\"{path}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        ),
    }))
}

fn parse_labels(text: &str) -> Result<Vec<Label>, Refusal> {
    split(text).into_iter().map(parse_label).collect()
}

fn parse_label(term: &str) -> Result<Label, Refusal> {
    let (key, requirement) = if let Some(key) = term.strip_prefix('!') {
        (key, Requirement::Absent)
    } else if let Some((key, set)) = in_set(term, " notin ") {
        (key, Requirement::NotIn(set))
    } else if let Some((key, set)) = in_set(term, " in ") {
        (key, Requirement::In(set))
    } else if let Some((key, value)) = term.split_once("!=") {
        (key, Requirement::NotIn(vec![value.trim().to_owned()]))
    } else if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        (key, Requirement::In(vec![value.trim().to_owned()]))
    } else {
        (term, Requirement::Exists)
    };
    let key = key.trim();
    check_key(key)?;
    if let Requirement::In(set) | Requirement::NotIn(set) = &requirement {
        set.iter().try_for_each(|value| check_value(value))?;
    }
    Ok(Label { key: key.to_owned(), requirement })
}

/// `key in (a, b)`.
fn in_set<'a>(term: &'a str, operator: &str) -> Option<(&'a str, Vec<String>)> {
    let (key, set) = term.split_once(operator)?;
    let set = set.trim().strip_prefix('(')?.strip_suffix(')')?;
    Some((key, set.split(',').map(|value| value.trim().to_owned()).collect()))
}

/// Terms are separated by commas, but not those within parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut terms) = (0_i32, 0, Vec::new());
    for (at, sign) in text.char_indices() {
        match sign {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                terms.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    terms.push(text[start..].trim());
    terms.retain(|term| !term.is_empty());
    terms
}

/// apimachinery `pkg/api/validate/content`: `IsLabelKey`.
fn check_key(key: &str) -> Result<(), Refusal> {
    let name = key.split_once('/').map_or(key, |(_, name)| name);
    if is_label_text(name) && !name.is_empty() && key.matches('/').count() <= 1 {
        return Ok(());
    }
    Err(Refusal::bad_request(format!(
        "unable to parse requirement: <nil>: Invalid value: \"{key}\": name part \
                                      must consist of alphanumeric characters, '-', '_' or '.'"
    )))
}

fn check_value(value: &str) -> Result<(), Refusal> {
    if is_label_text(value) {
        return Ok(());
    }
    Err(Refusal::bad_request(format!(
        "unable to parse requirement: values[0][]: Invalid value: \"{value}\": a valid \
                                      label must be an empty string or consist of alphanumeric characters, '-', '_' \
                                      or '.'"
    )))
}

fn is_label_text(text: &str) -> bool {
    let is_end = |sign: Option<char>| sign.is_none_or(|sign| sign.is_ascii_alphanumeric());
    text.len() <= 63
        && text.chars().all(|sign| sign.is_ascii_alphanumeric() || "-_.".contains(sign))
        && is_end(text.chars().next())
        && is_end(text.chars().next_back())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::resource::{RESOURCES, numbered};

    struct Object(&'static [(&'static str, &'static str)]);

    impl Selectable for Object {
        fn label(&self, key: &str) -> Option<String> {
            self.0.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned())
        }

        fn field(&self, path: &str) -> String {
            self.label(path).unwrap_or_default()
        }
    }

    fn resource(group: &str, plural: &str) -> &'static Resource {
        &RESOURCES[numbered(group, plural).unwrap()]
    }

    #[test]
    fn labels_are_selected_as_by_a_real_server() {
        let redis = Object(&[("app", "redis"), ("headless", "")]);
        for (text, expected) in [
            ("", true),
            ("app=redis", true),
            ("app==redis", true),
            ("app=kafka", false),
            ("app!=kafka", true),
            ("missing!=kafka", true),
            ("headless", true),
            ("headless=", true),
            ("!headless", false),
            ("!missing", true),
            ("app in (kafka, redis)", true),
            ("app in (kafka)", false),
            ("app notin (kafka),headless", true),
            ("missing notin (a)", true),
            ("missing in (a)", false),
        ] {
            let selector = Selector::parse(resource("", "pods"), text, "").unwrap();
            assert_eq!(selector.selects(&redis), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in ["app=a b", "a/b/c", "app=-x", "=x", "app in (a b)"] {
            let refusal = Selector::parse(resource("", "pods"), text, "").unwrap_err();
            assert!(refusal.is_mistake && refusal.code == 400, "{text}");
        }
    }

    #[test]
    fn fields_are_those_of_the_kind_and_no_other() {
        let pod = Object(&[("spec.nodeName", "node-1")]);
        for (text, expected) in [("spec.nodeName=node-1", true), ("spec.nodeName!=node-1", false)] {
            assert_eq!(Selector::parse(resource("", "pods"), "", text).unwrap().selects(&pod), expected);
        }
        for (group, plural, text, message) in [
            ("", "pods", "spec.foo=1", "field label not supported: spec.foo"),
            ("", "services", "spec.nodeName=1", "field label not supported: spec.nodeName"),
            (
                "discovery.k8s.io",
                "endpointslices",
                "addressType=IPv4",
                "\"addressType\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
            ),
            (
                "networking.istio.io",
                "destinationrules",
                "spec.host=a",
                "field label not supported: spec.host",
            ),
        ] {
            let refusal = Selector::parse(resource(group, plural), "", text).unwrap_err();
            assert_eq!((refusal.code, refusal.message()), (400, message), "{text}");
        }
    }

    #[test]
    fn a_name_that_is_selected_is_the_requests() {
        let one = Selector::parse(resource("", "configmaps"), "", "metadata.name=istio").unwrap();
        assert_eq!(one.name(), Some("istio"));
        let none = Selector::parse(resource("", "configmaps"), "", "metadata.name!=istio").unwrap();
        assert_eq!(none.name(), None);
    }
}

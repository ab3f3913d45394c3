//! In which form an answer is wanted: the header `Accept`; it must not know the answer.

use super::status::Refusal;

/// The forms that this server has. Real ones have also tables, YAML and protobuf: a client that lists those before
/// JSON gets JSON, as from an aggregated server that lacks them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The objects as they are.
    Whole,
    /// `PartialObjectMetadata`, for one object and for events of a watch.
    Metadata,
    /// `PartialObjectMetadataList`, for lists.
    MetadataList,
}

/// The first form that the client accepts and the server has.
pub(crate) fn negotiate(accept: Option<&str>) -> Result<Form, Refusal> {
    let Some(accept) = accept else { return Ok(Form::Whole) };
    accept.split(',').find_map(form).ok_or_else(Refusal::not_acceptable)
}

fn form(media_type: &str) -> Option<Form> {
    let mut parts = media_type.split(';').map(str::trim);
    if !matches!(parts.next()?, "application/json" | "application/*" | "*/*") {
        return None;
    }
    let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
    let value = |name: &str| parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let is_meta = value("g") == Some("meta.k8s.io") && matches!(value("v"), Some("v1" | "v1beta1"));
    match value("as") {
        None => Some(Form::Whole),
        Some("PartialObjectMetadata") if is_meta => Some(Form::Metadata),
        Some("PartialObjectMetadataList") if is_meta => Some(Form::MetadataList),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_form_that_is_known_is_taken() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        let list = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        for (accept, expected) in [
            (None, Some(Form::Whole)),
            (Some("*/*"), Some(Form::Whole)),
            (Some("application/json"), Some(Form::Whole)),
            (Some(list), Some(Form::MetadataList)),
            (Some("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"), Some(Form::Metadata)),
            (Some(&format!("{table},application/json")), Some(Form::Whole)),
            (Some(table), None),
            (Some("application/json;as=PartialObjectMetadata"), None),
            (Some("text/html"), None),
        ] {
            assert_eq!(negotiate(accept).ok(), expected, "{accept:?}");
        }
    }
}

//! The published JSON Schema, made from the types that are written; must not know how they are written.

use schemars::{
    JsonSchema, Schema,
    generate::SchemaSettings,
    transform::{RecursiveTransform, Transform as _},
};
use serde_json::Value;

use crate::sink::json::line::Line;

/// JSON Schema (draft 2020-12) of every line.
pub fn schema() -> Schema {
    schema_of::<Line<'_>>("mtlsnoop JSON lines, version 1")
}

/// JSON Schema (draft 2020-12) of what a type is written as; what is left out when it is not known is never null.
pub fn schema_of<T: JsonSchema>(title: &str) -> Schema {
    let mut schema =
        SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>();
    schema.insert("title".into(), title.into());
    RecursiveTransform(forbid_null_where_absent).transform(&mut schema);
    schema
}

/// Keys that can be absent are never null: for an `Option` that is left out, schemars allows both.
fn forbid_null_where_absent(schema: &mut Schema) {
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (_, property) in
        properties.iter_mut().filter(|(name, _)| !required.contains(&Value::from(name.as_str())))
    {
        let Some(property) = property.as_object_mut() else { continue };
        if let Some(types) = property.get_mut("type").and_then(Value::as_array_mut) {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                property.insert("type".to_owned(), only);
            }
        }
        if let Some(any) = property.get_mut("anyOf").and_then(Value::as_array_mut) {
            any.retain(|schema| schema.get("type").is_none_or(|name| name != "null"));
            if let [Value::Object(only)] = any.as_slice() {
                let only = only.clone();
                property.remove("anyOf");
                property.extend(only);
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{env, fs, path::Path};

    use schemars::Schema;

    use super::schema;

    /// The published file is this schema; `MTLSNOOP_BLESS=1` writes the file instead.
    #[track_caller]
    pub(crate) fn check_published(file: &str, schema: &Schema) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema").join(file);
        let expected = serde_json::to_string_pretty(schema).unwrap() + "\n";
        if env::var_os("MTLSNOOP_BLESS").is_some() {
            fs::write(&path, &expected).unwrap();
        }
        let published = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            published == expected,
            "{} is not what the types are now; if a consumer of version 1 still understands what is written, write it anew with \
             MTLSNOOP_BLESS=1",
            path.display()
        );
    }

    #[test]
    fn the_published_schema_is_the_one_of_the_types() {
        check_published("mtlsnoop-1.schema.json", &schema());
    }
}

//! The configuration file: YAML with names of flags as keys; must not know which there are, nor what they mean.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

/// A file that is longer is no configuration.
const BYTES_MAX: u64 = 1 << 20;

/// What a file says, in the words of the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries(pub Vec<(Box<str>, Vec<String>)>);

/// A configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read the configuration file {}: {error}. Is it mounted, and may this user read it?", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is no YAML, or says something that no flag can say.
    #[error("cannot use the configuration file {}: {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what is allowed.
        what: Box<str>,
    },
    /// A key or its value cannot be used.
    #[error("cannot use the configuration file {}: key `{key}`: {what}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Which.
        key: Box<str>,
        /// What is wrong, and what is allowed.
        what: Box<str>,
    },
}

/// Reads a file.
pub fn read(path: &Path) -> Result<Entries, FileError> {
    let text = text(path).map_err(|error| FileError::Unreadable { path: path.to_owned(), error })?;
    parse(path, &text)
}

/// What is in a file.
pub fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than 1 MiB"));
    }
    Ok(text)
}

/// Reads the text of a file; `path` is what it is called.
pub fn parse(path: &Path, text: &str) -> Result<Entries, FileError> {
    let malformed = |what: String| FileError::Malformed { path: path.to_owned(), what: what.into() };
    // A node may be called `n` or `007`: only `true` and `false` are no texts.
    let options = serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
    };
    let read: Option<Value> = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| malformed(format!("it is no YAML of keys and values: {error}")))?;
    let keys = match read {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(keys)) => keys,
        Some(_) => {
            return Err(malformed(
                "it should have a key and a value on each line, such as `log-level: info`".to_owned(),
            ));
        }
    };
    let entry = |(key, value): (String, Value)| match said(&value) {
        Ok(values) => Ok((key.into_boxed_str(), values)),
        Err(what) => Err(FileError::Key { path: path.to_owned(), key: key.into(), what: what.into() }),
    };
    keys.into_iter().map(entry).collect::<Result<_, _>>().map(Entries)
}

/// A value in the words of the command line.
fn said(value: &Value) -> Result<Vec<String>, &'static str> {
    match value {
        Value::Array(values) => values.iter().map(word).collect(),
        one => word(one).map(|word| vec![word]),
    }
}

fn word(value: &Value) -> Result<String, &'static str> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        Value::Null => Err("it has no value; give it one, or leave the key out"),
        Value::Array(_) | Value::Object(_) => {
            Err("its value is a structure; it should be a text, a number, true or false, or a list of these")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Entries, parse};

    fn entries(expected: &[(&str, &[&str])]) -> Entries {
        let owned = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect();
        Entries(expected.iter().map(|(key, values)| ((*key).into(), owned(values))).collect())
    }

    #[test]
    fn values_are_read_as_the_command_line_has_them() {
        for (text, expected) in [
            ("", entries(&[])),
            ("# nothing\n", entries(&[])),
            ("---\n", entries(&[])),
            ("log-level: debug\n", entries(&[("log-level", &["debug"])])),
            ("all: true\n", entries(&[("all", &["true"])])),
            ("node: n\n", entries(&[("node", &["n"])])),
            ("node: off\n", entries(&[("node", &["off"])])),
            ("node: 007\n", entries(&[("node", &["007"])])),
            ("metrics-series: 500\n", entries(&[("metrics-series", &["500"])])),
            ("listen: \"[::]:9469\"\n", entries(&[("listen", &["[::]:9469"])])),
            ("namespace: [a, b]\n", entries(&[("namespace", &["a", "b"])])),
            ("namespace:\n- a\n- b\n", entries(&[("namespace", &["a", "b"])])),
        ] {
            assert_eq!(parse(Path::new("file"), text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_no_flag_can_say_is_an_error_that_names_file_and_key() {
        for (text, says) in [
            ("log-level", &["file", "a key and a value"] as &[&str]),
            ("- log-level: debug\n", &["file", "a key and a value"]),
            ("log-level: debug\nlog-level: info\n", &["file", "log-level"]),
            ("log-level:\n", &["file", "`log-level`", "no value"]),
            ("log-level: {to: debug}\n", &["file", "`log-level`", "structure"]),
            ("namespace: [[a]]\n", &["file", "`namespace`", "structure"]),
            ("a: b: c\n", &["file", "no YAML"]),
            ("\"", &["file", "no YAML"]),
        ] {
            let error = parse(Path::new("file"), text).unwrap_err().to_string();
            for part in says {
                assert!(error.contains(part), "`{part}` is not in {error}");
            }
        }
    }
}

//! Bytes in events: hexadecimal where people read (scenario files), raw where they do not (recordings).

use std::fmt::Write as _;

use bytes::Bytes;
use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

/// For `#[serde(with = …)]`.
pub(super) fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    if !serializer.is_human_readable() {
        return bytes.serialize(serializer);
    }
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    serializer.serialize_str(&text)
}

/// For `#[serde(with = …)]`.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    if !deserializer.is_human_readable() {
        return Bytes::deserialize(deserializer);
    }
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| D::Error::custom("expected an even number of hexadecimal digits"))
}

fn parse(text: &str) -> Option<Bytes> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|value| u8::try_from(value).ok()))
        .collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn reads_pairs_of_digits_only() {
        assert_eq!(parse("16030a").as_deref(), Some(&[0x16, 3, 10][..]));
        assert_eq!(parse("").as_deref(), Some(&[][..]));
        for text in ["1", "1g", "zz", "0x16"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}

//! Single values as the JSON contract has them; must not know in which objects they are.

use std::{borrow::Cow, fmt::Write as _, time::Duration};

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use crate::event::time::Time;

/// The version of the contract: raised when a consumer of the version before would misread a line.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SchemaVersion;

impl SchemaVersion {
    pub(super) const NUMBER: u8 = 1;
}

impl Serialize for SchemaVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(Self::NUMBER)
    }
}

impl JsonSchema for SchemaVersion {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "SchemaVersion".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "const": Self::NUMBER })
    }
}

/// RFC 3339, UTC, always nine digits of a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment(pub(super) Time);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The last moment of `Time` is in the year 2554, which `Timestamp` has.
        let moment = Timestamp::from_nanosecond(self.0.0.into()).unwrap_or(Timestamp::MAX);
        serializer.collect_str(&format_args!("{moment:.9}"))
    }
}

impl JsonSchema for Moment {
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A moment: RFC 3339, UTC, always with nine digits of a second.",
            "type": "string",
            "format": "date-time",
            "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{9}Z$",
        })
    }
}

/// Milliseconds, to the microsecond.
#[derive(Clone, Copy, Debug)]
pub(super) struct Milliseconds {
    pub(super) ns: u64,
}

impl Serialize for Milliseconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Divided by a power of ten last, the number is the one nearest to its decimal digits, and is printed as these.
        serializer.serialize_f64((Duration::from_nanos(self.ns).as_secs_f64() * 1e6).round() / 1e3)
    }
}

impl JsonSchema for Milliseconds {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Milliseconds".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0 })
    }
}

/// Bytes as lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hex<'a>(pub(super) &'a [u8]);

impl Serialize for Hex<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut digits = String::with_capacity(2 * self.0.len());
        for byte in self.0 {
            // Writing to a String cannot fail.
            let _ = write!(digits, "{byte:02x}");
        }
        serializer.serialize_str(&digits)
    }
}

impl JsonSchema for Hex<'_> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Hex".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^([0-9a-f]{2}){0,64}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::{Hex, Milliseconds, Moment, SchemaVersion};
    use crate::event::time::{SECOND_NS, Time};

    fn json(value: &impl serde::Serialize) -> String {
        serde_json::to_string(value).unwrap()
    }

    #[test]
    fn moments_have_a_fixed_width() {
        for (time, expected) in [
            (Time(0), r#""1970-01-01T00:00:00.000000000Z""#),
            (Time(1_600_000_000 * SECOND_NS + 120), r#""2020-09-13T12:26:40.000000120Z""#),
            (Time(u64::MAX), r#""2554-07-21T23:34:33.709551615Z""#),
        ] {
            assert_eq!(json(&Moment(time)), expected);
        }
    }

    #[test]
    fn milliseconds_are_printed_without_noise() {
        for (ns, expected) in [
            (0, "0.0"),
            (998_200_000, "998.2"),
            (1_234_567, "1.235"),
            (499, "0.0"),
            (1_000_000, "1.0"),
            (86_400_000_123_456, "86400000.123"),
        ] {
            assert_eq!(json(&Milliseconds { ns }), expected);
        }
    }

    #[test]
    fn bytes_are_lower_case_digits() {
        assert_eq!(json(&Hex(b"")), r#""""#);
        assert_eq!(json(&Hex(b"-E\xff\x00")), r#""2d45ff00""#);
        assert_eq!(json(&SchemaVersion), "1");
    }
}

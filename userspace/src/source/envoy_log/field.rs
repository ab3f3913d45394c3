//! Fields of an entry from their texts, the same for both formats; what is none is left out. Must not know the formats.

use std::net::SocketAddr;

use jiff::Timestamp;

use crate::event::time::Time;

/// Longest text that is kept of a field; Envoy's own are shorter.
const TEXT_BYTES_MAX: usize = 256;

/// Most response flags of an entry; Envoy has some thirty, of which hardly ever more than three come together.
const FLAGS_MAX: usize = 8;

/// Envoy writes `-` for what is not set, in text as in JSON.
pub(super) fn set(text: &str) -> Option<&str> {
    (!text.is_empty() && text != "-").then_some(text)
}

/// A text, cut after what is kept of it.
pub(super) fn text(text: &str) -> Option<Box<str>> {
    set(text).map(|text| text[..text.floor_char_boundary(TEXT_BYTES_MAX)].into())
}

/// An IP address with its port; Unix sockets, and the listeners within an Envoy, have none.
pub(super) fn address(text: &str) -> Option<SocketAddr> {
    let address: SocketAddr = set(text)?.parse().ok()?;
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

/// `START_TIME` as it is by default: RFC 3339 with milliseconds.
pub(super) fn time(text: &str) -> Option<Time> {
    let timestamp: Timestamp = text.parse().ok()?;
    u64::try_from(timestamp.as_nanosecond()).ok().map(Time)
}

/// A number, where unset is 0.
pub(super) fn number(text: &str) -> Option<u64> {
    if text == "-" { Some(0) } else { text.parse().ok() }
}

/// `UF,URX`. None when it is anything else.
pub(super) fn flags(text: &str) -> Option<Vec<Box<str>>> {
    let Some(text) = set(text) else { return Some(Vec::new()) };
    let flags: Vec<&str> = text.split(',').collect();
    let is_flag =
        |flag: &&str| (1..=8).contains(&flag.len()) && flag.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (flags.len() <= FLAGS_MAX && flags.iter().all(is_flag))
        .then(|| flags.into_iter().map(Into::into).collect())
}

#[cfg(test)]
mod tests {
    use super::{TEXT_BYTES_MAX, address, flags, number, text, time};
    use crate::event::time::Time;

    #[test]
    fn addresses_are_of_ip_only() {
        for (text, expected) in [
            ("10.1.1.24:6379", Some("10.1.1.24:6379")),
            ("[fd00::24]:6379", Some("[fd00::24]:6379")),
            ("[::ffff:10.1.1.24]:6379", Some("10.1.1.24:6379")),
            ("-", None),
            ("", None),
            ("10.1.1.24", None),
            ("connect_originate;10.1.1.24:8080", None),
            ("/var/run/secrets/workload.sock", None),
        ] {
            assert_eq!(address(text), expected.map(|expected| expected.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn flags_are_short_words() {
        for (text, expected) in [
            ("-", Some(&[] as &[&str])),
            ("UF", Some(&["UF"])),
            ("UF,URX", Some(&["UF", "URX"])),
            ("UF URX", None),
            ("GET", Some(&["GET"])),
            ("UF,,URX", None),
            ("\"-\"", None),
        ] {
            let flags = flags(text);
            let found: Option<Vec<&str>> =
                flags.as_ref().map(|flags| flags.iter().map(Box::as_ref).collect());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn times_numbers_and_texts() {
        assert_eq!(time("2020-09-12T13:38:23.077Z"), Some(Time(1_599_917_903_077_000_000)));
        assert_eq!(time("1960-09-12T13:38:23.077Z"), None);
        assert_eq!(time("12:38"), None);
        assert_eq!((number("-"), number("1001"), number("x")), (Some(0), Some(1001), None));
        assert_eq!(text("-"), None);
        assert_eq!(text(&"ä".repeat(TEXT_BYTES_MAX)).map(|text| text.len()), Some(TEXT_BYTES_MAX));
    }
}

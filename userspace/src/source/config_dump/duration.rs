//! Durations as protobuf writes them in JSON: decimal seconds. Knows nothing else.

/// Milliseconds of `10s` or `0.250s`; less than one is cut off. None when it is none.
pub(super) fn milliseconds(text: &str) -> Option<u64> {
    let (seconds, fraction) = {
        let number = text.strip_suffix('s')?;
        number.split_once('.').unwrap_or((number, ""))
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    // Nanoseconds are the finest (google/protobuf/duration.proto).
    if seconds.is_empty() || fraction.len() > 9 || !is_digits(seconds) || !is_digits(fraction) {
        return None;
    }
    let thousandths = format!("{fraction:0<3}")[..3].parse::<u64>().ok()?;
    seconds.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(thousandths)
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn decimal_seconds() {
        for (text, expected) in [
            ("1s", Some(1000)),
            ("10s", Some(10_000)),
            ("0.250s", Some(250)),
            ("0.25s", Some(250)),
            ("3.000000001s", Some(3000)),
            ("-1s", None),
            ("1", None),
            (".5s", None),
            ("1.0000000001s", None),
            ("99999999999999999999s", None),
            ("s", None),
        ] {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
    }
}

//! Text that is safe and fits: escapes, cuts, and short forms of addresses, times and sizes; must not know updates as a whole.

use std::{borrow::Cow, fmt::Write as _, time::Duration};

use jiff::Timestamp;

use crate::{event::time::Time, update::Party};

/// The text with everything escaped that does not show as a character of its own: control characters, such as those that
/// begin a terminal's commands, marks that turn the direction of text, and what combines with the character before.
pub(in crate::sink) fn visible(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_visible) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for char in text.chars() {
        if is_visible(char) {
            escaped.push(char);
        } else {
            escaped.extend(char.escape_debug());
        }
    }
    Cow::Owned(escaped)
}

fn is_visible(char: char) -> bool {
    matches!(char, '\'' | '"' | '\\') || char.escape_debug().len() == 1
}

/// Visible text of at most `width` characters; where it is cut, the last one is `…`.
pub(super) fn fitted(text: &str, width: usize) -> Cow<'_, str> {
    let visible = visible(text);
    if visible.chars().count() <= width {
        return visible;
    }
    let mut cut: String = visible.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    Cow::Owned(cut)
}

/// `NAMESPACE/POD`, or the address.
pub(in crate::sink) fn name(party: &Party) -> String {
    match (&party.namespace, &party.pod) {
        (Some(namespace), Some(pod)) => visible(&format!("{namespace}/{pod}")).into_owned(),
        (None, Some(pod)) => visible(pod).into_owned(),
        (_, None) => party.address.ip().to_string(),
    }
}

/// [`name`] with the port, which stays when it is cut to `width` characters.
pub(super) fn endpoint(party: &Party, width: usize) -> String {
    let port = format!(":{}", party.address.port());
    let host = match &party.pod {
        None if party.address.is_ipv6() => format!("[{}]", party.address.ip()),
        _ => name(party),
    };
    format!("{}{port}", fitted(&host, width.saturating_sub(port.len())))
}

/// Time of the day, UTC.
pub(super) fn time_of_day(time: Time) -> String {
    timestamp(time).strftime("%H:%M:%S%.3f").to_string()
}

/// Day and time of the day, UTC.
pub(super) fn day_and_time(time: Time) -> String {
    timestamp(time).strftime("%Y-%m-%d %H:%M:%S%.3f UTC").to_string()
}

fn timestamp(time: Time) -> Timestamp {
    // The last moment of `Time` is in the year 2554, which `Timestamp` has.
    Timestamp::from_nanosecond(time.0.into()).unwrap_or(Timestamp::MAX)
}

/// A duration in at most 8 characters below 31 years: `0.045ms`, `998.2ms`, `12.3s`, `3m12s`, `5h03m`, `2d04h`.
pub(super) fn duration(ns: u64) -> String {
    let duration = Duration::from_nanos(ns);
    let (milliseconds, seconds) = (duration.as_secs_f64() * 1e3, duration.as_secs());
    match seconds {
        0 if ns < 1_000_000 => format!("{milliseconds:.3}ms"),
        0 => format!("{milliseconds:.1}ms"),
        1..60 => format!("{:.1}s", duration.as_secs_f64()),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// A size in at most 8 characters: exact to 99999, then in binary multiples.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 100_000 {
        return bytes.to_string();
    }
    let (mut whole, mut tenths, mut unit) = (bytes / 1024, bytes % 1024 * 10 / 1024, 0);
    while whole >= 1000 && unit + 1 < UNITS.len() {
        (whole, tenths, unit) = (whole / 1024, whole % 1024 * 10 / 1024, unit + 1);
    }
    let mut text = whole.to_string();
    if whole < 100 {
        // Writing to a String cannot fail.
        let _ = write!(text, ".{tenths}");
    }
    text + UNITS[unit]
}

#[cfg(test)]
mod tests {
    use super::{day_and_time, duration, endpoint, fitted, name, size, time_of_day, visible};
    use crate::{
        event::time::{SECOND_NS, Time},
        sink::samples,
        update::Party,
    };

    #[test]
    fn nothing_that_a_terminal_obeys_stays() {
        for (text, expected) in [
            ("redis-server", "redis-server"),
            ("bücher 日本", "bücher 日本"),
            (r#"it's "a\b""#, r#"it's "a\b""#),
            ("\x1b[2J\x1b]0;pwned\x07", r"\u{1b}[2J\u{1b}]0;pwned\u{7}"),
            ("a\r\nb\tc", r"a\r\nb\tc"),
            ("\u{9b}31m", r"\u{9b}31m"),
            ("\u{202e}gpj", r"\u{202e}gpj"),
            ("a\u{200b}b\u{feff}", r"a\u{200b}b\u{feff}"),
            ("e\u{301}", r"e\u{301}"),
            ("\0", r"\0"),
        ] {
            assert_eq!(visible(text), expected);
        }
    }

    #[test]
    fn long_text_is_cut_and_short_text_is_not() {
        for (text, width, expected) in [
            ("redis", 5, "redis"),
            ("redis-0", 5, "redi…"),
            ("日本語日本語", 3, "日本…"),
            ("\x1b\x1b", 5, r"\u{1…"),
            ("", 3, ""),
        ] {
            assert_eq!(fitted(text, width), expected);
        }
    }

    #[test]
    fn ends_are_named_by_pod_or_address_and_keep_their_port() {
        let named = samples::client();
        let bare = Party::at(samples::address("10.1.1.25:50714"));
        let six = Party::at(samples::address("[fd00::1]:80"));
        assert_eq!(name(&named), "default/redis-client-6d9f7c5b8-x2x9q");
        assert_eq!(name(&six), "fd00::1");
        for (party, width, expected) in [
            (&named, 60, "default/redis-client-6d9f7c5b8-x2x9q:50714"),
            (&named, 20, "default/redis…:50714"),
            (&bare, 20, "10.1.1.25:50714"),
            (&six, 20, "[fd00::1]:80"),
        ] {
            assert_eq!(endpoint(party, width), expected);
        }
    }

    #[test]
    fn times_durations_and_sizes_are_short() {
        let time = Time(1_600_000_000 * SECOND_NS + 7_999_999);
        assert_eq!(time_of_day(time), "12:26:40.007");
        assert_eq!(day_and_time(time), "2020-09-13 12:26:40.007 UTC");
        for (ns, expected) in [
            (0, "0.000ms"),
            (45_000, "0.045ms"),
            (998_200_000, "998.2ms"),
            (999_999_999, "1000.0ms"),
            (12_345_678_900, "12.3s"),
            (192 * SECOND_NS, "3m12s"),
            (18_200 * SECOND_NS, "5h03m"),
            (187_200 * SECOND_NS, "2d04h"),
        ] {
            assert_eq!(duration(ns), expected);
        }
        for (bytes, expected) in [
            (0, "0"),
            (99_999, "99999"),
            (100_000, "97.6KiB"),
            (1_000_000, "976KiB"),
            (1_024_000, "0.9MiB"),
            (5 << 30, "5.0GiB"),
            (u64::MAX, "15.9EiB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }
}

//! What container runtimes put around a line in the files of `/var/log/containers`; must not know what the line says.

use serde::Deserialize;

/// A line as the container wrote it, or a part of one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unwrapped {
    /// What the container wrote.
    pub(super) text: String,
    /// Which stream it went to: the parts of two may alternate.
    pub(super) stream: Stream,
    /// The line ends here.
    pub(super) is_last: bool,
}

/// Where a container wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    fn named(name: &str) -> Option<Self> {
        match name {
            "stdout" => Some(Self::Stdout),
            "stderr" => Some(Self::Stderr),
            _ => None,
        }
    }
}

/// Takes off what a runtime added; none when nothing was.
pub(super) fn unwrap(line: &str) -> Option<Unwrapped> {
    cri(line).or_else(|| docker(line))
}

/// `2026-11-22T21:00:00.123456789Z stdout F the line`, where `P` is for a part of a line that goes on (Kubernetes
/// `pkg/kubelet/kuberuntime/logs/logs.go`, `parseCRILog`).
fn cri(line: &str) -> Option<Unwrapped> {
    let mut fields = line.splitn(4, ' ');
    let (time, stream, tags, text) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let stream = Stream::named(stream).filter(|_| time.as_bytes().get(10) == Some(&b'T'))?;
    let is_last = match tags.split(':').next()? {
        "F" => true,
        "P" => false,
        _ => return None,
    };
    Some(Unwrapped { text: text.to_owned(), stream, is_last })
}

/// `{"log":"the line\n","stream":"stdout","time":"…"}`; a part of a line that goes on has no newline (the same file,
/// `parseDockerJSONLog`).
fn docker(line: &str) -> Option<Unwrapped> {
    #[derive(Deserialize)]
    struct Wire {
        log: String,
        stream: String,
    }

    if !line.starts_with('{') || !line.contains("\"log\":") {
        return None;
    }
    let Wire { log, stream } = serde_json::from_str(line).ok()?;
    let text = log.strip_suffix('\n');
    Some(Unwrapped {
        is_last: text.is_some(),
        text: text.unwrap_or(&log).to_owned(),
        stream: Stream::named(&stream)?,
    })
}

#[cfg(test)]
mod tests {
    use super::{Stream, Unwrapped, unwrap};

    #[test]
    fn what_runtimes_add_is_taken_off() {
        let unwrapped =
            |text: &str, stream, is_last| Some(Unwrapped { text: text.to_owned(), stream, is_last });
        for (line, expected) in [
            ("2026-11-22T21:00:00.123456789Z stdout F [a] b", unwrapped("[a] b", Stream::Stdout, true)),
            ("2026-11-22T21:00:00.123456789+01:00 stderr P half", unwrapped("half", Stream::Stderr, false)),
            ("2026-11-22T21:00:00.1Z stdout F:x ", unwrapped("", Stream::Stdout, true)),
            (
                r#"{"log":"[a] \"b\"\n","stream":"stdout","time":"2026-11-22T21:00:00.1Z"}"#,
                unwrapped("[a] \"b\"", Stream::Stdout, true),
            ),
            (r#"{"log":"half","stream":"stderr"}"#, unwrapped("half", Stream::Stderr, false)),
            (r#"{"start_time":"2026","response_flags":"UF"}"#, None),
            (r#"{"log":"cut sho"#, None),
            ("[2026-11-22T21:00:00.123Z] \"- - -\" 0 UF", None),
            ("2026-11-22T21:00:00.123Z\tinfo\tF stdout", None),
            ("", None),
        ] {
            assert_eq!(unwrap(line), expected, "{line}");
        }
    }
}

//! What shall go wrong with requests, on order; it must not know what is asked for.

use std::time::Duration;

use super::status::Refusal;

/// What shall go wrong.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Every answer waits so long before it begins.
    pub delay: Duration,
    /// Every watch is cut off after this long, in the middle of the stream as a broken connection does.
    pub cut_watches_after: Option<Duration>,
    /// Requests that are refused.
    pub refusals: Vec<Refused>,
    /// How often watches have a bookmark; none: often enough for tests.
    pub bookmark_every: Option<Duration>,
    /// `sendInitialEvents` is refused, as servers before 1.32 do.
    pub no_streaming_lists: bool,
}

/// Requests that are refused.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Only of this resource (its name in paths); none: all.
    pub resource: Option<String>,
    /// Only of this verb; none: all.
    pub verb: Option<String>,
    /// The code: 429, or one of 500 and more.
    pub code: u16,
    /// `Retry-After`.
    pub retry_after_seconds: Option<u32>,
    /// How many are refused; then no more.
    pub times: u32,
}

impl Faults {
    /// Whether a request is to be refused, which is then counted.
    pub(crate) fn refuse(&mut self, resource: Option<&str>, verb: &str) -> Option<Refusal> {
        let chosen = self.refusals.iter_mut().find(|refused| {
            refused.times > 0
                && refused.resource.as_deref().is_none_or(|wanted| Some(wanted) == resource)
                && refused.verb.as_deref().is_none_or(|wanted| wanted == verb)
        })?;
        chosen.times -= 1;
        Some(match chosen.code {
            429 => Refusal::too_many_requests(chosen.retry_after_seconds.unwrap_or(1)),
            code => Refusal::internal(code, chosen.retry_after_seconds),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_ordered_are_refused_and_no_others() {
        let mut faults = Faults {
            refusals: vec![Refused {
                resource: Some("pods".to_owned()),
                verb: Some("list".to_owned()),
                code: 429,
                retry_after_seconds: Some(2),
                times: 1,
            }],
            ..Faults::default()
        };
        assert!(faults.refuse(Some("services"), "list").is_none());
        assert!(faults.refuse(Some("pods"), "watch").is_none());
        let refusal = faults.refuse(Some("pods"), "list").unwrap();
        assert_eq!((refusal.code, refusal.retry_after_seconds), (429, Some(2)));
        assert!(faults.refuse(Some("pods"), "list").is_none());
    }
}

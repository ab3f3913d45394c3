//! Why the API did not do what it was asked for, and whether asking again may help; must not know what was asked.

use std::time::Duration;

use kube::{Error, core::Status};

use crate::sink::kube_events::poster::exchange::Answer;

/// Cause of a refusal in a namespace that is being deleted (`NamespaceTerminatingCause` of Kubernetes `api/core/v1/types.go`).
const TERMINATING: &str = "NamespaceTerminating";

/// Longest pause that an API server may ask for.
const LONGEST_ASKED_PAUSE: Duration = Duration::from_mins(1);

/// Why it was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// RBAC does not allow it.
    Forbidden(String),
    /// The API server does not want this Event: its namespace is gone or going, or the Event is wrong.
    Refused(String),
    /// No answer, or not now: it may be asked again, not before the pause that the server asked for.
    NotNow { why: String, pause: Duration },
}

impl Failure {
    /// It took too long.
    pub(super) fn timeout() -> Self {
        Self::NotNow { why: "it did not answer in time".to_owned(), pause: Duration::ZERO }
    }
}

/// What an error means: an answer that decides what to do next, or a failure.
pub(super) fn meaning(error: &Error) -> Result<Answer, Failure> {
    match error {
        Error::Api(status) => of_status(status),
        other => Err(Failure::NotNow { why: with_causes(other), pause: Duration::ZERO }),
    }
}

fn of_status(status: &Status) -> Result<Answer, Failure> {
    let why = || status.message.clone();
    let is_about = |cause: &str| {
        status.details.iter().flat_map(|details| &details.causes).any(|told| told.reason == cause)
    };
    // The namespace is not there: creating the Event would be answered with the same for ever.
    let is_of_event = status.details.as_ref().is_none_or(|details| details.kind != "namespaces");
    match status.code {
        409 if status.is_already_exists() => Ok(Answer::Exists),
        409 => Ok(Answer::Conflict),
        404 if is_of_event => Ok(Answer::Absent),
        403 if !is_about(TERMINATING) => Err(Failure::Forbidden(why())),
        // A token that was rotated a moment ago is read again soon.
        401 | 408 | 429 | 500.. => {
            let seconds = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
            let pause = Duration::from_secs(seconds.into()).min(LONGEST_ASKED_PAUSE);
            Err(Failure::NotNow { why: why(), pause })
        }
        _ => Err(Failure::Refused(why())),
    }
}

/// An error with what led to it, each once.
fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kube::{Error, core::Status};
    use serde_json::json;

    use super::{Answer, Failure, meaning};

    fn status(code: u16, reason: &str, details: &serde_json::Value) -> Error {
        let body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "no", "reason": reason, "code": code, "details": details,
        });
        Error::Api(serde_json::from_value::<Status>(body).unwrap().boxed())
    }

    #[test]
    fn what_the_api_says_is_understood() {
        let event = json!({ "name": "a.1", "group": "events.k8s.io", "kind": "events" });
        let terminating =
            json!({ "causes": [{ "reason": "NamespaceTerminating", "message": "being terminated" }] });
        let not_now =
            |seconds| Err(Failure::NotNow { why: "no".to_owned(), pause: Duration::from_secs(seconds) });
        for (error, expected) in [
            (status(409, "AlreadyExists", &event), Ok(Answer::Exists)),
            (status(409, "Conflict", &event), Ok(Answer::Conflict)),
            (status(404, "NotFound", &event), Ok(Answer::Absent)),
            (
                status(404, "NotFound", &json!({ "name": "gone", "kind": "namespaces" })),
                Err(Failure::Refused("no".to_owned())),
            ),
            (status(403, "Forbidden", &event), Err(Failure::Forbidden("no".to_owned()))),
            (status(403, "Forbidden", &terminating), Err(Failure::Refused("no".to_owned()))),
            (status(422, "Invalid", &event), Err(Failure::Refused("no".to_owned()))),
            (status(400, "BadRequest", &json!({})), Err(Failure::Refused("no".to_owned()))),
            (status(401, "Unauthorized", &json!({})), not_now(0)),
            (status(429, "TooManyRequests", &json!({ "retryAfterSeconds": 3 })), not_now(3)),
            (status(429, "TooManyRequests", &json!({ "retryAfterSeconds": 86_400 })), not_now(60)),
            (status(503, "ServiceUnavailable", &json!({})), not_now(0)),
        ] {
            assert_eq!(meaning(&error), expected, "{error:?}");
        }
    }

    #[test]
    fn what_is_no_answer_may_be_asked_again() {
        let error = Error::Service("connection refused".into());
        let Err(Failure::NotNow { why, pause: Duration::ZERO }) = meaning(&error) else {
            panic!("{error:?}")
        };
        assert!(why.contains("connection refused"), "{why}");
    }
}

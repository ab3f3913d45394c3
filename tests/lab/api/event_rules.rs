//! What a real server demands of an Event that is written; it must not know how it was written.
//!
//! After Kubernetes `pkg/apis/core/validation/events.go`, for `events.k8s.io/v1` and the core's `v1`. Events come here
//! as they are stored.

use serde_json::Value;

use super::status::Refusal;

/// Longest `action`, `reason` and `reportingInstance`.
const NAME_BYTES: usize = 128;
/// Longest `note`.
const NOTE_BYTES: usize = 1024;

/// Fields of an Event. A real server drops others with a warning, and what they say is lost.
const KNOWN: [&str; 18] = [
    "action",
    "apiVersion",
    "deprecatedCount",
    "deprecatedFirstTimestamp",
    "deprecatedLastTimestamp",
    "deprecatedSource",
    "eventTime",
    "kind",
    "metadata",
    "note",
    "reason",
    "regarding",
    "related",
    "reportingController",
    "reportingInstance",
    "series",
    "type",
    "status",
];

/// What may not change once it is there.
const FIXED: [&str; 13] = [
    "regarding",
    "reason",
    "note",
    "deprecatedSource",
    "deprecatedFirstTimestamp",
    "deprecatedLastTimestamp",
    "deprecatedCount",
    "type",
    "eventTime",
    "action",
    "related",
    "reportingController",
    "reportingInstance",
];

type Causes = Vec<(&'static str, String)>;

/// Checks an Event that is new (`before` is none) or changed.
pub(crate) fn check(event: &Value, before: Option<&Value>, is_core: bool) -> Result<(), Refusal> {
    if let Some(unknown) = event.as_object().and_then(|event| event.keys().find(|key| !is_known(key))) {
        return Err(Refusal::bad_request(format!("strict decoding error: unknown field \"{unknown}\"")));
    }
    for field in ["eventTime", "series.lastObservedTime"] {
        check_micro_time(field, at(event, field))?;
    }
    let mut causes = Causes::new();
    check_namespace(event, &mut causes);
    let has_time = !event["eventTime"].is_null();
    if has_time {
        check_names(event, &mut causes);
    }
    if !is_core {
        check_new_form(event, &mut causes);
        for field in FIXED {
            if before.is_some_and(|before| before[field] != event[field]) {
                causes.push((field, format!("Invalid value: {}: field is immutable", event[field])));
            }
        }
    }
    if causes.is_empty() {
        return Ok(());
    }
    Err(Refusal::invalid("Event", event["metadata"]["name"].as_str().unwrap_or_default(), &causes))
}

fn is_known(key: &str) -> bool {
    KNOWN.contains(&key)
}

/// apimachinery `pkg/apis/meta/v1/micro_time.go`: exactly six digits of a second.
fn check_micro_time(field: &str, value: &Value) -> Result<(), Refusal> {
    let is_good = match value {
        Value::Null => true,
        Value::String(text) => {
            let fraction = text.split_once('.').map(|(_, rest)| rest.bytes().take_while(u8::is_ascii_digit));
            fraction.is_some_and(|digits| digits.count() == 6) && text.parse::<jiff::Timestamp>().is_ok()
        }
        _ => false,
    };
    if is_good {
        return Ok(());
    }
    Err(Refusal::bad_request(format!(
        "Event in version \"v1\" cannot be handled as a Event: {field}: parsing time {value} as \
         \"2006-01-02T15:04:05.000000Z07:00\": cannot parse"
    )))
}

/// With an `eventTime` a real server lets another namespace pass, and nobody who looks for the Event finds it.
fn check_namespace(event: &Value, causes: &mut Causes) {
    let own = event["metadata"]["namespace"].as_str().unwrap_or_default();
    let regarded = event["regarding"]["namespace"].as_str().unwrap_or_default();
    let is_good =
        if regarded.is_empty() { matches!(own, "default" | "kube-system") } else { regarded == own };
    if !is_good {
        let what = format!("Invalid value: \"{regarded}\": does not match event.namespace");
        causes.push(("involvedObject.namespace", what));
    }
}

fn check_names(event: &Value, causes: &mut Causes) {
    let text = |field: &str| event[field].as_str().unwrap_or_default();
    for field in ["reportingController", "reportingInstance", "action", "reason"] {
        if text(field).is_empty() {
            causes.push((field, "Required value".to_owned()));
        } else if text(field).len() > NAME_BYTES {
            causes.push((field, format!("Invalid value: \"\": can have at most {NAME_BYTES} characters")));
        }
    }
    let controller = text("reportingController");
    let name = controller.rsplit('/').next().unwrap_or_default();
    let is_qualified = !name.is_empty()
        && name.len() <= 63
        && name.chars().all(|sign| sign.is_ascii_alphanumeric() || "-_.".contains(sign));
    if !controller.is_empty() && !is_qualified {
        causes.push(("reportingController", format!("Invalid value: \"{controller}\": name part")));
    }
    if text("note").len() > NOTE_BYTES {
        causes.push(("note", format!("Invalid value: \"\": can have at most {NOTE_BYTES} characters")));
    }
}

/// What `events.k8s.io/v1` demands beyond the core's form.
fn check_new_form(event: &Value, causes: &mut Causes) {
    if event["eventTime"].is_null() {
        causes.push(("eventTime", "Required value".to_owned()));
    }
    if !matches!(event["type"].as_str(), Some("Normal" | "Warning")) {
        causes.push(("type", format!("Invalid value: {}: has invalid value", event["type"])));
    }
    for field in
        ["deprecatedFirstTimestamp", "deprecatedLastTimestamp", "deprecatedCount", "deprecatedSource"]
    {
        let is_unset = matches!(&event[field], Value::Null)
            || event[field] == 0
            || event[field].as_object().is_some_and(serde_json::Map::is_empty);
        if !is_unset {
            causes.push((field, format!("Invalid value: {}: needs to be unset", event[field])));
        }
    }
    if !event["series"].is_null() {
        if event["series"]["count"].as_i64().is_none_or(|count| count < 2) {
            causes.push(("series.count", "Invalid value: \"\": should be at least 2".to_owned()));
        }
        if event["series"]["lastObservedTime"].is_null() {
            causes.push(("series.lastObservedTime", "Required value".to_owned()));
        }
    }
}

fn at<'a>(event: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(event, |value, part| &value[part])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event() -> Value {
        json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": { "name": "redis-0.1a", "namespace": "default" },
            "eventTime": "2026-11-22T17:12:53.827000Z",
            "reportingController": "mtlsnoop.dev/agent",
            "reportingInstance": "mtlsnoop-x7k2p",
            "action": "Connecting",
            "reason": "MtlsToPlaintext",
            "regarding": { "kind": "Pod", "namespace": "default", "name": "redis-0" },
            "note": "…",
            "type": "Warning"
        })
    }

    fn with(path: &str, value: Value) -> Value {
        let mut event = event();
        *path.split('.').fold(&mut event, |event, part| &mut event[part]) = value;
        event
    }

    #[test]
    fn a_whole_event_is_taken() {
        check(&event(), None, false).unwrap();
        let series = json!({ "count": 2, "lastObservedTime": "2026-11-22T17:12:54.827000Z" });
        check(&with("series", series), Some(&event()), false).unwrap();
    }

    #[test]
    fn what_a_real_server_refuses_is_refused() {
        for (changed, code) in [
            (with("eventTime", Value::Null), 422),
            (with("eventTime", json!("2026-11-22T17:12:53Z")), 400),
            (with("eventTime", json!("2026-11-22T17:12:53.827Z")), 400),
            (with("reason", json!("")), 422),
            (with("action", json!("a".repeat(129))), 422),
            (with("note", json!("a".repeat(1025))), 422),
            (with("type", json!("Error")), 422),
            (with("regarding.namespace", json!("other")), 422),
            (with("deprecatedCount", json!(3)), 422),
            (with("series", json!({ "count": 1, "lastObservedTime": "2026-11-22T17:12:54.827000Z" })), 422),
            (with("series", json!({ "count": 2 })), 422),
            (with("reportingController", json!("a b")), 422),
            (with("message", json!("of the core's form")), 400),
        ] {
            let refusal = check(&changed, None, false).unwrap_err();
            assert_eq!((refusal.code, refusal.is_mistake), (code, true), "{changed}");
        }
    }

    #[test]
    fn only_the_series_may_change() {
        for (field, value) in [
            ("note", json!("another")),
            ("type", json!("Normal")),
            ("reason", json!("Another")),
            ("reportingInstance", json!("the other end's agent")),
        ] {
            assert_eq!(check(&with(field, value), Some(&event()), false).unwrap_err().code, 422, "{field}");
        }
    }
}

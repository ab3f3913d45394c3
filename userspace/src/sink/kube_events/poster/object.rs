//! Events as the API has them, of `events.k8s.io/v1`; must not know when they are posted.
//!
//! Not of `v1`: this one is validated in full, has `series`, and is the one that clients of today write; the API server
//! shows each as the other, so that `kubectl describe` finds it. In an update only `series` may change (`ValidateEventUpdate` in
//! Kubernetes `pkg/apis/core/validation/events.go`).

use k8s_openapi::{
    api::{
        core::v1::ObjectReference,
        events::v1::{Event, EventSeries},
    },
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use serde_json::{Value, json};

use crate::{
    event::time::Time,
    sink::kube_events::{
        announcement::{Announcement, Object},
        poster::exchange::{Series, Standing},
    },
};

/// Who reports, as the API and `kubectl describe` (`From`) name it.
const CONTROLLER: &str = "mtlsnoop";

/// What the objects have to do with it: a connect failed, or works again.
const ACTION: &str = "Connect";

/// `ReportingInstanceLengthLimit` in Kubernetes `pkg/apis/core/validation/events.go`.
const INSTANCE_LIMIT_BYTES: usize = 128;

/// The Event of an announcement.
pub(super) fn event(announcement: &Announcement, node: &str) -> Event {
    let Announcement {
        name, regarding, related, severity, reason, note, first_seen, last_seen, count, ..
    } = announcement;
    let has_series = *count > 1;
    Event {
        metadata: ObjectMeta {
            name: Some(name.to_string()),
            namespace: Some(regarding.namespace.to_string()),
            ..ObjectMeta::default()
        },
        event_time: Some(micro(*first_seen)),
        reporting_controller: Some(CONTROLLER.to_owned()),
        reporting_instance: Some(instance(node)),
        action: Some(ACTION.to_owned()),
        type_: Some(severity.name().to_owned()),
        reason: Some(reason.to_string()),
        note: Some(note.to_string()),
        regarding: Some(reference(regarding)),
        related: related.as_ref().map(reference),
        series: has_series.then(|| event_series(Series { count: *count, last_seen: *last_seen })),
        ..Event::default()
    }
}

/// The merge patch that renews it, if it is still what was read.
pub(super) fn renewal(version: &str, series: Series) -> Value {
    json!({ "metadata": { "resourceVersion": version }, "series": event_series(series) })
}

/// The merge patch that changes nothing: its answer is the Event.
pub(super) fn nothing() -> Value {
    json!({})
}

/// What an Event says.
pub(super) fn standing(event: &Event) -> Standing {
    let series = match &event.series {
        Some(EventSeries { count, last_observed_time }) => {
            Series { count: u64::try_from(*count).unwrap_or_default(), last_seen: time(last_observed_time) }
        }
        None => Series { count: 1, last_seen: event.event_time.as_ref().map(time).unwrap_or_default() },
    };
    Standing { version: event.metadata.resource_version.as_deref().unwrap_or_default().into(), series }
}

fn reference(object: &Object) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some(object.kind.name().to_owned()),
        namespace: Some(object.namespace.to_string()),
        name: Some(object.name.to_string()),
        uid: Some(object.uid.to_string()),
        ..ObjectReference::default()
    }
}

fn event_series(series: Series) -> EventSeries {
    EventSeries {
        count: i32::try_from(series.count).unwrap_or(i32::MAX),
        last_observed_time: micro(series.last_seen),
    }
}

/// The agent of this node.
fn instance(node: &str) -> String {
    let instance = format!("{CONTROLLER}-{node}");
    let end = instance.floor_char_boundary(INSTANCE_LIMIT_BYTES);
    instance[..end].to_owned()
}

fn micro(time: Time) -> MicroTime {
    // The last moment of `Time` is in the year 2554, which `Timestamp` has.
    MicroTime(Timestamp::from_nanosecond(time.0.into()).unwrap_or(Timestamp::MAX))
}

fn time(time: &MicroTime) -> Time {
    Time(u64::try_from(time.0.as_nanosecond()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::events::v1::Event;
    use serde_json::json;

    use super::{event, instance, renewal, standing};
    use crate::{
        event::time::SECOND_NS,
        sink::kube_events::{
            announcement::Announcement,
            poster::exchange::{Series, Standing},
            samples::{BEGIN, announcement},
        },
    };

    #[test]
    fn an_event_has_all_that_the_api_wants() {
        let found = serde_json::to_value(event(&announcement(), "node-1")).unwrap();
        let expected = json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": { "name": "redis-client-1.0123456789abcdef", "namespace": "default" },
            "eventTime": "2020-05-14T07:30:00.000000Z",
            "reportingController": "mtlsnoop",
            "reportingInstance": "mtlsnoop-node-1",
            "action": "Connect",
            "type": "Warning",
            "reason": "MtlsToPlaintext",
            "note": "It speaks plaintext.",
            "regarding": { "apiVersion": "v1", "kind": "Pod", "namespace": "default", "name": "redis-client-1", "uid": "uid-client" },
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn a_series_is_of_two_at_least_and_has_its_last_time() {
        let twice = Announcement { count: 2, last_seen: BEGIN + SECOND_NS, ..announcement() };
        let found = serde_json::to_value(event(&twice, "node-1")).unwrap();
        assert_eq!(found["series"], json!({ "count": 2, "lastObservedTime": "2020-05-14T07:30:01.000000Z" }));
        let countless = Series { count: u64::MAX, last_seen: BEGIN };
        assert_eq!(
            renewal("7", countless),
            json!({
                "metadata": { "resourceVersion": "7" },
                "series": { "count": 2_147_483_647, "lastObservedTime": "2020-05-14T07:30:00.000000Z" },
            })
        );
    }

    #[test]
    fn what_an_event_says_is_read_back() {
        for (count, expected) in [(1, (1, BEGIN)), (37, (37, BEGIN + SECOND_NS))] {
            let said = Announcement { count, last_seen: BEGIN + SECOND_NS, ..announcement() };
            let mut event = event(&said, "node-1");
            event.metadata.resource_version = Some("7".to_owned());
            let series = Series { count: expected.0, last_seen: expected.1 };
            assert_eq!(standing(&event), Standing { version: "7".into(), series });
        }
        let nothing = standing(&Event::default());
        assert_eq!((nothing.series.count, nothing.version.as_ref()), (1, ""));
    }

    #[test]
    fn the_instance_is_cut_to_what_the_api_takes() {
        assert_eq!(instance("node-1"), "mtlsnoop-node-1");
        assert_eq!(instance(&"n".repeat(253)).len(), 128);
        assert!(instance(&"é".repeat(200)).len() <= 128);
    }
}

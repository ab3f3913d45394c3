//! How the Kubernetes API is, as metrics and probes tell of it; must not know how it is spoken with.

use crate::{
    sink::metrics::health::{KubeHealth, KubeWatch},
    source::kube::{Condition, State, WatchState},
};

/// In the words of the metrics.
pub(super) fn health(state: &State) -> KubeHealth {
    let watch = |watch: &WatchState| KubeWatch {
        kind: watch.kind.into(),
        state: watch.condition.name(),
        age_seconds: watch.age.map(|age| age.as_secs_f64()),
    };
    let requests = state.requests.iter().map(|request| {
        // 0 is no status: there was no answer.
        let code = if request.code == 0 { "none".into() } else { request.code.to_string().into() };
        ([request.verb.into(), request.resource.into(), code], request.count)
    });
    KubeHealth {
        watches: state.watches.iter().map(watch).collect(),
        requests: requests.collect(),
        received_bytes: state.received_bytes,
        lookups: state.lookups.iter().map(|(result, count)| (result.name().into(), *count)).collect(),
    }
}

/// Why it is not ready: what was not listed yet and can be.
pub(super) fn not_ready(state: &State) -> Vec<String> {
    let is_missing = |watch: &&WatchState| {
        !watch.was_listed && !matches!(watch.condition, Condition::Absent | Condition::Forbidden)
    };
    let reason = |watch: &WatchState| match &watch.error {
        Some(error) => format!("{} are not listed yet: {error}", watch.kind),
        None => format!("{} are not listed yet", watch.kind),
    };
    state.watches.iter().filter(is_missing).map(reason).collect()
}

#[cfg(test)]
mod tests {
    use super::{health, not_ready};
    use crate::{
        sink::metrics::health::KubeWatch,
        source::kube::{Condition, State, WatchState},
    };

    fn watch(kind: &'static str, condition: Condition, was_listed: bool) -> WatchState {
        WatchState { kind, condition, was_listed, age: None, objects: 0, left_out: 0, error: None }
    }

    #[test]
    fn it_is_ready_when_all_that_can_be_was_listed() {
        let failing =
            WatchState { error: Some("no route".into()), ..watch("pods", Condition::Failing, false) };
        let state = State {
            watches: vec![
                failing,
                watch("services", Condition::Listing, false),
                watch("endpointslices", Condition::Failing, true),
                watch("destinationrules", Condition::Absent, false),
                watch("serviceentries", Condition::Forbidden, false),
            ],
            ..State::default()
        };
        assert_eq!(not_ready(&state), ["pods are not listed yet: no route", "services are not listed yet"]);
        assert!(!state.is_ready());
    }

    #[test]
    fn every_condition_is_a_state_of_the_metrics() {
        assert_eq!(Condition::ALL.map(Condition::name), KubeWatch::STATES);
        let state = State { watches: vec![watch("pods", Condition::Listed, true)], ..State::default() };
        assert_eq!(health(&state).watches[0].state, "listed");
        assert!(not_ready(&state).is_empty() && state.is_ready());
    }
}

//! What one Kubernetes Event says; must not know how it is posted, nor the API's types. Pure data.

use crate::{event::time::Time, update::Code};

/// What one Event says now: posted again when it has more to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// `metadata.name` of the Event, the same for everyone who has the same to say.
    pub name: Box<str>,
    /// What it is about; its namespace is that of the Event.
    pub regarding: Object,
    /// The other end.
    pub related: Option<Object>,
    /// How bad it is.
    pub severity: Severity,
    /// Why it is said, in one word.
    pub reason: Box<str>,
    /// What it says.
    pub note: Box<str>,
    /// When it happened for the first time.
    pub first_seen: Time,
    /// When it happened for the last time.
    pub last_seen: Time,
    /// How often it happened, as far as this agent saw.
    pub count: u64,
    /// It was not announced before by this agent.
    pub is_new: bool,
    /// No more is to come of it for now.
    pub is_final: bool,
}

impl Announcement {
    /// With its times so much later.
    pub(super) fn moved(mut self, step_ns: i64) -> Self {
        for time in [&mut self.first_seen, &mut self.last_seen] {
            time.0 = time.0.saturating_add_signed(step_ns);
        }
        self
    }
}

/// An object that an Event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its kind.
    pub kind: Kind,
    /// Namespace.
    pub namespace: Box<str>,
    /// Name.
    pub name: Box<str>,
    /// `metadata.uid`: by it `kubectl describe` finds the Event.
    pub uid: Box<str>,
}

/// Kinds of objects that Events are about; all are of `v1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A pod.
    Pod,
    /// A Service.
    Service,
}

impl Kind {
    /// As the API names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::Service => "Service",
        }
    }
}

/// How bad it is: `type` of an Event has these two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Something is wrong.
    Warning,
    /// It works again.
    Normal,
}

impl Severity {
    /// As the API names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Warning => "Warning",
            Self::Normal => "Normal",
        }
    }

    /// The reason of an Event about this code: `MtlsToPlaintext`, `MtlsToPlaintextResolved`.
    pub(super) fn reason(self, code: Code) -> String {
        let mut reason = String::new();
        for word in code.name().split('-') {
            let (initial, rest) = word.split_at(1);
            reason.push_str(&initial.to_ascii_uppercase());
            reason.push_str(rest);
        }
        if self == Self::Normal {
            reason.push_str("Resolved");
        }
        reason
    }
}

#[cfg(test)]
mod tests {
    use super::{Announcement, Severity};
    use crate::{
        event::time::{SECOND_NS, Time},
        sink::kube_events::samples::{BEGIN, announcement},
        update::Code,
    };

    #[test]
    fn its_times_are_those_of_the_calendar() {
        let hour_ns = 3600 * SECOND_NS;
        let told = Announcement { last_seen: BEGIN + SECOND_NS, ..announcement() };
        for (step_ns, first, last) in [
            (hour_ns.cast_signed(), BEGIN + hour_ns, BEGIN + hour_ns + SECOND_NS),
            (-hour_ns.cast_signed(), BEGIN - hour_ns, BEGIN - hour_ns + SECOND_NS),
            (i64::MIN, Time(0), Time(0)),
        ] {
            let moved = told.clone().moved(step_ns);
            assert_eq!((moved.first_seen, moved.last_seen), (first, last), "{step_ns}");
        }
    }

    #[test]
    fn reasons_are_in_camel_case() {
        for (severity, code, expected) in [
            (Severity::Warning, Code::MtlsToPlaintext, "MtlsToPlaintext"),
            (Severity::Normal, Code::MtlsToPlaintext, "MtlsToPlaintextResolved"),
            (Severity::Warning, Code::TlsToHttpPort, "TlsToHttpPort"),
            (Severity::Warning, Code::ServerFirstDeadlock, "ServerFirstDeadlock"),
        ] {
            assert_eq!(severity.reason(code), expected);
        }
    }

    #[test]
    fn every_reason_fits() {
        /// `ReasonLengthLimit` in Kubernetes `pkg/apis/core/validation/events.go`.
        const LIMIT_BYTES: usize = 128;
        for code in Code::ALL {
            let reason = Severity::Normal.reason(code);
            assert!(
                reason.len() <= LIMIT_BYTES && reason.bytes().all(|byte| byte.is_ascii_alphanumeric()),
                "{reason}"
            );
        }
    }
}

//! Whether the agent lives and is ready, as the kubelet asks; must not know how it is asked.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Serialize;

/// The kernel's ring is looked at every 40 ms at least. Loading takes some seconds on slow machines.
const LIVE_WITHIN: Duration = Duration::from_secs(30);

/// How the agent is, as far as others need to know.
#[derive(Debug)]
pub(super) struct Status {
    begun: Instant,
    /// Milliseconds from the beginning to the last look into the ring.
    looked_ms: AtomicU64,
    /// Why it is not ready; empty when it is.
    not_ready: Mutex<Vec<String>>,
}

/// What is answered.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Answer {
    /// It is so.
    pub(super) ok: bool,
    /// Why it is not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) reasons: Vec<String>,
}

impl From<Vec<String>> for Answer {
    fn from(reasons: Vec<String>) -> Self {
        Self { ok: reasons.is_empty(), reasons }
    }
}

impl Status {
    /// It begins.
    pub(super) fn begin() -> Self {
        let not_ready = Mutex::new(vec!["hooks are not attached yet".to_owned()]);
        Self { begun: Instant::now(), looked_ms: AtomicU64::new(0), not_ready }
    }

    /// The ring was looked at just now.
    pub(super) fn looked(&self) {
        let elapsed = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.looked_ms.store(elapsed, Ordering::Relaxed);
    }

    /// It is ready, or not for these reasons.
    pub(super) fn set_not_ready(&self, reasons: Vec<String>) {
        *self.not_ready.lock().unwrap_or_else(PoisonError::into_inner) = reasons;
    }

    /// Whether it lives.
    pub(super) fn live(&self) -> Answer {
        self.live_after(self.begun.elapsed())
    }

    fn live_after(&self, elapsed: Duration) -> Answer {
        let silent = elapsed.saturating_sub(Duration::from_millis(self.looked_ms.load(Ordering::Relaxed)));
        let is_stuck = silent > LIVE_WITHIN;
        let reason = format!("the kernel's ring was last looked at {:.0} s ago", silent.as_secs_f64());
        is_stuck.then_some(reason).into_iter().collect::<Vec<_>>().into()
    }

    /// Whether it is ready.
    pub(super) fn ready(&self) -> Answer {
        self.not_ready.lock().unwrap_or_else(PoisonError::into_inner).clone().into()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Answer, LIVE_WITHIN, Status};

    #[test]
    fn it_lives_while_it_looks() {
        let status = Status::begin();
        assert!(status.live_after(LIVE_WITHIN).ok, "loading takes a while");
        let stuck = status.live_after(LIVE_WITHIN + Duration::from_secs(1));
        assert_eq!(stuck, Answer::from(vec!["the kernel's ring was last looked at 31 s ago".to_owned()]));
        status.looked_ms.store(5000, std::sync::atomic::Ordering::Relaxed);
        assert!(status.live_after(LIVE_WITHIN + Duration::from_secs(5)).ok);
    }

    #[test]
    fn it_is_ready_when_nothing_is_missing() {
        let status = Status::begin();
        assert!(!status.ready().ok);
        status.set_not_ready(Vec::new());
        assert_eq!(status.ready(), Answer { ok: true, reasons: Vec::new() });
        status.set_not_ready(vec!["a".to_owned()]);
        assert_eq!(serde_json::to_string(&status.ready()).unwrap(), r#"{"ok":false,"reasons":["a"]}"#);
    }
}

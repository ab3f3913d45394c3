//! How many lookups may begin at a time: a token bucket. Knows no clock and no lookup.

use std::time::{Duration, Instant};

/// Fills with time, up to its size.
#[derive(Debug)]
pub(super) struct Bucket {
    /// Time that a token takes.
    each: Duration,
    burst: u32,
    /// When it would be full.
    full_at: Option<Instant>,
}

impl Bucket {
    /// So many tokens in a second, and so many at once.
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        Self { each: Duration::from_secs(1) / per_second.max(1), burst: burst.max(1), full_at: None }
    }

    /// When there is a token.
    pub(super) fn ready_at(&self, now: Instant) -> Instant {
        // All but one may be missing.
        let missing = self.each * (self.burst - 1);
        self.full_at.and_then(|full| full.checked_sub(missing)).map_or(now, |ready| ready.max(now))
    }

    /// Takes a token, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        if self.ready_at(now) > now {
            return false;
        }
        let full_at = self.full_at.map_or(now, |full| full.max(now));
        self.full_at = Some(full_at + self.each);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Bucket;

    #[test]
    fn a_burst_is_followed_by_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(5, 20);
        let mut taken = |at_ms: u64| {
            let now = start + Duration::from_millis(at_ms);
            std::iter::repeat_with(|| bucket.take(now)).take_while(|is_taken| *is_taken).count()
        };
        for (at_ms, expected) in [(0, 20), (100, 0), (200, 1), (399, 0), (400, 1), (1400, 5), (60_000, 20)] {
            assert_eq!(taken(at_ms), expected, "at {at_ms} ms");
        }
    }

    #[test]
    fn it_says_when_the_next_may_begin() {
        let now = Instant::now();
        let mut bucket = Bucket::new(2, 2);
        assert_eq!(bucket.ready_at(now), now);
        assert!(bucket.take(now) && bucket.take(now) && !bucket.take(now));
        assert_eq!(bucket.ready_at(now), now + Duration::from_millis(500));
    }
}

//! How long records took lately, as percentiles of a sliding window.
//!
//! Two histograms take turns: the younger fills, the older still counts, and every five minutes the older is dropped. So a
//! percentile speaks of the last five to ten minutes, not of everything since the start.
//!
//! units    recorded in microseconds, read in seconds
//! bounds   1 µs to 1 hour, two significant digits; longer is one hour
//! cost     one lock and one add per call; callers record once per commit and event, not per rule

use crate::engine::time::{EventTime, MINUTE_MS};
use hdrhistogram::Histogram;

const TURN_MS: i64 = 5 * MINUTE_MS;
const HIGHEST_US: u64 = 3_600_000_000;
const SIGNIFICANT_DIGITS: u8 = 2;

/// Two histograms that take turns.
#[derive(Debug)]
pub struct Latency {
    young: Histogram<u64>,
    old: Histogram<u64>,
    turned_at: EventTime,
}

impl Latency {
    /// Empty, the first turn beginning `now` (wall time).
    pub fn new(now: EventTime) -> Self {
        Self {
            young: empty(),
            old: empty(),
            turned_at: now,
        }
    }

    /// Adds `count` records that took `us` each.
    pub fn record(&mut self, us: u64, count: u64, now: EventTime) {
        self.turn(now);
        // Clamped to the bounds of `empty`, so recording cannot fail.
        let _ = self.young.record_n(us.clamp(1, HIGHEST_US), count);
    }

    /// The quantile `q` in seconds; 0 if nothing was recorded lately.
    pub fn quantile_seconds(&mut self, q: f64, now: EventTime) -> f64 {
        self.turn(now);
        let mut both = self.young.clone();
        // Same bounds on both sides: adding cannot fail.
        let _ = both.add(&self.old);
        std::time::Duration::from_micros(both.value_at_quantile(q)).as_secs_f64()
    }

    fn turn(&mut self, now: EventTime) {
        let age_ms = now.0.saturating_sub(self.turned_at.0);
        if (0..TURN_MS).contains(&age_ms) {
            return;
        }
        std::mem::swap(&mut self.young, &mut self.old);
        self.young.reset();
        if !(0..2 * TURN_MS).contains(&age_ms) {
            self.old.reset();
        }
        self.turned_at = now;
    }
}

#[expect(clippy::expect_used, reason = "constant bounds that the crate accepts")]
fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, HIGHEST_US, SIGNIFICANT_DIGITS).expect("valid bounds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speaks_of_the_last_minutes() {
        let start = EventTime(1_000_000);
        let mut latency = Latency::new(start);
        assert!(latency.quantile_seconds(0.5, start) < 1e-9);
        latency.record(1_000, 99, start);
        latency.record(2_000_000, 1, start);
        let (p50, p999) = (
            latency.quantile_seconds(0.5, start),
            latency.quantile_seconds(0.999, start),
        );
        assert!((0.000_9..0.001_1).contains(&p50), "{p50}");
        assert!((1.9..2.1).contains(&p999), "{p999}");
        // Kept for the next turn, gone after it.
        assert!(1.9 < latency.quantile_seconds(0.999, start.plus_ms(TURN_MS)));
        assert!(latency.quantile_seconds(0.999, start.plus_ms(2 * TURN_MS)) < 1e-9);
    }

    #[test]
    fn a_clock_that_jumps_starts_anew_and_nothing_panics() {
        let mut latency = Latency::new(EventTime(1_000_000));
        latency.record(u64::MAX, u64::MAX, EventTime(1_000_000));
        latency.record(5, 1, EventTime(0));
        assert!(latency.quantile_seconds(1.0, EventTime(0)) < 1e-4);
    }
}

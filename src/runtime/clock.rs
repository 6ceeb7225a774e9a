//! The only reader of wall time. The engine gets time as an input; what needs the world's time gets a [`Clock`].
//!
//! units    [`Clock::now`] ms since 1970-01-01 UTC; [`Stopwatch`] microseconds, [`ticks_ns`] nanoseconds, monotonic
//! bounds   a machine whose clock stands before 1970 reads 0
//! why      a clock that can be set makes expiry, silence and age testable without sleeping
#![expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads SystemTime and Instant"
)]

use crate::engine::time::EventTime;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Tells the time of the world, or a time that was set.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that moves only when it is set, ms since 1970-01-01 UTC. Clones share it.
    Set(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `time`.
    pub fn at(time: EventTime) -> Self {
        Self::Set(Arc::new(AtomicI64::new(time.0)))
    }

    /// The time now.
    pub fn now(&self) -> EventTime {
        match self {
            Self::System => {
                let since = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                EventTime(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }
            Self::Set(ms) => EventTime(ms.load(Ordering::Relaxed)),
        }
    }

    /// Sets a [`Clock::Set`]; the machine's clock stays as it is.
    pub fn set(&self, time: EventTime) {
        if let Self::Set(ms) = self {
            ms.store(time.0, Ordering::Relaxed);
        }
    }
}

/// Nanoseconds since the first call in this process, whatever happens to the wall clock.
pub fn ticks_ns() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = START.get_or_init(Instant::now);
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Measures how long something takes, whatever happens to the wall clock.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Microseconds since the start.
    pub fn elapsed_us(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Seconds since the start, for histograms.
    pub fn elapsed_seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_clock_moves_only_when_it_is_set() {
        let clock = Clock::at(EventTime(5));
        let clone = clock.clone();
        assert_eq!(clone.now(), EventTime(5));
        clock.set(EventTime(7));
        assert_eq!(clone.now(), EventTime(7));
    }

    #[test]
    fn the_system_clock_is_of_this_century() {
        let (y2020, y2200) = (1_577_836_800_000, 7_258_118_400_000);
        let now = Clock::System.now().0;
        assert!(y2020 < now && now < y2200, "{now}");
    }
}

//! The comparison with the far end, once a day by itself or by command.
//!
//! Receipts are read before the far end is asked and again after: what was sent meanwhile is neither lost nor foreign. What
//! it came to is in `reconciled.json`, in the metrics, and aloud in the log when something does not agree.
//!
//! cost     all receipts are read twice under the desk's lock
//! units    times of the day in ms, Asia/Shanghai

use super::ExchangeError;
use super::reconcile::{Compared, Last, reconcile};
use super::worker::Exchange;
use crate::engine::time::{DAY_MS, EventTime};
use crate::runtime::logging::chain;

/// How long after a comparison that failed the next is tried, ms.
const COMPARE_AGAIN_MS: i64 = 600_000;

impl Exchange {
    /// Compares receipts with what the far end holds.
    ///
    /// Receipts are read before the far end is asked and again after: what was sent meanwhile is neither lost nor foreign.
    pub fn compare(&self) -> Result<Compared, ExchangeError> {
        let filed = self.with_desk(|desk| desk.receipts())?;
        let held = self.adapter().list().map_err(ExchangeError::Setting)?;
        let (later, waiting) =
            self.with_desk(|desk| Ok::<_, ExchangeError>((desk.receipts()?, desk.waiting()?)))?;
        let mut known = waiting.clone();
        known.extend(later.into_iter().map(|filed| (filed.id, filed.body_sm3)));
        let compared = Compared {
            at_ms: self.shared.clock.now().0,
            ours: filed.len(),
            waiting: waiting.len(),
            theirs: held.len(),
            difference: reconcile(&filed, &known, &held),
        };
        if let Some(metrics) = self.shared.metrics.get() {
            metrics.compared(&compared);
        }
        Last::write(&self.shared.directory, &compared);
        Ok(compared)
    }

    /// Once a day, in a thread of its own: a far end may take long over its list.
    pub(super) fn compare_if_due(&self, now: i64) {
        let Some(at_ms) = self.shared.reconcile_at_ms else {
            return;
        };
        let next = self.lock().compare_ms;
        let next = next.unwrap_or_else(|| {
            let last = Last::read(&self.shared.directory);
            last.map_or(now, |last| next_ms(last.at_ms, at_ms))
        });
        let is_due = next <= now && 0 < self.standing().receipts;
        self.lock().compare_ms = Some(if is_due { i64::MAX } else { next });
        if is_due {
            let exchange = self.clone();
            std::thread::spawn(move || exchange.compare_and_tell(at_ms));
        }
    }

    fn compare_and_tell(&self, at_ms: i64) {
        let told = self.compare();
        let now = self.shared.clock.now().0;
        let next = match told {
            Ok(compared) if compared.difference.is_empty() => {
                let (ours, theirs) = (compared.ours, compared.theirs);
                tracing::info!(
                    ours,
                    theirs,
                    "the daily comparison with the far end finds no difference"
                );
                next_ms(now, at_ms)
            }
            Ok(compared) => {
                tracing::error!(
                    differences = compared.difference.len(),
                    lost = compared.difference.lost.len(),
                    doubled = compared.difference.doubled.len(),
                    changed = compared.difference.changed.len(),
                    foreign = compared.difference.foreign.len(),
                    "the far end does not hold what we have receipts for: see reconciled.json in the exchange's directory, and decide on each"
                );
                next_ms(now, at_ms)
            }
            Err(error) => {
                let why = chain(&error);
                tracing::error!(
                    why,
                    "the daily comparison with the far end fails; it is tried again in ten minutes"
                );
                now.saturating_add(COMPARE_AGAIN_MS)
            }
        };
        self.lock().compare_ms = Some(next);
    }
}

/// The first moment after `last_ms` at which it is so late in the day, in Asia/Shanghai.
fn next_ms(last_ms: i64, at_ms: i64) -> i64 {
    let last = EventTime(last_ms);
    let today = EventTime::from_day(last.day()).plus_ms(at_ms).0;
    if last_ms < today {
        today
    } else {
        today.saturating_add(DAY_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_comparison_is_at_its_time_of_the_day() {
        let at = |text: &str| EventTime::parse(text).unwrap().0.0;
        let three = 3 * 3_600_000;
        for (last, next) in [
            ("2026-03-01 02:59", "2026-03-01 03:00"),
            ("2026-03-01 03:00", "2026-03-02 03:00"),
            ("2026-03-01 23:59", "2026-03-02 03:00"),
            ("2026-12-31 03:01", "2027-01-01 03:00"),
        ] {
            assert_eq!(next_ms(at(last), three), at(next), "{last}");
        }
    }
}

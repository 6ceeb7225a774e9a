//! What a lane does next: decisions without clock, disk or network.
//!
//! [`next`] says what the head of a lane may do now, [`after`] what an attempt's outcome means for it, [`Breaker`] when all
//! lanes stop because the far end itself is the trouble.
//!
//! units    ms since 1970-01-01 UTC
//! bounds   back-off 1 s doubling to 5 min, of which a fixed half and a half that depends on (id, attempt): lanes that failed
//!          together do not come back together, and a replay waits the same; `Retry-After` is honoured up to 1 h
//! why      a refused subject must not hold up a province, and a province must not hammer a far end that is down

use super::Outcome;
use crate::engine::hash::sip64;
use serde::{Deserialize, Serialize};

/// The first back-off, ms.
pub const BACK_OFF_MS_MIN: u64 = 1_000;
/// The longest back-off, ms.
pub const BACK_OFF_MS_MAX: u64 = 300_000;
/// The longest wait that the far end may ask for, ms.
pub const RETRY_AFTER_MS_MAX: u64 = 3_600_000;
/// Failures in a row, of any lanes, after which all lanes wait.
pub const BREAKER_FAILURES: u32 = 8;
/// How long an open breaker keeps everything back before one lane may try, ms; doubles up to [`BACK_OFF_MS_MAX`].
pub const BREAKER_MS_MIN: u64 = 1_000;

/// What is remembered of a lane.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// The place of the newest parcel that was put into it.
    pub newest_no: u32,
    /// Failed attempts of the parcel at its head.
    pub attempts: u32,
    /// Not before this time, ms.
    pub not_before_ms: i64,
    /// Why it waits for a person, if it does.
    pub parked: Option<String>,
}

/// What a lane may do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing is in it.
    Idle,
    /// Send the head.
    Send,
    /// Not before this time, ms.
    Wait(i64),
    /// A person has to decide.
    Parked,
}

/// What a lane may do at `now_ms`, given whether something is in it.
pub fn next(lane: &Lane, has_head: bool, now_ms: i64) -> Next {
    match (has_head, &lane.parked) {
        (false, _) => Next::Idle,
        (true, Some(_)) => Next::Parked,
        (true, None) if now_ms < lane.not_before_ms => Next::Wait(lane.not_before_ms),
        (true, None) => Next::Send,
    }
}

/// What an attempt means for a lane: the lane afterwards, and whether the head has left it.
pub fn after(lane: &Lane, id: &str, outcome: &Outcome, now_ms: i64) -> (Lane, bool) {
    let again = |asked_ms: Option<u64>| {
        let wait =
            back_off_ms(id, lane.attempts).max(asked_ms.unwrap_or(0).min(RETRY_AFTER_MS_MAX));
        let lane = Lane {
            attempts: lane.attempts.saturating_add(1),
            not_before_ms: now_ms.saturating_add(i64::try_from(wait).unwrap_or(i64::MAX)),
            ..lane.clone()
        };
        (lane, false)
    };
    match outcome {
        Outcome::Accepted(_) => {
            let lane = Lane {
                newest_no: lane.newest_no,
                ..Lane::default()
            };
            (lane, true)
        }
        Outcome::Refused(reason) => {
            let lane = Lane {
                attempts: lane.attempts.saturating_add(1),
                parked: Some(reason.clone()),
                ..lane.clone()
            };
            (lane, false)
        }
        Outcome::Unsure { after_ms, .. } => again(*after_ms),
        Outcome::Denied(_) | Outcome::Untrusted(_) => again(None),
    }
}

/// How long a parcel waits after so many failed attempts before this one.
pub fn back_off_ms(id: &str, attempts: u32) -> u64 {
    let full = BACK_OFF_MS_MIN
        .saturating_mul(1_u64.checked_shl(attempts).unwrap_or(u64::MAX))
        .min(BACK_OFF_MS_MAX);
    let half = full / 2;
    let chance = sip64(format!("{id}#{attempts}").as_bytes());
    half + chance % (half + 1)
}

/// Keeps all lanes back when the far end itself is the trouble.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Breaker {
    failures: u32,
    /// Open until then; one lane may try after it.
    until_ms: Option<i64>,
    opened: u32,
}

impl Breaker {
    /// How many lanes may send now, of at most `most`.
    pub fn allows(&self, most: usize, now_ms: i64) -> usize {
        match self.until_ms {
            None => most,
            Some(until) if now_ms < until => 0,
            Some(_) => most.min(1),
        }
    }

    /// Until when nothing is sent, if so.
    pub fn open_until(&self) -> Option<i64> {
        self.until_ms
    }

    /// Takes note of an outcome. Returns true when it has just opened.
    pub fn note(&mut self, outcome: &Outcome, now_ms: i64) -> bool {
        match outcome {
            // A refusal is an answer: the far end is there.
            Outcome::Accepted(_) | Outcome::Refused(_) => {
                *self = Self::default();
                return false;
            }
            Outcome::Unsure { .. } | Outcome::Denied(_) => {
                self.failures = self.failures.saturating_add(1);
            }
            Outcome::Untrusted(_) => self.failures = self.failures.max(BREAKER_FAILURES),
        }
        let is_probe = self.until_ms.is_some_and(|until| until <= now_ms);
        if self.failures < BREAKER_FAILURES || (self.until_ms.is_some() && !is_probe) {
            return false;
        }
        let wait = BREAKER_MS_MIN
            .saturating_mul(1_u64.checked_shl(self.opened).unwrap_or(u64::MAX))
            .min(BACK_OFF_MS_MAX);
        let is_new = self.until_ms.is_none();
        self.opened = self.opened.saturating_add(1);
        self.until_ms = Some(now_ms.saturating_add(i64::try_from(wait).unwrap_or(i64::MAX)));
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::exchange::Receipt;

    fn outcomes() -> [Outcome; 6] {
        [
            Outcome::Accepted(Receipt {
                number: "1".into(),
                accepted_at: String::new(),
                raw: String::new(),
            }),
            Outcome::Refused("no such firm".into()),
            Outcome::Unsure {
                reason: "503".into(),
                after_ms: None,
            },
            Outcome::Unsure {
                reason: "429".into(),
                after_ms: Some(u64::MAX),
            },
            Outcome::Denied("401".into()),
            Outcome::Untrusted("expired".into()),
        ]
    }

    /// Every state of a lane by every outcome: the table of what a lane may become.
    #[test]
    fn every_state_and_every_outcome() {
        for attempts in [0, 1, 7, 31, 63, 64, u32::MAX] {
            for newest_no in [1, u32::MAX] {
                for (at, outcome) in outcomes().iter().enumerate() {
                    let lane = Lane {
                        newest_no,
                        attempts,
                        not_before_ms: 500,
                        parked: None,
                    };
                    let (then, left) = after(&lane, "id", outcome, 1_000);
                    assert_eq!(then.newest_no, newest_no, "numbers are never given again");
                    assert_eq!(left, at == 0, "only a receipt lets a parcel go");
                    assert_eq!(then.parked.is_some(), at == 1);
                    match at {
                        0 => assert_eq!((then.attempts, then.not_before_ms), (0, 0)),
                        1 => assert_eq!(next(&then, true, i64::MAX), Next::Parked),
                        3 => assert_eq!(then.not_before_ms, 1_000 + 3_600_000),
                        _ => {
                            let wait = u64::try_from(then.not_before_ms - 1_000).unwrap();
                            assert!((BACK_OFF_MS_MIN / 2..=BACK_OFF_MS_MAX).contains(&wait));
                            assert_eq!(next(&then, true, 1_000), Next::Wait(then.not_before_ms));
                            assert_eq!(next(&then, true, then.not_before_ms), Next::Send);
                        }
                    }
                    assert_eq!(next(&then, false, 0), Next::Idle);
                }
            }
        }
    }

    #[test]
    fn waits_grow_are_the_same_again_and_differ_between_lanes() {
        let of = |id: &str| (0..12).map(|a| back_off_ms(id, a)).collect::<Vec<_>>();
        assert_eq!(of("a"), of("a"));
        assert_ne!(of("a"), of("b"));
        for (attempts, wait) in (0_u32..).zip(of("a")) {
            let full = (1_000_u64 << attempts).min(300_000);
            assert!(full / 2 <= wait && wait <= full, "{attempts}: {wait}");
        }
    }

    #[test]
    fn the_breaker_opens_lets_one_try_and_closes() {
        let [accepted, refused, unsure, _, denied, untrusted] = outcomes();
        let mut breaker = Breaker::default();
        for failure in 1..BREAKER_FAILURES {
            assert!(!breaker.note(if failure % 2 == 0 { &unsure } else { &denied }, 0));
            assert_eq!(breaker.allows(32, 0), 32);
        }
        assert!(breaker.note(&unsure, 0), "it says so once");
        assert_eq!(breaker.allows(32, 999), 0);
        // Others of the same round change nothing.
        assert!(!breaker.note(&unsure, 5));
        assert_eq!(breaker.open_until(), Some(1_000));
        assert_eq!(breaker.allows(32, 1_000), 1, "one lane tries");
        assert!(!breaker.note(&unsure, 1_000));
        assert_eq!(breaker.open_until(), Some(3_000), "longer each time");
        breaker.note(&refused, 3_000);
        assert_eq!(breaker, Breaker::default(), "a refusal is an answer");
        assert!(breaker.note(&untrusted, 0), "at once for a certificate");
        for probe in 0..80 {
            let until = breaker.open_until().unwrap();
            breaker.note(&untrusted, until);
            let wait = breaker.open_until().unwrap() - until;
            assert!(wait <= 300_000, "{probe}: {wait}");
        }
        breaker.note(&accepted, 0);
        assert_eq!(breaker.allows(32, 0), 32);
    }
}

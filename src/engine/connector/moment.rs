//! Times as feeds write them, with the stand-ins that mean no time.
//!
//! Two forms make up nearly all of the traffic, `2026-03-01` and `2026-03-01 08:30:00`, and are read here directly; all
//! others go to [`EventTime::parse`], and a property test holds the two together. Years before 1902 and from 2099 on are
//! stand-ins (`1900-01-01`, `2099-12-31`, `9999-9-9`): no time, and no mistake.

use super::super::time::{DAY_MS, EventTime, HOUR_MS, MINUTE_MS, Precision};

/// The offset of Asia/Shanghai in ms.
pub(super) const SHANGHAI_MS: i64 = 8 * HOUR_MS;

/// What a text is as a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// A time.
    Time(EventTime, Precision),
    /// A stand-in for no time.
    Nothing,
    /// Not a time, or a date that does not exist.
    Bad,
}

/// Reads a time. A text without a zone is at `offset_ms` from UTC.
pub(super) fn read(text: &str, offset_ms: i64) -> Moment {
    let text = super::text::trimmed(text);
    let read = match common(text.as_bytes()) {
        Some(read) => Some(read),
        None if is_stand_in(text) => return Moment::Nothing,
        None => EventTime::parse(text),
    };
    let Some((time, precision)) = read else {
        return Moment::Bad;
    };
    if offset_ms == SHANGHAI_MS || precision == Precision::Day || has_zone(text) {
        return Moment::Time(time, precision);
    }
    Moment::Time(time.plus_ms(SHANGHAI_MS - offset_ms), precision)
}

/// The year begins the text in every form that is read.
fn is_stand_in(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let year = match digits {
        4 | 8 => text.get(..4).and_then(|year| year.parse::<u16>().ok()),
        _ => None,
    };
    year.is_some_and(|year| !(1902..2099).contains(&year))
}

fn has_zone(text: &str) -> bool {
    let clock = text.get(10..).unwrap_or_default();
    clock.contains(['Z', 'z', '+']) || clock.contains('-')
}

/// `YYYY-MM-DD` and `YYYY-MM-DD HH:MM:SS` in Shanghai, with `+08:00` behind it or not; `None` for everything else,
/// possible or not.
pub(super) fn common(bytes: &[u8]) -> Option<(EventTime, Precision)> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, rest @ ..] = bytes else {
        return None;
    };
    let (year, month, day) = (
        pair(*y1, *y2)? * 100 + pair(*y3, *y4)?,
        pair(*m1, *m2)?,
        pair(*d1, *d2)?,
    );
    if !(1949..2099).contains(&year) || !(1..=12).contains(&month) {
        return None;
    }
    if day < 1 || days_in(year, month) < day {
        return None;
    }
    let midnight = days_from_1970(year, month, day) * DAY_MS - SHANGHAI_MS;
    match rest.strip_suffix(b"+08:00").unwrap_or(rest) {
        [] if rest.is_empty() => Some((EventTime(midnight), Precision::Day)),
        [b' ' | b'T', h1, h2, b':', i1, i2, b':', s1, s2] => {
            let (hour, minute, second) = (pair(*h1, *h2)?, pair(*i1, *i2)?, pair(*s1, *s2)?);
            if 23 < hour || 59 < minute || 59 < second {
                return None;
            }
            let ms = hour * HOUR_MS + minute * MINUTE_MS + second * 1000;
            Some((EventTime(midnight + ms), Precision::Second))
        }
        _ => None,
    }
}

fn pair(tens: u8, ones: u8) -> Option<i64> {
    (tens.is_ascii_digit() && ones.is_ascii_digit())
        .then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 (Hinnant, "chrono-compatible low-level date algorithms"), for years after 0.
fn days_from_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let of_era = year * 365 + year / 4 - year / 100 + year / 400 + of_year;
    of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stand_ins_are_nothing_and_mistakes_are_bad() {
        for text in [
            "1900-01-01",
            "1899-12-30 00:00:00",
            "9999-9-9",
            "9999-12-31",
            "2099-12-31",
            "20991231",
            "0000-00-00",
            "99991231",
        ] {
            assert_eq!(read(text, SHANGHAI_MS), Moment::Nothing, "{text}");
        }
        for text in [
            "2024-13-01",
            "2026-02-30",
            "长期",
            "",
            "12",
            "2026-03-01 24:00:00",
        ] {
            assert_eq!(read(text, SHANGHAI_MS), Moment::Bad, "{text}");
        }
    }

    #[test]
    fn zones() {
        let at = |text, offset| match read(text, offset) {
            Moment::Time(time, _) => time.rfc3339(),
            other => format!("{other:?}"),
        };
        assert_eq!(at("2026-03-01 00:30:00", 0), "2026-03-01T08:30:00+08:00");
        assert_eq!(
            at("2026-03-01T00:30:00Z", SHANGHAI_MS),
            "2026-03-01T08:30:00+08:00"
        );
        assert_eq!(
            at("2026-03-01T00:30:00-05:00", 0),
            "2026-03-01T13:30:00+08:00"
        );
        assert_eq!(at("2026-03-01", 0), "2026-03-01T00:00:00+08:00");
    }

    proptest! {
        #[test]
        fn the_quick_way_is_the_long_way(
            year in 1945_u16..2099, month in 0_u8..14, day in 0_u8..33,
            clock in proptest::option::of((0_u8..26, 0_u8..62, 0_u8..62)), zone in any::<bool>(),
        ) {
            let date = format!("{year:04}-{month:02}-{day:02}");
            let text = match clock {
                Some((hour, minute, second)) => format!("{date} {hour:02}:{minute:02}:{second:02}"),
                None => date,
            };
            let text = if zone { format!("{text}+08:00") } else { text };
            prop_assert_eq!(common(text.as_bytes()), EventTime::parse(&text));
        }
    }
}

//! Event time: when a fact happened, as China's clocks show it.
//!
//! [`EventTime`] counts milliseconds since 1970-01-01 UTC; civil dates are those of Asia/Shanghai, a fixed +08:00 for
//! every fact this engine judges (summer time of 1986-1991 touches birth dates only, which never arrive here).
//! A source often knows only the day, so a time goes together with a [`Precision`].
//!
//! units    time: ms since 1970-01-01 UTC; span: ms
//! bounds   years 1949 to 2200; everything else is a sentinel or a mistake and is refused by [`EventTime::parse`]
//! errors   a text that is no time is `None`; nothing here panics
//! source   GB/T 7408 (ISO 8601) for the forms that are read

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Milliseconds in a day.
pub const DAY_MS: i64 = 86_400_000;
/// Milliseconds in an hour.
pub const HOUR_MS: i64 = 3_600_000;
/// Milliseconds in a minute.
pub const MINUTE_MS: i64 = 60_000;
/// Asia/Shanghai is 8 hours ahead of UTC.
const OFFSET_MS: i64 = 8 * HOUR_MS;

/// A moment of event time, ms since 1970-01-01 UTC.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct EventTime(pub i64);

/// How exactly a source knows a time.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Only the day is known; the time stands at its first moment.
    #[default]
    Day,
    /// Known to the minute.
    Minute,
    /// Known to the second or better.
    Second,
}

impl EventTime {
    /// The earliest time any input can have.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest time any input can have.
    pub const MAX: Self = Self(i64::MAX);

    /// The first moment of a civil day in Shanghai.
    pub fn from_date(date: Date) -> Self {
        Self::from_day(day_of_date(date))
    }

    /// The first moment of the day that is `day` days after 1970-01-01 in Shanghai.
    pub fn from_day(day: i32) -> Self {
        Self(
            i64::from(day)
                .saturating_mul(DAY_MS)
                .saturating_sub(OFFSET_MS),
        )
    }

    /// Days since 1970-01-01 in Shanghai's calendar.
    pub fn day(self) -> i32 {
        let day = self.0.saturating_add(OFFSET_MS).div_euclid(DAY_MS);
        i32::try_from(day).unwrap_or(if day < 0 { i32::MIN } else { i32::MAX })
    }

    /// The civil date in Shanghai; times outside jiff's years give its limits.
    pub fn date(self) -> Date {
        date_of_day(self.day())
    }

    /// Milliseconds since midnight in Shanghai.
    pub fn ms_of_day(self) -> i64 {
        self.0.saturating_add(OFFSET_MS).rem_euclid(DAY_MS)
    }

    /// This time moved by `ms` milliseconds, saturating.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// This time moved by whole days, saturating.
    #[must_use]
    pub fn plus_days(self, days: i64) -> Self {
        self.plus_ms(days.saturating_mul(DAY_MS))
    }

    /// The same moment of day, `months` later; the 31st becomes the last day of a shorter month.
    #[must_use]
    pub fn plus_months(self, months: u16) -> Self {
        use jiff::ToSpan;
        let date = self.date();
        let later = date.checked_add(i32::from(months).months()).unwrap_or(date);
        Self::from_date(later).plus_ms(self.ms_of_day())
    }

    /// Reads a date or a date with time as real feeds write them: `2026-03-01`, `2026-3-1`, `2026/03/01`, `20260301`,
    /// `2026年3月1日`, with an optional `08:30`, `08:30:00`, `.123`, `T` or blank between, `Z` or `+08:00` at the end.
    /// A text without a zone is Shanghai time. Impossible dates and years outside 1949..=2200 give `None`.
    pub fn parse(text: &str) -> Option<(Self, Precision)> {
        let text = text.trim();
        let (date_text, rest) = split_date(text)?;
        let date = parse_date(date_text)?;
        let rest = rest.trim_start_matches(['T', 't', ' ']).trim();
        if rest.is_empty() {
            return Some((Self::from_date(date), Precision::Day));
        }
        let (clock, offset_ms) = split_zone(rest)?;
        let (ms, precision) = parse_clock(clock)?;
        let local = i64::from(day_of_date(date))
            .checked_mul(DAY_MS)?
            .checked_add(ms)?;
        Some((Self(local.checked_sub(offset_ms)?), precision))
    }
}

/// `2026-03-01`, or with the time of day when it is not midnight: `2026-03-01 08:30:00`.
impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.date();
        write!(
            f,
            "{:04}-{:02}-{:02}",
            date.year(),
            date.month(),
            date.day()
        )?;
        let ms = self.ms_of_day();
        if ms != 0 {
            let s = ms / 1000;
            write!(f, " {:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)?;
        }
        Ok(())
    }
}

impl EventTime {
    /// RFC 3339 with the offset of Shanghai, to the second: `2026-03-01T08:30:00+08:00`.
    pub fn rfc3339(self) -> String {
        let date = self.date();
        let s = self.ms_of_day() / 1000;
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}+08:00",
            date.year(),
            date.month(),
            date.day(),
            s / 3600,
            s / 60 % 60,
            s % 60
        )
    }
}

/// The moment as of which a fact is judged: the last moment at which it can have happened. A fact known by the day sees
/// the whole of its day; one known to the second sees what had happened up to then.
pub fn as_of(time: EventTime, precision: Precision) -> EventTime {
    match precision {
        Precision::Day => EventTime::from_day(time.day()).plus_ms(DAY_MS - 1),
        Precision::Minute => time.plus_ms(MINUTE_MS - 1 - time.0.rem_euclid(MINUTE_MS)),
        Precision::Second => time,
    }
}

/// Days since 1970-01-01 of a civil date.
pub fn day_of_date(date: Date) -> i32 {
    let epoch = Date::constant(1970, 1, 1);
    epoch.until(date).map_or(0, |span| span.get_days())
}

/// The civil date that is `day` days after 1970-01-01; beyond jiff's years, its last date.
pub fn date_of_day(day: i32) -> Date {
    let epoch = Date::constant(1970, 1, 1);
    jiff::Span::new()
        .try_days(day)
        .and_then(|span| epoch.checked_add(span))
        .unwrap_or(if day < 0 { Date::MIN } else { Date::MAX })
}

fn split_date(text: &str) -> Option<(&str, &str)> {
    if text.contains('年') {
        let end = text
            .find('日')
            .map_or(text.len(), |at| at + '日'.len_utf8());
        return Some((text.get(..end)?, text.get(end..)?));
    }
    let end = text.find(['T', 't', ' ']).unwrap_or(text.len());
    Some((text.get(..end)?, text.get(end..)?))
}

fn parse_date(text: &str) -> Option<Date> {
    let mut parts = [0_i16; 3];
    if text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit()) {
        parts = [
            text.get(..4)?.parse().ok()?,
            text.get(4..6)?.parse().ok()?,
            text.get(6..8)?.parse().ok()?,
        ];
    } else {
        let mut pieces = text
            .trim_end_matches('日')
            .split(['-', '/', '.', '年', '月']);
        for part in &mut parts {
            let piece = pieces.next()?;
            if piece.is_empty() || piece.len() > 4 || !piece.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            *part = piece.parse().ok()?;
        }
        if pieces.next().is_some() {
            return None;
        }
    }
    let [year, month, day] = parts;
    if !(1949..=2200).contains(&year) {
        return None;
    }
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

fn split_zone(text: &str) -> Option<(&str, i64)> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    if let Some(at) = text.rfind(['+', '-']) {
        let (clock, zone) = (text.get(..at)?, text.get(at + 1..)?);
        let digits: String = zone.chars().filter(|c| *c != ':').collect();
        if digits.len() != 4 && digits.len() != 2 {
            return None;
        }
        let hours: i64 = digits.get(..2)?.parse().ok()?;
        let minutes: i64 = if digits.len() == 4 {
            digits.get(2..)?.parse().ok()?
        } else {
            0
        };
        if hours > 14 || minutes > 59 {
            return None;
        }
        let sign = if text.get(at..=at)? == "-" { -1 } else { 1 };
        return Some((clock, sign * (hours * HOUR_MS + minutes * MINUTE_MS)));
    }
    Some((text, OFFSET_MS))
}

fn parse_clock(text: &str) -> Option<(i64, Precision)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut fields = whole.split(':');
    let hour: i64 = digits(fields.next()?)?;
    let minute: i64 = digits(fields.next()?)?;
    let (second, precision) = match fields.next() {
        Some(s) => (digits(s)?, Precision::Second),
        None => (0, Precision::Minute),
    };
    if fields.next().is_some() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if !fraction.bytes().all(|b| b.is_ascii_digit()) || fraction.len() > 9 {
        return None;
    }
    let mut ms = 0;
    for (digit, weight) in fraction.bytes().zip([100, 10, 1]) {
        ms += i64::from(digit - b'0') * weight;
    }
    Some((
        hour * HOUR_MS + minute * MINUTE_MS + second * 1000 + ms,
        precision,
    ))
}

fn digits(text: &str) -> Option<i64> {
    if text.is_empty() || text.len() > 2 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Reads a span as rules and connectors write it: `90d`, `24h`, `30m`, `2w`. The result is in ms, above zero.
pub fn parse_span_ms(text: &str) -> Option<i64> {
    let text = text.trim();
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit_ms = match unit {
        "d" => DAY_MS,
        "w" => 7 * DAY_MS,
        "h" => HOUR_MS,
        "m" => MINUTE_MS,
        _ => return None,
    };
    if number.is_empty() || number.len() > 6 || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let ms = number.parse::<i64>().ok()?.checked_mul(unit_ms)?;
    (0 < ms).then_some(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_forms_of_real_feeds() {
        for text in [
            "2017-07-07",
            "2017-7-7",
            "2017/7/7",
            "20170707",
            "2017年7月7日",
            "2017.7.7",
        ] {
            let (time, precision) = EventTime::parse(text).unwrap();
            assert_eq!(
                (time.to_string().as_str(), precision),
                ("2017-07-07", Precision::Day),
                "{text}"
            );
        }
        let (time, precision) = EventTime::parse("2026-03-01 08:30:00.250").unwrap();
        assert_eq!(time.rfc3339(), "2026-03-01T08:30:00+08:00");
        assert_eq!((time.0 % 1000, precision), (250, Precision::Second));
        assert_eq!(
            EventTime::parse("2026-03-01T00:30:00Z")
                .unwrap()
                .0
                .to_string(),
            "2026-03-01 08:30:00"
        );
        assert_eq!(
            EventTime::parse("2026-03-01 08:30").unwrap().1,
            Precision::Minute
        );
    }

    #[test]
    fn refuses_impossible_times() {
        for text in [
            "",
            "2026-02-30",
            "2024-13-01",
            "1900-01-01",
            "9999-9-9",
            "2026-03-01 25:00",
            "暂无",
            "2026-03",
        ] {
            assert_eq!(EventTime::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_decision_date_stays_on_its_day() {
        let (time, _) = EventTime::parse("2026-03-01").unwrap();
        assert_eq!(time.0, 1_772_294_400_000);
        assert_eq!(time.plus_ms(DAY_MS - 1).day(), time.day());
        assert_eq!(EventTime::from_day(time.day()), time);
    }

    #[test]
    fn as_of_is_the_end_of_what_is_known() {
        let (day, _) = EventTime::parse("2026-03-01").unwrap();
        let (minute, precision) = EventTime::parse("2026-03-01 08:30").unwrap();
        assert_eq!(as_of(day, Precision::Day).0, day.0 + DAY_MS - 1);
        assert_eq!(as_of(minute, precision).0, minute.0 + MINUTE_MS - 1);
        assert_eq!(as_of(minute, Precision::Second), minute);
    }

    #[test]
    fn days_beyond_the_calendar_are_its_ends() {
        assert_eq!(date_of_day(i32::MIN), Date::MIN);
        assert_eq!(date_of_day(i32::MAX), Date::MAX);
        assert_eq!(date_of_day(-1), Date::constant(1969, 12, 31));
    }

    #[test]
    fn spans() {
        assert_eq!(parse_span_ms("7d"), Some(7 * DAY_MS));
        assert_eq!(parse_span_ms("24h"), Some(DAY_MS));
        for bad in ["", "d", "0d", "-1d", "7", "7y", "99999999d"] {
            assert_eq!(parse_span_ms(bad), None, "{bad}");
        }
    }
}

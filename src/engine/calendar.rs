//! Working days by the published calendar of China.
//!
//! A [`Calendar`] is read from `rules/calendar.toml`: per year the days off and the working weekends of the State
//! Council's notice. Years are published one by one, usually in November for the next; a year that is not in the file is
//! the loud state [`Unpublished`], never a guess by weekdays.
//!
//! units    days since 1970-01-01 in Shanghai; a result is the first moment of its day
//! cost     counting O(years between), adding O(years between · log 366)
//! errors   [`CalendarError`] names the year and the entry of the file; [`Unpublished`] names the year that is missing
//! source   notices of the General Office of the State Council, named per year in the file

use super::time::{EventTime, day_of_date};
use jiff::civil::Date;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A date was needed in a year whose working days are not published yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the working days of {0} are not in the calendar (add the year to rules/calendar.toml)")]
pub struct Unpublished(pub i16);

impl Unpublished {
    /// What an analyst reads.
    pub fn message(self) -> String {
        format!(
            "{} 年的节假日安排尚未载入,不能计算工作日(请在 rules/calendar.toml 中补充该年)",
            self.0
        )
    }
}

/// What is wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// It is not TOML of the expected shape.
    #[error("calendar.toml: {0}")]
    Toml(String),
    /// An entry is no date, or contradicts another.
    #[error("calendar.toml: year {year}: \"{entry}\" {problem}")]
    Entry {
        /// The year of the entry.
        year: i16,
        /// The entry as it is written.
        entry: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    year: BTreeMap<String, Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    source: Vec<String>,
    off: Vec<String>,
    work: Vec<String>,
}

/// One published year.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Year {
    first_day: i32,
    /// How many of the first n days of the year are worked, for n from 0 to the number of days.
    worked: Vec<i64>,
    source: Vec<String>,
}

impl Year {
    fn last_day(&self) -> i32 {
        let days = i32::try_from(self.worked.len()).unwrap_or(0);
        self.first_day.saturating_add(days).saturating_sub(2)
    }

    /// How many days from the first of the year up to and including `day` are worked.
    fn through(&self, day: i32) -> i64 {
        let at = day.saturating_sub(self.first_day).saturating_add(1);
        let at = usize::try_from(at).unwrap_or(0);
        let last = self.worked.last().copied().unwrap_or(0);
        self.worked.get(at).copied().unwrap_or(last)
    }

    /// The day on which the n-th working day of the year falls.
    fn nth(&self, n: i64) -> Option<i32> {
        let at = self.worked.partition_point(|worked| *worked < n);
        (at < self.worked.len() && 0 < at)
            .then(|| i32::try_from(at).ok())
            .flatten()
            .map(|at| self.first_day.saturating_add(at).saturating_sub(1))
    }
}

/// The published years.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    years: BTreeMap<i16, Year>,
}

impl Calendar {
    /// Reads `rules/calendar.toml`.
    pub fn parse(text: &str) -> Result<Self, CalendarError> {
        let file: File =
            toml::from_str(text).map_err(|error| CalendarError::Toml(error.to_string()))?;
        let mut years = BTreeMap::new();
        for (name, row) in file.year {
            let year = name
                .parse::<i16>()
                .ok()
                .filter(|y| (1949..=2200).contains(y))
                .ok_or(CalendarError::Entry {
                    year: 0,
                    entry: name,
                    problem: "is not a year",
                })?;
            years.insert(year, read_year(year, row)?);
        }
        Ok(Self { years })
    }

    /// The last year that is published, if any is.
    pub fn published_through(&self) -> Option<i16> {
        self.years.keys().next_back().copied()
    }

    /// Where a year was published.
    pub fn source(&self, year: i16) -> &[String] {
        self.years
            .get(&year)
            .map_or(&[], |year| year.source.as_slice())
    }

    /// Whether a day is worked.
    pub fn is_working_day(&self, time: EventTime) -> Result<bool, Unpublished> {
        let year = self.year_of(time)?;
        let day = time.day();
        Ok(year.through(day.saturating_sub(1)) < year.through(day))
    }

    /// How many working days after the day of `from` up to and including the day of `to`; negative if `to` is earlier.
    pub fn working_days(&self, from: EventTime, to: EventTime) -> Result<i64, Unpublished> {
        if to.day() < from.day() {
            return self.working_days(to, from).map(|days| -days);
        }
        let (first, last) = (self.year_of(from)?, self.year_of(to)?);
        if first.first_day == last.first_day {
            return Ok(last.through(to.day()) - first.through(from.day()));
        }
        let mut days = first.through(first.last_day()) - first.through(from.day());
        let mut next = from.date().year().saturating_add(1);
        while next < to.date().year() {
            let year = self.year(next)?;
            days += year.through(year.last_day());
            next = next.saturating_add(1);
        }
        Ok(days + last.through(to.day()))
    }

    /// The day that is `days` working days after the day of `from` (before it, if negative), at its first moment. Nought
    /// gives the day of `from` itself, worked or not.
    pub fn add_working_days(&self, from: EventTime, days: i64) -> Result<EventTime, Unpublished> {
        if days == 0 {
            return Ok(EventTime::from_day(from.day()));
        }
        let mut number = from.date().year();
        let year = self.year(number)?;
        // The day wanted is the `wanted`-th working day of the year `number`.
        let mut wanted = if 0 < days {
            year.through(from.day()).saturating_add(days)
        } else {
            let before = year.through(from.day().saturating_sub(1));
            before.saturating_add(1).saturating_add(days)
        };
        loop {
            let year = self.year(number)?;
            let total = year.through(year.last_day());
            if wanted < 1 {
                number = number.saturating_sub(1);
                let earlier = self.year(number)?;
                wanted = wanted.saturating_add(earlier.through(earlier.last_day()));
            } else if total < wanted {
                wanted -= total;
                number = number.saturating_add(1);
            } else {
                return year
                    .nth(wanted)
                    .map(EventTime::from_day)
                    .ok_or(Unpublished(number));
            }
        }
    }

    /// The day itself if it is worked, else the first working day after it: where a period counted in natural days ends.
    pub fn roll_forward(&self, time: EventTime) -> Result<EventTime, Unpublished> {
        if self.is_working_day(time)? {
            return Ok(EventTime::from_day(time.day()));
        }
        self.add_working_days(time, 1)
    }

    fn year_of(&self, time: EventTime) -> Result<&Year, Unpublished> {
        self.year(time.date().year())
    }

    fn year(&self, year: i16) -> Result<&Year, Unpublished> {
        self.years.get(&year).ok_or(Unpublished(year))
    }
}

fn read_year(year: i16, row: Row) -> Result<Year, CalendarError> {
    let first = Date::new(year, 1, 1).map_err(|_| CalendarError::Entry {
        year,
        entry: year.to_string(),
        problem: "is not a year",
    })?;
    let first_day = day_of_date(first);
    let length = usize::from(first.days_in_year().unsigned_abs());
    // 1970-01-01 was a Thursday.
    let is_weekend = |day: i32| 4 < day.saturating_add(3).rem_euclid(7);
    let mut is_off: Vec<bool> = (first_day..).take(length).map(is_weekend).collect();
    let mut seen = vec![false; length];
    for (entries, off) in [(&row.off, true), (&row.work, false)] {
        for entry in entries {
            let bad = |problem| CalendarError::Entry {
                year,
                entry: entry.clone(),
                problem,
            };
            let (from, to) =
                read_range(year, entry).ok_or_else(|| bad("is not MM-DD or MM-DD..MM-DD"))?;
            for day in from..=to {
                let at = usize::try_from(day - first_day).unwrap_or(usize::MAX);
                let (Some(seen), Some(slot)) = (seen.get_mut(at), is_off.get_mut(at)) else {
                    return Err(bad("is outside its year"));
                };
                if *seen {
                    return Err(bad("stands there twice"));
                }
                if !off && !is_weekend(day) {
                    return Err(bad("is a weekday, which is worked anyway"));
                }
                *seen = true;
                *slot = off;
            }
        }
    }
    let mut worked = Vec::with_capacity(length + 1);
    let mut count = 0;
    worked.push(0);
    for off in is_off {
        count += i64::from(!off);
        worked.push(count);
    }
    Ok(Year {
        first_day,
        worked,
        source: row.source,
    })
}

fn read_range(year: i16, entry: &str) -> Option<(i32, i32)> {
    let (from, to) = entry.split_once("..").unwrap_or((entry, entry));
    let day = |text: &str| {
        let (month, day) = text.split_once('-')?;
        let date = Date::new(year, month.parse().ok()?, day.parse().ok()?).ok()?;
        Some(day_of_date(date))
    };
    let (from, to) = (day(from)?, day(to)?);
    (from <= to).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar() -> Calendar {
        Calendar::parse(include_str!("../../rules/calendar.toml")).unwrap()
    }

    fn day(text: &str) -> EventTime {
        EventTime::parse(text).unwrap().0
    }

    #[test]
    fn deadlines_across_the_holidays_of_2026() {
        let calendar = calendar();
        for (from, days, due) in [
            ("2026-09-29", 7, "2026-10-14"),
            ("2026-02-12", 7, "2026-02-28"),
            ("2026-04-29", 15, "2026-05-22"),
            ("2026-09-24", 15, "2026-10-22"),
        ] {
            let got = calendar.add_working_days(day(from), days).unwrap();
            assert_eq!(got.to_string(), due, "{from} + {days}");
            assert_eq!(calendar.working_days(day(from), got), Ok(days));
            assert_eq!(calendar.working_days(got, day(from)), Ok(-days));
        }
        // Accepted 2026-08-03, 60 natural days: 10-02 is in the holidays, so the period ends on 10-08.
        let end = day("2026-08-03").plus_days(60);
        assert_eq!(end.to_string(), "2026-10-02");
        assert_eq!(
            calendar.roll_forward(end).unwrap().to_string(),
            "2026-10-08"
        );
    }

    #[test]
    fn the_days_of_2026_are_those_of_the_notice() {
        let calendar = calendar();
        for work in ["01-04", "02-14", "02-28", "05-09", "09-20", "10-10"] {
            let time = day(&format!("2026-{work}"));
            assert_eq!(calendar.is_working_day(time), Ok(true), "{work}");
        }
        for off in [
            "01-01", "01-03", "02-15", "02-23", "04-06", "05-05", "06-19", "09-25", "10-07",
        ] {
            let time = day(&format!("2026-{off}"));
            assert_eq!(calendar.is_working_day(time), Ok(false), "{off}");
        }
        assert_eq!(calendar.is_working_day(day("2026-10-11")), Ok(false));
        assert!(calendar.source(2026)[0].contains("content_7047091"));
    }

    #[test]
    fn a_year_that_is_not_published_is_said_so() {
        let calendar = calendar();
        assert_eq!(calendar.published_through(), Some(2026));
        assert_eq!(
            calendar.add_working_days(day("2026-12-25"), 7),
            Err(Unpublished(2027))
        );
        assert_eq!(
            calendar.working_days(day("2026-12-25"), day("2027-01-05")),
            Err(Unpublished(2027))
        );
        assert!(Unpublished(2027).message().contains("2027 年"));
    }

    #[test]
    fn counts_across_years_and_backwards() {
        let calendar = calendar();
        // Against a day-by-day count.
        let mut count = 0;
        let mut time = day("2018-03-01");
        while time < day("2026-03-06") {
            time = time.plus_days(1);
            count += i64::from(calendar.is_working_day(time).unwrap());
        }
        let (from, to) = (day("2018-03-01"), day("2026-03-06"));
        assert_eq!(calendar.working_days(from, to), Ok(count));
        assert_eq!(calendar.add_working_days(from, count), Ok(to));
        let back = calendar.add_working_days(day("2026-01-05"), -3).unwrap();
        assert_eq!(back.to_string(), "2025-12-30");
        let same = calendar.add_working_days(day("2026-01-03"), 0).unwrap();
        assert_eq!(same.to_string(), "2026-01-03");
    }

    #[test]
    fn refuses_a_file_that_makes_no_sense() {
        let year = |off: &str, work: &str| {
            format!("[year.2026]\nsource = []\noff = [{off}]\nwork = [{work}]\n")
        };
        for (off, work, problem) in [
            ("\"02-30\"", "", "is not MM-DD or MM-DD..MM-DD"),
            ("\"02-03..02-01\"", "", "is not MM-DD or MM-DD..MM-DD"),
            ("\"02-01\", \"02-01\"", "", "stands there twice"),
            ("", "\"01-05\"", "is a weekday, which is worked anyway"),
        ] {
            let error = Calendar::parse(&year(off, work)).unwrap_err();
            assert!(error.to_string().ends_with(problem), "{error}");
        }
    }
}

//! The year's rhythm: office days, festivals, how much happens on a day.
//!
//! Good enough to make a plausible year, whichever year it is; deadlines of law are never computed from it (that is the
//! published calendar's work). Offices are closed at weekends, at Spring Festival (the eve and seven days), on 1 January,
//! 4-5 April, 1-5 May and 1-7 October; working weekends are not known here.
//!
//! units    days since 1970-01-01 in Shanghai; weights in hundredths of an ordinary day
//! source   Purple Mountain Observatory's dates of the lunar new year, 2016-2035; other years take 5 February

use crate::engine::time::{date_of_day, day_of_date};
use jiff::civil::Date;

/// Month and day of the lunar new year, from 2016 on.
const NEW_YEARS: [(i8, i8); 20] = [
    (2, 8),
    (1, 28),
    (2, 16),
    (2, 5),
    (1, 25),
    (2, 12),
    (2, 1),
    (1, 22),
    (2, 10),
    (1, 29),
    (2, 17),
    (2, 6),
    (1, 26),
    (2, 13),
    (2, 3),
    (1, 23),
    (2, 11),
    (1, 31),
    (2, 19),
    (2, 8),
];

/// What kind of day it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Season {
    /// The day.
    pub(super) day: i32,
    /// Month, 1 to 12.
    pub(super) month: i8,
    /// Day of the month.
    pub(super) of_month: i8,
    /// 0 is Monday.
    pub(super) weekday: i32,
    /// Days since the lunar new year of this calendar year; negative before it.
    pub(super) of_spring: i32,
}

impl Season {
    /// The season of a day.
    pub(super) fn of(day: i32) -> Self {
        let date = date_of_day(day);
        let at = usize::try_from(i32::from(date.year()) - 2016).unwrap_or(usize::MAX);
        let (month, of_month) = NEW_YEARS.get(at).copied().unwrap_or((2, 5));
        let spring = Date::new(date.year(), month, of_month).map_or(day, day_of_date);
        Self {
            day,
            month: date.month(),
            of_month: date.day(),
            weekday: (day.saturating_add(3)).rem_euclid(7),
            of_spring: day - spring,
        }
    }

    /// Spring Festival: the eve and seven days.
    pub(super) fn is_spring_festival(self) -> bool {
        (-1..=6).contains(&self.of_spring)
    }

    /// Another festival.
    fn is_festival(self) -> bool {
        matches!(
            (self.month, self.of_month),
            (1, 1) | (4, 4..=5) | (5, 1..=5) | (10, 1..=7)
        )
    }

    /// Whether offices work.
    pub(super) fn is_office(self) -> bool {
        self.weekday < 5 && !self.is_spring_festival() && !self.is_festival()
    }

    /// How much people complain: less at weekends and over the New Year, more after shopping festivals and at 15 March.
    pub(super) fn complaints_percent(self) -> u32 {
        let weekly = match self.weekday {
            0 => 118,
            1 => 112,
            2 | 3 => 106,
            4 => 100,
            5 => 80,
            _ => 76,
        };
        let yearly = match (self.month, self.of_month) {
            _ if self.is_spring_festival() => 40,
            _ if (7..=16).contains(&self.of_spring) => 120,
            (3, 10..=20) => 140,
            (6, 16..=26) => 115,
            (11, 11..=22) => 130,
            (7..=8, _) => 112,
            _ => 100,
        };
        weekly * yearly / 100
    }

    /// How much warmer than the mean it is for food complaints.
    pub(super) fn food_percent(self) -> u32 {
        match self.month {
            6..=9 => 170,
            5 | 10 => 120,
            _ => 80,
        }
    }
}

/// The office day that is `count` office days after `day`; with 0 the day itself, or the next office day.
pub(super) fn office_days_after(day: i32, count: i32) -> i32 {
    let mut at = day;
    let mut left = count;
    while 0 < left {
        at += 1;
        if Season::of(at).is_office() {
            left -= 1;
        }
    }
    while !Season::of(at).is_office() {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> i32 {
        crate::engine::time::EventTime::parse(text).unwrap().0.day()
    }

    #[test]
    fn office_days() {
        for (text, office) in [
            ("2026-03-02", true),  // Monday
            ("2026-03-01", false), // Sunday
            ("2026-02-16", false), // the eve
            ("2026-02-23", false), // the last day
            ("2026-02-24", true),
            ("2025-10-01", false),
        ] {
            assert_eq!(Season::of(day(text)).is_office(), office, "{text}");
        }
        for (from, count, to) in [
            ("2026-03-02", 0, "2026-03-02"),
            ("2026-03-01", 0, "2026-03-02"),
            ("2026-03-06", 1, "2026-03-09"),
            ("2026-02-13", 2, "2026-02-25"),
        ] {
            assert_eq!(
                office_days_after(day(from), count),
                day(to),
                "{from} + {count}"
            );
        }
    }
}

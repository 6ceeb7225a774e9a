//! The machine: firms' standing, the queue of what will arrive, and the one door through which records leave.
//!
//! A story (an order, an inspection with its recheck, a penalty with its payment) is told on the day it begins and sends all of its
//! records at once, each to the moment when it will arrive. They wait in a queue, as bytes, and leave in order of arrival.
//! What would arrive after the period is not sent, and not counted.
//!
//! bounds   memory: 8 bytes a firm, and the records on their way, about six weeks' worth of later versions
//! errors   only those of writing

use super::dice::Dice;
use super::dirt::{Kind, soil};
use super::feed::{Feed, Feeds};
use super::firm::{Firm, Firms};
use super::place::Places;
use super::record::Record;
use super::scenario::Actors;
use super::summary::{Summary, Truth};
use super::{GenerateError, Plan};
use crate::engine::reject::RejectCode;
use crate::engine::time::{EventTime, HOUR_MS, MINUTE_MS, day_of_date};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// What a firm has been through.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// The last planned inspection, in days of the period.
    pub(super) inspected: i16,
    /// The last failed one.
    pub(super) failed: i16,
    /// Changes of registration so far.
    pub(super) changes: u8,
    /// See the constants.
    pub(super) flags: u8,
}

impl Standing {
    /// It plays a part in a scenario and takes no part in anything else.
    pub(super) const ACTOR: u8 = 1;
    /// It is no more, or not yet.
    pub(super) const ABSENT: u8 = 2;
    /// It was fined.
    pub(super) const FINED: u8 = 4;
    /// It was put on a list.
    pub(super) const LISTED: u8 = 8;

    /// Whether none of these holds.
    pub(super) fn is_free_of(self, flags: u8) -> bool {
        self.flags & flags == 0
    }
}

/// What is to happen on a day.
#[derive(Debug, Clone, Copy)]
pub(super) enum Task {
    /// The bad actor of this number begins.
    Act(usize),
    /// This firm renews its licence.
    Renew(u32),
}

/// A record that will arrive.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    arrives_ms: i64,
    /// Tells rows of one moment apart, so that no more than these two decide the order.
    turn: u64,
    load: Load,
}

/// A record as it will be written.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Load {
    feed: Feed,
    line: Vec<u8>,
    kinds: Vec<Kind>,
    refused: Option<&'static str>,
}

/// The machine.
pub(super) struct Maker<'a> {
    pub(super) plan: &'a Plan,
    pub(super) firms: Firms,
    pub(super) dice: Dice,
    /// First and last day.
    pub(super) from: i32,
    pub(super) to: i32,
    pub(super) actors: Actors,
    pub(super) agenda: BTreeMap<i32, Vec<Task>>,
    pub(super) summary: Summary,
    /// The next firm that has not been founded yet, and the first of them.
    pub(super) unborn: u32,
    pub(super) born: u32,
    /// Whether a record of the scenario on stage could not be sent.
    pub(super) is_cut: bool,
    standings: Vec<Standing>,
    queue: BinaryHeap<Reverse<Row>>,
    sent: u64,
    turn: u64,
    number: u64,
    out: &'a mut dyn Feeds,
    progress: &'a mut dyn FnMut(u64),
}

impl<'a> Maker<'a> {
    /// A machine with nobody on stage.
    pub(super) fn new(
        plan: &'a Plan,
        out: &'a mut dyn Feeds,
        progress: &'a mut dyn FnMut(u64),
    ) -> Self {
        let from = day_of_date(plan.from);
        let subjects = u32::try_from(plan.subjects).unwrap_or(u32::MAX);
        let fresh = Standing {
            inspected: -999,
            failed: -999,
            changes: 0,
            flags: 0,
        };
        Self {
            plan,
            firms: Firms {
                seed: plan.seed,
                from,
                places: Places::new(),
            },
            dice: Dice::new(plan.seed, 0),
            from,
            to: day_of_date(plan.to),
            actors: Actors::default(),
            agenda: BTreeMap::new(),
            summary: Summary::default(),
            unborn: subjects - subjects / 20,
            born: subjects - subjects / 20,
            is_cut: false,
            standings: vec![fresh; usize::try_from(subjects).unwrap_or(0)],
            queue: BinaryHeap::new(),
            sent: 0,
            turn: 0,
            number: 0,
            out,
            progress,
        }
    }

    /// Writes the header lines.
    pub(super) fn open(&mut self) -> Result<(), GenerateError> {
        for feed in Feed::ALL {
            self.summary.feeds.insert(feed, 0);
            if let Some(header) = feed.header() {
                self.write(feed, header.as_bytes())?;
            }
        }
        Ok(())
    }

    /// How many records have been sent, whether they have left or not.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// A number that nothing else has.
    pub(super) fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// The firm of this number, as its part in a scenario wants it.
    pub(super) fn firm(&self, index: u32) -> Firm {
        self.firms.firm(index, self.actors.class_of(index))
    }

    /// A firm's standing.
    pub(super) fn standing(&self, index: u32) -> Standing {
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        self.standings.get(at).copied().unwrap_or(Standing {
            inspected: 0,
            failed: 0,
            changes: 0,
            flags: Standing::ABSENT,
        })
    }

    /// Changes a firm's standing.
    pub(super) fn set_standing(&mut self, index: u32, change: impl FnOnce(&mut Standing)) {
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        if let Some(standing) = self.standings.get_mut(at) {
            change(standing);
        }
    }

    /// A day as firms' standings count it.
    pub(super) fn of_period(&self, day: i32) -> i16 {
        i16::try_from(day - self.from).unwrap_or(i16::MAX)
    }

    /// A busy firm that is in business: the first numbers come up most, and more than half of all firms never.
    pub(super) fn busy_firm(&mut self) -> Option<u32> {
        let reach = u64::from(self.born) * 45 / 100 + 1;
        self.someone(|dice| {
            let draw = u64::from(dice.word());
            u32::try_from((((draw * draw) >> 32) * reach) >> 32).unwrap_or(0)
        })
    }

    /// Any firm that is in business.
    pub(super) fn any_firm(&mut self) -> Option<u32> {
        let count = self.born;
        self.someone(|dice| dice.below(count))
    }

    fn someone(&mut self, draw: impl Fn(&mut Dice) -> u32) -> Option<u32> {
        for _ in 0..12 {
            let index = draw(&mut self.dice);
            let standing = self.standing(index);
            if standing.is_free_of(Standing::ACTOR | Standing::ABSENT) {
                return Some(index);
            }
        }
        None
    }

    /// A moment of the nightly exchange of that day.
    pub(super) fn exchange(&mut self, day: i32) -> EventTime {
        let second = i64::from(self.dice.below(3600));
        EventTime::from_day(day).plus_ms(21 * HOUR_MS + second * 1000)
    }

    /// A moment of office hours of that day.
    pub(super) fn office_time(&mut self, day: i32) -> EventTime {
        let minute = i64::from(self.dice.below(450));
        EventTime::from_day(day).plus_ms(9 * HOUR_MS + minute * MINUTE_MS)
    }

    /// Sends a record to the moment when it arrives. Returns whether it will arrive within the period and the plan.
    pub(super) fn send(&mut self, record: Record, arrives: EventTime) -> bool {
        let is_evidence = record.is_evidence;
        let is_sent = self.send_whole(record, arrives);
        self.is_cut |= is_evidence && !is_sent;
        is_sent
    }

    fn send_whole(&mut self, record: Record, arrives: EventTime) -> bool {
        if !self.fits(arrives) {
            return false;
        }
        let feed = record.feed;
        let soiled = soil(record, &self.plan.dirt, &mut self.dice);
        let refused = soiled.refused.map(RejectCode::name);
        let again = arrives.plus_ms(self.dice.between_wide(HOUR_MS, 48 * HOUR_MS));
        let is_twice = self.plan.dirt.strikes(Kind::Duplicate, &mut self.dice) && self.fits(again);
        let next_day = arrives.plus_days(1);
        let is_resent = self.is_resent(feed, arrives.day()) && self.fits(next_day);
        let copy = if is_twice || is_resent {
            Some(soiled.line.clone())
        } else {
            None
        };
        let load = |line, kinds, refused| Load {
            feed,
            line,
            kinds,
            refused,
        };
        self.push(arrives, load(soiled.line, soiled.kinds, refused));
        let mended_at = arrives.plus_ms(self.dice.between_wide(HOUR_MS, 20 * HOUR_MS));
        if let Some(line) = soiled.mended.filter(|_| self.fits(mended_at)) {
            self.push(mended_at, load(line, vec![Kind::Mended], None));
        }
        if let Some(line) = copy {
            if is_resent && self.fits(next_day) {
                self.push(
                    next_day,
                    load(line.clone(), vec![Kind::ResentBatch], refused),
                );
            }
            if is_twice && self.fits(again) {
                self.push(again, load(line, vec![Kind::Duplicate], refused));
            }
        }
        true
    }

    fn fits(&self, arrives: EventTime) -> bool {
        let day = arrives.day();
        self.from <= day && day <= self.to && self.sent < self.plan.events
    }

    /// Whether the batch of this feed and day comes twice.
    fn is_resent(&self, feed: Feed, day: i32) -> bool {
        if matches!(feed, Feed::HotlineOrder | Feed::Feedback) || day == self.from {
            return false;
        }
        let place = Feed::ALL.iter().position(|each| *each == feed).unwrap_or(0);
        let batch = u64::try_from(day).unwrap_or(0) * 16 + u64::try_from(place).unwrap_or(0);
        let mut dice = Dice::new(self.plan.seed, (1 << 40) + batch);
        self.plan.dirt.strikes(Kind::ResentBatch, &mut dice)
    }

    fn push(&mut self, at: EventTime, load: Load) {
        self.sent += 1;
        self.turn += 1;
        self.queue.push(Reverse(Row {
            arrives_ms: at.0,
            turn: self.turn,
            load,
        }));
    }

    /// Writes all that arrives before `until`.
    pub(super) fn flush(&mut self, until: EventTime) -> Result<(), GenerateError> {
        while self
            .queue
            .peek()
            .is_some_and(|Reverse(row)| row.arrives_ms < until.0)
        {
            let Some(Reverse(row)) = self.queue.pop() else {
                break;
            };
            let load = row.load;
            self.write(load.feed, &load.line)?;
            self.summary.count(load.feed, &load.kinds, load.refused);
            if self.summary.records.is_multiple_of(10_000) {
                (self.progress)(self.summary.records);
            }
        }
        Ok(())
    }

    fn write(&mut self, feed: Feed, line: &[u8]) -> Result<(), GenerateError> {
        let length = u64::try_from(line.len()).unwrap_or(0) + 1;
        self.summary.bytes += length;
        self.out
            .append(feed, line)
            .map_err(|source| GenerateError::Write {
                file: feed.file_name(),
                source,
            })
    }

    /// Notes what a bad actor did.
    pub(super) fn note_truth(&mut self, truth: Truth) {
        self.summary.truths.push(truth);
    }
}

/// `2026-03-01`.
pub(super) fn date_text(day: i32) -> String {
    let mut text = String::with_capacity(19);
    push_date(&mut text, day, "-");
    text
}

/// `2026-03-01 08:30:00`, midnight too.
pub(super) fn time_text(time: EventTime) -> String {
    let mut text = date_text(time.day());
    let second = time.ms_of_day() / 1000;
    for (before, part) in [
        (' ', second / 3600),
        (':', second / 60 % 60),
        (':', second % 60),
    ] {
        text.push(before);
        push_two(&mut text, part);
    }
    text
}

/// `20260301`.
pub(super) fn compact_date(day: i32) -> String {
    let mut text = String::with_capacity(8);
    push_date(&mut text, day, "");
    text
}

/// Civil date of a day (Hinnant, "chrono-compatible low-level date algorithms"); the formatter would take most of the time.
fn push_date(text: &mut String, day: i32, between: &str) {
    let days = i64::from(day) + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    push_two(text, year / 100);
    push_two(text, year % 100);
    text.push_str(between);
    push_two(text, month);
    text.push_str(between);
    push_two(text, of_year - (153 * shifted + 2) / 5 + 1);
}

/// Two digits.
fn push_two(text: &mut String, number: i64) {
    for digit in [number / 10 % 10, number % 10] {
        let digit = u32::try_from(digit).unwrap_or(0);
        text.push(char::from_digit(digit, 10).unwrap_or('0'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for day in (-7000..50_000).step_by(7) {
            let time = EventTime::from_day(day);
            assert_eq!(date_text(day), time.to_string());
            assert_eq!(compact_date(day), time.to_string().replace('-', ""));
        }
        let time = EventTime::parse("2026-03-01 08:05:09").unwrap().0;
        assert_eq!(time_text(time), "2026-03-01 08:05:09");
    }
}

//! A plausible province, made deterministically from a seed.
//!
//! ```text
//! seed → firms (computed, not stored) ┐
//! days → stories, by season ──────────┤→ queue by arrival → dirt → feeds (files or buffers)
//! bad actors with known truth ────────┘                          → truth.csv, manifest.json, fenghuo.toml
//! ```
//!
//! Thirteen cities with their districts, firms of thirty lines of business, nine feeds in the layouts of the shipped connectors.
//! Everything is invented; [`firm`] says how that can be seen. The first hours bring the full extract of the register and of licences
//! (at most a fifth of the records, the busiest firms first), then each day brings its stories: more complaints on Mondays,
//! food in summer, silence at Spring Festival, lists in July. A few firms draw most complaints, more than half draw none.
//!
//! [`Plan::events`] counts the records that are written, over all feeds, dirt and copies included, header lines not: exactly
//! so many are written. `truth.csv` names the bad actors, `manifest.json` the exact count of every kind of dirt and refusal.
//!
//! units    events: records; dates: both ends included
//! bounds   see [`Plan`]; memory grows with subjects (8 bytes each) and with the records of about six weeks
//! errors   [`GenerateError`]: a plan that makes no sense, or a file that cannot be written
//! cost     about 10 µs a record

mod acts;
mod columns;
mod credit;
mod dice;
mod dirt;
mod feed;
mod firm;
mod inspect;
mod make;
mod officers;
mod order;
mod package;
mod place;
mod record;
mod register;
mod scenario;
mod season;
mod summary;
mod trade;

pub use dirt::{Dirt, Kind, KindSpec};
pub use feed::{Feed, Feeds, FileFeeds, MemoryFeeds};
pub use officers::Officers;
pub use package::{Folders, PERSONAL_KEY, write_package};
pub use summary::{Summary, Truth, configuration};

use crate::engine::time::{EventTime, HOUR_MS, day_of_date};
use jiff::civil::Date;
use make::{Maker, Task};
use register::Approval;
use season::Season;
use std::io;

/// What to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Firms, 1 to 20 million.
    pub subjects: u64,
    /// Records to write, 1 to a thousand million.
    pub events: u64,
    /// The same seed gives the same bytes.
    pub seed: u64,
    /// First day of arrival.
    pub from: Date,
    /// Last day of arrival; at most ten years later.
    pub to: Date,
    /// How much dirt.
    pub dirt: Dirt,
}

impl Plan {
    /// A year from July to June, with the usual dirt.
    pub fn new(subjects: u64, events: u64, seed: u64) -> Self {
        Self {
            subjects,
            events,
            seed,
            from: Date::constant(2025, 7, 1),
            to: Date::constant(2026, 6, 30),
            dirt: Dirt::default(),
        }
    }

    fn check(&self) -> Result<(), GenerateError> {
        if !(1..=20_000_000).contains(&self.subjects) {
            return Err(GenerateError::Subjects(self.subjects));
        }
        if !(1..=1_000_000_000).contains(&self.events) {
            return Err(GenerateError::Events(self.events));
        }
        let days = i64::from(day_of_date(self.to)) - i64::from(day_of_date(self.from));
        let has_years = (1990..=2080).contains(&self.from.year());
        if !has_years || !(0..=3660).contains(&days) {
            return Err(GenerateError::Period {
                from: self.from,
                to: self.to,
            });
        }
        Ok(())
    }
}

/// Why nothing could be made.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// Too few or too many firms.
    #[error("{0} subjects cannot be made (give 1 to 20,000,000)")]
    Subjects(u64),
    /// Too few or too many records.
    #[error("{0} events cannot be made (give 1 to 1,000,000,000)")]
    Events(u64),
    /// No period.
    #[error(
        "a period from {from} to {to} cannot be made (give at most ten years, from 1990 to 2080)"
    )]
    Period {
        /// First day.
        from: Date,
        /// Last day.
        to: Date,
    },
    /// A file could not be written.
    #[error("cannot write {file:?}")]
    Write {
        /// Its name.
        file: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What an ordinary day tells.
#[derive(Debug, Clone, Copy)]
enum Story {
    Order,
    Inspection,
    Licence,
    Penalty,
    Register,
    Abnormal,
    Coercion,
    Feedback,
}

/// The stories of a day with their weights: about 1,000 together on an ordinary office day.
fn stories(season: Season) -> [(Story, u32); 8] {
    let office = u32::from(season.is_office());
    let abnormal = if season.month == 7 && season.of_month <= 20 {
        80
    } else {
        8
    };
    [
        (Story::Order, season.complaints_percent() * 5),
        (Story::Inspection, office * 320),
        (Story::Licence, office * 70),
        (Story::Penalty, office * 22),
        (Story::Register, office * 60),
        (Story::Abnormal, office * abnormal),
        (Story::Coercion, office * 3),
        (Story::Feedback, office * 4),
    ]
}

/// How much of the plan a day takes: its stories, and the later versions that still fit before the end.
fn share_of(day: i32, last: i32) -> u64 {
    let stories: u32 = stories(Season::of(day))
        .iter()
        .map(|(_, weight)| *weight)
        .sum();
    let fitting = u64::try_from((last - day).min(10)).unwrap_or(0);
    u64::from(stories) * (20 + fitting)
}

/// Makes the province and writes its records to `out`, in order of arrival. `progress` hears the number of records written so
/// far, every ten thousand.
pub fn generate(
    plan: &Plan,
    out: &mut dyn Feeds,
    progress: &mut dyn FnMut(u64),
) -> Result<Summary, GenerateError> {
    plan.check()?;
    let mut maker = Maker::new(plan, out, progress);
    maker.open()?;
    maker.cast();
    maker.extract()?;
    let mut shares_left: u64 = (maker.from..=maker.to)
        .map(|day| share_of(day, maker.to))
        .sum();
    for day in maker.from..=maker.to {
        for task in maker.agenda.remove(&day).unwrap_or_default() {
            match task {
                Task::Act(number) => maker.act(number),
                Task::Renew(index) => maker.renewal(index, day),
            }
        }
        let share = share_of(day, maker.to);
        let left = plan.events - maker.sent();
        // Widened: events times shares may pass 64 bits for the longest plans.
        let quota = u128::from(left) * u128::from(share) / u128::from(shares_left.max(1));
        shares_left -= share;
        maker.day(day, u64::try_from(quota).unwrap_or(left));
        maker.flush(EventTime::from_day(day + 1))?;
    }
    maker.fill_up();
    maker.flush(EventTime::MAX)?;
    Ok(maker.summary)
}

impl Maker<'_> {
    /// The full extract of the register and of the licences, in the first hours of the first day.
    fn extract(&mut self) -> Result<(), GenerateError> {
        let most = self.plan.events / 10;
        let busiest = u32::try_from(most).unwrap_or(u32::MAX).min(self.born);
        let mut firms: Vec<u32> = self
            .actors
            .firms()
            .filter(|index| busiest <= *index)
            .collect();
        let budget = most * 2;
        let count = u64::from(busiest) + u64::try_from(firms.len()).unwrap_or(0);
        let step_ms = 6 * HOUR_MS / i64::try_from(count).unwrap_or(i64::MAX).max(1);
        let mut at = EventTime::from_day(self.from);
        for index in (0..busiest).chain(firms.drain(..)) {
            let actor = self.actors.of_firm(index).cloned();
            let firm = self.firm(index);
            let mut record =
                self.register_record(&firm, Approval::new("存续", "", firm.established), at);
            record.is_evidence = actor.is_some();
            self.send(record, at);
            let ends = actor
                .as_ref()
                .map_or(firm.licence_to, scenario::Actor::licence_to);
            if (actor.is_some() || self.sent() < budget)
                && let Some(licence) = self.first_licence(&firm, ends)
            {
                let mut record = licence.record(self, crate::engine::event::Op::Insert, at);
                record.is_evidence = actor.is_some();
                self.send(record, at);
                if actor.is_none() && ends < self.to + 60 {
                    let before = self.dice.between(44, 85);
                    self.agenda
                        .entry(ends - before)
                        .or_default()
                        .push(Task::Renew(index));
                }
            }
            at = at.plus_ms(step_ms);
            self.flush(at)?;
        }
        Ok(())
    }

    /// Tells stories until the day's part of the plan is sent.
    fn day(&mut self, day: i32, quota: u64) {
        let season = Season::of(day);
        let stories = stories(season);
        let until = self.sent() + quota;
        let mut fruitless = 0;
        while self.sent() < until && fruitless < 1000 {
            let before = self.sent();
            let at = self.dice.weighted(&stories, |(_, weight)| *weight);
            match stories.get(at).map_or(Story::Order, |(story, _)| *story) {
                Story::Order => self.order_story(season),
                Story::Inspection => self.inspection_story(season),
                Story::Licence => self.licence_story(season),
                Story::Penalty => self.penalty_story(season),
                Story::Register => self.register_story(season),
                Story::Abnormal => self.abnormal_story(season),
                Story::Coercion => self.coercion_story(season),
                Story::Feedback => self.feedback_story(season),
            }
            fruitless = if self.sent() == before {
                fruitless + 1
            } else {
                0
            };
        }
    }

    /// What is still missing comes as questions of the last evening.
    fn fill_up(&mut self) {
        let mut at = EventTime::from_day(self.to).plus_ms(20 * HOUR_MS);
        let last = EventTime::from_day(self.to + 1).plus_ms(-1000);
        while self.sent() < self.plan.events {
            self.last_question(at);
            at = at.plus_ms(1000).min(last);
        }
    }
}

#[cfg(test)]
mod tests;

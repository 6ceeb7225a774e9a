//! Who is responsible: `rules/routing.toml` and `rules/sanctions.toml`.
//!
//! A warning goes to the department of the most specific of the [`routes`](super::routes) that match. A measure goes to the departments of its row, under the memorandum and within the dates written there.
//!
//! errors   a text that names the file and the entry; unknown keys are errors

use super::routes::{Address, Routes};
use crate::engine::rule::Measures;
use crate::engine::time::EventTime;
use serde::Deserialize;

/// Both files.
#[derive(Debug, Clone, Default)]
pub struct Offices {
    routes: Routes,
    orders: Vec<OrderRow>,
    /// How sanctions are held in check.
    pub limits: Limits,
}

/// Who carries a measure out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderRow {
    /// The measure, by its code in `measures.toml`.
    pub code: String,
    /// The departments.
    pub departments: Vec<String>,
    /// The memorandum, or empty.
    #[serde(default)]
    pub memorandum: String,
    /// Whether two officers have to confirm it.
    #[serde(default)]
    pub two_persons: bool,
    /// From which day it may be imposed.
    #[serde(default)]
    pub from: Option<String>,
    /// Through which day it may be imposed.
    #[serde(default)]
    pub through: Option<String>,
}

/// How sanctions are held in check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// How many sanctions of a rule may come into force on a day before the rule is halted.
    pub per_rule_and_day: u32,
    /// Working days in which a department has to receive an order.
    pub receive_working_days: i64,
    /// Working days in which it has to say that the order is carried out.
    pub apply_working_days: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SanctionsFile {
    limits: Limits,
    order: Vec<OrderRow>,
}

impl Offices {
    /// Reads both files.
    pub fn parse(routing: &str, sanctions: &str, measures: &Measures) -> Result<Self, String> {
        let routes = Routes::parse(routing)?;
        let sanctions: SanctionsFile =
            toml::from_str(sanctions).map_err(|error| format!("sanctions.toml: {error}"))?;
        for row in &sanctions.order {
            for date in row.from.iter().chain(&row.through) {
                if EventTime::parse(date).is_none() {
                    return Err(format!("sanctions.toml: {}: “{date}”不是日期", row.code));
                }
            }
        }
        for measure in measures.iter() {
            if !sanctions.order.iter().any(|row| row.code == measure.code) {
                return Err(format!(
                    "sanctions.toml: 措施 {} {} 没有写明实施部门",
                    measure.code, measure.name
                ));
            }
        }
        Ok(Self {
            routes,
            orders: sanctions.order,
            limits: sanctions.limits,
        })
    }

    /// Where a warning goes: the department and the one above it.
    pub fn route(&self, to: Address<'_>) -> (String, String) {
        self.routes.find(to)
    }

    /// Who carries a measure out.
    pub fn order(&self, code: &str) -> Option<&OrderRow> {
        self.orders.iter().find(|row| row.code == code)
    }
}

impl OrderRow {
    /// Whether the measure may be imposed on this day.
    pub fn is_in_force(&self, at: EventTime) -> bool {
        let day = |text: &Option<String>| {
            text.as_deref()
                .and_then(EventTime::parse)
                .map(|(time, _)| time.day())
        };
        day(&self.from).is_none_or(|from| from <= at.day())
            && day(&self.through).is_none_or(|through| at.day() <= through)
    }
}

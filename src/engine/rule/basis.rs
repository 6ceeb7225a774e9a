//! What a rule rests on: every law that it names is known, in force, and cited by its article.
//!
//! Without a day, a law that is repealed is a warning: a running engine does not stop because a law has ended. As of a day
//! (`rule check`), it is an error, and a law that is not yet in force is a warning.

use super::diagnostic::{Report, Severity};
use super::law::{Law, Laws, titles};
use super::loaded::Entry;
use super::manifest::{Literal, Manifest};
use super::names::nearest;
use crate::engine::time::EventTime;
use rhai::Position;

/// What [`check_basis`] finds.
pub(super) const CODES: [&str; 3] = ["unknown-law", "repealed-law", "law-not-yet"];

/// Holds the basis of a rule against the laws.
pub(super) fn check_basis(
    manifest: &Manifest,
    literal: &Literal,
    laws: &Laws,
    entry: Entry,
    report: &mut Report<'_>,
) {
    for basis in &manifest.basis {
        let at = literal.place_of("basis", basis);
        let titles = titles(basis);
        if titles.is_empty() {
            let message = format!("依据“{basis}”没有写出法规名称");
            report.error("unknown-law", at, message, "应写作 \"《法规名称》第×条\"");
        }
        for title in titles {
            match laws.get(title) {
                Some(law) => in_force(law, at, entry, report),
                None => unknown(title, laws, at, report),
            }
        }
    }
}

fn unknown(title: &str, laws: &Laws, at: Position, report: &mut Report<'_>) {
    let names = laws.iter().map(|law| law.title.as_str());
    let near = nearest(title, names);
    let help = match near {
        Some(near) => format!("是不是想写《{near}》?"),
        None => "请在 rules/laws.toml 中登记它和施行日期".to_owned(),
    };
    let message = format!("《{title}》不在 laws.toml 中");
    report.error("unknown-law", at, message, help);
}

fn in_force(law: &Law, at: Position, entry: Entry, report: &mut Report<'_>) {
    let title = &law.title;
    let today = match entry {
        Entry::Checked(today) => Some(today),
        Entry::New | Entry::Stored | Entry::Tried => None,
    };
    let is_over = |date: &str| today.is_none_or(|today| begins(date).is_none_or(|d| d <= today));
    if let Some(date) = law.repealed.as_deref().filter(|date| is_over(date)) {
        let successor = law.successor.as_ref();
        let help = successor.map_or(String::new(), |s| {
            format!("现行的是《{s}》;条款的编号可能变了,请核对后再改")
        });
        let severity = if today.is_some() {
            Severity::Error
        } else {
            Severity::Warning
        };
        let message = format!("《{title}》已于 {date} 废止");
        report.add(severity, "repealed-law", at, (message, help.into()));
    }
    if let (Some(date), Some(today)) = (&law.effective, today)
        && begins(date).is_some_and(|begins| today < begins)
    {
        let message = format!("《{title}》自 {date} 起施行,现在还不能作为依据");
        report.warning("law-not-yet", at, message, "施行以前先用 status: \"draft\"");
    }
}

/// The first moment of a date, or of a year.
fn begins(date: &str) -> Option<EventTime> {
    let whole = format!("{date}-01-01");
    let parsed = EventTime::parse(date).or_else(|| EventTime::parse(&whole));
    parsed.map(|(time, _)| time)
}

//! `fenghuo rule status` and `rule duel`: rules in force in a recorded state.
//!
//! A running engine answers the same over HTTP: `GET /api/v1/rules` and `GET /api/v1/rules/<id>/duel`.

use crate::cli::args::{Format, StateArgs};
use crate::cli::look::{open, table};
use crate::cli::{CliError, Ending, say, say_json};
use crate::engine::duel::{Duel, challengers, duel};
use crate::engine::input::Conduct;
use crate::engine::province::Province;
use crate::engine::time::EventTime;
use crate::runtime::describe;
use serde_json::Value;
use std::fmt::Write as _;

/// `rule status`
pub(super) fn status(state: &StateArgs, format: Format) -> Result<Ending, CliError> {
    let province = open(state)?.province;
    if format == Format::Json {
        say_json(&describe::rules(&province));
        return Ok(Ending::Fine);
    }
    let mut rows = table(&[
        "编号",
        "名称",
        "状态",
        "已判断自",
        "窗口完整自",
        "补判",
        "停判自",
        "欠判",
    ]);
    for rule in province.set().rules() {
        let m = rule.manifest();
        let nothing = Conduct::default();
        let of = province.globals.conduct.iter().find(|c| *c.rule == *m.id);
        let of = of.unwrap_or(&nothing);
        let since = |time: Option<EventTime>, none: &str| {
            time.map_or_else(|| none.to_owned(), |time| time.to_string())
        };
        let judged = if m.status.is_judged() {
            since(of.judged_from, "第一条记录")
        } else {
            "不判断".to_owned()
        };
        rows.add_row([
            m.id.to_string(),
            m.name.to_string(),
            m.status.name().to_owned(),
            judged,
            since(of.whole_from, "—"),
            of.filled.to_string(),
            since(of.suspended_since, "—"),
            of.debt.to_string(),
        ]);
    }
    say(&rows.to_string());
    say(&format!(
        "规则集 {}，已判断至 {}",
        province.set().hash(),
        province.clock()
    ));
    Ok(Ending::Fine)
}

/// `rule duel`
pub(super) fn challenge(
    id: Option<&str>,
    state: &StateArgs,
    format: Format,
) -> Result<Ending, CliError> {
    let province = open(state)?.province;
    let duels = all(&province, id)?;
    if format == Format::Json {
        say_json(&Value::Array(duels.iter().map(describe::duel).collect()));
        return Ok(Ending::Fine);
    }
    if duels.is_empty() {
        say("没有规则写了 challenges；影子规则写上它，便与所要取代的规则并行");
    }
    for duel in &duels {
        say(&text(duel));
    }
    Ok(Ending::Fine)
}

fn all(province: &Province, id: Option<&str>) -> Result<Vec<Duel>, CliError> {
    let ids = match id {
        Some(id) => vec![id.to_owned()],
        None => challengers(province)
            .iter()
            .map(ToString::to_string)
            .collect(),
    };
    ids.iter()
        .map(|id| duel(province, id).map_err(|error| CliError::Usage(error.to_string())))
        .collect()
}

fn text(duel: &Duel) -> String {
    let from = duel
        .from
        .map_or_else(|| "第一条记录".to_owned(), |from| from.to_string());
    let mut text = format!(
        "{} 挑战 {}（自{from}至 {}）\n预警 {} 条，原规则 {} 条；都预警的主体 {} 个，多出 {} 个，少掉 {} 个",
        duel.challenger,
        duel.champion,
        duel.through,
        duel.episodes.1,
        duel.episodes.0,
        duel.both.len(),
        duel.added.len(),
        duel.dropped.len(),
    );
    for (title, list) in [("多出", &duel.added), ("少掉", &duel.dropped)] {
        for key in list {
            // Writing to a text cannot fail.
            let _ = write!(text, "\n  {title} {key}");
        }
    }
    text
}

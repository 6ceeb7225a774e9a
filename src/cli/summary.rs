//! The summary of a run, in Chinese, for the people who will act on it.

use crate::engine::region::{city_of, name_of};
use crate::engine::reject::RejectCode;
use crate::engine::subject::state::Status;
use crate::engine::subject::view::Level;
use crate::engine::warning::Warning;
use crate::runtime::digest::Inner;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// How many warnings are shown one by one.
const GRAVEST_MAX: usize = 10;
/// Characters of a message in the list.
const MESSAGE_CHARS_MAX: usize = 60;

/// The summary as text.
pub(super) fn text(digest: &Inner, elapsed_seconds: f64) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "\n烽火 · 运行小结\n");
    accounts(&mut out, digest);
    by_city(&mut out, digest);
    gravest(&mut out, digest);
    refused(&mut out, digest);
    trouble(&mut out, digest);
    speed(&mut out, digest, elapsed_seconds);
    out
}

/// The summary as JSON.
pub(super) fn json(digest: &Inner, elapsed_seconds: f64) -> Value {
    let gravest: Vec<&Warning> = digest.gravest().into_iter().take(GRAVEST_MAX).collect();
    let percentile = |p| digest.latency_us.as_ref().map(|h| h.value_at_percentile(p));
    json!({
        "accounts": digest.accounts,
        "levels": count_levels(digest),
        "transitions": digest.transitions.iter().map(|(t, n)| (t.title(), n)).collect::<BTreeMap<_, _>>(),
        "sanctions": digest.sanctions.len(),
        "gravest": gravest,
        "rule_calls": digest.rule_calls,
        "rule_faults": digest.rule_faults,
        "suspended": digest.suspended,
        "records": digest.records,
        "elapsed_seconds": elapsed_seconds,
        "latency_us": { "p50": percentile(50.0), "p99": percentile(99.0) },
    })
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_header(header.to_vec());
    table
}

fn accounts(out: &mut String, digest: &Inner) {
    let mut table = table(&["数据源", "读入", "生效", "重复", "旧版", "拒收"]);
    let mut sums = [0_u64; 5];
    for (connector, a) in &digest.accounts {
        let row = [a.read, a.applied, a.duplicates, a.stale, a.refused_total()];
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
        let mut cells = vec![connector.clone()];
        cells.extend(row.map(|v| v.to_string()));
        table.add_row(cells);
    }
    let mut cells = vec!["合计".to_owned()];
    cells.extend(sums.map(|v| v.to_string()));
    table.add_row(cells);
    let _ = writeln!(
        out,
        "一、数据接入（读入 = 生效 + 重复 + 旧版 + 拒收）\n{table}\n"
    );
}

fn count_levels(digest: &Inner) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for warning in digest
        .warnings
        .values()
        .filter(|w| w.status == Status::Open)
    {
        *counts.entry(warning.level.title()).or_default() += 1;
    }
    counts
}

fn by_city(out: &mut String, digest: &Inner) {
    let mut cities: BTreeMap<String, ([u64; 4], u64)> = BTreeMap::new();
    let mut sums = ([0_u64; 4], 0);
    for warning in digest.warnings.values() {
        let city = city_of(&warning.region).and_then(name_of);
        let row = cities.entry(city.unwrap_or("其他").to_owned()).or_default();
        for counts in [row, &mut sums] {
            for (slot, level) in counts.0.iter_mut().zip(Level::ALL) {
                *slot += u64::from(level == warning.level);
            }
            counts.1 += u64::from(warning.status == Status::Open);
        }
    }
    let mut table = table(&["地市", "红", "橙", "黄", "蓝", "合计", "其中有效"]);
    for (city, row) in &cities {
        table.add_row(level_row(city, row));
    }
    table.add_row(level_row("合计", &sums));
    let told: Vec<String> = digest
        .transitions
        .iter()
        .map(|(t, n)| format!("{} {n}", t.title()))
        .collect();
    let _ = writeln!(out, "二、本次运行发出的预警（按地市和级别）\n{table}");
    let open = digest
        .sanctions
        .values()
        .filter(|s| s.status == "proposed")
        .count();
    let lifted = digest.sanctions.len() - open;
    let told = if told.is_empty() {
        "无".to_owned()
    } else {
        told.join("，")
    };
    let _ = writeln!(
        out,
        "变动：{told}；联合惩戒建议 {open} 条待复核，{lifted} 条已解除\n"
    );
}

fn level_row(name: &str, (row, open): &([u64; 4], u64)) -> Vec<String> {
    let mut cells = vec![name.to_owned()];
    cells.extend(row.iter().rev().map(ToString::to_string));
    cells.push(row.iter().sum::<u64>().to_string());
    cells.push(open.to_string());
    cells
}

fn gravest(out: &mut String, digest: &Inner) {
    let _ = writeln!(out, "三、最严重的十条（有效的在前）");
    let list = digest.gravest();
    if list.is_empty() {
        let _ = writeln!(out, "（没有预警）");
    }
    for (at, warning) in list.iter().take(GRAVEST_MAX).enumerate() {
        let name = if warning.subject_name.is_empty() {
            &warning.subject
        } else {
            &warning.subject_name
        };
        let message: String = warning.message.chars().take(MESSAGE_CHARS_MAX).collect();
        let group = if warning.group.is_empty() {
            String::new()
        } else {
            format!("（{}）", warning.group)
        };
        let _ = writeln!(
            out,
            "{:>2}. [{}·{}] {name}{group} · {} · {message} · 综合分 {:.1}",
            at + 1,
            warning.level.title(),
            super::look::status_title(warning.status),
            warning.rule_name,
            warning.score
        );
    }
    let _ = writeln!(out);
}

fn refused(out: &mut String, digest: &Inner) {
    let mut table = table(&["数据源", "拒收原因", "条数"]);
    let mut any = false;
    for (connector, account) in &digest.accounts {
        for (code, count) in &account.refused {
            let known = RejectCode::ALL.into_iter().find(|c| c.name() == code);
            let title = known.map_or_else(|| code.clone(), |c| c.title().to_owned());
            table.add_row(vec![connector.clone(), title, count.to_string()]);
            any = true;
        }
    }
    if any {
        let _ = writeln!(
            out,
            "四、拒收的记录（原文、位置和原因见死信文件）\n{table}\n"
        );
    } else {
        let _ = writeln!(out, "四、没有拒收的记录\n");
    }
}

fn trouble(out: &mut String, digest: &Inner) {
    for (rule, (count, message)) in &digest.rule_faults {
        let _ = writeln!(out, "注意：规则 {rule} 出错 {count} 次，例如：{message}");
    }
    for rule in &digest.suspended {
        let _ = writeln!(
            out,
            "警报：规则 {rule} 屡次出错，已暂停；修正后补判，欠判的事项不会丢失"
        );
    }
}

fn speed(out: &mut String, digest: &Inner, elapsed_seconds: f64) {
    let per_second = if 0.0 < elapsed_seconds {
        to_f64(digest.records) / elapsed_seconds
    } else {
        0.0
    };
    let ms = |p: f64| {
        digest
            .latency_us
            .as_ref()
            .map_or(0.0, |h| to_f64(h.value_at_percentile(p)) / 1000.0)
    };
    let _ = writeln!(
        out,
        "五、速度：{} 条记录，用时 {elapsed_seconds:.1} 秒，每秒 {per_second:.0} 条；从读入到落盘 p50 {:.1} 毫秒，p99 {:.1} 毫秒",
        digest.records,
        ms(50.0),
        ms(99.0)
    );
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "for people to read"
)]
fn to_f64(number: u64) -> f64 {
    number as f64
}

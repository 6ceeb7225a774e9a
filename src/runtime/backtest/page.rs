//! The report as one HTML page: charts as SVG, no script, nothing loaded from elsewhere, so it opens from disk.

use super::outcome::{Measures, float};
use super::report::{Counts, Report};
use std::fmt::Write;

/// The colours of the levels, 红 橙 黄 蓝.
const COLOURS: [&str; 4] = ["#c62828", "#ef6c00", "#f9a825", "#1565c0"];
/// Rows of a chart or table.
const ROWS_MAX: usize = 40;
/// The width of the longest bar, px.
const WIDTH: f64 = 520.0;

/// Text for a page.
pub fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

/// The page.
pub fn page(report: &Report) -> String {
    let mut out = String::from(
        "<!doctype html>\n<html lang=\"zh\"><meta charset=\"utf-8\"><title>烽火 · 回测报告</title>\n\
         <style>body{font:14px/1.6 sans-serif;max-width:960px;margin:2em auto;padding:0 1em;color:#222}\
         table{border-collapse:collapse}td,th{border:1px solid #ddd;padding:2px 8px;text-align:right}td:first-child,th:first-child,td.t{text-align:left}svg text{font:12px sans-serif}.no{color:#c62828}</style>\n<h1>回测报告</h1>\n",
    );
    let [red, orange, yellow, blue] = report.counts.levels;
    let _ = writeln!(
        out,
        "<p>{} 至 {}；{} 个事件（其中 {} 个晚到一天以上，按其发生时间计入），研判 {} 次。<br>预警 {} 件（红 {red}、橙 {orange}、黄 {yellow}、蓝 {blue}），涉及 {} 个主体；联合惩戒建议 {} 件。<br>规则集 <code>{}</code></p>",
        escape(&report.period.0),
        escape(&report.period.1),
        report.events,
        report.late_events,
        report.anchors,
        report.counts.warnings,
        report.counts.subjects,
        report.sanctions,
        escape(&report.rule_set)
    );
    if !report.tried.is_empty() {
        let tried = escape(&report.tried.join("、"));
        let _ = writeln!(out, "<p>按启用试算：{tried}</p>");
    }
    for damage in &report.damaged {
        let _ = writeln!(
            out,
            "<p class=\"no\">档案损坏：{}</p>",
            escape(&damage.to_string())
        );
    }
    expectations(&mut out, report);
    comparison(&mut out, report);
    outcomes(&mut out, report);
    let months: Vec<(&str, &Counts)> = report.months.iter().map(|(k, c)| (k.as_str(), c)).collect();
    chart(&mut out, "按月", &months);
    let mut rules: Vec<(String, &Counts)> = report
        .rules
        .iter()
        .filter(|(_, row)| 0 < row.counts.warnings)
        .map(|(id, row)| (format!("{id} {}", row.name), &row.counts))
        .collect();
    rules.sort_by(|a, b| b.1.warnings.cmp(&a.1.warnings).then(a.0.cmp(&b.0)));
    let rules: Vec<(&str, &Counts)> = rules.iter().map(|(k, c)| (k.as_str(), *c)).collect();
    chart(&mut out, "按规则", &rules);
    let cities: Vec<(&str, &Counts)> = report.cities.iter().map(|(k, c)| (k.as_str(), c)).collect();
    chart(&mut out, "按地市", &cities);
    workload(&mut out, report);
    faults(&mut out, report);
    out.push_str("</html>\n");
    out
}

fn expectations(out: &mut String, report: &Report) {
    if report.expectations.is_empty() {
        return;
    }
    out.push_str("<h2>预期</h2><ul>\n");
    for one in &report.expectations {
        let class = if one.held { "" } else { " class=\"no\"" };
        let _ = writeln!(out, "<li{class}>{}</li>", escape(&one.words));
    }
    out.push_str("</ul>\n");
}

fn comparison(out: &mut String, report: &Report) {
    let Some(with) = &report.comparison else {
        return;
    };
    let _ = writeln!(
        out,
        "<h2>与基线对比</h2><p>基线 <code>{}</code> 预警 {} 件。两者都预警的主体 {} 个，新增 {} 个，不再预警 {} 个；（主体，规则）重合 {} / {}。</p>",
        escape(&with.rule_set),
        with.warnings,
        with.both,
        with.newly_warned.len(),
        with.no_longer_warned.len(),
        with.pairs_both,
        with.pairs_either
    );
    for (title, list) in [
        ("新增预警主体", &with.newly_warned),
        ("不再预警主体", &with.no_longer_warned),
    ] {
        let shown: Vec<String> = list.iter().take(ROWS_MAX).map(|s| escape(s)).collect();
        let _ = writeln!(
            out,
            "<details><summary>{title}（{}）</summary>{}{}</details>",
            list.len(),
            shown.join("<br>"),
            if ROWS_MAX < list.len() {
                "<br>……全部见工作簿"
            } else {
                ""
            }
        );
    }
}

/// A share as text.
pub fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "—".to_owned(), |s| format!("{:.1} %", s * 100.0))
}

fn outcomes(out: &mut String, report: &Report) {
    let rows: Vec<(&str, &Measures)> = [
        ("新规则", &report.outcomes),
        ("基线", &report.baseline_outcomes),
    ]
    .into_iter()
    .filter_map(|(name, m)| m.as_ref().map(|m| (name, m)))
    .collect();
    if rows.is_empty() {
        return;
    }
    out.push_str("<h2>与结果对照</h2><table><tr><th></th><th>结果</th><th>属实</th><th>准确率（95% 区间）</th><th>召回率</th><th>提前天数（中位）</th><th>AUC</th><th>前一半检出</th></tr>\n");
    for (name, m) in rows {
        let precision = m.precision.map_or_else(
            || "—".to_owned(),
            |(p, low, high)| {
                format!(
                    "{:.1} % ({:.1}–{:.1})",
                    p * 100.0,
                    low * 100.0,
                    high * 100.0
                )
            },
        );
        let _ = writeln!(
            out,
            "<tr><td>{name}</td><td>{}</td><td>{}</td><td>{precision}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            m.cases,
            m.true_cases,
            percent(m.recall),
            m.lead_days
                .map_or_else(|| "—".to_owned(), |d| d.to_string()),
            m.auc.map_or_else(|| "—".to_owned(), |a| format!("{a:.3}")),
            percent(m.first_half)
        );
    }
    out.push_str("</table>\n");
}

/// A bar for each row, split by level.
fn chart(out: &mut String, title: &str, rows: &[(&str, &Counts)]) {
    if rows.is_empty() {
        return;
    }
    let shown = rows.len().min(ROWS_MAX);
    let most = rows
        .iter()
        .map(|(_, c)| c.warnings)
        .max()
        .unwrap_or(1)
        .max(1);
    let height = shown * 20 + 4;
    let _ = writeln!(
        out,
        "<h2>{title}</h2><svg width=\"900\" height=\"{height}\" role=\"img\">"
    );
    for (at, (name, counts)) in rows.iter().take(ROWS_MAX).enumerate() {
        let y = at * 20;
        let _ = writeln!(
            out,
            "<text x=\"0\" y=\"{}\">{}</text>",
            y + 14,
            escape(name)
        );
        let mut x = 260.0;
        for (colour, count) in COLOURS.iter().zip(counts.levels) {
            let width = WIDTH * whole(count) / whole(most);
            if 0 < count {
                let _ = writeln!(
                    out,
                    "<rect x=\"{x:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"14\" fill=\"{colour}\"><title>{count}</title></rect>",
                    y + 3
                );
            }
            x += width;
        }
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{}\">{}</text>",
            x + 6.0,
            y + 14,
            counts.warnings
        );
    }
    out.push_str("</svg>\n");
}

fn whole(count: u64) -> f64 {
    float(i64::try_from(count).unwrap_or(i64::MAX))
}

fn workload(out: &mut String, report: &Report) {
    out.push_str("<h2>工作量</h2><table><tr><th>部门</th><th>预警</th><th>红橙</th><th>最忙月份</th><th>该月预警</th></tr>\n");
    for load in report.workload.iter().take(ROWS_MAX) {
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&load.department),
            load.warnings,
            load.grave,
            load.busiest_month.0,
            load.busiest_month.1
        );
    }
    out.push_str("</table>\n");
}

fn faults(out: &mut String, report: &Report) {
    for (id, row) in &report.rules {
        if let Some((count, message)) = &row.faults {
            let _ = writeln!(
                out,
                "<p class=\"no\">规则 {} 出错 {count} 次：{}</p>",
                escape(id),
                escape(message)
            );
        }
    }
}

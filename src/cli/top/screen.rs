//! A reading as people look at it: what burns, whether records come, whether the engine can work.
//!
//! units    rates are a second or a minute, from two readings; without an earlier one they are left open

use super::sample::Sample;
use crate::engine::subject::view::Level;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Rules that are named one by one.
const RULES_MAX: usize = 8;

/// See the module.
pub(super) struct View<'a> {
    now: &'a Sample,
    before: Option<(&'a Sample, f64)>,
}

impl<'a> View<'a> {
    /// `before` is an earlier reading and how many seconds ago it was.
    pub(super) fn new(now: &'a Sample, before: Option<(&'a Sample, f64)>) -> Self {
        Self { now, before }
    }

    fn value(&self, name: &str) -> f64 {
        self.now.sum(name, &[]).unwrap_or(0.0)
    }

    /// How fast a total grows, a second; a total that fell has begun anew.
    fn rate(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let (before, seconds) = self.before.filter(|(_, seconds)| 0.0 < *seconds)?;
        let now = self.now.sum(name, labels)?;
        let then = before.sum(name, labels).unwrap_or(0.0);
        Some((if now < then { now } else { now - then }) / seconds)
    }

    /// As plain lines and tables.
    pub(super) fn text(&self, url: &str) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(out, "烽火 top  {url}  {}", self.state());
        let _ = writeln!(out, "{}", self.levels());
        let _ = writeln!(out, "{}", self.connectors());
        if let Some(topics) = self.topics() {
            let _ = writeln!(out, "{topics}");
        }
        let _ = writeln!(out, "{}", self.sinks());
        for line in self.rules() {
            let _ = writeln!(out, "{line}");
        }
        out
    }

    fn state(&self) -> String {
        let word = if 0.0 < self.value("fenghuo_ready") {
            "就绪"
        } else {
            "未就绪，原因见 /readyz"
        };
        let version = self.now.by("fenghuo_build_info", "version");
        let hash = self.now.by("fenghuo_rule_set_info", "hash");
        let first = |map: BTreeMap<String, f64>| map.into_keys().next().unwrap_or_default();
        let share = |share| {
            let ms = 1_000.0
                * self
                    .now
                    .sum("fenghuo_end_to_end_seconds", &[("share", share)])
                    .unwrap_or(0.0);
            format!("{ms:.0} ms")
        };
        format!(
            "{word}  版本 {}  规则集 {}\n读入到落盘 中位 {} 99 分位 {}  状态 {:.1} MiB  日志 {:.1} MiB",
            first(version),
            first(hash),
            share("0.5"),
            share("0.99"),
            self.value("fenghuo_state_bytes") / 1_048_576.0,
            self.value("fenghuo_journal_bytes") / 1_048_576.0,
        )
    }

    fn levels(&self) -> Table {
        let mut table = table(&["级别", "当前有效", "累计新发", "新发/分"]);
        for level in Level::ALL.iter().rev() {
            let of = [("level", level.title())];
            let raised = [("level", level.title()), ("transition", "raised")];
            let sum = |name, labels: &[_]| self.now.sum(name, labels).unwrap_or(0.0);
            table.add_row([
                format!("{} {}", level.title(), level.code()),
                format!("{:.0}", sum("fenghuo_open_warnings", &of)),
                format!("{:.0}", sum("fenghuo_warnings_total", &raised)),
                rate(
                    self.rate("fenghuo_warnings_total", &raised)
                        .map(|r| 60.0 * r),
                ),
            ]);
        }
        table
    }

    fn connectors(&self) -> Table {
        let mut table = table(&["数据源", "读入", "每秒", "拒收", "已静默", "允许静默"]);
        let limits = self
            .now
            .by("fenghuo_connector_silence_limit_seconds", "connector");
        let silent = self
            .now
            .by("fenghuo_connector_silence_seconds", "connector");
        for (connector, read) in self.now.by("fenghuo_connector_records_total", "connector") {
            let of = [("connector", connector.as_str())];
            let refused = self.now.sum("fenghuo_connector_refused_total", &of);
            let silence = silent.get(&connector).copied().unwrap_or(0.0);
            let limit = limits.get(&connector).copied();
            let mark = if limit.is_some_and(|limit| limit < silence) {
                " 超时"
            } else {
                ""
            };
            table.add_row([
                connector.clone(),
                format!("{read:.0}"),
                rate(self.rate("fenghuo_connector_records_total", &of)),
                format!("{:.0}", refused.unwrap_or(0.0)),
                format!("{}{mark}", span(silence)),
                limit.map_or("—".to_owned(), span),
            ]);
        }
        table
    }

    /// None without Kafka.
    fn topics(&self) -> Option<Table> {
        let lags = self.now.by("fenghuo_kafka_lag_messages", "topic");
        let taken = self.now.by("fenghuo_kafka_messages_total", "topic");
        let expired = self.now.by("fenghuo_kafka_expired_messages", "topic");
        let mut table = table(&["主题", "读入", "每秒", "积压", "到期未读"]);
        for (topic, lag) in &lags {
            let of = [("topic", topic.as_str())];
            let count = |counts: &BTreeMap<String, f64>| {
                format!("{:.0}", counts.get(topic).copied().unwrap_or(0.0))
            };
            table.add_row([
                topic.clone(),
                count(&taken),
                rate(self.rate("fenghuo_kafka_messages_total", &of)),
                format!("{lag:.0}"),
                count(&expired),
            ]);
        }
        (!lags.is_empty()).then_some(table)
    }

    fn sinks(&self) -> Table {
        let mut table = table(&["出口", "送达", "失败", "待送", "最久"]);
        let failures = self.now.by("fenghuo_sink_failures_total", "sink");
        for (sink, delivered) in self.now.by("fenghuo_sink_deliveries_total", "sink") {
            let failed = failures.get(&sink).copied().unwrap_or(0.0);
            table.add_row([
                sink,
                format!("{delivered:.0}"),
                format!("{failed:.0}"),
                String::new(),
                String::new(),
            ]);
        }
        table.add_row([
            "全部出口".to_owned(),
            String::new(),
            String::new(),
            format!("{:.0}", self.value("fenghuo_outbox_entries")),
            span(self.value("fenghuo_outbox_oldest_seconds")),
        ]);
        table.add_row([
            "国家平台".to_owned(),
            format!("{:.0}", self.accepted()),
            format!("暂停 {:.0}", self.value("fenghuo_exchange_parked")),
            format!("{:.0}", self.value("fenghuo_exchange_waiting")),
            span(self.value("fenghuo_exchange_oldest_seconds")),
        ]);
        table
    }

    fn accepted(&self) -> f64 {
        let of = [("outcome", "accepted")];
        self.now
            .sum("fenghuo_exchange_attempts_total", &of)
            .unwrap_or(0.0)
    }

    fn rules(&self) -> Vec<String> {
        let above = |name: &str| {
            let mut found: Vec<_> = self.now.by(name, "rule").into_iter().collect();
            found.retain(|(_, value)| 0.0 < *value);
            found.sort_by(|a, b| b.1.total_cmp(&a.1));
            found
        };
        let listed = |title: &str, found: &[(String, f64)]| {
            let words: Vec<String> = found
                .iter()
                .take(RULES_MAX)
                .map(|(rule, value)| format!("{rule} {value:.0}"))
                .collect();
            format!("{title} {}", words.join("，"))
        };
        let mut lines = vec![listed("命中最多", &above("fenghuo_rule_firings_total"))];
        for (title, name) in [
            ("！出错", "fenghuo_rule_errors_total"),
            ("！抽查不一致", "fenghuo_rule_differences_total"),
        ] {
            let found = above(name);
            if !found.is_empty() {
                lines.push(listed(title, &found));
            }
        }
        let suspended = above("fenghuo_rule_suspended");
        if !suspended.is_empty() {
            let names: Vec<&str> = suspended.iter().map(|(rule, _)| rule.as_str()).collect();
            lines.push(format!("！被暂停 {}", names.join("，")));
        }
        lines
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let raised = [("transition", "raised")];
        json!({
            "ready": 0.0 < self.value("fenghuo_ready"),
            "open_warnings": self.now.by("fenghuo_open_warnings", "level"),
            "raised_per_minute": self.rate("fenghuo_warnings_total", &raised).map(|r| 60.0 * r),
            "records": self.now.by("fenghuo_connector_records_total", "connector"),
            "records_per_second": self.rate("fenghuo_connector_records_total", &[]),
            "refused": self.now.by("fenghuo_connector_refused_total", "connector"),
            "silence_seconds": self.now.by("fenghuo_connector_silence_seconds", "connector"),
            "kafka_lag_messages": self.now.by("fenghuo_kafka_lag_messages", "topic"),
            "outbox_entries": self.value("fenghuo_outbox_entries"),
            "outbox_oldest_seconds": self.value("fenghuo_outbox_oldest_seconds"),
            "sink_failures": self.now.by("fenghuo_sink_failures_total", "sink"),
            "exchange_waiting": self.value("fenghuo_exchange_waiting"),
            "exchange_parked": self.value("fenghuo_exchange_parked"),
            "rules_suspended": self.value("fenghuo_rule_suspended"),
            "rule_errors": self.value("fenghuo_rule_errors_total"),
        })
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_header(header.to_vec());
    table
}

fn rate(rate: Option<f64>) -> String {
    rate.map_or("—".to_owned(), |rate| format!("{rate:.1}"))
}

/// A span of time as people say it.
fn span(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} 秒"),
        s if s < 7_200.0 => format!("{:.0} 分", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} 小时", s / 3_600.0),
        s => format!("{:.1} 天", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::EventTime;
    use crate::runtime::kafka::tally::Tally;
    use crate::runtime::metrics::warnings::Standing;
    use crate::runtime::metrics::{Metrics, Transition};

    #[test]
    fn a_screen_says_what_burns_and_what_is_wrong() {
        let metrics = Metrics::new(EventTime(0));
        let feed = metrics.connector("hotline-order", Some(1), EventTime(0));
        feed.records.inc_by(100);
        metrics.sink("file").deliveries.inc_by(7);
        let tally = Tally::default();
        tally.begins_at(&"in.orders".into(), 0, (5, EventTime::MIN), 2);
        tally.ends_at(&"in.orders".into(), 0, 90);
        metrics.kafka.watch(&tally);
        metrics.sink("webhook").failures.inc();
        metrics.rule_set("0123456789abcdef", EventTime(0));
        metrics.ready.set(1);
        let before = Sample::parse(&metrics.render(EventTime(7_000_000)));
        feed.records.inc_by(50);
        tally.read_to(&"in.orders".into(), 0, (65, EventTime(0)));
        metrics.rule("CF-001").firings.inc_by(3);
        metrics.rule("TS-001").errors.inc();
        metrics.rule("TS-001").suspended.set(1);
        let mut standing = Standing::default();
        standing.add(Level::Red, "CF-001", 85.0, 2);
        metrics.warnings().open(&standing);
        let of = (Level::Red, "CF-001");
        metrics
            .warnings()
            .told(of, Some("320505"), Transition::Raised);
        let now = Sample::parse(&metrics.render(EventTime(7_002_000)));
        let view = View::new(&now, Some((&before, 2.0)));
        let version = env!("CARGO_PKG_VERSION");
        let text = view.text("http://engine").replace(version, "VERSION");
        expect_test::expect![[r#"
            烽火 top  http://engine  就绪  版本 VERSION  规则集 0123456789ab
            读入到落盘 中位 0 ms 99 分位 0 ms  状态 0.0 MiB  日志 0.0 MiB
            ┌───────┬──────────┬──────────┬─────────┐
            │ 级别  ┆ 当前有效 ┆ 累计新发 ┆ 新发/分 │
            ╞═══════╪══════════╪══════════╪═════════╡
            │ 红 P0 ┆ 2        ┆ 1        ┆ 30.0    │
            │ 橙 P1 ┆ 0        ┆ 0        ┆ 0.0     │
            │ 黄 P2 ┆ 0        ┆ 0        ┆ 0.0     │
            │ 蓝 P3 ┆ 0        ┆ 0        ┆ 0.0     │
            └───────┴──────────┴──────────┴─────────┘
            ┌───────────────┬──────┬──────┬──────┬─────────────┬──────────┐
            │ 数据源        ┆ 读入 ┆ 每秒 ┆ 拒收 ┆ 已静默      ┆ 允许静默 │
            ╞═══════════════╪══════╪══════╪══════╪═════════════╪══════════╡
            │ hotline-order ┆ 150  ┆ 25.0 ┆ 0    ┆ 117 分 超时 ┆ 60 分    │
            └───────────────┴──────┴──────┴──────┴─────────────┴──────────┘
            ┌───────────┬──────┬──────┬──────┬──────────┐
            │ 主题      ┆ 读入 ┆ 每秒 ┆ 积压 ┆ 到期未读 │
            ╞═══════════╪══════╪══════╪══════╪══════════╡
            │ in.orders ┆ 60   ┆ 30.0 ┆ 25   ┆ 2        │
            └───────────┴──────┴──────┴──────┴──────────┘
            ┌──────────┬──────┬────────┬──────┬──────┐
            │ 出口     ┆ 送达 ┆ 失败   ┆ 待送 ┆ 最久 │
            ╞══════════╪══════╪════════╪══════╪══════╡
            │ file     ┆ 7    ┆ 0      ┆      ┆      │
            │ webhook  ┆ 0    ┆ 1      ┆      ┆      │
            │ 全部出口 ┆      ┆        ┆ 0    ┆ 0 秒 │
            │ 国家平台 ┆ 0    ┆ 暂停 0 ┆ 0    ┆ 0 秒 │
            └──────────┴──────┴────────┴──────┴──────┘
            命中最多 CF-001 3
            ！出错 TS-001 1
            ！被暂停 TS-001
        "#]]
        .assert_eq(&text);
        assert_eq!(view.json()["records_per_second"], json!(25.0));
        let alone = View::new(&now, None);
        assert!(alone.text("u").contains("—"));
    }
}

//! Every metric once: its name, kind, labels, unit and what it means to the people who watch.
//!
//! [`super::Metrics`] registers from this table and nothing else, and `grafana/README.md` shows [`reference`]; a test
//! holds the two together.
//!
//! units    base units as Prometheus wants them: seconds, bytes; totals end in `_total`, times of day in
//!          `_timestamp_seconds` (Unix seconds)
//! bounds   labels have few values: connectors, rules, sinks, levels, cities, codes; never a subject, a name or a number

use std::fmt::Write;

/// What kind of metric it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
}

impl Kind {
    fn title(self) -> &'static str {
        match self {
            Self::Counter => "计数",
            Self::Gauge => "瞬时值",
            Self::Histogram => "直方图",
        }
    }
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// `fenghuo_…`
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it counts in.
    pub unit: &'static str,
    /// What it means.
    pub help: &'static str,
}

const fn row(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    unit: &'static str,
    help: &'static str,
) -> Spec {
    Spec {
        name,
        kind,
        labels,
        unit,
        help,
    }
}

use Kind::{Counter, Gauge, Histogram};

/// All metrics, in the order of the way of a record.
#[rustfmt::skip]
pub const TABLE: &[Spec] = &[
    row("fenghuo_connector_records_total", Counter, &["connector"], "条", "读入的记录数，含后来被拒收的"),
    row("fenghuo_connector_refused_total", Counter, &["connector", "code"], "条", "拒收并转入死信的记录数，按原因代码"),
    row("fenghuo_connector_events_total", Counter, &["connector", "outcome"], "条", "事件去向：applied 已生效，duplicate 重复，stale 旧版本，too_old 早于保留期"),
    row("fenghuo_connector_lateness_seconds", Histogram, &["connector"], "秒", "事件时间落后于逻辑时钟多少"),
    row("fenghuo_connector_watermark_timestamp_seconds", Gauge, &["connector"], "Unix 秒", "该数据源已见到的最晚事件时间"),
    row("fenghuo_connector_silence_seconds", Gauge, &["connector"], "秒", "距最近一条记录到达已过多久（机器时钟）"),
    row("fenghuo_connector_silence_limit_seconds", Gauge, &["connector"], "秒", "连接器声明的最长静默时间；未声明则不出现"),
    row("fenghuo_kafka_messages_total", Counter, &["topic", "partition"], "条", "该分区中交给引擎的消息数，本次启动以来"),
    row("fenghuo_kafka_lag_messages", Gauge, &["topic", "partition"], "条", "该分区中已到代理、尚未交给引擎的消息数"),
    row("fenghuo_kafka_watermark_timestamp_seconds", Gauge, &["topic", "partition"], "Unix 秒", "该分区最近交给引擎的记录自述的到达时间；尚无记录则不出现"),
    row("fenghuo_kafka_expired_messages", Gauge, &["topic", "partition"], "条", "启动时发现该分区中没有读就到期被代理删掉的消息数（when_expired = \"go-on\" 时才会越过它们）；应恒为 0"),
    row("fenghuo_cluster_partitions", Gauge, &["role"], "个", "多进程运行时本进程承担的分区：engine 研判，ingest 读取数据源，standby 跟随备用；单进程运行恒为 0"),
    row("fenghuo_cluster_claims_total", Counter, &["outcome"], "次", "申领分区的次数：won 成功，lost 被别的进程抢先"),
    row("fenghuo_cluster_void_records_total", Counter, &[], "条", "读到的无效状态日志记录：失去分区的进程迟到的写入，对谁都不算数"),
    row("fenghuo_cluster_behind_records", Gauge, &["partition"], "条", "该分区状态日志中本机尚未读入的记录数，即恢复或跟随还差多少；不承担也不跟随则不出现"),
    row("fenghuo_cluster_append_seconds", Histogram, &[], "秒", "一次写入状态日志、直到全部同步副本确认的用时"),
    row("fenghuo_cluster_take_over_seconds", Histogram, &[], "秒", "接管一个分区的用时，从着手到可以研判"),
    row("fenghuo_rule_firings_total", Counter, &["rule", "line"], "次", "规则命中次数（含信号与建议）"),
    row("fenghuo_rule_errors_total", Counter, &["rule", "line"], "次", "规则执行出错次数；每一次都是一次未能研判"),
    row("fenghuo_rule_checks_total", Counter, &[], "次", "抽查次数：同一次研判再由解释器执行一遍"),
    row("fenghuo_rule_differences_total", Counter, &["rule", "line"], "次", "抽查不一致次数；应恒为 0，不为 0 是程序错误"),
    row("fenghuo_rule_suspended", Gauge, &["rule", "line"], "0/1", "规则是否因连续出错被暂停"),
    row("fenghuo_rule_timed_calls_total", Counter, &["rule", "line"], "次", "计了时的研判次数；每 61 条记录中有一条，由它引起的研判都计时"),
    row("fenghuo_rule_timed_seconds_total", Counter, &["rule", "line"], "秒", "计了时的研判所用的处理器时间；除以次数是平均用时，乘以 61 约为总用时"),
    row("fenghuo_warnings_total", Counter, &["level", "city", "line", "transition"], "次", "预警变动次数：级别、设区市代码（other 为省级或未知）、条线（规则所在的文件夹）、变动类型"),
    row("fenghuo_open_warnings", Gauge, &["level", "line"], "条", "当前有效的预警数，按级别和条线"),
    row("fenghuo_open_warning_scores", Gauge, &["band"], "条", "当前有效的预警数，按其主体的风险分分段：20-40 是 20 分以上、不满 40 分，100 分在最后一段"),
    row("fenghuo_sanctions", Gauge, &["status"], "条", "联合惩戒建议数，按状态"),
    row("fenghuo_disposal_cases", Gauge, &["state"], "件", "预警处置件数，按状态：dispatched 派发、returned 退回、claimed 认领、verifying 核查、disposing 处置、fed_back 反馈、closed 办结、merged 合并、withdrawn 撤销"),
    row("fenghuo_disposal_unclaimed", Gauge, &["level"], "件", "还没有人认领的处置件数，按级别"),
    row("fenghuo_disposal_overdue", Gauge, &[], "件", "未了结且已超期的处置件数"),
    row("fenghuo_disposal_undated", Gauge, &[], "件", "期限落在尚未公布节假日安排的年份、算不出期限的处置件数；应为 0"),
    row("fenghuo_disposal_steps_total", Counter, &["step"], "次", "处置和惩戒的各个步骤，如 claimed 认领、reminded 催办、overdue 超期、escalated 升级、refused 动作未予受理"),
    row("fenghuo_disposal_feedback_total", Counter, &["verdict", "on_time"], "件", "反馈的核查结论，以及是否按期"),
    row("fenghuo_sanction_cases", Gauge, &["state"], "件", "联合惩戒件数，按状态：proposed 待确认、halfway 待第二人确认、in_force 生效、lifting 解除中、lifted 已解除、rejected 不予惩戒、lapsed 建议失效"),
    row("fenghuo_sanction_orders_total", Counter, &["order"], "件", "发给部门的惩戒措施：impose 实施、lift 解除"),
    row("fenghuo_sanction_halted_rules", Gauge, &[], "条", "惩戒被停用（人工或达到限额）的规则数"),
    row("fenghuo_inspections_total", Counter, &["frequency"], "次", "新到的对企业检查，按是否超过规则 JC-006 允许的频次：within 未超过、over 超过、prompted 有因检查（不计）"),
    row("fenghuo_commit_seconds", Histogram, &[], "秒", "一次提交落盘用时"),
    row("fenghuo_end_to_end_seconds", Gauge, &["share"], "秒", "从读入记录到提交完成的用时分位数（最近 5 至 10 分钟）"),
    row("fenghuo_journal_bytes", Gauge, &[], "字节", "上次基线以来的日志大小"),
    row("fenghuo_state_bytes", Gauge, &[], "字节", "状态目录占用的磁盘空间"),
    row("fenghuo_disk_free_bytes", Gauge, &[], "字节", "状态目录所在磁盘的可用空间"),
    row("fenghuo_subjects", Gauge, &["kind"], "个", "有状态的主体数，按类型"),
    row("fenghuo_resting_subjects", Gauge, &["place"], "个", "静置的主体数（没有新情况、已压缩）：disk 已移出内存，放在状态目录的临时文件里；memory 压缩后留在内存"),
    row("fenghuo_resting_disk_bytes", Gauge, &[], "字节", "移出内存的主体压缩后的大小；所在文件没有名字，du 看不到，进程结束即释放"),
    row("fenghuo_resting_failures_total", Counter, &[], "次", "静置主体写盘失败、因而留在内存的次数；应恒为 0，不为 0 多半是磁盘满"),
    row("fenghuo_outbox_entries", Gauge, &[], "条", "已提交、尚未送达的输出"),
    row("fenghuo_outbox_oldest_seconds", Gauge, &[], "秒", "最早一条未送达输出已等待多久；没有则为 0"),
    row("fenghuo_sink_deliveries_total", Counter, &["sink"], "条", "送达的输出数"),
    row("fenghuo_sink_failures_total", Counter, &["sink"], "次", "送达失败次数，随后会重试"),
    row("fenghuo_exchange_attempts_total", Counter, &["outcome"], "次", "向国家交换报送的尝试：accepted 已取得回执，refused 被拒（该主体暂停），unsure 不明或暂不可用（自动重试），denied 不认识我方（密钥、时钟、地址），untrusted 证书失败"),
    row("fenghuo_exchange_waiting", Gauge, &[], "条", "等待报送国家交换的消息数"),
    row("fenghuo_exchange_parked", Gauge, &[], "个", "暂停报送、等待人工处理的主体数"),
    row("fenghuo_exchange_oldest_seconds", Gauge, &[], "秒", "最早一条待报送消息已等待多久；没有则为 0"),
    row("fenghuo_exchange_differences", Gauge, &["kind"], "条", "最近一次对账的差异：lost 对方签收后丢失，doubled 对方重复入库，changed 内容不一致，foreign 非我方报送；应恒为 0"),
    row("fenghuo_exchange_reconciled_timestamp_seconds", Gauge, &[], "Unix 秒", "最近一次对账完成的时间；不每天对账的、还没有对过的为 0"),
    row("fenghuo_dead_letters_total", Counter, &[], "条", "写入死信的记录数"),
    row("fenghuo_rule_set_info", Gauge, &["hash"], "1", "正在使用的规则集（SM3 前 12 位）"),
    row("fenghuo_rule_set_loaded_timestamp_seconds", Gauge, &[], "Unix 秒", "在用规则集从什么时候起生效（机器时钟）；启动也算"),
    row("fenghuo_rule_set_failures_total", Counter, &[], "次", "规则集加载失败次数，旧规则集继续使用"),
    row("fenghuo_calendar_until_timestamp_seconds", Gauge, &[], "Unix 秒", "工作日历公布到哪一年年末；到期前须更新"),
    row("fenghuo_certificate_expiry_timestamp_seconds", Gauge, &["certificate"], "Unix 秒", "所用证书的到期时间：http 对外服务，exchange 对接国家平台；没有用证书则不出现"),
    row("fenghuo_logical_clock_timestamp_seconds", Gauge, &[], "Unix 秒", "逻辑时钟"),
    row("fenghuo_ready", Gauge, &[], "0/1", "是否就绪（与 /readyz 相同）"),
    row("fenghuo_build_info", Gauge, &["version"], "1", "程序版本"),
    row("fenghuo_http_requests_total", Counter, &["route", "status"], "次", "HTTP 请求数，按路由模板与状态码"),
    row("fenghuo_http_connections", Gauge, &[], "个", "打开的 HTTP 连接数"),
    row("fenghuo_deadly_records_total", Counter, &[], "条", "一再使进程中止、因而转入死信不再研判的记录"),
    row("fenghuo_http_connections_refused_total", Counter, &[], "次", "因连接数已满而关闭的连接"),
];

/// The level label's values are those of the warnings: 蓝 黄 橙 红. These are the values of the city label: the 13 cities of
/// Jiangsu by GB/T 2260, then what is in none of them.
pub const CITIES: [(&str, &str); 14] = [
    ("320100", "南京"),
    ("320200", "无锡"),
    ("320300", "徐州"),
    ("320400", "常州"),
    ("320500", "苏州"),
    ("320600", "南通"),
    ("320700", "连云港"),
    ("320800", "淮安"),
    ("320900", "盐城"),
    ("321000", "扬州"),
    ("321100", "镇江"),
    ("321200", "泰州"),
    ("321300", "宿迁"),
    ("other", "省级或未知"),
];

/// The table as Markdown, for `grafana/README.md`.
pub fn reference() -> String {
    let mut text = String::from("| 指标 | 类型 | 标签 | 单位 | 含义 |\n|---|---|---|---|---|\n");
    for spec in TABLE {
        let labels: Vec<String> = spec.labels.iter().map(|l| format!("`{l}`")).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} |",
            spec.name,
            spec.kind.title(),
            labels.join(" "),
            spec.unit,
            spec.help
        );
    }
    text.push_str("\n`city` 标签的取值：");
    let cities: Vec<String> = CITIES
        .iter()
        .map(|(code, name)| format!("`{code}` {name}"))
        .collect();
    text.push_str(&cities.join("、"));
    text.push_str("。\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        let mut names: Vec<&str> = TABLE.iter().map(|spec| spec.name).collect();
        for spec in TABLE {
            let name = spec.name;
            assert!(name.starts_with("fenghuo_"), "{name}");
            assert_eq!(
                spec.kind == Counter,
                name.ends_with("_total"),
                "{name}: counters and only counters end in _total"
            );
            assert_eq!(
                spec.unit == "Unix 秒",
                name.ends_with("_timestamp_seconds"),
                "{name}"
            );
            assert!(
                spec.unit != "秒" || name.contains("_seconds"),
                "{name}: seconds are named"
            );
            assert!(spec.unit != "字节" || name.ends_with("_bytes"), "{name}");
            for label in spec.labels {
                assert!(
                    !["subject", "name", "key", "enterprise", "id"].contains(label),
                    "{name}: label {label} is not bounded"
                );
            }
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TABLE.len(), "a name twice");
    }
}

//! Every word that a rule may use, with what it gives and an example that runs: for the guide, `rule defs` and the editor.
//!
//! Tests hold the rows against the functions that are registered: each has a row, and each example runs.

use super::manifest::KEYS;
use crate::engine::schema::{FIELDS, Field, FieldSpec, Stream};
use std::fmt::Write;

/// Where a word belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Questions to the subject.
    Who,
    /// Properties of the fact that is judged and of listed ones.
    Record,
    /// Lists and texts.
    List,
    /// Times and numbers.
    Time,
    /// What a rule says.
    Say,
    /// Tests.
    Test,
}

/// One word.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Word {
    /// Where it belongs.
    pub group: Group,
    /// Its name.
    pub name: &'static str,
    /// How it is written, Chinese parameters.
    pub form: &'static str,
    /// What it gives, Chinese.
    pub gives: &'static str,
    /// An expression that runs in `decide`, or in a test.
    pub example: &'static str,
}

macro_rules! words {
    ($($group:ident: $(($name:literal, $form:literal, $gives:literal, $example:literal),)*)*) => {
        /// All words, by group.
        pub const WORDS: &[Word] = &[$($(Word {
            group: Group::$group,
            name: $name,
            form: $form,
            gives: $gives,
            example: $example,
        },)*)*];
    };
}

words! {
Who:
    ("count", "who.count(种类, 窗口)", "窗口内几条", r#"who.count("complaint", "30d")"#),
    ("count", "who.count(种类, 窗口, #{ 字段: 值 })", "其中符合条件的几条。值写成列表表示“其中任何一个”；几个字段须同时符合；列表字段（如 `keywords`）有一个符合就算", r#"who.count("complaint", "30d", #{ problem_type: ["食品安全", "电器质量"] })"#),
    ("sum", "who.sum(种类, 字段, 窗口)", "某字段之和；没填的不计", r#"who.sum("penalty", "amount", "30d")"#),
    ("distinct", "who.distinct(种类, 字段, 窗口)", "某字段有几个不同的值；没填的不计", r#"who.distinct("complaint", "complainant", "30d")"#),
    ("count_by", "who.count_by(种类, 字段, 窗口)", "几条，但该字段相同的只算一条；没填的各算一条。数“几个人”“几件事”用它", r#"who.count_by("complaint", "dispute_group", "30d")"#),
    ("count_by", "who.count_by(种类, 字段, 窗口, #{ 字段: 值 })", "同上，只数符合条件的", r#"who.count_by("complaint", "complainant", "30d", #{ problem_type: "虚假宣传" })"#),
    ("list", "who.list(种类, 窗口)", "逐条列出，由早到晚，最多一千条；每条可读字段，另有 `time`、`stream`、`id`", r#"who.list("inspection", "30d")"#),
    ("list", "who.list(种类, 窗口, #{ 字段: 值 })", "同上，只列符合条件的", r#"who.list("inspection", "30d", #{ result: "不合格" })"#),
    ("last", "who.last(种类)", "最近一条，没有则为空", r#"who.last("inspection")"#),
    ("last", "who.last(种类, #{ 字段: 值 })", "符合条件的最近一条，没有则为空", r#"who.last("inspection", #{ result: "合格" })"#),
    ("days_since", "who.days_since(种类)", "最近一条距今几天，没有则为空", r#"who.days_since("inspection")"#),
    ("days_since", "who.days_since(种类, #{ 字段: 值 })", "符合条件的最近一条距今几天，没有则为空", r#"who.days_since("inspection", #{ result: "不合格" })"#),
    ("weekly_average", "who.weekly_average(种类, 窗口)", "窗口内平均每周几条（小数）", r#"who.weekly_average("complaint", "28d")"#),
    ("daily_average", "who.daily_average(种类, 窗口)", "窗口内平均每天几条（小数）", r#"who.daily_average("complaint", "28d")"#),
    ("licence", "who.licence(名称)", "该许可证：有几张时取仍有效、到期最晚的一张；可读 `name`（许可证名称）、`valid_to` 等许可字段；没有则为空", r#"who.licence("食品经营许可证")"#),
    ("licences", "who.licences()", "各张许可证（按名称和编号），每张取最近的说法", r#"who.licences()"#),
    ("on_list", "who.on_list(类型)", "是否在名录上：`\"abnormal\"` 经营异常、`\"serious\"` 严重违法、`\"executee\"` 失信被执行人、`\"other\"` 其他", r#"who.on_list("abnormal")"#),
    ("list_entry", "who.list_entry(类型)", "最近一次列入的那条，已移出则为空", r#"who.list_entry("serious")"#),
    ("registry", "who.registry()", "最近的登记信息，没有则为空", r#"who.registry()"#),
    ("has_tag", "who.has_tag(标签)", "登记信息里有无此标签", r#"who.has_tag("重点监管")"#),
    ("name", "who.name", "名称", "who.name"),
    ("kind", "who.kind", "主体种类，如 `\"enterprise\"`", "who.kind"),
    ("key", "who.key", "主体代码", "who.key"),
    ("now", "who.now", "判断时点", "who.now"),
Record:
    ("time", "ev.time", "发生时间", "ev.time"),
    ("stream", "ev.stream", "是哪种记录，如 `\"complaint\"`", "ev.stream"),
    ("id", "ev.id", "记录编号", "ev.id"),
List:
    ("filter", "列表.filter(|x| 判断)", "留下符合的", r#"who.list("complaint", "30d").filter(|x| x.topic != ())"#),
    ("map", "列表.map(|x| 值)", "每条换成某个值", r#"who.list("complaint", "30d").map(|x| x.topic ?? "")"#),
    ("some", "列表.some(|x| 判断)", "有没有一条符合", r#"who.list("complaint", "30d").some(|x| x.topic == "服务")"#),
    ("all", "列表.all(|x| 判断)", "是不是条条符合", r#"who.list("complaint", "30d").all(|x| x.topic == "服务")"#),
    ("find", "列表.find(|x| 判断)", "第一条符合的，没有则为空", r#"who.list("complaint", "30d").find(|x| x.topic == "服务")"#),
    ("len", "列表.len()　文字.len()", "几条；几个字", r#"who.list("complaint", "30d").len()"#),
    ("is_empty", "列表.is_empty()　文字.is_empty()", "是不是空的", r#"who.list("complaint", "30d").is_empty()"#),
    ("contains", "列表.contains(值)　文字.contains(词)", "有没有这一项；有没有这个词", r#"(ev.title ?? "").contains("退费")"#),
    ("starts_with", "文字.starts_with(开头)　文字.ends_with(结尾)", "是不是这样开头、结尾", r#"(ev.region ?? "").starts_with("3201")"#),
Time:
    ("working_days", "working_days(甲, 乙)", "甲次日起到乙为止几个工作日（按国务院放假和调休；乙早于甲则为负数）", r#"working_days(date("2026-03-01"), who.now)"#),
    ("add_working_days", "add_working_days(甲, n)", "甲之后第 n 个工作日。开始的当日不算", "add_working_days(ev.time, 5)"),
    ("is_working_day", "is_working_day(甲)", "是不是工作日", "is_working_day(ev.time)"),
    ("days_between", "days_between(甲, 乙)", "相差几个自然日", "days_between(ev.time, who.now)"),
    ("add_days", "add_days(甲, n)", "n 个自然日之后", "add_days(ev.time, 30)"),
    ("year_start", "year_start(甲)", "当年一月一日", "year_start(ev.time)"),
    ("date", "date(\"2026-03-01\")", "写死的日期", r#"date("2026-03-01")"#),
    ("year", "时间.year　.month　.day　.hour", "时间的年、月、日、时", "ev.time.year + ev.time.month + ev.time.day + ev.time.hour"),
    ("min", "min(甲, 乙)　max(甲, 乙)　abs(数)", "较小、较大、绝对值；时间也可以比早晚", "min(3, max(1, abs(0 - 2)))"),
    ("round", "数.round(位数)", "四舍五入", "(10 / 3.0).round(1)"),
Say:
    ("warn", "warn(#{ level, score, message, suggest, evidence })", "预警。`level` 红橙黄蓝；`score` 0 到 100 的风险分；`message` 一句中文，写明看到的数；`suggest`、`evidence` 可省，证据写 `who.list` 得到的记录", r#"warn(#{ level: "黄", score: 20, message: "近30天投诉 5 件" })"#),
    ("signal", "signal(#{ score, message, evidence })", "线索：不预警，可以加分，供集体规则使用；`score`、`evidence` 可省", r#"signal(#{ score: 0, message: "60日内被检查 2 次" })"#),
    ("sanction", "sanction(#{ measures, partners, message, months, review, evidence })", "联合惩戒**建议**。措施须在 `measures.toml` 里；`months`、`review`、`evidence` 可省。一律先经人工确认，规则写什么都一样", r#"sanction(#{ measures: ["限制参与政府采购"], partners: ["财政厅"], message: "建议" })"#),
    ("check_on", "check_on(时间)", "到那时再判断一次，见“到点再看”", "check_on(add_days(ev.time, 30))"),
Test:
    ("scenario", "let t = scenario();", "开始一个例子：一个主体，什么记录也没有", "scenario()"),
    ("add", "t.add(种类, 时间, #{ 字段: 值 })", "来了一条记录；返回编号。时间字段写成文字 `\"2026-06-01\"` 即可", r#"t.add("complaint", "2026-06-01", #{ topic: "服务" })"#),
    ("withdraw", "t.withdraw(编号)", "这条记录被撤回", r#"t.withdraw(t.add("complaint", "2026-06-01", #{ topic: "服务" }))"#),
    ("licence", "t.licence(名称, 到期日)", "有这样一张许可证", r#"t.licence("食品经营许可证", "2027-06-01")"#),
    ("tag", "t.tag(标签)", "登记信息里有此标签", r#"t.tag("重点监管")"#),
    ("at", "t.at(时间)", "时钟走到此刻；`check_on` 约好的会逐一判断", r#"t.at("2026-07-01")"#),
    ("expect", "t.expect(级别, 文字)", "最近一条触发预警的记录，应是这个级别、说明里含这段文字", r#"t.add("complaint", "2026-06-01", #{ topic: "警" }); t.expect("黄", "说明")"#),
    ("expect_none", "t.expect_none()", "此刻应没有预警、线索和惩戒建议", "t.expect_none()"),
    ("expect_signal", "t.expect_signal(文字)", "应有线索，说明里含这段文字", r#"t.add("complaint", "2026-06-01", #{ topic: "线" }); t.expect_signal("说明")"#),
    ("expect_sanction", "t.expect_sanction(措施)", "应有惩戒建议", r#"t.add("complaint", "2026-06-01", #{ topic: "惩" }); t.expect_sanction("限制参与政府采购")"#),
    ("expect_withdrawn", "t.expect_withdrawn()", "`t.withdraw` 之前有过预警，现在应已没有", r#"t.withdraw(t.add("complaint", "2026-06-01", #{ topic: "警" })); t.expect_withdrawn()"#),
}

/// What a key of `RULE` is for: key, whether it is needed, default, meaning; Chinese.
pub const MANIFEST: [(&str, &str, &str, &str); KEYS.len()] = [
    (
        "id",
        "是",
        "",
        "编号，全库唯一，写进每条预警，启用后不再改。例 `TS-001`",
    ),
    ("name", "是", "", "中文名"),
    ("owner", "是", "", "负责的处室，收规则的意见"),
    (
        "basis",
        "是",
        "",
        "依据，逐条写到条款：`《法名》第几条`。法名必须在 `laws.toml` 里且现行有效",
    ),
    (
        "subject",
        "",
        "`\"enterprise\"`",
        "判断谁。可写多个：`[\"enterprise\", \"equipment\"]`。见下文“主体”",
    ),
    ("on", "是", "", "哪些记录到来时判断"),
    (
        "history",
        "用窗口时",
        "`\"0d\"`",
        "要看多久以前的记录。规则里的窗口都不能比它长；没有窗口的 `who.last` 往回看这么久",
    ),
    (
        "cooldown",
        "",
        "`\"30d\"`",
        "一条预警在没有新情况之后保留多久。其间的新情况并入同一条（升级会通知），期满自动结束，之后再有情况才另立一条",
    ),
    (
        "status",
        "",
        "`\"active\"`",
        "`draft` 草稿、`shadow` 影子、`active` 启用、`retired` 停用",
    ),
    (
        "fill",
        "",
        "`\"0d\"`",
        "规则(或改过的规则)生效时，把过去多久的记录补判一遍。补判的结果留痕、计分，但不为过去的事发预警；最远到所留记录的起点",
    ),
    (
        "challenges",
        "",
        "",
        "影子规则要取代的那条规则的编号。两条在同一状态上逐条并行，`rule duel` 列出多出谁、少掉谁",
    ),
    (
        "dimension",
        "",
        "文件夹名",
        "计入 `scoring.toml` 的哪一维。文件夹名不在其中的必须写",
    ),
    ("by", "集体规则", "", "按哪些字段分组，见“集体规则”"),
    ("suggest", "", "", "处置建议，随预警送达"),
    (
        "interpreted",
        "",
        "`false`",
        "写 `true` 则整条规则由 Rhai 解释执行，不编译、不进索引；只在抽查报告不一致时使用",
    ),
    (
        "params",
        "",
        "",
        "阈值。判断里写 `p.名字`，不要把数字埋在判断里：调阈值不必改判断",
    ),
];

/// The words of a group as a markdown table.
pub fn word_table(group: Group) -> String {
    let mut table = String::from("| 写法 | 得到 |\n|---|---|\n");
    for word in WORDS.iter().filter(|word| word.group == group) {
        let form = word.form.replace('|', "\\|");
        let _ = writeln!(table, "| `{form}` | {} |", word.gives);
    }
    table
}

/// The keys of `RULE` as a markdown table.
pub fn manifest_table() -> String {
    let mut table = String::from("| 键 | 必填 | 默认 | 含义 |\n|---|---|---|---|\n");
    for (key, needed, default, meaning) in MANIFEST {
        let _ = writeln!(table, "| `{key}` | {needed} | {default} | {meaning} |");
    }
    table
}

/// The fields of every stream as markdown, those that all have first.
pub fn fields_by_stream() -> String {
    let is_common = |spec: &FieldSpec| {
        let streams = Stream::ALL.into_iter().filter(|s| *s != Stream::Finding);
        streams.into_iter().all(|s| spec.is_of(s))
    };
    let mut text =
        String::from("**各种记录都有的**（`finding` 只有其中的名称、区划、机构、行业、领域）\n\n");
    table(&mut text, FIELDS.iter().filter(|spec| is_common(spec)));
    for stream in Stream::ALL {
        let _ = write!(text, "\n**`{}` {}**\n\n", stream.name(), stream.title());
        let own = Field::all_of(stream).map(Field::spec);
        table(&mut text, own.filter(|spec| !is_common(spec)));
    }
    text
}

fn table<'a>(text: &mut String, specs: impl Iterator<Item = &'a FieldSpec>) {
    text.push_str("| 字段 | 中文 | 类型 | 常见的值、单位 |\n|---|---|---|---|\n");
    for spec in specs {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            spec.name,
            spec.title,
            spec.field_type.title(),
            values(spec).join("、")
        );
    }
}

/// The values that a field is known to hold, or its unit, from the schema's note.
pub(super) fn values(spec: &FieldSpec) -> Vec<&'static str> {
    const UNITS: [(&str, &str); 6] = [
        ("yuan", "元"),
        ("people", "人"),
        ("items", "项"),
        ("days", "天"),
        ("times", "次"),
        ("points", "分"),
    ];
    let note = spec.note;
    let first = note.split([':', ';']).next().unwrap_or("").trim();
    if let Some((_, unit)) = UNITS.iter().find(|(english, _)| *english == first) {
        return vec![unit];
    }
    let codes: Vec<&str> = first.split(", ").collect();
    let is_code = |word: &&str| word.chars().all(|c| c.is_ascii_alphabetic() || c == '_');
    if 1 < codes.len() && codes.iter().all(is_code) {
        return codes;
    }
    note.split([',', ';', ':', ' '])
        .filter(|word| 1 < word.chars().count() && word.chars().all(|c| !c.is_ascii()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::names::{FUNCTIONS, PROPERTIES, SCENARIO, WHO, WHO_PROPERTIES};
    use super::super::tests::{load, rule, run_all};
    use super::*;

    fn count(group: Group, name: &str) -> usize {
        let rows = WORDS.iter().filter(|w| w.group == group && w.name == name);
        rows.count()
    }

    #[test]
    fn every_word_that_is_registered_has_its_rows_and_no_other_has() {
        for method in &WHO {
            let rows = WHO.iter().filter(|other| other.name == method.name).count();
            assert_eq!(count(Group::Who, method.name), rows, "{}", method.name);
        }
        for name in WHO_PROPERTIES {
            assert_eq!(count(Group::Who, name), 1, "{name}");
        }
        assert_eq!(
            WORDS.iter().filter(|w| w.group == Group::Who).count(),
            WHO.len() + WHO_PROPERTIES.len()
        );
        for (name, _) in SCENARIO {
            assert_eq!(count(Group::Test, name), 1, "{name}");
        }
        let is_told = |name: &str| {
            let groups = [Group::Time, Group::Say, Group::Test];
            groups
                .into_iter()
                .map(|group| count(group, name))
                .sum::<usize>()
                == 1
        };
        for (name, _) in FUNCTIONS {
            assert!(is_told(name), "{name}");
        }
        for name in PROPERTIES.iter().take(3) {
            assert_eq!(count(Group::Record, name), 1, "{name}");
        }
        assert_eq!(MANIFEST.map(|(key, ..)| key), KEYS);
    }

    #[test]
    fn every_example_runs() {
        let decide = "  if ev.topic == \"警\" { warn(#{ level: \"黄\", score: 1, message: \"说明\" }); }\n  \
            if ev.topic == \"线\" { signal(#{ message: \"说明\" }); }\n  \
            if ev.topic == \"惩\" { sanction(#{ measures: [\"限制参与政府采购\"], partners: [\"甲\"], message: \"说明\" }); }";
        for word in WORDS {
            let text = if word.group == Group::Test {
                let test = format!(
                    "fn test_x() {{\n  let t = scenario();\n  {};\n}}",
                    word.example
                );
                rule("", decide, &test)
            } else {
                let body = format!("  let x = {};", word.example);
                let test = "fn test_x() {\n  let t = scenario();\n  t.add(\"complaint\", \"2026-06-01\", #{ topic: \"x\" });\n  t.at(\"2026-06-02\");\n  try { t.expect_none(); } catch (e) { if !e.contains(\"实际:2026\") { throw e; } }\n}";
                rule("", &body, test)
            };
            let reports = run_all(&load(&[("complaint/t.rhai", &text)]));
            let failed: Vec<_> = reports.iter().filter(|r| !r.is_passed()).collect();
            assert!(
                failed.is_empty() && reports.len() == 1,
                "{}: {failed:#?}",
                word.example
            );
        }
    }

    #[test]
    fn notes_give_values_and_units() {
        let of = |name: &str| values(FIELDS.iter().find(|spec| spec.name == name).unwrap());
        assert_eq!(of("amount"), ["元"]);
        assert_eq!(
            of("list_type"),
            ["abnormal", "serious", "executee", "other"]
        );
        assert_eq!(of("gravity"), ["轻微", "一般", "严重"]);
        assert!(of("complainant").is_empty());
    }
}

//! What the check refuses before a rule runs: code, place, message, help.

use super::*;
use expect_test::{Expect, expect};

/// A body that says something.
const SPEAKS: &str = "  warn(#{ level: \"黄\", score: 1, message: \"x\" });";

fn check(manifest: &str, body: &str, expected: &Expect) {
    expected.assert_eq(&wrong(manifest, body, ""));
}

#[test]
fn names_that_do_not_exist() {
    check(
        "",
        "  if who.count(\"complant\", \"7d\") > 1 { return; }",
        &expect!["unknown-stream 7:16 没有名为“complant”的数据流 | 是不是想写 complaint?"],
    );
    check(
        "",
        "  let n = who.distinct(\"complaint\", \"problem_typ\", \"7d\");",
        &expect![
            "unknown-field 7:37 投诉举报(complaint)没有字段 problem_typ | 是不是想写 problem_type?"
        ],
    );
    check(
        "",
        "  let n = who.sum(\"complaint\", \"topic\", \"7d\");",
        &expect![
            "not-a-number 7:32 字段 topic(主题)是文本,不能求和 | 求和要用数的字段;数几种不同的值用 who.distinct,数几条用 who.count"
        ],
    );
    check(
        "",
        "  let n = who.cuont(\"complaint\", \"7d\");",
        &expect!["unknown-method 7:15 who 没有方法 cuont | 是不是想写 count?"],
    );
    check(
        "",
        "  let n = who.count(\"complaint\");",
        &expect![
            "wrong-arguments 7:15 count 应有 2 或 3 个参数,这里有 1 个 | 各个函数怎么写,见指南的函数表"
        ],
    );
    check(
        "",
        "  let n = wroking_days(ev.time, who.now);",
        &expect![
            "unknown-function 7:11 没有函数 wroking_days(参数 2 个) | 是不是想写 working_days?"
        ],
    );
}

#[test]
fn fields_and_properties_that_do_not_exist() {
    check(
        "",
        "  let n = count(who, \"complaint\", \"7d\");",
        &expect!["unknown-function 7:11 没有函数 count | 请写作 who.count(…)"],
    );
    check(
        "",
        "  if ev.problem_typ == \"x\" { return; }",
        &expect!["unknown-field 7:9 投诉举报没有字段 problem_typ | 是不是想写 problem_type?"],
    );
    check(
        "",
        "  if ev.valid_to == () { return; }",
        &expect!["unknown-field 7:9 投诉举报没有字段 valid_to | 有这个字段的是行政许可"],
    );
    check(
        "",
        "  if who.nam == \"x\" { return; }",
        &expect!["unknown-property 7:10 who 没有属性 nam | 是不是想写 name?"],
    );
    check(
        "params: #{ window: \"7d\" },",
        "  let n = who.count(\"complaint\", p.windw);",
        &expect!["unknown-param 7:36 RULE.params 里没有 windw | 是不是想写 window?"],
    );
    check(
        "",
        "  let n = who.list(\"complaint\", \"7d\").filter(|x| x.topik == \"a\");",
        &expect!["unknown-field 7:52 没有字段 topik | 是不是想写 topic?"],
    );
    check(
        "",
        "  let n = who.list(\"complaint\", \"7d\").fliter(|x| x.topic == \"a\");",
        &expect!["unknown-method 7:39 没有方法 fliter | 是不是想写 filter?"],
    );
    check(
        "",
        "  let n = who.count(\"complaint\", \"7d\", #{ topik: \"a\" });",
        &expect!["unknown-field 7:43 投诉举报(complaint)没有字段 topik | 是不是想写 topic?"],
    );
    check(
        "",
        "  let n = cuont + 1;",
        &expect![
            "unknown-variable 7:11 没有变量 cuont | 变量要先用 let 定义;函数里只看得到自己的参数"
        ],
    );
}

#[test]
fn windows_levels_and_measures() {
    check(
        "history: \"30d\",",
        "  let n = who.count(\"complaint\", \"90d\");",
        &expect![[
            r#"window-too-long 7:34 时间窗 90d 比规则的 history(30 天)长 | 请把 history 写到 "90d" 以上"#
        ]],
    );
    check(
        "history: \"30d\", params: #{ w: \"90d\" },",
        "  let n = who.count(\"complaint\", p.w);",
        &expect![[
            r#"window-too-long 7:34 时间窗 90d 比规则的 history(30 天)长 | 请把 history 写到 "90d" 以上"#
        ]],
    );
    check(
        "history: \"30d\",",
        "  let w = \"90d\";\n  let n = who.count(\"complaint\", w);",
        &expect![[
            r#"window-too-long 8:34 时间窗 90d 比规则的 history(30 天)长 | 请把 history 写到 "90d" 以上"#
        ]],
    );
    check(
        "history: \"0d\",",
        "  let n = who.last(\"complaint\");",
        &expect![[
            r#"no-history 7:15 last 要在 history 之内往回看,而这条规则的 history 是 0d | 请在 RULE 里写上 history,如 "365d""#
        ]],
    );
    check(
        "",
        "  let n = who.count(\"complaint\", \"7y\");",
        &expect!["bad-span 7:34 “7y”不是时间窗 | 应写作 7d(天)、24h(小时)、2w(周)"],
    );
    check(
        "",
        "  let s = ev.stream;\n  let n = who.count(s, \"7d\");",
        &expect![[
            r#"not-literal 8:21 数据流的名字应直接写出 | 写作 "complaint",或 p.名字(写在 params 里)"#
        ]],
    );
    check(
        "",
        "  warn(#{ level: if 1 > 2 { \"红\" } else { \"赤\" }, score: 1, mesage: \"x\" });",
        &expect![[r#"
            unknown-level 7:42 预警级别“赤”无效 | 应为 红、橙、黄、蓝 之一
            unknown-argument 7:59 warn 没有参数“mesage” | 是不是想写 message?"#]],
    );
    check(
        "",
        "  sanction(#{ measures: [\"限制高消费\"], partners: [], message: \"x\" });",
        &expect![
            "unknown-measure 7:26 惩戒措施“限制高消费”不在 measures.toml 中 | 是不是想写 限制消费?"
        ],
    );
}

#[test]
fn manifests() {
    check(
        "on: [\"complaint\", \"inspektion\"],",
        "",
        &expect!["unknown-stream 4:21 没有名为“inspektion”的数据流 | 是不是想写 inspection?"],
    );
    check(
        "stauts: \"draft\",",
        "",
        &expect!["bad-manifest 4:3 RULE 没有“stauts”这一项 | 是不是想写 status?"],
    );
    check(
        "status: \"live\",",
        "",
        &expect![
            "bad-manifest 4:3 状态“live”无效 | 应为 draft(草稿)、shadow(影子)、active(启用)、retired(停用)之一"
        ],
    );
    check(
        "dimension: \"none\",",
        "",
        &expect![
            "unknown-dimension 4:14 scoring.toml 没有维度“none” | 可用的有 complaint、department、inspection、licence、list、penalty、region、relation"
        ],
    );
    check(
        "cooldown: \"7 days\",",
        "",
        &expect!["bad-span 4:3 cooldown 的“7 days”不是时间长度 | 应写作 90d、24h、2w、30m"],
    );
    check(
        "subject: [\"enterprise\", \"region\"],",
        "",
        &expect![
            "bad-manifest 4:3 一条规则不能既研判个体(企业等)又研判群体(区域、行业、部门) | 请分成两条规则"
        ],
    );
    check(
        "subject: \"enterprize\",",
        "",
        &expect!["unknown-subject 4:12 没有名为“enterprize”的主体类型 | 是不是想写 enterprise?"],
    );
    check(
        "by: [\"industry\"],",
        "",
        &expect![[
            r#"bad-manifest 4:3 by 只用于群体主体(区域、行业、部门) | 个体的规则不写 by;要按区域分组就写 subject: "region""#
        ]],
    );
    check(
        "params: #{ x: 1 + ev },",
        "",
        &expect![
            "unknown-variable 4:21 没有变量 ev | 变量要先用 let 定义;函数里只看得到自己的参数"
        ],
    );
    check(
        "subject: \"region\", by: [\"industri\"],",
        "",
        &expect!["unknown-field 4:27 投诉举报(complaint)没有字段“industri” | 是不是想写 industry?"],
    );
}

#[test]
fn rules_on_collectives() {
    let region = "subject: \"region\", by: [\"problem_type\"],";
    check(
        region,
        "  let n = who.last(\"complaint\");",
        &expect![
            "not-for-groups 7:15 群体主体(区域、行业、部门)只有按日计数,不能这样用 last | 可用 count、distinct、weekly_average、daily_average;分组用 by"
        ],
    );
    check(
        region,
        "  let n = who.count(\"complaint\", \"7d\", #{ topic: \"x\" });",
        &expect![
            "not-for-groups 7:15 群体主体(区域、行业、部门)只有按日计数,不能这样用 count | 可用 count、distinct、weekly_average、daily_average;分组用 by"
        ],
    );
    check(
        region,
        "  let n = who.count(\"complaint\", \"12h\");",
        &expect!["bad-span 7:34 群体主体按日计数,时间窗 12h 应为整日 | 如 1d、7d"],
    );
    check(
        region,
        "  let n = who.count(\"inspection\", \"7d\");",
        &expect![
            "unknown-field 7:15 by 的字段 problem_type 不属于监管检查(inspection) | 按它分组就数不到这个数据流"
        ],
    );
    check(
        region,
        "  let n = ev.topic;",
        &expect![
            "unknown-field 7:14 群体主体的规则只能读 by 里的字段,没有 topic | 可用的有 problem_type"
        ],
    );
}

#[test]
fn syntax_and_what_may_not_be_used() {
    check(
        "",
        "  let x = ;",
        &expect![
            "syntax 7:11 语法错误:Unexpected ';' | 检查这一处和它前面的括号、逗号、引号是否齐全"
        ],
    );
    check(
        "",
        "  if true { return;",
        &expect![
            "brace-open 7:11 这个 { 没有结束 | 这一行的 { 没有配对的 },请在它该结束的地方补上 }"
        ],
    );
    check(
        "",
        "  print(\"x\");",
        &expect!["forbidden 7:3 不能使用 print | 它是保留字,不能调用,也不能用作变量名"],
    );
    check(
        "",
        "  sleep(1);",
        &expect!["unknown-function 7:3 没有函数 sleep(参数 1 个) | 可用的函数见指南的函数表"],
    );
    check(
        "",
        "  let f = Fn(\"x\");",
        &expect!["forbidden 7:11 不能使用 Fn | 它是保留字,不能调用,也不能用作变量名"],
    );
}

#[test]
fn laws() {
    let text = |basis: &str| rule("", SPEAKS, "").replace("《中华人民共和国行政处罚法》", basis);
    let load = |basis: &str| match RuleSet::load(&sources(&[("complaint/t.rhai", &text(basis))])) {
        Ok(set) => set.warnings().to_vec(),
        Err(diagnostics) => diagnostics,
    };
    let render = |basis: &str| {
        load(basis)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    };
    expect![[r#"
        警告[no-tests]: 规则没有测试(fn test_…)
         --> complaint/t.rhai:2:1
          |
        2 | const RULE = #{ id: "T-1", name: "试验", owner: "信用监管处",
          | ^^^^^
          |
          = 提示: 至少写一个应预警的和一个不应预警的
        警告[repealed-law]: 《市场监督管理投诉举报处理暂行办法》已于 2026-04-15 废止
         --> complaint/t.rhai:3:11
          |
        3 |   basis: ["《市场监督管理投诉举报处理暂行办法》第十条"], on: ["complaint"], history: "365d",
          |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          |
          = 提示: 现行的是《市场监督管理投诉举报处理办法》;条款的编号可能变了,请核对后再改"#]].assert_eq(&render("《市场监督管理投诉举报处理暂行办法》第十条"));
    expect![[r#"
        警告[no-tests]: 规则没有测试(fn test_…)
         --> complaint/t.rhai:2:1
          |
        2 | const RULE = #{ id: "T-1", name: "试验", owner: "信用监管处",
          | ^^^^^
          |
          = 提示: 至少写一个应预警的和一个不应预警的
        错误[unknown-law]: 《市场监督管理投诉举报处理方法》不在 laws.toml 中
         --> complaint/t.rhai:3:11
          |
        3 |   basis: ["《市场监督管理投诉举报处理方法》"], on: ["complaint"], history: "365d",
          |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          |
          = 提示: 是不是想写《市场监督管理投诉举报处理办法》?"#]]
    .assert_eq(&render("《市场监督管理投诉举报处理方法》"));
    expect![[r#"
        警告[no-tests]: 规则没有测试(fn test_…)
         --> complaint/t.rhai:2:1
          |
        2 | const RULE = #{ id: "T-1", name: "试验", owner: "信用监管处",
          | ^^^^^
          |
          = 提示: 至少写一个应预警的和一个不应预警的
        错误[unknown-law]: 依据“上级要求”没有写出法规名称
         --> complaint/t.rhai:3:11
          |
        3 |   basis: ["上级要求"], on: ["complaint"], history: "365d",
          |           ^^^^^^^^^^
          |
          = 提示: 应写作 "《法规名称》第×条""#]]
    .assert_eq(&render("上级要求"));
}

fn loaded(files: &[(&str, &str)]) -> String {
    match RuleSet::load(&sources(files)) {
        Ok(_) => "loaded".to_owned(),
        Err(diagnostics) => diagnostics
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

#[test]
fn whole_sets() {
    let one = rule("", SPEAKS, "");
    expect![[r#"
        警告[no-tests]: 规则没有测试(fn test_…)
         --> a/x.rhai:2:1
          |
        2 | const RULE = #{ id: "T-1", name: "试验", owner: "信用监管处",
          | ^^^^^
          |
          = 提示: 至少写一个应预警的和一个不应预警的
        错误[duplicate-id]: 规则编号 T-1 也用在 a/y.rhai
         --> a/x.rhai:2:17
          |
        2 | const RULE = #{ id: "T-1", name: "试验", owner: "信用监管处",
          |                 ^^
          |
          = 提示: 规则编号在整个规则集里应唯一,请换一个没用过的
        警告[no-tests]: 规则没有测试(fn test_…)
         --> a/y.rhai:2:1
          |
        2 | const RULE = #{ id: "T-1", name: "试验", owner: "信用监管处",
          | ^^^^^
          |
          = 提示: 至少写一个应预警的和一个不应预警的
        错误[duplicate-id]: 规则编号 T-1 也用在 a/x.rhai
         --> a/y.rhai:2:17
          |
        2 | const RULE = #{ id: "T-1", name: "试验", owner: "信用监管处",
          |                 ^^
          |
          = 提示: 规则编号在整个规则集里应唯一,请换一个没用过的"#]]
    .assert_eq(&loaded(&[("a/x.rhai", &one), ("a/y.rhai", &one)]));
}

#[test]
fn sets_that_lack_something() {
    let one = rule("", SPEAKS, "");
    expect![[r#"
        错误[no-manifest]: 缺少 const RULE = #{ … }
        --> a/x.rhai
         = 提示: 至少写出 id、name、owner、basis、on"#]]
    .assert_eq(&loaded(&[("a/x.rhai", "fn decide(ev, who, p) { }")]));
    expect![[r#"
        错误[no-decide]: 缺少 fn decide(ev, who, p)
        --> a/x.rhai
         = 提示: 每条规则都要有 fn decide(ev, who, p)
        警告[no-tests]: 规则没有测试(fn test_…)
         --> a/x.rhai:2:1
          |
        2 | const RULE = #{ id: "T-1", name: "试验", owner: "信用监管处",
          | ^^^^^
          |
          = 提示: 至少写一个应预警的和一个不应预警的
        警告[unused-function]: 函数 decided 没有被用到
         --> a/x.rhai:6:24
          |
        6 | fn decided(ev, who, p) {
          |                        ^
          |
          = 提示: 测试的函数名要以 test_ 开头;用不到的请删去"#]]
    .assert_eq(&loaded(&[(
        "a/x.rhai",
        &one.replace("fn decide(ev, who, p)", "fn decided(ev, who, p)"),
    )]));
    expect![[r#"
        警告[no-tests]: 规则没有测试(fn test_…)
         --> a/x.rhai:2:1
          |
        2 | const RULE = #{ id: "T-1", name: "试验", owner: "信用监管处",
          | ^^^^^
          |
          = 提示: 至少写一个应预警的和一个不应预警的
        错误[statement-outside]: 规则文件的顶层只能有 const RULE 和函数
          --> a/x.rhai:11:1
           |
        11 | let y = 1;
           | ^^^
           |
           = 提示: 请把这一句移到 decide 里"#]]
    .assert_eq(&loaded(&[("a/x.rhai", &format!("{one}\nlet y = 1;"))]));
    let mut broken = sources(&[("a/x.rhai", &one)]);
    broken.calendar = "[year.2026]".to_owned();
    let message = RuleSet::load(&broken).unwrap_err()[0].message.clone();
    assert!(message.starts_with("calendar.toml 无法使用"), "{message}");
}

#[test]
fn what_a_call_is_made_on_cannot_be_used_inside_it() {
    check(
        "params: #{ words: [\"食品\"] },",
        "  if p.words.some(|w| p.words[0] == w) { return; }\n  \
         let rows = who.list(\"complaint\", \"7d\").filter(|x| x.time < who.now);",
        &expect![[r#"
            captured-receiver 7:23 闭包里用到了 p,而这次调用正是在 p 上发起的,执行时一定失败 | 先写 let x = p.…; 把要用的值取出来,再在闭包里用 x
            captured-receiver 8:62 闭包里用到了 who,而这次调用正是在 who 上发起的,执行时一定失败 | 先写 let x = who.…; 把要用的值取出来,再在闭包里用 x"#]],
    );
    // Taken out first, it can.
    check(
        "params: #{ words: [\"食品\"] },",
        "  let now = who.now;\n  let rows = who.list(\"complaint\", \"7d\").filter(|x| x.time < now && p.words.contains(x.topic ?? \"\"));",
        &expect![[""]],
    );
}

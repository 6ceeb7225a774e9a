//! Calls: questions to `who`, what a rule says, dates, the rule's own functions.

use super::Walker;
use super::env::{Env, path};
use super::methods::entries;
use super::operators::extreme;
use super::shape::{Kinds, Shape};
use super::{DEPTH_MAX, FOLLOWED_MAX, is_closure};
use crate::engine::rule::names::{Argument, Method};
use crate::engine::rule::says::{SANCTION_KEYS, SIGNAL_KEYS, WARN_KEYS};
use crate::engine::schema::{Field, Stream};
use crate::engine::subject::view::Level;
use crate::engine::time::DAY_MS;
use rhai::{Expr, FnCallExpr, Position};
use rust_decimal::Decimal;
use std::cmp::Ordering;

/// The lists that `who.on_list` knows.
const LISTS: [&str; 4] = ["abnormal", "serious", "executee", "other"];

const TEXT_OR_TIME: Kinds = Kinds::TEXT.or(Kinds::TIME);

/// What a function takes, in order, and in words.
fn wanted(name: &str) -> Option<(&'static [Kinds], &'static str)> {
    const TIME_TIME: &[Kinds] = &[TEXT_OR_TIME, TEXT_OR_TIME];
    const TIME_INT: &[Kinds] = &[TEXT_OR_TIME, Kinds::INT];
    const TIME: &[Kinds] = &[TEXT_OR_TIME];
    Some(match name {
        "working_days" => (TIME_TIME, "写作 working_days(早的时间, 晚的时间)"),
        "days_between" => (TIME_TIME, "写作 days_between(早的时间, 晚的时间)"),
        "add_days" => (TIME_INT, "写作 add_days(时间, 整数天数)"),
        "add_working_days" => (TIME_INT, "写作 add_working_days(时间, 整数天数)"),
        "is_working_day" => (TIME, "写作 is_working_day(时间)"),
        "year_start" => (TIME, "写作 year_start(时间)"),
        "check_on" => (
            TIME,
            "写作 check_on(时间),例如 check_on(add_days(ev.time, 7))",
        ),
        "date" => (&[Kinds::TEXT], "写作 date(\"2026-03-01\")"),
        _ => return None,
    })
}

impl Walker<'_> {
    /// `name(…)`
    pub(super) fn function_call(
        &mut self,
        call: &FnCallExpr,
        at: Position,
        env: &mut Env,
    ) -> Shape {
        let name = call.name.as_str();
        let is_told = matches!(name, "warn" | "signal" | "sanction");
        if let (true, Some(entries)) = (is_told, call.args.first().and_then(entries)) {
            self.says(name, entries, at, env);
            return Shape::unit();
        }
        let shapes: Vec<Shape> = call.args.iter().map(|a| self.expression(a, env)).collect();
        if let Some((kinds, help)) = wanted(name) {
            for ((shape, argument), wanted) in shapes.iter().zip(&call.args).zip(kinds) {
                self.refuse_argument((name, help), (shape, argument), *wanted);
                self.refuse_empty(shape, path(argument), argument.start_position());
                if wanted.has(Kinds::TIME) || name == "date" {
                    self.written_date(shape, argument.start_position());
                }
            }
        }
        if self.functions.contains_key(name) {
            return self.own_call(name, &shapes);
        }
        match (name, shapes.as_slice()) {
            ("working_days" | "days_between", _) => Shape::int(None, None),
            ("add_days" | "add_working_days" | "year_start" | "date", _) => Shape::of(Kinds::TIME),
            ("is_working_day", _) => Shape::bool(None),
            ("warn" | "signal" | "sanction" | "check_on", _) => Shape::unit(),
            ("scenario", _) => Shape::of(Kinds::OTHER),
            ("min", [a, b]) => extreme(Ordering::Less, a, b),
            ("max", [a, b]) => extreme(Ordering::Greater, a, b),
            ("abs" | "round" | "floor" | "ceiling" | "len" | "is_empty", [a, ..]) => {
                super::methods::given(name, a)
            }
            _ => Shape::any(),
        }
    }

    fn written_date(&mut self, shape: &Shape, at: Position) {
        if let Some(text) = shape.text()
            && crate::engine::time::EventTime::parse(text).is_none()
        {
            let message = format!("“{text}”不是日期");
            self.error(
                "bad-date",
                at,
                message,
                "应写作 2026-03-01 或 2026-03-01 08:30",
            );
        }
    }

    fn refuse_argument(
        &mut self,
        (function, help): (&str, &str),
        (shape, argument): (&Shape, &Expr),
        wanted: Kinds,
    ) {
        if shape.kinds.is_none() || shape.kinds.has(wanted) || shape.kinds == Kinds::UNIT {
            return;
        }
        let message = format!(
            "{function} 这里需要{},而不是{}",
            wanted.title(),
            shape.kinds.title()
        );
        self.error("wrong-type", argument.start_position(), message, help);
    }

    fn own_call(&mut self, name: &str, arguments: &[Shape]) -> Shape {
        let functions = self.functions;
        let Some(function) = functions.get(name).filter(|_| !is_closure(name)) else {
            return Shape::any();
        };
        if function.params.len() != arguments.len() {
            return Shape::any();
        }
        let joined = match self.called.get(name) {
            Some(before) => before
                .iter()
                .zip(arguments)
                .map(|(a, b)| a.join(b))
                .collect(),
            None => arguments.to_vec(),
        };
        self.called.insert(name.to_owned(), joined);
        if DEPTH_MAX <= self.depth || FOLLOWED_MAX <= self.followed {
            return Shape::any();
        }
        self.depth += 1;
        self.followed += 1;
        self.muted += 1;
        let given = self.function(function, arguments);
        self.muted -= 1;
        self.depth -= 1;
        given
    }

    /// `who.count(…)` and the other questions: the kinds of what is passed, and what comes back.
    pub(super) fn question(&mut self, row: &Method, call: &FnCallExpr, env: &mut Env) -> Shape {
        let mut stream = row.reads;
        let mut asked = None;
        for (argument, value) in row.arguments.iter().zip(&call.args) {
            let shape = self.expression(value, env);
            if *argument == Argument::Stream {
                stream = shape.text().and_then(Stream::by_name);
            }
            let (kinds, help) = match argument {
                Argument::Filter => (Kinds::MAP, "筛选条件写作 #{ 字段: 值 }"),
                Argument::Span => (Kinds::TEXT, "时间窗要加引号,写作 \"30d\""),
                _ => (Kinds::TEXT, "名字要加引号,写作 \"complaint\""),
            };
            self.refuse_argument((row.name, help), (&shape, value), kinds);
            self.refuse_empty(&shape, path(value), value.start_position());
            if let (Argument::Filter, Some(stream), Some(entries)) =
                (argument, stream, entries(value))
            {
                self.filter(stream, entries, env);
                asked = Some(entries);
            }
            if matches!(row.name, "on_list" | "list_entry")
                && let Some(list) = shape.text().filter(|list| !LISTS.contains(list))
            {
                let message = format!("没有名为“{list}”的名录");
                let help = format!(
                    "可用的有 {};abnormal 经营异常、serious 严重违法、executee 失信被执行人",
                    LISTS.join("、")
                );
                self.error("unknown-list", value.position(), message, help);
            }
        }
        let mut answer = self.answer(row.name, stream);
        // What was asked for is there.
        let filled = asked.map(|entries| {
            let names = entries.iter().map(|(key, _)| key.name.to_string());
            let filled = names.filter_map(|n| Shape::field(&n).map(|shape| (n, shape.filled())));
            filled.collect::<Vec<_>>()
        });
        match answer.items.as_deref_mut() {
            Some(item) => item.entries = filled,
            None if answer.kinds.has(Kinds::RECORD) => answer.entries = filled,
            None => {}
        }
        answer
    }

    fn answer(&self, method: &str, stream: Option<Stream>) -> Shape {
        let of_stream: Vec<Stream> = stream.into_iter().collect();
        let not_negative = Some(Decimal::ZERO);
        match method {
            "count" | "distinct" | "count_by" => Shape::int(Some(0), None),
            "sum" => Shape::of(Kinds::DECIMAL),
            "weekly_average" | "daily_average" => Shape {
                low: not_negative,
                ..Shape::of(Kinds::DECIMAL)
            },
            "list" | "licences" => Shape::list(Shape::record(&of_stream)),
            "last" | "licence" | "list_entry" | "registry" => Shape::record(&of_stream).or_unit(),
            "days_since" => {
                let days = self.manifest.history_ms / DAY_MS;
                let is_bound = 0 < days && stream.is_some_and(|stream| !stream.is_standing());
                // A window reaches into the day on which it begins.
                Shape::int(Some(0), is_bound.then_some(days + 1)).or_unit()
            }
            "on_list" | "has_tag" => Shape::bool(None),
            _ => Shape::any(),
        }
    }

    /// `#{ field: value }`: the values are of the fields' kinds.
    pub(super) fn filter(
        &mut self,
        stream: Stream,
        entries: &[(rhai::Ident, Expr)],
        env: &mut Env,
    ) {
        for (key, value) in entries {
            let shape = self.expression(value, env);
            let Some(field) = Field::of(stream, &key.name) else {
                continue;
            };
            let field_type = field.spec().field_type;
            let mut kinds = Kinds::of_field(field_type);
            let mut held = &shape;
            if kinds.has(Kinds::DECIMAL) {
                kinds = kinds.or(Kinds::INT);
            }
            if kinds.has(Kinds::LIST.or(Kinds::TIME)) {
                kinds = kinds.or(Kinds::TEXT);
            }
            let any_of = shape.kinds.is_within(Kinds::LIST) && !self.in_test;
            if any_of {
                let Some(items) = &shape.items else { continue };
                held = items;
            }
            let is_unset = self.in_test && held.kinds.has(Kinds::UNIT);
            self.refuse_empty(held, path(value), value.start_position());
            if !held.kinds.has(kinds) && !held.kinds.is_none() && !is_unset {
                let message = format!(
                    "字段 {}({})是{},这里给的是{}",
                    field.name(),
                    field.spec().title,
                    field_type.title(),
                    held.kinds.title()
                );
                let help = match kinds {
                    k if k.has(Kinds::BOOL) => "写 true 或 false,不加引号",
                    k if k.has(Kinds::NUMBER) => "数不加引号",
                    _ => "文字要加引号",
                };
                self.error("type-mismatch", value.start_position(), message, help);
                continue;
            }
            for text in held.texts.clone().into_iter().flatten() {
                self.value_of_field(field.name(), &text, value.start_position());
            }
        }
    }

    /// `warn(#{ … })` and its like: what must be there is, and is of the right kind.
    fn says(
        &mut self,
        function: &str,
        entries: &[(rhai::Ident, Expr)],
        at: Position,
        env: &mut Env,
    ) {
        let (needed, known): (&[&str], &[&str]) = match function {
            "warn" => (&WARN_KEYS[..3], &WARN_KEYS),
            "signal" => (&SIGNAL_KEYS[1..2], &SIGNAL_KEYS),
            _ => (&SANCTION_KEYS[..3], &SANCTION_KEYS),
        };
        let is_misspelt = entries
            .iter()
            .any(|(k, _)| !known.contains(&k.name.as_str()));
        for key in needed {
            if is_misspelt {
                break;
            }
            if !entries.iter().any(|(k, _)| k.name == *key) {
                let message = format!("{function} 缺少 {key}");
                let help = match *key {
                    "level" => "级别写作 level: \"黄\",可用红、橙、黄、蓝",
                    "score" => "风险分写作 score: 20,0 到 100",
                    "message" => "说明写作 message: `…`,写明看到的数",
                    "measures" => "措施写作 measures: [\"…\"],须在 measures.toml 里",
                    _ => "协同部门写作 partners: [\"…\"]",
                };
                self.error("missing-argument", at, message, help);
            }
        }
        for (key, value) in entries {
            let shape = self.expression(value, env);
            let place = value.start_position();
            match key.name.as_str() {
                "level" => {
                    let help = "级别写作 level: \"黄\",可用红、橙、黄、蓝";
                    self.refuse_argument(("level", help), (&shape, value), Kinds::TEXT);
                    let bad = shape.texts.iter().flatten();
                    if let Some(bad) = bad.into_iter().find(|t| Level::by_name(t).is_none()) {
                        let message = format!("预警级别“{bad}”无效");
                        self.error("unknown-level", place, message, "应为 红、橙、黄、蓝 之一");
                    }
                }
                "score" => self.bounded(
                    (key, value),
                    &shape,
                    [0, 100],
                    "风险分是 0 到 100 的数,不加引号",
                ),
                "months" => {
                    self.bounded((key, value), &shape, [1, 120], "期限是 1 到 120 个月的整数");
                }
                "message" | "suggest" => {
                    let help = "写作一句话:`近30天 ${n} 件`";
                    self.refuse_argument((&key.name, help), (&shape, value), Kinds::TEXT);
                }
                "review" => {
                    let help = "写 true 或 false,不加引号";
                    self.refuse_argument(("review", help), (&shape, value), Kinds::BOOL);
                }
                "evidence" => {
                    let help =
                        "写 who.list(…)、who.last(…) 得到的记录,或干脆不写:看过的记录自动成为证据";
                    let kinds = Kinds::LIST.or(Kinds::RECORD).or(Kinds::UNIT);
                    self.refuse_argument(("evidence", help), (&shape, value), kinds);
                }
                _ => {}
            }
        }
    }

    fn bounded(
        &mut self,
        (key, value): (&rhai::Ident, &Expr),
        shape: &Shape,
        [low, high]: [i64; 2],
        help: &str,
    ) {
        self.refuse_argument((&key.name, help), (shape, value), Kinds::NUMBER);
        let is_below = shape.high.is_some_and(|most| most < low.into());
        let is_above = shape.low.is_some_and(|least| Decimal::from(high) < least);
        if is_below || is_above {
            let message = format!("{} 超出 {low} 到 {high}", key.name);
            self.error("out-of-range", value.start_position(), message, help);
        }
    }
}

//! The part of the analysis that reads questions to `who`: streams, fields, windows, filters.

use super::analyse::Analysis;
use super::diagnostic::Help;
use super::manifest::help;
use super::names::{Argument, Method, nearest};
use crate::engine::schema::{Field, FieldType, Stream};
use crate::engine::time::{DAY_MS, parse_span_ms};
use rhai::{Expr, FnCallExpr, Position};

impl Analysis<'_, '_> {
    /// A question to `who`: its stream, fields and window.
    pub(super) fn question(&mut self, row: &Method, call: &FnCallExpr, at: Position) {
        if self.manifest.is_collective() && !row.is_for_groups {
            let message = format!(
                "群体主体(区域、行业、部门)只有按日计数,不能这样用 {}",
                row.name
            );
            let help = "可用 count、distinct、weekly_average、daily_average;分组用 by";
            self.report.error("not-for-groups", at, message, help);
            return;
        }
        let mut stream = row.reads;
        for (argument, value) in row.arguments.iter().zip(&call.args) {
            match argument {
                Argument::Stream => stream = self.stream(value),
                Argument::Field | Argument::Number => {
                    let Some(stream) = stream else { continue };
                    if let Some(field) = self.field(stream, value, *argument)
                        && row.name == "distinct"
                    {
                        self.reads.distinct.insert((stream, field));
                    }
                }
                Argument::Span => self.span(stream, value),
                Argument::Filter => {
                    if let (Some(stream), Expr::Map(map, _)) = (stream, value) {
                        self.known_fields(stream, &map.0);
                    }
                }
                Argument::Text => {}
            }
        }
        let Some(stream) = stream else { return };
        self.reads.streams.insert(stream);
        let looks_back = matches!(row.name, "last" | "days_since");
        if looks_back && !stream.is_standing() && self.manifest.history_ms == 0 {
            let message = format!(
                "{} 要在 history 之内往回看,而这条规则的 history 是 0d",
                row.name
            );
            self.report.error(
                "no-history",
                at,
                message,
                "请在 RULE 里写上 history,如 \"365d\"",
            );
        }
        for field in &self.manifest.by {
            if !field.spec().is_of(stream) {
                let message = format!(
                    "by 的字段 {} 不属于{}({})",
                    field.name(),
                    stream.title(),
                    stream.name()
                );
                self.report
                    .error("unknown-field", at, message, "按它分组就数不到这个数据流");
            }
        }
    }

    fn stream(&mut self, value: &Expr) -> Option<Stream> {
        let at = value.start_position();
        let Some(name) = self.literal(value) else {
            let help = "写作 \"complaint\",或 p.名字(写在 params 里)";
            self.report
                .error("not-literal", at, "数据流的名字应直接写出", help);
            return None;
        };
        let stream = Stream::by_name(&name);
        if stream.is_none() {
            let names = Stream::ALL.iter().map(|stream| stream.name());
            let message = format!("没有名为“{name}”的数据流");
            self.report
                .error("unknown-stream", at, message, help(&name, names));
        }
        stream
    }

    fn field(&mut self, stream: Stream, value: &Expr, argument: Argument) -> Option<Field> {
        let at = value.start_position();
        let Some(name) = self.literal(value) else {
            let help = "写作 \"amount\",或 p.名字(写在 params 里)";
            self.report
                .error("not-literal", at, "字段的名字应直接写出", help);
            return None;
        };
        let Some(field) = Field::of(stream, &name) else {
            let message = format!("{}({})没有字段 {name}", stream.title(), stream.name());
            let names = Field::all_of(stream).map(Field::name);
            let help = Help::near(&name, nearest(&name, names), super::analyse::owners(&name));
            self.report.error("unknown-field", at, message, help);
            return None;
        };
        let is_number = matches!(field.spec().field_type, FieldType::Int | FieldType::Decimal);
        if argument == Argument::Number && !is_number {
            let title = field.spec().field_type.title();
            let message = format!("字段 {name}({})是{title},不能求和", field.spec().title);
            let help = "求和要用数的字段;数几种不同的值用 who.distinct,数几条用 who.count";
            self.report.error("not-a-number", at, message, help);
        }
        Some(field)
    }

    fn span(&mut self, stream: Option<Stream>, value: &Expr) {
        let Some(span) = self.literal(value) else {
            return;
        };
        let at = value.start_position();
        let Some(ms) = parse_span_ms(&span) else {
            let message = format!("“{span}”不是时间窗");
            self.report
                .error("bad-span", at, message, "应写作 7d(天)、24h(小时)、2w(周)");
            return;
        };
        let history = self.manifest.history_ms;
        if history < ms && stream.is_some_and(|stream| !stream.is_standing()) {
            let message = format!("时间窗 {span} 比规则的 history({} 天)长", history / DAY_MS);
            let help = format!("请把 history 写到 \"{span}\" 以上");
            self.report.error("window-too-long", at, message, help);
        }
        if self.manifest.is_collective() && ms % DAY_MS != 0 {
            let message = format!("群体主体按日计数,时间窗 {span} 应为整日");
            self.report.error("bad-span", at, message, "如 1d、7d");
        }
    }

    pub(super) fn added(&mut self, call: &FnCallExpr) {
        let Some(value @ Expr::StringConstant(..)) = call.args.first() else {
            return;
        };
        if let (Some(stream), Some(Expr::Map(map, _))) = (self.stream(value), call.args.get(2)) {
            self.known_fields(stream, &map.0);
        }
    }

    pub(super) fn known_fields(&mut self, stream: Stream, entries: &[(rhai::Ident, Expr)]) {
        for (key, _) in entries {
            let name = key.name.as_str();
            if Field::of(stream, name).is_none() {
                let message = format!("{}({})没有字段 {name}", stream.title(), stream.name());
                let names = Field::all_of(stream).map(Field::name);
                let help = Help::near(name, nearest(name, names), super::analyse::owners(name));
                self.report.error("unknown-field", key.pos, message, help);
            }
        }
    }
}

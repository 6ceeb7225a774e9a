//! Expressions: what comes out, and what is wrong on the way.

use super::Walker;
use super::conditions::comparison_of;
use super::env::{Env, path};
use super::operators::arithmetic;
use super::shape::{Kinds, Shape};
use crate::engine::rule::diagnostic::Help;
use crate::engine::schema::Field;
use rhai::{ASTFlags, Expr, FnCallExpr, FnPtr, Position, Stmt};

impl Walker<'_> {
    /// What the expression can come out as.
    pub(super) fn expression(&mut self, expression: &Expr, env: &mut Env) -> Shape {
        let shape = self.evaluated(expression, env);
        match path(expression).and_then(|path| env.shown(&path).cloned()) {
            Some(shown) => shown,
            None => shape,
        }
    }

    fn evaluated(&mut self, expression: &Expr, env: &mut Env) -> Shape {
        match expression {
            Expr::InterpolatedString(parts, _) => {
                for part in parts {
                    self.expression(part, env);
                }
                Shape::of(Kinds::TEXT)
            }
            Expr::Array(items, _) => {
                let shapes: Vec<Shape> = items.iter().map(|i| self.expression(i, env)).collect();
                let varies = shapes.iter().any(|shape| shape.varies);
                let items = shapes.into_iter().reduce(|a, b| a.join(&b));
                Shape {
                    items: items.map(Box::new),
                    varies,
                    ..Shape::of(Kinds::LIST)
                }
            }
            Expr::Map(parts, _) => {
                let entries = parts.0.iter();
                let entries: Vec<(String, Shape)> = entries
                    .map(|(key, value)| (key.name.to_string(), self.expression(value, env)))
                    .collect();
                Shape {
                    entries: Some(entries),
                    ..Shape::of(Kinds::MAP)
                }
            }
            Expr::Variable(parts, ..) => env.variable(&parts.1).cloned().unwrap_or_else(Shape::any),
            Expr::Stmt(block) => {
                if closure(expression).is_some() {
                    return Shape::of(Kinds::OTHER);
                }
                self.block(block.statements(), env)
            }
            Expr::FnCall(call, at) => self.call(call, *at, env),
            Expr::Dot(..) | Expr::Index(..) => self.chain(expression, env),
            Expr::And(..) | Expr::Or(..) => {
                let (yes, no) = self.condition(expression, env, "&& 和 || 的两边");
                *env = yes.join(no);
                Shape::bool(None)
            }
            Expr::Coalesce(parts, _) => self.coalesce(parts, env),
            other => match other.get_literal_value(None) {
                Some(value) if value.is_fnptr() => Shape::of(Kinds::OTHER),
                Some(value) => Shape::literal(&value),
                None => Shape::any(),
            },
        }
    }

    /// `a ?? b`: what `a` is where it is there, else `b`.
    fn coalesce(&mut self, parts: &[Expr], env: &mut Env) -> Shape {
        let Some((first, rest)) = parts.split_first() else {
            return Shape::any();
        };
        let shape = self.expression(first, env);
        if rest.is_empty() || !shape.kinds.has(Kinds::UNIT) {
            return shape;
        }
        let mut otherwise = env.clone();
        let other = self.coalesce(rest, &mut otherwise);
        if let Some(path) = path(first) {
            env.show(&path, shape.clone().filled());
        }
        let is_over = otherwise.is_dead;
        *env = env.clone().join(otherwise);
        if is_over {
            return shape.filled();
        }
        shape.filled().join(&other)
    }

    /// A call of an operator or a function.
    pub(super) fn call(&mut self, call: &FnCallExpr, at: Position, env: &mut Env) -> Shape {
        if call.op_token.is_none() {
            return self.function_call(call, at, env);
        }
        let shapes: Vec<Shape> = call.args.iter().map(|a| self.expression(a, env)).collect();
        match (call.args.as_slice(), shapes.as_slice()) {
            ([left, right], [a, b]) => {
                if let Some(comparison) = comparison_of(call) {
                    return self.comparison(comparison, [(a, left), (b, right)], at);
                }
                match call.name.as_str() {
                    "+" | "-" | "*" | "/" | "%" | "**" => {
                        self.arithmetic(&call.name, (a, left), (b, right), at)
                    }
                    "&" | "|" | "^" => self.bitwise(call, [a, b], at),
                    ".." | "..=" => Shape::of(Kinds::OTHER),
                    "contains" => Shape::bool(None),
                    _ => Shape::any(),
                }
            }
            ([only], [a]) => {
                if call.name == "!" {
                    self.refuse_no_condition(a, only, "!");
                    return Shape::bool(a.truth.map(|truth| !truth));
                }
                if call.name == "-" && !a.kinds.has(Kinds::NUMBER) && !a.kinds.is_none() {
                    let message = format!("{}前面不能加负号", a.kinds.title());
                    self.error("bad-operation", at, message, "");
                    return Shape::any();
                }
                Shape {
                    low: a.high.map(|high| -high),
                    high: a.low.map(|low| -low),
                    ..a.clone()
                }
            }
            _ => Shape::any(),
        }
    }

    /// `a & b`, which is not `a && b` and joins no texts.
    fn bitwise(&mut self, call: &FnCallExpr, [a, b]: [&Shape; 2], at: Position) -> Shape {
        let both = a.kinds.and(b.kinds);
        if both.has(Kinds::INT.or(Kinds::BOOL)) {
            return Shape::of(both);
        }
        let message = format!(
            "{}和{}不能用 {} 计算",
            a.kinds.title(),
            b.kinds.title(),
            call.name
        );
        let help = "并且写 &&,或者写 ||;文字拼接写 `… ${变量} …`";
        self.error("bad-operation", at, message, help);
        Shape::any()
    }

    /// `a operator b`
    pub(super) fn arithmetic(
        &mut self,
        operator: &str,
        (a, left): (&Shape, &Expr),
        (b, right): (&Shape, &Expr),
        at: Position,
    ) -> Shape {
        if a.kinds.is_none() || b.kinds.is_none() {
            return Shape::any();
        }
        let Some(shape) = arithmetic(operator, a, b) else {
            let kinds = [a, b].map(|s| s.kinds.without(Kinds::UNIT));
            let is_time = kinds.iter().any(|kinds| kinds.is_within(Kinds::TIME));
            let help = if is_time && operator == "-" {
                "相差几天写 days_between(早, 晚);几个工作日写 working_days(早, 晚)"
            } else if is_time {
                "几天以后写 add_days(时间, 天数);几个工作日以后写 add_working_days(时间, 天数)"
            } else {
                "只有数可以加减乘除;文字拼接写 `… ${变量} …`"
            };
            let titles = [a, b].map(|s| s.kinds.title());
            let message = format!("{}和{}不能用 {operator} 计算", titles[0], titles[1]);
            self.error("bad-operation", at, message, help);
            return Shape::any();
        };
        let joins_text = operator == "+" && (a.kinds.or(b.kinds)).has(Kinds::TEXT);
        if !joins_text {
            self.refuse_empty(a, path(left), left.start_position());
            self.refuse_empty(b, path(right), right.start_position());
        }
        if operator == "/" && a.kinds == Kinds::INT && b.kinds == Kinds::INT && !self.in_test {
            let help = match b.number() {
                Some(number) => {
                    format!("要小数就写 / {number}.0;确实要舍去小数的,写 (… / {number}.0).floor()")
                }
                None => "要小数就先乘 1.0;确实要舍去小数的,写 (… * 1.0 / …).floor()".to_owned(),
            };
            let message = "整数除以整数会舍去小数".to_owned();
            self.warning("whole-division", at, message, help);
        }
        if matches!(operator, "/" | "%") && b.number().is_some_and(|n| n.is_zero()) {
            self.error("bad-operation", at, "不能除以 0".to_owned(), "");
        }
        shape
    }

    /// `a.b.c(d)[e]`
    fn chain(&mut self, expression: &Expr, env: &mut Env) -> Shape {
        let (parts, flags, is_index) = match expression {
            Expr::Dot(parts, flags, _) => (parts, *flags, false),
            Expr::Index(parts, flags, _) => (parts, *flags, true),
            _ => return Shape::any(),
        };
        let base = self.expression(&parts.lhs, env);
        let mut walked = path(&parts.lhs);
        let mut shape = base;
        let mut rest = &parts.rhs;
        let (mut flags, mut is_index) = (flags, is_index);
        loop {
            let (link, next) = match rest {
                Expr::Dot(parts, f, _) if !flags.contains(ASTFlags::BREAK) => {
                    (&parts.lhs, Some((&parts.rhs, *f, false)))
                }
                Expr::Index(parts, f, _) if !flags.contains(ASTFlags::BREAK) => {
                    (&parts.lhs, Some((&parts.rhs, *f, true)))
                }
                other => (other, None),
            };
            let is_safe = flags.contains(ASTFlags::NEGATED);
            let skips = is_safe && shape.kinds.has(Kinds::UNIT);
            if skips {
                shape = shape.filled();
            }
            shape = if is_index {
                self.item(&shape, link, env)
            } else {
                self.link(&shape, link, walked.clone(), env)
            };
            if skips {
                shape = shape.or_unit();
            }
            walked = walked.and_then(|walked| extended(&walked, link, is_index));
            if let Some(shown) = walked.as_ref().and_then(|path| env.shown(path)) {
                shape = shown.clone();
            }
            match next {
                Some((next, f, index)) => (rest, flags, is_index) = (next, f, index),
                None => return shape,
            }
        }
    }

    fn item(&mut self, list: &Shape, index: &Expr, env: &mut Env) -> Shape {
        let at = self.expression(index, env);
        if list.kinds.is_within(Kinds::LIST.or(Kinds::UNIT)) {
            if !at.kinds.has(Kinds::INT) {
                let message = format!("列表的下标应为整数,这里是{}", at.kinds.title());
                self.error(
                    "bad-index",
                    index.position(),
                    message,
                    "第一项是 [0],最后一项是 [列表.len() - 1]",
                );
            }
            return list.items.as_deref().cloned().unwrap_or_else(Shape::any);
        }
        Shape::any()
    }

    fn link(
        &mut self,
        receiver: &Shape,
        link: &Expr,
        walked: Option<String>,
        env: &mut Env,
    ) -> Shape {
        match link {
            Expr::Property(property, at) => self.property(receiver, &property.2, walked, *at),
            Expr::MethodCall(call, at) => self.method_call(receiver, (call, *at), walked, env),
            _ => Shape::any(),
        }
    }

    fn property(
        &mut self,
        receiver: &Shape,
        name: &str,
        walked: Option<String>,
        at: Position,
    ) -> Shape {
        let is_who = receiver.kinds == Kinds::OTHER;
        let kinds = receiver.kinds;
        if kinds.is_none() || (kinds.has(Kinds::OTHER) && !is_who) {
            return Shape::field(name).map_or_else(Shape::any, |_| Shape::any());
        }
        if is_who {
            return match name {
                "now" => Shape::of(Kinds::TIME),
                "kind" => Shape::one_of(self.manifest.subjects.iter().map(|kind| kind.name())),
                "name" | "key" => Shape::of(Kinds::TEXT),
                _ => Shape::any(),
            };
        }
        self.refuse_empty(receiver, walked, at);
        if kinds.has(Kinds::RECORD) {
            return self.field_of(receiver, name, at);
        }
        if kinds.has(Kinds::MAP) {
            let entries = receiver.entries.iter().flatten();
            let mut found = entries.filter(|(key, _)| key == name);
            return found
                .next()
                .map_or_else(Shape::any, |(_, shape)| shape.clone());
        }
        if kinds.has(Kinds::TIME) {
            return match name {
                "year" => Shape::int(Some(1), Some(9999)),
                "month" => Shape::int(Some(1), Some(12)),
                "day" => Shape::int(Some(1), Some(31)),
                "hour" => Shape::int(Some(0), Some(23)),
                _ => {
                    self.no_property(receiver, name, at, "时间可用的有 year、month、day、hour");
                    Shape::any()
                }
            };
        }
        if super::super::names::LIBRARY.contains(&name) {
            return super::methods::given(name, receiver);
        }
        let help = if kinds.is_within(Kinds::LIST.or(Kinds::UNIT)) {
            format!("列表里每条的 {name} 写作 .map(|x| x.{name});最近一条用 who.last(…)")
        } else {
            "字段要从记录上取:ev.字段,或 who.last(…)、who.list(…) 里的每一条".to_owned()
        };
        if !kinds.without(Kinds::UNIT).is_none() {
            self.no_property(receiver, name, at, &help);
        }
        Shape::any()
    }

    fn no_property(&mut self, receiver: &Shape, name: &str, at: Position, help: &str) {
        let kinds = receiver.kinds.without(Kinds::UNIT).title();
        self.error(
            "no-such-property",
            at,
            format!("{kinds}没有 {name} 可取"),
            help,
        );
    }

    fn field_of(&mut self, receiver: &Shape, name: &str, at: Position) -> Shape {
        match name {
            "time" => return Shape::of(Kinds::TIME),
            "id" => return Shape::of(Kinds::TEXT),
            "stream" if receiver.streams.is_empty() => return Shape::of(Kinds::TEXT),
            "stream" => return Shape::one_of(receiver.streams.iter().map(|s| s.name())),
            _ => {}
        }
        let streams = &receiver.streams;
        if !streams.is_empty() && !streams.iter().any(|s| Field::of(*s, name).is_some()) {
            let titles: Vec<String> = streams
                .iter()
                .map(|s| format!("{}({})", s.title(), s.name()))
                .collect();
            let message = format!("{}没有字段 {name}", titles.join("、"));
            let names = streams
                .iter()
                .flat_map(|s| Field::all_of(*s))
                .map(Field::name);
            let near = super::super::names::nearest(name, names);
            let help = Help::near(name, near, crate::engine::rule::analyse::owners(name));
            self.error("unknown-field", at, message, help);
            return Shape::any();
        }
        // A rule on a collective reads the values of its group.
        if streams.is_empty() {
            return Shape::any();
        }
        let entries = receiver.entries.iter().flatten();
        let mut asked_for = entries.filter(|(key, _)| key == name);
        match asked_for.next() {
            Some((_, shape)) => shape.clone(),
            None => Shape::field(name).unwrap_or_else(Shape::any),
        }
    }
}

/// The path one link further.
fn extended(walked: &str, link: &Expr, is_index: bool) -> Option<String> {
    match link {
        Expr::Property(property, _) if !is_index => Some(format!("{walked}.{}", property.2)),
        Expr::MethodCall(call, _) if !is_index => {
            super::env::question(call).map(|question| format!("{walked}.{question}"))
        }
        _ => None,
    }
}

/// The name of the function that a closure is, and how many variables it takes along.
pub(super) fn closure(expression: &Expr) -> Option<String> {
    let pointer = match expression {
        Expr::DynamicConstant(value, _) => value,
        // With captured variables: { share x; curry(closure, x) }.
        Expr::Stmt(block) => match block.statements() {
            [Stmt::Share(_), Stmt::Expr(call)] => match &**call {
                Expr::FnCall(call, _) if call.name == "curry" => match call.args.first()? {
                    Expr::DynamicConstant(value, _) => value,
                    _ => return None,
                },
                _ => return None,
            },
            _ => return None,
        },
        _ => return None,
    };
    Some(pointer.read_lock::<FnPtr>()?.fn_name().to_owned())
}

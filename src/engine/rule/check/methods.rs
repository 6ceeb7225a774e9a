//! Methods of texts, lists, numbers and records: which kinds have them, and what they give.

use super::Walker;
use super::env::Env;
use super::expressions::closure;
use super::shape::{Kinds, Shape};
use crate::engine::rule::names::{SCENARIO, WHO, nearest};
use crate::engine::rule::vocabulary::values;
use crate::engine::schema::FIELDS;
use rhai::{Expr, FnCallExpr, Position};

/// Methods that change what they are called on.
pub(super) const CHANGING: [&str; 20] = [
    "push",
    "append",
    "insert",
    "remove",
    "retain",
    "clear",
    "truncate",
    "chop",
    "crop",
    "pop",
    "shift",
    "splice",
    "drain",
    "extract",
    "sort",
    "sort_by",
    "sort_desc",
    "reverse",
    "dedup",
    "set",
];

const LIST_LENGTH_MAX: i64 = 1_000;

/// Which kinds have the method, for those that analysts meet.
fn owners(name: &str) -> Option<Kinds> {
    let list = Kinds::LIST;
    let sequence = Kinds::LIST.or(Kinds::TEXT).or(Kinds::MAP);
    Some(match name {
        "some" | "all" | "find" | "find_map" | "map" | "reduce" | "reduce_rev" | "sort"
        | "sort_by" | "sort_desc" | "dedup" | "push" | "order" | "order_by" | "order_desc"
        | "zip" | "for_each" => list,
        "filter" | "retain" | "drain" => list.or(Kinds::MAP),
        "starts_with" | "ends_with" | "sub_string" | "to_upper" | "to_lower" | "make_upper"
        | "make_lower" | "trim" | "crop" | "to_chars" => Kinds::TEXT,
        "contains" | "len" | "is_empty" | "clear" => sequence.or(Kinds::OTHER),
        "keys" | "values" => Kinds::MAP,
        "round" | "abs" | "floor" | "ceiling" => Kinds::NUMBER,
        _ => return None,
    })
}

/// What a method of no arguments, or one that does not depend on them, gives.
pub(super) fn given(name: &str, receiver: &Shape) -> Shape {
    match name {
        "len" => {
            let is_list = receiver.kinds.is_within(Kinds::LIST);
            Shape::int(Some(0), is_list.then_some(LIST_LENGTH_MAX))
        }
        "is_empty" | "contains" | "starts_with" | "ends_with" | "some" | "all" => Shape::bool(None),
        "to_upper" | "to_lower" | "sub_string" | "to_string" | "to_debug" => Shape::of(Kinds::TEXT),
        "floor" | "ceiling" | "round" => Shape::of(receiver.kinds.and(Kinds::NUMBER)),
        "abs" => Shape {
            low: Some(rust_decimal::Decimal::ZERO),
            ..Shape::of(receiver.kinds.and(Kinds::NUMBER))
        },
        "split" => Shape::list(Shape::of(Kinds::TEXT)),
        "filter" | "order" | "order_by" | "order_desc" => receiver.clone().filled(),
        "find" | "pop" | "shift" => receiver
            .items
            .as_deref()
            .map_or_else(Shape::any, |items| items.clone().or_unit()),
        "to_int" => Shape::int(None, None),
        "to_decimal" => Shape::of(Kinds::DECIMAL),
        _ => Shape::any(),
    }
}

impl Walker<'_> {
    /// `receiver.name(…)`
    pub(super) fn method_call(
        &mut self,
        receiver: &Shape,
        (call, at): (&FnCallExpr, Position),
        walked: Option<String>,
        env: &mut Env,
    ) -> Shape {
        let (name, count) = (call.name.as_str(), call.args.len());
        let kinds = receiver.kinds;
        let is_sealed = kinds == Kinds::OTHER;
        if is_sealed || kinds.has(Kinds::OTHER) {
            let row = WHO
                .iter()
                .find(|m| m.name == name && m.arguments.len() == count);
            if let Some(row) = row {
                return self.question(row, call, env);
            }
        }
        if is_sealed && SCENARIO.iter().any(|(n, _)| *n == name) {
            return self.scenario_call(call, env);
        }
        if let Some(wanted) = owners(name)
            && !kinds.is_none()
        {
            if !kinds.has(wanted) && !kinds.without(Kinds::UNIT).is_none() {
                let help = method_help(name, kinds);
                let message = format!("{}没有方法 {name}", kinds.without(Kinds::UNIT).title());
                self.error("no-such-method", at, message, help);
                return Shape::any();
            }
            self.refuse_empty(receiver, walked, at);
        }
        let item = receiver
            .items
            .as_deref()
            .cloned()
            .unwrap_or_else(Shape::any);
        let takes_truth = matches!(
            name,
            "filter" | "some" | "all" | "find" | "retain" | "drain"
        );
        let mut from_closure = None;
        for argument in &call.args {
            match closure(argument) {
                Some(body) => {
                    let word = takes_truth.then_some(name);
                    from_closure = Some(self.closure_call(&body, &item, word, env));
                }
                None => {
                    self.expression(argument, env);
                }
            }
        }
        match (name, from_closure) {
            ("map", Some(shape)) => Shape::list(shape),
            ("find_map", Some(shape)) => shape.or_unit(),
            _ => given(name, receiver),
        }
    }

    /// A closure is called with an item; `word` is the method, if that wants a truth from it.
    fn closure_call(
        &mut self,
        body: &str,
        item: &Shape,
        word: Option<&str>,
        env: &mut Env,
    ) -> Shape {
        let Some(function) = self.functions.get(body) else {
            return Shape::any();
        };
        let mut inside = env.clone();
        inside.is_dead = false;
        let depth = inside.enter();
        // Captured variables keep their names; what is known of them and of their fields stays known.
        if let Some(own) = function.params.last() {
            inside.declare(own, item.clone());
        }
        let outer = core::mem::take(&mut self.returned);
        let mut given = self.block(&function.statements, &mut inside);
        if inside.is_dead {
            given = Shape::of(Kinds::NONE);
        }
        inside.leave(depth);
        for early in core::mem::replace(&mut self.returned, outer) {
            given = given.join(&early);
        }
        if let Some(word) = word
            && !given.kinds.is_none()
        {
            self.refuse_untrue(&given, word, function);
        }
        given
    }

    fn refuse_untrue(&mut self, given: &Shape, word: &str, function: &super::Function) {
        if given.kinds.has(Kinds::BOOL) {
            return;
        }
        let at = function
            .statements
            .last()
            .map_or(function.at, rhai::Stmt::position);
        let message = format!(
            "{word} 里要写一个判断(成立或不成立),这里得到的是{}",
            given.kinds.title()
        );
        let assigns = matches!(function.statements.last(), Some(rhai::Stmt::Assignment(_)));
        let help = if assigns {
            "= 是赋值;判断相等写 =="
        } else if given.kinds.is_within(Kinds::NUMBER.or(Kinds::UNIT)) {
            "写清楚和什么比,例如 x.amount > 0;求和用 who.sum(…)"
        } else {
            "写清楚和什么比,例如 x.result == \"不合格\""
        };
        self.error("not-a-condition", at, message, help);
    }
}

fn method_help(name: &str, kinds: Kinds) -> &'static str {
    let is_text = kinds.is_within(Kinds::TEXT.or(Kinds::UNIT));
    match name {
        "len" | "is_empty" if kinds.is_within(Kinds::NUMBER.or(Kinds::UNIT)) => {
            "数出来的已经是个数,直接比大小"
        }
        "some" | "all" | "filter" | "map" if is_text => {
            "文字里有没有某个词,写 文字.contains(\"词\")"
        }
        "filter" | "map" | "some" | "find" => "先用 who.list(…) 取得列表,再逐条筛选",
        "contains" => "只有文字和列表有 contains;数用 == 比",
        "round" | "floor" | "ceiling" | "abs" => "只有数可以取整",
        _ => "看看前面得到的是什么:数、文字还是列表",
    }
}

/// The value that the field is known to hold and that the text is nearly, but not quite.
pub(super) fn near_value(field: &str, text: &str) -> Option<&'static str> {
    let spec = FIELDS.iter().find(|spec| spec.name == field)?;
    let words = values(spec);
    if words.contains(&text) {
        return None;
    }
    let length = text.chars().count();
    let near = nearest(text, words.iter().copied())?;
    // Two characters of Chinese are near to every other two.
    let is_meant = 2 < length || text.is_ascii() || near.contains(text);
    is_meant
        .then(|| words.into_iter().find(|word| *word == near))
        .flatten()
}

/// Whether a positional argument is a map written in place.
pub(super) fn entries(argument: &Expr) -> Option<&[(rhai::Ident, Expr)]> {
    match argument {
        Expr::Map(map, _) => Some(&map.0),
        _ => None,
    }
}

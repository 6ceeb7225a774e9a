//! Conditions: what each way shows of the paths that are compared, and comparisons whose outcome is certain.

use super::Walker;
use super::env::{Env, path};
use super::operators::{Comparison, are_comparable, narrowed, outcome};
use super::shape::{Kinds, Shape};
use crate::engine::rule::diagnostic::Help;
use rhai::{Expr, FnCallExpr, Position};

/// A side of a comparison: what it can be and where it stands.
type Side<'a> = (&'a Shape, &'a Expr);

impl Walker<'_> {
    /// What is known where the condition holds, and where it does not. `word` is what it is the condition of.
    pub(super) fn condition(&mut self, condition: &Expr, env: &Env, word: &str) -> (Env, Env) {
        match condition {
            Expr::And(parts, _) => self.all_of(parts, env, word),
            Expr::Or(parts, _) => self.any_of(parts, env, word),
            Expr::FnCall(call, at) if call.op_token.is_some() => {
                if call.name == "!"
                    && let [only] = call.args.as_slice()
                {
                    let (yes, no) = self.condition(only, env, "!");
                    return (no, yes);
                }
                match (Comparison::of(&call.name), call.args.as_slice()) {
                    (Some(comparison), [left, right]) => {
                        self.compared(comparison, [left, right], *at, env)
                    }
                    _ => self.truth(condition, env, word),
                }
            }
            _ => self.truth(condition, env, word),
        }
    }

    fn all_of(&mut self, parts: &[Expr], env: &Env, word: &str) -> (Env, Env) {
        let mut yes = env.clone();
        let mut no = dead(env);
        for part in parts {
            let (holds, fails) = self.condition(part, &yes, word);
            no = no.join(fails);
            yes = holds;
        }
        (yes, no)
    }

    fn any_of(&mut self, parts: &[Expr], env: &Env, word: &str) -> (Env, Env) {
        let mut yes = dead(env);
        let mut no = env.clone();
        for part in parts {
            let (holds, fails) = self.condition(part, &no, word);
            yes = yes.join(holds);
            no = fails;
        }
        (yes, no)
    }

    /// A condition that is no comparison: it must be a truth.
    fn truth(&mut self, condition: &Expr, env: &Env, word: &str) -> (Env, Env) {
        let mut yes = env.clone();
        let shape = self.expression(condition, &mut yes);
        self.refuse_no_condition(&shape, condition, word);
        let mut no = yes.clone();
        if let Some(path) = path(condition) {
            let known = |truth| Shape {
                truth: Some(truth),
                ..shape.clone()
            };
            yes.show(&path, known(true));
            yes.hold(&path);
            no.show(&path, known(false));
        }
        self.certain_truth(&shape, condition, word);
        (yes, no)
    }

    fn certain_truth(&mut self, shape: &Shape, condition: &Expr, word: &str) {
        let Some(truth) = shape
            .truth
            .filter(|_| shape.kinds == Kinds::BOOL && shape.varies)
        else {
            return;
        };
        if word != "let" && !self.in_test {
            let what = path(condition).unwrap_or_else(|| "这个条件".to_owned());
            let message = format!("{what} 在这里一定{}", if truth { "成立" } else { "不成立" });
            let code = if truth { "always-holds" } else { "never-holds" };
            self.warning(code, condition.start_position(), message, CHECK_ABOVE);
        }
    }

    pub(super) fn refuse_no_condition(&mut self, shape: &Shape, at: &Expr, word: &str) {
        if shape.kinds.has(Kinds::BOOL) {
            if !matches!(at, Expr::FnCall(..)) {
                self.refuse_empty(shape, path(at), at.start_position());
            }
            return;
        }
        let kinds = shape.kinds.without(Kinds::UNIT);
        if shape.kinds.is_none() {
            return;
        }
        let help = if kinds.is_none() {
            "这里没有值;判断“有没有”写 != (),判断大小写 >= 等"
        } else if kinds.is_within(Kinds::NUMBER) {
            "判断“有没有”要写清楚,例如 > 0"
        } else if kinds.is_within(Kinds::LIST) {
            "判断列表是否为空写 !列表.is_empty(),或 列表.len() > 0"
        } else {
            "判断“有没有”写 != (),判断“是什么”写 == \"…\""
        };
        let message = format!(
            "{word} 后面应是一个判断(成立或不成立),这里是{}",
            shape.kinds.title()
        );
        self.error("not-a-condition", at.start_position(), message, help);
    }

    fn compared(
        &mut self,
        comparison: Comparison,
        [left, right]: [&Expr; 2],
        at: Position,
        env: &Env,
    ) -> (Env, Env) {
        let mut yes = env.clone();
        let a = self.expression(left, &mut yes);
        let b = self.expression(right, &mut yes);
        let mut no = yes.clone();
        if !self.check_comparison(comparison, [(&a, left), (&b, right)], at) {
            return (yes, no);
        }
        for (env, comparison) in [(&mut yes, comparison), (&mut no, comparison.negated())] {
            let sides = [
                (comparison, left, &a, &b),
                (comparison.turned(), right, &b, &a),
            ];
            for (comparison, side, shape, other) in sides {
                if let Some(path) = path(side).filter(|_| shape.varies)
                    && let Some(shape) = narrowed(comparison, shape, other)
                {
                    env.show(&path, shape);
                }
            }
        }
        let holds_when_true = comparison == Comparison::Equal && b.truth == Some(true);
        let holds_when_false = comparison == Comparison::NotEqual && b.truth == Some(true);
        if let Expr::Variable(name, ..) = left {
            if holds_when_true {
                yes.hold(&name.1);
            } else if holds_when_false {
                no.hold(&name.1);
            }
        }
        (yes, no)
    }

    /// What `a comparison b` gives as a value.
    pub(super) fn comparison(
        &mut self,
        comparison: Comparison,
        [a, b]: [Side<'_>; 2],
        at: Position,
    ) -> Shape {
        if !self.check_comparison(comparison, [a, b], at) {
            return Shape::bool(None);
        }
        Shape {
            varies: a.0.varies || b.0.varies,
            ..Shape::bool(outcome(comparison, a.0, b.0))
        }
    }

    /// Says what is wrong with a comparison. Whether the two can be compared at all.
    fn check_comparison(
        &mut self,
        comparison: Comparison,
        [a, b]: [Side<'_>; 2],
        at: Position,
    ) -> bool {
        if a.0.kinds.is_none() || b.0.kinds.is_none() {
            return false;
        }
        if !are_comparable(comparison, a.0, b.0) {
            let kinds = [a, b].map(|(shape, _)| shape.kinds.without(Kinds::UNIT));
            if kinds.iter().any(|kinds| kinds.is_none()) {
                let message = "和空值只能用 == () 或 != () 比较,不能比大小";
                self.error(
                    "always-empty",
                    at,
                    message.to_owned(),
                    "先写 if … == () { return; }",
                );
            } else {
                let message = format!("{}和{}不能比较", kinds[0].title(), kinds[1].title());
                let help = mismatch_help(a, b);
                self.error("type-mismatch", at, message, help);
            }
            return false;
        }
        if comparison.is_order() {
            for (shape, side) in [a, b] {
                self.refuse_empty(shape, path(side), side.start_position());
            }
        }
        self.near_miss(a, b);
        self.near_miss(b, a);
        if let Some(holds) = outcome(comparison, a.0, b.0)
            && (a.0.varies || b.0.varies)
            && !self.in_test
        {
            self.certain(holds, [a, b], at);
        }
        true
    }

    fn certain(&mut self, holds: bool, [a, b]: [Side<'_>; 2], at: Position) {
        let code = if holds { "always-holds" } else { "never-holds" };
        let ending = if holds {
            "一定成立"
        } else {
            "永远不会成立"
        };
        let (subject, other) = if a.0.varies { (a, b) } else { (b, a) };
        let name = path(subject.1)
            .filter(|name| !name.contains('('))
            .map_or_else(|| "这个值".to_owned(), |name| format!("{name} "));
        let shape = subject.0;
        let (why, help) = if other.0.kinds == Kinds::UNIT {
            let help = if shape.kinds == Kinds::LIST {
                "没有记录时得到的是空列表,写 .is_empty()"
            } else if shape.kinds.is_within(Kinds::NUMBER) {
                "数出来最少是 0,写 == 0"
            } else {
                CHECK_ABOVE
            };
            (format!("{name}在这里不会是空的"), help)
        } else if let Some(texts) = shape.texts.as_ref().filter(|texts| !texts.is_empty()) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            (
                format!("{name}在这里只会是 {}", texts.join("、")),
                "检查文字有没有写错,或 RULE 的 on、subject 是不是少写了",
            )
        } else if shape.low.is_some() || shape.high.is_some() {
            let bound = match (shape.low, shape.high) {
                (Some(low), Some(high)) if low == high => format!("只会是 {}", low.normalize()),
                (Some(low), Some(high)) => {
                    format!("只会是 {} 到 {}", low.normalize(), high.normalize())
                }
                (Some(low), None) => format!("不会小于 {}", low.normalize()),
                (_, high) => format!("不会大于 {}", high.unwrap_or_default().normalize()),
            };
            (format!("{name}在这里{bound}"), CHECK_THRESHOLD)
        } else {
            (format!("{name}在这里已经确定"), CHECK_ABOVE)
        };
        self.warning(code, at, format!("这个比较{ending}:{why}"), help);
    }

    /// A text that is nearly, but not quite, one of those that the field is known to hold.
    fn near_miss(&mut self, field: Side<'_>, literal: Side<'_>) {
        let (Some(text), Expr::StringConstant(_, at)) = (literal.0.text(), literal.1) else {
            return;
        };
        let Some(name) = field_name(field.1) else {
            return;
        };
        self.value_of_field(&name, text, *at);
    }

    /// The same, for a value that is put beside a field.
    pub(super) fn value_of_field(&mut self, name: &str, text: &str, at: Position) {
        if name == "region" {
            let is_code = text.len() == 6 && text.chars().all(|c| c.is_ascii_digit());
            if !is_code || crate::engine::region::name_of(text).is_none() {
                let message = format!("“{text}”不是现行的区划代码");
                let help = "区划代码是六位数字,如 320102;已并入别处的用并入后的代码";
                self.warning("unknown-region", at, message, help);
            }
            return;
        }
        if let Some(near) = super::methods::near_value(name, text) {
            let message = format!("字段 {name} 里没见过“{text}”");
            let help = Help::near(text, Some(near), "");
            self.warning("unusual-value", at, message, help);
        }
    }
}

const CHECK_ABOVE: &str = "检查上面的条件是不是已经排除了它;多余的判断请删去";
const CHECK_THRESHOLD: &str = "检查阈值的大小和先后:条件要从严到宽排列,大的阈值写在前面";

fn dead(env: &Env) -> Env {
    let mut env = env.clone();
    env.is_dead = true;
    env
}

/// The field at the end of `ev.result`, `x.result ?? ""`.
fn field_name(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Dot(parts, ..) => match &parts.rhs {
            Expr::Property(property, _) => Some(property.2.to_string()),
            Expr::Dot(..) => field_name(&parts.rhs),
            _ => None,
        },
        Expr::Coalesce(parts, _) => field_name(parts.first()?),
        _ => None,
    }
}

fn mismatch_help(a: Side<'_>, b: Side<'_>) -> String {
    let has = |kinds: Kinds| {
        [a, b]
            .iter()
            .any(|(s, _)| s.kinds.without(Kinds::UNIT).is_within(kinds))
    };
    let text = [a, b]
        .iter()
        .find_map(|(shape, _)| shape.text().map(str::to_owned));
    if has(Kinds::NUMBER) && has(Kinds::TEXT) {
        return match text.filter(|text| text.parse::<rust_decimal::Decimal>().is_ok()) {
            Some(text) => format!("数不要加引号:写 {text}"),
            None => "一边是数,一边是文字;字段表里写着每个字段是什么".to_owned(),
        };
    }
    if has(Kinds::TIME) && has(Kinds::TEXT) {
        let text = text.unwrap_or_else(|| "2026-03-01".to_owned());
        return format!("写死的日期要写作 date(\"{text}\")");
    }
    if has(Kinds::TIME) && has(Kinds::NUMBER) {
        return "时间不能和数比;相差几天写 days_between(甲, 乙),几个工作日写 working_days(甲, 乙)"
            .to_owned();
    }
    if has(Kinds::BOOL) {
        return "是否类的字段和 true、false 比,不加引号:== true".to_owned();
    }
    if has(Kinds::LIST) && has(Kinds::TEXT) {
        return "列表里有没有某项,写 列表.contains(\"…\")".to_owned();
    }
    if has(Kinds::LIST) && has(Kinds::NUMBER) {
        return "列表有几项,写 列表.len()".to_owned();
    }
    if has(Kinds::RECORD) {
        return "记录要取出字段再比,如 x.amount".to_owned();
    }
    "两边要是同一类的值".to_owned()
}

/// Whether the call is a comparison.
pub(super) fn comparison_of(call: &FnCallExpr) -> Option<Comparison> {
    call.op_token
        .as_ref()
        .and_then(|_| Comparison::of(&call.name))
}

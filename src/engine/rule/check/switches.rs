//! `switch`: what its cases are of, read from the text, since the tree keeps only hashes of them.
//!
//! Rhai looks a value up by its hash, so a case of another kind, a whole number for a decimal among them, is passed over
//! without a word.

use super::Walker;
use super::env::Env;
use super::shape::{Kinds, Shape};
use crate::engine::rule::scan::{Token, Word, words};
use rhai::{Expr, Position, SwitchCasesCollection};

/// A `switch` that was gone through.
#[derive(Debug)]
pub(super) struct Switched {
    at: Position,
    kinds: Kinds,
    texts: Option<std::collections::BTreeSet<String>>,
    has_default: bool,
}

impl Walker<'_> {
    /// `switch value { … }`
    pub(super) fn switch(
        &mut self,
        parts: &(Expr, SwitchCasesCollection),
        at: Position,
        env: &mut Env,
    ) -> Shape {
        let (value, cases) = parts;
        let shape = self.expression(value, env);
        if self.muted == 0 {
            self.switched.push(Switched {
                at,
                kinds: shape.kinds,
                texts: shape.texts.clone(),
                has_default: cases.def_case.is_some(),
            });
        }
        let mut after: Option<Env> = cases.def_case.is_none().then(|| env.clone());
        let mut given: Option<Shape> = None;
        for case in &cases.expressions {
            let mut inside = env.clone();
            if !matches!(case.lhs, Expr::BoolConstant(true, _)) {
                inside = self.condition(&case.lhs, &inside, "if").0;
            }
            let shape = self.expression(&case.rhs, &mut inside);
            if !inside.is_dead {
                given = Some(given.map_or(shape.clone(), |given| given.join(&shape)));
            }
            after = Some(match after {
                Some(after) => after.join(inside),
                None => inside,
            });
        }
        if let Some(after) = after {
            *env = after;
        }
        let given = given.unwrap_or_else(Shape::any);
        if cases.def_case.is_none() {
            given.or_unit()
        } else {
            given
        }
    }
}

/// Holds the cases of every `switch` against what is looked at.
pub(super) fn check(walker: &mut Walker<'_>, source: &str) {
    let switched = core::mem::take(&mut walker.switched);
    if switched.is_empty() {
        return;
    }
    let words: Vec<Word<'_>> = words(source)
        .into_iter()
        .filter(|word| word.token != Token::Comment)
        .collect();
    for one in switched {
        let Some(start) = words.iter().position(|word| word.is_at(one.at)) else {
            continue;
        };
        let cases = cases(words.get(start + 1..).unwrap_or_default());
        for case in &cases {
            refuse(walker, &one, case);
        }
        let is_open = !one.has_default && one.texts.is_none() && !one.kinds.is_within(Kinds::BOOL);
        if is_open {
            let message = "switch 没有写“其他情况”".to_owned();
            let help = "最后加一行 _ => …,写明都不是时怎么办";
            walker.warning("no-default-case", one.at, message, help);
        }
    }
}

fn refuse(walker: &mut Walker<'_>, one: &Switched, case: &Word<'_>) {
    let kinds = match case.token {
        Token::Text => Kinds::TEXT,
        Token::Number if case.text.contains('.') => Kinds::DECIMAL,
        Token::Number => Kinds::INT,
        _ if matches!(case.text, "true" | "false") => Kinds::BOOL,
        _ => return,
    };
    let at = case.position();
    if !one.kinds.is_none() && !one.kinds.has(kinds) {
        let message = format!(
            "switch 看的是{},这一项却是{},永远对不上",
            one.kinds.title(),
            kinds.title()
        );
        let help = if kinds == Kinds::TEXT {
            "去掉引号"
        } else if kinds == Kinds::INT && one.kinds.has(Kinds::DECIMAL) {
            "小数不能用 switch 对整数,改写成 if … else if …"
        } else {
            "文字要加引号"
        };
        walker.error("type-mismatch", at, message, help);
    } else if let (Some(texts), Token::Text) = (&one.texts, case.token) {
        let text = case.text.trim_matches('"');
        if !texts.contains(text) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let message = format!("switch 看的值只会是 {},没有“{text}”", texts.join("、"));
            let help = "检查文字有没有写错,或 RULE 的 on、subject 是不是少写了";
            walker.warning("never-holds", at, message, help);
        }
    }
}

/// The literals before each `=>` of the block that opens first.
fn cases<'a>(words: &'a [Word<'a>]) -> Vec<Word<'a>> {
    let mut found = Vec::new();
    let (mut depth, mut is_case, mut is_condition) = (0_usize, false, false);
    let mut has_begun = false;
    for word in words {
        if !has_begun {
            // The looked-at value may have brackets of its own, but no block.
            has_begun = word.text == "{";
            (depth, is_case) = (usize::from(has_begun), has_begun);
            continue;
        }
        match word.text {
            "{" | "#{" | "(" | "[" if word.token == Token::Mark => depth += 1,
            "}" | ")" | "]" if word.token == Token::Mark => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    break;
                }
                // A block ends its case even without a comma.
                if depth == 1 && word.text == "}" {
                    (is_case, is_condition) = (true, false);
                }
            }
            "," if depth == 1 => (is_case, is_condition) = (true, false),
            "=>" if depth == 1 => is_case = false,
            "if" if depth == 1 && is_case => is_condition = true,
            _ if depth == 1 && is_case && !is_condition => found.push(*word),
            _ => {}
        }
    }
    found
}

//! What a rule is for: it says something, reads its parameters, and looks back as far as it means to.

use super::Walker;
use crate::engine::rule::scan::{Token, Word, words};
use crate::engine::time::{DAY_MS, parse_span_ms};
use rhai::{AST, ASTNode, Expr, Map, Stmt};

/// Looks at the rule as a whole.
pub(super) fn check(walker: &mut Walker<'_>, ast: &AST, params: &Map, source: &str) {
    let words: Vec<Word<'_>> = words(source)
        .into_iter()
        .filter(|word| word.token != Token::Comment)
        .collect();
    speaks(walker, ast);
    unused_params(walker, params, &words);
    minutes(walker, &words);
}

fn speaks(walker: &mut Walker<'_>, ast: &AST) {
    let mut speaks = false;
    ast.walk(&mut |path| {
        if let Some(ASTNode::Stmt(Stmt::FnCall(call, _)) | ASTNode::Expr(Expr::FnCall(call, _))) =
            path.last()
        {
            speaks |= matches!(call.name.as_str(), "warn" | "signal" | "sanction");
        }
        !speaks
    });
    if let Some(decide) = walker.functions.get("decide").filter(|_| !speaks) {
        let help = "到了该预警的时候写 warn(#{ level: \"黄\", score: 20, message: `…` })";
        let message = "decide 里没有结论,永远不会预警".to_owned();
        walker.error("never-speaks", decide.at, message, help);
    }
}

/// A threshold that stands in `params` and is not read would be changed in vain.
fn unused_params(walker: &mut Walker<'_>, params: &Map, words: &[Word<'_>]) {
    for name in params.keys() {
        let is_read = words.windows(2).any(|pair| match pair {
            [dot, word] => matches!(dot.text, "." | "?.") && word.text == name.as_str(),
            _ => false,
        });
        // A text with `${p.name}` in it is one word.
        let inside = words
            .iter()
            .filter(|word| word.token == Token::Text)
            .any(|word| word.text.contains(&format!(".{name}")));
        if is_read || inside {
            continue;
        }
        let in_params = words.iter().skip_while(|word| word.text != "params");
        let at = in_params
            .into_iter()
            .find(|word| word.text == name.as_str())
            .map_or(rhai::Position::NONE, Word::position);
        let message = format!("参数 {name} 没有被用到,调整它不起作用");
        let help = format!("判断里写 p.{name},或者把它删去");
        walker.warning("unused-param", at, message, help);
    }
}

/// `6m` is six minutes, not six months.
fn minutes(walker: &mut Walker<'_>, words: &[Word<'_>]) {
    for word in words.iter().filter(|word| word.token == Token::Text) {
        let text = word.text.trim_matches('"');
        let is_short = parse_span_ms(text).is_some_and(|ms| ms < DAY_MS);
        if text.ends_with('m') && is_short {
            let count = text.trim_end_matches('m');
            let message = format!("“{text}”是 {count} 分钟");
            let help =
                "想写几个月就按天写:一个月 30d,半年 180d,一年 365d;确实要几分钟的写成小时,如 1h";
            walker.warning("short-span", word.position(), message, help);
        }
    }
}

//! A text that does not parse: what was probably meant.
//!
//! Rhai says where it could go no further. The mistake is often earlier and of another kind: a full-width comma, `=` for
//! `==`, `and` for `&&`. These are looked for in the text up to that place; the first one found is what is told.

use super::diagnostic::Help;
use super::error::syntax;
use super::scan::{Token, Word, words};
use rhai::{LexError, ParseError, ParseErrorType, Position};

/// Why a text does not parse.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misread {
    /// The kind of mistake.
    pub code: &'static str,
    /// Where it is.
    pub at: Position,
    /// What is wrong, Chinese.
    pub message: String,
    /// What would be right, Chinese, and what to write for what, if that is certain.
    pub help: Help,
}

impl Misread {
    fn new(
        code: &'static str,
        at: Position,
        message: impl Into<String>,
        help: impl Into<Help>,
    ) -> Self {
        let (message, help) = (message.into(), help.into());
        Self {
            code,
            at,
            message,
            help,
        }
    }
}

/// Full-width marks and what they stand for.
const WIDE: [(&str, &str); 20] = [
    ("，", ","),
    ("；", ";"),
    ("（", "("),
    ("）", ")"),
    ("“", "\""),
    ("”", "\""),
    ("‘", "\""),
    ("’", "\""),
    ("：", ":"),
    ("。", "."),
    ("＝", "="),
    ("＜", "<"),
    ("＞", ">"),
    ("！", "!"),
    ("【", "["),
    ("】", "]"),
    ("｛", "{"),
    ("｝", "}"),
    ("、", ","),
    ("＋", "+"),
];

/// Words of other languages and of spreadsheets, and what they are here.
const FOREIGN: [(&str, &str, &str); 20] = [
    ("and", "&&", "并且"),
    ("AND", "&&", "并且"),
    ("且", "&&", "并且"),
    ("并且", "&&", "并且"),
    ("or", "||", "或者"),
    ("OR", "||", "或者"),
    ("或", "||", "或者"),
    ("或者", "||", "或者"),
    ("not", "!", "不成立"),
    ("NOT", "!", "不成立"),
    ("elif", "else if", "否则如果"),
    ("elseif", "else if", "否则如果"),
    ("then", "{", "那么"),
    ("null", "()", "空"),
    ("None", "()", "空"),
    ("nil", "()", "空"),
    ("NULL", "()", "空"),
    ("True", "true", "成立"),
    ("False", "false", "不成立"),
    ("如果", "if", "如果"),
];

/// What a failure to parse means.
pub(super) fn misread(error: &ParseError, source: &str) -> Misread {
    let at = error.position();
    let words: Vec<Word<'_>> = words(source)
        .into_iter()
        .filter(|word| word.token != Token::Comment)
        .collect();
    // The token at which Rhai stopped is the last that can be the mistake.
    let line = at.line().unwrap_or(usize::MAX);
    let column = at.position().unwrap_or(usize::MAX);
    let seen = words.partition_point(|w| (w.line, w.column) <= (line, column));
    let seen = words.get(..seen).unwrap_or_default();
    mark(seen, source)
        .or_else(|| word(error.err_type(), seen))
        .or_else(|| unclosed_text(seen))
        .or_else(|| equals_once(seen, &words))
        .or_else(|| brace(error.err_type(), &words, source))
        .unwrap_or_else(|| as_told(error, seen))
}

fn mark(seen: &[Word<'_>], source: &str) -> Option<Misread> {
    for word in seen {
        let at = word.position();
        if let Some((wide, narrow)) = WIDE.iter().find(|(wide, _)| *wide == word.text) {
            let message = format!("“{wide}”是全角标点");
            let help = format!("换成半角的 {narrow}(切换到英文输入法)");
            let help = match quoted(word, source) {
                Some((from, to)) => Help::mending(help, from, &to),
                None => Help::mending(help, wide, narrow),
            };
            return Some(Misread::new("wide-mark", at, message, help));
        }
        if word.token == Token::Text && word.text.starts_with('\'') {
            let inner = word.text.trim_matches('\'');
            if inner.chars().count() != 1 {
                let right = format!("\"{inner}\"");
                let help = Help::mending(format!("写作 {right}"), word.text, &right);
                let message = "文字要用双引号,不用单引号";
                return Some(Misread::new("single-quotes", at, message, help));
            }
        }
        if word.text == "<>" {
            let help = Help::mending("不等于写 !=", "<>", "!=");
            return Some(Misread::new("foreign-word", at, "没有 <> 这个写法", help));
        }
    }
    None
}

/// A text between full-width quotes, and with the right ones.
fn quoted<'a>(word: &Word<'_>, source: &'a str) -> Option<(&'a str, String)> {
    let end = match word.text {
        "“" => '”',
        "‘" => '’',
        _ => return None,
    };
    let rest = source.get(word.start..)?.lines().next()?;
    let whole = rest.get(..rest.find(end)? + end.len_utf8())?;
    let inner = whole.get(word.text.len()..whole.len() - end.len_utf8())?;
    Some((whole, format!("\"{inner}\"")))
}

fn word(kind: &ParseErrorType, seen: &[Word<'_>]) -> Option<Misread> {
    // A name that is defined may well be called `or`.
    let undefined = match kind {
        ParseErrorType::VariableUndefined(name) => Some(name.as_str()),
        _ => None,
    };
    let near = seen.iter().rev().take(3);
    for word in near.filter(|word| word.token == Token::Word) {
        if undefined.is_some_and(|name| name != word.text) {
            continue;
        }
        if let Some((foreign, ours, meaning)) = FOREIGN.iter().find(|(f, ..)| *f == word.text) {
            let message = format!("没有 {foreign} 这个写法");
            let help = format!("“{meaning}”写作 {ours}");
            let help = if matches!(*ours, "{" | "!") {
                help.into()
            } else {
                Help::mending(help, foreign, ours)
            };
            return Some(Misread::new("foreign-word", word.position(), message, help));
        }
    }
    None
}

fn unclosed_text(seen: &[Word<'_>]) -> Option<Misread> {
    let is_open = |word: &&Word<'_>| {
        word.token == Token::Text
            && (word.text.len() == 1 || !word.text.ends_with(['"', '`', '\'']))
    };
    let word = seen.iter().find(is_open)?;
    let help = "文字的两头都要有双引号,写作 \"…\"";
    Some(Misread::new(
        "text-not-closed",
        word.position(),
        "这段文字没有结束的引号",
        help,
    ))
}

/// `if a = b`, `|x| x.a = b`
fn equals_once(seen: &[Word<'_>], all: &[Word<'_>]) -> Option<Misread> {
    let here = seen.len();
    let near = all.get(here.saturating_sub(2)..(here + 1).min(all.len()))?;
    let equals = near.iter().find(|word| word.text == "=")?;
    let on_line = all
        .iter()
        .filter(|w| w.line == equals.line && w.column < equals.column);
    let before: Vec<&str> = on_line.map(|word| word.text).collect();
    let is_asked = before
        .iter()
        .any(|word| matches!(*word, "if" | "while" | "&&" | "||" | "|"));
    if !is_asked || before.contains(&"let") {
        return None;
    }
    let message = "这里要判断是否相等,而 = 是赋值";
    let help = Help::mending("判断相等写 ==", "=", "==");
    Some(Misread::new(
        "equals-once",
        equals.position(),
        message,
        help,
    ))
}

/// A block that is opened and not closed: the first line that leaves a block open though what follows is not further in.
fn brace(kind: &ParseErrorType, words: &[Word<'_>], source: &str) -> Option<Misread> {
    let is_open = match kind {
        ParseErrorType::MissingToken(token, _) => token == "}",
        ParseErrorType::UnexpectedEOF | ParseErrorType::WrongFnDefinition => true,
        _ => false,
    };
    if !is_open {
        return None;
    }
    let lines: Vec<&str> = source.lines().collect();
    let indent = |line: &str| line.chars().take_while(|c| c.is_whitespace()).count();
    for (number, text) in (1..).zip(&lines) {
        let depth = words
            .iter()
            .filter(|w| w.line == number && w.token == Token::Mark);
        let opened = depth
            .clone()
            .filter(|w| matches!(w.text, "{" | "#{"))
            .count();
        let closed = depth.filter(|w| w.text == "}").count();
        let next = lines
            .iter()
            .skip(number)
            .find(|line| !line.trim().is_empty());
        let goes_in = next.is_some_and(|next| indent(text) < indent(next));
        if closed < opened && !goes_in {
            let first = words
                .iter()
                .rev()
                .find(|w| w.line == number && matches!(w.text, "{" | "#{"));
            let at = first.map_or(Position::NONE, Word::position);
            let help = "这一行的 { 没有配对的 },请在它该结束的地方补上 }";
            return Some(Misread::new("brace-open", at, "这个 { 没有结束", help));
        }
    }
    None
}

/// What Rhai says, at the place where something should have been put in.
fn as_told(error: &ParseError, seen: &[Word<'_>]) -> Misread {
    let at = error.position();
    // `50%` with nothing after it that could be divided.
    let nothing = ["{", ")", ";", ",", "&&", "||", "}"];
    let percent = seen
        .windows(2)
        .find(|pair| matches!(pair, [a, b] if a.text == "%" && nothing.contains(&b.text)))
        .and_then(|pair| pair.first());
    match error.err_type() {
        kind if percent.is_some() => {
            let at = percent.map_or(at, Word::position);
            Misread::new("syntax", at, syntax(kind), "没有百分号的写法:50% 写作 0.5")
        }
        ParseErrorType::VariableUndefined(name) => Misread::new(
            "unknown-variable",
            at,
            format!("没有变量 {name}"),
            "变量要先用 let 定义;函数里只看得到自己的参数",
        ),
        ParseErrorType::BadInput(LexError::ImproperSymbol(symbol, _))
        | ParseErrorType::Reserved(symbol) => Misread::new(
            "forbidden",
            at,
            format!("不能使用 {symbol}"),
            "它是保留字,不能调用,也不能用作变量名",
        ),
        kind @ ParseErrorType::MissingToken(token, _) => {
            let before = seen.iter().rev().find(|word| !word.is_at(at));
            let place = before
                .filter(|_| matches!(token.as_str(), ";" | ","))
                .map_or(at, |word| {
                    let length = word.text.chars().count();
                    let column = u16::try_from(word.column + length).unwrap_or(u16::MAX);
                    Position::new(u16::try_from(word.line).unwrap_or(u16::MAX).max(1), column)
                });
            let help = match token.as_str() {
                ";" | "," => format!("在这里补上 {token}"),
                "{" => "条件、循环、函数后面的内容都要放在 { } 里".to_owned(),
                _ => format!("补上 {token},或检查前面的括号是否配对"),
            };
            Misread::new("syntax", place, syntax(kind), help)
        }
        kind => {
            let help = "检查这一处和它前面的括号、逗号、引号是否齐全";
            Misread::new("syntax", at, syntax(kind), help)
        }
    }
}

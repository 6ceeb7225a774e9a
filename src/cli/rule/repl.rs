//! `fenghuo rule repl`: questions to a subject as it is recorded, line by line, in the words of rules.
//!
//! `let` lines are kept for the lines after them. Lines that begin with a colon are for the bench itself, see [`HELP`].

use crate::cli::args::{Format, StateArgs};
use crate::cli::look::open;
use crate::cli::{CliError, Ending, say};
use crate::engine::event::{SubjectKey, SubjectKind};
use crate::engine::explain::{Place, answer, places};
use crate::engine::province::Province;
use crate::engine::rule::Answer;
use crate::engine::schema::Stream;
use crate::engine::subject::state::Subject;
use crate::engine::time::{EventTime, as_of};
use std::io::{BufRead, IsTerminal, Write};

const HELP: &str =
    "写规则里的一句，例如 who.count(\"complaint\", \"30d\")；let 起的名字后面可以接着用
:at 2026-03-01   换一个时点        :facts   记录了些什么
:ev              时点之前最近的记录  :lets    清掉起过的名字    :quit   结束";

/// `rule repl`
pub(super) fn repl(
    (key, at): (&str, &str),
    state: &StateArgs,
    _: Format,
) -> Result<Ending, CliError> {
    let key = SubjectKey::parse(key)
        .filter(|key| !key.kind.is_collective())
        .ok_or_else(|| {
            CliError::Usage(format!(
                "\"{key}\" is no individual; write kind:key, as enterprise:9132…; for regions, industries and \
                 departments use `rule explain`"
            ))
        })?;
    let moment = moment(at).ok_or_else(|| {
        CliError::Usage(format!(
            "\"{at}\" is no time; write 2026-03-01 or \"2026-03-01 08:30\""
        ))
    })?;
    let recovered = open(state)?;
    let province = &recovered.province;
    let Some(subject) = province.subject(&key) else {
        say(&format!("{key}: 没有记录"));
        return Ok(Ending::Finding);
    };
    let mut bench = Bench {
        province,
        subject: &subject,
        kind: key.kind,
        moment,
        lets: Vec::new(),
    };
    let is_terminal = std::io::stdin().is_terminal();
    if is_terminal {
        say(&format!("{key} 截至 {moment}；:help 看说明"));
    }
    let mut input = std::io::stdin().lock();
    loop {
        if is_terminal {
            let mut out = std::io::stdout().lock();
            out.write_all("> ".as_bytes())?;
            out.flush()?;
        }
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return Ok(Ending::Fine);
        }
        match line.trim() {
            "" => {}
            ":quit" | ":q" => return Ok(Ending::Fine),
            line => say(&bench.line(line)),
        }
    }
}

fn moment(text: &str) -> Option<EventTime> {
    EventTime::parse(text).map(|(time, precision)| as_of(time, precision))
}

struct Bench<'a> {
    province: &'a Province,
    subject: &'a Subject,
    kind: SubjectKind,
    moment: EventTime,
    lets: Vec<String>,
}

impl Bench<'_> {
    fn line(&mut self, line: &str) -> String {
        if let Some(time) = line.strip_prefix(":at ") {
            return match moment(time) {
                Some(moment) => {
                    self.moment = moment;
                    format!("截至 {moment}")
                }
                None => format!("“{time}”不是时间，写作 2026-03-01 或 2026-03-01 08:30"),
            };
        }
        match line {
            ":facts" => self.facts(),
            ":ev" => self.ask("ev"),
            ":lets" => {
                self.lets.clear();
                "好".to_owned()
            }
            line if line.starts_with(':') => HELP.to_owned(),
            line => self.ask(line),
        }
    }

    fn facts(&self) -> String {
        let Some(facts) = self.subject.facts() else {
            return String::new();
        };
        let lines = Stream::ALL.into_iter().filter_map(|stream| {
            let all = facts.of(stream);
            let (first, last) = (all.first()?, all.last()?);
            let (name, title) = (stream.name(), stream.title());
            Some(format!(
                "{name} {title} {} 条，{} 至 {}",
                all.len(),
                first.time,
                last.time
            ))
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn ask(&mut self, line: &str) -> String {
        let statement = format!("{};", line.trim_end_matches(';'));
        let name = line
            .strip_prefix("let ")
            .and_then(|rest| rest.split_once('='));
        let text = if let Some((name, _)) = name {
            format!("{}{statement}{}", self.lets.concat(), name.trim())
        } else {
            format!("{}{}", self.lets.concat(), line.trim_end_matches(';'))
        };
        let rule = match self.province.set().probe(self.kind, &text) {
            Ok(rule) => rule,
            Err(found) => {
                let found = found.iter().map(|one| {
                    let help = if one.help.is_empty() {
                        String::new()
                    } else {
                        format!("\n  提示: {}", one.help)
                    };
                    format!("{}{help}", one.message)
                });
                return found.collect::<Vec<_>>().join("\n");
            }
        };
        let newest = places(&rule, self.subject, self.moment).into_iter().next();
        let Some(place) = newest.map(|place| Place {
            as_of: self.moment,
            ..place
        }) else {
            return format!("{} 之前没有记录", self.moment);
        };
        let Some(Answer { value, verdict }) = answer(&rule, self.subject, &place) else {
            return "没有这条记录".to_owned();
        };
        match value {
            Err(error) => format!("出错：{}", error.message),
            Ok(value) => {
                if name.is_some() {
                    self.lets.push(statement);
                }
                let said = crate::cli::explain::words(&verdict);
                if verdict.speaks() { said } else { value }
            }
        }
    }
}

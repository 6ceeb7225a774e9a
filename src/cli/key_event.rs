//! `key-event …`: several warnings, sanctions and records tracked as one case (重点事件), and its report.
//!
//! Acts go to the HTTP door of the running engine, like those on warnings; looking reads durable state. A running engine shows them
//! at `GET /api/v1/key-events`.

use super::args::{Format, StateArgs};
use super::dispose::{DoorArgs, post};
use super::look::{open, table};
use super::{CliError, Ending, say, say_json};
use crate::engine::desk::key_event::{KeyEvent, PREFIX};
use crate::engine::province::Province;
use crate::runtime::describe;
use crate::runtime::event_report::paper;
use crate::runtime::paper::Form;
use serde_json::json;
use std::io::Write as _;
use std::path::PathBuf;

/// `key-event …`
#[derive(Debug, clap::Subcommand)]
pub enum KeyEventCommand {
    /// 立为重点事件: begin to track, under an id of your choosing.
    Open {
        /// The id: `2026-预付卡-鼓楼`.
        id: String,
        /// What it is called.
        #[arg(long)]
        title: String,
        #[command(flatten)]
        act: ActArgs,
        /// Warnings, sanctions or records to join at once, for the same reason.
        #[arg(long = "join")]
        join: Vec<String>,
    },
    /// 并入: join a warning, a sanction or a record.
    Join(MemberArgs),
    /// 移出: take one out.
    Leave(MemberArgs),
    /// 结案, with the conclusion as --why; every warning in it must have feedback.
    Close {
        /// The event's id.
        id: String,
        #[command(flatten)]
        act: ActArgs,
    },
    /// 重新跟踪: an event that was closed.
    Reopen {
        /// The event's id.
        id: String,
        #[command(flatten)]
        act: ActArgs,
    },
    /// All of them.
    List(StateArgs),
    /// One, with its members and its own course.
    Show {
        /// Its id.
        id: String,
        /// Where state is.
        #[command(flatten)]
        state: StateArgs,
    },
    /// The report: members, records, the whole course.
    Report {
        /// Its id.
        id: String,
        /// As what.
        #[arg(long, value_enum, default_value_t = FormArg::Markdown)]
        form: FormArg,
        /// The file; without it, to standard output.
        #[arg(long)]
        out: Option<PathBuf>,
        /// Where state is.
        #[command(flatten)]
        state: StateArgs,
    },
}

/// Which member.
#[derive(Debug, clap::Args)]
pub struct MemberArgs {
    /// The event's id.
    pub id: String,
    /// The id of a warning or a sanction, or `source/record id`.
    #[arg(long)]
    pub target: String,
    #[command(flatten)]
    act: ActArgs,
}

/// Where and why.
#[derive(Debug, clap::Args)]
pub struct ActArgs {
    #[command(flatten)]
    door: DoorArgs,
    /// Why.
    #[arg(long)]
    pub why: String,
}

/// `--form`
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FormArg {
    /// Markdown.
    Markdown,
    /// A page.
    Html,
    /// A workbook.
    Xlsx,
}

impl From<FormArg> for Form {
    fn from(form: FormArg) -> Self {
        match form {
            FormArg::Markdown => Self::Markdown,
            FormArg::Html => Self::Html,
            FormArg::Xlsx => Self::Xlsx,
        }
    }
}

fn key(id: &str) -> String {
    format!("{PREFIX}{}", id.trim_start_matches(PREFIX))
}

/// An id as it stands in a path: everything but letters and digits of ASCII is written by its bytes.
fn in_path(id: &str) -> String {
    let byte = |byte: u8| match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' | b'.' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    id.bytes().map(byte).collect()
}

/// Carries out a command.
pub(super) fn key_event(command: &KeyEventCommand, format: Format) -> Result<Ending, CliError> {
    match command {
        KeyEventCommand::Open {
            id,
            title,
            act,
            join,
        } => {
            let mut ending = send(id, "open", (title, act))?;
            for target in join {
                if ending != Ending::Fine {
                    break;
                }
                ending = send(id, "join", (target, act))?;
            }
            Ok(ending)
        }
        KeyEventCommand::Join(args) => send(&args.id, "join", (&args.target, &args.act)),
        KeyEventCommand::Leave(args) => send(&args.id, "leave", (&args.target, &args.act)),
        KeyEventCommand::Close { id, act } => send(id, "close", ("", act)),
        KeyEventCommand::Reopen { id, act } => send(id, "reopen", ("", act)),
        KeyEventCommand::List(state) => list(state, format),
        KeyEventCommand::Show { id, state } => show(id, state, format),
        KeyEventCommand::Report {
            id,
            form,
            out,
            state,
        } => report(id, (*form).into(), out.as_ref(), state),
    }
}

fn send(id: &str, act: &str, (target, args): (&str, &ActArgs)) -> Result<Ending, CliError> {
    let body = json!({ "act": act, "why": args.why, "target": target });
    let id = in_path(&key(id));
    post(&args.door, &format!("warnings/{id}/actions"), &body)
}

fn found<'a>(province: &'a Province, id: &str) -> Option<&'a KeyEvent> {
    let key = key(id);
    province.desk().key_events().find(|event| event.id == key)
}

fn none(id: &str) -> Ending {
    say(&format!("没有编号为“{id}”的重点事件"));
    Ending::Finding
}

fn list(state: &StateArgs, format: Format) -> Result<Ending, CliError> {
    let recovered = open(state)?;
    let events: Vec<&KeyEvent> = recovered.province.desk().key_events().collect();
    if format == Format::Json {
        say_json(&describe::key_events(&recovered.province));
        return Ok(Ending::Fine);
    }
    let mut sheet = table(&["编号", "名称", "状态", "立件人", "涉及", "结论"]);
    for event in events {
        sheet.add_row(vec![
            event.id.trim_start_matches(PREFIX).to_owned(),
            event.title.clone(),
            event.state.title().to_owned(),
            event.opened_by.clone(),
            format!("{} 项", event.members.len()),
            event.conclusion.clone(),
        ]);
    }
    say(&sheet.to_string());
    Ok(Ending::Fine)
}

fn show(id: &str, state: &StateArgs, format: Format) -> Result<Ending, CliError> {
    let recovered = open(state)?;
    let Some(event) = found(&recovered.province, id) else {
        return Ok(none(id));
    };
    if format == Format::Json {
        say_json(&describe::key_event(event));
        return Ok(Ending::Fine);
    }
    let paper = paper(&recovered.province, event);
    say(&paper.title);
    for (what, value) in &paper.lines {
        say(&format!("{what}：{value}"));
    }
    for one in paper.sheets.iter().filter(|one| !one.rows.is_empty()) {
        let mut sheet = table(one.header);
        for row in &one.rows {
            sheet.add_row(row.clone());
        }
        say(&format!("\n{}\n{sheet}", one.title));
    }
    Ok(Ending::Fine)
}

fn report(
    id: &str,
    form: Form,
    out: Option<&PathBuf>,
    state: &StateArgs,
) -> Result<Ending, CliError> {
    let recovered = open(state)?;
    let Some(event) = found(&recovered.province, id) else {
        return Ok(none(id));
    };
    let written = paper(&recovered.province, event).write(form);
    let bytes = written.map_err(|error| CliError::Usage(format!("the workbook: {error}")))?;
    match out {
        Some(path) => std::fs::write(path, bytes)?,
        None => std::io::stdout().write_all(&bytes)?,
    }
    Ok(Ending::Fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_in_a_path_is_plain_ascii() {
        assert_eq!(
            in_path(&key("2026-预付卡")),
            "event%3A2026-%E9%A2%84%E4%BB%98%E5%8D%A1"
        );
        assert_eq!(key("event:a"), "event:a");
    }
}

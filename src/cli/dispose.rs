//! `warning claim|feedback|close…` and `warning case`: what officers do, and how a case went.
//!
//! An act goes to the HTTP door of the running engine, which owns the state and writes the audit log; the answer is the case
//! after it, or why the act was refused.

use super::args::{Format, StateArgs};
use super::look::{open, table};
use super::{CliError, Ending, say, say_json};
use crate::runtime::describe;
use serde_json::{Value, json};
use std::path::PathBuf;

/// What can be done; each is the act of the same name.
#[derive(Debug, clap::Subcommand)]
pub enum DoCommand {
    /// 认领.
    Claim(DoArgs),
    /// 开始核查.
    Verify(DoArgs),
    /// 开始处置.
    Dispose(DoArgs),
    /// 反馈, with --verdict.
    Feedback(DoArgs),
    /// 办结.
    Close(DoArgs),
    /// 发回重办.
    Reopen(DoArgs),
    /// 退回.
    Return(DoArgs),
    /// 转办, with --target.
    Transfer(DoArgs),
    /// 合并, with --target.
    Merge(DoArgs),
    /// 升级.
    Escalate(DoArgs),
    /// 催办.
    Remind(DoArgs),
    /// 确认惩戒.
    Confirm(DoArgs),
    /// 不予惩戒.
    Reject(DoArgs),
    /// 签收惩戒措施, with --target, the department.
    Receive(DoArgs),
    /// 措施落实, with --target.
    Apply(DoArgs),
    /// 措施解除, with --target.
    Remove(DoArgs),
    /// 停用一条规则的惩戒.
    Halt(DoArgs),
    /// 恢复一条规则的惩戒; two persons are needed.
    Release(DoArgs),
}

/// A running engine, and who asks.
#[derive(Debug, clap::Args)]
pub struct DoorArgs {
    /// The address of the engine's HTTP door.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub server: String,
    /// A file with the officer's token.
    #[arg(long)]
    pub token_file: PathBuf,
}

/// On what, where, why.
#[derive(Debug, clap::Args)]
pub struct DoArgs {
    /// The id of a warning or a sanction, or `rule:<id>`.
    pub id: String,
    /// The engine.
    #[command(flatten)]
    pub door: DoorArgs,
    /// Why.
    #[arg(long, default_value = "")]
    pub why: String,
    /// A department, or the warning to merge into.
    #[arg(long, default_value = "")]
    pub target: String,
    /// 属实, 部分属实, 不属实 or 无法核实.
    #[arg(long, default_value = "")]
    pub verdict: String,
}

impl DoCommand {
    fn parts(&self) -> (&'static str, &DoArgs) {
        match self {
            Self::Claim(args) => ("claim", args),
            Self::Verify(args) => ("verify", args),
            Self::Dispose(args) => ("dispose", args),
            Self::Feedback(args) => ("feedback", args),
            Self::Close(args) => ("close", args),
            Self::Reopen(args) => ("reopen", args),
            Self::Return(args) => ("return", args),
            Self::Transfer(args) => ("transfer", args),
            Self::Merge(args) => ("merge", args),
            Self::Escalate(args) => ("escalate", args),
            Self::Remind(args) => ("remind", args),
            Self::Confirm(args) => ("confirm", args),
            Self::Reject(args) => ("reject", args),
            Self::Receive(args) => ("receive", args),
            Self::Apply(args) => ("apply", args),
            Self::Remove(args) => ("remove", args),
            Self::Halt(args) => ("halt", args),
            Self::Release(args) => ("release", args),
        }
    }
}

/// Carries out an act at a running engine.
pub(super) fn act(command: &DoCommand) -> Result<Ending, CliError> {
    let (act, args) = command.parts();
    let (door, body) = if act == "feedback" {
        ("feedback", json!({ "verdict": args.verdict }))
    } else {
        let body = json!({ "act": act, "why": args.why, "target": args.target });
        ("actions", body)
    };
    post(&args.door, &format!("warnings/{}/{door}", args.id), &body)
}

/// Posts to a door under `/api/v1/` and prints the answer.
pub(super) fn post(door: &DoorArgs, path: &str, body: &Value) -> Result<Ending, CliError> {
    let token = std::fs::read_to_string(&door.token_file)?;
    let url = format!("{}/api/v1/{path}", door.server.trim_end_matches('/'));
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    let mut answer = ureq::Agent::new_with_config(config.build())
        .post(url.as_str())
        .header("authorization", format!("Bearer {}", token.trim()))
        .header("content-type", "application/json")
        .send(body.to_string())?;
    let text = answer.body_mut().read_to_string()?;
    let value: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
    say_json(&value);
    Ok(if answer.status().is_success() {
        Ending::Fine
    } else {
        Ending::Finding
    })
}

/// Shows the course of a case.
pub(super) fn case(id: &str, state: &StateArgs, format: Format) -> Result<Ending, CliError> {
    let recovered = open(state)?;
    let found = recovered
        .province
        .desk()
        .items()
        .find(|item| item.key().starts_with(id));
    let Some(item) = found else {
        say(&format!("没有编号以“{id}”开头的处置件或惩戒件"));
        return Ok(Ending::Finding);
    };
    if format == Format::Json {
        say_json(&describe::case(item));
        return Ok(Ending::Fine);
    }
    let mut course = table(&["序号", "时间", "步骤", "经办", "说明"]);
    for step in item.steps() {
        course.add_row(vec![
            step.number.to_string(),
            step.at.to_string(),
            step.word.title().to_owned(),
            step.actor.clone(),
            step.why.clone(),
        ]);
    }
    say(&course.to_string());
    Ok(Ending::Fine)
}

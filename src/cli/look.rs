//! Looking into durable state: a subject, the warnings, and whether the state is whole.
//!
//! Looking takes the lock of the state directory, so it is refused while a run has it; a running engine answers over HTTP.
//!
//! cost     the whole state is recovered first, as at a start

use super::args::{Format, StateArgs, WarningListArgs};
use super::{CliError, Ending, say, say_json};
use crate::engine::event::SubjectKey;
use crate::engine::province::Province;
use crate::engine::settle::{score, standing};
use crate::engine::subject::state::{Holdings, Status, Subject};
use crate::engine::subject::view::Level;
use crate::engine::warning::{Message, Warning};
use crate::runtime::describe::{describe, words};
use crate::runtime::recover::{Recovered, recover};
use crate::runtime::store::{DiskOptions, DiskStore, Store, stream};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde_json::json;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

/// Facts of a subject that are shown one by one.
const FACTS_MAX: usize = 40;
/// Bytes of a value that are shown of a fact.
const WORDS_CHARS_MAX: usize = 100;

/// The store of a state directory.
pub(super) fn store_in(state: &StateArgs) -> Result<DiskStore, CliError> {
    if !state.state.join("db").exists() {
        let message = format!(
            "no state in \"{}\"; give its directory with --state",
            state.state.display()
        );
        return Err(CliError::Usage(message));
    }
    Ok(DiskStore::open(&state.state)?)
}

pub(super) fn open(state: &StateArgs) -> Result<Recovered, CliError> {
    recover(&store_in(state)?, usize::MAX)?.ok_or_else(|| {
        CliError::Usage(format!(
            "the state in \"{}\" is empty",
            state.state.display()
        ))
    })
}

/// `state show`
pub(super) fn subject(key: &str, state: &StateArgs, format: Format) -> Result<Ending, CliError> {
    let key = SubjectKey::parse(key).ok_or_else(|| {
        CliError::Usage(format!(
            "\"{key}\" is no subject; write kind:key, as enterprise:9132… or region:320100"
        ))
    })?;
    let recovered = open(state)?;
    let Some(subject) = recovered.province.subject(&key) else {
        say(&format!("{key}: 没有记录"));
        return Ok(Ending::Finding);
    };
    let value = describe(&recovered.province, &subject);
    match format {
        Format::Json => say_json(&value),
        Format::Table => say(&subject_text(&recovered.province, &subject)),
    }
    Ok(Ending::Fine)
}

pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_header(header.to_vec());
    table
}

fn subject_text(province: &Province, subject: &Subject) -> String {
    let court = province.court();
    let score = score(&court, subject);
    let mut text = format!(
        "{}\n综合风险分 {}.{:02}（截至 {}）\n",
        subject.key,
        score / 100,
        score % 100,
        province.clock()
    );
    let mut episodes = table(&["类型", "级别", "状态", "规则", "内容"]);
    for message in standing(&court, subject) {
        match message {
            Message::Warning(w) => episodes.add_row(vec![
                "预警".to_owned(),
                w.level.title().to_owned(),
                status_title(w.status).to_owned(),
                format!("{} {}", w.rule_id, w.rule_name),
                w.message.clone(),
            ]),
            Message::Sanction(s) => episodes.add_row(vec![
                "惩戒建议".to_owned(),
                String::new(),
                s.status.clone(),
                format!("{} {}", s.rule_id, s.rule_name),
                s.message.clone(),
            ]),
            // What the desk says is no episode of the subject.
            Message::Task(_) | Message::Measure(_) => continue,
        };
    }
    text.push_str(&episodes.to_string());
    text.push('\n');
    match &subject.holdings {
        Holdings::Facts(facts) => {
            let mut list = table(&["时间", "类别", "记录", "内容"]);
            let mut events: Vec<_> = facts
                .streams()
                .flat_map(|(stream, list)| list.iter().filter_map(move |fact| fact.event(stream)))
                .collect();
            events.sort_by_key(|event| std::cmp::Reverse(event.occurred_at));
            for event in events.iter().take(FACTS_MAX) {
                let fields: Vec<String> = event
                    .fields
                    .iter()
                    .map(|(f, v)| format!("{}={}", f.spec().title, words(v)))
                    .collect();
                let fields: String = fields.join("，").chars().take(WORDS_CHARS_MAX).collect();
                list.add_row(vec![
                    event.occurred_at.to_string(),
                    event.stream.title().to_owned(),
                    event.id(),
                    fields,
                ]);
            }
            let (live, gone) = (facts.len(), facts.tombstones().len());
            format!("{text}共 {live} 条有效记录，{gone} 条已撤回\n{list}")
        }
        Holdings::Groups(groups) => {
            let mut list = table(&["类别", "分组", "计数"]);
            for (key, series) in groups.in_order().into_iter().take(FACTS_MAX) {
                let count = series.count(i32::MIN, i32::MAX);
                list.add_row(vec![
                    key.stream.title().to_owned(),
                    key.describe(),
                    count.to_string(),
                ]);
            }
            format!("{text}共 {} 个分组\n{list}", groups.len())
        }
    }
}

pub(super) fn status_title(status: Status) -> &'static str {
    match status {
        Status::Open => "有效",
        Status::Ended => "到期结束",
        Status::Withdrawn => "已撤回",
        Status::Muted => "未推送",
        Status::Closed => "已办结",
    }
}

/// `state verify`
pub(super) fn verify(state: &StateArgs, format: Format) -> Result<Ending, CliError> {
    let store = match DiskStore::open(&state.state) {
        Ok(store) => store,
        Err(
            error @ (crate::runtime::store::StoreError::Damaged { .. }
            | crate::runtime::store::StoreError::Unbalanced { .. }),
        ) => {
            say(&format!("状态损坏：{error}"));
            return Ok(Ending::Finding);
        }
        Err(error) => return Err(error.into()),
    };
    let report = store.verify()?;
    let recovered = recover(&store, usize::MAX)?;
    let (subjects, records, replayed, commit) = recovered.map_or((0, 0, 0, 0), |r| {
        let subjects = r
            .province
            .shards()
            .iter()
            .map(crate::engine::shard::Shard::len)
            .sum();
        (subjects, r.province.records(), r.replayed, r.head.commit)
    });
    match format {
        Format::Json => say_json(&json!({
            "root": report.ledger.root.to_string(), "entries": report.ledger.entries, "bytes": report.ledger.bytes,
            "commit": commit, "subjects": subjects, "records": records, "journal_inputs": replayed,
        })),
        Format::Table => say(&format!(
            "状态完好：{} 个条目，{} 字节，校验根 {}\n第 {commit} 次提交，{subjects} 个主体，{records} 条记录，日志中有 {replayed} 条待重放",
            report.ledger.entries, report.ledger.bytes, report.ledger.root
        )),
    }
    Ok(Ending::Fine)
}

/// `state export`
pub(super) fn export(state: &StateArgs, file: &Path) -> Result<Ending, CliError> {
    let store = DiskStore::open(&state.state)?;
    let out = File::create_new(file).map_err(|source| FileError {
        doing: "create",
        path: file.to_owned(),
        source,
    })?;
    let mut writer = BufWriter::new(out);
    let ledger = stream::export(&store, &mut writer)?;
    let sync = writer.flush().and_then(|()| writer.get_ref().sync_all());
    sync.map_err(|source| FileError {
        doing: "write",
        path: file.to_owned(),
        source,
    })?;
    say(&format!(
        "已导出 {} 个条目，校验根 {}",
        ledger.entries, ledger.root
    ));
    Ok(Ending::Fine)
}

/// `state import`
pub(super) fn import(state: &StateArgs, file: &Path) -> Result<Ending, CliError> {
    let source = File::open(file).map_err(|source| FileError {
        doing: "open",
        path: file.to_owned(),
        source,
    })?;
    let mut store = DiskStore::open_with(&state.state, DiskOptions::default())?;
    let ledger = stream::import(&mut store, &mut BufReader::new(source))?;
    say(&format!(
        "已导入 {} 个条目，校验根 {}",
        ledger.entries, ledger.root
    ));
    Ok(Ending::Fine)
}

/// A file that the user named and that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} \"{}\"", path.display())]
pub(super) struct FileError {
    /// What was tried.
    pub(super) doing: &'static str,
    /// The file.
    pub(super) path: std::path::PathBuf,
    /// Why.
    pub(super) source: std::io::Error,
}

pub(super) fn all_warnings(province: &Province) -> Vec<Warning> {
    let court = province.court();
    let mut all = Vec::new();
    for shard in province.shards() {
        for subject in shard.subjects() {
            all.extend(standing(&court, &subject).into_iter().filter_map(
                |message| match message {
                    Message::Warning(warning) => Some(*warning),
                    Message::Sanction(_) | Message::Task(_) | Message::Measure(_) => None,
                },
            ));
        }
    }
    all.sort_by(|a, b| {
        b.level
            .cmp(&a.level)
            .then(b.score.total_cmp(&a.score))
            .then(a.warning_id.cmp(&b.warning_id))
    });
    all
}

/// `warning list`
pub(super) fn warnings(args: &WarningListArgs, format: Format) -> Result<Ending, CliError> {
    let level = match &args.level {
        None => None,
        Some(name) => Some(Level::by_name(name).ok_or_else(|| {
            CliError::Usage(format!(
                "\"{name}\" is no level; use 红, 橙, 黄, 蓝 or P0, P1, P2, P3"
            ))
        })?),
    };
    let recovered = open(&args.state)?;
    let mut list = all_warnings(&recovered.province);
    list.retain(|w| {
        (args.all || w.status == Status::Open)
            && level.is_none_or(|level| w.level == level)
            && args
                .region
                .as_ref()
                .is_none_or(|region| w.region.starts_with(region.as_str()))
            && args.rule.as_ref().is_none_or(|rule| w.rule_id == *rule)
    });
    let total = list.len();
    list.truncate(args.limit);
    match format {
        Format::Json => say_json(&json!({ "total": total, "warnings": list })),
        Format::Table => {
            let mut rows = table(&["编号", "级别", "状态", "主体", "规则", "内容", "最近事实"]);
            for w in &list {
                let name = if w.subject_name.is_empty() {
                    w.subject.clone()
                } else {
                    w.subject_name.clone()
                };
                rows.add_row(vec![
                    w.warning_id.chars().take(12).collect(),
                    w.level.title().to_owned(),
                    status_title(w.status).to_owned(),
                    name,
                    w.rule_name.clone(),
                    w.message.clone(),
                    w.last_event_at.chars().take(10).collect(),
                ]);
            }
            say(&format!("{rows}\n共 {total} 条，列出 {} 条", list.len()));
        }
    }
    Ok(Ending::Fine)
}

/// `warning show`
pub(super) fn warning(id: &str, state: &StateArgs, format: Format) -> Result<Ending, CliError> {
    let recovered = open(state)?;
    let Some(warning) = the_warning(&recovered.province, id) else {
        return Ok(Ending::Finding);
    };
    match format {
        Format::Json => say_json(&json!(warning)),
        Format::Table => say(&warning_text(&warning)),
    }
    Ok(Ending::Fine)
}

/// The only warning whose id begins so; says so if there is none, or more than one.
pub(super) fn the_warning(province: &Province, id: &str) -> Option<Warning> {
    let mut found = all_warnings(province);
    found.retain(|w| w.warning_id.starts_with(id));
    if 1 < found.len() {
        say(&format!("{id}: 编号不唯一，请写长一些"));
        return None;
    }
    if found.is_empty() {
        say(&format!("{id}: 没有这条预警"));
    }
    found.pop()
}

fn warning_text(w: &Warning) -> String {
    let observed: Vec<String> = w
        .observed
        .iter()
        .map(|o| format!("  {} = {}", o.what, o.value))
        .collect();
    let due = w.due.as_ref().map_or_else(String::new, |due| {
        format!(
            "签收期限 {}\n核查期限 {}\n反馈期限 {}\n",
            due.claim_at, due.verify_at, due.feedback_at
        )
    });
    format!(
        "预警 {}\n[{}] {}（{}）\n主体 {} {}\n{}\n综合分 {:.2}，规则分 {}，第 {} 次更新\n事实自 {} 至 {}\n依据 {}\n建议 {}\n{due}证据\n  {}\n规则所见\n{}\n规则集 {}",
        w.warning_id,
        w.level.title(),
        w.rule_name,
        w.rule_id,
        w.subject,
        w.subject_name,
        w.message,
        w.score,
        w.points,
        w.revision,
        w.first_event_at,
        w.last_event_at,
        w.basis.join("、"),
        w.suggest,
        w.evidence.join("\n  "),
        observed.join("\n"),
        w.rule_set
    )
}

//! `fenghuo rule list` and `rule defs`: which rules there are, and which words they may use.

use super::args::PathArgs;
use super::sources;
use crate::cli::args::Format;
use crate::cli::{CliError, Ending, say, say_json};
use crate::engine::rule::{
    CODES, Group, MANIFEST, RuleSet, WORDS, fields_by_stream, manifest_table, word_table,
};
use crate::engine::schema::{Field, Stream};
use crate::engine::subject::view::Level;
use crate::engine::time::DAY_MS;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde_json::{Value, json};

/// `rule list`
pub(super) fn list(args: &PathArgs, format: Format) -> Result<Ending, CliError> {
    let found = sources(args.path.as_ref())?;
    let set = match RuleSet::load(&found.sources) {
        Ok(set) => set,
        Err(found) => {
            for diagnostic in &found {
                say(&format!("{diagnostic}\n"));
            }
            return Ok(Ending::Finding);
        }
    };
    if format == Format::Json {
        let rules: Vec<Value> = set
            .rules()
            .iter()
            .map(|rule| {
                let entries = rule.entries().into_iter();
                let mut told: serde_json::Map<String, Value> =
                    entries.map(|(key, value)| (key, json!(value))).collect();
                told.insert("file".to_owned(), json!(rule.manifest().file));
                told.insert("summary".to_owned(), json!(rule.manifest().summary));
                told.insert("tests".to_owned(), json!(rule.tests()));
                Value::Object(told)
            })
            .collect();
        say_json(&json!({ "rule_set": set.hash(), "rules": rules }));
        return Ok(Ending::Fine);
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header([
        "编号", "名称", "状态", "主体", "记录", "history", "例子", "文件",
    ]);
    for rule in set.rules() {
        let manifest = rule.manifest();
        let subjects: Vec<&str> = manifest.subjects.iter().map(|kind| kind.name()).collect();
        let on: Vec<&str> = manifest.on.iter().map(|stream| stream.name()).collect();
        table.add_row([
            manifest.id.to_string(),
            manifest.name.to_string(),
            manifest.status.name().to_owned(),
            subjects.join(" "),
            on.join(" "),
            format!("{}d", manifest.history_ms / DAY_MS),
            rule.tests().len().to_string(),
            manifest.file.to_string(),
        ]);
    }
    say(&table.to_string());
    say(&format!(
        "{} 条规则，规则集 {}",
        set.rules().len(),
        set.hash()
    ));
    Ok(Ending::Fine)
}

/// `rule defs`
pub(super) fn defs(format: Format) {
    if format == Format::Json {
        say_json(&definitions());
        return;
    }
    for (title, text) in [
        ("RULE 的各项", manifest_table()),
        ("who：主体", word_table(Group::Who)),
        ("ev：记录", word_table(Group::Record)),
        ("列表和文字", word_table(Group::List)),
        ("时间和数", word_table(Group::Time)),
        ("结论", word_table(Group::Say)),
        ("例子", word_table(Group::Test)),
        ("字段", fields_by_stream()),
    ] {
        say(&format!("## {title}\n\n{text}"));
    }
}

fn definitions() -> Value {
    let streams: Vec<Value> = Stream::ALL
        .into_iter()
        .map(|stream| {
            let fields: Vec<Value> = Field::all_of(stream)
                .map(|field| {
                    let spec = field.spec();
                    json!({
                        "name": spec.name, "title": spec.title,
                        "type": spec.field_type.title(), "note": spec.note,
                    })
                })
                .collect();
            json!({ "name": stream.name(), "title": stream.title(), "fields": fields })
        })
        .collect();
    let manifest: Vec<Value> = MANIFEST
        .iter()
        .map(|(key, needed, default, meaning)| {
            json!({ "key": key, "needed": needed, "default": default, "meaning": meaning })
        })
        .collect();
    let codes: Vec<Value> = CODES
        .iter()
        .map(|(code, title)| json!({ "code": code, "title": title }))
        .collect();
    json!({
        "words": WORDS,
        "manifest": manifest,
        "streams": streams,
        "levels": Level::ALL.map(Level::title),
        "codes": codes,
    })
}

//! Hover and completion: what the vocabulary says of the word at a place, and which words fit there.

use super::text::{Around, Call};
use crate::engine::rule::{Group, MANIFEST, WORDS, Word};
use crate::engine::schema::{FIELDS, Field, FieldSpec, Stream};
use crate::engine::subject::view::Level;
use std::fmt::Write;
use tower_lsp_server::ls_types::{
    CompletionItem, CompletionItemKind, Documentation, InsertTextFormat, MarkupContent, MarkupKind,
};

/// Questions whose first argument is a stream.
const ON_STREAMS: [&str; 10] = [
    "count",
    "sum",
    "distinct",
    "count_by",
    "list",
    "last",
    "days_since",
    "weekly_average",
    "daily_average",
    "add",
];
const LISTS: [(&str, &str); 4] = [
    ("abnormal", "经营异常"),
    ("serious", "严重违法"),
    ("executee", "失信被执行人"),
    ("other", "其他"),
];
const SPANS: [&str; 7] = ["24h", "7d", "30d", "60d", "90d", "180d", "365d"];

/// What is known of the word, as markdown.
pub(super) fn hover(around: &Around<'_>) -> Option<String> {
    let word = around.word;
    let mut text = String::new();
    let group = around.receiver().and_then(|receiver| match receiver {
        "who" => Some(Group::Who),
        "t" => Some(Group::Test),
        "ev" => Some(Group::Record),
        _ => None,
    });
    let fits = |row: &&Word| row.name == word && group.is_none_or(|group| row.group == group);
    if around.is_in_text() {
        if let Some(stream) = Stream::by_name(word) {
            let fields: Vec<String> = Field::all_of(stream)
                .map(|field| format!("`{}` {}", field.name(), field.spec().title))
                .collect();
            let _ = write!(
                text,
                "**{} {}**\n\n{}",
                stream.name(),
                stream.title(),
                fields.join("、")
            );
        }
    } else {
        for row in WORDS.iter().filter(fits) {
            let _ = write!(text, "{}\n\n", shown(row));
        }
    }
    if text.is_empty()
        && let Some(spec) = FIELDS.iter().find(|spec| spec.name == word)
    {
        text = field(spec);
    }
    if text.is_empty() && around.receiver().is_none() {
        let entry = MANIFEST.iter().find(|(key, ..)| *key == word);
        text = entry.map_or(String::new(), |(key, _, _, meaning)| {
            format!("**RULE.{key}**：{meaning}")
        });
    }
    (!text.is_empty()).then_some(text)
}

fn shown(row: &Word) -> String {
    format!(
        "```rhai\n{}\n```\n{}\n\n例：`{}`",
        row.form, row.gives, row.example
    )
}

fn field(spec: &FieldSpec) -> String {
    let streams: Vec<&str> = Stream::ALL
        .into_iter()
        .filter(|stream| spec.is_of(*stream))
        .map(Stream::title)
        .collect();
    format!(
        "**{} {}**（{}）\n\n{}\n\n{}没填的读作 `()`。",
        spec.name,
        spec.title,
        spec.field_type.title(),
        streams.join("、"),
        if spec.note.is_empty() {
            String::new()
        } else {
            format!("{}。", spec.note)
        }
    )
}

/// The words that fit at a place of a rule's text.
pub(super) fn completion(around: &Around<'_>, text: &str) -> Vec<CompletionItem> {
    if around.is_in_text() {
        return in_text(around);
    }
    if let Some(receiver) = around.receiver() {
        return match receiver {
            "who" => of_group(Group::Who),
            "t" => of_group(Group::Test),
            "p" => params(text),
            "ev" => {
                let streams = streams_of(text);
                let own = FIELDS
                    .iter()
                    .filter(|spec| streams.iter().any(|stream| spec.is_of(*stream)));
                of_group(Group::Record)
                    .into_iter()
                    .chain(own.map(of_field))
                    .collect()
            }
            _ => of_group(Group::List)
                .into_iter()
                .chain(FIELDS.iter().map(of_field))
                .collect(),
        };
    }
    match around.call() {
        Some(call) if call.is_in_map() => keys(&call),
        None if around.before.trim().is_empty() && is_in_manifest(text, around) => MANIFEST
            .iter()
            .map(|(key, _, _, meaning)| plain(key, CompletionItemKind::PROPERTY, meaning))
            .collect(),
        _ => of_group(Group::Time)
            .into_iter()
            .chain(of_group(Group::Say))
            .collect(),
    }
}

fn in_text(around: &Around<'_>) -> Vec<CompletionItem> {
    let value = |name: &str, title: &str| plain(name, CompletionItemKind::ENUM_MEMBER, title);
    let streams = || {
        Stream::ALL
            .into_iter()
            .map(|s| value(s.name(), s.title()))
            .collect()
    };
    let head = around.before.trim_end_matches('"').trim_end();
    if head.ends_with("level:") {
        return Level::ALL
            .map(|level| value(level.title(), level.code()))
            .to_vec();
    }
    if head.trim_end_matches(['[', ' ']).ends_with("on:") {
        return streams();
    }
    let Some(call) = around.call() else {
        return Vec::new();
    };
    match (call.name, call.argument()) {
        (name, 0) if ON_STREAMS.contains(&name) => streams(),
        ("on_list" | "list_entry", 0) => LISTS.map(|(name, title)| value(name, title)).to_vec(),
        ("expect", 0) => Level::ALL
            .map(|level| value(level.title(), level.code()))
            .to_vec(),
        ("sum" | "distinct" | "count_by", 1) => fields_of(&call),
        ("count" | "list" | "weekly_average" | "daily_average", 1)
        | ("sum" | "distinct" | "count_by", 2) => SPANS.map(|span| value(span, "时间窗")).to_vec(),
        _ => Vec::new(),
    }
}

/// The keys of a map that is passed to a call.
fn keys(call: &Call<'_>) -> Vec<CompletionItem> {
    let named = |keys: &[&str]| {
        keys.iter()
            .map(|key| plain(key, CompletionItemKind::PROPERTY, ""))
            .collect()
    };
    match call.name {
        "warn" => named(&["level", "score", "message", "suggest", "evidence"]),
        "signal" => named(&["score", "message", "evidence"]),
        "sanction" => named(&[
            "measures", "partners", "message", "months", "review", "evidence",
        ]),
        _ => fields_of(call),
    }
}

fn fields_of(call: &Call<'_>) -> Vec<CompletionItem> {
    let stream = call.first_text().and_then(Stream::by_name);
    let fields = stream.into_iter().flat_map(Field::all_of);
    fields.map(|field| of_field(field.spec())).collect()
}

fn plain(name: &str, kind: CompletionItemKind, detail: &str) -> CompletionItem {
    CompletionItem {
        label: name.to_owned(),
        kind: Some(kind),
        detail: Some(detail.to_owned()),
        ..CompletionItem::default()
    }
}

fn of_field(spec: &FieldSpec) -> CompletionItem {
    let detail = format!("{}（{}）", spec.title, spec.field_type.title());
    CompletionItem {
        documentation: Some(markdown(field(spec))),
        ..plain(spec.name, CompletionItemKind::FIELD, &detail)
    }
}

fn of_group(group: Group) -> Vec<CompletionItem> {
    let mut items: Vec<CompletionItem> = Vec::new();
    for row in WORDS.iter().filter(|row| row.group == group) {
        if let Some(item) = items.iter_mut().find(|item| item.label == row.name) {
            if let Some(Documentation::MarkupContent(held)) = &mut item.documentation {
                held.value.push_str("\n\n");
                held.value.push_str(&shown(row));
            }
            continue;
        }
        let is_call = row.form.contains('(');
        let kind = if is_call {
            CompletionItemKind::FUNCTION
        } else {
            CompletionItemKind::PROPERTY
        };
        let takes = row.form.contains(&format!("{}()", row.name));
        let insert = match (is_call, takes) {
            (false, _) => row.name.to_owned(),
            (true, true) => format!("{}()", row.name),
            (true, false) => format!("{}($0)", row.name),
        };
        items.push(CompletionItem {
            documentation: Some(markdown(shown(row))),
            insert_text: Some(insert),
            insert_text_format: Some(InsertTextFormat::SNIPPET),
            ..plain(row.name, kind, row.form)
        });
    }
    items
}

pub(super) fn markdown(value: String) -> Documentation {
    Documentation::MarkupContent(MarkupContent {
        kind: MarkupKind::Markdown,
        value,
    })
}

/// The names in `params: #{ … }`, read from the text, which need not be complete.
fn params(text: &str) -> Vec<CompletionItem> {
    let Some((_, rest)) = text.split_once("params:") else {
        return Vec::new();
    };
    let inner = rest.split_once('}').map_or(rest, |(inner, _)| inner);
    let names = inner
        .split([',', '{'])
        .filter_map(|part| part.split_once(':'));
    names
        .map(|(name, value)| plain(name.trim(), CompletionItemKind::CONSTANT, value.trim()))
        .filter(|item| item.label.chars().all(|c| c.is_alphanumeric() || c == '_'))
        .collect()
}

/// The streams in `on: […]`.
fn streams_of(text: &str) -> Vec<Stream> {
    let rest = text
        .lines()
        .find_map(|line| line.trim_start().strip_prefix("on:"));
    let names = rest.unwrap_or("").split('"').skip(1).step_by(2);
    let streams: Vec<Stream> = names.filter_map(Stream::by_name).collect();
    if streams.is_empty() {
        Stream::ALL.to_vec()
    } else {
        streams
    }
}

fn is_in_manifest(text: &str, around: &Around<'_>) -> bool {
    let manifest = text.split_once("const RULE").map_or("", |(_, rest)| rest);
    let manifest = manifest
        .split_once("};")
        .map_or(manifest, |(inner, _)| inner);
    let line = format!("{}{}", around.before, around.word);
    manifest
        .lines()
        .skip(1)
        .any(|held| held.starts_with(&line) && !line.trim().is_empty())
}

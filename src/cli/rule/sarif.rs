//! Diagnostics as SARIF 2.1.0, for code review systems and editors.
//!
//! units    columns are counted in characters (`unicodeCodePoints`), from 1
//! source   OASIS, Static Analysis Results Interchange Format 2.1.0, sections 3.14 (run), 3.27 (result), 3.55 (fix)

use crate::engine::rule::{CODES, Diagnostic, Fix, Severity};
use serde_json::{Value, json};
use std::path::Path;

/// The report; files are named from `dir` on.
pub(super) fn report(found: &[Diagnostic], dir: Option<&Path>) -> Value {
    let rules: Vec<Value> = CODES
        .iter()
        .map(|(code, title)| json!({ "id": code, "shortDescription": { "text": title } }))
        .collect();
    let results: Vec<Value> = found.iter().map(|one| result(one, dir)).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "fenghuo rule check",
                "version": env!("CARGO_PKG_VERSION"),
                "language": "zh-CN",
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(one: &Diagnostic, dir: Option<&Path>) -> Value {
    let uri = dir.map_or_else(
        || format!("rules/{}", one.file),
        |dir| dir.join(&one.file).to_string_lossy().into_owned(),
    );
    let mut physical = json!({ "artifactLocation": { "uri": uri } });
    if 0 < one.line {
        let mut region = json!({ "startLine": one.line, "snippet": { "text": one.source_line } });
        if 0 < one.column {
            region = with(region, "startColumn", json!(one.column));
            region = with(region, "endColumn", json!(one.column + one.width.max(1)));
        }
        physical = with(physical, "region", region);
    }
    let message = if one.help.is_empty() {
        one.message.clone()
    } else {
        format!("{}。{}", one.message, one.help)
    };
    let result = json!({
        "ruleId": one.code,
        "level": match one.severity { Severity::Error => "error", Severity::Warning => "warning" },
        "message": { "text": message },
        "locations": [{ "physicalLocation": physical }],
    });
    match &one.fix {
        None => result,
        Some(fix) => with(result, "fixes", json!([change(one, fix, &uri)])),
    }
}

fn change(one: &Diagnostic, fix: &Fix, uri: &str) -> Value {
    json!({
        "description": { "text": one.help },
        "artifactChanges": [{
            "artifactLocation": { "uri": uri },
            "replacements": [{
                "deletedRegion": {
                    "startLine": one.line,
                    "startColumn": fix.column,
                    "endColumn": fix.column + fix.from.chars().count(),
                },
                "insertedContent": { "text": fix.to },
            }],
        }],
    })
}

fn with(mut object: Value, key: &str, value: Value) -> Value {
    if let Value::Object(map) = &mut object {
        map.insert(key.to_owned(), value);
    }
    object
}

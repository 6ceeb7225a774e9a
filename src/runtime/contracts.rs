//! What other systems may rely on: JSON Schemas of what leaves, from its types, and an AsyncAPI document of the topics.
//!
//! Within `v1` a field never vanishes and never changes its type: [`broken`] says what a new schema takes away from an old one, and a
//! test holds the schemas of `fixtures/contracts` to it. New fields may come; readers skip what they do not know.
//!
//! source   JSON Schema draft-07, AsyncAPI 3.1.0, CloudEvents 1.0.2 Kafka binding

use super::reported::Reported;
use super::sink::OutputKind;
use crate::engine::desk::task::{Measure, Task};
use crate::engine::remark::{Decision, SubjectRisk};
use crate::engine::warning::{Sanction, Warning};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// The JSON Schema of a kind of output; dead letters have none, as their bytes are as they came.
pub fn schema(kind: OutputKind) -> Option<Value> {
    fn of<T: JsonSchema>() -> Value {
        // As it is written: a field that is left out when it is empty is not required.
        let settings = SchemaSettings::draft07().for_serialize();
        settings
            .into_generator()
            .into_root_schema_for::<T>()
            .to_value()
    }
    Some(match kind {
        OutputKind::Warning => of::<Warning>(),
        OutputKind::Sanction => of::<Sanction>(),
        OutputKind::Task => of::<Task>(),
        OutputKind::Measure => of::<Measure>(),
        OutputKind::Record => of::<Reported>(),
        OutputKind::Decision => of::<Decision>(),
        OutputKind::SubjectRisk => of::<SubjectRisk>(),
        OutputKind::DeadLetter => return None,
    })
}

/// The name of a kind's schema file: `warning.v1.schema.json`.
pub fn schema_name(kind: OutputKind) -> String {
    let name = kind.topic().trim_start_matches("fenghuo.");
    format!("{name}.schema.json")
}

/// What readers of the old schema would miss in the new one, as paths with what is wrong; nothing if all is well.
pub fn broken(old: &Value, new: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare((old, old), (new, new), "", &mut found);
    found
}

/// A schema with its reference followed, in its document.
fn resolved<'a>(root: &'a Value, at: &'a Value) -> &'a Value {
    let name = at.get("$ref").or_else(|| at.pointer("/allOf/0/$ref"));
    name.and_then(Value::as_str)
        .and_then(|name| root.pointer(name.trim_start_matches('#')))
        .unwrap_or(at)
}

fn map<'a>(of: &'a Value, key: &str) -> Option<&'a Map<String, Value>> {
    of.get(key).and_then(Value::as_object)
}

fn list<'a>(of: &'a Value, key: &str) -> &'a [Value] {
    of.get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn compare(
    (old_root, old): (&Value, &Value),
    (new_root, new): (&Value, &Value),
    path: &str,
    found: &mut Vec<String>,
) {
    let (old, new) = (resolved(old_root, old), resolved(new_root, new));
    if old.get("type") != new.get("type") {
        let text = |schema: &Value| {
            schema
                .get("type")
                .map_or_else(String::new, Value::to_string)
        };
        found.push(format!(
            "{path}: the type was {}, now {}",
            text(old),
            text(new)
        ));
    }
    for (name, before) in map(old, "properties").into_iter().flatten() {
        let path = format!("{path}/{name}");
        match map(new, "properties").and_then(|properties| properties.get(name)) {
            None => found.push(format!("{path}: the field is gone")),
            Some(after) => compare((old_root, before), (new_root, after), &path, found),
        }
    }
    let required = list(new, "required");
    for name in list(old, "required")
        .iter()
        .filter(|name| !required.contains(name))
    {
        found.push(format!(
            "{path}: {name} was always there, now it may be absent"
        ));
    }
    // An optional schema stands in `anyOf` beside null, words in `oneOf`.
    for key in ["anyOf", "oneOf"] {
        let (before, after) = (list(old, key), list(new, key));
        for (at, before) in before.iter().enumerate() {
            let word = before.get("const").or_else(|| before.get("enum"));
            if let Some(word) = word {
                let stays =
                    |new: &Value| new.get("const").or_else(|| new.get("enum")) == Some(word);
                if !after.iter().any(stays) {
                    found.push(format!("{path}: the word {word} is gone"));
                }
            } else {
                let after = after.get(at).unwrap_or(&Value::Null);
                compare((old_root, before), (new_root, after), path, found);
            }
        }
    }
    if let (Some(before), after) = (old.get("items"), new.get("items")) {
        let after = after.unwrap_or(&Value::Null);
        compare(
            (old_root, before),
            (new_root, after),
            &format!("{path}[]"),
            found,
        );
    }
}

/// What a topic is for.
fn told(kind: OutputKind) -> (&'static str, &'static str) {
    match kind {
        OutputKind::Warning => (
            "Warning",
            "Warnings: raised, revised, withdrawn, ended, closed. `warning_id` ties the messages of one warning together; a `withdrawn` one must be withdrawn wherever it was used.",
        ),
        OutputKind::Sanction => (
            "Sanction",
            "Proposals of joint sanctions and their lifts. A proposal is no order: see `fenghuo.measure.v1`.",
        ),
        OutputKind::DeadLetter => (
            "DeadLetter",
            "Records that were refused, as they came; the headers say where they stood and what is wrong. They may hold personal data.",
        ),
        OutputKind::Record => (
            "Record",
            "Inspections, penalties, coercive measures and items of the catalogue as they were read, for the national exchange; only when its `sends` has \"record\".",
        ),
        OutputKind::Task => ("Task", "Every step of a case, and by when the next is due."),
        OutputKind::Measure => (
            "Measure",
            "Orders to one department: impose, later lift. A lift names the order that it lifts and comes only after the department has received that.",
        ),
        OutputKind::Decision => (
            "Decision",
            "Every judgement that changed something, or failed, and why: what the rule saw, what it rests on, what was told of it or why nothing was. On request.",
        ),
        OutputKind::SubjectRisk => (
            "SubjectRisk",
            "How each subject stands: score, level, open warnings. Compacted; the last message of a key holds, one without a value takes the subject back. On request.",
        ),
    }
}

/// The AsyncAPI document of all topics, as YAML.
pub fn asyncapi() -> String {
    let mut text = format!(
        "# Made by `fenghuo contracts`; the schemas beside it are made from the types that are written.
asyncapi: 3.1.0
info:
  title: Fenghuo
  version: {}
  description: >-
    What the risk-warning engine tells other systems. Messages are CloudEvents in binary mode; key = subject; all messages of a subject are in
    one partition, in order. A message may come twice with the same id and the same bytes: drop copies by `ce_id`. Fields may be added within
    v1; none vanishes or changes its type.
defaultContentType: application/json
channels:
",
        env!("CARGO_PKG_VERSION")
    );
    for kind in OutputKind::ALL {
        let ((name, what), topic) = (told(kind), kind.topic());
        let _ = write!(
            text,
            "  {name}:\n    address: {topic}\n    description: >-\n      {what}\n    messages:\n      {name}:\n        $ref: '#/components/messages/{name}'\n"
        );
    }
    text += "operations:\n";
    for kind in OutputKind::ALL {
        let (name, _) = told(kind);
        let _ = write!(
            text,
            "  tell{name}:\n    action: send\n    channel:\n      $ref: '#/channels/{name}'\n    messages:\n      - $ref: '#/channels/{name}/messages/{name}'\n"
        );
    }
    text += "components:\n  messages:\n";
    for kind in OutputKind::ALL {
        let ((name, _), topic) = (told(kind), kind.topic());
        let content = match schema(kind) {
            Some(_) => format!(
                "      contentType: application/json\n      payload:\n        schemaFormat: application/schema+json;version=draft-07\n        schema:\n          $ref: ./{}\n",
                schema_name(kind)
            ),
            None => "      contentType: application/octet-stream\n".to_owned(),
        };
        let _ = write!(
            text,
            "    {name}:\n      name: {topic}\n{content}      headers:\n        type: object\n        required: [ce_specversion, ce_id, ce_source, ce_type, ce_subject]\n        properties:\n          \
             ce_specversion: {{ type: string, const: '1.0' }}\n          ce_id: {{ type: string, description: The identity; the same for every copy. }}\n          ce_source: {{ type: string, const: /fenghuo }}\n          \
             ce_type: {{ type: string, const: {topic} }}\n          ce_subject: {{ type: string, description: Whom it is about. }}\n"
        );
    }
    text
}

/// All documents by file name.
pub fn documents() -> Vec<(String, String)> {
    let mut documents = vec![("asyncapi.yaml".to_owned(), asyncapi())];
    for kind in OutputKind::ALL {
        if let Some(schema) = schema(kind) {
            let text = serde_json::to_string_pretty(&schema).unwrap_or_default();
            documents.push((schema_name(kind), text + "\n"));
        }
    }
    documents
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_lost_field_a_new_type_and_a_lost_word_are_found() {
        let old = json!({
            "type": "object", "required": ["a"],
            "properties": {
                "a": { "type": "string" }, "b": { "type": "integer" }, "c": { "$ref": "#/definitions/C" },
                "d": { "anyOf": [{ "$ref": "#/definitions/D" }, { "type": "null" }] }
            },
            "definitions": {
                "C": { "oneOf": [{ "const": "x", "type": "string" }, { "const": "y", "type": "string" }] },
                "D": { "type": "object", "properties": { "e": { "type": "array", "items": { "type": "string" } } } }
            }
        });
        assert_eq!(broken(&old, &old), Vec::<String>::new());
        let mut more = old.clone();
        more["properties"]["new"] = json!({ "type": "boolean" });
        assert_eq!(broken(&old, &more), Vec::<String>::new());
        let mut new = old.clone();
        new["required"] = json!([]);
        new["properties"].as_object_mut().unwrap().remove("a");
        new["properties"]["b"]["type"] = json!("number");
        new["definitions"]["C"]["oneOf"] = json!([{ "const": "y", "type": "string" }]);
        new["definitions"]["D"]["properties"]["e"]["items"]["type"] = json!("integer");
        let found = [
            "/a: the field is gone",
            r#"/b: the type was "integer", now "number""#,
            r#"/c: the word "x" is gone"#,
            r#"/d/e[]: the type was "string", now "integer""#,
            r#": "a" was always there, now it may be absent"#,
        ];
        assert_eq!(broken(&old, &new), found);
    }
}

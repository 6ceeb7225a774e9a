//! What Grafana provisions for alerting is made from the Prometheus rules, and all provisioning files have the documented shape.
//!
//! `UPDATE_EXPECT=1 cargo test --test it provisioned` writes `grafana/provisioning/alerting/fenghuo-rules.yml` anew. An alert
//! becomes three steps, as Grafana converts Prometheus rules itself: the query at one moment; whether it gave a number; more
//! than nought. An alert leads to the panel that shows it and to its page of the runbook. `$value` becomes the
//! query's value. Annotations are not interpolated by provisioning, so `$labels` stays.

use crate::runbook::{UID, sections, shown};
use crate::support::project;
use serde_json::{Map, Value, json};
use std::fmt::Write;

const RULES: &str = "grafana/provisioning/alerting/fenghuo-rules.yml";
const HEAD: &str =
    "# 由 alerts/*.yml 生成，勿手改：UPDATE_EXPECT=1 cargo test --test it provisioned\n";

fn yaml(path: &str) -> Value {
    let text = std::fs::read_to_string(project(path)).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or("")
}

/// A Prometheus rule as Grafana provisions it.
fn converted(rule: &Value) -> Value {
    let step = |id: &str, uid: &str, model: Value| json!({ "refId": id, "datasourceUid": uid, "relativeTimeRange": { "from": 600, "to": 0 }, "model": model });
    let query = json!({ "refId": "query", "expr": rule["expr"], "instant": true, "range": false, "editorMode": "code" });
    let number = json!({ "refId": "number", "type": "math", "expression": "is_number($query) || is_nan($query) || is_inf($query)" });
    let fires = json!({
        "refId": "fires", "type": "threshold", "expression": "number",
        "conditions": [{ "evaluator": { "type": "gt", "params": [0] } }],
    });
    let mut annotations = Map::new();
    for (name, text) in rule["annotations"].as_object().unwrap() {
        let text = text
            .as_str()
            .unwrap()
            .replace("$value", "$values.query.Value");
        annotations.insert(name.clone(), json!(text));
    }
    let title = word(rule, "alert");
    let panel = shown().into_iter().find(|one| one.alert == title).unwrap();
    let page = sections()
        .iter()
        .position(|(alert, _)| alert == title)
        .unwrap()
        + 1;
    let page = format!("/d/{UID}?viewPanel={page}");
    annotations.insert("runbook_url".to_owned(), json!(page));
    json!({
        "uid": title.to_lowercase(),
        "title": title,
        "condition": "fires",
        "data": [
            step("query", "fenghuo-prometheus", query),
            step("number", "__expr__", number),
            step("fires", "__expr__", fires),
        ],
        "noDataState": "OK",
        "execErrState": "Error",
        "for": rule["for"].as_str().unwrap_or("0s"),
        "labels": rule["labels"],
        "annotations": annotations,
        "dashboardUid": panel.board,
        "panelId": panel.panel,
        "isPaused": false,
    })
}

/// Block style, one key a line, scalars as JSON writes them.
fn write(out: &mut String, value: &Value, indent: usize) {
    let pad = " ".repeat(indent);
    let is_block = |value: &Value| value.is_object() || value.is_array();
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let _ = write!(out, "{pad}{key}:");
                if is_block(inner) {
                    out.push('\n');
                    write(out, inner, indent + 2);
                } else {
                    let _ = writeln!(out, " {inner}");
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                let mut text = String::new();
                if is_block(item) {
                    write(&mut text, item, indent + 2);
                } else {
                    let _ = writeln!(text, "{pad}  {item}");
                }
                text.replace_range(indent..=indent, "-");
                out.push_str(&text);
            }
        }
        scalar => {
            let _ = writeln!(out, "{pad}{scalar}");
        }
    }
}

#[test]
fn grafana_gets_the_alerts_of_prometheus() {
    let mut groups = Vec::new();
    for file in ["business", "engine"] {
        for group in list(&yaml(&format!("grafana/alerts/{file}.yml")), "groups") {
            let rules: Vec<Value> = list(group, "rules").iter().map(converted).collect();
            groups.push(json!({
                "orgId": 1, "name": group["name"], "folder": "烽火", "interval": group["interval"], "rules": rules,
            }));
        }
    }
    let mut text = HEAD.to_owned();
    write(&mut text, &json!({ "apiVersion": 1, "groups": groups }), 0);
    expect_test::expect_file![project(RULES)].assert_eq(&text);
    let read: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(read, json!({ "apiVersion": 1, "groups": groups }));
}

/// The keys of a documented object, those that must be there first.
struct Shape {
    needed: &'static [&'static str],
    known: &'static [&'static str],
}

fn hold(faults: &mut Vec<String>, at: &str, value: &Value, shape: &Shape) {
    let Some(map) = value.as_object() else {
        faults.push(format!("{at}: not an object"));
        return;
    };
    for key in shape.needed {
        if !map.contains_key(*key) {
            faults.push(format!("{at}: no {key}"));
        }
    }
    for key in map.keys() {
        if !shape.needed.contains(&key.as_str()) && !shape.known.contains(&key.as_str()) {
            faults.push(format!("{at}: unknown {key}"));
        }
    }
}

#[rustfmt::skip]
const GROUP: Shape = Shape { needed: &["orgId", "name", "folder", "interval", "rules"], known: &[] };
#[rustfmt::skip]
const RULE: Shape = Shape {
    needed: &["uid", "title", "condition", "data", "for", "noDataState", "execErrState"],
    known: &["dashboardUid", "panelId", "annotations", "labels", "isPaused", "notification_settings", "keepFiringFor"],
};
#[rustfmt::skip]
const STEP: Shape = Shape { needed: &["refId", "relativeTimeRange", "datasourceUid", "model"], known: &["queryType"] };
#[rustfmt::skip]
const CONTACT: Shape = Shape { needed: &["orgId", "name", "receivers"], known: &[] };
#[rustfmt::skip]
const RECEIVER: Shape = Shape { needed: &["uid", "type", "settings"], known: &["disableResolveMessage"] };
#[rustfmt::skip]
const ROUTE: Shape = Shape {
    needed: &["receiver"],
    known: &["orgId", "group_by", "matchers", "object_matchers", "mute_time_intervals", "active_time_intervals", "continue",
             "group_wait", "group_interval", "repeat_interval", "routes"],
};
#[rustfmt::skip]
const SOURCE: Shape = Shape {
    needed: &["name", "type", "url"],
    known: &["uid", "access", "isDefault", "jsonData", "secureJsonData", "orgId", "editable", "version", "basicAuth", "basicAuthUser"],
};
#[rustfmt::skip]
const PROVIDER: Shape = Shape {
    needed: &["name", "options"],
    known: &["orgId", "folder", "folderUid", "type", "disableDeletion", "updateIntervalSeconds", "allowUiUpdates"],
};

fn routes(faults: &mut Vec<String>, route: &Value, receivers: &[&str]) {
    hold(faults, "route", route, &ROUTE);
    if !receivers.contains(&word(route, "receiver")) {
        faults.push(format!("no contact point {}", route["receiver"]));
    }
    for inner in list(route, "routes") {
        routes(faults, inner, receivers);
    }
}

#[test]
fn provisioning_files_have_the_documented_shape() {
    let faults = &mut Vec::new();
    for group in list(&yaml(RULES), "groups") {
        hold(faults, "group", group, &GROUP);
        for rule in list(group, "rules") {
            let title = word(rule, "title");
            hold(faults, title, rule, &RULE);
            let uid = word(rule, "uid");
            let is_clean = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if uid.is_empty() || 40 < uid.len() || !uid.chars().all(is_clean) {
                faults.push(format!("{title}: uid {uid}"));
            }
            let steps = list(rule, "data");
            if !steps.iter().any(|step| step["refId"] == rule["condition"]) {
                faults.push(format!("{title}: no step is the condition"));
            }
            for step in steps {
                hold(faults, title, step, &STEP);
            }
        }
    }
    let contacts = yaml("grafana/provisioning/alerting/fenghuo-contact-points.yml");
    let mut kinds = Vec::new();
    for contact in list(&contacts, "contactPoints") {
        hold(faults, word(contact, "name"), contact, &CONTACT);
        for receiver in list(contact, "receivers") {
            hold(faults, word(contact, "name"), receiver, &RECEIVER);
            let needed = match word(receiver, "type") {
                "webhook" => "url",
                "email" => "addresses",
                other => panic!("what does a receiver of type {other} need?"),
            };
            if word(&receiver["settings"], needed).is_empty() {
                faults.push(format!("{}: no {needed}", receiver["uid"]));
            }
            kinds.push(word(receiver, "type"));
        }
    }
    assert!(kinds.contains(&"email") && kinds.iter().filter(|k| **k == "webhook").count() >= 3);
    let receivers: Vec<&str> = list(&contacts, "contactPoints")
        .iter()
        .map(|c| word(c, "name"))
        .collect();
    let policies = yaml("grafana/alerts/grafana-policies.example.yml");
    assert_eq!(list(&policies, "policies").len(), 1, "a tree has one root");
    routes(faults, &policies["policies"][0], &receivers);
    for source in list(
        &yaml("grafana/provisioning/datasources/fenghuo.yml"),
        "datasources",
    ) {
        hold(faults, word(source, "name"), source, &SOURCE);
    }
    for provider in list(
        &yaml("grafana/provisioning/dashboards/fenghuo.yml"),
        "providers",
    ) {
        hold(faults, word(provider, "name"), provider, &PROVIDER);
    }
    for file in ["datasources", "dashboards"] {
        assert_eq!(
            yaml(&format!("grafana/provisioning/{file}/fenghuo.yml"))["apiVersion"],
            1
        );
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_compose_file_mounts_what_is_there() {
    let compose = yaml("grafana/compose.yml");
    let services = compose["services"].as_object().unwrap();
    let names: Vec<&String> = services.keys().collect();
    assert_eq!(names, ["alertmanager", "engine", "grafana", "prometheus"]);
    for (name, service) in services {
        assert!(word(service, "image").contains(':'), "{name}: no version");
        for volume in list(service, "volumes") {
            let (from, _) = volume.as_str().unwrap().split_once(':').unwrap();
            if from.starts_with('.') {
                let path = project("grafana").join(from);
                assert!(path.exists(), "{name}: {from} is not there");
            } else {
                assert!(compose["volumes"].get(from).is_some(), "{name}: {from}");
            }
        }
    }
}

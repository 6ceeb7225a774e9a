//! Dashboards, alerts and runbooks say only what the engine measures, and every panel keeps the rules of the house.
//!
//! The panel rules are those of Grafana's dashboard-linter, stated anew: variables for data source, job and instance;
//! title, description, unit and query on every panel; job and instance in every selector; `$__rate_interval` in graphs;
//! counters only under a rate or an increase; nothing that can be edited by hand in Grafana and lost.

use super::support::{dashboards, list, project, word};
use fenghuo::runtime::http::routes::ROUTES;
use fenghuo::runtime::metrics::table::{Kind, Spec, TABLE};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write;

const SCHEMA_VERSION_MAX: u64 = 42;
/// Name, type and refresh of the variables that a board has to have.
type Variables = &'static [(&'static str, &'static str, Option<u64>)];
const OF_A_BOARD: Variables = &[
    ("datasource", "datasource", Some(1)),
    ("job", "query", Some(2)),
    ("instance", "query", Some(2)),
];
const OF_A_SUBJECT: Variables = &[
    ("datasource", "datasource", Some(1)),
    ("subject", "textbox", None),
];
/// What reads the engine's doors.
const DOORS: &str = "yesoreyeram-infinity-datasource";
const BEGIN: &str = "<!-- panels:begin -->\n";
const END: &str = "<!-- panels:end -->\n";
/// A histogram's series.
const ENDINGS: [&str; 3] = ["_bucket", "_sum", "_count"];

fn text(path: &str) -> String {
    std::fs::read_to_string(project(path)).unwrap()
}

/// Each metric of a query, with what stands before it and after it.
fn uses(query: &str) -> Vec<(&str, &str, &str)> {
    query
        .match_indices("fenghuo_")
        .map(|(at, _)| {
            let (before, rest) = query.split_at(at);
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            (before, name, after)
        })
        .collect()
}

fn row_of(name: &str) -> Option<&'static Spec> {
    TABLE.iter().find(|spec| {
        spec.name == name
            || (spec.kind == Kind::Histogram
                && ENDINGS
                    .iter()
                    .any(|ending| name.strip_suffix(ending) == Some(spec.name)))
    })
}

/// What is wrong with a query, in a dashboard or in an alert.
fn faults_of_query(query: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (before, name, after) in uses(query) {
        let Some(spec) = row_of(name) else {
            faults.push(format!("{name} is not in the table of metrics"));
            continue;
        };
        let is_total = spec.kind == Kind::Counter || name.ends_with("_bucket");
        let is_under_rate = ["rate(", "increase("].iter().any(|f| before.ends_with(f));
        if is_total && !is_under_rate {
            faults.push(format!("{name} only grows: ask for its rate or increase"));
        }
        if spec.kind == Kind::Gauge && is_under_rate {
            faults.push(format!("{name} goes up and down: it has no rate"));
        }
        let labels = after
            .strip_prefix('{')
            .and_then(|rest| rest.split_once('}'))
            .map_or("", |(labels, _)| labels);
        for label in labels
            .split(',')
            .filter_map(|pair| pair.split(['=', '!']).next())
        {
            let known = ["", "job", "instance"].contains(&label) || spec.labels.contains(&label);
            if !known {
                faults.push(format!("{name} has no label {label}"));
            }
        }
    }
    faults
}

/// A panel that asks the engine's own doors.
fn faults_of_door_panel(panel: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    for target in list(panel, "/targets") {
        let path = word(target, "/url").split(['?', '$']).next().unwrap_or("");
        let is_door = ROUTES.iter().any(|route| {
            let plain = route.path.split('{').next().unwrap_or("");
            route.method == "GET" && plain.starts_with("/api/") && path == plain
        });
        if !is_door || word(target, "/datasource/type") != DOORS {
            faults.push(format!("asks no door of the engine: {path}"));
        }
        if list(target, "/columns").is_empty() {
            faults.push("shows no column".to_owned());
        }
    }
    faults
}

fn faults_of_panel(panel: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    if word(panel, "/type") == "text" {
        // A page of the runbook.
        let is_blank = ["/title", "/options/content"]
            .iter()
            .any(|at| word(panel, at).is_empty());
        return is_blank
            .then(|| "says nothing".to_owned())
            .into_iter()
            .collect();
    }
    for at in ["/title", "/description", "/fieldConfig/defaults/unit"] {
        if word(panel, at).is_empty() {
            faults.push(format!("no {at}"));
        }
    }
    let targets = list(panel, "/targets");
    if targets.is_empty() {
        faults.push("asks nothing".to_owned());
    }
    if word(panel, "/datasource/type") == DOORS {
        faults.extend(faults_of_door_panel(panel));
        return faults;
    }
    if word(panel, "/datasource/uid") != "${datasource}" {
        faults.push("its data source is fixed".to_owned());
    }
    for target in targets {
        let query = word(target, "/expr");
        if uses(query).is_empty() {
            faults.push(format!("asks for no metric of the engine: {query}"));
        }
        if word(target, "/datasource/uid") != "${datasource}" {
            faults.push("a query's data source is fixed".to_owned());
        }
        faults.extend(faults_of_query(query));
        for (_, name, after) in uses(query) {
            if !after.starts_with("{job=~\"$job\",instance=~\"$instance\"") {
                faults.push(format!("{name} is not chosen by job and instance"));
            }
        }
        let is_graph = word(panel, "/type") == "timeseries";
        if is_graph && query.contains('[') && !query.contains("[$__rate_interval]") {
            faults.push(format!("a fixed interval in a graph: {query}"));
        }
    }
    faults
}

#[test]
fn dashboards_keep_the_rules_and_name_only_what_is_measured() {
    let mut faults = Vec::new();
    for (name, board) in dashboards() {
        let mut say = |what: &str| faults.push(format!("{name}: {what}"));
        if word(&board, "/uid") != name {
            say("its uid is not its file's name");
        }
        if board["editable"] != false {
            say("can be edited in Grafana, where changes get lost");
        }
        if SCHEMA_VERSION_MAX < board["schemaVersion"].as_u64().unwrap_or(u64::MAX) {
            say("its schema is too new for Grafana 10");
        }
        let variables = list(&board, "/templating/list");
        let wanted = if name == "fenghuo-subject" {
            OF_A_SUBJECT
        } else {
            OF_A_BOARD
        };
        for (wanted, kind, refresh) in wanted {
            let is_there = variables.iter().any(|v| {
                v["name"] == *wanted
                    && v["type"] == *kind
                    && v["refresh"].as_u64() == *refresh
                    && !word(v, "/label").is_empty()
            });
            if !is_there {
                say(&format!(
                    "variable {wanted} is missing or not renewed with the time range"
                ));
            }
        }
        let ids: BTreeSet<_> = list(&board, "/panels")
            .iter()
            .map(|p| p["id"].as_u64())
            .collect();
        if ids.len() != list(&board, "/panels").len() {
            say("two panels have one id");
        }
        for panel in list(&board, "/panels") {
            let title = word(panel, "/title");
            faults.extend(
                faults_of_panel(panel)
                    .iter()
                    .map(|what| format!("{name}: {title}: {what}")),
            );
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn links_lead_from_every_dashboard_to_all_others() {
    let boards = dashboards();
    let all: BTreeSet<String> = boards
        .iter()
        .map(|(name, _)| format!("/d/{name}"))
        .collect();
    for (name, board) in &boards {
        let mut linked: BTreeSet<String> = list(board, "/links")
            .iter()
            .map(|link| word(link, "/url").to_owned())
            .collect();
        linked.insert(format!("/d/{name}"));
        assert_eq!(linked, all, "{name}");
    }
}

/// What a panel reads: metrics, or doors.
fn read_by(panel: &Value) -> String {
    let mut names = BTreeSet::new();
    for target in list(panel, "/targets") {
        for (_, name, _) in uses(word(target, "/expr")) {
            let row = row_of(name).map_or(name, |spec| spec.name);
            names.insert(format!("`{row}`"));
        }
        let door = word(target, "/url");
        if !door.is_empty() {
            let door = door.replace("${subject:percentencode}", "主体");
            names.insert(format!("`{door}`"));
        }
    }
    names.into_iter().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_panel_is_explained_in_the_readme() {
    let mut pages = String::new();
    for (name, board) in dashboards() {
        let (title, about) = (word(&board, "/title"), word(&board, "/description"));
        if name == crate::runbook::UID {
            let _ = writeln!(pages, "### {title}\n\n`{name}`。{about}。\n");
            continue;
        }
        let _ = writeln!(
            pages,
            "### {title}\n\n`{name}`。{about}。\n\n| 面板 | 回答什么 | 读什么 |\n|---|---|---|"
        );
        for panel in list(&board, "/panels") {
            let asked = word(panel, "/description").replace('|', "、");
            let _ = writeln!(
                pages,
                "| {} | {asked} | {} |",
                word(panel, "/title"),
                read_by(panel)
            );
        }
        pages.push('\n');
    }
    let readme = text("grafana/README.md");
    let (before, rest) = readme.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let expected = format!("{before}{BEGIN}{pages}{END}{after}");
    expect_test::expect_file![project("grafana/README.md")].assert_eq(&expected);
}

/// Name and query of each alert, as they are laid out in `grafana/alerts/`.
fn alerts() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for file in ["business", "engine"] {
        let text = text(&format!("grafana/alerts/{file}.yml"));
        for part in text.split("- alert: ").skip(1) {
            let name = part.lines().next().unwrap().to_owned();
            let query = part
                .lines()
                .find_map(|line| line.trim().strip_prefix("expr: "))
                .unwrap();
            assert!(
                part.contains(&format!(
                    "runbook: grafana/runbooks.md#{}",
                    name.to_lowercase()
                )),
                "{name}"
            );
            found.push((name, query.to_owned()));
        }
    }
    assert!(10 < found.len(), "alerts are missing");
    found
}

#[test]
fn every_alert_asks_for_what_is_measured_has_a_test_and_a_runbook() {
    let (runbooks, tests) = (
        text("grafana/runbooks.md"),
        text("grafana/alerts/tests.yml"),
    );
    let mut faults = Vec::new();
    for (name, query) in alerts() {
        faults.extend(
            faults_of_query(&query)
                .iter()
                .map(|what| format!("{name}: {what}")),
        );
        let section = runbooks
            .split("### ")
            .find(|section| section.lines().next() == Some(&name))
            .unwrap_or("");
        for part in ["**含义**", "**查看**", "**处置**"] {
            if !section.contains(part) {
                faults.push(format!("{name}: its runbook has no {part}"));
            }
        }
        let asked = format!("alertname: {name}\n        exp_alerts:");
        let quiet = tests.matches(&format!("{asked} []")).count();
        let loud = tests.matches(&format!("{asked}\n")).count();
        if (quiet, loud) != (2, 1) {
            faults.push(format!(
                "{name}: tests.yml has to see it quiet, firing and recovered"
            ));
        }
    }
    let sections = runbooks.matches("\n### ").count();
    if sections != alerts().len() {
        faults.push(format!("{sections} runbooks for {} alerts", alerts().len()));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_metric_is_on_a_dashboard() {
    let boards: String = dashboards()
        .iter()
        .map(|(_, board)| board.to_string())
        .collect();
    let hidden = TABLE.iter().filter(|spec| !boards.contains(spec.name));
    let hidden: Vec<&str> = hidden.map(|spec| spec.name).collect();
    assert!(hidden.is_empty(), "on no dashboard: {hidden:?}");
}

/// Whether a metric is counted by line.
fn is_of_line(metric: &str) -> bool {
    row_of(metric).is_some_and(|spec| spec.labels.contains(&"line"))
}

#[test]
fn warnings_and_rules_can_be_chosen_by_line() {
    for (name, board) in dashboards() {
        let mut is_asked = false;
        for panel in list(&board, "/panels") {
            for target in list(panel, "/targets") {
                for (_, metric, after) in uses(word(target, "/expr")) {
                    let labels = after.split('}').next().unwrap();
                    let is_chosen = labels.contains("line=~\"$line\"");
                    assert_eq!(
                        is_chosen,
                        is_of_line(metric),
                        "{name}: {}: {metric}",
                        panel["title"]
                    );
                    is_asked |= is_chosen;
                }
            }
        }
        let variables = list(&board, "/templating/list");
        assert_eq!(
            variables.iter().any(|v| v["name"] == "line"),
            is_asked,
            "{name}"
        );
    }
}

#[test]
fn a_renamed_metric_a_bare_counter_and_a_foreign_label_are_seen() {
    for (query, fault) in [
        ("sum(fenghuo_outbox_entrys)", "not in the table"),
        ("sum(fenghuo_warnings_total{level=\"红\"})", "only grows"),
        ("rate(fenghuo_open_warnings[5m])", "has no rate"),
        (
            "sum(fenghuo_open_warnings{subject=\"x\"})",
            "no label subject",
        ),
    ] {
        let faults = faults_of_query(query);
        assert!(
            faults.iter().any(|f| f.contains(fault)),
            "{query}: {faults:?}"
        );
    }
}

//! The runbook as a dashboard, so that a click on a panel or on an alert in Grafana shows what to do.
//!
//! `UPDATE_EXPECT=1 cargo test --test it runbook` writes `grafana/dashboards/fenghuo-runbook.json` anew from
//! `grafana/runbooks.md`: one text panel an alert, its number the place of the section. `?viewPanel=N` shows it alone.

use crate::support::project;
use serde_json::{Value, json};
use std::fmt::Write;

const BOARD: &str = "grafana/dashboards/fenghuo-runbook.json";
pub(crate) const UID: &str = "fenghuo-runbook";
const TITLE: &str = "处置手册：";
const WIDTH: usize = 12;
const HEIGHT: usize = 8;

/// A panel that shows what an alert is about.
pub(crate) struct Shown {
    pub(crate) alert: String,
    pub(crate) board: String,
    pub(crate) board_title: String,
    pub(crate) panel: u64,
    pub(crate) panel_title: String,
    url: String,
}

fn board(name: &str) -> Value {
    let text =
        std::fs::read_to_string(project(&format!("grafana/dashboards/{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Title and text of each section of the runbook.
pub(crate) fn sections() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(project("grafana/runbooks.md")).unwrap();
    let parts = text.split("\n### ").skip(1);
    parts
        .map(|part| {
            let (title, body) = part.split_once('\n').unwrap();
            let body = body.split("\n## ").next().unwrap();
            (title.to_owned(), body.trim().to_owned())
        })
        .collect()
}

/// Which panels lead to which alert's section.
pub(crate) fn shown() -> Vec<Shown> {
    let mut found = Vec::new();
    for name in [
        "overview", "warnings", "rules", "intake", "exchange", "engine",
    ] {
        let uid = format!("fenghuo-{name}");
        let board = board(&uid);
        for panel in board["panels"].as_array().unwrap() {
            for link in panel["links"].as_array().into_iter().flatten() {
                let Some(alert) = link["title"].as_str().unwrap().strip_prefix(TITLE) else {
                    continue;
                };
                found.push(Shown {
                    alert: alert.to_owned(),
                    board: uid.clone(),
                    board_title: board["title"].as_str().unwrap().to_owned(),
                    panel: panel["id"].as_u64().unwrap(),
                    panel_title: panel["title"].as_str().unwrap().to_owned(),
                    url: link["url"].as_str().unwrap().to_owned(),
                });
            }
        }
    }
    found
}

#[test]
fn the_runbook_is_a_dashboard_too() {
    let like = board("fenghuo-overview");
    let shown = shown();
    let mut panels = Vec::new();
    for (at, (alert, body)) in sections().into_iter().enumerate() {
        let mut content = body;
        for one in shown.iter().filter(|one| one.alert == alert) {
            let (uid, panel) = (&one.board, one.panel);
            let name = format!("{}：{}", one.board_title, one.panel_title);
            let _ = write!(
                content,
                "\n- **看板**：[{name}](/d/{uid}?viewPanel={panel})"
            );
        }
        panels.push(json!({
            "id": at + 1, "type": "text", "title": alert,
            "description": "含义、查看、处置",
            "gridPos": { "x": at % 2 * WIDTH, "y": at / 2 * HEIGHT, "w": WIDTH, "h": HEIGHT },
            "options": { "mode": "markdown", "content": content },
        }));
    }
    let mut links = like["links"].as_array().unwrap().clone();
    links.retain(|link| link["url"] != format!("/d/{UID}"));
    let mut home = links[0].clone();
    home["title"] = like["title"].clone();
    home["url"] = json!("/d/fenghuo-overview");
    home["includeVars"] = json!(true);
    links.insert(0, home);
    // The variables are here so that they are kept on the way through.
    let variables: Vec<&Value> = like["templating"]["list"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|v| ["datasource", "job", "instance"].contains(&v["name"].as_str().unwrap()))
        .collect();
    let mut made = like.clone();
    made["uid"] = json!(UID);
    made["title"] = json!("烽火 处置手册");
    made["description"] = json!("每条告警一节：含义、查看、处置；由 runbooks.md 生成");
    made["refresh"] = json!("");
    made["links"] = json!(links);
    made["templating"] = json!({ "list": variables });
    made["panels"] = json!(panels);
    let text = format!("{}\n", serde_json::to_string_pretty(&made).unwrap());
    expect_test::expect_file![project(BOARD)].assert_eq(&text);
}

#[test]
fn each_alert_has_a_panel_that_leads_to_what_to_do() {
    let (sections, shown) = (sections(), shown());
    for (at, (alert, _)) in sections.iter().enumerate() {
        let of: Vec<&Shown> = shown.iter().filter(|one| one.alert == *alert).collect();
        assert!(!of.is_empty(), "no panel leads to {alert}");
        for one in of {
            let wanted = format!("/d/{UID}?viewPanel={}", at + 1);
            assert_eq!(one.url, wanted, "{}: {}", one.board, one.panel_title);
        }
    }
    for one in &shown {
        let is_known = sections.iter().any(|(alert, _)| *alert == one.alert);
        assert!(
            is_known,
            "{}: {} leads to {}",
            one.board, one.panel_title, one.alert
        );
    }
}

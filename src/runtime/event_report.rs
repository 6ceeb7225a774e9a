//! The report of a key event (重点事件): what belongs to it, and its whole course in the order of time.
//!
//! The course is the event's own steps and those of every warning and sanction that belongs to it. Beside the records that were
//! joined stand the inspections and penalties that were found by themselves on its warnings. Of a record that is still kept it says
//! what it was; of one past retention that it is not kept any more.
//!
//! cost     a look-up in the state for each member

use super::describe::words;
use super::paper::{Paper, Sheet};
use crate::engine::desk::Item;
use crate::engine::desk::case::Case;
use crate::engine::desk::key_event::{KeyEvent, Kind, record_of};
use crate::engine::desk::sanction::Order;
use crate::engine::desk::task::Step;
use crate::engine::event::{Event, SubjectKey};
use crate::engine::province::Province;
use crate::engine::schema::field;
use crate::engine::settle::standing;
use crate::engine::time::EventTime;
use crate::engine::warning::Message;
use std::collections::BTreeMap;

/// Digits of an id that tell it from others at a glance.
const SHORT: usize = 12;
/// What is said of a record: the fields that an officer looks for first.
const FIELDS: [crate::engine::schema::Field; 8] = [
    field::title,
    field::problem_type,
    field::result,
    field::illegal_type,
    field::kind_of_penalty,
    field::amount,
    field::decision_no,
    field::department,
];

/// The report of an event.
pub fn paper(province: &Province, event: &KeyEvent) -> Paper {
    let mut paper = Paper {
        title: format!("重点事件报告：{}", event.title),
        lines: vec![
            ("编号", event.id.clone()),
            ("状态", event.state.title().to_owned()),
            ("立件", opened(event)),
            ("理由", event.reason.clone()),
            ("涉及", counts(event)),
        ],
        sheets: vec![
            warnings(province, event),
            sanctions(province, event),
            records(province, event),
            course(province, event),
        ],
    };
    if let Some(at) = event.over_at {
        paper.lines.push(("结案", at.to_string()));
        paper.lines.push(("结论", event.conclusion.clone()));
    }
    paper.lines.push(("截至", province.clock().to_string()));
    paper
}

fn opened(event: &KeyEvent) -> String {
    let at = event.steps.first().map(|step| step.at.to_string());
    format!("{} {}", at.unwrap_or_default(), event.opened_by)
}

fn counts(event: &KeyEvent) -> String {
    let count = |kind| event.members.iter().filter(|m| m.kind == kind).count();
    format!(
        "预警 {} 件、惩戒 {} 件、记录 {} 条",
        count(Kind::Warning),
        count(Kind::Sanction),
        count(Kind::Record)
    )
}

fn short(id: &str) -> String {
    id.chars().take(SHORT).collect()
}

fn case<'a>(province: &'a Province, id: &str) -> Option<&'a Case> {
    match province.desk().get(id) {
        Some(Item::Case(case)) => Some(case),
        _ => None,
    }
}

fn order<'a>(province: &'a Province, id: &str) -> Option<&'a Order> {
    match province.desk().get(id) {
        Some(Item::Order(order)) => Some(order),
        _ => None,
    }
}

fn who(name: &str, subject: &str) -> String {
    format!("{name} {subject}").trim_start().to_owned()
}

/// What a warning says, if its subject still has it.
fn message(province: &Province, case: &Case) -> String {
    let said = SubjectKey::parse(&case.subject).and_then(|key| {
        let subject = province.subject(&key)?;
        let told = standing(&province.court(), &subject);
        told.into_iter().find_map(|message| match message {
            Message::Warning(warning) if warning.warning_id == case.id => Some(warning.message),
            _ => None,
        })
    });
    said.unwrap_or_default()
}

fn warnings(province: &Province, event: &KeyEvent) -> Sheet {
    let members = event.members.iter().filter(|m| m.kind == Kind::Warning);
    let rows = members.filter_map(|member| {
        let case = case(province, &member.id)?;
        Some(vec![
            short(&case.id),
            case.level.title().to_owned(),
            case.rule.clone(),
            who(&case.subject_name, &case.subject),
            message(province, case),
            case.department.clone(),
            case.state.title().to_owned(),
            case.verdict.clone(),
            format!("{} {}", member.joined_at, member.joined_by),
            member.why.clone(),
        ])
    });
    Sheet {
        title: "预警",
        header: &[
            "编号",
            "级别",
            "规则",
            "主体",
            "内容",
            "责任单位",
            "状态",
            "核查结论",
            "并入",
            "并入理由",
        ],
        rows: rows.collect(),
    }
}

fn sanctions(province: &Province, event: &KeyEvent) -> Sheet {
    let members = event.members.iter().filter(|m| m.kind == Kind::Sanction);
    let rows = members.filter_map(|member| {
        let order = order(province, &member.id)?;
        let departments: Vec<&str> = order.lanes.iter().map(|l| l.department.as_str()).collect();
        Some(vec![
            short(&order.id),
            order.rule.clone(),
            who(&order.subject_name, &order.subject),
            order.measures.join("、"),
            order.state.title().to_owned(),
            departments.join("、"),
            format!("{} {}", member.joined_at, member.joined_by),
            member.why.clone(),
        ])
    });
    Sheet {
        title: "惩戒",
        header: &[
            "编号",
            "规则",
            "主体",
            "措施",
            "状态",
            "实施部门",
            "并入",
            "并入理由",
        ],
        rows: rows.collect(),
    }
}

/// The records that were joined, then those that were found by themselves, each once.
fn records(province: &Province, event: &KeyEvent) -> Sheet {
    let mut rows: BTreeMap<(EventTime, String), Vec<String>> = BTreeMap::new();
    let mut add = |id: &str, how: &str, is_withdrawn: bool| {
        let fact = record_of(id).and_then(|key| province.fact(key));
        let at = fact
            .as_ref()
            .map_or(EventTime::MAX, |event| event.occurred_at);
        let row = rows.entry((at, id.to_owned())).or_insert_with(|| {
            let mut row = vec![id.to_owned()];
            row.extend(record_cells(fact.as_ref(), is_withdrawn));
            row.push(String::new());
            row
        });
        if let Some(last) = row.last_mut() {
            if !last.is_empty() {
                last.push('；');
            }
            last.push_str(how);
        }
    };
    for member in &event.members {
        if member.kind == Kind::Record {
            let how = format!(
                "{} {} 并入：{}",
                member.joined_at, member.joined_by, member.why
            );
            add(&member.id, &how, member.is_withdrawn);
        }
    }
    for member in &event.members {
        for linked in case(province, &member.id)
            .iter()
            .flat_map(|case| &case.linked)
        {
            add(
                linked,
                &format!("预警 {} 自动关联", short(&member.id)),
                false,
            );
        }
    }
    Sheet {
        title: "记录",
        header: &["记录", "类别", "时间", "主体", "内容", "由来"],
        rows: rows.into_values().collect(),
    }
}

fn record_cells(fact: Option<&Event>, is_withdrawn: bool) -> [String; 4] {
    let Some(event) = fact else {
        let what = if is_withdrawn {
            "记录已撤销"
        } else {
            "已过保存期"
        };
        return [String::new(), String::new(), String::new(), what.to_owned()];
    };
    let named = FIELDS.iter().filter_map(|of| {
        let (_, value) = event.fields.iter().find(|(field, _)| field == of)?;
        Some(format!("{} {}", of.spec().title, words(value)))
    });
    let what: Vec<String> = named.collect();
    [
        event.stream.title().to_owned(),
        event.occurred_at.to_string(),
        event.home().map(ToString::to_string).unwrap_or_default(),
        what.join("；"),
    ]
}

fn course(province: &Province, event: &KeyEvent) -> Sheet {
    let mut steps: Vec<(EventTime, String, &Step)> = Vec::new();
    steps.extend(
        event
            .steps
            .iter()
            .map(|step| (step.at, "重点事件".to_owned(), step)),
    );
    for member in &event.members {
        if let Some(item) = province.desk().get(&member.id) {
            let what = format!("{} {}", member.kind.title(), short(&member.id));
            steps.extend(
                item.steps()
                    .iter()
                    .map(|step| (step.at, what.clone(), step)),
            );
        }
    }
    // Stable: what happened at one moment stays in the order of the event, then of its members.
    steps.sort_by_key(|(at, ..)| *at);
    let rows = steps.into_iter().map(|(at, what, step)| {
        vec![
            at.to_string(),
            what,
            step.word.title().to_owned(),
            if step.actor.is_empty() {
                "系统".to_owned()
            } else {
                step.actor.clone()
            },
            step.why.clone(),
        ]
    });
    Sheet {
        title: "全过程",
        header: &["时间", "对象", "步骤", "经办", "说明"],
        rows: rows.collect(),
    }
}

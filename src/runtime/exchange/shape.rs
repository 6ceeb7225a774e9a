//! What leaves the engine, in national forms: a warning as `riskWarning`, a case's course as `supervisionProcess`, an order to a
//! department as `jointSanction`. Records of supervision have columns of their own: [`records`](super::records).
//!
//! The national fields are filled from the output; what the nation's form has no place for (transition, evidence, basis, what
//! the rule saw) goes into `props`, as systems in the field do. Around it stand the parcel's id, the record that it is a change
//! of with `i`, `u` or `d`, its subject and its place in the lane, so that the far end can tell a copy and a gap. No officer's
//! name leaves.
//!
//! | step of a case                          | status of the task |
//! |-----------------------------------------|--------------------|
//! | dispatched, transferred, reopened       | 分发               |
//! | claimed                                 | 认领               |
//! | fed back                                | 反馈               |
//! | closed, merged, withdrawn               | 结束               |
//!
//! Other steps (reminders, due times, what happens to a sanction before an order leaves) are ours and are not sent; key events are
//! ours too.
//!
//! A joint task that the nation has sent down is answered under its own number: `taskNo` and the record are the nation's, the operation
//! is always a change (`u`), and that the nation has ended it is not told back.
//!
//! source   `domain.md` §1.8 (`riskWarning`, P0 to P3; `taskDetails`); codes of domain and source are not published (§9), so
//!          the domain is the rule's line (the letters before its number) and the source is `provincial`
//! errors   a line that is no output of ours is a bug of ours: it is told, and nothing is sent

use crate::engine::desk::task::{Measure, Task, Word};
use crate::engine::desk::{joint, key_event};
use crate::engine::episode::Transition;
use crate::engine::event::SubjectKey;
use crate::engine::warning::Warning;
use crate::runtime::sink::{OutboxEntry, OutputKind};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Debug, Serialize)]
struct Envelope<'a, T> {
    kind: &'static str,
    id: &'a str,
    /// What it is a change of.
    record: &'a str,
    /// `i`, `u` or `d`.
    operation: &'static str,
    subject: &'a str,
    lane_no: u32,
    #[serde(flatten)]
    content: T,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Content<'a> {
    RiskWarning(RiskWarning<'a>),
    SupervisionProcess(Value),
    JointSanction(Value),
}

/// The national warning, in the order of its fields.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RiskWarning<'a> {
    risk_object: &'a str,
    risk_object_cert_code: &'a str,
    fxyj_id: &'a str,
    domain: &'a str,
    province: &'a str,
    title: &'a str,
    level: &'a str,
    created_at: &'a str,
    source: &'static str,
    rule_id: &'a str,
    props: Value,
}

/// Where the message stands: its place in the lane, and GB/T 2260 code of the province.
pub type Around<'a> = (u32, &'a str);

/// How evidence from the nation begins: the source of what it sends down.
const NATIONAL: &str = "national/";
/// The line of rules that pass on what the nation sends down; a withdrawn warning has no evidence any more.
const NATIONAL_LINE: &str = "GJ-";

/// Whether an output concerns the nation: no echo of what came from there; a subject of the registers, and of a case only what changes its status.
pub fn goes(entry: &OutboxEntry) -> bool {
    #[derive(Deserialize)]
    struct Step {
        step: Word,
        #[serde(default)]
        case_id: String,
    }
    #[derive(Deserialize)]
    struct Grounds {
        #[serde(default)]
        rule_id: String,
        #[serde(default)]
        evidence: Vec<String>,
    }
    // What rests on nothing but what the nation has sent is known there.
    let is_echo = serde_json::from_slice::<Grounds>(&entry.line).is_ok_and(|grounds| {
        let evidence = &grounds.evidence;
        let is_national = evidence.iter().all(|id| id.starts_with(NATIONAL));
        grounds.rule_id.starts_with(NATIONAL_LINE) || (!evidence.is_empty() && is_national)
    });
    let step = || serde_json::from_slice::<Step>(&entry.line).ok();
    let is_answer = entry.kind == OutputKind::Task
        && step().is_some_and(|step| step.case_id.starts_with(joint::PREFIX));
    if is_echo && !is_answer {
        return false;
    }
    match entry.kind {
        OutputKind::Warning | OutputKind::Record => true,
        OutputKind::Measure => is_subject(&entry.subject),
        OutputKind::Task => {
            // A line that cannot be read is told when it is shaped.
            let goes = |step: Step| {
                let is_ours = step.case_id.starts_with(key_event::PREFIX);
                let is_theirs = is_answer && step.step == Word::Withdrawn;
                !is_ours && !is_theirs && status(step.step).is_some()
            };
            is_subject(&entry.subject) && step().is_none_or(goes)
        }
        OutputKind::Sanction
        | OutputKind::DeadLetter
        | OutputKind::Decision
        | OutputKind::SubjectRisk => false,
    }
}

/// The bytes that are sent for an output.
pub fn message(kind: OutputKind, line: &[u8], around: Around<'_>) -> Result<Vec<u8>, String> {
    match kind {
        OutputKind::Warning => risk_warning(line, around),
        OutputKind::Task => supervision_process(line, around),
        OutputKind::Measure => joint_sanction(line, around),
        OutputKind::Record => super::records::message(line, around),
        OutputKind::Sanction
        | OutputKind::DeadLetter
        | OutputKind::Decision
        | OutputKind::SubjectRisk => Err(format!("\"{}\" has no national form", kind.name())),
    }
}

fn status(step: Word) -> Option<&'static str> {
    match step {
        Word::Dispatched | Word::Transferred | Word::Reopened => Some("分发"),
        Word::Claimed => Some("认领"),
        Word::FedBack => Some("反馈"),
        Word::Closed | Word::Merged | Word::Withdrawn => Some("结束"),
        Word::Revised
        | Word::Ended
        | Word::Verifying
        | Word::Disposing
        | Word::Returned
        | Word::Escalated
        | Word::Reminded
        | Word::Overdue
        | Word::Linked
        | Word::Unlinked
        | Word::DueChanged
        | Word::Refused
        | Word::Proposed
        | Word::Confirmed
        | Word::InForce
        | Word::Rejected
        | Word::Received
        | Word::Applied
        | Word::Lifting
        | Word::Removed
        | Word::Lifted
        | Word::Lapsed
        | Word::Halted
        | Word::Released
        | Word::Opened
        | Word::Joined
        | Word::Left => None,
    }
}

/// A subject's name and certificate: a person is known by a pseudonym, which is nobody's certificate.
pub(super) fn object<'a>(subject: &'a str, name: &'a str) -> (&'a str, &'a str) {
    let (kind, code) = subject.split_once(':').unwrap_or(("", ""));
    let cert = if kind == "enterprise" { code } else { "" };
    (if name.is_empty() { code } else { name }, cert)
}

fn parse<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(line).map_err(|error| error.to_string())
}

fn bytes<T: Serialize>(envelope: &T) -> Result<Vec<u8>, String> {
    serde_json::to_vec(envelope).map_err(|error| error.to_string())
}

fn risk_warning(line: &[u8], (lane_no, province): Around<'_>) -> Result<Vec<u8>, String> {
    let warning: Warning = parse(line)?;
    let (name, cert) = object(&warning.subject, &warning.subject_name);
    let domain = warning.rule_id.split('-').next().unwrap_or_default();
    let props = json!({
        "transition": warning.transition, "transitionNumber": warning.transition_number, "status": warning.status,
        "revision": warning.revision, "message": warning.message, "reason": warning.reason, "group": warning.group,
        "points": warning.points, "score": warning.score, "region": warning.region, "department": warning.department,
        "firstEventAt": warning.first_event_at, "lastEventAt": warning.last_event_at, "evidence": warning.evidence,
        "observed": warning.observed, "basis": warning.basis, "due": warning.due, "ruleSet": warning.rule_set,
    });
    bytes(&Envelope {
        kind: "riskWarning",
        id: &warning.id,
        record: &warning.warning_id,
        operation: match warning.transition {
            Transition::Raised => "i",
            Transition::Revised | Transition::Ended | Transition::Closed => "u",
            Transition::Withdrawn => "d",
        },
        subject: &warning.subject,
        lane_no,
        content: Content::RiskWarning(RiskWarning {
            risk_object: name,
            risk_object_cert_code: cert,
            fxyj_id: &warning.warning_id,
            domain,
            province,
            title: &warning.rule_name,
            level: &warning.level_code,
            created_at: &warning.generated_at,
            source: "provincial",
            rule_id: &warning.rule_id,
            props,
        }),
    })
}

fn supervision_process(line: &[u8], (lane_no, province): Around<'_>) -> Result<Vec<u8>, String> {
    let task: Task = parse(line)?;
    let status =
        status(task.step).ok_or_else(|| format!("\"{}\" is not sent", task.step.name()))?;
    let (name, cert) = object(&task.subject, &task.subject_name);
    let at = |wanted: &str| {
        if status == wanted {
            task.at.as_str()
        } else {
            ""
        }
    };
    let asked = task.case_id.strip_prefix(joint::PREFIX);
    let number = asked.unwrap_or(&task.case_id);
    let details = json!({
        "taskNo": number, "unionUnitType": "dept", "unionUnitName": task.department, "status": status,
        "claimTime": at("认领"), "feedbackTime": at("反馈"), "endTime": at("结束"),
        "feedbackSuggestion": if status == "反馈" { task.verdict.as_str() } else { "" },
        "endReason": if status == "结束" { task.step_title.as_str() } else { "" },
    });
    let content = json!({
        "taskDetails": details, "riskObject": name, "riskObjectCertCode": cert, "province": province,
        "props": {
            "step": task.step, "number": task.number, "state": task.state, "ruleId": task.rule_id, "level": task.level,
            "at": task.at, "verdict": task.verdict, "onTime": task.on_time, "due": task.due, "linked": task.linked,
        },
    });
    bytes(&Envelope {
        kind: "supervisionProcess",
        id: &task.id,
        record: number,
        operation: match task.step {
            _ if asked.is_some() => "u",
            Word::Dispatched => "i",
            Word::Withdrawn => "d",
            _ => "u",
        },
        subject: &task.subject,
        lane_no,
        content: Content::SupervisionProcess(content),
    })
}

fn joint_sanction(line: &[u8], (lane_no, province): Around<'_>) -> Result<Vec<u8>, String> {
    let measure: Measure = parse(line)?;
    let (name, cert) = object(&measure.subject, &measure.subject_name);
    let content = json!({
        "sanctionNo": measure.sanction_id, "order": measure.order, "lifts": measure.lifts, "department": measure.department,
        "riskObject": name, "riskObjectCertCode": cert, "province": province, "ruleId": measure.rule_id,
        "measures": measure.measures, "reason": measure.reason, "confirmations": measure.confirmed_by.len(),
        "effectiveFrom": measure.effective_from, "effectiveTo": measure.effective_to, "issuedAt": measure.issued_at,
    });
    let is_lift = measure.order == "lift";
    let record = if is_lift { &measure.lifts } else { &measure.id };
    bytes(&Envelope {
        kind: "jointSanction",
        id: &measure.id,
        record,
        operation: if is_lift { "d" } else { "i" },
        subject: &measure.subject,
        lane_no,
        content: Content::JointSanction(content),
    })
}

/// Whether a subject may go to the nation at all: what is nobody's is not sent.
fn is_subject(subject: &str) -> bool {
    SubjectKey::parse(subject).is_some()
}

#[cfg(test)]
#[path = "shape_tests.rs"]
mod tests;

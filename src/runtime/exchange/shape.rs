//! A warning in the national `riskWarning` form.
//!
//! The eleven national fields are filled from the warning; what the nation's form has no place for (transition, evidence,
//! basis, what the rule saw) goes into `props`, as systems in the field do. Around it stand the parcel's id, its subject and
//! its place in the lane, so that the far end can tell a copy and a gap.
//!
//! source   `domain.md` §1.8 (`riskWarning`, P0 to P3); codes of domain and source are not published (§9), so the domain is
//!          the rule's line (the letters before its number) and the source is `provincial`
//! errors   a line that is no warning of ours is a bug of ours: it is told, and nothing is sent

use crate::engine::event::SubjectKey;
use crate::engine::warning::Warning;
use serde::Serialize;
use serde_json::json;

#[derive(Debug, Serialize)]
struct Envelope<'a> {
    kind: &'static str,
    id: &'a str,
    subject: &'a str,
    lane_no: u32,
    #[serde(rename = "riskWarning")]
    risk_warning: RiskWarning<'a>,
}

/// The national message, in the order of its fields.
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
    props: serde_json::Value,
}

/// The bytes that are sent for a line of `warnings.jsonl`; `province` is the two digits and zeros of GB/T 2260.
pub fn risk_warning(line: &[u8], lane_no: u32, province: &str) -> Result<Vec<u8>, String> {
    let warning: Warning = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let (kind, code) = warning.subject.split_once(':').unwrap_or(("", ""));
    // A person is known by a pseudonym, which is nobody's certificate.
    let cert = if kind == "enterprise" { code } else { "" };
    let name = if warning.subject_name.is_empty() {
        code
    } else {
        &warning.subject_name
    };
    let domain = warning.rule_id.split('-').next().unwrap_or_default();
    let props = json!({
        "transition": warning.transition, "transitionNumber": warning.transition_number, "status": warning.status,
        "revision": warning.revision, "message": warning.message, "reason": warning.reason, "group": warning.group,
        "points": warning.points, "score": warning.score, "region": warning.region, "department": warning.department,
        "firstEventAt": warning.first_event_at, "lastEventAt": warning.last_event_at, "evidence": warning.evidence,
        "observed": warning.observed, "basis": warning.basis, "due": warning.due, "ruleSet": warning.rule_set,
    });
    let envelope = Envelope {
        kind: "riskWarning",
        id: &warning.id,
        subject: &warning.subject,
        lane_no,
        risk_warning: RiskWarning {
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
        },
    };
    serde_json::to_vec(&envelope).map_err(|error| error.to_string())
}

/// Whether a subject may go to the nation at all: what is nobody's is not sent.
pub fn is_subject(subject: &str) -> bool {
    SubjectKey::parse(subject).is_some()
}

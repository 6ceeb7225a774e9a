//! What individuals tell collectives: facts and findings to be counted, and taken back.
//!
//! An individual's home speaks for a fact: when it comes, changes or goes, every region, industry and department that the
//! fact concerns gets the old one taken away and the new one added. Findings are facts of the stream `finding`, counted
//! where their anchor was counted. Collectives need no memory of single facts for that, however many there are.

use super::event::{Event, Fields, Op, SubjectKey, Validity, Value};
use super::judge::Court;
use super::rule::Feed;
use super::schema::{Stream, field};
use super::sentence::Sentence;
use super::subject::groups::Groups;
use super::subject::series::Series;
use super::subject::state::{Finding, Subject};
use super::subject::view::Anchor;
use super::time::Precision;
use super::work::{Outputs, SentTally, Tally, Work};
use std::sync::Arc;

pub(super) fn tally_change(
    (court, work): (&Court<'_>, &Work),
    from: &Arc<SubjectKey>,
    old: Option<&Arc<Event>>,
    new: Option<&Arc<Event>>,
    out: &mut Outputs,
) {
    if let (Some(old), Some(new)) = (old, new)
        && counts_alike(court, old, new)
    {
        return;
    }
    for (event, add) in old
        .map(|e| (e, false))
        .into_iter()
        .chain(new.map(|e| (e, true)))
    {
        tally_all(work, from, event, event, add, out);
    }
}

/// Whether an update leaves every count as it is.
fn counts_alike(court: &Court<'_>, old: &Event, new: &Event) -> bool {
    if old.stream != new.stream
        || old.occurred_at != new.occurred_at
        || old.subjects != new.subjects
    {
        return false;
    }
    let differing = old.fields.differing(&new.fields);
    new.subjects
        .iter()
        .filter(|s| s.kind.is_collective())
        .all(|subject| {
            court
                .set
                .feeds(subject.kind, new.stream)
                .iter()
                .all(|feed| {
                    let read = feed.by.iter().chain(&feed.distinct);
                    !read.into_iter().any(|field| differing.contains(field))
                })
        })
}

#[expect(
    clippy::too_many_arguments,
    reason = "each is a part of one place or judgement"
)]
fn tally_all(
    work: &Work,
    from: &Arc<SubjectKey>,
    concerned: &Event,
    event: &Arc<Event>,
    add: bool,
    out: &mut Outputs,
) {
    for subject in concerned.subjects.iter().filter(|s| s.kind.is_collective()) {
        out.tallies.push(SentTally {
            seq: work.seq,
            clock: work.clock,
            from: Arc::clone(from),
            tally: Tally {
                subject: out.names.shared(subject),
                add,
                event: Arc::clone(event),
            },
        });
    }
}

/// Findings are facts to collectives: what a rule said of a firm is counted where the firm's fact was counted.
#[expect(
    clippy::too_many_arguments,
    reason = "each is a part of one place or judgement"
)]
pub(super) fn tally_findings(
    court: &Court<'_>,
    work: &Work,
    subject: &Subject,
    sentence: &Sentence,
    anchors: &[Option<Arc<Event>>; 2],
    out: &mut Outputs,
) {
    for shift in &sentence.shifts {
        let Some(rule) = court.set.rules().get(shift.rule) else {
            continue;
        };
        for (finding, add) in [(&shift.old, false), (&shift.new, true)] {
            let Some(finding) = finding else { continue };
            let [old, new] = anchors;
            let given = if add { new } else { old };
            let Some(anchor) = anchor_event(subject, finding, given.as_ref()) else {
                continue;
            };
            if anchor.home() != Some(subject.key.as_ref()) {
                continue;
            }
            let event = Arc::new(finding_event(
                subject,
                finding,
                &anchor,
                rule.manifest().id.as_ref(),
            ));
            tally_all(work, &subject.key, &anchor, &event, add, out);
        }
    }
}

pub(super) fn anchor_event(
    subject: &Subject,
    finding: &Finding,
    given: Option<&Arc<Event>>,
) -> Option<Arc<Event>> {
    let Anchor::Fact(key) = finding.anchor else {
        return None;
    };
    if let Some(event) = given
        && event.record_key() == key
    {
        return Some(Arc::clone(event));
    }
    let (stream, fact) = subject.facts()?.find(key)?;
    fact.event(stream).map(Arc::new)
}

pub(super) fn finding_event(
    subject: &Subject,
    finding: &Finding,
    anchor: &Event,
    rule: &str,
) -> Event {
    let mut fields = Fields::new();
    let points = match (&finding.warning, &finding.signal) {
        (Some(warning), _) => warning.points,
        (None, Some(signal)) => signal.points,
        (None, None) => 0,
    };
    fields.set(field::rule, Value::Text(rule.into()));
    fields.set(field::points, Value::Int(i64::from(points)));
    fields.set(field::subject, Value::Text(subject.key.to_string().into()));
    if let Some(warning) = &finding.warning {
        fields.set(field::level, Value::Text(warning.level.title().into()));
    }
    for same in [
        field::region,
        field::industry,
        field::department,
        field::department_code,
    ] {
        if let Some(value) = anchor.fields.get(same) {
            fields.set(same, value.clone());
        }
    }
    Event {
        source: "fenghuo".into(),
        record_id: format!(
            "{}/{rule}/{}/{}",
            subject.key, anchor.source, anchor.record_id
        )
        .into(),
        version: 0,
        op: Op::Insert,
        stream: Stream::Finding,
        occurred_at: finding.since,
        precision: Precision::Second,
        arrived_at: finding.since,
        validity: Validity::Valid,
        subjects: vec![subject.key.as_ref().clone()],
        fields,
    }
}

/// Counts of a group, added or taken back.
impl Groups {
    /// Counts a fact in the group of a feed, or takes it back; days before `horizon` go.
    pub(super) fn count(&mut self, feed: &Feed, (event, add): (&Event, bool), horizon: i32) {
        let texts = feed.texts(&event.fields);
        let sought = feed.sought(event.stream, &texts);
        let value = feed.distinct_value(&event.fields);
        let value = value.as_deref().filter(|v| !v.is_empty());
        let id = || format!("{}/{}", event.source, event.record_id).into_boxed_str();
        if let Some(series) = self.find_mut(&sought) {
            if add {
                series.add(event.occurred_at, id, value);
            } else {
                series.remove(event.occurred_at, &id(), value);
            }
            series.trim(horizon);
            if series.is_empty() {
                self.remove(&sought);
            }
        } else if add {
            let mut series = Series::default();
            series.add(event.occurred_at, id, value);
            series.trim(horizon);
            if !series.is_empty() {
                self.insert(feed.group(event.stream, &event.fields), series);
            }
        }
    }
}

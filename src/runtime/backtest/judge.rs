//! Judging the buckets on all processors, keeping what each gave, and the collectives afterwards.

use super::BacktestError;
use super::gather::{BUCKETS, Gathered};
use crate::engine::backtest::collective::{Counts, collective, merged};
use crate::engine::backtest::{Life, Plan, Reading, individual};
use crate::engine::event::SubjectKey;
use crate::engine::hash::sm3_hex;
use crate::engine::rule::RuleSet;
use crate::engine::subject::groups::Groups;
use crate::engine::subject::state::Status;
use crate::engine::subject::view::Level;
use crate::engine::time::EventTime;
use crate::engine::warning::{Message, Warning};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One warning from its first to its last word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Its id.
    pub warning_id: String,
    /// The rule.
    pub rule: String,
    /// `enterprise:9132…`.
    pub subject: String,
    /// The part of a collective that it is about.
    pub group: String,
    /// The subject's name.
    pub name: String,
    /// The gravest level it had.
    pub level: Level,
    /// When it was raised, logical time.
    pub raised_at: EventTime,
    /// When its facts began.
    pub first_at: EventTime,
    /// When it was over; none if it still was not.
    pub over_at: Option<EventTime>,
    /// Where it ended.
    pub status: Status,
    /// GB/T 2260.
    pub region: String,
    /// The department.
    pub department: String,
    /// What it said at first.
    pub message: String,
    /// How often it was revised.
    pub revisions: u32,
}

/// What one rule set gave.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// Warnings, in the order of subjects.
    pub told: Vec<Told>,
    /// Sanction proposals.
    pub sanctions: u64,
    /// Anchors judged.
    pub anchors: u64,
    /// Findings that appeared or changed, by rule.
    pub firings: BTreeMap<String, u64>,
    /// Judgements that failed, by rule: how many, and the first message.
    pub faults: BTreeMap<String, (u64, String)>,
    /// Subjects whose oldest facts had to go.
    pub truncated: u64,
    /// Scores at the moments asked for.
    pub readings: Vec<(String, Reading)>,
    counts: Vec<(SubjectKey, Groups)>,
}

/// What to judge, and how.
#[derive(Debug)]
pub struct Order<'a> {
    /// The rule sets: the new one, and the one it is held against.
    pub sets: Vec<Arc<RuleSet>>,
    /// The end of the logical clock.
    pub until: EventTime,
    /// At which moments scores are read, by subject.
    pub moments: &'a BTreeMap<String, Vec<EventTime>>,
    /// Where partial results are kept.
    pub work: Option<PathBuf>,
    /// What the events are: files of the archive.
    pub input: String,
}

impl Order<'_> {
    fn fingerprint(&self) -> String {
        let hashes: Vec<&str> = self.sets.iter().map(|set| set.hash()).collect();
        let rest = format!(
            "{:?}{}{:?}{}",
            self.until,
            self.input,
            self.moments,
            env!("CARGO_PKG_VERSION")
        );
        sm3_hex(&[hashes.join(",").as_bytes(), rest.as_bytes()])
    }
}

/// Judges everything. `told` hears how many bytes of buckets are done.
pub fn judge(
    order: &Order<'_>,
    gathered: &Gathered,
    stop: &AtomicBool,
    told: &(dyn Fn(u64) + Sync),
) -> Result<Vec<Side>, BacktestError> {
    let fingerprint = order.fingerprint();
    let kept = order
        .work
        .as_deref()
        .map(|work| (work, fingerprint.as_str()));
    let buckets: Vec<usize> = (0..usize::try_from(BUCKETS).unwrap_or(0)).collect();
    let results: Result<Vec<Vec<Side>>, BacktestError> = buckets
        .par_iter()
        .map(|bucket| {
            if stop.load(Ordering::Acquire) {
                return Err(BacktestError::Interrupted);
            }
            let known = kept.and_then(|kept| recall(kept, *bucket));
            let is_new = known.is_none();
            let done = known.unwrap_or_else(|| judge_bucket(order, gathered, *bucket));
            if let (Some(kept), true) = (kept, is_new) {
                remember(kept, *bucket, &done)?;
            }
            told(u64::try_from(gathered.weight(*bucket)).unwrap_or(0));
            Ok(done)
        })
        .collect();
    let mut sides: Vec<Side> = order.sets.iter().map(|_| Side::default()).collect();
    for bucket in results? {
        for (side, more) in sides.iter_mut().zip(bucket) {
            side.absorb(more);
        }
    }
    for (side, set) in sides.iter_mut().zip(&order.sets) {
        side.judge_collectives(&plan(set, order.until));
        side.told.sort_by(|a, b| {
            (a.raised_at, &a.subject, &a.rule, &a.warning_id).cmp(&(
                b.raised_at,
                &b.subject,
                &b.rule,
                &b.warning_id,
            ))
        });
    }
    Ok(sides)
}

fn plan(set: &RuleSet, until: EventTime) -> Plan<'_> {
    Plan { set, until }
}

fn judge_bucket(order: &Order<'_>, gathered: &Gathered, bucket: usize) -> Vec<Side> {
    let mut sides: Vec<(Side, Counts)> = order.sets.iter().map(|_| Default::default()).collect();
    for (key, kept) in gathered.subjects(bucket) {
        let name = key.to_string();
        let moments = order.moments.get(&name).map_or(&[][..], Vec::as_slice);
        for (set, (side, counts)) in order.sets.iter().zip(&mut sides) {
            let plan = plan(set, order.until);
            let mut life = individual(&plan, &key, &kept, moments);
            let told = kept
                .iter()
                .filter(|(_, one)| one.event.home() == Some(&*key));
            for (_, one) in told {
                counts.count(&plan, &one.event);
            }
            counts.add(&plan, &life.tallies);
            let readings = core::mem::take(&mut life.readings);
            side.readings
                .extend(readings.into_iter().map(|r| (name.clone(), r)));
            side.take(set, life);
        }
    }
    let with_counts = |(mut side, counts): (Side, Counts)| {
        side.counts = counts.in_order();
        side
    };
    sides.into_iter().map(with_counts).collect()
}

impl Side {
    fn take(&mut self, set: &RuleSet, life: Life) {
        self.anchors += life.anchors;
        self.truncated += u64::from(life.is_truncated);
        let id = |at: usize| set.rules().get(at).map_or("", |r| r.manifest().id.as_ref());
        for (at, count) in life.firings.iter().enumerate().filter(|(_, n)| 0 < **n) {
            *self.firings.entry(id(at).to_owned()).or_default() += count;
        }
        for (at, message) in life.faults {
            let fault = self.faults.entry(id(at).to_owned()).or_insert((0, message));
            fault.0 += 1;
        }
        self.hear(life.messages);
    }

    fn hear(&mut self, messages: Vec<Message>) {
        let mut open: BTreeMap<String, Told> = BTreeMap::new();
        for message in messages {
            match message {
                Message::Sanction(sanction) => {
                    self.sanctions += u64::from(sanction.status == "proposed");
                }
                Message::Warning(warning) => note(&mut open, *warning),
                Message::Task(_) | Message::Measure(_) => {}
            }
        }
        self.told.extend(open.into_values());
    }

    fn absorb(&mut self, more: Self) {
        self.told.extend(more.told);
        self.sanctions += more.sanctions;
        self.anchors += more.anchors;
        self.truncated += more.truncated;
        self.readings.extend(more.readings);
        for (rule, count) in more.firings {
            *self.firings.entry(rule).or_default() += count;
        }
        for (rule, (count, message)) in more.faults {
            self.faults.entry(rule).or_insert((0, message)).0 += count;
        }
        self.counts.extend(more.counts);
    }

    fn judge_collectives(&mut self, plan: &Plan<'_>) {
        let mut counts = core::mem::take(&mut self.counts);
        // What several buckets counted of a collective comes together in their order.
        counts.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut of_each: Vec<(SubjectKey, Vec<Groups>)> = Vec::new();
        for (key, groups) in counts {
            match of_each.last_mut() {
                Some((last, all)) if *last == key => all.push(groups),
                _ => of_each.push((key, vec![groups])),
            }
        }
        let lives: Vec<Life> = of_each
            .into_par_iter()
            .map(|(key, all)| collective(plan, &Arc::new(key), merged(all)))
            .collect();
        for life in lives {
            self.take(plan.set, life);
        }
    }
}

/// Takes up one word of a warning.
fn note(open: &mut BTreeMap<String, Told>, warning: Warning) {
    let time = |text: &str| EventTime::parse(text).map_or(EventTime(0), |(time, _)| time);
    let at = time(&warning.generated_at);
    let told = open
        .entry(warning.warning_id.clone())
        .or_insert_with(|| Told {
            warning_id: warning.warning_id.clone(),
            rule: warning.rule_id,
            subject: warning.subject,
            group: warning.group,
            name: warning.subject_name,
            level: warning.level,
            raised_at: at,
            first_at: time(&warning.first_event_at),
            over_at: None,
            status: warning.status,
            region: warning.region,
            department: warning.department,
            message: warning.message,
            revisions: 0,
        });
    told.level = told.level.max(warning.level);
    told.status = warning.status;
    told.revisions = told.revisions.max(warning.revision);
    told.over_at = (warning.status != Status::Open).then_some(at);
}

fn place((work, fingerprint): (&Path, &str), bucket: usize) -> PathBuf {
    work.join(format!(
        "{}-{bucket:02}.part",
        &fingerprint.get(..16).unwrap_or(fingerprint)
    ))
}

/// What an earlier, interrupted back-test of the same things gave for a bucket.
fn recall(kept: (&Path, &str), bucket: usize) -> Option<Vec<Side>> {
    let bytes = std::fs::read(place(kept, bucket)).ok()?;
    let (crc, body) = bytes.split_at_checked(4)?;
    if crc32c::crc32c(body).to_le_bytes() != *crc {
        return None;
    }
    postcard::from_bytes(body).ok()
}

fn remember(kept: (&Path, &str), bucket: usize, done: &[Side]) -> Result<(), BacktestError> {
    let path = place(kept, bucket);
    let fault = |cause| BacktestError::File {
        doing: "write",
        path: path.clone(),
        cause,
    };
    std::fs::create_dir_all(kept.0).map_err(fault)?;
    let body = postcard::to_stdvec(done).unwrap_or_default();
    let mut bytes = crc32c::crc32c(&body).to_le_bytes().to_vec();
    bytes.extend(body);
    let beside = path.with_extension("new");
    std::fs::write(&beside, bytes).map_err(fault)?;
    std::fs::rename(&beside, &path).map_err(fault)
}

/// Forgets partial results, when the whole is done.
pub fn forget(order: &Order<'_>) {
    if let Some(work) = &order.work {
        let fingerprint = order.fingerprint();
        for bucket in 0..usize::try_from(BUCKETS).unwrap_or(0) {
            // What stays behind is only taken up by the very same back-test.
            let _ = std::fs::remove_file(place((work, &fingerprint), bucket));
        }
    }
}

//! What judging means for a subject: episodes brought in line, the composite warning, and the words that leave.
//!
//! After any judging, [`settle`] reconciles the episodes of every rule whose findings changed, works out the score, holds
//! the composite warning ([`COMPOSITE`]) against it and writes every step down. The composite speaks only when at least
//! two rules contribute: what one rule says alone it has said already.
//!
//! cost     nothing when no finding changed; else in proportion to the subject's findings

use super::episode::{Cluster, Docket, Step, Transition};
use super::event::Event;
use super::feedback::{close, is_unfounded};
use super::judge::Court;
use super::rule::{Manifest, RuleStatus};
use super::schema::Stream;
use super::score::Contribution;
use super::sentence::{Sentence, Shift};
use super::subject::groups::GroupKey;
use super::subject::state::{Core, Episode, EpisodeKind, Status, Subject, Told};
use super::subject::view::Level;
use super::time::EventTime;
use super::warning::{Clerk, Message, told, told_sanction};
use std::sync::Arc;

/// The id of the warning on a subject's whole score.
pub const COMPOSITE: &str = "ZH-000";

/// Settles a subject after judging and gives the messages in the order in which they leave.
pub fn settle(court: &Court<'_>, subject: &mut Subject, sentence: &Sentence) -> Vec<Message> {
    let mut steps: Vec<Step> = Vec::new();
    let Some(mut core) = subject.core.take() else {
        return Vec::new();
    };
    for (rule, group, lost) in touched(&sentence.shifts) {
        let Some(rule) = court.set.rules().get(rule) else {
            continue;
        };
        let docket = docket(court, rule.manifest(), group.as_ref(), lost);
        let mut words = |finding: &_| told(subject, finding);
        docket.reconcile(&mut core, EpisodeKind::Warning, &mut words, &mut steps);
        let mut words = |finding: &_| told_sanction(subject, finding);
        docket.reconcile(&mut core, EpisodeKind::Sanction, &mut words, &mut steps);
    }
    close(subject, &mut core, &mut steps);
    let lost = sentence
        .shifts
        .iter()
        .any(|shift| shift.lost.is_some() || shift.new.is_none());
    let score = if court.is_filling {
        // The composite is held against the score when something happens next.
        score_of(court, &core)
    } else {
        composite(court, subject, &mut core, lost, &mut steps)
    };
    subject.core = (!core.is_empty()).then_some(core);
    write(court, subject, score, &steps)
}

/// Settles a subject after a fact of a stream was judged. When the fact is no word of officers and no finding changed there
/// is nothing to settle: the composite falls with time alone, which is seen at the tick at which it is due.
pub fn settle_fact(
    court: &Court<'_>,
    subject: &mut Subject,
    sentence: &Sentence,
    stream: Stream,
) -> Vec<Message> {
    if !sentence.shifts.is_empty() || stream == Stream::Feedback {
        return settle(court, subject, sentence);
    }
    if subject.core.as_ref().is_some_and(|core| core.is_empty()) {
        subject.core = None;
    }
    Vec::new()
}

/// Closes what feedback names on a collective, which keeps no facts to find it in again.
pub(super) fn hear(court: &Court<'_>, subject: &mut Subject, event: &Event) -> Vec<Message> {
    let Some(mut core) = subject.core.take() else {
        return Vec::new();
    };
    let mut steps = Vec::new();
    super::feedback::hear(&subject.key, &mut core, event, &mut steps);
    subject.core = Some(core);
    let score = score(court, subject);
    write(court, subject, score, &steps)
}

/// Ends what is over and lets the composite fall with time.
pub fn expire(court: &Court<'_>, subject: &mut Subject) -> Vec<Message> {
    let Some(mut core) = subject.core.take() else {
        return Vec::new();
    };
    let mut steps = Vec::new();
    let mut pairs: Vec<(Arc<str>, Option<Arc<GroupKey>>)> = core
        .episodes
        .iter()
        .map(|e| (Arc::clone(&e.rule), e.group.clone()))
        .collect();
    pairs.sort();
    pairs.dedup();
    for (id, group) in pairs {
        if let Some(rule) = court.set.rule(&id) {
            docket(court, rule.manifest(), group.as_ref(), false).expire(&mut core, &mut steps);
        }
    }
    let score = composite(court, subject, &mut core, false, &mut steps);
    forget_old(court, &mut core);
    subject.core = (!core.is_empty()).then_some(core);
    write(court, subject, score, &steps)
}

/// When the subject wants to be looked at next, if nothing arrives.
pub fn next_due(subject: &Subject) -> Option<EventTime> {
    let core = subject.core.as_ref()?;
    let checks = core.checks.iter().map(|check| check.at);
    let ends = core
        .episodes
        .iter()
        .filter(|e| matches!(e.status, Status::Open | Status::Muted) && e.ends_at != EventTime::MAX)
        .map(|e| e.ends_at);
    checks.chain(ends).min()
}

/// The subject's score at the clock, hundredths.
pub fn score(court: &Court<'_>, subject: &Subject) -> i64 {
    subject
        .core
        .as_ref()
        .map_or(0, |core| score_of(court, core))
}

/// The score at the clock, hundredths, and the level that it has come to.
pub(super) fn standing_of(court: &Court<'_>, core: &Core) -> (i64, Option<Level>) {
    let parts = contributions(court, core);
    let parts: Vec<Contribution<'_>> = parts.iter().map(|(_, c)| *c).collect();
    let scoring = court.set.scoring();
    (
        scoring.score(&parts, court.clock),
        scoring.level_path(&parts, court.clock),
    )
}

fn score_of(court: &Court<'_>, core: &Core) -> i64 {
    let parts = contributions(court, core);
    let parts: Vec<Contribution<'_>> = parts.iter().map(|(_, c)| *c).collect();
    court.set.scoring().score(&parts, court.clock)
}

/// The subject's episodes as they stand, each as its latest words; what was never told is left out.
pub fn standing(court: &Court<'_>, subject: &Subject) -> Vec<Message> {
    let Some(core) = subject.core.as_ref() else {
        return Vec::new();
    };
    let score = score(court, subject);
    let steps: Vec<Step> = core
        .episodes
        .iter()
        .filter(|episode| episode.status != Status::Muted)
        .map(|episode| {
            let mine = core.findings.iter().filter(|f| {
                f.rule == episode.rule
                    && f.group == episode.group
                    && (episode.first_at..=episode.last_at).contains(&f.since)
            });
            let lead = Cluster::of(mine.collect(), i64::MAX)
                .first()
                .and_then(Cluster::lead)
                .cloned();
            let transition = match episode.status {
                Status::Open | Status::Muted if episode.revision == 0 => Transition::Raised,
                Status::Open | Status::Muted => Transition::Revised,
                Status::Ended => Transition::Ended,
                Status::Withdrawn => Transition::Withdrawn,
                Status::Closed => Transition::Closed,
            };
            let lead = lead.filter(|_| episode.status != Status::Withdrawn);
            Step {
                transition,
                number: episode.number,
                episode: episode.clone(),
                previous_level: None,
                lead,
                findings: episode.findings_told,
                why: "",
            }
        })
        .collect();
    write(court, subject, score, &steps)
}

fn docket<'a>(
    court: &Court<'a>,
    manifest: &'a Manifest,
    group: Option<&'a Arc<GroupKey>>,
    lost: bool,
) -> Docket<'a> {
    Docket {
        manifest,
        group,
        scoring: court.set.scoring(),
        clock: court.clock,
        lost,
        is_filling: court.is_filling,
    }
}

fn touched(shifts: &[Shift]) -> Vec<(usize, Option<Arc<GroupKey>>, bool)> {
    let mut list: Vec<(usize, Option<Arc<GroupKey>>, bool)> = Vec::new();
    for shift in shifts {
        let lost = shift.lost.is_some();
        match list
            .iter_mut()
            .find(|(rule, group, _)| *rule == shift.rule && *group == shift.group)
        {
            Some((_, _, any)) => *any |= lost,
            None => list.push((shift.rule, shift.group.clone(), lost)),
        }
    }
    list.sort();
    list
}

/// What each rule's findings bring to the score, with the rule's name.
fn contributions<'a>(court: &Court<'a>, core: &Core) -> Vec<(&'a Manifest, Contribution<'a>)> {
    let mut list = Vec::new();
    let mut rest = core.findings.as_slice();
    while let Some(first) = rest.first() {
        let same =
            |f: &super::subject::state::Finding| f.rule == first.rule && f.group == first.group;
        let end = rest.iter().position(|f| !same(f)).unwrap_or(rest.len());
        let (mine, others) = rest.split_at(end);
        rest = others;
        let rule = court.set.rule(&first.rule);
        let Some(manifest) = rule.map(|r| r.manifest()) else {
            continue;
        };
        if manifest.status != RuleStatus::Active {
            continue;
        }
        let points = mine
            .iter()
            .filter(|f| f.warning.is_some() || f.signal.is_some())
            .collect();
        for cluster in Cluster::of(points, manifest.cooldown_ms) {
            if 0 < cluster.points && !is_unfounded(core, &cluster, first) {
                let dimension = manifest.dimension.as_ref();
                list.push((
                    manifest,
                    Contribution {
                        // A fact known by the day counts from when it is known, not from that day's end.
                        at: cluster.last_at.min(court.clock),
                        points: cluster.points,
                        dimension,
                    },
                ));
            }
        }
    }
    list
}

/// Holds the composite warning against the score; gives the score.
#[expect(
    clippy::too_many_lines,
    reason = "one row or step after the other; splitting would hide the order"
)]
fn composite(
    court: &Court<'_>,
    subject: &Subject,
    core: &mut Core,
    lost: bool,
    steps: &mut Vec<Step>,
) -> i64 {
    let parts = contributions(court, core);
    let only: Vec<Contribution<'_>> = parts.iter().map(|(_, c)| *c).collect();
    let scoring = court.set.scoring();
    let score = scoring.score(&only, court.clock);
    let open = core
        .episodes
        .iter()
        .position(|e| e.rule.as_ref() == COMPOSITE && e.status == Status::Open);
    if subject.key.kind.is_collective() {
        return score;
    }
    let mut rules: Vec<&str> = parts.iter().map(|(m, _)| m.id.as_ref()).collect();
    rules.sort_unstable();
    rules.dedup();
    let level = (1 < rules.len())
        .then(|| scoring.level_path(&only, court.clock))
        .flatten()
        .filter(|level| scoring.composite_from <= *level);
    if open.is_none() && level.is_none() {
        return score;
    }
    let newest = only.iter().map(|c| c.at).max().unwrap_or(court.clock);
    let oldest = only.iter().map(|c| c.at).min().unwrap_or(court.clock);
    if open.is_none() && newest < court.clock.plus_ms(-scoring.late_ms_max) {
        return score;
    }
    // Looked at again when it has fallen, if nothing happens before.
    let ends_at = scoring.next_fall(&only, court.clock).unwrap_or(court.clock);
    let words = composite_words(&parts, score);
    match (open, level) {
        (None, Some(level)) => {
            open_composite(court, core, level, (oldest, newest, ends_at), words, steps);
        }
        (Some(at), Some(level)) => {
            let changed = core.episodes.get(at).is_some_and(|e| e.level != level);
            let number = changed.then(|| core.next_number(&Arc::from(COMPOSITE)));
            let Some(episode) = core.episodes.get_mut(at) else {
                return score;
            };
            let before = episode.level;
            (episode.ends_at, episode.level) = (ends_at, level);
            (episode.first_at, episode.last_at) = (oldest, newest);
            if let Some(number) = number {
                episode.revision = episode.revision.saturating_add(1);
                episode.told.message = words;
                let why = if level < before {
                    "综合风险分回落"
                } else {
                    ""
                };
                steps.push(composite_step(
                    Transition::Revised,
                    number,
                    episode,
                    Some(before),
                    why,
                ));
            }
        }
        (Some(at), None) => {
            let number = core.next_number(&Arc::from(COMPOSITE));
            let Some(episode) = core.episodes.get_mut(at) else {
                return score;
            };
            let (transition, status, why) = if lost {
                (
                    Transition::Withdrawn,
                    Status::Withdrawn,
                    "所依据的记录已被撤回、撤销、修复或更正",
                )
            } else {
                (Transition::Ended, Status::Ended, "综合风险分回落")
            };
            (episode.status, episode.ends_at) = (status, court.clock);
            steps.push(composite_step(transition, number, episode, None, why));
        }
        (None, None) => {}
    }
    score
}

#[expect(
    clippy::too_many_arguments,
    reason = "each is a part of one place or judgement"
)]
fn open_composite(
    court: &Court<'_>,
    core: &mut Core,
    level: Level,
    (oldest, newest, ends_at): (EventTime, EventTime, EventTime),
    message: Box<str>,
    steps: &mut Vec<Step>,
) {
    let id: Arc<str> = Arc::from(COMPOSITE);
    let number = core.next_number(&id);
    let spoken = core
        .episodes
        .iter()
        .rev()
        .find(|e| e.rule != id && !e.told.name.is_empty());
    let told = Told {
        message,
        ..spoken.map(|e| e.told.clone()).unwrap_or_default()
    };
    let episode = Episode {
        rule: id,
        group: None,
        kind: EpisodeKind::Warning,
        number,
        revision: 0,
        status: Status::Open,
        level,
        first_at: oldest,
        last_at: newest,
        ends_at,
        findings_told: 0,
        opened_at: court.clock,
        verdict: None,
        heard: None,
        told,
    };
    steps.push(composite_step(
        Transition::Raised,
        number,
        &episode,
        None,
        "",
    ));
    core.episodes.push(episode);
}

fn composite_step(
    transition: Transition,
    number: u32,
    episode: &Episode,
    previous_level: Option<Level>,
    why: &'static str,
) -> Step {
    Step {
        transition,
        number,
        episode: episode.clone(),
        previous_level,
        lead: None,
        findings: 0,
        why,
    }
}

fn composite_words(parts: &[(&Manifest, Contribution<'_>)], score: i64) -> Box<str> {
    let mut parts: Vec<(u8, &str)> = parts
        .iter()
        .map(|(m, c)| (c.points, m.name.as_ref()))
        .collect();
    parts.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    let names: Vec<String> = parts
        .iter()
        .take(3)
        .map(|(p, name)| format!("{name}（{p}分）"))
        .collect();
    let more = if 3 < parts.len() { "等" } else { "" };
    format!(
        "综合风险分 {}.{:02}，主要来自{}{more}",
        score / 100,
        score % 100,
        names.join("、")
    )
    .into()
}

/// Lets findings and episodes go that no longer count for anything.
fn forget_old(court: &Court<'_>, core: &mut Core) {
    let from = court.clock.plus_ms(-court.set.scoring().life_ms);
    let open: Vec<(Arc<str>, Option<Arc<GroupKey>>)> = core
        .episodes
        .iter()
        .filter(|e| e.status == Status::Open)
        .map(|e| (Arc::clone(&e.rule), e.group.clone()))
        .collect();
    let is_open = |rule: &Arc<str>, group: &Option<Arc<GroupKey>>| {
        open.iter().any(|(r, g)| r == rule && g == group)
    };
    core.findings
        .retain(|f| from <= f.judged_at || is_open(&f.rule, &f.group));
    core.episodes
        .retain(|e| from <= e.last_at || is_open(&e.rule, &e.group));
}

pub(super) fn write(
    court: &Court<'_>,
    subject: &Subject,
    score: i64,
    steps: &[Step],
) -> Vec<Message> {
    let mut messages = Vec::with_capacity(steps.len());
    for step in steps {
        let id = step.episode.rule.as_ref();
        let rule = court.set.rule(id);
        let stand_in = rule.is_none().then(|| super::adopt::stand_in(id));
        let Some(manifest) = rule.map(|r| r.manifest()).or(stand_in.as_ref()) else {
            continue;
        };
        messages.push(
            Clerk {
                set: court.set,
                manifest,
                subject,
                score,
                clock: court.clock,
            }
            .write(step),
        );
    }
    messages
}

//! From findings to episodes: what was told is held against what should be told, and the difference leaves as transitions.
//!
//! The findings of a rule on a subject, in the order of their times, make *clusters*: a finding within the rule's cooldown
//! of the one before belongs to the same cluster. Each cluster should be one told episode. Where it is not, transitions say
//! so: raised, revised, withdrawn, ended. A level never changes in silence, and an episode whose facts are gone is
//! withdrawn, even when it had ended already.
//!
//! Every transition takes the next number of its (subject, rule); its id is a hash of exactly these three, so the same
//! inputs give the same ids and bytes wherever and however often they are processed.
//!
//! bounds   [`EPISODES_MAX`] episodes a rule and subject; the oldest that are over go first

use super::rule::{Manifest, RuleStatus};
use super::score::Scoring;
use super::subject::groups::GroupKey;
use super::subject::state::{Core, EPISODES_MAX, Episode, EpisodeKind, Finding, Status, Told};
use super::subject::view::Level;
use super::time::{DAY_MS, EventTime};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How an episode changed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Transition {
    /// It began.
    Raised,
    /// Its level, its evidence or its words changed.
    Revised,
    /// What it rested on is gone; of a sanction proposal: it is lifted.
    Withdrawn,
    /// Its time is over.
    Ended,
    /// Officers gave their verdict.
    Closed,
}

impl Transition {
    /// The Chinese word.
    pub fn title(self) -> &'static str {
        match self {
            Self::Raised => "新发",
            Self::Revised => "更新",
            Self::Withdrawn => "撤回",
            Self::Ended => "到期结束",
            Self::Closed => "办结",
        }
    }
}

/// A transition of an episode, before it is put into words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What happened.
    pub transition: Transition,
    /// Its number among those of the rule on the subject.
    pub number: u32,
    /// The episode after it.
    pub episode: Episode,
    /// The level before, if it was another.
    pub previous_level: Option<Level>,
    /// The finding that leads it; none when all are gone.
    pub lead: Option<Finding>,
    /// How many findings it has.
    pub findings: u32,
    /// Why, in Chinese, when the findings do not say it.
    pub why: &'static str,
}

/// Findings that belong together.
#[derive(Debug, Clone)]
pub struct Cluster<'a> {
    /// The findings, oldest first; never empty.
    pub findings: Vec<&'a Finding>,
    /// The first one's time.
    pub first_at: EventTime,
    /// The last one's time.
    pub last_at: EventTime,
    /// The gravest level.
    pub level: Level,
    /// The most risk points.
    pub points: u8,
}

impl<'a> Cluster<'a> {
    /// The clusters of some findings of one rule and group.
    pub fn of(mut findings: Vec<&'a Finding>, cooldown_ms: i64) -> Vec<Self> {
        findings.sort_by_key(|f| (f.since, f.anchor));
        let mut clusters: Vec<Self> = Vec::new();
        for finding in findings {
            let (level, points) = weight(finding);
            match clusters.last_mut() {
                Some(last) if finding.since <= last.last_at.plus_ms(cooldown_ms) => {
                    last.findings.push(finding);
                    last.last_at = last.last_at.max(finding.judged_at);
                    last.level = last.level.max(level);
                    last.points = last.points.max(points);
                }
                Some(_) | None => clusters.push(Self {
                    findings: vec![finding],
                    first_at: finding.since,
                    last_at: finding.judged_at,
                    level,
                    points,
                }),
            }
        }
        clusters
    }

    /// The finding that speaks for all: the latest of the gravest.
    pub fn lead(&self) -> Option<&'a Finding> {
        self.findings
            .iter()
            .rev()
            .find(|f| weight(f).0 == self.level)
            .copied()
    }

    fn count(&self) -> u32 {
        u32::try_from(self.findings.len()).unwrap_or(u32::MAX)
    }
}

fn weight(finding: &Finding) -> (Level, u8) {
    match (&finding.warning, &finding.signal) {
        (Some(warning), _) => (warning.level, warning.points),
        (None, Some(signal)) => (Level::Blue, signal.points),
        (None, None) => (Level::Red, 0),
    }
}

/// What reconciling needs to know beside the core.
#[derive(Debug)]
pub struct Docket<'a> {
    /// The rule.
    pub manifest: &'a Manifest,
    /// The group, on collectives.
    pub group: Option<&'a Arc<GroupKey>>,
    /// The numbers of the scoring file.
    pub scoring: &'a Scoring,
    /// The logical clock.
    pub clock: EventTime,
    /// Whether a told fact was withdrawn or corrected.
    pub lost: bool,
    /// Whether the past is judged, of which nobody is told.
    pub is_filling: bool,
}

impl Docket<'_> {
    /// Brings the episodes of one kind in line with the findings; `told` puts a finding's place into words.
    pub fn reconcile(
        &self,
        core: &mut Core,
        kind: EpisodeKind,
        told: &mut dyn FnMut(&Finding) -> Told,
        steps: &mut Vec<Step>,
    ) {
        let findings: Vec<Finding> = core
            .findings
            .iter()
            .filter(|f| f.rule == self.manifest.id && f.group.as_ref() == self.group)
            .filter(|f| match kind {
                EpisodeKind::Warning => f.warning.is_some(),
                EpisodeKind::Sanction => f.sanction.is_some(),
            })
            .cloned()
            .collect();
        let cooldown_ms = match kind {
            EpisodeKind::Warning => self.manifest.cooldown_ms,
            EpisodeKind::Sanction => 0,
        };
        let clusters = Cluster::of(findings.iter().collect(), cooldown_ms);
        let mut unmatched: Vec<usize> = core
            .episodes
            .iter()
            .enumerate()
            .filter(|(_, e)| self.is_mine(e, kind) && e.status != Status::Withdrawn)
            .map(|(at, _)| at)
            .collect();
        for cluster in &clusters {
            let found = unmatched.iter().position(|at| {
                core.episodes
                    .get(*at)
                    .is_some_and(|e| overlaps(e, cluster, cooldown_ms))
            });
            match found {
                Some(place) => {
                    let at = unmatched.remove(place);
                    self.hold_against(core, at, cluster, told, steps);
                }
                None => self.open(core, kind, cluster, told, steps),
            }
        }
        for at in unmatched {
            let merged = core
                .episodes
                .get(at)
                .is_some_and(|e| clusters.iter().any(|c| overlaps(e, c, cooldown_ms)));
            self.withdraw(core, at, merged, steps);
        }
        self.limit(core, kind);
    }

    /// Ends what is over by now.
    pub fn expire(&self, core: &mut Core, steps: &mut Vec<Step>) {
        for at in 0..core.episodes.len() {
            let Some(episode) = core.episodes.get(at) else {
                continue;
            };
            let mine = episode.rule == self.manifest.id && episode.group.as_ref() == self.group;
            if !mine || self.clock < episode.ends_at {
                continue;
            }
            match episode.status {
                Status::Open => {
                    let why = match episode.kind {
                        EpisodeKind::Warning => "观察期内没有新的情况",
                        EpisodeKind::Sanction => "期限届满",
                    };
                    let number = core.next_number(&self.manifest.id);
                    if let Some(episode) = core.episodes.get_mut(at) {
                        episode.status = Status::Ended;
                        steps.push(step(Transition::Ended, number, episode, None, why));
                    }
                }
                Status::Muted => {
                    if let Some(episode) = core.episodes.get_mut(at) {
                        episode.ends_at = EventTime::MAX;
                    }
                }
                Status::Ended | Status::Withdrawn | Status::Closed => {}
            }
        }
    }

    fn is_mine(&self, episode: &Episode, kind: EpisodeKind) -> bool {
        episode.rule == self.manifest.id
            && episode.group.as_ref() == self.group
            && episode.kind == kind
    }

    fn is_mute(&self, last_at: EventTime) -> bool {
        let late = last_at < self.clock.plus_ms(-self.scoring.late_ms_max);
        late || self.is_filling || self.manifest.status != RuleStatus::Active
    }

    fn ends_at(&self, kind: EpisodeKind, cluster: &Cluster<'_>) -> EventTime {
        match kind {
            EpisodeKind::Warning => {
                // While the rule wants to look again, it is not over.
                let next = cluster.findings.iter().filter_map(|f| f.next_at).max();
                let next = next.map_or(EventTime::MIN, |at| at.plus_days(1));
                let over = cluster
                    .last_at
                    .plus_ms(self.manifest.cooldown_ms.max(DAY_MS));
                over.max(next)
            }
            EpisodeKind::Sanction => {
                let months = cluster
                    .lead()
                    .and_then(|f| f.sanction.as_ref())
                    .and_then(|s| s.months);
                months.map_or(EventTime::MAX, |months| cluster.last_at.plus_months(months))
            }
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "each is a part of one place or judgement"
    )]
    fn open(
        &self,
        core: &mut Core,
        kind: EpisodeKind,
        cluster: &Cluster<'_>,
        told: &mut dyn FnMut(&Finding) -> Told,
        steps: &mut Vec<Step>,
    ) {
        let Some(lead) = cluster.lead() else { return };
        let number = core.next_number(&self.manifest.id);
        let mute = self.is_mute(cluster.last_at);
        let episode = Episode {
            rule: Arc::clone(&self.manifest.id),
            group: self.group.cloned(),
            kind,
            number,
            revision: 0,
            status: if mute { Status::Muted } else { Status::Open },
            level: cluster.level,
            first_at: cluster.first_at,
            last_at: cluster.last_at,
            ends_at: self.ends_at(kind, cluster),
            findings_told: cluster.count(),
            opened_at: self.clock,
            verdict: None,
            heard: None,
            told: told(lead),
        };
        if !mute {
            let mut step = step(Transition::Raised, number, &episode, None, "");
            step.lead = Some(lead.clone());
            step.findings = cluster.count();
            steps.push(step);
        }
        core.episodes.push(episode);
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "each is a part of one place or judgement"
    )]
    fn hold_against(
        &self,
        core: &mut Core,
        at: usize,
        cluster: &Cluster<'_>,
        told: &mut dyn FnMut(&Finding) -> Told,
        steps: &mut Vec<Step>,
    ) {
        let (Some(episode), Some(lead)) = (core.episodes.get(at), cluster.lead()) else {
            return;
        };
        let (was, kind, before) = (episode.status, episode.kind, episode.level);
        let ends_at = self.ends_at(kind, cluster);
        // Something new wakes it; that its rule came into service, or the past was gone through, does not.
        let is_later = episode.last_at < cluster.last_at;
        let wakes = was == Status::Muted && is_later && !self.is_mute(cluster.last_at);
        let reopens = was == Status::Ended && self.clock < ends_at;
        let is_told = !matches!(was, Status::Muted | Status::Withdrawn);
        let grows = episode.findings_told.saturating_mul(2) <= cluster.count();
        let shrinks = cluster.count() < episode.findings_told;
        let rises = before < cluster.level;
        let changed = if was == Status::Closed {
            // Officers have dealt with it: only what makes it graver, or takes its ground away, is told.
            rises || self.lost
        } else {
            before != cluster.level || grows || shrinks || self.lost || reopens
        };
        let transition = match (wakes, is_told && changed) {
            (true, _) => Some((Transition::Raised, "")),
            (false, true) if self.lost || shrinks => {
                Some((Transition::Revised, "所依据的部分记录已被撤回或更正"))
            }
            (false, true) => Some((Transition::Revised, "")),
            (false, false) => None,
        };
        let number = transition.map(|_| core.next_number(&self.manifest.id));
        let Some(episode) = core.episodes.get_mut(at) else {
            return;
        };
        episode.first_at = cluster.first_at;
        episode.last_at = cluster.last_at;
        episode.ends_at = ends_at;
        episode.level = cluster.level;
        if wakes || reopens {
            episode.status = Status::Open;
        }
        let (Some((transition, why)), Some(number)) = (transition, number) else {
            return;
        };
        episode.findings_told = cluster.count();
        episode.told = told(lead);
        match transition {
            Transition::Raised => episode.number = number,
            Transition::Revised
            | Transition::Withdrawn
            | Transition::Ended
            | Transition::Closed => {
                episode.revision = episode.revision.saturating_add(1);
            }
        }
        let previous = (before != cluster.level && !wakes).then_some(before);
        let mut step = step(transition, number, episode, previous, why);
        step.lead = Some(lead.clone());
        step.findings = cluster.count();
        steps.push(step);
    }

    fn withdraw(&self, core: &mut Core, at: usize, merged: bool, steps: &mut Vec<Step>) {
        let Some(episode) = core.episodes.get(at) else {
            return;
        };
        let was = episode.status;
        let number = match was {
            Status::Open | Status::Ended | Status::Closed => {
                Some(core.next_number(&self.manifest.id))
            }
            Status::Muted | Status::Withdrawn => None,
        };
        let Some(episode) = core.episodes.get_mut(at) else {
            return;
        };
        episode.status = Status::Withdrawn;
        episode.ends_at = self.clock;
        if let Some(number) = number {
            let why = match (merged, episode.kind) {
                (true, _) => "与另一预警所指为同一情况，已合并",
                (false, _) if self.is_filling => "规则已修改，按现行规则不再成立",
                (false, _) if !self.lost => "新的记录表明情况已消除",
                (false, EpisodeKind::Warning) => "所依据的记录已被撤回、撤销、修复或更正",
                (false, EpisodeKind::Sanction) => "所依据的记录已被撤销、修复或更正，惩戒建议解除",
            };
            steps.push(step(Transition::Withdrawn, number, episode, None, why));
        }
    }

    fn limit(&self, core: &mut Core, kind: EpisodeKind) {
        let mut count = core
            .episodes
            .iter()
            .filter(|e| self.is_mine(e, kind))
            .count();
        core.episodes.retain(|e| {
            let goes = EPISODES_MAX < count && e.status != Status::Open && self.is_mine(e, kind);
            if goes {
                count -= 1;
            }
            !goes
        });
    }
}

pub(super) fn overlaps(episode: &Episode, cluster: &Cluster<'_>, cooldown_ms: i64) -> bool {
    episode.first_at <= cluster.last_at.plus_ms(cooldown_ms)
        && cluster.first_at <= episode.last_at.plus_ms(cooldown_ms)
}

fn step(
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
        findings: episode.findings_told,
        why,
    }
}

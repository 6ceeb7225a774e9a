//! A challenger beside its champion: whom the one rule warns of and the other does not, on the same state.
//!
//! The challenger runs in the shadow, event by event, on the facts that its champion sees. What both hold from the time on from
//! which both have judged is set side by side: subjects of which both speak, of which only the challenger does, and of which
//! only the champion does.
//!
//! shape    three lists of subjects, in the order of keys
//! errors   [`NoDuel`]
//! cost     one pass over all subjects

use super::event::SubjectKey;
use super::province::Province;
use super::subject::state::{EpisodeKind, Status};
use super::time::EventTime;
use std::sync::Arc;

/// What came of a challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duel {
    /// The rule in service.
    pub champion: Arc<str>,
    /// The rule that would take its place.
    pub challenger: Arc<str>,
    /// From which event time on both have judged; `None`: from the first record on.
    pub from: Option<EventTime>,
    /// Until when, logical time.
    pub through: EventTime,
    /// Episodes of the champion and of the challenger.
    pub episodes: (u64, u64),
    /// Subjects of which both speak.
    pub both: Vec<SubjectKey>,
    /// Subjects of which only the challenger speaks.
    pub added: Vec<SubjectKey>,
    /// Subjects of which only the champion speaks.
    pub dropped: Vec<SubjectKey>,
}

/// Why there is nothing to compare.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoDuel {
    /// No rule has this id.
    #[error("no rule \"{0}\" is in force")]
    Unknown(String),
    /// The rule challenges none.
    #[error(
        "rule \"{0}\" challenges no other; write challenges: \"<id>\" and status: \"shadow\" into its RULE"
    )]
    Challenges(String),
    /// One of the two judges nothing.
    #[error("rule \"{0}\" is neither active nor shadow, so it judges nothing")]
    Idle(String),
}

/// The ids of the rules in force that challenge another.
pub fn challengers(province: &Province) -> Vec<Arc<str>> {
    let rules = province.set().rules().iter().map(|rule| rule.manifest());
    rules
        .filter(|m| m.status.is_judged() && m.challenges.is_some())
        .map(|m| Arc::clone(&m.id))
        .collect()
}

/// Holds a challenger against its champion.
pub fn duel(province: &Province, challenger: &str) -> Result<Duel, NoDuel> {
    let of = |id: &str| {
        let rule = province.set().rule(id);
        let manifest = rule
            .ok_or_else(|| NoDuel::Unknown(id.to_owned()))?
            .manifest();
        if manifest.status.is_judged() {
            Ok(manifest)
        } else {
            Err(NoDuel::Idle(id.to_owned()))
        }
    };
    let manifest = of(challenger)?;
    let champion = manifest
        .challenges
        .as_ref()
        .ok_or_else(|| NoDuel::Challenges(challenger.to_owned()))?;
    of(champion)?;
    let judged = |id: &str| {
        let conduct = province.globals.conduct.iter().find(|c| c.rule == id);
        conduct.and_then(|c| c.judged_from)
    };
    let from = judged(challenger).max(judged(champion));
    let mut duel = Duel {
        champion: Arc::clone(champion),
        challenger: Arc::clone(&manifest.id),
        from,
        through: province.clock(),
        episodes: (0, 0),
        both: Vec::new(),
        added: Vec::new(),
        dropped: Vec::new(),
    };
    for shard in province.shards() {
        for subject in shard.subjects() {
            let episodes = subject.core.iter().flat_map(|core| &core.episodes);
            let counted = episodes.filter(|e| {
                e.kind == EpisodeKind::Warning
                    && e.status != Status::Withdrawn
                    && from.is_none_or(|from| from <= e.last_at)
            });
            let (mut of_champion, mut of_challenger) = (0_u64, 0_u64);
            for episode in counted {
                of_champion += u64::from(episode.rule == duel.champion);
                of_challenger += u64::from(episode.rule == duel.challenger);
            }
            duel.episodes.0 += of_champion;
            duel.episodes.1 += of_challenger;
            let list = match (0 < of_champion, 0 < of_challenger) {
                (true, true) => &mut duel.both,
                (false, true) => &mut duel.added,
                (true, false) => &mut duel.dropped,
                (false, false) => continue,
            };
            list.push(subject.key.as_ref().clone());
        }
    }
    for list in [&mut duel.both, &mut duel.added, &mut duel.dropped] {
        list.sort();
    }
    Ok(duel)
}

//! A rule set takes the place of another, at one place in the stream.
//!
//! Windows, facts and counts stay. What a rule had said that is no longer in force is ended aloud. A suspended rule whose
//! text has changed is given another chance, and what it owes is judged now. A new rule judges what comes from now on.
//!
//! cost     one pass over the subjects about which a rule has said something; over all of them when a rule was mended

use super::episode::{Step, Transition};
use super::input::Outcome;
use super::judge::Court;
use super::province::Province;
use super::rule::{Manifest, RuleSet, RuleStatus};
use super::sentence::Sentence;
use super::settle::{COMPOSITE, settle, write};
use super::shard::{Shard, collect};
use super::subject::state::{Core, Status, Subject};
use super::time::EventTime;
use super::warning::Message;
use super::work::Outputs;
use std::sync::Arc;

impl Province {
    /// Puts another rule set into force. What ends or is judged anew leaves as usual.
    pub fn change_rules(&mut self, set: &Arc<RuleSet>) -> Outcome {
        let old = Arc::clone(self.set());
        let mut globals = self.globals.clone();
        let mut mended: Vec<(usize, EventTime)> = Vec::new();
        for conduct in &mut globals.conduct {
            let of = |set: &RuleSet| {
                set.place(&conduct.rule)
                    .and_then(|at| set.rules().get(at).map(|rule| (at, Arc::clone(rule))))
            };
            let (Some(since), Some((_, was)), Some((at, is))) =
                (conduct.suspended_since, of(&old), of(set))
            else {
                continue;
            };
            if was.source() != is.source() {
                mended.push((at, since));
                (conduct.suspended_since, conduct.debt) = (None, 0);
            }
        }
        self.replace_set(Arc::clone(set), globals);
        let clock = self.clock();
        let seq = self.globals.seq;
        let suspended = self.suspensions().to_vec();
        let court = Court {
            set,
            suspended: &suspended,
            clock,
            check_every: 0,
        };
        let mut outputs = Vec::new();
        for shard in self.shards_mut() {
            let mut out = Outputs::default();
            shard.adopt(&court, seq, &mended, &mut out);
            outputs.push(out);
        }
        let mut outcome = Outcome::default();
        self.gather(outputs, &mut outcome);
        outcome
    }
}

impl Shard {
    fn adopt(
        &mut self,
        court: &Court<'_>,
        seq: u64,
        mended: &[(usize, EventTime)],
        out: &mut Outputs,
    ) {
        for key in self.keys() {
            let Some(subject) = self.get(&key) else {
                continue;
            };
            if subject.core.is_none() && mended.is_empty() {
                continue;
            }
            let subject = self.subject_mut(&key);
            let mut messages = retire(court, subject);
            let mut sentence = Sentence::default();
            for (rule, since) in mended {
                court.judge_again(subject, *rule, *since, &mut sentence);
            }
            messages.extend(settle(court, subject, &sentence));
            collect(
                court,
                (seq, key.kind.is_collective()),
                &key,
                messages,
                sentence,
                out,
            );
            self.schedule(court, &key);
        }
    }
}

/// Ends what rules said that are no longer in force.
fn retire(court: &Court<'_>, subject: &mut Subject) -> Vec<Message> {
    let Some(mut core) = subject.core.take() else {
        return Vec::new();
    };
    let in_force = |id: &str| {
        id == COMPOSITE
            || court.set.rules().iter().any(|r| {
                let m = r.manifest();
                m.id.as_ref() == id && matches!(m.status, RuleStatus::Active | RuleStatus::Shadow)
            })
    };
    core.findings.retain(|f| in_force(&f.rule));
    core.checks.retain(|c| in_force(&c.rule));
    let mut steps = Vec::new();
    for at in 0..core.episodes.len() {
        end(&mut core, at, &in_force, &mut steps);
    }
    core.episodes
        .retain(|e| in_force(&e.rule) || e.status == Status::Ended);
    subject.core = (!core.is_empty()).then_some(core);
    let score = super::settle::score(court, subject);
    write(court, subject, score, &steps)
}

fn end(core: &mut Core, at: usize, in_force: &dyn Fn(&str) -> bool, steps: &mut Vec<Step>) {
    let Some(episode) = core.episodes.get(at) else {
        return;
    };
    if in_force(&episode.rule) || episode.status != Status::Open {
        return;
    }
    let rule = Arc::clone(&episode.rule);
    let number = core.next_number(&rule);
    let Some(episode) = core.episodes.get_mut(at) else {
        return;
    };
    episode.status = Status::Ended;
    steps.push(Step {
        transition: Transition::Ended,
        number,
        episode: episode.clone(),
        previous_level: None,
        lead: None,
        findings: episode.findings_told,
        why: "规则已停用",
    });
}

/// The manifest that a step is written with when its rule is no longer in the set.
pub(super) fn stand_in(id: &str) -> Manifest {
    let mut manifest = Manifest::composite();
    if id != COMPOSITE {
        manifest.id = Arc::from(id);
        manifest.name = Box::from(id);
        manifest.basis.clear();
    }
    manifest
}

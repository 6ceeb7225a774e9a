//! Takes up the rules as they lie there now: read, verify, check as of today, run their tests, hand them to the loop.
//!
//! One at a time, on the thread of whoever asks. The loop goes on meanwhile and takes the finished set between two batches;
//! what fails on the way changes nothing, is counted and logged.
//!
//! Rules whose texts are those of the set before are taken from it, and their tests are not run again.
//!
//! bounds   [`ANSWER_MS_MAX`] until the loop has taken the set

use super::super::bundle::errors;
use super::super::clock::Clock;
use super::super::logging::chain;
use super::super::run::{Loaded, Question};
use super::place::RulesPlace;
use crate::engine::rule::{Rule, RuleSet, run_tests_of};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long the loop may take to take up a set, ms.
const ANSWER_MS_MAX: u64 = 60_000;

/// See the module.
#[derive(Debug)]
pub struct Reloader {
    place: RulesPlace,
    questions: SyncSender<Question>,
    clock: Clock,
    /// The set that was taken up last. Locked by the one who reloads.
    last: Mutex<Last>,
}

/// What the next set is held against.
#[derive(Debug)]
enum Last {
    /// The rules of the start, whose tests nobody has run here.
    Started(Arc<RuleSet>),
    /// Rules that passed their tests.
    Tested(Arc<RuleSet>),
}

impl Last {
    fn set(&self) -> &RuleSet {
        match self {
            Self::Started(set) | Self::Tested(set) => set,
        }
    }

    fn has_tested(&self, rule: &Arc<Rule>) -> bool {
        match self {
            Self::Started(_) => false,
            Self::Tested(set) => {
                let known = set.rule(&rule.manifest().id);
                known.is_some_and(|known| Arc::ptr_eq(known, rule))
            }
        }
    }
}

/// Why rules were not taken up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReloadError {
    /// Something is wrong with them; those in force stay.
    #[error("{0}")]
    Refused(String),
    /// The loop is not there or takes too long.
    #[error("{0}")]
    Unavailable(String),
}

impl Reloader {
    /// For the rules of this place and the loop behind these questions, which starts with `set`.
    pub fn new(
        (place, set): (RulesPlace, Arc<RuleSet>),
        questions: SyncSender<Question>,
        clock: Clock,
    ) -> Self {
        Self {
            place,
            questions,
            clock,
            last: Mutex::new(Last::Started(set)),
        }
    }

    /// Where the rules lie.
    pub fn place(&self) -> &RulesPlace {
        &self.place
    }

    /// Takes them up; gives the hash of the set that is in force then.
    pub fn reload(&self) -> Result<String, ReloadError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = self.load(&last);
        let set = loaded.as_ref().ok().map(|(set, _)| Arc::clone(set));
        let refused = loaded.as_ref().err().cloned();
        let (sender, receiver) = sync_channel(1);
        let reply = Box::new(move |hash| {
            // Whoever asked may have given up.
            let _ = sender.send(hash);
        });
        let question = Question::Adopt(Box::new(loaded), reply);
        if self.questions.send(question).is_err() {
            return Err(ReloadError::Unavailable("the loop has ended".to_owned()));
        }
        let taken = receiver.recv_timeout(Duration::from_millis(ANSWER_MS_MAX));
        if let Some(set) = set {
            // The set before goes here, not in the loop.
            *last = Last::Tested(set);
        }
        match (refused, taken) {
            (Some(why), _) => Err(ReloadError::Refused(why)),
            (None, Ok(Some(hash))) => Ok(hash),
            (None, Ok(None) | Err(_)) => Err(ReloadError::Unavailable(
                "the loop did not take the rules in time; see /api/v1/rules for what is in force"
                    .to_owned(),
            )),
        }
    }

    fn load(&self, last: &Last) -> Result<Loaded, String> {
        let sources = self.place.sources().map_err(|error| chain(&error))?;
        let checked = RuleSet::check_after(last.set(), &sources, self.clock.now());
        let set = checked.map_err(|found| {
            let (count, first) = errors(&found);
            format!("{count} error(s), the first is:\n{first}")
        })?;
        let untested = set.rules().iter().filter(|rule| !last.has_tested(rule));
        if let Some(failed) = run_tests_of(untested).iter().find(|test| !test.is_passed()) {
            return Err(format!(
                "{} {}: the test fails; `fenghuo rule test` says why",
                failed.file, failed.name
            ));
        }
        Ok((Arc::new(set), sources))
    }
}

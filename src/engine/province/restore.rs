//! Taking up subjects that were read back from the store.
//!
//! What belongs to one subject alone, its records with their ranks, is worked out beforehand and elsewhere ([`Restored::of`]), by
//! as many processors as there are; here shards take their subjects together.
//!
//! cost     taking every fact apart once, for its rank; a look-up a fact

use super::Province;
use crate::engine::event::{Rank, RecordKey, SubjectKey};
use crate::engine::input::{Alone, Crew};
use crate::engine::judge::Court;
use crate::engine::subject::state::Subject;
use crate::engine::time::EventTime;
use crate::engine::work::Outputs;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// A subject, with what the index of records has to know of it.
#[derive(Debug)]
pub struct Restored {
    subject: Subject,
    records: Vec<(RecordKey, Rank, Box<[SubjectKey]>)>,
}

impl Restored {
    /// Works out the records of a subject.
    pub fn of(subject: Subject) -> Self {
        let mut records = Vec::new();
        if let Some(facts) = subject.facts() {
            for (stream, list) in facts.streams() {
                for fact in list {
                    if let Some(event) = fact.event(stream) {
                        let rank = event.rank();
                        records.push((fact.key, rank, event.subjects.into()));
                    }
                }
            }
            for dead in facts.tombstones() {
                let subjects = [(*subject.key).clone()];
                records.push((dead.key, dead.rank, subjects.into()));
            }
        }
        Self { subject, records }
    }
}

impl Province {
    /// Takes up a subject that was read back from the store. [`Province::restore_globals`] comes first.
    pub fn restore_subject(&mut self, subject: Subject) {
        self.restore([Restored::of(subject)], &Alone);
    }

    /// Takes up subjects that were read back from the store, the newest image of each first: one that is known is left out.
    pub fn restore(&mut self, subjects: impl IntoIterator<Item = Restored>, crew: &dyn Crew) {
        let mut lists: Vec<Vec<Subject>> = self.shards.iter().map(|_| Vec::new()).collect();
        let mut taken: BTreeSet<Arc<SubjectKey>> = BTreeSet::new();
        for Restored { subject, records } in subjects {
            let place = self.place(&subject.key);
            let shard = self.shards.get(place);
            let is_known = shard.is_some_and(|shard| shard.has(&subject.key));
            if is_known || !taken.insert(Arc::clone(&subject.key)) {
                continue;
            }
            for (key, rank, subjects) in records {
                self.index
                    .restore((key, rank), &subjects, Some(&subject.key));
            }
            if let Some(list) = lists.get_mut(place) {
                list.push(subject);
            }
        }
        let court = Court {
            set: &self.set,
            suspended: &self.suspended,
            clock: self.globals.clock.unwrap_or(EventTime(0)),
            check_every: 0,
            stopwatch: None,
            is_filling: false,
            asked: self.asked,
        };
        let lists: Vec<Mutex<Vec<Subject>>> = lists.into_iter().map(Mutex::new).collect();
        crew.each(&mut self.shards, &|at, shard| {
            let list = lists.get(at).map(Mutex::lock);
            let list = list.map(|list| list.unwrap_or_else(PoisonError::into_inner));
            for subject in list
                .into_iter()
                .flat_map(|mut list| core::mem::take(&mut *list))
            {
                shard.restore(&court, subject);
            }
            Outputs::default()
        });
    }
}

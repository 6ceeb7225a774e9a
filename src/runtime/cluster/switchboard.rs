//! Questions about subjects go to the run that owns their partition, if this process has it; else it is said who does.
//!
//! bounds   one channel a partition that is owned; [`QUESTIONS_MAX`] questions wait in each
//! errors   none: a question that nobody takes is dropped, which whoever asked sees at once

use crate::engine::event::SubjectKey;
use crate::runtime::run::Question;
use crate::runtime::service::{Elsewhere, QUESTIONS_MAX};
use dashmap::DashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

/// See the module.
#[derive(Debug)]
pub struct Switchboard {
    partitions: u32,
    runs: DashMap<u32, SyncSender<Question>>,
    /// Who has what, as the broker last said.
    owners: Mutex<BTreeMap<String, BTreeSet<u32>>>,
}

impl Switchboard {
    /// Nobody answers yet.
    pub fn new(partitions: u32) -> Self {
        Self {
            partitions,
            runs: DashMap::new(),
            owners: Mutex::default(),
        }
    }

    /// The questions for the run of a partition, from now on.
    pub fn connect(&self, partition: u32) -> Receiver<Question> {
        let (sender, receiver) = sync_channel(QUESTIONS_MAX);
        self.runs.insert(partition, sender);
        receiver
    }

    /// The run of a partition is over.
    pub fn disconnect(&self, partition: u32) {
        self.runs.remove(&partition);
    }

    /// Hands a question on.
    pub fn put(&self, question: Question) {
        if let Question::Subject(key, _) = &question {
            let run = self.runs.get(&key.shard(self.partitions));
            if let Some(run) = run.map(|run| run.clone()) {
                // One that is too many, or comes too late, is dropped, and whoever asked learns that there is no answer.
                let _ = run.try_send(question);
            }
        }
    }

    /// Takes note of who has what.
    pub fn note(&self, owners: BTreeMap<String, BTreeSet<u32>>) {
        *self.owners.lock().unwrap_or_else(PoisonError::into_inner) = owners;
    }
}

impl Elsewhere for Switchboard {
    fn elsewhere(&self, key: &SubjectKey) -> Option<String> {
        let partition = key.shard(self.partitions);
        if self.runs.contains_key(&partition) {
            return None;
        }
        let owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        let owner = owners.iter().find(|(_, owned)| owned.contains(&partition));
        Some(match owner {
            Some((name, _)) => format!(
                "\"{key}\" is in partition {partition}, which the process with cluster.instance = \"{name}\" owns; ask that one"
            ),
            None => format!(
                "\"{key}\" is in partition {partition}, which another process owns or is about to; ask the others, or again in a moment"
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::SubjectKind;

    #[test]
    fn who_does_not_own_a_subject_says_who_does() {
        let board = Switchboard::new(8);
        let key = SubjectKey::new(SubjectKind::Enterprise, "91320100MA1TEST00X");
        let partition = key.shard(8);
        let said = board.elsewhere(&key).unwrap();
        assert!(said.contains("another process"), "{said}");
        board.note([("b".to_owned(), BTreeSet::from([partition]))].into());
        let said = board.elsewhere(&key).unwrap();
        assert!(said.contains("cluster.instance = \"b\""), "{said}");
        let questions = board.connect(partition);
        assert_eq!(board.elsewhere(&key), None);
        board.put(Question::Subject(key.clone(), Box::new(|_, _| ())));
        assert!(matches!(questions.try_recv(), Ok(Question::Subject(asked, _)) if asked == key));
        board.disconnect(partition);
        assert!(board.elsewhere(&key).is_some());
    }
}

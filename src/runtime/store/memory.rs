//! A store in memory: for tests, back-tests and trials. Nothing survives the process.

use super::{Batch, IMPORTING_KEY, Ledger, RESERVED, Store, StoreError, VerifyReport, Visit};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::PathBuf;

/// Entries in a sorted map. A copy of it is a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryStore {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    ledger: Ledger,
}

impl Store for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.entries.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        for (key, value) in self.entries.range::<[u8], _>(from) {
            if !key.starts_with(prefix) {
                break;
            }
            if key.first() != Some(&RESERVED) {
                each(key, value)?;
            }
        }
        Ok(())
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.ledger = self.ledger.after(batch, |key| self.get(key))?;
        for (key, value) in batch.changes() {
            match value {
                Some(value) => self.entries.insert(key.to_vec(), value.to_vec()),
                None => self.entries.remove(key),
            };
        }
        Ok(())
    }

    fn ledger(&self) -> Ledger {
        self.ledger
    }

    fn verify(&self) -> Result<VerifyReport, StoreError> {
        if self.entries.contains_key(IMPORTING_KEY) {
            let directory = PathBuf::from("memory");
            return Err(StoreError::HalfImported { directory });
        }
        let mut found = Ledger::default();
        self.scan(b"", &mut |key, value| {
            found.add(key, value);
            Ok(())
        })?;
        if found == self.ledger {
            Ok(VerifyReport { ledger: found })
        } else {
            let kept = self.ledger;
            Err(StoreError::Unbalanced { kept, found })
        }
    }

    fn size_bytes(&self) -> u64 {
        self.ledger.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_does_what_a_map_does(
            batches in prop::collection::vec(
                prop::collection::vec((0_u8..20, prop::option::of(0_u8..9)), 0..8),
                0..12,
            )
        ) {
            let mut store = MemoryStore::default();
            let mut naive = BTreeMap::new();
            for changes in &batches {
                let mut batch = Batch::new();
                for (key, value) in changes {
                    let key = vec![b'k', *key];
                    if let Some(value) = value {
                        batch.put(key.clone(), vec![*value]);
                        naive.insert(key, vec![*value]);
                    } else {
                        batch.delete(key.clone());
                        naive.remove(&key);
                    }
                }
                store.commit(&batch).unwrap();
            }
            let mut seen = BTreeMap::new();
            store.scan(b"k", &mut |key, value| {
                seen.insert(key.to_vec(), value.to_vec());
                Ok(())
            }).unwrap();
            prop_assert_eq!(seen, naive);
            store.verify().unwrap();
        }
    }
}

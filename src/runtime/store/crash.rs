//! The twin that crashes on command: what the disk holds beside what the process sees.
//!
//! A commit of the real store takes three steps: apply (memory), flush (the kernel), sync (the disk). This one counts
//! them, and every read, as operations; the one that was asked for fails, and every later call returns the same fault.
//! [`CrashStore::restart`] then gives what a new process would find. A batch whose sync has not returned is *in doubt*:
//! it may be there or not, and a test has to pass both ways.
//!
//! cost     restart copies the durable entries

use super::{Batch, Ledger, MemoryStore, Store, StoreError, VerifyReport, Visit};
use std::cell::Cell;

/// What has become of the batch whose commit did not return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InDoubt {
    /// It reached the disk although nobody was told.
    Kept,
    /// It is gone.
    Lost,
}

/// A store that fails at a chosen operation.
#[derive(Debug, Default)]
pub struct CrashStore {
    /// What a crash leaves.
    durable: MemoryStore,
    /// What this process reads.
    live: MemoryStore,
    /// Handed to the kernel, not known to be durable.
    in_doubt: Option<Batch>,
    operations: Cell<u64>,
    fail_at: Option<u64>,
    fault: Cell<Option<u64>>,
}

impl CrashStore {
    /// An empty store that never fails.
    pub fn new() -> Self {
        Self::default()
    }

    /// A store that holds what `durable` holds and never fails.
    pub fn with(durable: MemoryStore) -> Self {
        Self {
            live: durable.clone(),
            durable,
            ..Self::default()
        }
    }

    /// The same store, failing at this operation, counted from 0 since it was made.
    #[must_use]
    pub fn fail_at(mut self, operation: u64) -> Self {
        self.fail_at = Some(operation);
        self
    }

    /// Operations so far: reads one each, commits three. A run without failure says how many there are to fail.
    pub fn operations(&self) -> u64 {
        self.operations.get()
    }

    /// Whether it has failed.
    pub fn has_failed(&self) -> bool {
        self.fault.get().is_some()
    }

    /// What a new process finds, in a store that does not fail.
    #[must_use]
    pub fn restart(&self, in_doubt: InDoubt) -> Self {
        let mut durable = self.durable.clone();
        if let (InDoubt::Kept, Some(batch)) = (in_doubt, &self.in_doubt) {
            // Memory does not fail.
            let _: Result<(), StoreError> = durable.commit(batch);
        }
        Self::with(durable)
    }

    fn operate(&self) -> Result<(), StoreError> {
        if let Some(operation) = self.fault.get() {
            return Err(StoreError::Injected { operation });
        }
        let operation = self.operations.get();
        self.operations.set(operation + 1);
        if self.fail_at == Some(operation) {
            self.fault.set(Some(operation));
            return Err(StoreError::Injected { operation });
        }
        Ok(())
    }
}

impl Store for CrashStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.operate()?;
        self.live.get(key)
    }

    fn scan(&self, prefix: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError> {
        self.operate()?;
        self.live.scan(prefix, each)
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.operate()?;
        self.live.commit(batch)?;
        self.in_doubt = Some(batch.clone());
        self.operate()?;
        self.operate()?;
        self.in_doubt = None;
        self.durable.commit(batch)
    }

    fn ledger(&self) -> Ledger {
        self.live.ledger()
    }

    fn verify(&self) -> Result<VerifyReport, StoreError> {
        self.operate()?;
        self.live.verify()
    }

    fn size_bytes(&self) -> u64 {
        self.durable.size_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commits numbered batches of two keys until it fails; returns how many were acknowledged.
    fn run(store: &mut CrashStore) -> u8 {
        for number in 1..=5 {
            let mut batch = Batch::new();
            batch.put(*b"a", [number]);
            batch.put(*b"b", [number]);
            if store.commit(&batch).is_err() {
                return number - 1;
            }
        }
        5
    }

    #[test]
    fn at_every_operation_the_acknowledged_survive_whole() {
        let mut whole = CrashStore::new();
        assert_eq!(run(&mut whole), 5);
        let operations = whole.operations();
        assert_eq!(operations, 15);
        let mut kept_more = 0;
        for operation in 0..operations {
            let mut store = CrashStore::new().fail_at(operation);
            let acknowledged = run(&mut store);
            assert!(store.has_failed());
            assert!(store.get(b"a").is_err(), "a fault is final");
            for in_doubt in [InDoubt::Lost, InDoubt::Kept] {
                let after = store.restart(in_doubt);
                let found = after.get(b"a").unwrap().map_or(0, |value| value[0]);
                assert_eq!(after.get(b"b").unwrap().map_or(0, |value| value[0]), found);
                after.verify().unwrap();
                assert!(found == acknowledged || found == acknowledged + 1);
                assert!(in_doubt == InDoubt::Kept || found == acknowledged);
                kept_more += u8::from(found > acknowledged);
            }
        }
        assert_eq!(kept_more, 10, "both sides of the doubt are tried");
    }
}

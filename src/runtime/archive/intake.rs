//! Records of configured sources into rows for the archive or a back-test: decoded and told apart from echoes, not judged.

use super::columns::Row;
use crate::engine::connector::Connector;
use crate::engine::record::{Admission, RecordIndex};
use crate::runtime::journal::Account;
use crate::runtime::source::{Merge, Pull, SourceFault};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Records taken at once.
const BATCH: usize = 16_384;

/// Why sources cannot be taken in.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError<E: std::error::Error + 'static> {
    /// A source.
    #[error("cannot read")]
    Source(#[from] SourceFault),
    /// Whoever takes the rows.
    #[error(transparent)]
    Put(E),
}

/// Reads the lanes to their end and gives every event that is no echo and no older version, numbered from `next`.
pub fn take_in<E: std::error::Error + 'static>(
    mut merge: Merge,
    connectors: &[Arc<Connector>],
    mut next: u64,
    put: &mut dyn FnMut(Vec<Row>) -> Result<(), E>,
) -> Result<BTreeMap<String, Account>, IntakeError<E>> {
    let mut accounts: BTreeMap<String, Account> = BTreeMap::new();
    let mut index = RecordIndex::default();
    loop {
        let mut taken = Vec::with_capacity(BATCH);
        let pull = merge.take(BATCH, &mut taken)?;
        if taken.is_empty() {
            if matches!(pull, Pull::Done) {
                return Ok(accounts);
            }
            continue;
        }
        let mut rows = Vec::with_capacity(taken.len());
        for (lane, record) in taken {
            let id = connectors.get(merge.connector(lane)).map_or("", |c| c.id());
            let account = accounts.entry(id.to_owned()).or_default();
            let Some(result) = record.result else {
                continue;
            };
            account.read += 1;
            match result {
                Err(reject) => {
                    *account
                        .refused
                        .entry(reject.code.name().to_owned())
                        .or_default() += 1;
                }
                Ok(prepared) => match index.admit(&prepared) {
                    Admission::Duplicate => account.duplicates += 1,
                    Admission::Stale => account.stale += 1,
                    Admission::New { .. } | Admission::Newer { .. } => {
                        account.applied += 1;
                        rows.push((next, prepared.event));
                        next += 1;
                    }
                },
            }
        }
        put(rows).map_err(IntakeError::Put)?;
    }
}

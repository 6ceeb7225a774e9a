//! Who is kept ready, and where the others are: see `cold`. Nothing of this changes what is kept or leaves.

use super::Province;
use crate::engine::cold::{Attic, Resting};
use crate::engine::shard::Shard;

impl Province {
    /// How many individuals are kept ready in all shards together; the others are packed while nothing happens to them. Changes
    /// nothing that is kept or leaves.
    pub fn set_warm_max(&mut self, max: usize) {
        let each = max.div_ceil(self.shards.len().max(1));
        for shard in &mut self.shards {
            shard.set_warm_max(each);
        }
    }

    /// Lends every shard a place where subjects at rest are put away; before there are any.
    pub fn set_attics(&mut self, mut lend: impl FnMut() -> Box<dyn Attic>) {
        for shard in &mut self.shards {
            shard.set_attic(lend());
        }
    }

    /// How many subjects are at rest, and where.
    pub fn resting(&self) -> Resting {
        let each = self.shards.iter().map(Shard::resting);
        each.fold(Resting::default(), Resting::and)
    }
}

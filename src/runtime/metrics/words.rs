//! The closed lists behind the labels `outcome`, `transition` and `status`, each with its word.

/// What became of an event that its connector accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It changed what is known.
    Applied,
    /// The same version was there.
    Duplicate,
    /// A later version was there.
    Stale,
    /// It happened before what is kept.
    TooOld,
}

impl Outcome {
    pub(super) const ALL: [(Self, &'static str); 4] = [
        (Self::Applied, "applied"),
        (Self::Duplicate, "duplicate"),
        (Self::Stale, "stale"),
        (Self::TooOld, "too_old"),
    ];
}

/// What happened to a warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// It was raised.
    Raised,
    /// Its level or evidence changed.
    Revised,
    /// What it rested on is gone.
    Withdrawn,
    /// Its time was over, or officers closed it.
    Ended,
    /// It was too old when first seen: recorded, not sent.
    Muted,
}

impl Transition {
    pub(super) fn word(self) -> &'static str {
        let found = Self::ALL.iter().find(|(one, _)| *one == self);
        found.map_or("", |(_, word)| word)
    }

    pub(super) const ALL: [(Self, &'static str); 5] = [
        (Self::Raised, "raised"),
        (Self::Revised, "revised"),
        (Self::Withdrawn, "withdrawn"),
        (Self::Ended, "ended"),
        (Self::Muted, "muted"),
    ];
}

/// Where a sanction proposal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SanctionStatus {
    /// It waits for an officer.
    Proposed,
    /// An officer confirmed it.
    Confirmed,
    /// It was lifted or withdrawn.
    Lifted,
}

impl SanctionStatus {
    pub(super) const ALL: [(Self, &'static str); 3] = [
        (Self::Proposed, "proposed"),
        (Self::Confirmed, "confirmed"),
        (Self::Lifted, "lifted"),
    ];
}

//! A connector ready for work: every name looked up, every table sorted, every column at its slot.

use super::super::event::{SubjectKind, Validity, Value};
use super::super::schema::Field;
use super::cell::{ColumnTable, Slot};
use super::coerce::Coercion;
use super::personal::Personal;

/// All that decoding needs of a CSV or JSON connector.
#[derive(Debug)]
pub(super) struct Plan {
    /// Columns by slot.
    pub(super) columns: Box<[Column]>,
    /// Columns by name; of the row, when the row lies inside of the record.
    pub(super) table: ColumnTable,
    /// Columns of the outermost object, when the row lies inside of the record.
    pub(super) outer: Option<ColumnTable>,
    /// How many objects may be the row.
    pub(super) row_count: u8,
    /// Whether a column that is in no table is refused.
    pub(super) rejects_unknown: bool,
    /// Words that mean nothing in the whole feed.
    pub(super) absent: Box<[Box<str>]>,
    pub(super) record: RecordPlan,
    pub(super) validity: Box<[ValidityPlan]>,
    pub(super) subjects: SubjectsPlan,
    /// In the order of the schema.
    pub(super) fields: Box<[FieldPlan]>,
}

/// A column that is read.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: Box<str>,
    pub(super) personal: Option<Personal>,
    /// Whether a CSV header without it is refused.
    pub(super) is_needed: bool,
    /// Whether it lies in the outermost object, beside the row.
    pub(super) is_outer: bool,
}

/// Where a value comes from and how it is read.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) slots: Box<[Slot]>,
    pub(super) coercion: Coercion,
    /// Words that mean nothing.
    pub(super) absent: Box<[Box<str>]>,
    pub(super) missing: Missing,
}

/// What it means when nothing is there.
#[derive(Debug)]
pub(super) enum Missing {
    Absent,
    Reject,
    Default(Value),
}

#[derive(Debug)]
pub(super) struct FieldPlan {
    pub(super) field: Field,
    pub(super) source: FieldSource,
}

#[derive(Debug)]
pub(super) enum FieldSource {
    Constant(Value),
    Read(Read),
}

#[derive(Debug)]
pub(super) struct RecordPlan {
    pub(super) source: Box<str>,
    pub(super) source_slot: Option<Slot>,
    pub(super) id: Box<[Slot]>,
    pub(super) version: Option<Read>,
    pub(super) op: Option<OpPlan>,
    /// The mark of test rows and the values of rows that are none.
    pub(super) test: Option<(Slot, Box<[Box<str>]>)>,
    pub(super) occurred_at: Read,
    pub(super) arrived_at: Option<Read>,
}

#[derive(Debug)]
pub(super) struct OpPlan {
    pub(super) slot: Slot,
    pub(super) insert: Box<[Box<str>]>,
    pub(super) update: Box<[Box<str>]>,
    pub(super) delete: Box<[Box<str>]>,
}

#[derive(Debug)]
pub(super) struct ValidityPlan {
    pub(super) slot: Slot,
    pub(super) when: When,
    pub(super) becomes: Validity,
}

/// When something holds of a cell.
#[derive(Debug)]
pub(super) enum When {
    Filled,
    Equals(Box<[Box<str>]>),
    Contains(Box<[Box<str>]>),
}

#[derive(Debug)]
pub(super) struct SubjectsPlan {
    pub(super) person_when: Option<(Slot, Box<[Box<str>]>)>,
    pub(super) home: Box<[IdentityPlan]>,
    pub(super) also: Box<[IdentityPlan]>,
}

#[derive(Debug)]
pub(super) struct IdentityPlan {
    pub(super) kind: SubjectKind,
    pub(super) slot: Slot,
    pub(super) identifier: Identifier,
    pub(super) prefix: Box<str>,
}

/// The closed list of identifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identifier {
    /// Unified social credit code, 18 characters.
    Uscc,
    /// Registration number, 15 digits.
    RegNo,
    /// Organisation code, 9 characters.
    OrgCode,
    /// Citizen number: the key is its keyed hash.
    CitizenId,
    /// Digits only.
    Digits,
    /// A whole number, padded with zeros to so many digits.
    WholeNumber(usize),
    /// A name or code as it stands.
    Text,
}

impl Identifier {
    /// The names of all identifiers, as connectors write them.
    pub(super) const NAMES: [&str; 7] = [
        "uscc",
        "reg_no",
        "org_code",
        "citizen_id",
        "digits",
        "whole_number",
        "text",
    ];
}

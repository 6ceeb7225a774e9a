//! Whom a record concerns: the individual that keeps the fact, others, and the collectives that count it.
//!
//! The ways to find the home are tried in the connector's order; a code that is malformed is no way. When none succeeds
//! the record is its own subject, `unresolved:<source>/<record id>`, and waits; nothing is guessed from names.

use super::super::event::{SubjectKey, SubjectKind};
use super::super::identity::{self, Check, Malformed};
use super::super::schema::field;
use super::super::{event::Fields, region};
use super::cell::{Cell, Row};
use super::mapping::filled;
use super::personal::PersonalKey;
use super::plan::{Identifier, IdentityPlan, Plan};
use super::text::{clean, prefix};

/// The longest key of a subject, in bytes.
const KEY_BYTES_MAX: usize = 200;

/// The individuals that a record concerns.
#[derive(Debug)]
pub(super) struct Individuals {
    /// The home first; empty when no way succeeded.
    pub(super) keys: Vec<SubjectKey>,
    /// Whether the home's credit code has the right check digit; `None` when the home has no such code.
    pub(super) uscc_valid: Option<bool>,
    /// Whether the subject is or may be a natural person: its name is masked then, its address not kept.
    pub(super) is_person: bool,
}

/// What one way gave.
enum Found {
    Key(SubjectKey, Option<bool>),
    Nothing { is_person: bool },
}

/// Finds the individuals of a row.
pub(super) fn individuals(plan: &Plan, row: &Row<'_>, key: &PersonalKey) -> Individuals {
    let person = plan.subjects.person_when.as_ref().map(|(slot, values)| {
        let text = filled(row.get(*slot), &[]).and_then(as_text);
        text.is_some_and(|text| values.iter().any(|value| **value == *text))
    });
    let mut individuals = Individuals {
        keys: Vec::with_capacity(6),
        uscc_valid: None,
        is_person: person == Some(true),
    };
    for identity in &plan.subjects.home {
        if person.is_some_and(|person| person != (identity.kind == SubjectKind::Person)) {
            continue;
        }
        match find(identity, row, key) {
            Found::Key(home, uscc_valid) => {
                individuals.is_person |= home.kind == SubjectKind::Person;
                individuals.keys.push(home);
                individuals.uscc_valid = uscc_valid;
                break;
            }
            Found::Nothing { is_person } => individuals.is_person |= is_person,
        }
    }
    for identity in &plan.subjects.also {
        if let Found::Key(found, _) = find(identity, row, key)
            && !individuals.keys.contains(&found)
        {
            individuals.keys.push(found);
        }
    }
    individuals
}

/// Adds the region (district and city), the industry and the department that the fields name.
pub(super) fn add_collectives(fields: &Fields, subjects: &mut Vec<SubjectKey>) {
    if let Some(code) = fields.text(field::region) {
        let city = region::city_of(code);
        if city.is_some_and(|city| city != code) {
            subjects.push(SubjectKey::new(SubjectKind::Region, code));
        }
        if let Some(city) = city {
            subjects.push(SubjectKey::new(SubjectKind::Region, city));
        }
    }
    if let Some(section) = fields.text(field::industry).and_then(|code| code.get(..1)) {
        subjects.push(SubjectKey::new(SubjectKind::Industry, section));
    }
    let department = fields
        .text(field::department_code)
        .or_else(|| fields.text(field::department));
    if let Some(name) = department {
        let name = prefix(name, KEY_BYTES_MAX);
        subjects.push(SubjectKey::new(SubjectKind::Department, name));
    }
}

fn as_text<'c>(cell: &'c Cell<'_>) -> Option<&'c str> {
    match cell {
        Cell::Text(text) => Some(text.trim()),
        Cell::Absent | Cell::List(_) | Cell::Nested => None,
    }
}

fn find(identity: &IdentityPlan, row: &Row<'_>, key: &PersonalKey) -> Found {
    let nothing = Found::Nothing { is_person: false };
    let Some(text) = filled(row.get(identity.slot), &[]).and_then(as_text) else {
        return nothing;
    };
    let found = |key: &str, uscc_valid| {
        if key.is_empty() || KEY_BYTES_MAX < key.len() + identity.prefix.len() {
            return Found::Nothing { is_person: false };
        }
        let key = if identity.prefix.is_empty() {
            SubjectKey::new(identity.kind, key)
        } else {
            SubjectKey::new(identity.kind, &format!("{}{key}", identity.prefix))
        };
        Found::Key(key, uscc_valid)
    };
    match identity.identifier {
        Identifier::Uscc => {
            let code = identity::normalise(text);
            match identity::check_uscc(&code) {
                Check::Valid => found(&code, Some(true)),
                Check::BadCheckDigit => found(&code, Some(false)),
                Check::Malformed(why) => Found::Nothing {
                    is_person: why == Malformed::CitizenId,
                },
            }
        }
        Identifier::RegNo => checked(&identity::normalise(text), identity::check_reg_no, found),
        Identifier::OrgCode => checked(&identity::normalise(text), identity::check_org_code, found),
        Identifier::CitizenId => match key.citizen(text) {
            Some(hash) => found(&hash, None),
            None => Found::Nothing { is_person: true },
        },
        Identifier::Digits => {
            let code = identity::normalise(text);
            if code.bytes().all(|b| b.is_ascii_digit()) {
                return found(&code, None);
            }
            nothing
        }
        Identifier::WholeNumber(digits) => {
            let whole = text.split_once('.').map_or(text, |(whole, zeros)| {
                if zeros.bytes().all(|b| b == b'0') {
                    whole
                } else {
                    text
                }
            });
            match whole.parse::<u64>() {
                Ok(number) => found(&format!("{number:0digits$}"), None),
                Err(_) => nothing,
            }
        }
        Identifier::Text => clean(text).map_or(nothing, |text| found(&text, None)),
    }
}

fn checked(
    code: &str,
    check: impl Fn(&str) -> Check,
    found: impl Fn(&str, Option<bool>) -> Found,
) -> Found {
    match check(code) {
        Check::Valid | Check::BadCheckDigit => found(code, None),
        Check::Malformed(why) => Found::Nothing {
            is_person: why == Malformed::CitizenId,
        },
    }
}

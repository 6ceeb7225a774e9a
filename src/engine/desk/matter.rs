//! The catalogue of supervision (监管事项目录): its items as they hold now.
//!
//! The desk keeps for each item its name, its domain and the department that is responsible, so that a warning about a fact that
//! names an item and no domain still finds the route of its domain. An item that was taken out of the catalogue is kept as such.
//!
//! source   `domain.md` §1.2: ten elements, 14 digits, adjusted all the time; the newest version holds
//! cost     one look-up a warning that names an item

use super::task::{Origin, Step, Word};
use super::{Desk, Item, Place};
use crate::engine::record::Prepared;
use crate::engine::schema::field;
use serde::{Deserialize, Serialize};

/// How the key of an item begins.
pub const PREFIX: &str = "item:";

/// An item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matter {
    /// `item:` and the 14 digits of its code.
    pub id: String,
    /// The main item.
    pub main_item: String,
    /// The sub-item.
    pub sub_item: String,
    /// The domain.
    pub domain: String,
    /// The department that is responsible.
    pub department: String,
    /// Whether it is in the catalogue.
    pub is_in_force: bool,
    /// The newest version alone.
    pub steps: Vec<Step>,
}

impl Desk {
    /// A version of an item.
    pub(super) fn matter(&mut self, place: Place<'_>, record: &Prepared) {
        let event = &record.event;
        let text = |of| event.fields.text(of).unwrap_or_default().to_owned();
        let code = text(field::item_code);
        if code.is_empty() {
            return;
        }
        let id = format!("{PREFIX}{code}");
        let is_live = event.is_live();
        let step = Step {
            number: 1,
            word: if is_live {
                Word::Revised
            } else {
                Word::Withdrawn
            },
            at: place.clock,
            actor: text(field::department),
            why: String::new(),
            origin: Some(Origin::of(record)),
        };
        let matter = Matter {
            id: id.clone(),
            main_item: text(field::main_item),
            sub_item: text(field::sub_item),
            domain: text(field::domain),
            department: text(field::department),
            is_in_force: is_live,
            steps: vec![step],
        };
        self.dirty.insert(id.clone());
        self.items.insert(id, Item::Matter(Box::new(matter)));
    }

    /// The domain of an item that is in the catalogue, or nothing.
    pub(super) fn domain_of(&self, code: &str) -> String {
        match self.items.get(&format!("{PREFIX}{code}")) {
            Some(Item::Matter(matter)) if matter.is_in_force => matter.domain.clone(),
            _ => String::new(),
        }
    }
}

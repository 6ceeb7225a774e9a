//! The pure core. Modules stand in the order in which a record travels.

pub mod event;
pub mod hash;
pub mod reject;
pub mod schema;
pub mod subject;
pub mod time;

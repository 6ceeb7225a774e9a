//! What is known of one subject.

mod body;
pub mod facts;
pub mod groups;
pub mod peek;
pub mod series;
pub mod state;
pub mod view;
mod words;

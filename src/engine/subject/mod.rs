//! What is known of one subject.

pub mod facts;
pub mod series;
pub mod view;

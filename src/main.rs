//! The command `fenghuo`.

fn main() {}

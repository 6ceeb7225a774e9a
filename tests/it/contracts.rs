//! The contracts of what leaves stand in `fixtures/contracts` as the code makes them, and never take anything away from readers.
//! `UPDATE_EXPECT=1 cargo test` writes them anew, unless a reader would miss something.

use fenghuo::runtime::contracts::{broken, documents};
use std::path::PathBuf;

#[test]
fn contracts_are_those_of_the_code_and_take_nothing_away() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/contracts");
    for (name, text) in documents() {
        let path = folder.join(&name);
        if let (true, Ok(old)) = (name.contains(".schema."), std::fs::read_to_string(&path)) {
            let missed = broken(
                &serde_json::from_str(&old).unwrap(),
                &serde_json::from_str(&text).unwrap(),
            );
            assert!(
                missed.is_empty(),
                "{name}: readers of v1 would miss: {missed:#?}; a new meaning needs a new topic, v2"
            );
        }
        expect_test::expect_file![path].assert_eq(&text);
    }
}

//! Tables in documents that are made from the code. `UPDATE_EXPECT=1 cargo test` writes them anew.

use fenghuo::engine::schema::{FIELDS, field_table};
use std::path::PathBuf;

const BEGIN: &str = "<!-- fields:begin -->\n";
const END: &str = "<!-- fields:end -->\n";

#[test]
fn the_table_of_fields_is_that_of_the_schema() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("connectors/README.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let expected = format!("{before}{BEGIN}{}{END}{after}", field_table());
    expect_test::expect_file![path].assert_eq(&expected);
}

/// Stored state keeps a field's place in the table: rows are added at the end, never moved or removed.
#[test]
fn the_order_of_fields_only_grows() {
    let first: Vec<&str> = FIELDS.iter().take(12).map(|field| field.name).collect();
    assert_eq!(
        first,
        [
            "name",
            "region",
            "region_raw",
            "department",
            "department_code",
            "industry",
            "domain",
            "item_code",
            "address",
            "uscc_valid",
            "reported_at",
            "note"
        ]
    );
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/snapshots/fields.txt");
    let held = std::fs::read_to_string(&path).unwrap();
    let now: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
    for (at, name) in held.lines().enumerate() {
        assert_eq!(now.get(at), Some(&name), "row {at} of the schema has moved");
    }
    assert_eq!(
        held.lines().count(),
        now.len(),
        "add the new rows at the end of {}",
        path.display()
    );
}

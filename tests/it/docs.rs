//! Tables in documents that are made from the code. `UPDATE_EXPECT=1 cargo test` writes them anew.

use fenghuo::engine::rule::{CODES, Group, fields_by_stream, manifest_table, word_table};
use fenghuo::engine::schema::{FIELDS, field_table};
use std::fmt::Write;
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

/// A table of the rule author's guide by its name.
fn guide_table(name: &str) -> String {
    match name {
        "manifest" => manifest_table(),
        "who" => word_table(Group::Who),
        "record" => word_table(Group::Record),
        "list" => word_table(Group::List),
        "time" => word_table(Group::Time),
        "say" => word_table(Group::Say),
        "test" => word_table(Group::Test),
        "fields" => fields_by_stream(),
        "codes" => {
            let mut table = String::from("| 代码 | 意思 |\n|---|---|\n");
            for (code, title) in CODES {
                let _ = writeln!(table, "| `{code}` | {title} |");
            }
            table
        }
        other => panic!("the guide has no table {other}"),
    }
}

#[test]
fn the_tables_of_the_guide_are_those_of_the_code() {
    const BEGIN: &str = "<!-- table:";
    const END: &str = "<!-- table:end -->";
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("rules/README.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut expected = String::new();
    let mut rest = text.as_str();
    let mut count = 0;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (name, after) = after.split_once(" -->\n").unwrap();
        let (_, after) = after.split_once(END).unwrap();
        let _ = write!(
            expected,
            "{before}{BEGIN}{name} -->\n{}{END}",
            guide_table(name)
        );
        rest = after;
        count += 1;
    }
    expected.push_str(rest);
    assert_eq!(count, 9);
    expect_test::expect_file![path].assert_eq(&expected);
}

#[test]
fn the_columns_of_the_archive_are_those_of_the_code() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("connectors/ARCHIVE.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- columns:begin -->\n", "<!-- columns:end -->\n");
    let (before, rest) = text.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let table = fenghuo::runtime::archive::columns::column_table();
    let expected = format!("{before}{begin}{table}{end}{after}");
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

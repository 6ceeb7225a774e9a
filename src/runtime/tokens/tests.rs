//! Making, finding, expiring and revoking tokens; a bad file lets nobody in.

use super::*;
use expect_test::{Expect, expect};
use std::os::unix::fs::PermissionsExt;

/// 2026-03-01 08:00 in Shanghai.
const NOW: EventTime = EventTime(1_772_323_200_000);

fn new(name: &str, role: Role) -> NewToken {
    NewToken {
        name: name.to_owned(),
        role,
        days: 30,
        connectors: Vec::new(),
    }
}

#[test]
fn a_token_is_good_until_the_end_of_its_last_day() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokens.toml");
    let secret = create(&path, &new("prometheus", Role::Reader), NOW).unwrap();
    let file = TokenFile::open(&path).unwrap();
    let token = file.find(secret.expose(), NOW).unwrap();
    assert_eq!(
        (token.name.as_str(), token.role),
        ("prometheus", Role::Reader)
    );
    let last_day = NOW.plus_days(30);
    assert!(file.find(secret.expose(), last_day).is_some());
    assert!(file.find(secret.expose(), last_day.plus_days(1)).is_none());
    assert!(file.find("fh_0000", NOW).is_none());
    assert!(file.find("", NOW).is_none());
}

#[test]
fn the_file_holds_no_token_and_belongs_to_its_owner() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokens.toml");
    let secret = create(&path, &new("a", Role::Reader), NOW).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains(secret.expose().as_str()));
    assert!(!text.contains(secret.expose().strip_prefix(PREFIX).unwrap()));
    assert_eq!(secret.expose().len(), PREFIX.len() + 64);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_second_token_keeps_the_first_and_its_comments() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokens.toml");
    let first = create(&path, &new("a", Role::Reader), NOW).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("# kept\n{}", text.trim_end())).unwrap();
    let mut feeder = new("b", Role::Ingest);
    feeder.connectors = vec!["x-penalty".into(), "y\"quoted\"".into()];
    let second = create(&path, &feeder, NOW).unwrap();
    assert!(
        std::fs::read_to_string(&path)
            .unwrap()
            .starts_with("# kept\n")
    );
    let file = TokenFile::open(&path).unwrap();
    assert!(file.find(first.expose(), NOW).unwrap().may_feed("anything"));
    let token = file.find(second.expose(), NOW).unwrap();
    assert!(token.may_feed("x-penalty") && token.may_feed("y\"quoted\""));
    assert!(!token.may_feed("x"));
    let error = create(&path, &new("a", Role::Admin), NOW).unwrap_err();
    assert!(
        error.to_string().contains("a second token of this name"),
        "{error}"
    );
}

#[test]
fn a_deleted_entry_is_revoked_and_a_bad_file_lets_nobody_in() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokens.toml");
    let a = create(&path, &new("a", Role::Reader), NOW).unwrap();
    let only_a = std::fs::read_to_string(&path).unwrap();
    let b = create(&path, &new("b", Role::Reader), NOW).unwrap();
    let file = TokenFile::open(&path).unwrap();
    assert!(file.find(b.expose(), NOW).is_some());
    std::fs::write(&path, &only_a).unwrap();
    assert!(file.find(b.expose(), NOW).is_none());
    assert!(file.find(a.expose(), NOW).is_some());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(file.find(a.expose(), NOW).is_none());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(file.find(a.expose(), NOW).is_some());
    std::fs::remove_file(&path).unwrap();
    assert!(file.find(a.expose(), NOW).is_none());
}

#[test]
fn what_cannot_be_made() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokens.toml");
    for name in ["", "a b", "a\"b", "a\n", &"x".repeat(65)] {
        assert!(
            create(&path, &new(name, Role::Reader), NOW).is_err(),
            "{name:?}"
        );
    }
    for days in [0, -1, DAYS_MAX + 1] {
        let mut token = new("a", Role::Reader);
        token.days = days;
        assert!(create(&path, &token, NOW).is_err(), "{days}");
    }
    let mut reader = new("a", Role::Reader);
    reader.connectors = vec!["x".into()];
    assert!(create(&path, &reader, NOW).is_err());
    assert!(!path.exists());
}

fn check(text: &str, expected: &Expect) {
    expected.assert_eq(&Tokens::parse("t.toml", text).unwrap_err().to_string());
}

#[test]
fn errors_name_the_place() {
    let hash = "0".repeat(64);
    check(
        "[[token]]\nname = \"a\"\nrole = \"root\"\n",
        &expect![[
            r#"t.toml:3:8: "token.role" is "root"; expected one of "reader", "ingest", "officer", "admin", "auditor""#
        ]],
    );
    check(
        "[[token]]\nname = \"a\"\nrole = \"admin\"\nsha256 = \"fh_x\"\n",
        &expect![[
            r#"t.toml:4:10: "sha256" is not 64 hexadecimal digits; make the entry with `fenghuo token new`"#
        ]],
    );
    let good = format!("[[token]]\nname = \"a\"\nrole = \"admin\"\nsha256 = \"{hash}\"\n");
    check(
        &good,
        &expect![[r#"t.toml:1:1: "token.expires" is missing; it has no default"#]],
    );
    check(
        &format!("{good}expires = \"2026-02-30\"\n"),
        &expect![[r#"t.toml:5:11: "expires" is "2026-02-30"; expected a date like "2027-03-01""#]],
    );
    check(
        &format!("{good}expires = \"2026-02-28\"\nexpire = 1\n"),
        &expect![[
            r#"t.toml:6:1: unknown key "expire" in [token]; known here: "name", "role", "sha256", "expires", "connectors" (did you mean "expires"?)"#
        ]],
    );
    check(
        &format!("{good}expires = \"2026-02-28\"\nconnectors = [\"x\"]\n"),
        &expect![[r#"t.toml:2:8: token "a": "connectors" is only for role "ingest""#]],
    );
    assert_eq!(Tokens::parse("t.toml", "").unwrap().len(), 0);
}

#[test]
fn comparing_looks_at_every_byte() {
    let a = [7; 32];
    assert!(same(&a, &a));
    for at in 0..32 {
        let mut b = a;
        b[at] ^= 1;
        assert!(!same(&a, &b), "{at}");
    }
}

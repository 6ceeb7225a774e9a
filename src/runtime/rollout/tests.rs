//! A bundle is used when two different people whose word counts have signed exactly these texts, and never else.

use super::sealed::{Role, SealError, Sealed, Signer, entry, private_key, signers};
use crate::engine::hash::hex;
use crate::engine::time::EventTime;
use crate::runtime::bundle::shipped_rules;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

/// As `openssl genpkey -algorithm ed25519` writes it.
const PEM: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIB+zwsMCX8WJ/bJl7VHAL+7DxJfC+Js/MQj0pB6+qNAZ
-----END PRIVATE KEY-----
";
const AT: EventTime = EventTime(1_790_000_000_000);

fn key() -> Ed25519KeyPair {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap()
}

fn signer(key: &Ed25519KeyPair, name: &str, role: Role) -> Signer {
    Signer {
        name: name.to_owned(),
        role,
        key: hex(key.public_key().as_ref()),
    }
}

#[test]
fn two_people_stand_for_a_bundle() {
    let (maker, checker) = (key(), key());
    let known = [
        signer(&maker, "张三", Role::Maker),
        signer(&checker, "李四", Role::Checker),
    ];
    let mut sealed = Sealed::of(&shipped_rules());
    let refused = |sealed: &Sealed| sealed.verify(&known).unwrap_err().to_string();
    assert!(refused(&sealed).starts_with("no maker"));
    sealed.sign(&maker, ("张三", Role::Maker), AT).unwrap();
    assert!(refused(&sealed).starts_with("no checker"));
    sealed.sign(&checker, ("李四", Role::Checker), AT).unwrap();
    assert_eq!(sealed.verify(&known).unwrap(), shipped_rules());
    // Through a file and back.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rules.fhb");
    std::fs::write(&path, serde_json::to_vec(&sealed).unwrap()).unwrap();
    assert_eq!(Sealed::read(&path).unwrap(), sealed);
    // The same two, but the operator's list no longer has one of them.
    let fewer = sealed.verify(&known[..1]).unwrap_err();
    assert!(matches!(fewer, SealError::Missing(Role::Checker)));
}

#[test]
fn one_person_with_two_keys_is_one_person() {
    let (one, other) = (key(), key());
    let mut sealed = Sealed::of(&shipped_rules());
    sealed.sign(&one, ("张三", Role::Maker), AT).unwrap();
    sealed.sign(&other, ("张三", Role::Checker), AT).unwrap();
    let known = [
        signer(&one, "张三", Role::Maker),
        signer(&other, "张三", Role::Checker),
    ];
    let refused = sealed.verify(&known).unwrap_err();
    assert!(matches!(refused, SealError::Same(_)), "{refused}");
    // Nor are two names with one key two people.
    let mut sealed = Sealed::of(&shipped_rules());
    sealed.sign(&one, ("张三", Role::Maker), AT).unwrap();
    sealed.sign(&one, ("李四", Role::Checker), AT).unwrap();
    let known = [
        signer(&one, "张三", Role::Maker),
        signer(&one, "李四", Role::Checker),
    ];
    let refused = sealed.verify(&known).unwrap_err();
    assert!(matches!(refused, SealError::Same(_)), "{refused}");
}

#[test]
fn what_was_changed_after_signing_is_refused() {
    let (maker, checker) = (key(), key());
    let known = [
        signer(&maker, "张三", Role::Maker),
        signer(&checker, "李四", Role::Checker),
    ];
    let mut sealed = Sealed::of(&shipped_rules());
    sealed.sign(&maker, ("张三", Role::Maker), AT).unwrap();
    sealed.sign(&checker, ("李四", Role::Checker), AT).unwrap();
    let mut text = sealed.clone();
    let rule = text.texts.values_mut().next().unwrap();
    rule.push('\n');
    let refused = text.verify(&known).unwrap_err();
    assert!(matches!(refused, SealError::Changed { .. }), "{refused}");
    // With a hash that fits the changed texts, the signatures do not.
    text.rule_set = crate::runtime::bundle::rule_sources(text.texts.clone()).hash();
    let refused = text.verify(&known).unwrap_err();
    assert!(matches!(refused, SealError::Forged { .. }), "{refused}");
    let mut role = sealed.clone();
    role.signatures[0].role = Role::Checker;
    let refused = role.verify(&known).unwrap_err();
    assert!(matches!(refused, SealError::Forged { .. }), "{refused}");
    let mut name = sealed;
    name.signatures[1].name = "王五".to_owned();
    let refused = name.verify(&known).unwrap_err();
    assert!(matches!(refused, SealError::Forged { .. }), "{refused}");
}

#[test]
fn keys_and_signers_are_files() {
    let dir = tempfile::tempdir().unwrap();
    let (pem, list) = (
        dir.path().join("maker.pem"),
        dir.path().join("signers.toml"),
    );
    std::fs::write(&pem, PEM).unwrap();
    let key = private_key(&pem).unwrap();
    std::fs::write(&list, entry(&key, "张三", Role::Maker)).unwrap();
    assert_eq!(signers(&list).unwrap(), [signer(&key, "张三", Role::Maker)]);
    std::fs::write(
        &list,
        "[[signer]]\nname = \"张三\"\nrole = \"maker\"\nkey = \"12\"\n",
    )
    .unwrap();
    let refused = signers(&list).unwrap_err().to_string();
    assert!(refused.contains("64 hex digits"), "{refused}");
    std::fs::write(&pem, "no key").unwrap();
    let refused = private_key(&pem).unwrap_err().to_string();
    assert!(refused.contains("openssl genpkey"), "{refused}");
}

//! What becomes of personal data at the door: dropped, masked, or replaced by a keyed hash.
//!
//! The hash is HMAC-SHA-256 under a key that the caller holds outside the store; 128 bits of it, as 32 hexadecimal digits,
//! tell people apart and lead back to no one. A hash says what it is of (a citizen number, another text), so that the same
//! digits as a telephone and as a number of an identity card are not one person. Both forms of a citizen number, 15 and 18
//! characters, give one hash.
//!
//! source   PIPL articles 6, 28, 51; GB/T 35273-2020 on de-identification

use super::super::identity::{citizen_id_18, normalise};
use hmac::digest::Key;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;
use std::fmt;

/// How a column of personal data is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Personal {
    /// Never read.
    Drop,
    /// A name keeps its first character, a number its last four.
    Mask,
    /// Replaced by its keyed hash.
    Hash,
    /// Read only to count its items.
    Count,
    /// Read only to look for words.
    Keywords,
    /// Read only to say who the subject is: an organisation's code, or a citizen number, which is hashed.
    Identity,
}

impl Personal {
    /// The word in connectors.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Mask => "mask",
            Self::Hash => "hash",
            Self::Count => "count",
            Self::Keywords => "keywords",
            Self::Identity => "identity",
        }
    }
}

/// The key of the hashes. It is never shown.
#[derive(Clone)]
pub(super) struct PersonalKey(Hmac<Sha256>);

impl fmt::Debug for PersonalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonalKey(..)")
    }
}

impl PersonalKey {
    /// A key of any length; at least 32 bytes are advised.
    pub(super) fn new(key: &[u8]) -> Self {
        // HMAC takes keys of every length: the error cannot come, and a key of zeros stands in for it.
        Self(
            Hmac::new_from_slice(key)
                .unwrap_or_else(|_| Hmac::new(&Key::<Hmac<Sha256>>::default())),
        )
    }

    /// The hash of a citizen number, `None` when the text is none.
    pub(super) fn citizen(&self, text: &str) -> Option<String> {
        let id = citizen_id_18(&normalise(text))?;
        Some(self.hash("citizen", &id))
    }

    /// The hash of another personal text: a name, a telephone number. Case, width and blanks make no difference.
    pub(super) fn text(&self, text: &str) -> String {
        self.hash("text", &normalise(text))
    }

    fn hash(&self, what: &str, text: &str) -> String {
        let mut mac = self.0.clone();
        mac.update(what.as_bytes());
        mac.update(&[0]);
        mac.update(text.as_bytes());
        let digest = mac.finalize().into_bytes();
        super::super::hash::hex(digest.get(..16).unwrap_or_default())
    }
}

/// `张三丰` → `张**`; a text with a digit keeps its last four characters: `***********5678`.
pub(super) fn mask(text: &str) -> String {
    let text = text.trim();
    let count = text.chars().count();
    let digits = text.chars().any(|c| c.is_ascii_digit());
    text.chars()
        .enumerate()
        .map(|(at, c)| {
            let kept = if digits {
                8 <= count && count <= at + 4
            } else {
                at == 0
            };
            if kept { c } else { '*' }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_tell_people_apart_and_lead_back_to_none() {
        let key = PersonalKey::new(b"a key of the test, thirty-two b.");
        let new = key.citizen("11010519491231002x").unwrap();
        assert_eq!(key.citizen("110105491231002"), Some(new.clone()));
        assert_eq!(new.len(), 32);
        assert_ne!(key.text("11010519491231002X"), new);
        assert_ne!(
            PersonalKey::new(b"another").citizen("110105491231002"),
            Some(new)
        );
        assert_eq!(key.text("138 1234 5678"), key.text("13812345678"));
        assert_eq!(key.citizen("13812345678"), None);
        assert_eq!(format!("{key:?}"), "PersonalKey(..)");
    }

    #[test]
    fn hmac_agrees_with_rfc_4231() {
        // Test case 2.
        let mut mac = PersonalKey::new(b"Jefe").0;
        mac.update(b"what do ya want for nothing?");
        assert_eq!(
            super::super::super::hash::hex(&mac.finalize().into_bytes()),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn masks() {
        for (text, expected) in [
            ("张三丰", "张**"),
            ("13812345678", "*******5678"),
            ("123", "***"),
            ("", ""),
        ] {
            assert_eq!(mask(text), expected);
        }
    }
}

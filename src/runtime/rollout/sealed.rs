//! A bundle of rules: one file with all their texts, and who stands for them.
//!
//! ```json
//! { "format": "fenghuo-rules/1", "rule_set": "<SM3 of all texts>", "texts": { "complaint/surge.rhai": "…" },
//!   "signatures": [ { "name": "张三", "role": "maker", "signed_at": "…", "key": "<hex>", "signature": "<base64>" } ] }
//! ```
//!
//! Two different people sign: who made the rules and who checked them. Each signs with a key of their own the line
//! `fenghuo-rules/1 <rule_set> <role> <name> <signed_at>`, by Ed25519. Whose keys count stands in a file of the operator's,
//! beside the configuration and not in the bundle:
//!
//! ```toml
//! [[signer]]
//! name = "张三"
//! role = "maker"
//! key = "<64 hex digits>"
//! ```
//!
//! A key is made with `openssl genpkey -algorithm ed25519 -out maker.pem`.
//!
//! bounds   [`BUNDLE_BYTES_MAX`]
//! errors   [`SealError`] says whose signature is wrong or missing, and what to do

use super::super::bundle::{Texts, rule_sources, texts_of};
use super::super::config::table::{Table, TomlError};
use crate::engine::hash::hex;
use crate::engine::rule::RuleSources;
use crate::engine::time::EventTime;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

/// The first word of what is signed.
pub const FORMAT: &str = "fenghuo-rules/1";
/// The largest bundle that is read.
pub const BUNDLE_BYTES_MAX: u64 = 64 << 20;

/// What a person answers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Made the rules.
    Maker,
    /// Checked them.
    Checker,
}

impl Role {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Maker, Self::Checker];

    /// The word in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Maker => "maker",
            Self::Checker => "checker",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One person's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// Who.
    pub name: String,
    /// As what.
    pub role: Role,
    /// When, as they say.
    pub signed_at: String,
    /// Their public key, hex.
    pub key: String,
    /// Base64.
    pub signature: String,
}

/// Rules in one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// [`FORMAT`].
    pub format: String,
    /// SM3 over all texts, as a warning names it.
    pub rule_set: String,
    /// The texts by path.
    pub texts: Texts,
    /// Who stands for them.
    pub signatures: Vec<Signature>,
}

/// Somebody whose signature counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// Who.
    pub name: String,
    /// As what.
    pub role: Role,
    /// Their public key, hex.
    pub key: String,
}

/// Why a bundle is not used.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// A file cannot be read.
    #[error("cannot read \"{}\"", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The bundle is none.
    #[error("\"{}\" is no bundle of rules: {why}; make one with `fenghuo rule bundle`", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The texts are not those that the hash names.
    #[error(
        "the bundle was changed after it was made: its texts give rule set {found}, it says {said}; do not use it"
    )]
    Changed {
        /// What they give.
        found: String,
        /// What it says.
        said: String,
    },
    /// A signature does not fit.
    #[error(
        "the signature of {name} ({role}) does not fit this bundle and that key; do not use it"
    )]
    Forged {
        /// Whose.
        name: String,
        /// As what.
        role: Role,
    },
    /// Nobody whose word counts signed as this.
    #[error("no {0} among the signers has signed; `fenghuo rule sign` adds a signature")]
    Missing(Role),
    /// One person signed as both.
    #[error("{0} has signed as maker and as checker; two different people must")]
    Same(String),
    /// The file of signers.
    #[error(transparent)]
    Signers(#[from] TomlError),
    /// A private key is none.
    #[error("\"{}\" holds no Ed25519 key: {why}; make one with `openssl genpkey -algorithm ed25519 -out {}`", path.display(), path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl Sealed {
    /// A bundle of these sources that nobody has signed.
    pub fn of(sources: &RuleSources) -> Self {
        Self {
            format: FORMAT.to_owned(),
            rule_set: sources.hash(),
            texts: texts_of(sources),
            signatures: Vec::new(),
        }
    }

    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, SealError> {
        let fault = |cause| SealError::Read {
            path: path.to_owned(),
            cause,
        };
        let form = |why: String| SealError::Form {
            path: path.to_owned(),
            why,
        };
        let length = std::fs::metadata(path).map_err(fault)?.len();
        if BUNDLE_BYTES_MAX < length {
            return Err(form(format!(
                "{length} bytes are more than {BUNDLE_BYTES_MAX}"
            )));
        }
        let bytes = std::fs::read(path).map_err(fault)?;
        let sealed: Self =
            serde_json::from_slice(&bytes).map_err(|error| form(error.to_string()))?;
        if sealed.format != FORMAT {
            return Err(form(format!(
                "its format is \"{}\", expected \"{FORMAT}\"",
                sealed.format
            )));
        }
        Ok(sealed)
    }

    /// The sources, if they are those that the hash names.
    pub fn sources(&self) -> Result<RuleSources, SealError> {
        let sources = rule_sources(self.texts.clone());
        let found = sources.hash();
        if found == self.rule_set {
            Ok(sources)
        } else {
            Err(SealError::Changed {
                found,
                said: self.rule_set.clone(),
            })
        }
    }

    /// Adds a person's word, in the place of an earlier one of theirs.
    pub fn sign(
        &mut self,
        key: &Ed25519KeyPair,
        (name, role): (&str, Role),
        at: EventTime,
    ) -> Result<(), SealError> {
        self.sources()?;
        let signed_at = at.rfc3339();
        let words = words(&self.rule_set, role, name, &signed_at);
        self.signatures
            .retain(|s| (s.name.as_str(), s.role) != (name, role));
        self.signatures.push(Signature {
            name: name.to_owned(),
            role,
            signed_at,
            key: hex(key.public_key().as_ref()),
            signature: STANDARD.encode(key.sign(words.as_bytes())),
        });
        Ok(())
    }

    /// The sources, if two different people whose word counts have signed exactly these.
    pub fn verify(&self, signers: &[Signer]) -> Result<RuleSources, SealError> {
        let sources = self.sources()?;
        for signature in &self.signatures {
            if !signature.fits(&self.rule_set) {
                return Err(SealError::Forged {
                    name: signature.name.clone(),
                    role: signature.role,
                });
            }
        }
        let of = |role: Role| {
            let known = self.signatures.iter().filter(|s| {
                s.role == role
                    && signers
                        .iter()
                        .any(|k| (&k.name, k.role, &k.key) == (&s.name, s.role, &s.key))
            });
            known.collect::<Vec<_>>()
        };
        let (makers, checkers) = (of(Role::Maker), of(Role::Checker));
        let maker = makers.first().ok_or(SealError::Missing(Role::Maker))?;
        let _ = checkers.first().ok_or(SealError::Missing(Role::Checker))?;
        let two = makers
            .iter()
            .any(|m| checkers.iter().any(|c| c.name != m.name && c.key != m.key));
        if two {
            Ok(sources)
        } else {
            Err(SealError::Same(maker.name.clone()))
        }
    }
}

impl Signature {
    fn fits(&self, rule_set: &str) -> bool {
        let words = words(rule_set, self.role, &self.name, &self.signed_at);
        let (Some(key), Ok(signature)) = (unhex(&self.key), STANDARD.decode(&self.signature))
        else {
            return false;
        };
        UnparsedPublicKey::new(&ED25519, key)
            .verify(words.as_bytes(), &signature)
            .is_ok()
    }
}

/// What is signed.
fn words(rule_set: &str, role: Role, name: &str, signed_at: &str) -> String {
    format!("{FORMAT} {rule_set} {role} {name} {signed_at}")
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digits = text.as_bytes().chunks_exact(2);
    digits
        .map(|pair| {
            let pair = core::str::from_utf8(pair).ok()?;
            u8::from_str_radix(pair, 16).ok()
        })
        .collect()
}

/// The private key in a PEM file.
pub fn private_key(path: &Path) -> Result<Ed25519KeyPair, SealError> {
    let fault = |why: String| SealError::Key {
        path: path.to_owned(),
        why,
    };
    let bytes = std::fs::read(path).map_err(|cause| SealError::Read {
        path: path.to_owned(),
        cause,
    })?;
    let der = PrivatePkcs8KeyDer::from_pem_slice(&bytes).map_err(|e| fault(e.to_string()))?;
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der())
        .map_err(|e| fault(e.to_string()))
}

/// The entry of a key in the file of signers.
pub fn entry(key: &Ed25519KeyPair, name: &str, role: Role) -> String {
    format!(
        "[[signer]]\nname = \"{name}\"\nrole = \"{role}\"\nkey = \"{}\"\n",
        hex(key.public_key().as_ref())
    )
}

/// Those whose word counts.
pub fn signers(path: &Path) -> Result<Vec<Signer>, SealError> {
    let text = std::fs::read_to_string(path).map_err(|cause| SealError::Read {
        path: path.to_owned(),
        cause,
    })?;
    let mut file = Table::parse(&path.display().to_string(), &text)?;
    let mut signers = Vec::new();
    for mut table in file.tables("signer")? {
        let roles = Role::ALL.map(|role| (role.name(), role));
        let signer = Signer {
            name: table.need_text("name")?.value,
            role: table.choice("role", &roles, Role::Checker)?,
            key: table.need_text("key")?.value.to_lowercase(),
        };
        let at = table.at();
        if unhex(&signer.key).is_none_or(|key| key.len() != 32) {
            let message = format!(
                "key \"{}\" is no Ed25519 public key; it has 64 hex digits, `fenghuo rule sign` prints them",
                signer.key
            );
            return Err(table.error(&at, message).into());
        }
        table.finish()?;
        signers.push(signer);
    }
    file.finish()?;
    Ok(signers)
}

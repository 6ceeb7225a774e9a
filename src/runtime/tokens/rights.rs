//! Which role may do what: one table.
//!
//! The roles keep system, security and audit apart (三员分立, `GB/T 22239` 8.1.4.2): an administrator changes rules but reads
//! no subject; an auditor reads the audit log and acts on nothing; a feeding system can put records in and see nothing.

use serde::{Deserialize, Serialize};

/// What a token is for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads warnings and subjects: downstream systems, monitoring.
    Reader,
    /// Feeds records.
    Ingest,
    /// Reads, and gives feedback on warnings.
    Officer,
    /// Runs the system: reloads rules.
    Admin,
    /// Reads the audit log.
    Auditor,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 5] = [
        Self::Reader,
        Self::Ingest,
        Self::Officer,
        Self::Admin,
        Self::Auditor,
    ];

    /// The word in the token file and the audit log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Ingest => "ingest",
            Self::Officer => "officer",
            Self::Admin => "admin",
            Self::Auditor => "auditor",
        }
    }

    /// Whether the role has the right.
    pub fn may(self, right: Right) -> bool {
        RIGHTS
            .iter()
            .any(|(granted, roles)| *granted == right && roles.contains(&self))
    }
}

/// What a door needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Read `/metrics`, which holds no subject.
    Metrics,
    /// Read the rules in use.
    Rules,
    /// Read subjects and warnings.
    Read,
    /// Put records in.
    Ingest,
    /// Give feedback on a warning.
    Act,
    /// Change what is running.
    Administer,
    /// Read the audit log.
    Audit,
}

impl Right {
    /// All rights.
    pub const ALL: [Self; 7] = [
        Self::Metrics,
        Self::Rules,
        Self::Read,
        Self::Ingest,
        Self::Act,
        Self::Administer,
        Self::Audit,
    ];

    /// Whether using it changes something people answer for: it needs a name, and an entry in the audit log before it is
    /// done. Reading the audit log is among them.
    pub fn is_control(self) -> bool {
        matches!(self, Self::Act | Self::Administer | Self::Audit)
    }
}

/// Who has which right. What is not here is denied.
const RIGHTS: [(Right, &[Role]); 7] = [
    (
        Right::Metrics,
        &[Role::Reader, Role::Officer, Role::Admin, Role::Auditor],
    ),
    (
        Right::Rules,
        &[Role::Reader, Role::Officer, Role::Admin, Role::Auditor],
    ),
    (Right::Read, &[Role::Reader, Role::Officer]),
    (Right::Ingest, &[Role::Ingest]),
    (Right::Act, &[Role::Officer]),
    (Right::Administer, &[Role::Admin]),
    (Right::Audit, &[Role::Auditor]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use std::fmt::Write;

    #[test]
    fn the_matrix() {
        let mut text = String::new();
        for right in Right::ALL {
            let roles: Vec<&str> = Role::ALL
                .into_iter()
                .filter(|role| role.may(right))
                .map(Role::name)
                .collect();
            let star = if right.is_control() { " (control)" } else { "" };
            writeln!(text, "{right:?}{star}: {}", roles.join(" ")).unwrap();
        }
        expect![[r#"
            Metrics: reader officer admin auditor
            Rules: reader officer admin auditor
            Read: reader officer
            Ingest: ingest
            Act (control): officer
            Administer (control): admin
            Audit (control): auditor
        "#]]
        .assert_eq(&text);
    }

    #[test]
    fn nobody_both_runs_and_audits() {
        for role in Role::ALL {
            assert!(!(role.may(Right::Administer) && role.may(Right::Audit)));
            assert!(!(role.may(Right::Administer) && role.may(Right::Read)));
        }
    }
}

//! `fenghuo token new`: makes a bearer token, prints it once, keeps its hash.
//!
//! Standard output gets the token and nothing else, so that it can be piped into a secret store; what to know about it goes
//! to the second writer.

use crate::runtime::clock::Clock;
use crate::runtime::tokens::rights::Role;
use crate::runtime::tokens::{NewToken, TokenError, create};
use clap::{Args, Subcommand};
use std::io::{self, Write};
use std::path::PathBuf;

/// Tokens for the HTTP doors.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token, print it once and add its hash to the token file.
    New(NewArguments),
}

/// What the new token shall be.
#[derive(Debug, Args)]
pub struct NewArguments {
    /// Whom the audit log names: letters, digits, "-", "_", ".".
    #[arg(long)]
    name: String,
    /// What it may do.
    #[arg(long, value_enum)]
    role: Role,
    /// For how many days it is good, at most 3,660.
    #[arg(long, default_value_t = 90)]
    days: i64,
    /// The token file; it is made if it does not exist.
    #[arg(long, default_value = "tokens.toml")]
    file: PathBuf,
    /// Only for role "ingest": a connector that it may feed; can be repeated; without it, all.
    #[arg(long = "connector")]
    connectors: Vec<String>,
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum TokenCommandError {
    /// No token was made.
    #[error("no token was made")]
    Create(#[from] TokenError),
    /// It was made but could not be printed; it is lost, and its entry should be deleted.
    #[error("the token was made but could not be printed; delete its entry and make another")]
    Print(#[from] io::Error),
}

/// Runs the command: the token to `out`, what to know about it to `notes`.
pub(super) fn run(
    command: &TokenCommand,
    clock: &Clock,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> Result<(), TokenCommandError> {
    let TokenCommand::New(new) = command;
    let request = NewToken {
        name: new.name.clone(),
        role: new.role,
        days: new.days,
        connectors: new.connectors.clone(),
    };
    let now = clock.now();
    let token = create(&new.file, &request, now)?;
    writeln!(out, "{}", token.expose())?;
    writeln!(
        notes,
        "token \"{}\" with role \"{}\" is good until {}; it is not shown again, {} holds only its hash",
        new.name,
        new.role.name(),
        now.plus_days(new.days).date(),
        new.file.display()
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::EventTime;
    use crate::runtime::tokens::TokenFile;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        command: TokenCommand,
    }

    #[test]
    fn the_printed_token_is_good() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tokens.toml");
        let file_text = file.to_str().unwrap();
        let line = Line::parse_from([
            "token",
            "new",
            "--name",
            "feeder",
            "--role",
            "ingest",
            "--days",
            "7",
            "--file",
            file_text,
            "--connector",
            "a-penalty",
        ]);
        let clock = Clock::at(EventTime(1_772_323_200_000));
        let (mut out, mut notes) = (Vec::new(), Vec::new());
        run(&line.command, &clock, &mut out, &mut notes).unwrap();
        let printed = String::from_utf8(out).unwrap();
        let tokens = TokenFile::open(&file).unwrap();
        let token = tokens.find(printed.trim_end(), clock.now()).unwrap();
        assert_eq!((token.name.as_str(), token.role), ("feeder", Role::Ingest));
        assert!(token.may_feed("a-penalty") && !token.may_feed("b"));
        let notes = String::from_utf8(notes).unwrap();
        assert!(notes.contains("until 2026-03-08"), "{notes}");
        assert!(!notes.contains(printed.trim_end()), "{notes}");
    }

    #[test]
    fn a_role_that_does_not_exist_is_refused() {
        let line = Line::try_parse_from(["token", "new", "--name", "a", "--role", "root"]);
        let error = line.err().unwrap().to_string();
        assert!(
            error.contains("reader, ingest, officer, admin, auditor"),
            "{error}"
        );
    }
}

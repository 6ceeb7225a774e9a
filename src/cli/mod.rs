//! What a user types: types and dispatch only; each command is a file.
//!
//! exit codes: 0 all is well, 1 the command found something (a failing test, a damaged store, a broken chain),
//! 2 the command was called wrongly, 3 a fault (disk, configuration, network)

mod archive;
mod args;
mod audit;
mod demo;
mod dispose;
mod dlq;
mod exchange;
mod explain;
mod generate;
mod ground;
mod key_event;
mod look;
mod progress;
mod report;
mod rule;
mod run;
mod summary;
mod token;
mod top;
#[cfg(feature = "rdkafka")]
mod topics;

pub use args::Args;

use crate::runtime::clock::Clock;
use crate::runtime::logging;
use args::{Command, StateCommand, WarningCommand};
use std::fmt;
use std::io::Write;
use std::path::Path;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All is well.
    Fine,
    /// It found something that the user should look at.
    Finding,
}

/// Why a command could not be carried out.
pub enum CliError {
    /// It was called wrongly.
    Usage(String),
    /// Something outside failed.
    Fault(Box<dyn std::error::Error + Send + Sync>),
}

impl fmt::Debug for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) => f.debug_tuple("Usage").field(text).finish(),
            Self::Fault(fault) => f.debug_tuple("Fault").field(fault).finish(),
        }
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for CliError {
    fn from(error: E) -> Self {
        Self::Fault(Box::new(error))
    }
}

/// `contracts`
fn contracts(args: &args::ContractsArgs) -> Result<Ending, CliError> {
    let at = |path: &Path, error: std::io::Error| {
        std::io::Error::new(
            error.kind(),
            format!("cannot write {}: {error}", path.display()),
        )
    };
    std::fs::create_dir_all(&args.out).map_err(|error| at(&args.out, error))?;
    for (name, text) in crate::runtime::contracts::documents() {
        let path = args.out.join(name);
        std::fs::write(&path, text).map_err(|error| at(&path, error))?;
        say(&path.display().to_string());
    }
    Ok(Ending::Fine)
}

/// Carries out a command.
pub fn run(args: Args) -> Result<Ending, CliError> {
    let format = args.format;
    match args.command {
        Command::Demo(demo) => demo::demo(&demo, format),
        Command::Run(run) => {
            logging::start(args.log, None)?;
            run::run(&run, format)
        }
        Command::Rule(rule) => rule::rule(&rule, format),
        Command::State(StateCommand::Show { subject, state }) => {
            look::subject(&subject, &state, format)
        }
        Command::State(StateCommand::Verify { state }) => look::verify(&state, format),
        Command::State(StateCommand::Export { state, file }) => look::export(&state, &file),
        #[cfg(feature = "rdkafka")]
        Command::State(StateCommand::Import {
            config: Some(config),
            file,
            ..
        }) => {
            logging::start(args.log, None)?;
            run::carry(&config, &file, format)
        }
        Command::State(StateCommand::Import { state, file, .. }) => look::import(&state, &file),
        #[cfg(feature = "rdkafka")]
        Command::State(StateCommand::Rebuild { config }) => {
            logging::start(args.log, None)?;
            run::rebuild(&config, format)
        }
        Command::Warning(WarningCommand::List(list)) => look::warnings(&list, format),
        Command::Warning(WarningCommand::Do(act)) => dispose::act(&act),
        Command::Warning(WarningCommand::Case { id, state }) => dispose::case(&id, &state, format),
        Command::Warning(WarningCommand::Show { id, state }) => look::warning(&id, &state, format),
        Command::Warning(WarningCommand::Explain { id, ground }) => {
            explain::warning(&id, &ground, format)
        }
        Command::KeyEvent(command) => key_event::key_event(&command, format),
        Command::Generate(plan) => generate::generate(&plan, format),
        Command::Report(command) => report::report(&command, format),
        Command::Dlq(dlq) => dlq::dlq(&dlq, format),
        Command::Exchange(order) => {
            logging::start(args.log, None)?;
            exchange::exchange(&order, format)
        }
        #[cfg(feature = "rdkafka")]
        Command::Topics(command) => topics::topics(&command, format),
        Command::Archive(args) => archive::archive(&args.command, format),
        Command::Top(args) => top::top(&args, format),
        Command::Contracts(args) => contracts(&args),
        Command::Audit(audit) => audit::audit(&audit, format),
        Command::Token(args) => {
            let (mut out, mut notes) = (std::io::stdout().lock(), std::io::stderr().lock());
            token::run(&args.command, &Clock::System, &mut out, &mut notes)?;
            Ok(Ending::Fine)
        }
    }
}

/// Prints to standard output; a reader that has gone away is no fault.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let done = out
        .write_all(text.as_bytes())
        .and_then(|()| out.write_all(b"\n"));
    if done.is_err() {
        std::process::exit(0);
    }
}

/// Prints a value as indented JSON.
fn say_json(value: &serde_json::Value) {
    say(&serde_json::to_string_pretty(value).unwrap_or_default());
}

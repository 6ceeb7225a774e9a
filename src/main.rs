//! The command `fenghuo`: arguments, one command, an exit code.

use clap::Parser;
use fenghuo::cli::{self, Args, CliError, Ending};
use std::io::Write;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    match cli::run(args) {
        Ok(Ending::Fine) => ExitCode::SUCCESS,
        Ok(Ending::Finding) => ExitCode::from(1),
        Err(CliError::Usage(message)) => {
            complain(&format!("error: {message}"));
            ExitCode::from(2)
        }
        Err(CliError::Fault(fault)) => {
            let fault = anyhow::Error::from_boxed(fault);
            let causes: Vec<String> = fault.chain().map(ToString::to_string).collect();
            complain(&format!("error: {}", causes.join("\n  because: ")));
            ExitCode::from(3)
        }
    }
}

fn complain(message: &str) {
    let mut err = std::io::stderr().lock();
    // Nothing is left to tell it to.
    let _ = writeln!(err, "{message}");
}

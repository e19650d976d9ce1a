//! `kubectl jattach`: heap dumps, thread dumps and jcmd for a JVM in a pod that has no JDK.

mod cli;
mod client;
mod commands;
mod debugger;
mod error;
mod log;
mod options;
mod receive;
mod render;
mod session;
mod target;

use std::io::{self, Write};
use std::process::ExitCode;

use error::{Exit, Failure};
use options::Parsed;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}

fn run() -> anyhow::Result<()> {
    let options = match options::parse(std::env::args_os())? {
        Parsed::Run(options) => options,
        Parsed::Say(said) => return say(&said),
    };
    log::init(options.output.verbosity);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(commands::run(*options))
}

/// Help goes to stdout and is a success; what is wrong with a flag goes to stderr, with the exit code of usage.
fn say(said: &clap::Error) -> anyhow::Result<()> {
    said.print()?;
    if said.use_stderr() { Err(Silent(Exit::Usage).into()) } else { Ok(()) }
}

/// A failure of which everything has been said.
#[derive(Debug, Clone, Copy)]
struct Silent(Exit);

impl std::fmt::Display for Silent {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}

impl std::error::Error for Silent {}

/// Says what went wrong and turns it into an exit code. A reader that went away is no failure.
fn report(error: &anyhow::Error) -> ExitCode {
    if error.chain().any(|link| link.downcast_ref::<io::Error>().is_some_and(is_broken_pipe)) {
        return ExitCode::SUCCESS;
    }
    if let Some(Silent(exit)) = error.downcast_ref() {
        return ExitCode::from(*exit as u8);
    }
    let (text, exit) = match error.downcast_ref::<Failure>() {
        Some(failure) => (failure.to_string(), failure.exit),
        None => (render::terminal::printable(&format!("{error:#}")), Exit::Other),
    };
    // A stderr that is gone leaves the exit code to speak.
    let _ = writeln!(io::stderr(), "error: {text}");
    ExitCode::from(exit as u8)
}

fn is_broken_pipe(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

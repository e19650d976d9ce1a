//! `kubectl jattach`: heap dumps, thread dumps and jcmd for a JVM in a pod that has no JDK.

mod catalogue;
mod census;
mod cli;
mod client;
mod commands;
mod complete;
mod config;
mod debugger;
mod defect;
mod error;
mod hprof_file;
mod inside;
mod kubectl;
mod log;
mod options;
mod receive;
mod render;
mod session;
mod target;
mod text_file;

use std::io::{self, Write};
use std::process::ExitCode;

use tokio::runtime::{Builder, Runtime};

use catalogue::Id;
use config::Config;
use error::{Exit, Failure};
use options::Parsed;

fn main() -> ExitCode {
    defect::install_hook();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}

fn run() -> anyhow::Result<()> {
    if complete::answer(std::env::args_os().collect())? {
        return Ok(());
    }
    let options = match options::parse_with(std::env::args_os(), Config::load)? {
        Parsed::Run(options) => options,
        Parsed::Say(said) => return Ok(said.print()?),
    };
    log::init(options.output.verbosity);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    drive(runtime, commands::run(*options))
}

/// Runs the command to its end, and leaves behind what blocks a thread: a name that is being resolved or a credential
/// plugin knows no limit, and dropping the runtime would wait for it.
fn drive<T>(runtime: Runtime, command: impl Future<Output = T>) -> T {
    let result = runtime.block_on(command);
    runtime.shutdown_background();
    result
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
    let (text, id, exit) = match error.downcast_ref::<Failure>() {
        Some(failure) => (failure.to_string(), failure.id, failure.exit()),
        None => (render::terminal::printable(&format!("{error:#}")), Id::Other, Exit::Other),
    };
    // A stderr that is gone leaves the exit code to speak.
    let _ = writeln!(io::stderr(), "error[{id}]: {text}");
    ExitCode::from(exit as u8)
}

fn is_broken_pipe(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn a_command_that_is_over_does_not_wait_for_what_still_blocks_a_thread() {
        /// What a lookup takes that nobody answers; only a test that fails waits for it.
        const LOOKUP: Duration = Duration::from_secs(10);
        let runtime = Builder::new_current_thread().build().unwrap();
        let (answer, lookup) = mpsc::channel::<()>();
        drive(runtime, async {
            let (started, running) = tokio::sync::oneshot::channel();
            drop(tokio::task::spawn_blocking(move || {
                started.send(()).unwrap();
                let _ = lookup.recv_timeout(LOOKUP);
            }));
            running.await.unwrap();
        });
        assert!(answer.send(()).is_ok(), "the command's end waited for the lookup's");
    }
}

//! Runs a command, and writes into a file how much memory it had at the most: `peak FILE COMMAND ARGS…`. The number is the
//! kernel's own (`ru_maxrss`, KiB). A process is charged for what its parent had when it was forked: so this is a small one.

use std::process::{Command, ExitCode};
use std::{env, fs};

use nix::sys::resource::{UsageWho, getrusage};

fn main() -> ExitCode {
    let mut words = env::args_os().skip(1);
    let (Some(file), Some(program)) = (words.next(), words.next()) else { return ExitCode::from(2) };
    let status = match Command::new(&program).args(words).status() {
        Ok(status) => status,
        Err(error) => {
            eprintln!("cannot start {}: {error}", program.display());
            return ExitCode::from(2);
        }
    };
    let peak = getrusage(UsageWho::RUSAGE_CHILDREN).map(|usage| usage.max_rss());
    if let Err(error) = peak.map_err(Into::into).and_then(|peak| fs::write(&file, peak.to_string())) {
        eprintln!("cannot tell the peak: {error}");
        return ExitCode::from(2);
    }
    // One that a signal has ended has no code.
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

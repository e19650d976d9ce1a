//! An injector that means no good, for the tests of what the plugin takes on trust. It is `/injector` in an image of its own:
//! `hold` stays, and each `session` speaks the protocol as the mode says that its container's environment names.

mod deeds;
mod talk;

use std::env;
use std::process::ExitCode;
use std::thread;

use clap::ValueEnum;
use jattach_e2e::hostile::{MODE, Mode};
use talk::Talk;

fn main() -> ExitCode {
    match env::args().nth(1).as_deref() {
        Some("hold") => loop {
            thread::park();
        },
        Some("session") => session(),
        _ => ExitCode::from(2),
    }
}

/// What this pod's is.
fn mode() -> Option<Mode> {
    let (modes, pod) = (env::var(MODE).ok()?, env::var("HOSTNAME").unwrap_or_default());
    let of_this_pod = modes.split(' ').find_map(|word| word.strip_prefix(&pod)?.strip_prefix('='));
    Mode::from_str(of_this_pod.unwrap_or(&modes), false).ok()
}

fn session() -> ExitCode {
    let Some(mode) = mode() else {
        eprintln!("{MODE} names no mode");
        return ExitCode::from(2);
    };
    deeds::act(mode, &mut Talk::begin());
    ExitCode::SUCCESS
}

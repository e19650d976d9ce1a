//! hold in the target's own container, where it was put by `exec` because no container of its own can be had. It serves the
//! one client that has its stdin and stdout, and ends with it. Nothing of it is in the target's filesystem from its first
//! moment on: whatever ends it, nothing is left.

use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;

use super::{Desk, attend, listen, prepare, serve, start_thread};
use crate::dump::place;
use crate::session;

/// What the directory's name begins with that the plugin makes for our program (`plugin/src/inside/enter.sh`).
const DIRECTORY: &[u8] = b".jattach-in-";

/// Runs until its client has gone.
pub(crate) fn run() -> ExitCode {
    match inside() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be there to read it any more.
            let _ = writeln!(io::stderr(), "injector inside: {error}");
            ExitCode::FAILURE
        }
    }
}

fn inside() -> io::Result<()> {
    vanish();
    place::spare_the_disk();
    let signals = prepare()?;
    serve::sweep();
    let desk = Arc::new(Desk::new()?);
    let (client, ours) = UnixStream::pair()?;
    desk.enter();
    let its_desk = Arc::clone(&desk);
    start_thread(Box::new(move || {
        listen(&its_desk, ours);
        // There is no way back here: what runs is given up.
        its_desk.close("its client has gone", true);
        its_desk.leave();
    }))?;
    // What cannot be carried has nobody left to be told of it.
    let carrier = start_thread(Box::new(move || drop(session::carry(&client))))?;
    attend(&desk, None, &signals)?;
    // The last bytes are still on their way.
    let _ = carrier.join();
    Ok(())
}

/// Removes the program's own file, and the directory that was made for it. Only there: elsewhere somebody has started us by
/// hand, and wants to keep us. What cannot be removed the next start removes.
fn vanish() {
    let Ok(directory) = fs::read_link("/proc/self/cwd") else { return };
    if directory.file_name().is_some_and(|name| name.as_bytes().starts_with(DIRECTORY)) {
        let _ = fs::remove_file("injector");
        let _ = fs::remove_dir(directory);
    }
}

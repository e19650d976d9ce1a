//! What a panic says before it ends the plugin: the same three parts as every failure. The released program is built without
//! unwinding, so nothing comes after this hook.

use std::any::Any;
use std::io::{self, IsTerminal, Write};
use std::panic::{self, PanicHookInfo};
use std::process;

use crate::catalogue::Id;
use crate::error::Failure;

/// Takes the line of a progress bar away, which may be half written.
const CLEAR_LINE: &str = "\r\x1b[K";

/// From here on a panic of any thread is reported on stderr and ends the program.
pub(crate) fn install_hook() {
    panic::set_hook(Box::new(|panic| {
        let failure = failure(panic);
        let clear = if io::stderr().is_terminal() { CLEAR_LINE } else { "" };
        // A stderr that is gone leaves the exit code to speak.
        let _ = writeln!(io::stderr(), "{clear}error[{}]: {failure}", failure.id);
        process::exit(failure.exit() as i32);
    }));
}

fn failure(panic: &PanicHookInfo<'_>) -> Failure {
    let place = panic.location().map(|place| format!(" ({place})")).unwrap_or_default();
    let version = env!("CARGO_PKG_VERSION");
    Failure::new(Id::Other, "kubectl-jattach has a defect of its own, and stopped")
        .evidence(format!("{}{place}, version {version}", words(panic.payload())))
        .remedy(concat!(
            "run it again: a dump that was on its way is gone on with; and please report these lines at\n",
            env!("CARGO_PKG_REPOSITORY"),
            "/issues",
        ))
}

/// What stood in the `panic!`.
fn words(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without words")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::env;
    use std::process::Command;
    use std::thread;

    #[test]
    fn a_panic_of_any_thread_is_reported_and_ends_the_program() {
        /// Set in the program that panics: this one, started again.
        const PANICS: &str = "JATTACH_TEST_PANICS";
        const NAME: &str = "defect::tests::a_panic_of_any_thread_is_reported_and_ends_the_program";
        if env::var_os(PANICS).is_some() {
            install_hook();
            let _ = thread::spawn(|| panic!("pod \x1b[2J has {} JVMs", -1)).join();
            process::exit(0);
        }
        let program = env::current_exe().expect("a test is a program");
        let ran = Command::new(program).args(["--exact", NAME, "--nocapture"]).env(PANICS, "1").output();
        let ran = ran.expect("a test can be started");
        let said = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(1), "{said}");
        assert!(said.contains("error[JAT-001]: kubectl-jattach has a defect of its own"), "{said}");
        assert!(said.contains("has -1 JVMs (plugin/src/defect.rs:") && said.contains("/issues"), "{said}");
        assert!(!said.contains('\x1b'), "{said}");
    }
}

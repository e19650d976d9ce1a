//! The right of root: this process has it, or sudo gives it.

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use super::find;

/// Runs a command as root, and takes assignments of variables before it.
pub(crate) const SUDO: &str = "sudo";
/// Does the same for the user that this process is.
pub(crate) const AS_IT_IS: &str = "env";

/// Whether this process is root's.
pub(crate) fn is_root(sh: &Shell) -> bool {
    cmd!(sh, "id -u").quiet().read().is_ok_and(|uid| uid == "0")
}

/// Which of the two runs a command as root here.
pub(crate) fn runner(sh: &Shell) -> Result<&'static str> {
    if is_root(sh) {
        return Ok(AS_IT_IS);
    }
    if find(SUDO).is_some() {
        return Ok(SUDO);
    }
    bail!("this needs root, and there is no sudo: run it as root")
}

/// Whether a command would run as root, found out before minutes of building; sudo may ask for a password.
pub(crate) fn check(sh: &Shell) -> Result<()> {
    let runner = runner(sh)?;
    cmd!(sh, "{runner} true").quiet().run().context("sudo does not make this user root")
}

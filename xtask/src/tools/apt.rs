//! Debian and Ubuntu packages: installing them.

use std::io::{self, IsTerminal, Write};

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use super::{find, root};

/// Installs `packages`. Only who uses sudo is asked, and not with `yes`.
///
/// Without apt, or without the right to use it, the error names the packages.
pub(crate) fn install(sh: &Shell, packages: &[&str], yes: bool) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let wanted = packages.join(" ");
    if find("apt-get").is_none() {
        bail!("this machine has no apt: install by its own means what Debian calls {wanted}");
    }
    let runner = root::runner(sh).with_context(|| format!("these packages are missing: {wanted}"))?;
    if runner == root::SUDO && !yes && !agreed(&wanted)? {
        bail!("these packages are missing, and stay so as you said: {wanted}");
    }
    if let Err(error) = cmd!(sh, "{runner} apt-get update -q").run() {
        // Often some other repository's fault. Whether it matters, the next command tells.
        eprintln!("warning: {error}");
    }
    // With --no-remove, because Debian's runc would take the place of Docker's containerd.io, and Docker with it.
    let options = ["-q", "-y", "--no-remove", "--no-install-recommends"];
    cmd!(sh, "{runner} DEBIAN_FRONTEND=noninteractive apt-get install {options...} {packages...}")
        .run()
        .with_context(|| format!("apt does not install {wanted}; it says why above (Ubuntu has some in universe)"))
}

fn agreed(wanted: &str) -> Result<bool> {
    if !io::stdin().is_terminal() {
        bail!("these packages are missing, and nobody is there to be asked: {wanted}; --yes installs them");
    }
    eprint!("Install {wanted} with apt? [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

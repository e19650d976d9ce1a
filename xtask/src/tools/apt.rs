//! Debian and Ubuntu packages: which are missing, and installing them.

use std::io::{self, IsTerminal, Write};

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use super::find;

const SUDO: &str = "sudo";

/// Installs those of `packages` that are missing.
///
/// Root and `--yes` are not asked. Without apt, or without the right to use it, the error names the packages.
pub(crate) fn ensure(sh: &Shell, packages: &[&str], yes: bool) -> Result<()> {
    let wanted = packages.join(" ");
    if find("apt-get").is_none() || find("dpkg-query").is_none() {
        bail!("this machine has no apt: install what Debian calls {wanted} by other means");
    }
    let missing: &[&str] = &packages.iter().copied().filter(|package| !is_installed(sh, package)).collect::<Vec<_>>();
    if missing.is_empty() {
        return Ok(());
    }
    let runner = runner(sh).with_context(|| format!("missing packages: {}", missing.join(" ")))?;
    if runner == SUDO && !yes && !agreed(missing)? {
        bail!("not installed, as you said: {}", missing.join(" "));
    }
    cmd!(sh, "{runner} apt-get update -q").run().context("failed to read the lists of packages")?;
    cmd!(sh, "{runner} DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends {missing...}")
        .run()
        .with_context(|| format!("failed to install {}", missing.join(" ")))
}

/// Whether dpkg has that package, unpacked and configured.
pub(crate) fn is_installed(sh: &Shell, package: &str) -> bool {
    let format = "${db:Status-Status}";
    let status = cmd!(sh, "dpkg-query --show --showformat={format} {package}").quiet().ignore_stderr().read();
    status.is_ok_and(|status| status == "installed")
}

/// Whether apt could install that package. Its lists may be empty before the first `apt-get update`.
pub(crate) fn is_known(sh: &Shell, package: &str) -> bool {
    let policy = cmd!(sh, "apt-cache policy {package}").quiet().ignore_stderr().read().unwrap_or_default();
    policy.lines().any(|line| line.trim_start().starts_with("Candidate:") && !line.contains("(none)"))
}

/// Whether this process is root's.
pub(crate) fn is_root(sh: &Shell) -> bool {
    cmd!(sh, "id -u").quiet().read().is_ok_and(|uid| uid == "0")
}

/// What runs a command as root, and takes assignments of variables before it.
fn runner(sh: &Shell) -> Result<&'static str> {
    if is_root(sh) {
        return Ok("env");
    }
    if find(SUDO).is_some() {
        return Ok(SUDO);
    }
    bail!("installing them needs root or sudo: run `apt-get install` for them as root")
}

fn agreed(missing: &[&str]) -> Result<bool> {
    if !io::stdin().is_terminal() {
        bail!("nobody to ask whether to install {}: pass --yes", missing.join(" "));
    }
    eprint!("Install {} with apt? [y/N] ", missing.join(" "));
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

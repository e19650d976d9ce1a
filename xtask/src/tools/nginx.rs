//! nginx, a program that takes SIGQUIT for a request to end: unpacked from this machine's own release, never installed.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use xshell::cmd;

use super::{find, suite};
use crate::workspace::Workspace;

/// Its path: the machine's own, or the one that is fetched. What it is linked with has to be on the machine: libraries that
/// a machine with git has.
pub(crate) fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(program) = find("nginx") {
        return Ok(program);
    }
    let root = workspace.tools().join("nginx");
    let program = root.join("usr/sbin/nginx");
    let sh = workspace.shell()?;
    if !program.is_file() {
        let download = root.with_extension("download");
        suite::empty(&download)?;
        suite::empty(&root)?;
        let dir = sh.push_dir(&download);
        cmd!(sh, "apt-get download -q -o APT::Sandbox::User=root nginx").ignore_stdout().run()?;
        drop(dir);
        let package = fs::read_dir(&download)?.next().context("apt has left no package")??.path();
        suite::unpack(&package, &root)?;
        fs::remove_dir_all(&download)?;
        ensure!(program.is_file(), "this machine's package nginx has no program of that name");
    }
    cmd!(sh, "{program} -v").quiet().ignore_stderr().run().context("nginx does not run on this machine")?;
    Ok(program)
}

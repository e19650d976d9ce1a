//! hprof-slurp, a reader of heap dumps that others wrote: it has to find in a dump what ours finds.

use std::path::PathBuf;

use anyhow::{Context, Result};
use xshell::cmd;

use crate::workspace::Workspace;

const VERSION: &str = "0.10.0";

/// Its path, compiled from crates.io if need be.
pub(crate) fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    let (program, folder) = (path(workspace), folder(workspace));
    if !program.is_file() {
        let (sh, cargo) = (workspace.shell()?, workspace.cargo());
        cmd!(sh, "{cargo} install --quiet --locked hprof-slurp --version {VERSION} --root {folder}")
            .run()
            .context("hprof-slurp cannot be installed")?;
    }
    Ok(program)
}

/// Its path where it is there already.
pub(crate) fn installed(workspace: &Workspace) -> Option<PathBuf> {
    Some(path(workspace)).filter(|program| program.is_file())
}

fn path(workspace: &Workspace) -> PathBuf {
    folder(workspace).join("bin/hprof-slurp")
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.tools().join(format!("hprof-slurp-{VERSION}"))
}

//! `cargo xtask injector`: the static binary of the image.

use anyhow::Result;

use crate::cli::Injector;
use crate::static_build;
use crate::workspace::Workspace;

/// Builds it; the last line on stdout is its path.
pub(crate) fn run(workspace: &Workspace, arguments: &Injector, yes: bool) -> Result<()> {
    let path = static_build::build(workspace, arguments.arch, arguments.std, yes)?;
    println!("{}", path.display());
    Ok(())
}

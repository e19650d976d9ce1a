//! hprof-slurp, a reader of heap dumps that others wrote: it has to find in a dump what ours finds.

use std::path::PathBuf;

use anyhow::Result;

use super::cargo_tool::CargoTool;
use crate::workspace::Workspace;

const TOOL: CargoTool = CargoTool { name: "hprof-slurp", version: "0.10.0", optimized: true };

/// Its path, compiled from crates.io if need be.
pub(crate) fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    TOOL.ensure(workspace)
}

/// Its path where it is there already.
pub(crate) fn installed(workspace: &Workspace) -> Option<PathBuf> {
    TOOL.installed(workspace)
}

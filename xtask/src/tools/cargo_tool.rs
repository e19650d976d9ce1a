//! Programs that crates.io has and no package brings: compiled once, each version in a folder of its own under target/tools.

use std::path::PathBuf;

use anyhow::{Context, Result};
use xshell::cmd;

use crate::workspace::Workspace;

/// A program of crates.io, pinned.
pub(crate) struct CargoTool {
    /// The package, and its program, whose name is the same.
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// Whether what it does takes longer than optimising it.
    pub(crate) optimized: bool,
}

impl CargoTool {
    /// Its path, compiled if need be.
    pub(crate) fn ensure(&self, workspace: &Workspace) -> Result<PathBuf> {
        let program = self.path(workspace);
        if !program.is_file() {
            let CargoTool { name, version, optimized } = self;
            let (sh, cargo, folder) = (workspace.shell()?, workspace.cargo(), self.folder(workspace));
            let profile: &[&str] = if *optimized { &[] } else { &["--debug"] };
            eprintln!("compiling {name} {version} into {}", folder.display());
            cmd!(sh, "{cargo} install --quiet --locked {profile...} {name} --version {version} --root {folder}")
                // Nobody debugs it.
                .env("CARGO_PROFILE_DEV_DEBUG", "0")
                .run()
                .with_context(|| format!("{name} cannot be installed"))?;
        }
        Ok(program)
    }

    /// Its path where it is there already.
    pub(crate) fn installed(&self, workspace: &Workspace) -> Option<PathBuf> {
        Some(self.path(workspace)).filter(|program| program.is_file())
    }

    fn path(&self, workspace: &Workspace) -> PathBuf {
        self.folder(workspace).join("bin").join(self.name)
    }

    fn folder(&self, workspace: &Workspace) -> PathBuf {
        workspace.tools().join(format!("{}-{}", self.name, self.version))
    }
}

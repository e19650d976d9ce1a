//! Where the workspace is and what its Cargo.toml says of the project: version, addresses.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result};
use serde::Deserialize;
use xshell::Shell;

/// The work tree and the facts of its root Cargo.toml.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    facts: Facts,
}

#[derive(Debug, Deserialize)]
struct Manifest {
    workspace: ManifestWorkspace,
}

#[derive(Debug, Deserialize)]
struct ManifestWorkspace {
    package: Facts,
    metadata: Metadata,
}

/// `[workspace.package]`, as far as it is used here.
#[derive(Clone, Debug, Deserialize)]
struct Facts {
    version: String,
    #[cfg(test)]
    repository: String,
    #[serde(skip)]
    image: String,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    jattach: Addresses,
}

#[derive(Debug, Deserialize)]
struct Addresses {
    image: String,
}

impl Workspace {
    /// The workspace that this xtask belongs to.
    pub(crate) fn find() -> Result<Workspace> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
        let path = root.join("Cargo.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
        let manifest: Manifest =
            toml::from_str(&text).with_context(|| format!("failed to parse {}", path.display()))?;
        let facts = Facts { image: manifest.workspace.metadata.jattach.image, ..manifest.workspace.package };
        Ok(Workspace { root: root.to_path_buf(), facts })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's target directory; everything that xtask makes or caches lies below it.
    pub(crate) fn target(&self) -> PathBuf {
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.root.join("target"), |dir| self.root.join(dir))
    }

    /// Where tools that no distribution package provides are kept.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target().join("tools")
    }

    /// Where the injectors lie that the plugin carries (`.cargo/config.toml` names it for every build).
    pub(crate) fn injectors(&self) -> PathBuf {
        env::var_os("JATTACH_INJECTORS").map_or_else(|| self.target().join("injectors"), PathBuf::from)
    }

    /// Where the OCI archives go.
    pub(crate) fn images(&self) -> PathBuf {
        self.target().join("images")
    }

    /// Where a release goes.
    pub(crate) fn dist(&self) -> PathBuf {
        self.root.join("dist")
    }

    /// A path for people: relative to the workspace where it lies below it.
    pub(crate) fn short(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }

    pub(crate) fn version(&self) -> &str {
        &self.facts.version
    }

    #[cfg(test)]
    pub(crate) fn repository(&self) -> &str {
        &self.facts.repository
    }

    /// The injector's image with its tag.
    pub(crate) fn injector_image(&self) -> String {
        format!("{}:{}", self.facts.image, self.facts.version)
    }

    /// A shell whose directory is the workspace's root.
    pub(crate) fn shell(&self) -> Result<Shell> {
        let shell = Shell::new().context("failed to start a shell")?;
        shell.change_dir(&self.root);
        Ok(shell)
    }

    /// The cargo that runs us.
    pub(crate) fn cargo(&self) -> PathBuf {
        env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
    }
}

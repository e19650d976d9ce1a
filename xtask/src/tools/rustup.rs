//! What rustup knows of the toolchain in use, and what it can add.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use super::find;

/// The folder of the toolchain that builds this workspace.
pub(crate) fn sysroot(sh: &Shell) -> Result<PathBuf> {
    Ok(cmd!(sh, "rustc --print sysroot").quiet().read().context("failed to ask rustc for its sysroot")?.into())
}

/// The toolchain's version, as in `1.95.0`.
pub(crate) fn version(sh: &Shell) -> Result<String> {
    let text = cmd!(sh, "rustc --version").quiet().read().context("failed to ask rustc for its version")?;
    text.split(' ').nth(1).map(str::to_owned).with_context(|| format!("no version in {text:?}"))
}

/// Sees to it that the toolchain has the prebuilt standard library of a target.
pub(crate) fn ensure_target(sh: &Shell, triple: &str) -> Result<()> {
    // A folder of the same name may hold only a part of it: the host's own tools.
    let library = sysroot(sh)?.join("lib/rustlib").join(triple).join("lib");
    if library.exists() { Ok(()) } else { add(sh, "target", triple) }
}

/// Adds a component (`rust-src`) or, with `kind` "target", a prebuilt standard library to the toolchain in use.
pub(crate) fn add(sh: &Shell, kind: &str, name: &str) -> Result<()> {
    if find("rustup").is_none() {
        bail!("this toolchain is not rustup's");
    }
    cmd!(sh, "rustup {kind} add {name}").run().with_context(|| format!("rustup cannot add {name} here"))
}

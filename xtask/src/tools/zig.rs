//! zig as C compiler and linker for musl: it brings musl, so that neither musl-tools nor a cross compiler is needed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::python::{self, Wheel};
use crate::arch::Arch;
use crate::workspace::Workspace;

const WHEEL: Wheel = Wheel { package: "ziglang", version: "0.17.1" };

/// The programs that cargo and the `cc` crate are pointed to.
pub(crate) struct Zig {
    pub(crate) cc: PathBuf,
    pub(crate) ar: PathBuf,
}

/// zig for static musl on `arch`.
pub(crate) fn ensure(workspace: &Workspace, arch: Arch, yes: bool) -> Result<Zig> {
    let tools = workspace.tools();
    let python = python::environment(&workspace.shell()?, &tools, &WHEEL, yes)?.join("bin/python");
    let cache = tools.join("zig-cache");
    let zig = |name: &str, command: &str| {
        let text = script(&python, &cache, command);
        write_program(&tools.join(format!("zig-{name}-{}", arch.rust())), &text)
    };
    Ok(Zig { cc: zig("cc", &format!("cc -target {}-linux-musl", arch.rust()))?, ar: zig("ar", "ar")? })
}

/// A program that runs zig: cargo wants one path, not a command line. `--target` is dropped because rustc and the `cc`
/// crate name the target in a way that zig refuses.
fn script(python: &Path, cache: &Path, command: &str) -> String {
    format!(
        r#"#!/bin/sh
export ZIG_GLOBAL_CACHE_DIR='{cache}' ZIG_LOCAL_CACHE_DIR='{cache}'
for argument do
    shift
    case $argument in --target=*) ;; *) set -- "$@" "$argument" ;; esac
done
exec '{python}' -m ziglang {command} "$@"
"#,
        python = python.display(),
        cache = cache.display(),
    )
}

/// Leaves an unchanged script alone: its time stamp is part of cargo's fingerprints.
fn write_program(path: &Path, text: &str) -> Result<PathBuf> {
    if fs::read_to_string(path).is_ok_and(|present| present == text) {
        return Ok(path.to_path_buf());
    }
    fs::write(path, text)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o755)))
        .with_context(|| format!("failed to write {}", path.display()))?;
    Ok(path.to_path_buf())
}

//! zig as C compiler and linker for every system that something here is made for: it brings their C libraries, so that no cross
//! compiler is needed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use xshell::{Cmd, cmd};

use super::python::{self, Wheel};
use crate::workspace::Workspace;

const WHEEL: Wheel = Wheel { package: "ziglang", version: "0.17.1" };

/// The programs that cargo and the `cc` crate are pointed to.
pub(crate) struct Zig {
    pub(crate) cc: PathBuf,
    pub(crate) ar: PathBuf,
    /// Where it keeps what it brings: `libc/musl`, `libc/mingw`.
    pub(crate) library: PathBuf,
}

impl Zig {
    /// Has a build for the target triple compile C and link with it.
    pub(crate) fn with<'a>(&self, build: Cmd<'a>, triple: &str) -> Cmd<'a> {
        let suffix = underscored(triple);
        build
            .env(format!("CARGO_TARGET_{}_LINKER", suffix.to_uppercase()), &self.cc)
            .env(format!("CC_{suffix}"), &self.cc)
            .env(format!("AR_{suffix}"), &self.ar)
    }
}

/// A target triple as the names of variables have it.
pub(crate) fn underscored(triple: &str) -> String {
    triple.replace('-', "_")
}

/// zig for `target`, as zig names it: `x86_64-linux-musl`, `aarch64-macos`.
pub(crate) fn ensure(workspace: &Workspace, target: &str, yes: bool) -> Result<Zig> {
    let (sh, tools) = (workspace.shell()?, workspace.tools());
    let python = python::environment(&sh, &tools, &WHEEL, yes)?.join("bin/python");
    let cache = tools.join("zig-cache");
    let zig = |name: &str, command: &str| {
        let text = script(&python, &cache, command, target.contains("windows"));
        write_program(&tools.join(format!("zig-{name}-{target}")), &text)
    };
    let package = "import os, ziglang; print(os.path.dirname(ziglang.__file__))";
    let package = cmd!(sh, "{python} -c {package}").quiet().read().context("zig's package is not whole")?;
    Ok(Zig {
        cc: zig("cc", &format!("cc -target {target}"))?,
        ar: zig("ar", "ar")?,
        library: Path::new(&package).join("lib"),
    })
}

/// A program that runs zig: cargo wants one path, not a command line. `--target` is dropped because rustc and the `cc`
/// crate name the target in a way that zig refuses. For Windows, its old C library is, because zig links with the one that took
/// its place, and which kind of library is meant: what a DLL is linked by is an archive all the same.
fn script(python: &Path, cache: &Path, command: &str, is_windows: bool) -> String {
    let dropped = if is_windows { " | -lmsvcrt | -Wl,-Bstatic | -Wl,-Bdynamic" } else { "" };
    format!(
        r#"#!/bin/sh
export ZIG_GLOBAL_CACHE_DIR='{cache}' ZIG_LOCAL_CACHE_DIR='{cache}'
for argument do
    shift
    case $argument in --target=*{dropped}) ;; *) set -- "$@" "$argument" ;; esac
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

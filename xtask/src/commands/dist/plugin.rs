//! The plugin for one platform, compiled and linked on this machine.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use xshell::cmd;

use super::apple;
use super::platform::{Os, Platform};
use crate::arch::Arch;
use crate::elf;
use crate::tools::cargo_tool::CargoTool;
use crate::tools::rust_src::{self, RustSrc};
use crate::tools::rustup;
use crate::tools::zig;
use crate::workspace::Workspace;

/// Writes the list of the crates it is made of into a program, where `cargo audit bin` and scanners of images read it.
const AUDITABLE: CargoTool = CargoTool { name: "cargo-auditable", version: "0.7.7", optimized: false };

/// A program that ends with its first panic walks no stack.
const NO_UNWINDING: &str = "-Cforce-unwind-tables=no";

/// What the plugin may weigh, stripped, in bytes.
const SIZE_TARGET: u64 = 8_000_000;

/// Compiles it and returns its path. `image` is what it starts in a pod if it is not told otherwise.
///
/// # Errors
/// What this machine lacks for it; what the compiler says; that it is too large.
pub(super) fn build(workspace: &Workspace, platform: Platform, image: &str, yes: bool) -> Result<PathBuf> {
    let (sh, triple) = (workspace.shell()?, platform.triple());
    let zig = zig::ensure(workspace, &platform.zig(), yes).context("zig is not to be had")?;
    let source = rust_src::ensure(workspace).context("there is no source of the standard library")?;
    let auditable = AUDITABLE.ensure(workspace)?;
    let build = cmd!(sh, "{auditable} auditable build --locked --release --package kubectl-jattach --target {triple}");
    let build = zig.with(build, &triple).env("JATTACH_IMAGE", image).env("JATTACH_INJECTORS", workspace.injectors());
    let flags = [remap(workspace, &source)?, flags(workspace, platform)?].concat();
    let build = build.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    // Of its own features none: a stripped program has no names for a backtrace.
    source.with(build, "").run().context("the plugin does not build")?;
    let path = workspace.target().join(&triple).join("release").join(platform.program());
    check(&path, platform)?;
    Ok(path)
}

/// No path of this machine gets into the program, so that another clone makes the same one.
fn remap(workspace: &Workspace, source: &RustSrc) -> Result<Vec<String>> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    let home = home.context("neither CARGO_HOME nor HOME is set")?;
    let sysroot = rustup::sysroot(&workspace.shell()?)?.join("lib/rustlib/src/rust");
    let mut folders = vec![(workspace.root().to_path_buf(), "/jattach"), (home, "/cargo"), (sysroot, "/rust")];
    if let RustSrc::Folder(folder) = source {
        folders.push((folder.clone(), "/rust/library"));
    }
    Ok(folders.iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())).collect())
}

fn flags(workspace: &Workspace, platform: Platform) -> Result<Vec<String>> {
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    Ok(match platform.os {
        // As for the injector: nothing is left to a loader. zig brings the C library's start files.
        Os::Linux => words(&["-Crelocation-model=static", "-Clink-self-contained=no", NO_UNWINDING]),
        // Its calling convention has the tables.
        Os::Windows => words(&["-Clink-self-contained=no"]),
        Os::Darwin => [words(&[NO_UNWINDING]), apple::link_flags(workspace)?].concat(),
    })
}

fn check(path: &Path, platform: Platform) -> Result<()> {
    if platform.os == Os::Linux {
        elf::assert_static(path)?;
    }
    let size = fs::metadata(path).with_context(|| format!("failed to look at {}", path.display()))?.len();
    eprintln!("plugin for {platform}: {size} bytes; it may have {SIZE_TARGET}");
    ensure!(size <= SIZE_TARGET, "{} is larger than it may be", path.display());
    Ok(())
}

/// Whether programs for a platform can be started on this machine as they are.
pub(super) fn is_native(platform: Platform) -> bool {
    platform.os == Os::Linux && platform.arch == Arch::host()
}

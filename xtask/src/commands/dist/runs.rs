//! Whether what was built starts at all: here, in qemu's user mode, under wine.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use super::platform::{Os, Platform};
use super::plugin;
use crate::arch::Arch;
use crate::tools::emulator::{Emulator, QEMU_AMD64, QEMU_ARM64, WINE};
use crate::tools::zig;
use crate::workspace::Workspace;

/// Where Rust's standard library has its random numbers from on Windows, and wine knows no such library before version 9.
const RANDOM_NUMBERS: &str = "\
    __declspec(dllimport) unsigned char __stdcall SystemFunction036(void *, unsigned long);\n\
    __declspec(dllexport) int __stdcall ProcessPrng(void *buffer, unsigned long long length) {\n\
    \x20   return SystemFunction036(buffer, (unsigned long)length);\n\
    }\n";

/// How the plugin's platform is tried.
enum Way {
    Native,
    Emulated(Emulator),
    Untried(&'static str),
}

fn way(platform: Platform) -> Way {
    match (platform.os, platform.arch) {
        _ if plugin::is_native(platform) => Way::Native,
        (Os::Linux, Arch::Aarch64) => Way::Emulated(QEMU_ARM64),
        (Os::Linux, Arch::X86_64) => Way::Emulated(QEMU_AMD64),
        (Os::Windows, Arch::X86_64) if Arch::host() == Arch::X86_64 => Way::Emulated(WINE),
        (Os::Windows, _) => Way::Untried("wine runs no programs of another processor"),
        (Os::Darwin, _) => Way::Untried("nothing on Linux runs it"),
    }
}

/// What became of trying a program.
pub(super) enum Tried {
    /// It did what was asked.
    Ran,
    /// This machine lacks what it would be tried with.
    NotHere(String),
    /// Nothing on a machine like this one can try it.
    Never(&'static str),
}

/// Starts the plugin for its version, which has to name `image`, and for its help.
pub(super) fn plugin(
    workspace: &Workspace,
    platform: Platform,
    program: &Path,
    image: &str,
    yes: bool,
) -> Result<Tried> {
    let sh = workspace.shell()?;
    let emulator = match way(platform) {
        Way::Untried(why) => return Ok(Tried::Never(why)),
        Way::Native => None,
        Way::Emulated(emulator) => match emulator.ensure(&sh, yes) {
            Ok(()) => Some(emulator.program),
            Err(error) => return Ok(Tried::NotHere(format!("{error:#}"))),
        },
    };
    if platform.os == Os::Windows {
        sh.set_var("WINEPATH", random_numbers(workspace, platform, yes)?);
    }
    let said = |word: &str| said(workspace, &sh, emulator, program, word);
    let version = said("version")?;
    ensure!(version.contains(image), "{} does not name {image} as its image: {version}", program.display());
    let help = said("--help")?;
    ensure!(help.contains("Usage:"), "{} --help is no help: {help}", program.display());
    Ok(Tried::Ran)
}

/// Starts the injector for its version.
pub(super) fn injector(workspace: &Workspace, arch: Arch, program: &Path, yes: bool) -> Result<Tried> {
    let sh = workspace.shell()?;
    let emulator = match arch {
        _ if arch == Arch::host() => None,
        Arch::Aarch64 => Some(QEMU_ARM64),
        Arch::X86_64 => Some(QEMU_AMD64),
    };
    if let Some(Err(error)) = emulator.as_ref().map(|emulator| emulator.ensure(&sh, yes)) {
        return Ok(Tried::NotHere(format!("{error:#}")));
    }
    let version = said(workspace, &sh, emulator.map(|emulator| emulator.program), program, "--version")?;
    ensure!(version.contains(workspace.version()), "{} says of itself: {version}", program.display());
    Ok(Tried::Ran)
}

/// The folder with the library that wine lacks, as wine calls it.
fn random_numbers(workspace: &Workspace, platform: Platform, yes: bool) -> Result<String> {
    let (sh, folder) = (workspace.shell()?, workspace.target().join("wine-libraries"));
    let (source, library) = (folder.join("random.c"), folder.join("bcryptprimitives.dll"));
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&source, RANDOM_NUMBERS))
        .with_context(|| format!("failed to write {}", source.display()))?;
    let cc = zig::ensure(workspace, &platform.zig(), yes)?.cc;
    cmd!(sh, "{cc} -shared -Os -o {library} {source} -ladvapi32").run()?;
    Ok(format!("Z:{}", folder.display()).replace('/', "\\"))
}

/// What the program prints for one word.
fn said(workspace: &Workspace, sh: &Shell, emulator: Option<&str>, program: &Path, word: &str) -> Result<String> {
    let command = match emulator {
        None => cmd!(sh, "{program} {word}"),
        Some(emulator) => cmd!(sh, "{emulator} {program} {word}"),
    };
    command
        // Nobody's own settings count, and wine says nothing of what it lacks for windows and sound.
        .env("HOME", workspace.target().join("nobody"))
        .env("XDG_CONFIG_HOME", workspace.target().join("nobody"))
        .env_remove("KUBECTL_JATTACH_IMAGE")
        .env("WINEPREFIX", workspace.target().join("wine"))
        .env("WINEDEBUG", "-all")
        .read()
        .with_context(|| format!("{} does not start", program.display()))
}

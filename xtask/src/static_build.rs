//! The static injector: three ways to build it, best first, and the levers that make it small.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use xshell::{Cmd, cmd};

use crate::arch::Arch;
use crate::cli::StdSource;
use crate::elf;
use crate::tools::rust_src::{self, RustSrc};
use crate::tools::zig::{self, Zig, underscored};
use crate::tools::{find, rustup};
use crate::workspace::Workspace;

/// What the injector may weigh, in bytes: every pod that is looked at pulls it. It is what it weighs and 1 %, and is only to fall.
pub(crate) const SIZE_TARGET: u64 = 348_700;

/// The injector compresses at level 1, which is the "fast" block compressor alone; the others are left out. For size instead of
/// speed it would be 10 KB smaller, and take twice as long for a block.
const ZSTD_CFLAGS: &str = "-O2 -fomit-frame-pointer \
    -fno-asynchronous-unwind-tables -fno-unwind-tables -DDYNAMIC_BMI2=0 -DZSTD_STRIP_ERROR_STRINGS=1 -DZSTD_TRACE=0 \
    -DZSTD_EXCLUDE_DFAST_BLOCK_COMPRESSOR -DZSTD_EXCLUDE_GREEDY_BLOCK_COMPRESSOR \
    -DZSTD_EXCLUDE_LAZY_BLOCK_COMPRESSOR -DZSTD_EXCLUDE_LAZY2_BLOCK_COMPRESSOR \
    -DZSTD_EXCLUDE_BTLAZY2_BLOCK_COMPRESSOR -DZSTD_EXCLUDE_BTOPT_BLOCK_COMPRESSOR \
    -DZSTD_EXCLUDE_BTULTRA_BLOCK_COMPRESSOR";

/// A way to a static binary, with what it needs at hand.
enum Way {
    /// musl and the standard library built for size.
    Source { src: RustSrc, zig: Zig },
    /// musl with rustup's prebuilt standard library.
    Rustup { zig: Option<Zig> },
    /// The glibc target, linked statically.
    Gnu,
}

/// The level that what the plugin carries is compressed at: each download of the plugin brings it.
const LEVEL: i32 = 19;

/// Builds the injector as [`program`] does. The plugin's next build carries it.
pub(crate) fn build(workspace: &Workspace, arch: Arch, wanted: Option<StdSource>, yes: bool) -> Result<PathBuf> {
    let path = program(workspace, arch, wanted, yes)?;
    hand_to_plugin(workspace, arch, &path)?;
    Ok(path)
}

/// Builds the injector for `arch`, checks that it is static, says its size, and returns its path.
///
/// Only what is missing leads to the next way; code that does not compile is an error at once.
pub(crate) fn program(workspace: &Workspace, arch: Arch, wanted: Option<StdSource>, yes: bool) -> Result<PathBuf> {
    let way = match wanted {
        Some(source) => find_way(workspace, arch, source, yes)?,
        None => first_way(workspace, arch, yes)?,
    };
    let path = compile(workspace, arch, &way)?;
    elf::assert_static(&path)?;
    let size = fs::metadata(&path).with_context(|| format!("failed to look at {}", path.display()))?.len();
    let verdict = if size <= SIZE_TARGET { "within" } else { "OVER" };
    eprintln!("injector for {}: static, {size} bytes, {verdict} the target of {SIZE_TARGET}", arch.rust());
    ensure!(
        size <= SIZE_TARGET || arch != Arch::X86_64 || !matches!(way, Way::Source { .. }),
        "{} is larger than it may be: `nm -SC --size-sort` of a build with CARGO_PROFILE_INJECTOR_STRIP=none shows by what",
        path.display()
    );
    Ok(path)
}

/// Puts it where `plugin/build.rs` looks for it. As it is there already, nothing is written: the plugin is built anew
/// after each change of that file.
fn hand_to_plugin(workspace: &Workspace, arch: Arch, binary: &Path) -> Result<()> {
    let program = fs::read(binary).with_context(|| format!("failed to read {}", binary.display()))?;
    let packed = zstd::encode_all(program.as_slice(), LEVEL).context("failed to compress the injector")?;
    let folder = workspace.injectors();
    let path = folder.join(format!("injector-{}.zst", arch.rust()));
    let before = fs::read(&path).ok();
    if before.as_ref() == Some(&packed) {
        return Ok(());
    }
    fs::create_dir_all(&folder).with_context(|| format!("failed to create {}", folder.display()))?;
    fs::write(&path, &packed).with_context(|| format!("failed to write {}", path.display()))?;
    if before.is_none() {
        // Cargo cannot watch a file that is not there, but it looks at the script's own time.
        let script = workspace.root().join("plugin/build.rs");
        let touched = File::options().append(true).open(&script).and_then(|file| file.set_modified(SystemTime::now()));
        touched.with_context(|| format!("failed to touch {}", script.display()))?;
    }
    eprintln!("the plugin carries it as {} bytes", packed.len());
    Ok(())
}

fn first_way(workspace: &Workspace, arch: Arch, yes: bool) -> Result<Way> {
    for (source, next) in [(StdSource::Source, "rustup's musl target"), (StdSource::Rustup, "static glibc")] {
        match find_way(workspace, arch, source, yes) {
            Ok(way) => return Ok(way),
            Err(error) => eprintln!("warning: {error:#}\nwarning: falling back to {next}: the injector will be larger"),
        }
    }
    find_way(workspace, arch, StdSource::Gnu, yes)
}

fn find_way(workspace: &Workspace, arch: Arch, source: StdSource, yes: bool) -> Result<Way> {
    match source {
        StdSource::Source => {
            let zig =
                zig::ensure(workspace, &format!("{}-linux-musl", arch.rust()), yes).context("zig is not to be had")?;
            let src = rust_src::ensure(workspace).context("the standard library's source is not to be had")?;
            Ok(Way::Source { src, zig })
        }
        StdSource::Rustup => {
            rustup::ensure_target(&workspace.shell()?, &triple(arch, "musl"))?;
            let zig = zig::ensure(workspace, &format!("{}-linux-musl", arch.rust()), yes).ok();
            ensure!(
                zig.is_some() || (arch == Arch::host() && find("musl-gcc").is_some()),
                "there is neither zig nor musl-gcc (Debian: musl-tools) to compile zstd with"
            );
            Ok(Way::Rustup { zig })
        }
        StdSource::Gnu => {
            ensure!(arch == Arch::host(), "static glibc is for the host's own processor only");
            Ok(Way::Gnu)
        }
    }
}

fn compile(workspace: &Workspace, arch: Arch, way: &Way) -> Result<PathBuf> {
    let sh = workspace.shell()?;
    let cargo = workspace.cargo();
    let triple = triple(arch, if matches!(way, Way::Gnu) { "gnu" } else { "musl" });
    let build = cmd!(sh, "{cargo} rustc --locked --package jattach-injector --bin injector");
    let build = build.args(["--profile", "injector", "--target", &triple]);
    let build = build.env(format!("CFLAGS_{}", underscored(&triple)), ZSTD_CFLAGS);
    // Were they set, the flags below would not count.
    let build = build.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    let build = match way {
        Way::Source { src, zig } => from_source(zig.with(build, &triple), src, &triple)
            // Behind all of cargo's own options. Cargo does not see a change of the script: touch a source file along with it.
            .args(["--", &format!("-Clink-arg=-T{}", workspace.root().join("injector/injector.ld").display())]),
        Way::Rustup { zig: Some(zig) } => rustflags(zig.with(build, &triple), &triple, "-Clink-self-contained=no"),
        Way::Rustup { zig: None } => {
            rustflags(build.env(format!("CC_{}", underscored(&triple)), "musl-gcc"), &triple, "")
        }
        Way::Gnu => rustflags(build, &triple, "-Ctarget-feature=+crt-static"),
    };
    build.run().context("the injector does not build")?;
    Ok(workspace.target().join(triple).join("injector/injector"))
}

/// The levers that are no profile keys, and that only a standard library built along with the injector can follow.
fn from_source<'a>(build: Cmd<'a>, src: &RustSrc, triple: &str) -> Cmd<'a> {
    // What follows the linker is LLVM's, 10 KB on x86_64: functions of instruction sequences that occur several times, which it
    // leaves off there, and not only of the longest; nothing is inlined that has a large frame, because whatever lies
    // far down in one takes 8 bytes to reach; and no table of 8 bytes an entry for a short match.
    let flags = "-Zunstable-options -Cpanic=immediate-abort -Cforce-unwind-tables=no -Zlocation-detail=none \
                 -Zfmt-debug=none -Clink-self-contained=no -Cllvm-args=-enable-machine-outliner=always \
                 -Cllvm-args=-outliner-leaf-descendants=false -Cllvm-args=-inline-max-stacksize=256 \
                 -Cllvm-args=-tail-merge-size=2 -Cllvm-args=-min-jump-table-entries=10";
    src.with(rustflags(build, triple, flags), "optimize_for_size")
}

/// `relocation-model=static` keeps rustc from making a PIE, which some linkers turn into a dynamic one.
fn rustflags<'a>(build: Cmd<'a>, triple: &str, flags: &str) -> Cmd<'a> {
    build.env(
        format!("CARGO_TARGET_{}_RUSTFLAGS", underscored(triple).to_uppercase()),
        format!("-Crelocation-model=static {flags}").trim_end(),
    )
}

fn triple(arch: Arch, libc: &str) -> String {
    format!("{}-unknown-linux-{libc}", arch.rust())
}

//! The standard library's source, of exactly the toolchain's version: rustup's, else Debian's.

use std::fs;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, ensure};
use xshell::{Cmd, Shell};

use super::rustup;
use super::suite::{self, Suite};
use crate::workspace::Workspace;

/// Debian's suite that carries current rust packages.
const SUITE: &str = "trixie-backports";

/// Where cargo finds the source.
#[derive(Debug)]
pub(crate) enum RustSrc {
    /// Part of the toolchain: cargo looks there by itself.
    InToolchain,
    /// A `library` folder elsewhere, to be named to cargo.
    Folder(PathBuf),
}

impl RustSrc {
    /// Has a build make the standard library along, without unwinding: it takes part in everything that the build's flags say,
    /// and what nobody calls is left out.
    pub(crate) fn with<'a>(&self, build: Cmd<'a>, features: &str) -> Cmd<'a> {
        let features = format!("-Zbuild-std-features={features}");
        let build = build.args(["-Zbuild-std=std,panic_abort", &features]);
        // The pinned stable toolchain can do it; this variable is how it is told to.
        let build = build.env("RUSTC_BOOTSTRAP", "1");
        match self {
            RustSrc::InToolchain => build,
            RustSrc::Folder(folder) => build.env("__CARGO_TESTS_ONLY_SRC_ROOT", folder),
        }
    }
}

/// The source of the standard library, fetched if need be.
pub(crate) fn ensure(workspace: &Workspace) -> Result<RustSrc> {
    let sh = workspace.shell()?;
    let in_toolchain = rustup::sysroot(&sh)?.join("lib/rustlib/src/rust/library/Cargo.lock");
    if in_toolchain.exists() {
        return Ok(RustSrc::InToolchain);
    }
    let folder = workspace.tools().join(format!("rust-src-{}", rustup::version(&sh)?));
    if folder.join("Cargo.lock").exists() {
        return Ok(RustSrc::Folder(folder));
    }
    match rustup::add(&sh, "component", "rust-src") {
        Ok(()) if in_toolchain.exists() => return Ok(RustSrc::InToolchain),
        Ok(()) => eprintln!("rustup added rust-src, and {} is not there", in_toolchain.display()),
        Err(error) => eprintln!("{error:#}; trying Debian's package"),
    }
    from_debian(&sh, &workspace.tools(), &folder).context("no rust-src from Debian either")?;
    Ok(RustSrc::Folder(folder))
}

/// Fetches Debian's rust-src without touching the machine's own package lists: the suite is newer than the machine's,
/// and none of its packages is to be installed.
fn from_debian(sh: &Shell, tools: &Path, folder: &Path) -> Result<()> {
    let suite = Suite::open(sh, tools, SUITE)?;
    let (versions, upstream) = (suite.versions("rust-src")?, rustup::version(sh)?);
    let version = versions.iter().find(|version| is_upstream(version, &upstream));
    let version = version.with_context(|| format!("{SUITE} has rust-src {}, not {upstream}", versions.join(", ")))?;
    let download = tools.join("rust-src-download");
    let package = suite.download("rust-src", version, &download)?;
    let unpacked = tools.join("rust-src-unpacked");
    suite::empty(&unpacked)?;
    suite::read(&package, |content| unpack(content, &unpacked))?;
    fs::rename(&unpacked, folder).with_context(|| format!("failed to place {}", folder.display()))?;
    fs::remove_dir_all(&download).with_context(|| format!("failed to remove {}", download.display()))
}

/// Whether a Debian version is a packaging of that upstream version.
fn is_upstream(version: &str, upstream: &str) -> bool {
    version.strip_prefix(upstream).is_some_and(|rest| rest.starts_with(['+', '-', '~']))
}

/// Takes the `library` folder out of the package's content. The rest, 360 MB of it, is the compiler's.
fn unpack(stream: impl Read, into: &Path) -> Result<()> {
    let mut archive = tar::Archive::new(stream);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        if let Some(inner) = below_library(&path) {
            let place = into.join(&inner);
            if let Some(parent) = place.parent() {
                fs::create_dir_all(parent)?;
            }
            entry.unpack(&place).with_context(|| format!("failed to unpack {}", inner.display()))?;
        }
    }
    // dpkg-deb must not see a closed pipe: it would fail after all was well.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink())?;
    ensure!(into.join("Cargo.lock").exists(), "the package holds no library/Cargo.lock");
    Ok(())
}

/// `core/src/lib.rs` for `./usr/src/rustc-1.95.0/library/core/src/lib.rs`, None for what lies elsewhere.
fn below_library(path: &Path) -> Option<PathBuf> {
    let mut parts = path.components().filter(|part| *part != Component::CurDir);
    let prefix = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    let is_library =
        prefix[0].as_os_str() == "usr" && prefix[1].as_os_str() == "src" && prefix[3].as_os_str() == "library";
    let inner: PathBuf = parts.collect();
    let is_plain = inner.components().all(|part| matches!(part, Component::Normal(_)));
    (is_library && is_plain && inner.parent().is_some()).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debian_version_belongs_to_its_upstream_version_only() {
        assert!(is_upstream("1.95.0+dfsg1-2~bpo13+1", "1.95.0"));
        assert!(!is_upstream("1.95.01-1", "1.95.0"));
        assert!(!is_upstream("1.96.1+dfsg1-2~bpo13+1", "1.95.0"));
    }

    #[test]
    fn only_the_library_is_taken_from_the_package() {
        let library = below_library(Path::new("./usr/src/rustc-1.95.0/library/core/src/lib.rs"));
        assert_eq!(library.as_deref(), Some(Path::new("core/src/lib.rs")));
        assert_eq!(below_library(Path::new("./usr/src/rustc-1.95.0/src/etc/x.py")), None);
        assert_eq!(below_library(Path::new("./usr/src/rustc-1.95.0/library")), None);
        assert_eq!(below_library(Path::new("./usr/src/rustc-1.95.0/library/../../x")), None);
    }
}

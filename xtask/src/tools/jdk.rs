//! The JDKs of this machine, which the JVM images and the fixtures can be made from.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use xshell::Shell;

use super::apt;
use crate::arch::Arch;

/// Where Debian and Ubuntu put the JDKs.
const JVMS: &str = "/usr/lib/jvm";
/// Feature versions that they package, the preferred one first.
const VERSIONS: [u32; 3] = [17, 21, 25];
/// Whichever version the release prefers: Debian 12 has no 21, Debian 13 has no 17.
const PACKAGE: &str = "default-jdk-headless";

/// A JDK on this machine.
#[derive(Debug)]
pub(crate) struct Jdk {
    pub(crate) home: PathBuf,
    /// The feature version: 17 of 17.0.15, 8 of 1.8.0.
    pub(crate) version: u32,
}

impl Jdk {
    /// The JDK at `home`.
    pub(crate) fn at(home: &Path) -> Result<Jdk> {
        ensure!(home.join("bin/javac").is_file(), "{} is no JDK: it has no bin/javac", home.display());
        let release = home.join("release");
        let text = fs::read_to_string(&release).with_context(|| format!("failed to read {}", release.display()))?;
        let version = feature_version(&text).with_context(|| format!("no JAVA_VERSION in {}", release.display()))?;
        Ok(Jdk { home: home.to_path_buf(), version })
    }

    pub(crate) fn tool(&self, name: &str) -> PathBuf {
        self.home.join("bin").join(name)
    }

    /// What has tests take this one for the machine's own.
    pub(crate) fn variables(&self) -> Result<Vec<(&'static str, OsString)>> {
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths([self.home.join("bin")].into_iter().chain(env::split_paths(&path)))?;
        Ok(vec![("PATH", path)])
    }
}

/// The first known JDK of this machine.
pub(crate) fn installed() -> Option<Jdk> {
    let versions = VERSIONS.into_iter().map(|version| format!("java-{version}-openjdk-{}", Arch::host().oci()));
    versions.chain(["default-java".to_owned()]).find_map(|name| Jdk::at(&Path::new(JVMS).join(name)).ok())
}

/// A JDK of this machine of that version, whoever has put it there.
pub(crate) fn of_version(version: u32) -> Option<Jdk> {
    all().find(|jdk| jdk.version == version)
}

/// One whose heap dumps come in two files (22 and newer).
pub(crate) fn with_pairs() -> Option<Jdk> {
    all().find(|jdk| jdk.version >= 22)
}

fn all() -> impl Iterator<Item = Jdk> {
    let entries = fs::read_dir(JVMS).into_iter().flatten().flatten();
    entries.filter_map(|entry| Jdk::at(&entry.path()).ok())
}

/// The package that brings a JDK, where there is none.
pub(crate) fn missing() -> Option<&'static str> {
    installed().is_none().then_some(PACKAGE)
}

/// The first known JDK of this machine, else the one that apt installs.
pub(crate) fn ensure(sh: &Shell, yes: bool) -> Result<Jdk> {
    apt::install(sh, missing().as_slice(), yes)?;
    installed().with_context(|| format!("{PACKAGE} has left no JDK in {JVMS}"))
}

/// The feature version in the text of a JDK's `release` file.
fn feature_version(release: &str) -> Option<u32> {
    let version = release.lines().find_map(|line| line.strip_prefix("JAVA_VERSION="))?.trim_matches('"');
    let numbers = version.strip_prefix("1.").unwrap_or(version);
    numbers.split(['.', '-', '+', '_']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_feature_version_is_read_from_old_and_new_release_files() {
        assert_eq!(feature_version("IMPLEMENTOR=\"Debian\"\nJAVA_VERSION=\"17.0.15\"\n"), Some(17));
        assert_eq!(feature_version("JAVA_VERSION=\"1.8.0_504\"\n"), Some(8));
        assert_eq!(feature_version("JAVA_VERSION=\"28-ea\"\n"), Some(28));
        assert_eq!(feature_version("OS_NAME=\"Linux\"\n"), None);
    }
}

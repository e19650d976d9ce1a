//! The JDKs that the JVM images and the fixtures can be made from.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use xshell::Shell;

use super::apt;
use crate::arch::Arch;

/// Feature versions that Debian or Ubuntu package, the preferred one first. Debian 13 has no 17, Ubuntu has them all.
const VERSIONS: [u32; 3] = [17, 21, 25];

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
}

/// The first known JDK of this machine.
pub(crate) fn installed() -> Option<Jdk> {
    VERSIONS.into_iter().find_map(|version| Jdk::at(&home(version)).ok())
}

/// The first known JDK of this machine, else one installed by apt.
pub(crate) fn ensure(sh: &Shell, yes: bool) -> Result<Jdk> {
    if let Some(jdk) = installed() {
        return Ok(jdk);
    }
    let Some(version) = VERSIONS.into_iter().find(|version| apt::is_known(sh, &package(*version))) else {
        bail!(
            "no JDK under /usr/lib/jvm and none that apt knows (after `apt-get update`): install one of {VERSIONS:?}"
        );
    };
    apt::ensure(sh, &[&package(version)], yes)?;
    Jdk::at(&home(version))
}

fn package(version: u32) -> String {
    format!("openjdk-{version}-jdk-headless")
}

/// Where Debian and Ubuntu put it.
fn home(version: u32) -> PathBuf {
    PathBuf::from(format!("/usr/lib/jvm/java-{version}-openjdk-{}", Arch::host().oci()))
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

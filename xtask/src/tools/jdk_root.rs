//! JVMs of every version that Debian packages anywhere: from the suite that has it, each in a root filesystem of its own,
//! with the C library that it was built for. None is installed.
//!
//! The JRE alone, as applications have it: fixtures are compiled by the machine's own JDK, for Java 8.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use xshell::{Shell, cmd};

use super::suite::{self, Suite};
use crate::arch::Arch;
use crate::workspace::Workspace;

/// Every version that tests are for, and a suite that has it: a released one where there is one, else the one that has all.
const SUITES: [(u32, &str); 7] =
    [(8, "sid"), (11, "sid"), (17, "bookworm"), (21, "trixie"), (25, "trixie"), (26, "sid"), (28, "sid")];

/// What a JVM without a screen is linked with, and a shell for the image that has one.
const COMMON: [&str; 5] = ["libc6", "libgcc-s1", "libstdc++6", "zlib1g", "busybox"];

/// A file in the root filesystem that says which versions of which packages are in it, and that it is complete.
const STAMP: &str = ".packages";

/// A root filesystem with a JVM.
#[derive(Debug)]
pub(crate) struct JdkRoot {
    pub(crate) version: u32,
    pub(crate) root: PathBuf,
}

/// The versions there are.
pub(crate) fn versions() -> impl Iterator<Item = u32> {
    SUITES.into_iter().map(|(version, _)| version)
}

/// The root filesystem of that version, fetched if need be. It stays as it is until somebody removes it.
///
/// # Errors
/// [`suite::Unavailable`] where it would have to be fetched and is not to be had.
pub(crate) fn ensure(workspace: &Workspace, version: u32) -> Result<JdkRoot> {
    let place = SUITES.into_iter().find(|(known, _)| *known == version);
    let (_, suite) = place.with_context(|| {
        let known: Vec<String> = versions().map(|version| version.to_string()).collect();
        format!("JDK {version} is none of those that are known: {}", known.join(", "))
    })?;
    let jdk = JdkRoot { version, root: workspace.target().join("jdks").join(version.to_string()) };
    let packages: Vec<String> =
        [format!("openjdk-{version}-jre-headless")].into_iter().chain(COMMON.map(str::to_owned)).collect();
    if !jdk.holds(&packages)? {
        eprintln!("fetching {} from Debian's suite {suite} into {}", packages[0], workspace.short(&jdk.root));
        let sh = workspace.shell()?;
        let suite = Suite::open(&sh, &workspace.tools(), suite)?;
        fetch(&sh, &suite, &packages, &jdk).with_context(|| format!("no JDK {version}"))?;
    }
    Ok(jdk)
}

impl JdkRoot {
    /// Where the JRE is, seen from outside.
    pub(crate) fn jre(&self) -> Result<PathBuf> {
        let home = self.root.join(format!("usr/lib/jvm/java-{}-openjdk-{}", self.version, Arch::host().oci()));
        // Until 8 a JDK had its JRE in a folder of its own.
        let jre = [home.join("jre"), home.clone()].into_iter().find(|home| home.join("bin/java").is_file());
        jre.with_context(|| format!("there is no java in {}", home.display()))
    }

    /// The folder of the libraries, as it is called inside.
    pub(crate) fn libraries() -> PathBuf {
        Path::new("usr/lib").join(format!("{}-linux-gnu", Arch::host().rust()))
    }

    /// The loader, as every program of that processor names it, and where it is, seen from outside. The name may be a link
    /// that leads out of here.
    pub(crate) fn loader(&self) -> (&'static Path, PathBuf) {
        let (named, name) = match Arch::host() {
            Arch::X86_64 => ("lib64/ld-linux-x86-64.so.2", "ld-linux-x86-64.so.2"),
            Arch::Aarch64 => ("lib/ld-linux-aarch64.so.1", "ld-linux-aarch64.so.1"),
        };
        (Path::new(named), self.root.join(Self::libraries()).join(name))
    }

    /// Whether it is complete, and of these packages.
    fn holds(&self, packages: &[String]) -> Result<bool> {
        let stamp = self.root.join(STAMP);
        match fs::read_to_string(&stamp) {
            Ok(text) => Ok(text.lines().map(|line| line.split(' ').next().unwrap_or(line)).eq(packages)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).with_context(|| format!("failed to read {}", stamp.display())),
        }
    }

    /// Everything that is started with a JVM finds its libraries in here: the next version may want one more.
    fn check(&self, sh: &Shell) -> Result<()> {
        let (jre, (_, loader)) = (self.jre()?, self.loader());
        let own = find(&jre, &["libjvm.so", "libjava.so", "libjli.so", "libnet.so", "libnio.so", "libmanagement.so"])?;
        let folders = own.iter().filter_map(|path| path.parent()).map(|folder| folder.display().to_string());
        let path = [self.root.join(Self::libraries()).display().to_string()].into_iter().chain(folders);
        let path = path.collect::<Vec<_>>().join(":");
        for program in own.iter().chain([&jre.join("bin/java")]) {
            let listing = cmd!(sh, "{loader} --inhibit-cache --library-path {path} --list {program}");
            let listing = listing.quiet().ignore_stderr().ignore_status().read()?;
            let outside = listing.lines().find(|line| {
                let file = line.split_once(" => ").map(|(_, file)| file);
                file.is_some_and(|file| !Path::new(file).starts_with(&self.root))
            });
            ensure!(!listing.is_empty(), "{} does not load {}", loader.display(), program.display());
            if let Some(line) = outside {
                bail!("{} lacks a library of {}: {}", self.root.display(), program.display(), line.trim());
            }
        }
        Ok(())
    }
}

/// Makes the root filesystem beside its place, and puts it there when it is complete.
fn fetch(sh: &Shell, suite: &Suite<'_>, packages: &[String], jdk: &JdkRoot) -> Result<()> {
    let part = JdkRoot { version: jdk.version, root: jdk.root.with_extension("part") };
    let download = jdk.root.with_extension("download");
    suite::empty(&part.root)?;
    frame(&part.root)?;
    let mut stamp = String::new();
    for package in packages {
        let version = suite.newest(package)?;
        let file = suite.download(package, &version, &download)?;
        suite::unpack(&file, &part.root)?;
        stamp += &format!("{package} {version} {}\n", suite.name());
    }
    let jre = part.jre()?;
    make_real(sh, &part.root, &jre)?;
    part.check(sh)?;
    let java = Path::new("/").join(jre.strip_prefix(&part.root)?).join("bin/java");
    symlink(java, part.root.join("usr/bin/java")).context("failed to put java into the path")?;
    fs::write(part.root.join(STAMP), stamp).context("failed to write which packages there are")?;
    suite::empty(&jdk.root)?;
    fs::rename(&part.root, &jdk.root).with_context(|| format!("failed to place {}", jdk.root.display()))?;
    fs::remove_dir_all(&download).with_context(|| format!("failed to remove {}", download.display()))
}

/// What is there before any package: a merged /usr, and places for what a container mounts.
fn frame(root: &Path) -> Result<()> {
    for folder in ["usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "dev", "etc", "proc", "sys", "tmp", "var/tmp"] {
        fs::create_dir_all(root.join(folder))?;
    }
    for name in ["bin", "sbin", "lib", "lib64"] {
        symlink(Path::new("usr").join(name), root.join(name))?;
    }
    for folder in ["tmp", "var/tmp"] {
        fs::set_permissions(root.join(folder), fs::Permissions::from_mode(0o1777))?;
    }
    Ok(())
}

/// Debian's JREs have their configuration in /etc and links to it. Makes copies of those that lead to something, so that
/// the JRE can be taken elsewhere, and removes the others.
fn make_real(sh: &Shell, root: &Path, path: &Path) -> Result<()> {
    let meta = path.symlink_metadata().with_context(|| format!("failed to look at {}", path.display()))?;
    if meta.is_dir() {
        for entry in fs::read_dir(path).with_context(|| format!("failed to list {}", path.display()))? {
            make_real(sh, root, &entry?.path())?;
        }
    }
    if !meta.is_symlink() {
        return Ok(());
    }
    let target = fs::read_link(path)?;
    let inside = match target.strip_prefix("/") {
        Ok(target) => root.join(target),
        Err(_) if path.exists() => return Ok(()),
        Err(_) => PathBuf::new(),
    };
    fs::remove_file(path).with_context(|| format!("failed to remove {}", path.display()))?;
    if inside.symlink_metadata().is_ok() {
        cmd!(sh, "cp --archive {inside} {path}")
            .run()
            .with_context(|| format!("failed to copy {}", inside.display()))?;
        make_real(sh, root, path)?;
    }
    Ok(())
}

/// Those of the files that are somewhere below `folder`.
fn find(folder: &Path, names: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("failed to list {}", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(find(&entry.path(), names)?);
        } else if names.iter().any(|name| entry.file_name() == *name) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_configuration_becomes_a_copy_and_one_to_nothing_goes() {
        let root = tempfile::TempDir::new().expect("a folder");
        let (root, sh) = (root.path(), Shell::new().expect("a shell"));
        let (jre, etc) = (root.join("usr/lib/jvm/java"), root.join("etc/java"));
        fs::create_dir_all(jre.join("lib")).expect("a folder");
        fs::create_dir_all(etc.join("security")).expect("a folder");
        fs::write(etc.join("security/policy"), "text").expect("a file");
        symlink("/etc/java", jre.join("conf")).expect("a link");
        symlink("/etc/java/nothing", etc.join("security/cacerts")).expect("a link");
        symlink("../../../share/doc", jre.join("docs")).expect("a link");
        fs::write(jre.join("lib/real"), "library").expect("a file");
        symlink("real", jre.join("lib/link")).expect("a link");
        make_real(&sh, root, &jre).expect("a writable folder");
        assert_eq!(fs::read_to_string(jre.join("conf/security/policy")).expect("a copy"), "text");
        assert!(!jre.join("conf").is_symlink());
        let is_there = |name: &str| jre.join(name).symlink_metadata().is_ok();
        assert!(!is_there("conf/security/cacerts") && !is_there("docs"));
        assert!(jre.join("lib/link").is_symlink(), "what leads to something inside stays");
    }

    #[test]
    fn a_root_filesystem_of_other_packages_or_without_a_stamp_is_not_taken() {
        let root = tempfile::TempDir::new().expect("a folder");
        let jdk = JdkRoot { version: 8, root: root.path().to_path_buf() };
        let packages = ["a".to_owned(), "b".to_owned()];
        let holds = || jdk.holds(&packages).expect("readable");
        assert!(!holds());
        fs::write(root.path().join(STAMP), "a 1 sid\nb 2:3-4 sid\n").expect("a writable folder");
        assert!(holds());
        fs::write(root.path().join(STAMP), "a 1 sid\n").expect("a writable folder");
        assert!(!holds());
    }
}

//! Debian's suites beside the machine's own: package lists that nothing else sees, and packages that are unpacked and never
//! installed.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};

use anyhow::{Context, Error, Result, ensure};
use xshell::{Shell, cmd};

use super::find;

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// What is no defect of ours: the world is not as it was.
#[derive(Debug)]
pub(crate) enum Unavailable {
    /// This machine, as it is now, cannot get at a suite: it is offline, or no Debian.
    Unreachable { suite: &'static str },
    /// The suite has gone on without the package.
    Gone { suite: &'static str, package: String },
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unavailable::Unreachable { suite } => write!(f, "Debian's suite {suite} cannot be reached from here"),
            Unavailable::Gone { suite, package } => write!(f, "Debian's suite {suite} has no {package} any more"),
        }
    }
}

impl std::error::Error for Unavailable {}

impl Unavailable {
    /// Which of them an error comes from, if it is one.
    pub(crate) fn cause_of(error: &Error) -> Option<&Unavailable> {
        error.downcast_ref()
    }
}

/// A suite, and its package lists as they are now.
pub(crate) struct Suite<'a> {
    sh: &'a Shell,
    name: &'static str,
    options: Vec<String>,
}

impl<'a> Suite<'a> {
    /// Fetches the lists, through the mirror that this machine takes Debian from. apt checks the signatures as ever. What was
    /// fetched before is no proof that the mirror can be reached.
    ///
    /// # Errors
    /// [`Unavailable::Unreachable`]; apt's refusal of a suite that is not there, or that is not signed by a key of this machine.
    pub(crate) fn open(sh: &'a Shell, tools: &Path, name: &'static str) -> Result<Suite<'a>> {
        let source = source(sh, name).context(Unavailable::Unreachable { suite: name })?;
        let home = tools.join("apt").join(name);
        let lists = home.join("state/lists");
        empty(&lists)?;
        for folder in ["state/lists/partial", "cache/archives/partial", "sources"] {
            let folder = home.join(folder);
            fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
        }
        fs::write(home.join("sources/suite.sources"), source)?;
        // What this machine has installed is no part of it.
        fs::write(home.join("status"), "")?;
        let suite = Suite { sh, name, options: options(&home) };
        suite.get(&["update", "-q"]).with_context(|| format!("apt does not take Debian's suite {name}"))?;
        // Where it cannot connect apt says so, and takes it for no failure.
        ensure!(has_packages(&lists)?, Unavailable::Unreachable { suite: name });
        Ok(suite)
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The versions of a package, newest first.
    pub(crate) fn versions(&self, package: &str) -> Result<Vec<String>> {
        let Suite { sh, options, .. } = self;
        let listing = cmd!(sh, "apt-cache {options...} madison {package}").quiet().ignore_stderr().read()?;
        Ok(listing.lines().filter_map(|line| line.split('|').nth(1)).map(|word| word.trim().to_owned()).collect())
    }

    /// The newest version of a package.
    ///
    /// # Errors
    /// [`Unavailable::Gone`] where there is none.
    pub(crate) fn newest(&self, package: &str) -> Result<String> {
        let gone = || Unavailable::Gone { suite: self.name, package: package.to_owned() };
        self.versions(package)?.into_iter().next().with_context(gone)
    }

    /// Downloads a version of a package to a folder that is made afresh for it.
    pub(crate) fn download(&self, package: &str, version: &str, folder: &Path) -> Result<PathBuf> {
        empty(folder)?;
        let _dir = self.sh.push_dir(folder);
        self.get(&["download", "-q", &format!("{package}={version}")])
            .with_context(|| format!("failed to download {package} {version}"))?;
        let mut files = fs::read_dir(folder)?.filter_map(|entry| entry.ok().map(|entry| entry.path()));
        files
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .with_context(|| format!("apt has left no package in {}", folder.display()))
    }

    fn get(&self, words: &[&str]) -> Result<()> {
        let Suite { sh, options, .. } = self;
        cmd!(sh, "apt-get {options...} {words...}").ignore_stdout().run().context("apt-get failed")
    }
}

/// The suite as apt's sources name it.
fn source(sh: &Shell, suite: &str) -> Result<String> {
    ensure!(find("apt-get").is_some(), "this machine has no apt");
    ensure!(Path::new(KEYRING).exists(), "{KEYRING} is missing (package debian-archive-keyring)");
    let mirror = mirror(sh)?;
    Ok(format!("Types: deb\nURIs: {mirror}\nSuites: {suite}\nComponents: main\nSigned-By: {KEYRING}\n"))
}

/// The mirror from which this machine takes Debian itself.
fn mirror(sh: &Shell) -> Result<String> {
    let targets = cmd!(sh, "apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages'");
    let targets = targets.quiet().read().context("failed to ask apt for its sources")?;
    let mirror = targets.lines().find_map(|line| line.strip_prefix("Debian Debian "));
    mirror.map(str::to_owned).context("apt's sources (after `apt-get update`) name no Debian mirror")
}

/// apt's options for everything of its own below `home`.
fn options(home: &Path) -> Vec<String> {
    let home = home.display();
    let options = [
        format!("Dir::State={home}/state"),
        format!("Dir::State::status={home}/status"),
        format!("Dir::Cache={home}/cache"),
        "Dir::Etc::SourceList=/dev/null".to_owned(),
        format!("Dir::Etc::SourceParts={home}/sources"),
        // Packages alone are wanted of the lists, and no software centre's icons.
        "Acquire::Languages=none".to_owned(),
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
        // apt's own user can read neither folder; without this it says so at length and goes on.
        "APT::Sandbox::User=root".to_owned(),
    ];
    options.into_iter().flat_map(|option| ["-o".to_owned(), option]).collect()
}

fn has_packages(lists: &Path) -> Result<bool> {
    let entries = fs::read_dir(lists).with_context(|| format!("failed to list {}", lists.display()))?;
    Ok(entries.flatten().any(|entry| entry.file_name().to_string_lossy().contains("_Packages")))
}

/// Makes `folder`, with nothing in it.
pub(crate) fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("failed to remove {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))
}

/// Unpacks a whole package into `root`. dpkg-deb's own way would put folders in the place of links to folders, as a merged
/// /usr has them.
pub(crate) fn unpack(package: &Path, root: &Path) -> Result<()> {
    read(package, |content| {
        let tar = ["--extract", "--keep-directory-symlink", "--file=-", "--directory"];
        let status = Command::new("tar").args(tar).arg(root).stdin(content).status().context("failed to start tar")?;
        ensure!(status.success(), "tar failed: {status}");
        Ok(())
    })
}

/// Has somebody read a package's content, a tar.
pub(crate) fn read(package: &Path, reader: impl FnOnce(ChildStdout) -> Result<()>) -> Result<()> {
    let mut dpkg = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(Stdio::piped())
        .spawn()
        .context("failed to start dpkg-deb")?;
    let content = dpkg.stdout.take().context("dpkg-deb has a stdout")?;
    let read = reader(content);
    let status = dpkg.wait().context("failed to wait for dpkg-deb")?;
    read.with_context(|| format!("failed to unpack {}", package.display()))?;
    ensure!(status.success(), "dpkg-deb failed on {}: {status}", package.display());
    Ok(())
}

//! `cargo xtask dist`: what a release consists of, from the commit to the last byte.

mod apple;
mod archive;
mod bills;
mod commit;
mod licences;
mod platform;
mod plugin;
mod runs;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use jattach_image::Architecture;
use sha2::{Digest, Sha256};
use xshell::cmd;

use crate::arch::Arch;
use crate::cli::{Dist, StdSource};
use crate::krew;
use crate::static_build;
use crate::steps::Steps;
use crate::workspace::Workspace;

use archive::Entry;
use platform::{Os, PLATFORMS, Platform};
use runs::Tried;

const CHECKSUMS: &str = "checksums.txt";
const LICENCES: &str = "THIRD-PARTY-LICENSES.txt";

/// A release in the making.
struct Release<'a> {
    workspace: &'a Workspace,
    /// How old everything is, in seconds since 1970.
    time: u64,
    /// The injector's image with its tag and its digest.
    image: String,
    licences: String,
    /// `kubectl-jattach.1` and its like, and what is in them.
    man: BTreeMap<String, Vec<u8>>,
    no_skips: bool,
    yes: bool,
    /// The archives' file names, with their sha256.
    archives: BTreeMap<String, String>,
}

/// Makes dist/ anew and prints what became of each step.
pub(crate) fn run(workspace: &Workspace, arguments: &Dist, yes: bool) -> Result<()> {
    let platforms = chosen(&arguments.only)?;
    let mut steps = Steps::new(false);
    let dist = workspace.dist();
    if dist.exists() {
        fs::remove_dir_all(&dist).with_context(|| format!("failed to remove {}", dist.display()))?;
    }
    fs::create_dir_all(&dist).with_context(|| format!("failed to create {}", dist.display()))?;
    let time = commit::time(workspace)?;
    let (sh, cargo) = (workspace.shell()?, workspace.cargo());
    // For every platform, so that a network that fails does so here.
    cmd!(sh, "{cargo} fetch --locked").run().context("the dependencies cannot be fetched")?;
    let injectors = injectors(workspace, &mut steps, arguments.no_skips, yes)?;
    let image = done(steps.step("the image, for amd64 and arm64", || image(workspace, &injectors))?)?;
    let licences = done(steps.step("licences of others", || {
        let text = licences::text(workspace, yes)?;
        write(&dist.join(LICENCES), text.as_bytes())?;
        Ok(text)
    })?)?;
    steps.step("bills of materials", || {
        bills::make(workspace, time)?.iter().try_for_each(|(name, text)| write(&dist.join(name), text.as_bytes()))
    })?;
    let man = done(steps.step("man pages", || man_pages(workspace))?)?;
    let archives = BTreeMap::new();
    let mut release = Release { workspace, time, image, licences, man, no_skips: arguments.no_skips, yes, archives };
    for platform in platforms {
        release.plugin(platform, &mut steps)?;
    }
    steps.step("krew's manifest", || release.krew_manifest())?;
    steps.step(CHECKSUMS, || write_checksums(&dist))?;
    println!("{}\n\n{}", steps.finish()?, fs::read_to_string(dist.join(CHECKSUMS))?);
    Ok(())
}

/// The platforms that are meant; all if none is named.
fn chosen(names: &[String]) -> Result<Vec<Platform>> {
    let known = PLATFORMS.map(|platform| platform.to_string());
    if let Some(name) = names.iter().find(|name| !known.contains(name)) {
        bail!("{name} is none of {}", known.join(", "));
    }
    Ok(PLATFORMS.into_iter().filter(|one| names.is_empty() || names.contains(&one.to_string())).collect())
}

/// The injectors of the image. Only from source: what rustup brings is larger, and another image.
fn injectors(workspace: &Workspace, steps: &mut Steps, no_skips: bool, yes: bool) -> Result<Vec<(Arch, PathBuf)>> {
    let mut injectors = Vec::new();
    // This order is the image's; `image save` of the plugin keeps to it, too.
    for arch in [Arch::X86_64, Arch::Aarch64] {
        let name = format!("the injector for {}", arch.oci());
        let path = steps.step(&name, || static_build::build(workspace, arch, Some(StdSource::Source), yes))?;
        let path = done(path)?;
        let tried = runs::injector(workspace, arch, &path, yes);
        note(steps, &format!("{name} starts"), tried, no_skips)?;
        injectors.push((arch, path));
    }
    Ok(injectors)
}

/// Writes dist/injector.tar, and returns its name, tag and digest.
fn image(workspace: &Workspace, injectors: &[(Arch, PathBuf)]) -> Result<String> {
    let read = |(arch, path): &(Arch, PathBuf)| -> Result<(Architecture, Vec<u8>)> {
        let program = fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
        Ok((arch.of_image(), program))
    };
    let programs = injectors.iter().map(read).collect::<Result<Vec<_>>>()?;
    let archive = jattach_image::image(&workspace.injector_image(), &programs)?;
    write(&workspace.dist().join("injector.tar"), &archive.bytes)?;
    let image = format!("{}@{}", workspace.injector_image(), archive.digest);
    eprintln!("{image}: {} bytes", archive.size);
    Ok(image)
}

/// The pages, by their names in the archives. A plugin for this machine writes them, whatever platforms are meant.
fn man_pages(workspace: &Workspace) -> Result<BTreeMap<String, Vec<u8>>> {
    let (sh, cargo) = (workspace.shell()?, workspace.cargo());
    let folder = workspace.target().join("man");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("failed to remove {}", folder.display()))?;
    }
    cmd!(sh, "{cargo} run --quiet --locked --package kubectl-jattach -- man {folder}").run()?;
    let mut pages = BTreeMap::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("failed to list {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().context("a file has a name")?.to_string_lossy();
        let page = fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
        pages.insert(format!("man/man1/{name}"), page);
    }
    ensure!(!pages.is_empty(), "there is nothing in {}", folder.display());
    Ok(pages)
}

impl Release<'_> {
    /// Builds the plugin, tries it, and packs it.
    ///
    /// What the machine lacks for macOS or for Windows on arm64 is said and goes on; for the others it is a failure.
    fn plugin(&mut self, platform: Platform, steps: &mut Steps) -> Result<()> {
        let name = format!("the plugin for {platform}");
        let build = || plugin::build(self.workspace, platform, &self.image, self.yes);
        let is_required =
            self.no_skips || platform.os == Os::Linux || platform.arch == Arch::X86_64 && platform.os == Os::Windows;
        let program = if is_required {
            done(steps.step(&name, build)?)?
        } else {
            match build() {
                Ok(program) => done(steps.step(&name, || Ok(program))?)?,
                Err(error) => {
                    steps.skip(&name, &format!("it cannot be built here: {error:#}"));
                    return Ok(());
                }
            }
        };
        let tried = runs::plugin(self.workspace, platform, &program, &self.image, self.yes);
        note(steps, &format!("{name} starts"), tried, self.no_skips)?;
        self.pack(platform, &program)
    }

    /// Writes the archive.
    fn pack(&mut self, platform: Platform, program: &Path) -> Result<()> {
        let root = self.workspace.root();
        let read = |path: &Path| fs::read(path).with_context(|| format!("failed to read {}", path.display()));
        let (program, licence, readme) = (read(program)?, read(&root.join("LICENSE"))?, read(&root.join("README.md"))?);
        let text = |name, bytes| Entry { name, bytes, executable: false };
        let mut entries = vec![
            Entry { name: platform.program(), bytes: &program, executable: true },
            text("LICENSE", &licence),
            text(LICENCES, self.licences.as_bytes()),
            text("README.md", &readme),
        ];
        let bytes = match platform.os {
            Os::Windows => archive::zip(&entries, self.time)?,
            Os::Linux | Os::Darwin => {
                entries.extend(self.man.iter().map(|(name, page)| text(name, page)));
                archive::tar_gz(&entries, self.time)?
            }
        };
        let name = platform.archive(self.workspace.version());
        write(&self.workspace.dist().join(&name), &bytes)?;
        self.archives.insert(name, sha256(&bytes));
        Ok(())
    }

    fn krew_manifest(&self) -> Result<()> {
        let name = "krew-manifest.yaml";
        let template = self.workspace.root().join(name);
        let template =
            fs::read_to_string(&template).with_context(|| format!("failed to read {}", template.display()))?;
        write(&self.workspace.dist().join(name), krew::filled(&template, &self.archives)?.as_bytes())
    }
}

/// A step that has failed has ended the run already.
fn done<T>(step: Option<T>) -> Result<T> {
    step.context("a failed step ends the run")
}

/// Notes whether a program was seen to start.
fn note(steps: &mut Steps, name: &str, tried: Result<Tried>, no_skips: bool) -> Result<()> {
    match tried {
        Ok(Tried::Never(why)) => steps.skip(name, &format!("untried: {why}")),
        Ok(Tried::NotHere(why)) if !no_skips => steps.skip(name, &format!("untried: {why}")),
        tried => drop(steps.step(name, || match tried? {
            Tried::Ran => Ok(()),
            Tried::NotHere(why) => bail!("untried: {why}"),
            Tried::Never(why) => bail!("untried: {why}"),
        })?),
    }
    Ok(())
}

/// `sha256sum --check` reads it in dist/.
fn write_checksums(dist: &Path) -> Result<()> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(dist).with_context(|| format!("failed to list {}", dist.display()))? {
        let path = entry?.path();
        let name = path.file_name().context("a file has a name")?.to_string_lossy();
        let bytes = fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
        lines.push((name.clone().into_owned(), format!("{}  {name}\n", sha256(&bytes))));
    }
    ensure!(!lines.is_empty(), "there is nothing in {}", dist.display());
    lines.sort();
    write(&dist.join(CHECKSUMS), lines.into_iter().map(|(_, line)| line).collect::<String>().as_bytes())
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("failed to write {}", path.display()))
}

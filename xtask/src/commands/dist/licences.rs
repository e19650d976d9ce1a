//! The licences of everything that is linked into plugin and injector: each text once, under the names of who asks for it to be
//! shown.
//!
//! The texts are those that the crates bring along. What a crate may be licensed under, deny.toml says.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use xshell::cmd;

use super::platform::PLATFORMS;
use crate::arch::Arch;
use crate::tools::{rustup, zig};
use crate::workspace::Workspace;

/// The packages whose programs are released.
const PROGRAMS: [&str; 2] = ["kubectl-jattach", "jattach-injector"];
/// How the names of such files begin, in capitals.
const NAMES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE"];
/// Whose text is that of the file LICENSE, which lies beside: it names nobody.
const OWN: &str = "Apache-2.0";

/// `cargo metadata`, as far as it is used here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    manifest_path: PathBuf,
    /// None for a member of the workspace.
    source: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    /// None, "dev" or "build".
    kind: Option<String>,
}

/// All of them in one text.
pub(super) fn text(workspace: &Workspace, yes: bool) -> Result<String> {
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut list = String::new();
    let metadata = metadata(workspace)?;
    let mut packages = linked(&metadata)?;
    packages.sort_by_key(|package| (&package.name, &package.version));
    for package in packages.into_iter().filter(|package| package.source.is_some()) {
        let (name, terms) = (format!("{} {}", package.name, package.version), package.license.as_deref());
        list += &format!("  {name}: {}\n", terms.unwrap_or("as its file says"));
        let folder = package.manifest_path.parent().context("a manifest lies in a folder")?;
        let found = files(folder)?;
        let has_terms = !found.is_empty() || terms.is_some_and(|terms| terms.contains(OWN));
        ensure!(has_terms, "{name} brings no text of its licence: see {}", folder.display());
        for text in found {
            texts.entry(text).or_default().insert(name.clone());
        }
    }
    for (name, file) in runtimes(workspace, yes)? {
        texts.entry(read(&file)?).or_default().insert(name.to_owned());
    }
    let mut all = format!(
        "What kubectl-jattach and its injector are made of, and on which terms. Where a text of the Apache License is not\n\
         shown again, it is that of the file LICENSE.\n\n  Rust's standard library, by The Rust Project Developers: \
         MIT OR Apache-2.0\n{list}"
    );
    for (text, names) in texts {
        let names: Vec<_> = names.into_iter().collect();
        all += &format!("\n{}\n{}\n\n{}\n", "=".repeat(100), names.join(", "), text.trim_end());
    }
    Ok(all)
}

fn metadata(workspace: &Workspace) -> Result<Metadata> {
    let (sh, cargo) = (workspace.shell()?, workspace.cargo());
    let platforms = PLATFORMS.iter().flat_map(|platform| ["--filter-platform".to_owned(), platform.triple()]);
    let text = cmd!(sh, "{cargo} metadata --locked --format-version 1 {platforms...}").quiet().read()?;
    serde_json::from_str(&text).context("cargo's metadata are not what they were")
}

/// What is linked into the programs: without what only builds or tests them.
fn linked(metadata: &Metadata) -> Result<Vec<&Package>> {
    let nodes: HashMap<_, _> = metadata.resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let is_program = |package: &&Package| PROGRAMS.contains(&package.name.as_str()) && package.source.is_none();
    let mut open: Vec<&String> = metadata.packages.iter().filter(is_program).map(|package| &package.id).collect();
    ensure!(open.len() == PROGRAMS.len(), "the workspace has not all of {}", PROGRAMS.join(", "));
    let mut found = BTreeSet::new();
    while let Some(id) = open.pop() {
        if found.insert(id) {
            let is_linked = |dependency: &&Dependency| dependency.dep_kinds.iter().any(|kind| kind.kind.is_none());
            open.extend(nodes[id].deps.iter().filter(is_linked).map(|dependency| &dependency.pkg));
        }
    }
    Ok(metadata.packages.iter().filter(|package| found.contains(&package.id)).collect())
}

/// The texts in a crate's folder.
fn files(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("failed to list {}", folder.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let is_licence = |path: &&PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        NAMES.iter().any(|beginning| name.starts_with(beginning)) && path.is_file()
    };
    paths.iter().filter(is_licence).map(|path| read(path)).collect()
}

/// With the line ends of Unix and no white space at the end of a line, so that the same text is one.
fn read(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).lines().map(|line| format!("{}\n", line.trim_end())).collect())
}

/// What the compiler and the linker add.
fn runtimes(workspace: &Workspace, yes: bool) -> Result<[(&'static str, PathBuf); 5]> {
    let zig = zig::ensure(workspace, &format!("{}-linux-musl", Arch::host().rust()), yes)?;
    let package = zig.library.parent().context("a library lies in a package")?;
    let rust = rustup::sysroot(&workspace.shell()?)?.join("share/doc/rust/licenses");
    Ok([
        ("Unicode's tables in Rust's standard library", rust.join("Unicode-3.0.txt")),
        ("zig's runtime", package.join("LICENSE")),
        ("musl, on Linux", zig.library.join("libc/musl/COPYRIGHT")),
        ("mingw-w64, on Windows", zig.library.join("libc/mingw/COPYING")),
        ("LLVM's libunwind", zig.library.join("libunwind/LICENSE.TXT")),
    ])
}

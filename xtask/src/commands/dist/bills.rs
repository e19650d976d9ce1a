//! CycloneDX bills of materials: what each program is made of, for those who compare that with lists of advisories.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Deserialize;
use xshell::cmd;

use super::commit::EPOCH;
use crate::tools::cargo_tool::CargoTool;
use crate::workspace::Workspace;

const CYCLONEDX: CargoTool = CargoTool { name: "cargo-cyclonedx", version: "0.5.9", optimized: false };

/// The packages that are released, and what their bills are called.
const PROGRAMS: [(&str, &str); 2] = [("kubectl-jattach", "kubectl-jattach"), ("jattach-injector", "injector")];

/// `cargo metadata`, as far as it is used here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
}

/// The bills, as JSON, for all platforms: a file name and what goes into it, each.
pub(super) fn make(workspace: &Workspace, time: u64) -> Result<Vec<(String, String)>> {
    /// cargo-cyclonedx writes it beside each manifest of the workspace.
    const NAME: &str = "bill-for-dist";
    let (sh, cargo, cyclonedx) = (workspace.shell()?, workspace.cargo(), CYCLONEDX.ensure(workspace)?);
    let metadata = cmd!(sh, "{cargo} metadata --locked --no-deps --format-version 1").quiet().read()?;
    let metadata: Metadata = serde_json::from_str(&metadata).context("cargo's metadata are not what they were")?;
    let form = ["--format", "json", "--spec-version", "1.5", "--target", "all", "--override-filename", NAME];
    let root = workspace.root().join("Cargo.toml");
    let made = cmd!(sh, "{cyclonedx} cyclonedx --quiet {form...} --manifest-path {root}");
    let made = made.env(EPOCH, time.to_string()).run().context("there is no bill of materials");
    let mut bills = Vec::new();
    for package in &metadata.packages {
        let file = package.manifest_path.with_file_name(NAME).with_extension("json");
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        fs::remove_file(&file).with_context(|| format!("failed to remove {}", file.display()))?;
        if let Some((_, name)) = PROGRAMS.iter().find(|(program, _)| *program == package.name) {
            // Members of the workspace are named by where they lie on this machine.
            let text = text.replace(&format!("file://{}", workspace.root().display()), "file://");
            bills.push((format!("{name}-v{}.cdx.json", workspace.version()), text));
        }
    }
    made?;
    anyhow::ensure!(bills.len() == PROGRAMS.len(), "cargo-cyclonedx wrote no bill for some of the programs");
    Ok(bills)
}

//! `cargo xtask check`: what is not code: the workflows, and what the dependencies are allowed to be.

use anyhow::{Context, Result, ensure};
use xshell::cmd;

use crate::cli::{Check, Checked};
use crate::steps::Steps;
use crate::tools::actionlint;
use crate::tools::cargo_tool::CargoTool;
use crate::workspace::Workspace;

const CARGO_DENY: CargoTool = CargoTool { name: "cargo-deny", version: "0.20.2", optimized: false };
const WORKFLOWS: &str = "workflows, by actionlint and shellcheck";
const SCRIPT: &str = "the script of CI, by shellcheck";
const DEPENDENCIES: &str = "bans, licences and sources of the dependencies";
const ADVISORIES: &str = "advisories against the dependencies";

/// Runs the steps that are asked for, all without a word, and prints their summary.
pub(crate) fn run(workspace: &Workspace, arguments: &Check, yes: bool) -> Result<()> {
    let mut steps = Steps::new(true);
    let asked = |what| arguments.what.is_empty() || arguments.what.contains(&what);
    if asked(Checked::Workflows) {
        workflows(workspace, &mut steps, arguments.no_skips, yes)?;
    }
    if asked(Checked::Dependencies) {
        dependencies(workspace, &mut steps)?;
        advisories(workspace, &mut steps, arguments.no_skips)?;
    }
    println!("{}", steps.finish()?);
    Ok(())
}

/// What deny.toml says of each dependency; needs no network once cargo has its index.
pub(crate) fn dependencies(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    let sh = workspace.shell()?;
    steps.step(DEPENDENCIES, || {
        let program = CARGO_DENY.ensure(workspace)?;
        cmd!(sh, "{program} --locked check --hide-inclusion-graph --deny unmatched-skip bans licenses sources")
            .run()
            .context("deny.toml does not allow it")
    })?;
    Ok(())
}

/// Only where RustSec's database can be reached, which is a repository of GitHub.
fn advisories(workspace: &Workspace, steps: &mut Steps, no_skips: bool) -> Result<()> {
    let sh = workspace.shell()?;
    let program = CARGO_DENY.ensure(workspace)?;
    let fetched = cmd!(sh, "{program} --locked fetch db").run();
    if fetched.is_err() && !no_skips {
        steps.skip(ADVISORIES, "RustSec's database cannot be fetched here");
        return Ok(());
    }
    steps.step(ADVISORIES, || {
        fetched.context("RustSec's database cannot be fetched")?;
        cmd!(sh, "{program} --locked check advisories").run().context("a dependency is not safe")
    })?;
    Ok(())
}

fn workflows(workspace: &Workspace, steps: &mut Steps, no_skips: bool, yes: bool) -> Result<()> {
    let sh = workspace.shell()?;
    let shellcheck = actionlint::shellcheck(workspace, yes)?;
    steps.step(SCRIPT, || cmd!(sh, "{shellcheck} .ci/run").run().context("it is not right"))?;
    let actionlint = actionlint::actionlint(workspace, yes);
    if let (Err(error), false) = (&actionlint, no_skips) {
        steps.skip(WORKFLOWS, &format!("{error:#}"));
        return Ok(());
    }
    let folder = workspace.root().join(".github/workflows");
    let files = sh.read_dir(&folder).context("failed to list the workflows")?;
    steps.step(WORKFLOWS, || {
        let actionlint = actionlint?;
        ensure!(!files.is_empty(), "there is no workflow in {}", folder.display());
        cmd!(sh, "{actionlint} -shellcheck {shellcheck} {files...}").run().context("a workflow is not right")
    })?;
    Ok(())
}

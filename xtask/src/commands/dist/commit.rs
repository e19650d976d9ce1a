//! The commit that is released: how old everything is.

use anyhow::{Context, Result};
use xshell::cmd;

use crate::workspace::Workspace;

/// Reproducible builds are told by this how old they are to seem (reproducible-builds.org).
pub(super) const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// When the commit was made, in seconds since 1970; where there is no repository, what `SOURCE_DATE_EPOCH` says. Says aloud
/// if what is built is not the commit.
pub(super) fn time(workspace: &Workspace) -> Result<u64> {
    if let Ok(seconds) = std::env::var(EPOCH) {
        return seconds.parse().with_context(|| format!("{EPOCH} is no number of seconds: {seconds:?}"));
    }
    let sh = workspace.shell()?;
    let time = cmd!(sh, "git log -1 --format=%ct").quiet().read();
    let time = time.with_context(|| format!("this is no git work tree: set {EPOCH} to the release's time"))?;
    let changes = cmd!(sh, "git status --porcelain --untracked-files=no").quiet().read()?;
    if !changes.is_empty() {
        eprintln!("warning: the work tree is not the commit: a release is made from a clean one\n{changes}");
    }
    time.trim().parse().with_context(|| format!("git does not tell the commit's time: {time:?}"))
}

//! `cargo xtask demo --record FILE`: the picture of a terminal in the README, of a run that has taken place.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use super::picture::{COLUMNS, ROWS, Terminal};
use super::{NAMESPACE, POD};
use crate::tools::find;

/// What is typed, and the exit code that it ends with.
fn lines() -> [(String, i32); 4] {
    let on_pod = format!("kubectl jattach -n {NAMESPACE} pod/{POD}");
    [
        (format!("{on_pod} ps"), 0),
        // The JVM knows no such command: a refusal, with what helps.
        (format!("{on_pod} jcmd VM.nope"), 7),
        (format!("{on_pod} dumpheap heap.hprof"), 0),
        ("kubectl jattach inspect heap.hprof --top 5 | head -n 12".to_owned(), 0),
    ]
}

/// Runs them in `folder`, and writes what their terminal shows then.
///
/// # Errors
/// If one of them ends with another exit code, and what hinders writing the file.
pub(super) fn record(sh: &Shell, folder: &Path, to: &Path) -> Result<()> {
    ensure!(find("script").is_some(), "a terminal to record takes util-linux's script (Debian: bsdutils)");
    // A dump of an earlier recording would be refused to be written over.
    let folder = folder.join("record");
    sh.remove_path(&folder)?;
    sh.create_dir(&folder)?;
    let _in_it = sh.push_dir(&folder);
    let mut terminal = Terminal::new();
    for (line, expected) in lines() {
        terminal.type_in(&line);
        let in_size = format!("stty rows {ROWS} cols {COLUMNS}; {line}");
        let ran = cmd!(sh, "script --quiet --return --flush --command {in_size} /dev/null")
            .envs([("TERM", "xterm-256color"), ("SHELL", "/bin/sh")])
            .quiet()
            .ignore_status()
            .output()?;
        let shown = String::from_utf8_lossy(&ran.stdout);
        ensure!(ran.status.code() == Some(expected), "{line}: {} instead of {expected}\n{shown}", ran.status);
        terminal.write(&ran.stdout);
    }
    fs::write(to, terminal.picture()?).with_context(|| format!("failed to write {}", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    /// More than that a page should not have to load.
    const LARGEST: usize = 60_000;

    #[test]
    fn the_picture_in_the_readme_is_of_these_lines() {
        let root = Workspace::find().expect("tests run in the workspace").root().to_path_buf();
        let read = |path: &str| fs::read_to_string(root.join(path)).expect("a file of the repository");
        assert!(read("README.md").contains("](docs/demo.svg)"), "the README does not show it");
        let picture = read("docs/demo.svg");
        assert!(picture.len() < LARGEST, "{} bytes", picture.len());
        for (line, _) in lines() {
            assert!(picture.contains(&format!(">$ {line}<")), "record it anew (CONTRIBUTING.md): it lacks {line}");
        }
    }
}

//! JVMs and other programs in every state: the test program for that, run with one JVM after the other, and one table of what
//! came of it.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::jdks::Bench;
use super::no_skips;
use crate::dev_build;
use crate::tools::{kubectl, nginx, root};
use crate::workspace::Workspace;

/// The test program.
pub(crate) const PROGRAM: &str = "states";

/// Runs it with the JVM that these variables name, each state as often as it does by itself or so many times.
pub(crate) fn run(
    bench: &Bench<'_>,
    version: u32,
    mut variables: Vec<(&'static str, OsString)>,
    rounds: Option<u64>,
) -> Result<()> {
    let runner = root::runner(&bench.workspace.shell()?)?;
    let tests = bench.built.tests(|test| test.package == "jattach-injector" && test.name == PROGRAM)?;
    variables.push(("JATTACH_INJECTOR", OsString::from(bench.injector)));
    variables.push(("JATTACH_KUBECTL", kubectl::ensure(bench.workspace, bench.yes)?.into()));
    variables.push(("JATTACH_NGINX", nginx::ensure(bench.workspace)?.into()));
    variables.push(no_skips());
    variables.extend(rounds.map(|rounds| ("JATTACH_ROUNDS", rounds.to_string().into())));
    let folder = folder(bench.workspace);
    fs::create_dir_all(&folder).with_context(|| format!("failed to create {}", folder.display()))?;
    let record = record(bench.workspace, version);
    fs::write(&record, "").with_context(|| format!("failed to write {}", record.display()))?;
    variables.push(("JATTACH_RECORD", record.into()));
    dev_build::run_tests(runner, &tests, &variables, &[])
}

/// Forgets what came of earlier runs.
pub(crate) fn forget(workspace: &Workspace) {
    // There is none before the first run.
    let _ = fs::remove_dir_all(folder(workspace));
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target().join("states")
}

fn record(workspace: &Workspace, version: u32) -> PathBuf {
    folder(workspace).join(format!("{version}.txt"))
}

/// Each state with each of these JVMs, as far as they were run.
pub(crate) fn table(workspace: &Workspace, versions: &[u32]) -> String {
    let read = |version: &u32| Some((*version, fs::read_to_string(record(workspace, *version)).ok()?));
    of_records(&versions.iter().filter_map(read).collect::<Vec<_>>())
}

/// What a record tells of one JVM: its version, and a row for each state.
type Jvm = (u32, Vec<[String; 5]>);

/// A line of a record: state, what was expected, how often it was tried, "right", "wrong" or why it was not tried, and how many
/// processes were harmed.
fn fields(line: &str) -> Option<[&str; 5]> {
    line.split('\t').collect::<Vec<_>>().try_into().ok()
}

fn of_records(records: &[(u32, String)]) -> String {
    let rows = |text: &str| text.lines().filter_map(fields).map(|row| row.map(str::to_owned)).collect::<Vec<_>>();
    let jvms: Vec<Jvm> = records.iter().map(|(version, text)| (*version, rows(text))).collect();
    let mut states: Vec<&str> = Vec::new();
    for [state, ..] in jvms.iter().flat_map(|(_, rows)| rows) {
        if !states.contains(&state.as_str()) {
            states.push(state);
        }
    }
    let line = |name: &str, cell: &dyn Fn(&Jvm) -> String| {
        let cells: String = jvms.iter().map(|jvm| format!("{:>14}", cell(jvm))).collect();
        format!("{name:<32}{cells}\n")
    };
    let mut text = line("state", &|(version, _)| format!("JDK {version}"));
    for state in states {
        text += &line(state, &|(_, rows)| match rows.iter().find(|row| row[0] == state) {
            Some([_, expected, tried, verdict, _]) => match verdict.as_str() {
                "right" => format!("{tried} {expected}"),
                "wrong" => "RED".to_owned(),
                why_not => why_not.to_owned(),
            },
            None => "-".to_owned(),
        });
    }
    text + &line("processes harmed", &|(_, rows)| {
        rows.iter().filter_map(|row| row[4].parse::<u64>().ok()).sum::<u64>().to_string()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_a_line_and_each_jvm_a_column() {
        let records = [
            (17, "normal\tattached\t5\tright\t0\nGo\trefused\t5\tright\t0\nZ\tattached\t5\tright\t0\n".to_owned()),
            (
                8,
                "Go\trefused\t5\twrong\t2\nnormal\tattached\t5\tright\t0\nZ\tattached\t0\tnot in build\t0\nhalf a li"
                    .to_owned(),
            ),
        ];
        let cells =
            |line: &str| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect();
        let lines: Vec<Vec<String>> = of_records(&records).lines().map(cells).collect();
        assert_eq!(
            lines,
            [
                ["state", "JDK 17", "JDK 8"],
                ["normal", "5 attached", "5 attached"],
                ["Go", "5 refused", "RED"],
                ["Z", "5 attached", "not in build"],
                ["processes harmed", "0", "2"],
            ]
        );
    }
}

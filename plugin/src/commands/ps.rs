//! `ps`: the JVMs of the container, and what stands in the way of attaching to each.

use std::io::Write;

use jattach_protocol::message::{Jvm, Operation};
use serde::Serialize;

use super::{Context, LONGEST_JOB};
use crate::catalogue::Id;
use crate::error::Failure;
use crate::options::OutputFormat;
use crate::receive;
use crate::render::document::document;
use crate::render::stdout::print;
use crate::render::table::Table;
use crate::render::terminal::one_line;
use crate::session::{Error, Session};
use crate::target::{Target, candidates};

/// One JVM, as `-o json` shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    /// Where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<&'a str>,
    pid: u32,
    uid: u32,
    gid: u32,
    kind: &'a str,
    vendor: &'a str,
    version: &'a str,
    main: &'a str,
    attachable: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    obstacle: &'a str,
}

/// Asks for them.
///
/// # Errors
/// Those of the conversation.
pub(super) async fn run(context: &Context, session: &mut Session) -> Result<Vec<Jvm>, Error> {
    session.request(context.request(Operation::List));
    let (jvms, job) = receive::jvms(session).await?;
    if let Some(job) = job {
        context.notes.say(&format!("The injector is at work: {}.", one_line(&job, LONGEST_JOB)));
    }
    Ok(jvms)
}

/// Prints them as a table, or as the format asked for, and fails where there is none: a script reads a document either way.
///
/// # Errors
/// 3 where there is none; those of printing.
pub(super) fn show(
    jvms: &[Jvm],
    format: Option<OutputFormat>,
    target: &Target,
    to: &mut impl Write,
) -> Result<(), Failure> {
    print_rows(&jvms.iter().map(|jvm| row(None, jvm)).collect::<Vec<_>>(), format, to)?;
    is_any(jvms, target)
}

/// Prints those of several pods, each with its pod's name.
///
/// # Errors
/// Those of printing.
pub(super) fn show_all(
    jvms: &[(String, Jvm)],
    format: Option<OutputFormat>,
    to: &mut impl Write,
) -> Result<(), Failure> {
    print_rows(&jvms.iter().map(|(pod, jvm)| row(Some(pod), jvm)).collect::<Vec<_>>(), format, to)
}

fn print_rows(rows: &[Row<'_>], format: Option<OutputFormat>, to: &mut impl Write) -> Result<(), Failure> {
    match format {
        Some(format) => print(&document(&rows, format)?, to),
        None if rows.is_empty() => Ok(()),
        None => print(&table(rows), to),
    }
}

/// That there is one.
///
/// # Errors
/// 3 where there is none.
pub(super) fn is_any(jvms: &[Jvm], target: &Target) -> Result<(), Failure> {
    if jvms.is_empty() {
        return Err(Failure::new(Id::NoJvm, format!("no JVM runs in container \"{}\"", target.container))
            .evidence(candidates(&target.pod))
            .remedy("name the container that runs it with -c"));
    }
    Ok(())
}

fn row<'a>(pod: Option<&'a str>, jvm: &'a Jvm) -> Row<'a> {
    Row {
        pod,
        pid: jvm.pid,
        uid: jvm.uid,
        gid: jvm.gid,
        kind: &jvm.kind,
        vendor: &jvm.vendor,
        version: &jvm.version,
        main: &jvm.main,
        attachable: jvm.obstacle.is_empty(),
        obstacle: &jvm.obstacle,
    }
}

fn table(rows: &[Row<'_>]) -> String {
    const HEADS: [&str; 6] = ["PID", "USER", "JVM", "VERSION", "MAIN", "ATTACHABLE"];
    let [pid, user, jvm, version, main, attachable] = HEADS;
    let of_several = rows.iter().any(|row| row.pod.is_some());
    let mut table =
        if of_several { Table::new(["POD", pid, user, jvm, version, main, attachable]) } else { Table::new(HEADS) };
    for row in rows {
        let attachable = if row.attachable { "yes".to_owned() } else { format!("no: {}", row.obstacle) };
        let user = format!("{}:{}", row.uid, row.gid);
        let [kind, version, main] =
            [row.kind, row.version, row.main].map(|text| if text.is_empty() { "-" } else { text });
        let (pid, kind, version, main) = (row.pid.to_string(), kind.into(), version.into(), main.into());
        match row.pod {
            Some(pod) => table.row([pod.into(), pid, user, kind, version, main, attachable]),
            None => table.row([pid, user, kind, version, main, attachable]),
        }
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    fn target() -> Target {
        let pod =
            serde_json::json!({"metadata": {"name": "x"}, "spec": {"containers": [{"name": "app"}, {"name": "side"}]}});
        let pod = serde_json::from_value(pod).unwrap();
        Target { namespace: "shop".into(), pod, container: "app".into(), pid: None }
    }

    #[test]
    fn where_no_jvm_runs_a_script_reads_an_empty_list_and_sees_the_same_exit_code_as_a_person() {
        for (format, printed) in [(None, ""), (Some(OutputFormat::Json), "[]\n"), (Some(OutputFormat::Yaml), "[]\n")] {
            let mut to = Vec::new();
            let failure = show(&[], format, &target(), &mut to).unwrap_err();
            assert_eq!(failure.evidence, "the containers of pod/x are app, side");
            assert_eq!((failure.exit(), String::from_utf8(to).unwrap().as_str()), (Exit::Target, printed));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_list_that_finds_no_space_is_a_failure() {
        let jvm = Jvm { pid: 1, ..Jvm::default() };
        let mut full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let failure = show(&[jvm], None, &target(), &mut full).unwrap_err();
        assert_eq!(failure.cause, "cannot write to standard output");
    }
}

//! `ps`: the JVMs of the container, and what stands in the way of attaching to each.

use std::io::Write;

use jattach_protocol::Code;
use jattach_protocol::message::{Jvm, Operation};
use serde::Serialize;

use super::{Context, LONGEST_JOB};
use crate::catalogue::Id;
use crate::error::Failure;
use crate::kubectl;
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
    /// The kind of failure that a command would end with.
    #[serde(skip)]
    code: Code,
}

/// How many are named that the same thing keeps from being attached to: the table has the others.
const NAMED: usize = 3;

/// The longest that what stands in the way may be, in characters: it is the target's choice.
const LONGEST_OBSTACLE: usize = 400;

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
    if jvms.is_empty() { Err(none(target)) } else { Ok(()) }
}

/// That none runs in the target's container.
pub(super) fn none(target: &Target) -> Failure {
    Failure::new(Id::NoJvm, format!("no JVM runs in container \"{}\"", target.container))
        .evidence(candidates(&target.pod))
        .remedy(where_else(target))
}

/// Where to look where none runs there.
pub(super) fn where_else(target: &Target) -> String {
    let Target { namespace, pod, .. } = target;
    let is_one_of_several = pod.spec.iter().any(|spec| {
        let inits = spec.init_containers.as_ref().map_or(0, Vec::len);
        spec.containers.len() + inits > 1
    });
    let choice = if is_one_of_several { "name the container that runs one with -c; " } else { "" };
    let describe = kubectl::line_in(namespace, format_args!("describe pod {}", target.pod_name()));
    format!("{choice}`{describe}` tells of one that has ended")
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
        code: Code::from_number(jvm.code),
    }
}

/// A line each. What stands in the way of one would make all of them wider than a terminal: it stands beneath.
fn table(rows: &[Row<'_>]) -> String {
    const HEADS: [&str; 6] = ["PID", "USER", "JVM", "VERSION", "MAIN", "ATTACHABLE"];
    let [pid, user, jvm, version, main, attachable] = HEADS;
    let of_several = rows.iter().any(|row| row.pod.is_some());
    let mut table =
        if of_several { Table::new(["POD", pid, user, jvm, version, main, attachable]) } else { Table::new(HEADS) };
    for row in rows {
        let attachable = if row.attachable { "yes".to_owned() } else { format!("no ({})", Id::from(row.code)) };
        let user = format!("{}:{}", row.uid, row.gid);
        let [kind, version, main] =
            [row.kind, row.version, row.main].map(|text| if text.is_empty() { "-" } else { text });
        let (pid, kind, version, main) = (row.pid.to_string(), kind.into(), version.into(), main.into());
        match row.pod {
            Some(pod) => table.row([pod.into(), pid, user, kind, version, main, attachable]),
            None => table.row([pid, user, kind, version, main, attachable]),
        }
    }
    table.text() + &obstacles(rows)
}

/// Each once, with those that it keeps from being attached to; after an empty line, if there is any.
fn obstacles(rows: &[Row<'_>]) -> String {
    let mut obstacles: Vec<(&str, Vec<String>)> = Vec::new();
    for row in rows.iter().filter(|row| !row.attachable) {
        let jvm = row.pod.map_or_else(|| format!("pid {}", row.pid), |pod| format!("pod/{pod} pid {}", row.pid));
        match obstacles.iter_mut().find(|(obstacle, _)| *obstacle == row.obstacle) {
            Some((_, jvms)) => jvms.push(jvm),
            None => obstacles.push((row.obstacle, vec![jvm])),
        }
    }
    let line = |(obstacle, jvms): &(&str, Vec<String>)| {
        let more = jvms.len().checked_sub(NAMED).filter(|more| *more > 0);
        let more = more.map_or_else(String::new, |more| format!(" and {more} more"));
        let jvms = jvms.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        format!("{jvms}{more}: {}\n", one_line(obstacle, LONGEST_OBSTACLE))
    };
    let lines: String = obstacles.iter().map(line).collect();
    if lines.is_empty() { lines } else { format!("\n{lines}") }
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
            assert!(failure.remedy.starts_with("name the container that runs one with -c; "), "{failure}");
            assert_eq!((failure.exit(), String::from_utf8(to).unwrap().as_str()), (Exit::Target, printed));
        }
    }

    #[test]
    fn in_a_pod_of_one_container_nobody_is_told_to_name_another() {
        let pod = serde_json::json!({"metadata": {"name": "x"}, "spec": {"containers": [{"name": "app"}]}});
        let alone = Target { pod: serde_json::from_value(pod).unwrap(), ..target() };
        assert_eq!(none(&alone).remedy, "`kubectl -n shop describe pod x` tells of one that has ended");
    }

    #[test]
    fn what_stands_in_the_way_stands_beneath_the_table_and_once() {
        let jvm = |pid| Jvm { pid, uid: 7, gid: 7, main: "App".into(), ..Jvm::default() };
        let deaf = |pid| Jvm { obstacle: "it is\ndeaf".into(), code: 9, ..jvm(pid) };
        let all = ["a", "b", "c", "d", "e"].map(|pod| (pod.to_owned(), if pod == "b" { jvm(1) } else { deaf(1) }));
        let mut to = Vec::new();
        show_all(&all[..2], None, &mut to).unwrap();
        let expected = "\
POD   PID   USER   JVM   VERSION   MAIN   ATTACHABLE
a     1     7:7    -     -         App    no (JAT-009)
b     1     7:7    -     -         App    yes

pod/a pid 1: it is^Jdeaf
";
        assert_eq!(String::from_utf8(to).unwrap(), expected);
        let mut to = Vec::new();
        show_all(&all, None, &mut to).unwrap();
        let text = String::from_utf8(to).unwrap();
        assert!(text.ends_with("\n\npod/a pid 1, pod/c pid 1, pod/d pid 1 and 1 more: it is^Jdeaf\n"), "{text}");
        let alone = table(&[row(None, &deaf(3))]);
        assert!(alone.ends_with("no (JAT-009)\n\npid 3: it is^Jdeaf\n"), "{alone}");
        assert!(!table(&[row(None, &jvm(1))]).contains("\n\n"));
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

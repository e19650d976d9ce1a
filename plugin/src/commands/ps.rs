//! `ps`: the JVMs of the container, and what stands in the way of attaching to each.

use std::io::Write;

use jattach_protocol::message::{Jvm, Operation};
use serde::Serialize;

use super::Context;
use crate::error::{Exit, Failure};
use crate::receive;
use crate::render::document::document;
use crate::render::table::Table;
use crate::session::{Error, Session};

/// One JVM, as `-o json` shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
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

/// Prints them as a table, or as the format asked for.
///
/// # Errors
/// Those of the conversation; 3 where there is none.
pub(super) async fn run(context: &Context, session: &mut Session) -> Result<(), Error> {
    session.request(context.request(Operation::List));
    let jvms = receive::jvms(session).await?;
    let rows: Vec<Row<'_>> = jvms.iter().map(row).collect();
    let text = match context.options.output.format {
        Some(format) => document(&rows, format)?,
        None if rows.is_empty() => {
            return Err(Failure::new(Exit::Target, format!("no JVM runs in container {}", context.target.container))
                .remedy("name the container that runs it with -c")
                .into());
        }
        None => table(&rows),
    };
    // A reader that has gone wants no more.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}

fn row(jvm: &Jvm) -> Row<'_> {
    Row {
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
    let mut table = Table::new(["PID", "USER", "JVM", "VERSION", "MAIN", "ATTACHABLE"]);
    for row in rows {
        let attachable = if row.attachable { "yes".to_owned() } else { format!("no: {}", row.obstacle) };
        let user = format!("{}:{}", row.uid, row.gid);
        let [kind, version, main] =
            [row.kind, row.version, row.main].map(|text| if text.is_empty() { "-" } else { text });
        table.row([row.pid.to_string(), user, kind.into(), version.into(), main.into(), attachable]);
    }
    table.text()
}

//! `injector list`: the JVMs that can be seen from here, as a table or as JSON.

use std::io::{self, Write};

use jattach_protocol::message::Jvm;
use jattach_protocol::{Code, Failure};

use crate::jvm::detect::detect;
use crate::process::{Target, identity, pids};
use crate::sys::Sys;

/// Every JVM in our PID namespace, by pid.
pub(crate) fn jvms(sys: &dyn Sys) -> Vec<Jvm> {
    jvms_beside(sys, None)
}

/// The same, where one that is closed to us now was opened before.
pub(crate) fn jvms_beside(sys: &dyn Sys, opened: Option<&Target<'_>>) -> Vec<Jvm> {
    pids().into_iter().filter_map(|pid| jvm(sys, pid, opened)).collect()
}

/// What it is, seen with its own user's eyes where we may take them on.
fn jvm(sys: &dyn Sys, pid: u32, opened: Option<&Target<'_>>) -> Option<Jvm> {
    let target = Target::open(sys, pid).ok()?;
    if let Some(opened) = opened {
        target.inherit(opened);
    }
    identity::with_file_access_of(&target, || detect(&target))
}

/// Why nothing can be told of any of them, or of the one of that pid (0 for any), where that is our identity's fault.
pub(crate) fn out_of_sight(sys: &dyn Sys, jvms: &[Jvm], pid: u32) -> Option<Failure> {
    let meant = jvms.iter().filter(|jvm| pid == 0 || jvm.pid == pid);
    if meant.clone().any(|jvm| !jvm.kind.is_empty()) {
        return None;
    }
    let refusal = |jvm: &Jvm| {
        let target = Target::open(sys, jvm.pid).ok()?;
        let errno = target.libraries().err()?;
        Some(identity::explain_refusal(&target, &format!("/proc/{}/maps", jvm.pid), errno))
    };
    meant.filter_map(refusal).find(|failure| failure.code == Code::WrongIdentity)
}

/// Prints them.
pub(crate) fn print(jvms: &[Jvm], json: bool, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(if json { to_json(jvms) } else { to_table(jvms) }.as_bytes())
}

const HEADINGS: [&str; 8] = ["PID", "NSPID", "CONTAINER", "USER", "JVM", "VERSION", "MAIN", "ATTACHABLE"];

/// As many digits of a container's id as crictl and docker print.
const SHORT_ID: usize = 13;

fn to_table(jvms: &[Jvm]) -> String {
    let mut rows = vec![HEADINGS.map(String::from)];
    rows.extend(jvms.iter().map(row));
    let mut widths = [0; HEADINGS.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut table = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
        }
        table.push_str(line.trim_ascii_end());
        table.push('\n');
    }
    table
}

fn row(jvm: &Jvm) -> [String; HEADINGS.len()] {
    let or_dash = |text: &str| if text.is_empty() { "-".to_string() } else { shown(text) };
    let kind = if jvm.vendor.is_empty() { or_dash(&jvm.kind) } else { shown(&format!("{}, {}", jvm.kind, jvm.vendor)) };
    [
        jvm.pid.to_string(),
        jvm.inner_pid.to_string(),
        or_dash(jvm.container.get(..SHORT_ID).unwrap_or(&jvm.container)),
        format!("{}:{}", jvm.uid, jvm.gid),
        kind,
        or_dash(&jvm.version),
        or_dash(&jvm.main),
        if jvm.obstacle.is_empty() { "yes".to_string() } else { format!("no: {}", shown(&jvm.obstacle)) },
    ]
}

/// What a target says of itself may hold a terminal's control sequences.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn to_json(jvms: &[Jvm]) -> String {
    let mut json = String::from("[");
    for (index, jvm) in jvms.iter().enumerate() {
        json.push_str(if index == 0 { "\n  {" } else { ",\n  {" });
        for (name, number) in [("pid", jvm.pid), ("nspid", jvm.inner_pid), ("uid", jvm.uid), ("gid", jvm.gid)] {
            json.push_str(&format!("\"{name}\": {number}, "));
        }
        for (name, text) in [
            ("container", &jvm.container),
            ("kind", &jvm.kind),
            ("vendor", &jvm.vendor),
            ("version", &jvm.version),
            ("main", &jvm.main),
            ("obstacle", &jvm.obstacle),
        ] {
            json.push_str(&format!("\"{name}\": "));
            push_json_string(&mut json, text);
            json.push_str(", ");
        }
        json.push_str(if jvm.obstacle.is_empty() { "\"attachable\": true}" } else { "\"attachable\": false}" });
    }
    json.push_str(if jvms.is_empty() { "]\n" } else { "\n]\n" });
    json
}

fn push_json_string(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            // C1 controls and DEL are legal in JSON, and act on a terminal.
            c if c.is_control() => json.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => json.push(c),
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Jvm {
        Jvm {
            pid: 4711,
            inner_pid: 1,
            uid: 1000,
            gid: 1001,
            container: "0123456789abcdef".repeat(4),
            kind: "HotSpot".to_string(),
            vendor: "Debian".to_string(),
            version: "17.0.15".to_string(),
            main: "Main".to_string(),
            obstacle: String::new(),
            remedy: String::new(),
            code: 0,
        }
    }

    #[test]
    fn the_table_has_a_line_for_each_jvm() {
        let stopped = Jvm { obstacle: "process 1 is stopped".to_string(), container: String::new(), ..sample() };
        assert_eq!(
            to_table(&[sample(), stopped]),
            "PID   NSPID  CONTAINER      USER       JVM              VERSION  MAIN  ATTACHABLE\n\
             4711  1      0123456789abc  1000:1001  HotSpot, Debian  17.0.15  Main  yes\n\
             4711  1      -              1000:1001  HotSpot, Debian  17.0.15  Main  no: process 1 is stopped\n"
        );
    }

    #[test]
    fn a_main_class_that_is_a_terminal_sequence_moves_no_cursor() {
        let hostile = Jvm { main: "\u{1b}]0;x\u{7}\u{9b}2J\"\\\n".to_string(), ..sample() };
        assert!(!to_table(std::slice::from_ref(&hostile)).chars().any(|c| c.is_control() && c != '\n'));
        assert!(to_json(&[hostile]).contains(r#""main": "\u001b]0;x\u0007\u009b2J\"\\\u000a", "#));
    }

    #[test]
    fn json_is_a_list_of_objects() {
        assert_eq!(to_json(&[]), "[]\n");
        let json = to_json(&[sample(), Jvm { obstacle: "no".to_string(), ..sample() }]);
        assert!(json.starts_with("[\n  {\"pid\": 4711, \"nspid\": 1, \"uid\": 1000, \"gid\": 1001, \"container\": \""));
        assert!(json.contains("\"attachable\": true},\n  {\"pid\""), "{json}");
        assert!(json.ends_with("\"obstacle\": \"no\", \"attachable\": false}\n]\n"), "{json}");
    }
}

//! What OpenJ9 answers to each command, and that each arrives as it is meant.

use crate::jvm::Jvm;
use crate::{inject, injector, text};

/// Text as java.util.Properties stores it: what is no printable ASCII has escapes.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for unit in text.encode_utf16() {
        match char::from_u32(unit.into()) {
            Some('\n') => escaped.push_str("\\n"),
            Some('\t') => escaped.push_str("\\t"),
            Some('\r') => escaped.push_str("\\r"),
            Some('\u{c}') => escaped.push_str("\\f"),
            Some(c @ ('\\' | ':' | '=' | '#' | '!')) => escaped.extend(['\\', c]),
            Some(c @ ' '..='~') => escaped.push(c),
            _ => escaped.push_str(&format!("\\u{unit:04X}")),
        }
    }
    escaped
}

/// More than one read of a thread dump, and every byte that has an escape.
pub(crate) fn threads() -> String {
    let thread = "\"h\u{e4}ndler=\\\u{1f600}\" #1:\n\tat Main.run(Main.java:7)\r\n\u{c}";
    format!("Full thread dump\n{}", thread.repeat(2000))
}

/// The properties that come before a text.
pub(crate) const BEFORE_THE_TEXT: &str = "#today\nopenj9_diagnostics.error=false\nopenj9_diagnostics.string_result=";

/// What `who` comes back for a command, its NUL included.
pub(crate) fn answer(command: &str, who: &str) -> String {
    let agent = |rest: &str| {
        let (agent, options) = rest.strip_suffix(')').expect("closed").split_once(',').expect("two arguments");
        match agent {
            "/refuses.so" => "ATTACH_ERR AgentInitializationException7\0".to_owned(),
            "/missing.so" => "ATTACH_ERR AgentLoadException: /missing.so\0".to_owned(),
            "/opt/agent.so" | "instrument" if options == "port=1,x" => "ATTACH_ACK\0".to_owned(),
            _ => format!("ATTACH_ERR what is {rest}\0"),
        }
    };
    if let Some(rest) = command.strip_prefix("ATTACH_LOADAGENTPATH(") {
        return agent(rest);
    }
    if let Some(rest) = command.strip_prefix("ATTACH_LOADAGENT(") {
        return agent(rest);
    }
    match command {
        "ATTACH_GETSYSTEMPROPERTIES" => return "#today\njava.vm.name=Eclipse OpenJ9 VM\na\\ b=c\\n\n\0".to_owned(),
        "ATTACH_GETAGENTPROPERTIES" => return "#today\n\0".to_owned(),
        _ => {}
    }
    let Some(words) = command.strip_prefix("ATTACH_DIAGNOSTICS:") else { return "ATTACH_ERR unknown\0".to_owned() };
    let result = match words {
        "who" => who.to_owned(),
        "Thread.print," | "Thread.print,-l=false" => threads(),
        "help"
        | "help,Dump.heap"
        | "Dump.heap,/tmp/x"
        | "Dump.java,"
        | "GC.class_histogram,-all"
        | "GC.class_histogram," => {
            format!("done: {words}\n")
        }
        _ => return format!("#today\nopenj9_diagnostics.error=true\nopenj9_diagnostics.error_message={words}\n\0"),
    };
    format!("{BEFORE_THE_TEXT}{}\nopenj9_diagnostics.error_type=none\n\0", escaped(&result))
}

#[test]
fn every_command_of_the_table_is_carried_out_and_answered() {
    let mut jvm = Jvm::start("");
    for (words, code, expected) in [
        (&["threaddump"][..], 0, threads()),
        (&["threaddump", "-l=false"], 0, threads()),
        (&["jcmd", "help"], 0, "done: help\n".to_owned()),
        (&["jcmd", "help", "Dump.heap"], 0, "done: help,Dump.heap\n".to_owned()),
        (&["jcmd", "help Dump.heap"], 0, "done: help,Dump.heap\n".to_owned()),
        (&["dumpheap", "/tmp/x"], 0, "done: Dump.heap,/tmp/x\n".to_owned()),
        (&["inspectheap"], 0, "done: GC.class_histogram,\n".to_owned()),
        (&["inspectheap", "-all"], 0, "done: GC.class_histogram,-all\n".to_owned()),
        (&["datadump"], 0, "done: Dump.java,\n".to_owned()),
        (&["properties"], 0, "#today\njava.vm.name=Eclipse OpenJ9 VM\na\\ b=c\\n\n".to_owned()),
        (&["agentProperties"], 0, "#today\n".to_owned()),
        (&["load", "/opt/agent.so", "true", "port=1,x"], 0, "ATTACH_ACK".to_owned()),
        (&["load", "instrument", "false", "port=1,x"], 0, "ATTACH_ACK".to_owned()),
        (&["load", "/refuses.so", "true"], 7, "ATTACH_ERR AgentInitializationException7".to_owned()),
        (&["load", "/missing.so", "true"], 255, "ATTACH_ERR AgentLoadException: /missing.so".to_owned()),
        (
            &["jcmd", "No.such"],
            255,
            "#today\nopenj9_diagnostics.error=true\nopenj9_diagnostics.error_message=No.such\n".to_owned(),
        ),
    ] {
        let output = inject(jvm.pid, words);
        assert_eq!(text(&output.stdout), format!("Connected to remote JVM\n{expected}\n"), "{words:?}");
        assert_eq!(output.status.code(), Some(code), "{words:?}: {}", text(&output.stderr));
        jvm.await_detached();
        jvm.assert_nothing_is_left();
        assert_eq!(jvm.new_wakes(), 1, "{words:?}: it is woken once, and never for nothing");
    }
}

#[test]
fn a_command_that_openj9_does_not_have_is_refused() {
    let jvm = Jvm::start("");
    for command in ["setflag", "printflag", "foo"] {
        let output = inject(jvm.pid, &[command, "x"]);
        assert!(!output.status.success() && text(&output.stderr).contains("OpenJ9 has no"), "{output:?}");
        jvm.assert_nothing_is_left();
    }
}

#[test]
fn the_list_names_it() {
    let jvm = Jvm::start("");
    let said = text(&injector().arg("list").output().expect("the injector").stdout);
    let line = said.lines().find(|line| line.starts_with(&format!("{} ", jvm.pid))).expect("a line");
    assert!(line.contains("OpenJ9") && line.ends_with("yes"), "{line}");
    jvm.assert_nothing_is_left();
}

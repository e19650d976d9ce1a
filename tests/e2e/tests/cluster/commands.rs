//! The commands whose answer is a text.

use jattach_e2e::{Namespace, jvm};
use serde_json::Value;

#[test]
fn ps_lists_the_jvm_of_the_container() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let ran = pod.jattach(["ps"]).succeeded();
    let text = ran.text();
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    let [head, row] = &rows[..] else { panic!("{ran}") };
    assert_eq!(head[..], ["PID", "USER", "JVM", "VERSION", "MAIN", "ATTACHABLE"]);
    assert_eq!(row[..2], ["1", "10001:10001"], "{ran}");
    assert!(row.contains(&"App") && row.last() == Some(&"yes"), "{ran}");
}

#[test]
fn ps_as_json_and_as_yaml_says_the_same() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let json = pod.jattach(["ps", "-o", "json"]).succeeded().json();
    let Value::Array(jvms) = &json else { panic!("{json}") };
    assert_eq!(jvms.len(), 1);
    assert_eq!((&jvms[0]["pid"], &jvms[0]["uid"], &jvms[0]["attachable"]), (&1.into(), &10001.into(), &true.into()));
    assert_eq!(jvms[0]["main"], "App");
    let yaml = pod.jattach(["-o", "yaml", "ps"]).succeeded().prints("- pid: 1\n").prints("main: App\n");
    let version = jvms[0]["version"].as_str().expect("a version");
    assert!(yaml.text().contains(&format!("version: {version}")), "{yaml}");
}

#[test]
fn inspectheap_prints_the_histogram() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    for flag in ["--live", "--all"] {
        let _ = pod.jattach(["inspectheap", flag]).succeeded().prints("#instances").prints("App$Order");
    }
    let top = pod.jattach(["inspectheap", "--top", "3"]).succeeded().prints("\nTotal ");
    let rows = top.text().lines().filter(|line| line.contains(':') && !line.contains("num")).count();
    assert_eq!(rows, 3, "{top}");
    jvm::answers(&pod, "app");
}

#[test]
fn what_stands_after_jcmd_is_the_jvms() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let _ = pod.jattach(["jcmd", "VM.version"]).succeeded().prints("JDK ");
    // -l, -n and --help are flags of ours as well.
    let _ = pod.jattach(["jcmd", "Thread.print", "-l"]).succeeded().prints("Locked ownable synchronizers");
    let _ = pod.jattach(["jcmd", "help", "GC.heap_dump"]).succeeded().prints("GC.heap_dump");
    let ran = pod.jattach(["jcmd", "VM.version", "--help"]);
    match ran.code() {
        // JDK 25 and newer know it, too.
        Some(0) => drop(ran.prints("Print JVM version information")),
        _ => drop(ran.ended_with(7).says("argument list")),
    }
    jvm::answers(&pod, "app");
}

#[test]
fn a_jcmd_that_the_jvm_does_not_know_ends_with_its_words() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let _ = pod.jattach(["jcmd", "No.such_command"]).ended_with(7).says("Unknown diagnostic command");
    jvm::answers(&pod, "app");
}

#[test]
fn properties_are_those_of_the_jvm_and_of_its_agents() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let _ = pod.jattach(["properties"]).succeeded().prints("\nsun.java.command=App\n").prints("\njava.home=");
    let _ = pod.jattach(["agentProperties"]).succeeded().prints("sun.java.command=App").prints("sun.jvm.args=-Xmx96m");
}

#[test]
fn a_flag_that_was_set_is_printed_so() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let _ =
        pod.jattach(["printflag", "HeapDumpOnOutOfMemoryError"]).succeeded().prints("-XX:-HeapDumpOnOutOfMemoryError");
    let _ = pod.jattach(["setflag", "HeapDumpOnOutOfMemoryError", "true"]).succeeded();
    let _ =
        pod.jattach(["printflag", "HeapDumpOnOutOfMemoryError"]).succeeded().prints("-XX:+HeapDumpOnOutOfMemoryError");
}

#[test]
fn a_flag_that_is_none_ends_with_the_jvms_words() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let _ = pod.jattach(["setflag", "UseSerialGC", "false"]).ended_with(7).says("cannot be changed");
    let _ = pod.jattach(["printflag", "NoSuchFlag"]).ended_with(7).is_error("JAT-012.no-such-flag");
}

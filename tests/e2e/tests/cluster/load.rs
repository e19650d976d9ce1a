//! Agents.

use std::fs;
use std::path::Path;
use std::process::Command;

use jattach_e2e::{Namespace, jvm, manifest, shell_image_or_skip, skip};
use tempfile::tempdir;

/// An agent that writes what it was told into the application's log, for which it needs no header of the JDK.
const AGENT: &str = r#"
#include <stdio.h>
#include <unistd.h>
#include <string.h>
int Agent_OnAttach(void *vm, char *options, void *reserved) {
    char line[256];
    int length = snprintf(line, sizeof line, "agent says %s\n", options && *options ? options : "nothing");
    if (write(1, line, (size_t)length) != length) return 99;
    return options && !strcmp(options, "fail") ? 7 : 0;
}
"#;

#[test]
fn a_library_of_the_jvm_is_loaded_by_its_name() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    // Without options the JVM's own agent for jars reports a failure of its own: loaded it was.
    let _ = pod.jattach(["load", "instrument"]).ended_with(7).is_error("JAT-012.agent-refused");
    let _ = pod.jattach(["load", "nosuchlibrary"]).ended_with(7).says("nosuchlibrary");
    jvm::answers(&pod, "app");
}

#[test]
fn a_library_in_the_target_is_loaded_by_its_path() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let home = pod.jattach(["properties"]).succeeded().text();
    let home = home.lines().find_map(|line| line.strip_prefix("java.home=")).expect("a java.home").to_owned();
    // It has no such entry: found, opened, and refused by the JVM.
    let path = format!("{home}/lib/libmanagement_agent.so");
    let _ = pod.jattach(["load", &path]).ended_with(7).says("Agent_OnAttach");
    let _ = pod.jattach(["load", "/nowhere/agent.so"]).ended_with(7).says("/nowhere/agent.so");
    jvm::answers(&pod, "app");
}

#[test]
fn a_library_in_the_targets_tmp_is_loaded_with_its_options() {
    let image = shell_image_or_skip!();
    let directory = tempdir().expect("a directory");
    let agent = directory.path().join("agent.so");
    if let Err(reason) = compile(&agent) {
        return skip(&reason);
    }
    let namespace = Namespace::new();
    let mut app = manifest::restricted(manifest::jvm("app"));
    app["image"] = image.into();
    let pod = namespace.start(&manifest::pod("x", &[app]));
    let copy = namespace.kubectl_program().args(["exec", "-i", "x", "--", "sh", "-c", "cat > /tmp/agent.so"]);
    let _ = copy.stdin(fs::read(&agent).expect("the agent")).run().succeeded();
    let _ = pod.jattach(["load", "/tmp/agent.so", "hello=1"]).succeeded();
    pod.wait_for_line("app", "agent says hello=1");
    let _ = pod.jattach(["load", "/tmp/agent.so"]).succeeded();
    pod.wait_for_line("app", "agent says nothing");
}

#[test]
fn a_library_of_this_machine_is_uploaded_and_loaded() {
    let directory = tempdir().expect("a directory");
    let agent = directory.path().join("agent.so");
    if let Err(reason) = compile(&agent) {
        return skip(&reason);
    }
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let _ = pod.plugin(["load", "--upload"]).arg(&agent).arg("hello=1").run().succeeded();
    pod.wait_for_line("app", "agent says hello=1");
    let _ = pod.plugin(["load", "--upload"]).arg(&agent).arg("fail").run().ended_with(7).says("return code: 7");
    jvm::answers(&pod, "app");
    assert_eq!(jvm::leftovers(&pod, "app"), [""; 0]);
}

#[test]
fn what_is_no_library_is_refused_before_anything_is_started() {
    let directory = tempdir().expect("a directory");
    let agent = directory.path().join("agent.jar");
    fs::write(&agent, "PK").expect("a file");
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let _ = pod.plugin(["load", "--upload"]).arg(&agent).run().ended_with(2).says("no native agent");
    let _ = pod.plugin(["load", "--upload", "/nowhere/agent.so"]).run().ended_with(2).says("/nowhere/agent.so");
}

/// The agent as a library that needs as little of the C library as can be: the target may have another one.
pub(super) fn compile(to: &Path) -> Result<(), String> {
    let source = to.with_extension("c");
    fs::write(&source, AGENT).map_err(|error| error.to_string())?;
    let output = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(to).arg(&source).output();
    let output = output.map_err(|error| format!("no C compiler: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

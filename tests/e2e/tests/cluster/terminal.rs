//! What a person sees, and what a pipe gets.

use jattach_e2e::{Namespace, Pod, Ran, dump, manifest, skip};
use tempfile::tempdir;

/// Would retitle the window.
const HOSTILE: &str = "\u{1b}]0;owned\u{7}worker";

fn hostile_pod(namespace: &Namespace) -> Pod<'_> {
    let app = manifest::jvm_with("app", &["--thread", HOSTILE]);
    namespace.start(&manifest::pod("x", &[manifest::restricted(app)]))
}

#[test]
fn a_pipe_gets_what_the_jvm_printed_byte_for_byte() {
    let namespace = Namespace::new();
    let pod = hostile_pod(&namespace);
    let _ = pod.jattach(["threaddump"]).succeeded().prints(HOSTILE);
}

/// The plugin's command on the pod, with a terminal of its own whose output is stdout here.
fn on_a_terminal(pod: &Pod<'_>, words: &[&str]) -> Option<Ran> {
    let Some(plugin) = pod.plugin(words.iter().copied()).on_a_terminal() else {
        skip("no /usr/bin/script gives a terminal");
        return None;
    };
    Some(plugin.run())
}

#[test]
fn a_terminal_is_shown_control_characters_and_does_not_execute_them() {
    let namespace = Namespace::new();
    let pod = hostile_pod(&namespace);
    let Some(ran) = on_a_terminal(&pod, &["-q", "threaddump"]) else { return };
    let ran = ran.succeeded().prints("\"^[]0;owned^Gworker\"");
    assert!(!ran.text().contains('\u{1b}'), "{ran}");
}

#[test]
fn a_terminal_sees_how_far_a_heap_dump_is_and_quiet_is_quiet() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    let file = |name: &str| directory.path().join(name).display().to_string();
    let Some(ran) = on_a_terminal(&pod, &["dumpheap", &file("seen")]) else { return };
    let _ = ran.succeeded().prints("receiving").prints("verified to its end");
    let Some(ran) = on_a_terminal(&pod, &["-q", "dumpheap", &file("quiet")]) else { return };
    let ran = ran.succeeded();
    assert!(ran.bytes().is_empty(), "{ran}");
    dump::verify(&directory.path().join("seen"));
    dump::verify(&directory.path().join("quiet"));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let mut running = pod.plugin(["inspectheap", "--all"]).start();
    running.close_stdout();
    let ran = running.wait().succeeded();
    assert!(!ran.stderr.contains("error"), "{ran}");
}

//! One command over all pods of a workload or a selector.

mod broken_off;
mod sixty;
mod waiting;

use std::path::Path;

use jattach_e2e::{Namespace, Pod, Program, dump, jvm, manifest, skip};
use serde_json::Value;
use tempfile::tempdir;

use crate::consent::{as_a_line, on_a_disk_of};

/// A pod that all tests' selector selects.
pub(crate) fn labelled(name: &str, container: Value) -> Value {
    let mut pod = manifest::pod(name, &[manifest::restricted(container)]);
    pod["metadata"]["labels"]["tier"] = "web".into();
    pod
}

/// Pods with a JVM each, started at once; the application gets these words.
fn start<'n>(namespace: &'n Namespace, names: &[&str], words: &[&str]) -> Vec<Pod<'n>> {
    let manifests: Vec<_> = names.iter().map(|name| labelled(name, manifest::jvm_with("app", words))).collect();
    manifests.iter().for_each(|manifest| namespace.create(manifest));
    manifests.iter().map(|manifest| namespace.started(manifest)).collect()
}

/// The command on all of them.
fn on_all<'a>(namespace: &Namespace, words: impl IntoIterator<Item = &'a str>) -> Program {
    namespace.plugin().args(["-l", "tier=web", "--all-pods"]).args(words)
}

/// The pods under whose names answers stand, in their order.
pub(crate) fn headers(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("==> pod/")?.strip_suffix(" <==")).collect()
}

/// The lines of the summary: each failed pod, and the exit code that it alone would have had.
pub(crate) fn failures(stderr: &str) -> Vec<(&str, &str)> {
    let rows = stderr.lines().skip_while(|line| !line.starts_with("POD ")).skip(1);
    rows.take_while(|line| line.contains("   JAT-"))
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?, words.next()?))
        })
        .collect()
}

/// The pods of the dumps in a directory, each of which is whole.
#[track_caller]
fn dumped(directory: &Path) -> Vec<String> {
    let names = dump::names(directory);
    for name in &names {
        dump::verify(&directory.join(name));
    }
    names.iter().map(|name| name.split("-app-").next().unwrap_or_default().to_owned()).collect()
}

/// Two JVMs, one that is closed, a container without one, and a pod that has ended.
fn start_mixed(namespace: &Namespace) -> Vec<Pod<'_>> {
    let mut ended = labelled("d", manifest::java("app", &["-version"]));
    ended["spec"]["restartPolicy"] = "Never".into();
    let closed = labelled("b", manifest::java("app", &["-XX:+DisableAttachMechanism", "-cp", "/app", "App"]));
    let mixed = [closed, labelled("c", manifest::no_jvm("app")), ended];
    mixed.iter().for_each(|manifest| namespace.create(manifest));
    let pods = start(namespace, &["a", "e"], &[]);
    mixed[..2].iter().for_each(|manifest| drop(namespace.started(manifest)));
    namespace.pod("d").wait_for("jsonpath={.status.phase}=Succeeded");
    pods
}

#[test]
fn answers_stand_in_the_order_of_the_pods_and_what_fails_stops_no_other() {
    let namespace = Namespace::new();
    let pods = start_mixed(&namespace);
    // Exit code 6 is worse than 3.
    let ran = on_all(&namespace, ["threaddump"]).run().ended_with(6);
    let text = ran.text();
    assert_eq!(headers(&text), ["a", "e"], "{ran}");
    for answer in text.split("==> pod/").skip(1) {
        assert!(answer.contains("Full thread dump") && answer.contains("\"main\""), "{ran}");
    }
    assert_eq!(failures(&ran.stderr), [("b", "6"), ("c", "3"), ("d", "3")], "{ran}");
    let ran = ran.says("2 of 5 pods done, 3 failed").says("[pod/b] error[JAT-").says("[pod/d] error[JAT-");
    assert!(ran.stderr.contains("DisableAttachMechanism") && ran.stderr.contains("pod/d has ended"), "{ran}");
    // Quiet is silent of what went well; a pid is one of each container.
    let ran = on_all(&namespace, ["threaddump", "-q", "--pid", "1"]).run().ended_with(6);
    assert!(failures(&ran.stderr).len() == 3 && !ran.stderr.contains("done"), "{ran}");
    pods.iter().for_each(|pod| jvm::answers(pod, "app"));
}

#[test]
fn every_pod_has_its_dump_in_the_directory_one_after_the_other() {
    let namespace = Namespace::new();
    let pods = start_mixed(&namespace);
    let directory = tempdir().expect("a directory");
    let ran = on_all(&namespace, ["dumpheap"]).arg(directory.path()).run().ended_with(6);
    assert_eq!(dumped(directory.path()), ["a", "e"]);
    let ran = ran.says("One pod after the other").says("[pod/a] ").says("2 of 5 pods done, 3 failed");
    assert_eq!(failures(&ran.stderr), [("b", "6"), ("c", "3"), ("d", "3")], "{ran}");
    for pod in &pods {
        jvm::answers(pod, "app");
        assert_eq!(jvm::leftovers(pod, "app"), [""; 0]);
    }
    // One pod alone may have its file in a directory, too.
    let alone = tempdir().expect("a directory");
    let _ = pods[0].plugin(["dumpheap"]).arg(alone.path()).run().succeeded();
    assert_eq!(dumped(alone.path()), ["a"]);
    // What makes no sense is said before anything is begun.
    let nowhere = directory.path().join("nowhere");
    let ran = on_all(&namespace, ["dumpheap"]).arg(&nowhere).run().ended_with(2).explains();
    let _ = ran.says("nowhere is no directory");
}

#[test]
fn on_a_terminal_each_pod_under_way_has_its_line_and_answers_stand_whole() {
    let namespace = Namespace::new();
    let _ = start(&namespace, &["a", "b"], &[]);
    let Some(program) = on_all(&namespace, ["threaddump"]).on_a_terminal() else {
        return skip("no /usr/bin/script gives a terminal");
    };
    let ran = program.run().succeeded();
    let text = ran.text().replace('\r', "");
    for shown in [" pod/a  ", " pod/b  ", " of 2 pods done", "==> pod/a <==\n", "==> pod/b <==\n", "2 of 2 pods done\n"]
    {
        assert!(text.contains(shown), "{shown:?} is not shown: {ran}");
    }
    // A list begins where a line of progress was taken away.
    let list = on_all(&namespace, ["ps"]).on_a_terminal().expect("there was one").run().succeeded();
    assert!(list.text().contains("\u{1b}[2KPOD   PID "), "{list}");
    // No line of progress is within an answer.
    let answers = text.split("==> pod/").skip(1).map(|answer| answer.split("JNI global ref").next().unwrap_or(answer));
    for answer in answers {
        assert!(answer.contains("Full thread dump") && !answer.contains("pods done"), "{ran}");
    }
}

#[test]
fn what_may_do_harm_is_asked_about_for_each_pod_by_its_name() {
    let namespace = Namespace::new();
    let pods = start(&namespace, &["a", "b"], &[]);
    if !Path::new("/usr/bin/script").exists() {
        return skip("no /usr/bin/script gives a terminal");
    }
    let Some((starter, _directory)) = on_a_disk_of(4, "script -qec \"$LINE\" /dev/null") else { return };
    // Both have their turn at once, and one of them waits until the other one's question is answered.
    let line = as_a_line(&namespace.name, "-l tier=web --all-pods --parallel 2 dumpheap");
    let ran = starter.env("LINE", &line).stdin("n\nn\n").run().ended_with(1).prints("0 of 2 pods done, 2 failed");
    let text = ran.text();
    for pod in &pods {
        let question = format!("[pod/{}] there may be too little room here", pod.name);
        assert_eq!(text.lines().filter(|line| line.contains(&question) && line.contains("[y/N]")).count(), 1, "{ran}");
        assert_eq!(jvm::leftovers(pod, "app"), [""; 0]);
    }
    assert!(text.contains("left: \n") || text.contains("left: \r\n"), "{ran}");
}

#[test]
fn the_jvms_of_all_pods_are_one_list_that_names_their_pods() {
    let namespace = Namespace::new();
    let mut workload = manifest::workload("Deployment", "w", &manifest::restricted(manifest::jvm("app")));
    workload["spec"]["replicas"] = 3.into();
    namespace.create(&workload);
    namespace.kubectl(["wait", "--timeout=100s", "--for=jsonpath={.status.readyReplicas}=3", "deployment/w"]);
    let names = namespace.kubectl(["get", "pods", "-l", "app=w", "-o", "jsonpath={.items[*].metadata.name}"]).text();
    let mut names: Vec<_> = names.split_whitespace().collect();
    names.sort_unstable();
    names.iter().for_each(|name| drop(namespace.pod(name).wait_for_line("app", "ready")));

    let all = |words: &[&str]| namespace.plugin().args(["deploy/w", "--all-pods"]).args(words.iter()).run().succeeded();
    let list = all(&["ps", "-o", "json"]).json();
    let listed: Vec<_> = list.as_array().expect("a list").iter().map(|jvm| (&jvm["pod"], &jvm["main"])).collect();
    let main = Value::from("App");
    let expected: Vec<_> = names.iter().map(|name| Value::from(*name)).collect();
    assert_eq!(listed, expected.iter().map(|name| (name, &main)).collect::<Vec<_>>());
    let _ = namespace.jattach(["-l", "app=nobody", "--all-pods", "ps"]).ended_with(3).says("app=nobody has no pods");
    let table = all(&["ps"]).says("3 of 3 pods done").text();
    let first: Vec<_> = table.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(first, [&["POD"], &names[..]].concat(), "{table}");

    // What would be sent, for each.
    let list = all(&["threaddump", "--dry-run=client", "-o", "json"]).json();
    let patched = list["items"].as_array().expect("a list").iter().map(|patch| &patch["metadata"]["name"]);
    assert_eq!(patched.collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
    let reports = all(&["doctor", "-o", "json"]).json();
    let reported = reports.as_array().expect("a list").iter().map(|report| (&report["pod"], &report["exitCode"]));
    let fine = Value::from(0);
    assert_eq!(reported.collect::<Vec<_>>(), expected.iter().map(|name| (name, &fine)).collect::<Vec<_>>());
    assert_eq!(headers(&all(&["doctor"]).text()), names);
    let ran = all(&["clean"]);
    names.iter().for_each(|name| assert!(ran.stderr.contains(&format!("[pod/{name}] jattach-")), "{ran}"));
}

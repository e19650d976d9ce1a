//! `doctor`: what it finds where all is well, and where something is not.

use jattach_e2e::rbac::ServiceAccount;
use jattach_e2e::{Namespace, Ran, cluster, manifest, shell_image_or_skip};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::targets::ended;

/// A field of a check, by its name.
#[track_caller]
fn field(ran: &Ran, check: &str, field: &str) -> String {
    let document = ran.json();
    let checks = document["checks"].as_array().expect("a list").iter();
    let found = checks.clone().find(|found| found["check"] == check);
    found.map_or_else(
        || panic!("no check of {check}\n{document:#}"),
        |found| found[field].as_str().expect("a word").to_owned(),
    )
}

/// The result of a check.
#[track_caller]
fn result(ran: &Ran, check: &str) -> String {
    field(ran, check, "result")
}

/// That a check has that result, and says so.
#[track_caller]
fn finds(ran: &Ran, check: &str, result: &str, text: &str) {
    let found = (field(ran, check, "result"), field(ran, check, "text"));
    assert!(found.0 == result && found.1.contains(text), "{check}: {found:?}, not {result} {text:?}\n{ran}");
}

/// That it leaves a line of a terminal of 24 rows and 80 columns for the prompt.
#[track_caller]
fn fits_a_screen(ran: Ran) -> Ran {
    let rows: usize = ran.text().lines().map(|line| line.chars().count().div_ceil(80).max(1)).sum();
    assert!(rows < 24, "{rows} rows\n{ran}");
    ran
}

/// The checks with another result than "ok".
fn not_ok(document: &Value) -> Vec<&Value> {
    document["checks"].as_array().expect("a list").iter().filter(|check| check["result"] != "ok").collect()
}

#[test]
fn a_pod_in_which_everything_works_passes_every_check() {
    let namespace = Namespace::enforcing("restricted");
    let pod = namespace.start_jvm("x");
    let ran = pod.jattach(["doctor"]).succeeded();
    assert!(ran.text().lines().all(|line| line.starts_with("ok ")), "{ran}");
    let _ = fits_a_screen(ran);
    let document = pod.jattach(["doctor", "-o", "json"]).succeeded().json();
    assert_eq!(document["exitCode"], 0, "{document:#}");
    assert!(not_ok(&document).is_empty(), "{document:#}");
    // What it has started serves the next command.
    let _ = pod.jattach(["threaddump"]).succeeded().prints("Full thread dump");
    assert_eq!(pod.ephemeral_containers().len(), 1);
}

#[test]
fn a_dry_run_asks_the_api_server_alone() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let ran = pod.jattach(["doctor", "--dry-run=server", "-o", "json"]).succeeded();
    assert_eq!(result(&ran, "permissions"), "ok");
    assert_eq!(result(&ran, "JVM"), "skip");
    assert!(pod.ephemeral_containers().is_empty());
}

/// Who may look at a pod and talk to its containers, and may not add any.
fn who_may_exec_alone(namespace: &Namespace) -> ServiceAccount<'_> {
    let rules = json!([
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get", "create"]},
    ]);
    ServiceAccount::with_rules(namespace, "joe", &rules)
}

#[test]
fn who_may_not_add_a_container_is_told_so_and_gets_none() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let account = who_may_exec_alone(&namespace);
    let directory = tempdir().expect("a directory");
    let config = account.kubeconfig().write(directory.path());
    let ran = pod.plugin_by(&config, ["doctor"]).run().ended_with(4);
    let ran = ran.prints("\nfail  permissions").prints("may not patch pods/ephemeralcontainers").prints("remedy: ");
    // What needs no right goes on, and what needs this one says so.
    let ran = ran.prints("\nok    target");
    let ran =
        ran.prints("\nskip  10 checks        because \"permissions\" failed: admission, injector,\n").prints("JVM, ");
    let _ = fits_a_screen(ran);
    assert!(pod.ephemeral_containers().is_empty());
}

#[test]
fn who_may_do_nothing_is_told_once_and_on_one_screen() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let account = ServiceAccount::new(&namespace, "nobody");
    let directory = tempdir().expect("a directory");
    let config = account.kubeconfig().write(directory.path());
    let ran = fits_a_screen(pod.plugin_by(&config, ["doctor"]).run().ended_with(4));
    let ran = ran.prints("\nfail  permissions").prints("--fix-rbac");
    let ran = ran.prints("\nskip  18 checks        because \"permissions\" failed: target, static pod,\n");
    assert_eq!(ran.text().matches("because \"permissions\" failed").count(), 1, "{ran}");
    assert!(pod.ephemeral_containers().is_empty());
}

#[test]
fn a_container_without_a_jvm_fails_at_the_jvm_and_nowhere_before() {
    let namespace = Namespace::new();
    let pod = namespace.start(&manifest::pod("x", &[manifest::restricted(manifest::no_jvm("app"))]));
    let ran = pod.jattach(["doctor", "-o", "json"]).ended_with(3);
    assert_eq!(result(&ran, "JVM"), "fail");
    assert_eq!(result(&ran, "exec"), "ok");
    assert_eq!(result(&ran, "attachable"), "skip");
    assert_eq!(ran.json()["exitCode"], 3);
}

#[test]
fn a_pod_that_has_ended_is_a_finding_and_no_error() {
    let namespace = Namespace::new();
    let ran = ended(&namespace).jattach(["doctor"]).ended_with(3).prints("\nfail  target").prints("has ended");
    let _ = ran.prints("\nok    permissions").prints("because \"target\" failed");
    let _ = namespace.jattach(["pod/nobody", "doctor"]).ended_with(3).prints("\nfail  target").prints("not found");
}

#[test]
fn a_jvm_that_refuses_to_be_attached_to_is_named_with_the_reason() {
    let namespace = Namespace::new();
    let deaf = manifest::java("app", &["-XX:+DisableAttachMechanism", "-cp", "/app", "App"]);
    let pod = namespace.start(&manifest::pod("x", &[manifest::restricted(deaf)]));
    let ran = pod.jattach(["doctor"]).ended_with(6).prints("\nfail  attachable").prints("DisableAttachMechanism");
    let _ = ran.prints("\nok    JVM");
    let log = namespace.kubectl(["logs", "x"]).text();
    assert!(!log.contains("Full thread dump"), "it was signalled\n{log}");
}

#[test]
fn what_admission_refuses_is_found_without_adding_anything() {
    let namespace = Namespace::new();
    let pod = namespace.start(&manifest::pod("x", &[manifest::jvm("app")]));
    namespace.kubectl(["label", "namespace", &namespace.name, "pod-security.kubernetes.io/enforce=restricted"]);
    let ran = pod.jattach(["doctor"]).ended_with(4).prints("\nfail  admission").prints("restricted");
    let ran = ran.prints("\nok    target").prints("because \"admission\" failed");
    let _ = fits_a_screen(ran);
    assert!(pod.ephemeral_containers().is_empty());
}

#[test]
fn a_tmp_that_is_not_writable_is_found_in_the_pods_spec() {
    let namespace = Namespace::new();
    let mut container = manifest::restricted(manifest::jvm("app"));
    container["securityContext"]["readOnlyRootFilesystem"] = true.into();
    let pod = namespace.start(&manifest::pod("x", &[container]));
    let ran = pod.jattach(["doctor"]).ended_with(6);
    let ran = fits_a_screen(ran).prints("\nfail  /tmp writable").prints("emptyDir").prints("\nfail  attachable");
    // What helps now comes before what costs the evidence.
    let text = ran.text();
    let places = ["threaddump --via-log", "--profile=sysadmin", "emptyDir"].map(|words| text.find(words));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{ran}");
    let dry = pod.jattach(["doctor", "--dry-run=client", "-o", "json"]).ended_with(6);
    for (check, expected) in [("/tmp writable", "fail"), ("admission", "skip"), ("attachable", "skip")] {
        assert_eq!(result(&dry, check), expected, "{check}");
    }
}

#[test]
fn the_workload_whose_pods_have_no_tmp_is_named_with_what_gives_them_one_and_all_fits_a_screen() {
    let namespace = Namespace::new();
    let mut container = manifest::restricted(manifest::jvm("app"));
    container["securityContext"]["readOnlyRootFilesystem"] = true.into();
    namespace.create(&manifest::workload("Deployment", "a-name-of-some-length", &container));
    let pod = namespace.pod_of("app=a-name-of-some-length");
    pod.wait_for_line("app", "ready");
    let ran = fits_a_screen(pod.jattach(["doctor"]).ended_with(6));
    let _ = ran.prints("it restarts the pods: what is in memory is lost").prints("deployment");
}

#[test]
fn an_image_that_the_node_has_not_got_fails_with_what_the_kubelet_says() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let absent = ["doctor", "--image=registry.invalid/jattach/none:1", "--image-pull-policy=Never"];
    let ran = pod.jattach(absent).ended_with(5).prints("\nfail  injector").prints("registry.invalid/jattach/none:1");
    let _ = ran.prints("because \"injector\" failed");
}

#[test]
fn a_root_jvm_passes_and_one_whose_user_the_pod_does_not_tell_at_least_ends_well() {
    let namespace = Namespace::new();
    let pod = namespace.start(&manifest::pod("x", &[manifest::jvm("app")]));
    let ran = pod.jattach(["doctor", "-o", "json"]).succeeded();
    let tells = pod.get()["status"]["containerStatuses"][0]["user"].is_object();
    assert_eq!(result(&ran, "uid and gid"), if tells { "ok" } else { "warn" });
    assert_eq!(result(&ran, "attachable"), "ok");
    let containers = pod.ephemeral_containers().len();
    let _ = pod.jattach(["threaddump"]).succeeded();
    assert_eq!(pod.ephemeral_containers().len(), containers, "the next command takes what doctor has found to fit");
}

#[test]
fn what_fix_rbac_prints_is_all_that_is_missing() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]);
    let account = ServiceAccount::with_rules(&namespace, "joe", &rules);
    let directory = tempdir().expect("a directory");
    let config = account.kubeconfig().write(directory.path());
    let joe = |words: &[&str]| pod.plugin_by(&config, words.iter().copied()).run();
    let granted = joe(&["doctor", "--fix-rbac"]).succeeded().text();
    assert!(pod.ephemeral_containers().is_empty(), "it only asks");
    let create = ["create", "--validate=false", "-f", "-"];
    let _ = namespace.kubectl_program().args(create).stdin(granted).run().succeeded();
    let ran = joe(&["doctor"]).succeeded();
    let _ = ran.prints("\nok    permissions");
    let _ = joe(&["doctor", "--fix-rbac"]).succeeded().says("Nothing is missing.");
}

#[test]
fn who_may_not_add_a_container_is_served_by_the_one_that_runs() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let _ = pod.jattach(["ps"]).succeeded();
    let account = who_may_exec_alone(&namespace);
    let directory = tempdir().expect("a directory");
    let config = account.kubeconfig().write(directory.path());
    let ran = pod.plugin_by(&config, ["doctor"]).run().succeeded();
    let name = pod.ephemeral_containers()[0]["name"].as_str().expect("a name").to_owned();
    let ran = ran.prints(&format!("\nwarn  permissions      {name} runs and serves you;")).prints("--fix-rbac");
    let ran = ran.prints(&format!("\nok    admission        not asked: {name} runs already"));
    let _ = fits_a_screen(ran).prints("\nok    attachable");
    let _ = pod.plugin_by(&config, ["threaddump"]).run().succeeded().prints("Full thread dump");
    assert_eq!(pod.ephemeral_containers().len(), 1);
}

#[test]
fn where_no_container_can_be_added_the_way_by_exec_is_named_and_can_be_looked_at() {
    let namespace = Namespace::new();
    let mut app = manifest::restricted(manifest::jvm("app"));
    app["image"] = shell_image_or_skip!().into();
    let pod = namespace.start(&manifest::pod("x", &[app]));
    let account = who_may_exec_alone(&namespace);
    let directory = tempdir().expect("a directory");
    let config = account.kubeconfig().write(directory.path());
    let _ = pod.plugin_by(&config, ["doctor"]).run().ended_with(4).prints("--via=exec");
    let plugin = cluster().bare_plugin().arg("--kubeconfig").arg(&config);
    let ran = plugin.args(["-n", &namespace.name, "--via=exec", "pod/x", "doctor"]).run().succeeded();
    let ran =
        ran.prints("\nok    injector         in the target's container, by --via=exec").prints("\nwarn  permissions");
    let ran = ran.prints("\nok    free in the pod  not used with --via=exec").prints("\nok    attachable       yes");
    let _ = fits_a_screen(ran).prints("\nok    speed to here");
    assert!(pod.ephemeral_containers().is_empty());
}

#[test]
fn the_room_in_the_pod_is_told_in_numbers() {
    let namespace = Namespace::new();
    let mut app = manifest::mounting(manifest::restricted(manifest::jvm("app")), "tmp", "/tmp");
    app["resources"] = json!({"limits": {"memory": "512Mi"}});
    let mut pod = manifest::with_volume(manifest::pod("x", &[app]), "tmp");
    pod["spec"]["volumes"][0]["emptyDir"] = json!({"sizeLimit": "16Mi"});
    let pod = namespace.start(&pod);
    let ran = pod.jattach(["doctor", "-o", "json"]).succeeded();
    finds(&ran, "memory", "ok", " free of the container's 512.00 MiB");
    finds(&ran, "/tmp writable", "ok", "16.00 MiB by its volume's sizeLimit");
    finds(&ran, "free in the pod", "ok", " of it for a heap dump");
}

#[test]
fn a_tmp_in_memory_has_what_its_limit_leaves() {
    let namespace = Namespace::new();
    let app = manifest::mounting(manifest::restricted(manifest::jvm("app")), "tmp", "/tmp");
    let mut pod = manifest::with_volume(manifest::pod("x", &[app]), "tmp");
    pod["spec"]["volumes"][0]["emptyDir"] = json!({"medium": "Memory", "sizeLimit": "16Mi"});
    let pod = namespace.start(&pod);
    let ran = pod.jattach(["doctor", "-o", "json"]).succeeded();
    // The JVM has its performance data there.
    finds(&ran, "/tmp writable", "ok", "the JVM can be met there; 15.");
}

#[test]
fn capabilities_and_labels_of_injector_and_jvm_are_named() {
    let namespace = Namespace::new();
    let pod = namespace.start(&manifest::pod("x", &[manifest::jvm("app")]));
    let ran = pod.jattach(["doctor", "-o", "json"]).succeeded();
    finds(&ran, "capabilities", "ok", "injector and JVM have CHOWN, DAC_OVERRIDE, ");
    assert_eq!(result(&ran, "labels"), "ok");
    let labels = field(&ran, "labels", "text");
    assert!(labels == "no AppArmor, no SELinux" || labels.starts_with("injector and JVM: "), "{labels}");
    let pod = namespace.start(&manifest::pod("y", &[manifest::restricted(manifest::jvm("app"))]));
    let ran = pod.jattach(["doctor", "-o", "json"]).succeeded();
    finds(&ran, "capabilities", "ok", "injector and JVM have no capabilities");
}

#[test]
fn the_speed_is_told_with_what_a_dump_would_take() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let ran = pod.jattach(["doctor", "-o", "json"]).succeeded();
    finds(&ran, "speed to here", "ok", " MiB/s: ");
    finds(&ran, "speed to here", "ok", " takes ");
}

//! What the plugin may do, and what it says when it may not.

use jattach_e2e::rbac::ServiceAccount;
use jattach_e2e::{Kubeconfig, Namespace, Ran, cluster, dump, manifest};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

/// The plugin as somebody.
struct As<'n> {
    namespace: &'n Namespace,
    directory: TempDir,
}

impl<'n> As<'n> {
    fn of(namespace: &'n Namespace, kubeconfig: &Kubeconfig) -> As<'n> {
        let directory = tempdir().expect("a directory");
        let _ = kubeconfig.write(directory.path());
        As { namespace, directory }
    }

    fn jattach(&self, words: &[&str]) -> Ran {
        let config = self.directory.path().join("config");
        let plugin = cluster().plugin_of_image().arg("--kubeconfig").arg(config).args(["-n", &self.namespace.name]);
        plugin.args(words).directory(self.directory.path()).run()
    }
}

#[test]
fn the_published_role_is_enough_for_everything() {
    let namespace = Namespace::new();
    let app = manifest::restricted(manifest::jvm("app"));
    for (kind, name) in
        [("Deployment", "d"), ("StatefulSet", "s"), ("DaemonSet", "a"), ("ReplicaSet", "r"), ("Job", "j")]
    {
        namespace.create(&manifest::workload(kind, name, &app));
    }
    let _pod = namespace.start_jvm("x");
    let account = ServiceAccount::with_published_role(&namespace, "jane");
    let jane = As::of(&namespace, &account.kubeconfig());
    for words in [
        &["pod/x", "ps"][..],
        &["pod/x", "threaddump"],
        &["pod/x", "inspectheap"],
        &["pod/x", "jcmd", "VM.version"],
        &["pod/x", "properties"],
        &["pod/x", "datadump"],
        &["pod/x", "ps", "--dry-run=server"],
        &["-l", "app=x", "ps"],
    ] {
        let _ = jane.jattach(words).succeeded();
    }
    let _ = jane.jattach(&["pod/x", "dumpheap", "x.hprof"]).succeeded();
    dump::verify(&jane.directory.path().join("x.hprof"));
    let _ = jane.jattach(&["pod/x", "clean"]).succeeded();
    for (target, selector) in
        [("deploy/d", "app=d"), ("sts/s", "app=s"), ("ds/a", "app=a"), ("rs/r", "app=r"), ("job/j", "job-name=j")]
    {
        namespace.pod_of(selector).wait_for_line("app", "ready");
        let _ = jane.jattach(&[target, "ps"]).succeeded();
    }
}

fn rules(without: &str) -> Value {
    let all =
        [("pods", vec!["get"]), ("pods/ephemeralcontainers", vec!["patch"]), ("pods/exec", vec!["get", "create"])];
    let rule =
        |(resource, verbs): (&str, Vec<&str>)| json!({"apiGroups": [""], "resources": [resource], "verbs": verbs});
    all.into_iter().filter(|(resource, _)| *resource != without).map(rule).collect()
}

#[test]
fn three_rights_are_enough_for_a_pod_by_its_name() {
    let namespace = Namespace::new();
    let _pod = namespace.start_jvm("x");
    let account = ServiceAccount::with_rules(&namespace, "joe", &rules("nothing"));
    let joe = As::of(&namespace, &account.kubeconfig());
    // Watching is one of the rights that are missing: the pod is asked instead.
    let _ = joe.jattach(&["pod/x", "threaddump"]).succeeded().prints("Full thread dump");
    let refused = joe.jattach(&["-l", "app=x", "ps"]).ended_with(4).explains();
    let _ = refused.says("may not list pods").says(&account.user());
    let _ = joe.jattach(&["deploy/x", "ps"]).ended_with(4).explains().says("deployments.apps");
}

#[test]
fn each_right_that_is_missing_is_named_with_its_remedy() {
    for (resource, missing) in [
        ("pods", "may not get pods"),
        ("pods/ephemeralcontainers", "may not patch pods/ephemeralcontainers"),
        ("pods/exec", "may not get and create pods/exec"),
    ] {
        let namespace = Namespace::new();
        let _pod = namespace.start_jvm("x");
        let account = ServiceAccount::with_rules(&namespace, "joe", &rules(resource));
        let ran = As::of(&namespace, &account.kubeconfig()).jattach(&["pod/x", "ps"]);
        let ran = ran.ended_with(4).explains().says(missing);
        let _ = ran.says(&format!("in namespace \"{}\"", namespace.name)).says("kubectl");
    }
}

#[test]
fn who_may_not_exec_gets_no_second_injector_beside_the_one_that_runs() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let _ = pod.jattach(["ps"]).succeeded();
    let account = ServiceAccount::with_rules(&namespace, "joe", &rules("pods/exec"));
    let joe = As::of(&namespace, &account.kubeconfig());
    let _ = joe.jattach(&["pod/x", "ps"]).ended_with(4).explains().says("may not get and create pods/exec");
    assert_eq!(pod.ephemeral_containers().len(), 1);
}

#[test]
fn nobody_may_do_anything() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let account = ServiceAccount::new(&namespace, "nobody");
    let nobody = As::of(&namespace, &account.kubeconfig());
    for words in [&["pod/x", "ps"][..], &["pod/x", "dumpheap"], &["pod/x", "clean"], &["deploy/x", "ps"]] {
        let _ = nobody.jattach(words).ended_with(4).explains().says(&account.user());
    }
    assert!(pod.ephemeral_containers().is_empty());
    assert_eq!(dump::names(nobody.directory.path()), ["config"]);
}

#[test]
fn a_user_may_be_impersonated_with_as() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let account = ServiceAccount::with_published_role(&namespace, "jane");
    let _ = pod.jattach(["ps", "--as", &account.user()]).succeeded().prints("App");
    let _ = pod.jattach(["ps", "--as", "nobody-at-all"]).ended_with(4).explains().says("nobody-at-all");
    let masters = pod.jattach(["ps", "--as", "nobody-at-all", "--as-group", "system:masters"]);
    let _ = masters.succeeded().prints("App");
    // And who may not impersonate is told so.
    let jane = As::of(&namespace, &account.kubeconfig());
    let _ = jane
        .jattach(&["pod/x", "ps", "--as", "somebody"])
        .ended_with(4)
        .explains()
        .says("may not impersonate users in the cluster");
}

#[test]
fn a_token_that_nobody_knows_is_said_to_be_refused() {
    let namespace = Namespace::new();
    let stranger = As::of(&namespace, &Kubeconfig::of_user(json!({"token": "nonsense"})));
    let _ = stranger.jattach(&["pod/x", "ps"]).ended_with(4).explains();
}

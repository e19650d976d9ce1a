use serde_json::Value;

use super::*;

fn pod(owner: &Value, spec: &Value) -> Pod {
    let metadata = json!({"name": "x", "labels": {HASH: "7c9d"}, "ownerReferences": owner});
    serde_json::from_value(json!({"metadata": metadata, "spec": spec})).expect("a pod")
}

fn owned_by(kind: &str, name: &str) -> Value {
    let group = if kind == "Job" { "batch/v1" } else { "apps/v1" };
    json!([
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "other", "uid": "1"},
        {"apiVersion": group, "kind": kind, "name": name, "uid": "2", "controller": true},
    ])
}

fn plain() -> Value {
    json!({"containers": [{"name": "app"}], "initContainers": [{"name": "side"}]})
}

/// What is to be patched, by whom nothing but the pod can be read.
async fn found(pod: &Pod, container: &str) -> Change {
    let target = Target { namespace: "fx".into(), pod: pod.clone(), container: container.into(), pid: None };
    change(&Cluster::unreachable(), &target).await
}

fn patched(change: Change) -> (Vec<String>, Value) {
    let Change::Patch { words, .. } = change else { panic!("{change:?}") };
    let patch = serde_json::from_str(words.last().expect("a patch")).expect("JSON");
    (words, patch)
}

#[tokio::test]
async fn the_patch_is_for_what_the_pods_are_made_from() {
    for kind in ["StatefulSet", "DaemonSet"] {
        let (words, _) = patched(found(&pod(&owned_by(kind, "db"), &plain()), "app").await);
        assert_eq!(words[..3], ["patch", &kind.to_lowercase(), "db"].map(str::to_owned));
    }
    let (words, patch) = patched(found(&pod(&owned_by("ReplicaSet", "api-7c9d"), &plain()), "app").await);
    assert_eq!(words[1..3], ["deployment", "api"].map(str::to_owned), "though the ReplicaSet cannot be read");
    let container = json!({"name": "app", "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}]});
    let spec = json!({"volumes": [{"name": "tmp", "emptyDir": {}}], "containers": [container]});
    assert_eq!(patch, json!({"spec": {"template": {"spec": spec}}}));
}

#[tokio::test]
async fn what_cannot_be_patched_is_said() {
    for (owner, expected) in [
        (json!(null), "this pod has no controller"),
        (owned_by("Job", "report"), "the template of job/report cannot be changed"),
        (owned_by("ReplicaSet", "odd"), "get replicasets.apps"),
        (owned_by("Rollout", "api"), "in the pod template of Rollout/api"),
    ] {
        let Change::Words(words) = found(&pod(&owner, &plain()), "app").await else { panic!("a patch: {expected}") };
        assert!(words.contains(expected), "{words}");
    }
    let mounted = json!({"name": "app", "volumeMounts": [{"name": "scratch", "mountPath": "/tmp/", "readOnly": true}]});
    let mounted = pod(&owned_by("StatefulSet", "db"), &json!({"containers": [mounted]}));
    let Change::Words(words) = found(&mounted, "app").await else { panic!("a patch") };
    assert!(words.contains("volume scratch is mounted at /tmp"), "{words}");
}

fn owner(api_version: &str, kind: &str, name: &str) -> OwnerReference {
    let [api_version, kind, name] = [api_version, kind, name].map(str::to_owned);
    OwnerReference { api_version, kind, name, ..OwnerReference::default() }
}

#[test]
fn a_workload_that_is_not_kubernetes_own_is_named_and_not_patched() {
    let words = "for good: an emptyDir at /tmp in the pod template of Deployment/api; it restarts the pods, and what is in memory is lost";
    let others = owner("apps.kruise.io/v1alpha1", "Deployment", "api");
    assert_eq!(of_replica_set("api-1", Some(&others)), Origin::Other(words.to_owned()));
    let jobs = owner("batch.volcano.sh/v1alpha1", "CronJob", "nightly");
    assert!(matches!(of_job("nightly-1", Some(&jobs)), Origin::Other(_)));
}

#[test]
fn a_replica_set_and_a_job_have_owners_of_their_own() {
    let deployment = owner("apps/v1", "Deployment", "api");
    let cron = owner("batch/v1", "CronJob", "nightly");
    let template = |kind, name: &str| Origin::Template { kind, name: name.to_owned() };
    assert_eq!(of_replica_set("api-1", Some(&deployment)), template("deployment", "api"));
    assert_eq!(of_replica_set("alone", None), template("replicaset", "alone"));
    assert_eq!(of_job("nightly-1", Some(&cron)), Origin::CronJob("nightly".into()));
    let (words, patch) = patched(patch(of_job("nightly-1", Some(&cron)), &pod(&json!(null), &plain()), "app"));
    assert_eq!(words[1..3], ["cronjob", "nightly"].map(str::to_owned));
    assert!(patch["spec"]["jobTemplate"]["spec"]["template"]["spec"]["volumes"].is_array(), "{patch}");
}

#[test]
fn the_template_keeps_the_volumes_and_lists_that_it_has() {
    let volumes = json!({"containers": [{"name": "app"}], "volumes": [{"name": "tmp", "configMap": {"name": "c"}}]});
    assert_eq!(template(&pod(&json!(null), &volumes), "app")["spec"]["volumes"][0]["name"], "jattach-tmp");
    let side = template(&pod(&json!(null), &plain()), "side");
    assert_eq!(side["spec"]["initContainers"][0]["name"], "side", "{side}");
}

#[test]
fn what_keeps_the_evidence_comes_first_and_no_line_to_copy_is_cut() {
    let pod_of_api = pod(&json!(null), &plain());
    let text_with = |name: &str, flags: &[&str]| {
        let flags: Vec<OsString> = flags.iter().map(OsString::from).collect();
        let origin = Origin::Template { kind: "deployment", name: name.to_owned() };
        let action = Action::Properties;
        let is_shelter_left = !flags.iter().any(|flag| flag == "--via=exec");
        let asked = Asked { action: &action, is_shelter_left, flags: &flags };
        let text = text(&asked, name, "payments-production", patch(origin, &pod_of_api, "app"));
        let shown = Failure::new(crate::catalogue::Id::TmpNotWritable, "x").remedy(text.clone()).to_string();
        assert!(!shown.contains('…'), "{shown}");
        text
    };
    let short = text_with("api", &["--namespace=shop", "--gzip"]);
    let parts = ["threaddump --via-log", "--profile=sysadmin", "kubectl -n payments-production patch deployment api"];
    let places = parts.map(|part| short.find(part));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{short}");
    // The other way is not left for a container that it does without.
    let inside = text_with("api", &["--via=exec"]);
    assert!(inside.contains("kubectl jattach --via=exec pod/api threaddump --via-log"), "{inside}");
    assert!(!inside.contains("--profile") && inside.contains("patch deployment"), "{inside}");
    let config = "--kubeconfig=/home/jane.doe/.kube/configs/production.yaml";
    let long = text_with(&"a".repeat(63), &[config]);
    assert!(!long.contains("--profile") && long.contains("patch deployment"), "{long}");
    // As clusters are called that a cloud has named.
    let context = "--context=arn:aws:eks:eu-central-1:123456789012:cluster/payments-production";
    let flags = ["--namespace=payments-production", config, context];
    assert!(text_with("payments-api", &flags).contains("patch deployment payments-api"));
    let account = "--as=system:serviceaccount:payments-production:on-call";
    let longest = text_with("payments-api", &[&flags[..], &[account]].concat());
    assert!(!longest.contains("patch") && longest.contains("an emptyDir at /tmp in the template of"), "{longest}");
    assert!(longest.contains(context) && longest.contains("restarts the pods"), "{longest}");
}

#[test]
fn in_doctor_the_same_comes_in_the_same_order_and_in_words_where_a_line_takes_too_much() {
    let flags = ["--namespace=shop".into()];
    let shown = |is_shelter_left, fits: bool| {
        let asked = Asked { action: &Action::Doctor { fix_rbac: false }, is_shelter_left, flags: &flags };
        let origin = Origin::Template { kind: "deployment", name: "api".to_owned() };
        in_few_rows(&asked, "api-1", "shop", patch(origin, &pod(&json!(null), &plain()), "app"), |_| fits)
    };
    let whole = shown(true, true);
    let lines: Vec<&str> = whole.lines().collect();
    assert_eq!(
        lines[..3],
        [
            "the threads, by a signal: kubectl jattach --namespace=shop pod/api-1 threaddump --via-log",
            "any command: --profile=sysadmin (a privileged container mounts a tmpfs)",
            "for good, but it restarts the pods: what is in memory is lost:",
        ]
    );
    assert!(lines[3].contains("patch deployment api") && lines.len() == 4, "{whole}");
    assert!(shown(true, false).ends_with("is lost: an emptyDir at /tmp in the template of deployment/api"));
    assert!(!shown(false, true).contains("--profile"));
}

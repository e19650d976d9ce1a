//! TARGET's spellings, and the container that kubectl would take.

use super::*;
use serde_json::{Value, json};

fn parsed(target: &str) -> String {
    match Name::parse(target) {
        Ok(Name::Pod(name)) => format!("pod {name}"),
        Ok(Name::Workload { kind, name }) => format!("{} {name}", kind.resource()),
        Ok(Name::Selector(_)) => unreachable!("no selector is parsed from a target"),
        Err(failure) => failure.cause,
    }
}

#[test]
fn every_spelling_of_every_kind_is_known() {
    for pod in ["x", "pod/x", "po/x", "pods/x", "Pod/x"] {
        assert_eq!(parsed(pod), "pod x");
    }
    let kinds = [
        ("deployments.apps", ["deploy", "Deployment", "deployments", "deployments.apps"]),
        ("statefulsets.apps", ["sts", "statefulset", "statefulsets", "statefulset.apps"]),
        ("daemonsets.apps", ["ds", "daemonset", "daemonsets", "daemonsets.apps"]),
        ("replicasets.apps", ["rs", "replicaset", "replicasets", "replicasets.apps"]),
        ("jobs.batch", ["job", "jobs", "job.batch", "jobs.batch"]),
    ];
    for (resource, spellings) in kinds {
        for spelling in spellings {
            assert_eq!(parsed(&format!("{spelling}/x")), format!("{resource} x"));
        }
    }
}

#[test]
fn a_kind_that_runs_no_pods_is_refused() {
    assert_eq!(parsed("svc/x"), "\"svc\" is no kind of target");
    assert_eq!(parsed("pod/"), "\"pod/\" names no target");
    assert_eq!(parsed("pod/x/y"), "\"pod/x/y\" names no target");
}

#[test]
fn a_name_that_would_lead_to_another_path_is_refused() {
    assert_eq!(parsed("pod/.."), "\"..\" cannot be the name of a pod");
    assert_eq!(parsed("x?watch=1"), "\"x?watch=1\" cannot be the name of a pod");
    assert_eq!(parsed("deploy/API"), "\"API\" cannot be the name of a deployment");
    let wish = Wish::new(Some("x"), None, Some("a/b".to_owned()), None);
    assert_eq!(wish.unwrap_err().cause, "\"a/b\" cannot be the name of a container");
}

fn pod(change: impl FnOnce(&mut Value)) -> Pod {
    let mut pod = json!({
        "metadata": {"name": "x"},
        "spec": {
            "initContainers": [{"name": "setup"}],
            "containers": [{"name": "app"}, {"name": "side"}],
            "ephemeralContainers": [{"name": "debugger-1"}],
        },
    });
    change(&mut pod);
    serde_json::from_value(pod).unwrap()
}

fn chosen(pod: &Pod, wanted: Option<&str>) -> (String, String) {
    let notes = Notes::recording();
    let container = container::choose(pod, wanted, &notes).unwrap_or_else(|failure| failure.cause);
    (container, notes.recorded())
}

#[test]
fn the_first_container_is_the_default_and_kubectl_would_say_so() {
    let (container, said) = chosen(&pod(|_| ()), None);
    assert_eq!(container, "app");
    assert_eq!(said, "Defaulted container \"app\" out of: app, side, setup (init)\n");
}

#[test]
fn the_only_container_is_taken_without_a_word() {
    let only = pod(|pod| {
        pod["spec"]["containers"] = json!([{"name": "app"}]);
        pod["spec"]["initContainers"] = json!([]);
    });
    assert_eq!(chosen(&only, None), ("app".into(), String::new()));
}

#[test]
fn the_annotation_names_the_default_container() {
    let annotated = |name: &str| {
        let annotations = json!({"kubectl.kubernetes.io/default-container": name});
        pod(|pod| pod["metadata"]["annotations"] = annotations)
    };
    assert_eq!(chosen(&annotated("side"), None), ("side".into(), String::new()));
    let (container, said) = chosen(&annotated("gone"), None);
    assert_eq!(container, "app");
    assert!(said.starts_with("Default container name \"gone\" not found in pod x\n"), "{said}");
}

#[test]
fn a_named_container_counts_before_everything_else() {
    assert_eq!(chosen(&pod(|_| ()), Some("setup")).0, "setup");
    assert_eq!(chosen(&pod(|_| ()), Some("nope")).0, "pod/x has no container \"nope\"");
    assert_eq!(chosen(&pod(|_| ()), Some("debugger-1")).0, "container \"debugger-1\" is an ephemeral container");
    let refused = container::choose(&pod(|_| ()), Some("nope"), &Notes::silent()).unwrap_err();
    assert_eq!(refused.evidence, "the containers of pod/x are app, side, setup (init)");
}

//! What the user may do in the target's namespace, as the API server answers it (SelfSubjectAccessReview).

use futures::future::try_join_all;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::api::PostParams;

use super::report::Verdict;
use crate::catalogue::Id;
use crate::client::Cluster;
use crate::client::explain::Call;
use crate::error::{Failure, Result};

/// A verb on a resource of the target's namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Right {
    /// The API group; empty for the core's.
    pub(super) group: &'static str,
    /// The resource, with its subresource as RBAC writes it.
    pub(super) resource: &'static str,
    pub(super) verb: &'static str,
}

const fn core(resource: &'static str, verb: &'static str) -> Right {
    Right { group: "", resource, verb }
}

const GET: Right = core("pods", "get");
const PATCH: Right = core("pods/ephemeralcontainers", "patch");
const EXEC: [Right; 2] = [core("pods/exec", "get"), core("pods/exec", "create")];

/// By what deploy/policy.yaml knows those whom it concerns; no right that anything needs.
pub(super) const MARK: Right = Right { group: "kubectl-jattach", resource: "injectors", verb: "add" };

/// Everything that deploy/role.yaml gives, but for [`MARK`].
pub(super) const RIGHTS: [Right; 13] = [
    GET,
    PATCH,
    EXEC[0],
    EXEC[1],
    core("pods", "list"),
    core("pods", "watch"),
    Right { group: "apps", resource: "deployments", verb: "get" },
    Right { group: "apps", resource: "statefulsets", verb: "get" },
    Right { group: "apps", resource: "daemonsets", verb: "get" },
    Right { group: "apps", resource: "replicasets", verb: "get" },
    Right { group: "batch", resource: "jobs", verb: "get" },
    core("events", "list"),
    core("pods/log", "get"),
];

/// How the injector gets to where it serves.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// In a container that is added.
    Added,
    /// In that one, which runs already.
    Running(String),
    /// In the target's (--via=exec).
    Inside,
}

/// What a server asks for before it lets somebody exec: the request is a GET, and newer servers ask for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exec {
    Get,
    GetAndCreate,
}

/// Those of [`RIGHTS`] that the user has not.
#[derive(Debug)]
pub(super) struct Missing(pub(super) Vec<Right>);

/// Asks for each right; for those on one pod by its name, where that is known, because a Role may name it.
///
/// # Errors
/// Those of the calls.
pub(super) async fn missing(cluster: &Cluster, pod: Option<&str>) -> Result<Missing> {
    let answers = try_join_all(RIGHTS.iter().map(|right| may(cluster, right, pod))).await?;
    Ok(Missing(RIGHTS.into_iter().zip(answers).filter(|(_, may)| !may).map(|(right, _)| right).collect()))
}

async fn may(cluster: &Cluster, right: &Right, pod: Option<&str>) -> Result<bool> {
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(right.attributes(cluster.namespace(), pod)),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let reviews = cluster.unnamespaced::<SelfSubjectAccessReview>();
    let call = Call::new("create", "selfsubjectaccessreviews.authorization.k8s.io", "");
    let answer = cluster.call(&call, reviews.create(&PostParams::default(), &review)).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

impl Right {
    fn attributes(&self, namespace: &str, pod: Option<&str>) -> ResourceAttributes {
        let (resource, subresource) = match self.resource.split_once('/') {
            Some((resource, subresource)) => (resource, Some(subresource)),
            None => (self.resource, None),
        };
        let is_named = resource == "pods" && !matches!(self.verb, "list" | "watch");
        ResourceAttributes {
            group: Some(self.group.to_owned()),
            resource: Some(resource.to_owned()),
            subresource: subresource.map(str::to_owned),
            verb: Some(self.verb.to_owned()),
            namespace: Some(namespace.to_owned()),
            name: pod.filter(|_| is_named).map(str::to_owned),
            ..ResourceAttributes::default()
        }
    }
}

impl Missing {
    /// Whether it is the right to add a container that is missing, of those that every command needs.
    pub(super) fn forbids_adding(&self) -> bool {
        self.0.contains(&PATCH)
    }

    /// A failure if a right is missing that every command needs on that way, a warning for any other.
    pub(super) fn verdict(&self, namespace: &str, way: &Way, exec: Exec) -> Verdict {
        const REMEDY: &str = "the same line with --fix-rbac prints the Role that is missing";
        const INSIDE: &str = "\nwhere the container has a shell, --via=exec does without it";
        let Missing(missing) = self;
        if missing.is_empty() {
            return Verdict::Ok(format!("all {} of the Role that this project publishes", RIGHTS.len()));
        }
        let mut text = format!("you may not {} in namespace \"{namespace}\"", self.words());
        let cannot_exec = match exec {
            Exec::Get => missing.contains(&EXEC[0]),
            Exec::GetAndCreate => EXEC.iter().any(|right| missing.contains(right)),
        };
        let cannot_add = self.forbids_adding() && *way == Way::Added;
        if missing.contains(&GET) || cannot_add || cannot_exec {
            let inside = if cannot_add && !cannot_exec { INSIDE } else { "" };
            return Failure::new(Id::NoPermission, text).remedy(format!("{REMEDY}{inside}")).into();
        }
        if let Way::Running(name) = way
            && self.forbids_adding()
        {
            // First, because the end may be cut off.
            text = format!("{name} runs and serves you; {text}");
        }
        Verdict::warn(text, REMEDY)
    }

    /// `list and watch pods, get jobs.batch`
    fn words(&self) -> String {
        let mut all: Vec<(String, Vec<&str>)> = Vec::new();
        for Right { group, resource, verb } in &self.0 {
            let resource = if group.is_empty() { (*resource).to_owned() } else { format!("{resource}.{group}") };
            match all.iter_mut().find(|(known, _)| *known == resource) {
                Some((_, verbs)) => verbs.push(verb),
                None => all.push((resource, vec![verb])),
            }
        }
        let words = all.into_iter().map(|(resource, verbs)| match &verbs[..] {
            [verbs @ .., last] if !verbs.is_empty() => format!("{} and {last} {resource}", verbs.join(", ")),
            verbs => format!("{} {resource}", verbs.concat()),
        });
        words.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;
    use crate::render::document::read;
    use serde_json::Value;

    #[test]
    fn the_rights_that_are_asked_for_are_those_of_the_published_role() {
        let role: Value = read(include_str!("../../../../deploy/role.yaml")).expect("a Role");
        let words = |rule: &Value, field: &str| -> Vec<String> {
            let words = rule[field].as_array().expect("a list").iter();
            words.map(|word| word.as_str().expect("a word").to_owned()).collect()
        };
        let mut published = Vec::new();
        for rule in role["rules"].as_array().expect("rules") {
            assert_eq!(rule["resourceNames"], Value::Null, "doctor asks for every pod");
            for group in words(rule, "apiGroups") {
                for resource in words(rule, "resources") {
                    let verbs = words(rule, "verbs");
                    published.extend(verbs.into_iter().map(|verb| (group.clone(), resource.clone(), verb)));
                }
            }
        }
        let words = |right: &Right| (right.group.into(), right.resource.into(), right.verb.into());
        let mut asked: Vec<(String, String, String)> = RIGHTS.iter().chain([&MARK]).map(words).collect();
        published.sort();
        asked.sort();
        assert_eq!(asked, published);
    }

    /// What is found, and what it ends with: `Some(None)` for a warning.
    fn exit_on(way: &Way, missing: &[Right]) -> Option<Option<Exit>> {
        exit_of(way, Exec::GetAndCreate, missing)
    }

    fn exit_of(way: &Way, exec: Exec, missing: &[Right]) -> Option<Option<Exit>> {
        match Missing(missing.to_vec()).verdict("shop", way, exec) {
            Verdict::Ok(_) => None,
            Verdict::Warn { .. } => Some(None),
            Verdict::Fail(failure) => Some(Some(failure.exit())),
            Verdict::Skipped(why) => panic!("{why}"),
        }
    }

    #[test]
    fn where_nothing_is_added_the_right_to_add_is_not_needed() {
        for way in &[Way::Running("jattach-bcdfg".to_owned()), Way::Inside] {
            assert_eq!(exit_on(way, &[PATCH]), Some(None), "{way:?}");
            assert_eq!(exit_on(way, &EXEC), Some(Some(Exit::Refused)), "{way:?}");
            assert_eq!(exit_on(way, &[GET, PATCH]), Some(Some(Exit::Refused)), "{way:?}");
        }
        let verdict = Missing(vec![PATCH]).verdict("shop", &Way::Running("jattach-bcdfg".to_owned()), Exec::Get);
        assert!(matches!(verdict, Verdict::Warn { text, .. } if text.starts_with("jattach-bcdfg runs")));
        // Who may exec has another way; who may not has none.
        let offers = |missing: &[Right]| match Missing(missing.to_vec()).verdict("shop", &Way::Added, Exec::Get) {
            Verdict::Fail(failure) => failure.remedy.contains("--via=exec"),
            other => panic!("{other:?}"),
        };
        assert!(offers(&[PATCH]));
        assert!(!offers(&[EXEC[0], EXEC[1], PATCH]) && !offers(&EXEC));
    }

    #[test]
    fn a_right_that_every_command_needs_fails_and_another_warns() {
        let exit = |missing: &[Right]| exit_on(&Way::Added, missing);
        let of_older = |missing: &[Right]| exit_of(&Way::Added, Exec::Get, missing);
        assert_eq!(exit(&[]), None);
        for needed in [&[GET][..], &[PATCH], &EXEC, &EXEC[..1], &EXEC[1..], &[core("events", "list"), PATCH]] {
            assert_eq!(exit(needed), Some(Some(Exit::Refused)), "{needed:?}");
        }
        assert_eq!(exit(&RIGHTS[4..]), Some(None));
        assert_eq!(
            of_older(&EXEC[..1]),
            Some(Some(Exit::Refused)),
            "the request is a GET whatever the server asks for"
        );
        assert_eq!(of_older(&EXEC[1..]), Some(None));
    }

    #[test]
    fn what_is_missing_is_told_in_the_words_of_rbac() {
        let words = Missing(vec![EXEC[0], EXEC[1], RIGHTS[6]]).words();
        assert_eq!(words, "get and create pods/exec, get deployments.apps");
        assert_eq!(Missing(vec![GET, RIGHTS[4], RIGHTS[5]]).words(), "get, list and watch pods");
    }

    #[test]
    fn a_right_on_a_pod_is_asked_for_with_the_pods_name() {
        let exec = EXEC[1].attributes("shop", Some("x"));
        assert_eq!((exec.resource.as_deref(), exec.subresource.as_deref()), (Some("pods"), Some("exec")));
        assert_eq!((exec.name.as_deref(), exec.namespace.as_deref()), (Some("x"), Some("shop")));
        for right in [core("pods", "list"), core("events", "list"), RIGHTS[6]] {
            assert_eq!(right.attributes("shop", Some("x")).name, None, "{right:?}");
        }
    }
}

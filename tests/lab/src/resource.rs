//! The resources that the lab serves: one table, from which paths, discovery and messages come.

/// A resource of the API.
#[derive(Debug)]
pub struct Resource {
    /// Empty for the core group.
    pub group: &'static str,
    pub version: &'static str,
    pub plural: &'static str,
    pub singular: &'static str,
    pub kind: &'static str,
    pub namespaced: bool,
    pub short_names: &'static [&'static str],
    pub categories: &'static [&'static str],
    pub verbs: &'static [&'static str],
    pub subresources: &'static [Subresource],
}

#[derive(Debug)]
pub struct Subresource {
    pub name: &'static str,
    /// Group and version of its kind where they are not those of the parent.
    pub group_version: Option<(&'static str, &'static str)>,
    pub kind: &'static str,
    pub verbs: &'static [&'static str],
}

impl Resource {
    /// `v1`, `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }

    pub fn list_kind(&self) -> String {
        format!("{}List", self.kind)
    }
}

const OBJECT: &[&str] = &["create", "delete", "get", "list", "patch", "watch"];
const PLAIN: Resource = Resource {
    group: "",
    version: "v1",
    plural: "",
    singular: "",
    kind: "",
    namespaced: true,
    short_names: &[],
    categories: &[],
    verbs: OBJECT,
    subresources: &[],
};

pub static EVENTS: Resource = Resource {
    plural: "events",
    singular: "event",
    kind: "Event",
    short_names: &["ev"],
    verbs: &["get", "list", "watch"],
    ..PLAIN
};
pub static NAMESPACES: Resource = Resource {
    plural: "namespaces",
    singular: "namespace",
    kind: "Namespace",
    namespaced: false,
    short_names: &["ns"],
    ..PLAIN
};
pub static PODS: Resource = Resource {
    plural: "pods",
    singular: "pod",
    kind: "Pod",
    short_names: &["po"],
    categories: &["all"],
    subresources: &[
        Subresource { name: "ephemeralcontainers", group_version: None, kind: "Pod", verbs: &["get", "patch"] },
        Subresource { name: "exec", group_version: None, kind: "PodExecOptions", verbs: &["create", "get"] },
        Subresource { name: "log", group_version: None, kind: "Pod", verbs: &["get"] },
    ],
    ..PLAIN
};
pub static SERVICE_ACCOUNTS: Resource = Resource {
    plural: "serviceaccounts",
    singular: "serviceaccount",
    kind: "ServiceAccount",
    short_names: &["sa"],
    subresources: &[Subresource {
        name: "token",
        group_version: Some(("authentication.k8s.io", "v1")),
        kind: "TokenRequest",
        verbs: &["create"],
    }],
    ..PLAIN
};

const APPS: Resource = Resource { group: "apps", categories: &["all"], ..PLAIN };
pub static DAEMON_SETS: Resource =
    Resource { plural: "daemonsets", singular: "daemonset", kind: "DaemonSet", short_names: &["ds"], ..APPS };
pub static DEPLOYMENTS: Resource =
    Resource { plural: "deployments", singular: "deployment", kind: "Deployment", short_names: &["deploy"], ..APPS };
pub static REPLICA_SETS: Resource =
    Resource { plural: "replicasets", singular: "replicaset", kind: "ReplicaSet", short_names: &["rs"], ..APPS };
pub static STATEFUL_SETS: Resource =
    Resource { plural: "statefulsets", singular: "statefulset", kind: "StatefulSet", short_names: &["sts"], ..APPS };
pub static JOBS: Resource =
    Resource { group: "batch", plural: "jobs", singular: "job", kind: "Job", categories: &["all"], ..PLAIN };

pub static SELF_SUBJECT_REVIEWS: Resource = Resource {
    group: "authentication.k8s.io",
    plural: "selfsubjectreviews",
    singular: "selfsubjectreview",
    kind: "SelfSubjectReview",
    namespaced: false,
    verbs: &["create"],
    ..PLAIN
};
pub static SELF_SUBJECT_ACCESS_REVIEWS: Resource = Resource {
    group: "authorization.k8s.io",
    plural: "selfsubjectaccessreviews",
    singular: "selfsubjectaccessreview",
    kind: "SelfSubjectAccessReview",
    namespaced: false,
    verbs: &["create"],
    ..PLAIN
};

const RBAC: Resource = Resource { group: "rbac.authorization.k8s.io", ..PLAIN };
pub static CLUSTER_ROLE_BINDINGS: Resource = Resource {
    plural: "clusterrolebindings",
    singular: "clusterrolebinding",
    kind: "ClusterRoleBinding",
    namespaced: false,
    ..RBAC
};
pub static CLUSTER_ROLES: Resource =
    Resource { plural: "clusterroles", singular: "clusterrole", kind: "ClusterRole", namespaced: false, ..RBAC };
pub static ROLE_BINDINGS: Resource =
    Resource { plural: "rolebindings", singular: "rolebinding", kind: "RoleBinding", ..RBAC };
pub static ROLES: Resource = Resource { plural: "roles", singular: "role", kind: "Role", ..RBAC };

/// Every resource, ordered by group and name as discovery lists them.
pub static ALL: [&Resource; 15] = [
    &EVENTS,
    &NAMESPACES,
    &PODS,
    &SERVICE_ACCOUNTS,
    &DAEMON_SETS,
    &DEPLOYMENTS,
    &REPLICA_SETS,
    &STATEFUL_SETS,
    &SELF_SUBJECT_REVIEWS,
    &SELF_SUBJECT_ACCESS_REVIEWS,
    &JOBS,
    &CLUSTER_ROLE_BINDINGS,
    &CLUSTER_ROLES,
    &ROLE_BINDINGS,
    &ROLES,
];

/// The workloads whose pods the lab makes.
pub static WORKLOADS: [&Resource; 5] = [&DAEMON_SETS, &DEPLOYMENTS, &REPLICA_SETS, &STATEFUL_SETS, &JOBS];

pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    ALL.into_iter().find(|resource| resource.group == group && resource.version == version && resource.plural == plural)
}

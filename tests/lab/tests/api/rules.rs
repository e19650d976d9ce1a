//! What may differ between a recording and the lab's answer, and why. Nothing else may.

/// Texts that are different in every cluster and at every moment. Each match is replaced on both sides before the
/// comparison: (pattern, what stands for it, reason).
pub(crate) const NORMALISED: &[(&str, &str, &str)] = &[
    ("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uid>", "uids are random"),
    ("[0-9a-f]{64}", "<digest>", "container ids are random, image ids name other images"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>", "the clock goes on"),
    (r"\b10\.244\.\d+\.\d+\b", "<pod-ip>", "addresses depend on the pod network"),
    ("kube-api-access-[a-z0-9]{5}", "kube-api-access-<suffix>", "generated names are random"),
    (r"web-[a-z0-9]{9,10}\b", "web-<hash>", "the template's hash is another function"),
];

/// What may differ at a path. `*` stands for one step, `**` for any number of them; a path begins at the body, or at a
/// frame's status.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rule {
    /// There on both sides, of one type, with any value.
    AnyValue,
    /// Texts that begin alike, this far; the rest is the runtime's or a Go struct's.
    SameStart(&'static str),
    /// Not compared.
    LeftOut,
}

/// (recording, path, rule, reason). `*` as recording means all.
pub(crate) const RULES: &[(&str, &str, Rule, &str)] = &[
    ("*", "metadata.resourceVersion", Rule::AnyValue, "the counter stands where it stands"),
    ("*", "items.*.metadata.resourceVersion", Rule::AnyValue, "the counter stands where it stands"),
    ("*", "items.*.involvedObject.resourceVersion", Rule::AnyValue, "the counter stands where it stands"),
    (
        "*",
        "**.volumes.0.projected.sources.3",
        Rule::LeftOut,
        "openshift-service-ca.crt: the recorded cluster's own addition, not Kubernetes'",
    ),
    (
        "*",
        "status.resources",
        Rule::LeftOut,
        "the kubelet adds up a memory limit of 9007199254740988Ki once an ephemeral container has run",
    ),
    (
        "ephemeral-patch-same-name-changed",
        "message",
        Rule::SameStart(
            "Pod \"root\" is invalid: spec.ephemeralContainers: Forbidden: existing ephemeral containers \"jattach-a\" \
             may not be changed\n",
        ),
        "the rest is a diff of Go structs",
    ),
    (
        "ephemeral-patch-same-name-changed",
        "details.causes.0.message",
        Rule::SameStart("Forbidden: existing ephemeral containers \"jattach-a\" may not be changed\n"),
        "the rest is a diff of Go structs",
    ),
    (
        "deployment-get",
        "metadata.annotations.kubectl.kubernetes.io/last-applied-configuration",
        Rule::LeftOut,
        "kubectl apply's own note; the lab's deployment is created without it",
    ),
    ("deployment-get", "metadata.uid", Rule::AnyValue, "uids are random"),
    (
        "exec-no-such-command",
        "message",
        Rule::SameStart(
            "Internal error occurred: Internal error occurred: error executing command in container: failed to exec in \
             container: failed to start exec ",
        ),
        "the rest is the runtime's",
    ),
    (
        "exec-no-such-command",
        "details.causes.0.message",
        Rule::SameStart("Internal error occurred: error executing command in container: failed to exec in container"),
        "the rest is the runtime's",
    ),
    (
        "watch-ephemeral-bad-command",
        "**.message",
        Rule::SameStart("failed to create containerd task: failed to create shim task: OCI runtime create failed: "),
        "the rest is the runtime's",
    ),
    (
        "watch-ephemeral-image-pull-failure",
        "1.state.waiting.message",
        Rule::SameStart("failed to pull and unpack image \"registry.invalid/jattach:none\": failed to resolve image: "),
        "the rest is a resolver's",
    ),
    (
        "watch-ephemeral-image-pull-failure",
        "2.state.waiting.message",
        Rule::SameStart(
            "Back-off pulling image \"registry.invalid/jattach:none\": ErrImagePull: failed to pull and unpack image \
             \"registry.invalid/jattach:none\": failed to resolve image: ",
        ),
        "the rest is a resolver's",
    ),
];

/// Resources that the recorded discovery has and the lab has not: it lists what it serves. Every entry it has must be
/// the recorded one, but for verbs that it does not serve.
pub(crate) const DISCOVERY_IS_A_SUBSET: &str = "the lab serves only what the plugin and the end-to-end tests call";

/// Events that the lab does not have: (reason, why).
pub(crate) const EVENTS_LEFT_OUT: &[(&str, &str)] =
    &[("MissingClusterDNS", "the recorded kubelet had no DNS configured; the lab's pods have no network")];

/// Events are compared by reason, type, field path and message; the messages with these beginnings only so far.
pub(crate) const EVENT_MESSAGES: &[(&str, &str)] = &[(
    "Failed to pull image \"registry.invalid/jattach:none\": failed to pull and unpack image \
     \"registry.invalid/jattach:none\": failed to resolve image: ",
    "the rest is a resolver's",
)];

/// Members of the answers that no rule may leave out.
pub(crate) const NEVER_LEFT_OUT: &[&str] =
    &["code", "reason", "message", "causes", "details", "state", "lastState", "status"];

#[test]
fn no_rule_leaves_out_what_must_be_compared() {
    for (recording, path, rule, reason) in RULES {
        let last = path.rsplit('.').next().unwrap_or_default();
        assert!(!reason.is_empty(), "{recording} {path} has no reason");
        let hides = matches!(rule, Rule::LeftOut) && NEVER_LEFT_OUT.contains(&last);
        assert!(!hides, "{recording}: {path} may not be left out");
        assert!(!matches!(rule, Rule::SameStart("")), "{recording}: {path} compares nothing");
    }
}

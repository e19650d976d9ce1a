//! What the API server answers.

use super::{Entry, Id};

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn entry(id: Id) -> Option<Entry> {
    let (meaning, evidence, remedy) = match id {
        Id::NoPermission => (
            "RBAC does not grant you what the command needs.",
            "The server's own words: who may not do what, and where.",
            "The message prints the commands that grant exactly this right. `kubectl jattach TARGET doctor --fix-rbac` prints one \
             Role with all that is missing. With --via=exec, get pods and pods/exec are enough.",
        ),
        Id::NoLogin => (
            "The API server answers 401: your token or certificate has expired, or belongs to another cluster.",
            "The server's address and its answer.",
            "Log in again as for kubectl; `kubectl auth whoami` shows as whom. --user and --context choose others.",
        ),
        Id::NotFound => (
            "The namespace has no pod, or no workload, of that name.",
            "The server's own words.",
            "Look in another namespace (-n), or in another cluster (--context).",
        ),
        Id::NoSuchResource => (
            "The API server has no such resource: it is older than Kubernetes 1.25, from which on ephemeral containers are stable.",
            "The server's answer.",
            "Update the cluster, or use --via=exec, which needs no ephemeral container.",
        ),
        Id::Quota => (
            "A quota of the namespace leaves no room for the injector's container. Kubernetes' own ResourceQuota counts no \
             ephemeral containers: another admission plugin of the cluster does.",
            "The quota, what was asked for, and what is used.",
            "`kubectl describe quota` shows it. Ask for more, or free some.",
        ),
        Id::AdmissionRule => (
            "An admission plugin, or a ValidatingAdmissionPolicy, refuses the request.",
            "Its own words.",
            "Show it to whoever runs the cluster. A policy that admits this tool alone is in deploy/ of the project.",
        ),
        Id::Webhook => (
            "An admission webhook (Kyverno, Gatekeeper, one of the company's own) refuses the injector's container, or does not \
             answer the API server, which admits nothing without it.",
            "The webhook's name and its words, or why it could not be asked.",
            "Try again if it did not answer. Show it to whoever runs the cluster, with what `ps --dry-run=client -o yaml` prints: that is all there is to judge. \
             An image from a registry that the rule allows goes with --image.",
        ),
        Id::PodSecurity => (
            "The namespace enforces a level of the Pod Security Standards that the container would break. It copies the target's \
             security context, so the target itself asks for more than the level allows; or what was asked for by name does \
             (--profile, --run-as-user, --custom).",
            "The level, and each field that breaks it.",
            "Leave out what was asked for by name. Otherwise the namespace's label pod-security.kubernetes.io/enforce, or the \
             target, has to change.",
        ),
        Id::OlderContainer => (
            "Pod Security judges the whole pod, and an earlier debug container of it, not the one of this command, breaks the \
             level. Ephemeral containers cannot be removed.",
            "The level, and the older container's fields.",
            "Attach to another replica, restart the pod, or use --via=exec.",
        ),
        Id::StaticPod => (
            "The kubelet reads static pods from files, and the API server takes no ephemeral container for them.",
            "The annotation by which the pod is one, or the server's words.",
            "--via=exec needs none, if the container has a shell. On the node itself the injector takes a pid as its first \
             argument.",
        ),
        Id::InvalidContainer => (
            "The API server finds the container invalid.",
            "Each field, and what is wrong with it.",
            "Check --image and --custom; --dry-run=client -o yaml shows what is sent.",
        ),
        Id::NoContainerAnyMore => (
            "The pod was replaced by another one of the same name, which has no such container.",
            "The server's own words.",
            "Name one of its containers with -c.",
        ),
        Id::Overloaded => (
            "The API server, or what stands before it, answers 429, 503 or 504.",
            "The answer.",
            "Try again in a while.",
        ),
        Id::ServerFailed => (
            "The API server answers with a failure of its own, or with one of the node's kubelet.",
            "The answer.",
            "Try again. If it stays so, the logs of the API server and of the node's kubelet tell more.",
        ),
        Id::ServerRefused => (
            "The API server refuses the request for a reason that this plugin does not know.",
            "The answer.",
            "-v=6 shows the request. The server has to be 1.25 or newer.",
        ),
        Id::RequestTimedOut => (
            "A single request got no answer within --request-timeout.",
            "The request, and the server's address.",
            "Check the connection, or allow more with --request-timeout.",
        ),
        Id::NoWebSockets => (
            "exec needs a connection that is upgraded to WebSockets, and a proxy or a load balancer does not pass that on.",
            "What was answered instead.",
            "Have it pass on `Upgrade: websocket`, or go another way to the API server.",
        ),
        Id::NoExec => (
            "The node's kubelet offers no exec: a virtual node (serverless, burst) often does not.",
            "The answer.",
            "Attach to a replica on another node.",
        ),
        _ => return None,
    };
    Some(Entry { meaning, evidence, remedy })
}

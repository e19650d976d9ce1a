//! Why there is no target, and why the injector's container does not start in it.

use super::{Entry, Id};

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn entry(id: Id) -> Option<Entry> {
    let (meaning, evidence, remedy) = match id {
        Id::ImagePull => (
            "The node cannot pull the image: the registry is out of reach, does not have it, or wants credentials. An ephemeral \
             container cannot bring pull secrets of its own: the pod's are used, and a running pod's cannot be changed.",
            "The kubelet's words.",
            "Copy the image to a registry that the node reaches with the pod's secrets, or with none, and name it with --image or \
             KUBECTL_JATTACH_IMAGE. --via=exec needs no image.",
        ),
        Id::ImageNeverPull => (
            "With --image-pull-policy Never the image has to be on the node already.",
            "The kubelet's words.",
            "Load it onto the node, or allow pulling: --image-pull-policy IfNotPresent.",
        ),
        Id::ImageInvalid => (
            "The node cannot make anything of the image's reference.",
            "The kubelet's words.",
            "Give another reference with --image.",
        ),
        Id::ContainerConfig => (
            "The kubelet does not start a container of this configuration: most often runAsNonRoot without a uid that is a \
             number.",
            "The kubelet's words.",
            "--run-as-user gives the uid. --dry-run=client -o yaml shows what was sent.",
        ),
        Id::ContainerStart => (
            "The container runtime fails to start the container.",
            "The runtime's words.",
            "Check that --image is the injector's image and made for the node's architecture; or the node is short of processes, \
             memory or disk, which `kubectl describe node` tells.",
        ),
        Id::InjectorEndedAtOnce => (
            "The container was started, and its program ended before it could be used.",
            "Its exit code, and its last words.",
            "Check that --image is the injector's image and of this plugin's version (`kubectl jattach version`).",
        ),
        Id::InjectorEnded => (
            "The injector that was running has ended: its --ttl is over, or its container was killed.",
            "The server's answer.",
            "Try again: a new one is started.",
        ),
        Id::StartTimedOut => (
            "The container did not run within the time allowed for it.",
            "What the kubelet said last.",
            "`kubectl describe pod` tells more. A large or slow node takes longer at its first pull: try again.",
        ),
        Id::NotInside => (
            "With --via=exec the injector is written into the target's own container and run there. That takes a shell (sh) and \
             chmod, head, mkdir, rm, rmdir, sha256sum and uname in its image, a writable directory that is not mounted noexec \
             (/tmp, /var/tmp, /dev/shm or the home directory), and an injector for its processor in this build of the plugin.",
            "What is missing, in the container's words.",
            "Where the pod takes a debug container, leave --via=exec out: that needs nothing in the image.",
        ),
        Id::MoreThanTarget => (
            "To see the JVM the injector would need a user or capabilities that the target's container, by its spec, does not \
             have. It never takes more than the target has unless you ask for it by name; and what asks for it is a message out \
             of the target's own trust domain.",
            "What the injector asks for, and what the container has.",
            "If you trust what runs there: --run-as-user 0, and where the message says so a file for --custom with the \
             capabilities that it names.",
        ),
        Id::Profile => (
            "The profile that was asked for leaves out what the JVM has or is: its capabilities, or root.",
            "What the JVM has, and what the profile leaves.",
            "Leave --profile out, or name a wider one. --run-as-user gives the user.",
        ),
        Id::Shelter => (
            "With --profile=sysadmin a second, privileged container mounts a tmpfs over the target's /tmp for the time of the \
             command. It did not, or has not said that it has taken it away.",
            "The container's name, and its last words.",
            "Try again. What is left goes within seconds, with the next such command, or with the target's container.",
        ),
        Id::NoTarget => (
            "The workload or the selector has no running pod.",
            "The pods that there are, and their states.",
            "Name a pod, or look in another namespace (-n).",
        ),
        Id::PodDeleted => {
            ("The pod is on its way out, and takes no new container.", "Since when.", "Name a pod that stays.")
        }
        Id::Windows => (
            "The injector is a Linux program, and Windows has no such containers.",
            "The field of the pod that says so.",
            "Use jcmd inside the container.",
        ),
        Id::PodEnded => (
            "The pod has ended: its JVM is not there any more.",
            "The pod's phase, its reason, its containers' ends.",
            "`kubectl describe pod` tells why.",
        ),
        Id::PodNotRunning => (
            "The pod has not started.",
            "What it waits for.",
            "`kubectl describe pod` tells more. Try again when it runs.",
        ),
        Id::Crashing => (
            "The container fails again and again, and waits for its next start.",
            "Its last end: exit code, signal, OOMKilled.",
            "`kubectl logs --previous` tells why. Attach while it is up.",
        ),
        Id::ContainerNotRunning => {
            ("The container is not running.", "Its state.", "`kubectl logs` tells why. Try again when it runs.")
        }
        Id::NoSuchContainer => (
            "The pod has no container of that name, or none that can be a target.",
            "The containers that it has.",
            "Name one of them with -c.",
        ),
        _ => return None,
    };
    Some(Entry { meaning, evidence, remedy })
}

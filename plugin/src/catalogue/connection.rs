//! What keeps a request from reaching the API server, and what is wrong on this machine.

use super::{Entry, Id};

pub(super) fn entry(id: Id) -> Option<Entry> {
    let (meaning, evidence, remedy) = match id {
        Id::NoCredentials => (
            "The kubeconfig's user has a credential plugin (exec), or an old auth-provider, and it gives no credentials.",
            "How the plugin ended, and what it said on stderr. What it prints, which may be a token, is never shown.",
            "Run any kubectl command to log in, then try again.",
        ),
        Id::ServerCertificate => (
            "The certificate that the API server, or a proxy before it, shows is not signed by the kubeconfig's authority, has \
             expired, or is for another name.",
            "The address, and what is wrong with the certificate.",
            "Check certificate-authority and tls-server-name of the kubeconfig's cluster.",
        ),
        Id::ClientCertificate => (
            "The API server ends the handshake because of the client's certificate.",
            "The alert that it sent.",
            "Renew client-certificate and client-key of the kubeconfig's user: log in again as for kubectl.",
        ),
        Id::Handshake => (
            "The two sides find no version or cipher in common, or the address belongs to another id of server.",
            "The alert that the server sent.",
            "Check the cluster's server address and tls-server-name. TLS 1.2 or newer is needed.",
        ),
        Id::UnknownHost => (
            "The name in the kubeconfig cannot be resolved.",
            "The name, and the resolver's answer.",
            "Check the network, the VPN, and the cluster's server address.",
        ),
        Id::Proxy => (
            "proxy-url of the kubeconfig's cluster, or HTTPS_PROXY, names a proxy that does not lead there.",
            "The proxy's answer.",
            "Correct it, or list the server in NO_PROXY.",
        ),
        Id::NoApiServer => (
            "What answers at that address does not speak as an API server does: often the login page of a gateway.",
            "The address.",
            "Check the cluster's server address, and log in where a gateway asks for it.",
        ),
        Id::Unreachable => (
            "No connection to the API server came about.",
            "The address, and the kernel's answer.",
            "`kubectl version` shows whether kubectl reaches it.",
        ),
        Id::Kubeconfig => (
            "The kubeconfig cannot be read, or what it names (context, cluster, user, key) is not there or no use.",
            "The file, and what is wrong in it.",
            "`kubectl config view` shows it as kubectl sees it. --kubeconfig, --context, --cluster and --user choose others.",
        ),
        Id::NoRoomHere => (
            "The heap dump may be larger than the room on this machine's disk, or has come to fill it.",
            "What it takes, and what is free.",
            "Give FILE on another disk, free some room, or compress it: --zstd or --gzip. --yes goes ahead all the same.",
        ),
        Id::CannotWrite => (
            "A file, or standard output, does not take what is written.",
            "The path, and the kernel's answer.",
            "Give another FILE, or correct the directory's rights.",
        ),
        Id::CannotRead => (
            "A file that the command line names cannot be read.",
            "The path, and the kernel's answer.",
            "Check its name and its rights.",
        ),
        Id::NoHeapDump => (
            "The file is something else than a heap dump in HPROF's format, packed or not; or it is empty.",
            "What it begins with.",
            "Name the file of a heap dump. OpenJ9's own dumps (PHD, core) are of other formats.",
        ),
        Id::FileExists => {
            ("FILE exists, and a heap dump replaces nothing by itself.", "The path.", "Give another FILE, or --force.")
        }
        Id::TooLongPause => (
            "The JVM stands still while it writes its dump. By what the heap holds that may take longer than the pod's liveness \
             probe allows, and the kubelet would then kill the container.",
            "The pause that is to be expected, and what the probe allows.",
            "--yes goes ahead; --max-pause gives up in time; a replica that takes no traffic is the better target.",
        ),
        _ => return None,
    };
    Some(Entry { meaning, evidence, remedy })
}

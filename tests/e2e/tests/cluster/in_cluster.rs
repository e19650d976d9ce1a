//! Without a kubeconfig, in a pod: its service account and its namespace. What kubectl does there is the measure.
//!
//! Not in a pod, but in a mount namespace that has the account's files where a pod has them: so it goes for any cluster.

use std::fs;
use std::process::Command;

use jattach_e2e::rbac::ServiceAccount;
use jattach_e2e::{Kubeconfig, Namespace, Program, cluster, kubeconfig, skip};
use serde_json::json;
use tempfile::{TempDir, tempdir};

/// Puts the folder $1 where a pod has its account, and runs the words after it.
const AS_IN_A_POD: &str = "set -e
    mount -t tmpfs none /var/run
    mkdir -p /var/run/secrets/kubernetes.io
    cp -r \"$1\" /var/run/secrets/kubernetes.io/serviceaccount
    shift
    exec \"$@\"";

/// What a pod of a service account finds in it.
struct InPod {
    files: TempDir,
    host: String,
    port: u16,
}

impl InPod {
    /// The reason, where this machine cannot do it or the server is not reached by host and port alone.
    fn of(account: &ServiceAccount<'_>, namespace: &Namespace) -> Result<InPod, String> {
        let admin = Kubeconfig::admin();
        let (host, port) = admin.host_and_port();
        let in_pod = InPod { files: tempdir().expect("a directory"), host, port };
        let server = admin.cluster["server"].as_str().unwrap_or_default().trim_end_matches('/');
        let Some(authority) = admin.certificate_authority() else {
            return Err("the kubeconfig names no certificate authority".to_owned());
        };
        let special = ["tls-server-name", "proxy-url"].iter().any(|field| admin.cluster[field].is_string());
        if special || server.matches('/').count() > 2 {
            return Err(format!("{server} is not reached by host and port alone"));
        }
        in_pod.write("ca.crt", &String::from_utf8_lossy(&authority));
        in_pod.write("token", &account.token());
        in_pod.write("namespace", &namespace.name);
        let starter = in_pod.starter();
        let tried = Command::new(&starter[0]).args(&starter[1..]).arg("true").output();
        match tried {
            Ok(tried) if tried.status.success() => Ok(in_pod),
            Ok(tried) => {
                Err(format!("no mount namespace to be had: {}", String::from_utf8_lossy(&tried.stderr).trim()))
            }
            Err(error) => Err(format!("no unshare (util-linux): {error}")),
        }
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.files.path().join(name), content).expect("a file");
    }

    /// The words before a program's own.
    fn starter(&self) -> Vec<String> {
        let own_user: &[&str] = if rustix::process::geteuid().is_root() { &[] } else { &["--map-root-user"] };
        let words = [&["unshare", "--mount"], own_user, &["sh", "-c", AS_IN_A_POD, "sh"]].concat();
        words.into_iter().map(str::to_owned).chain([self.files.path().display().to_string()]).collect()
    }

    /// The program as it would run in the pod.
    fn run(&self, program: Program) -> Program {
        let starter = self.starter();
        program
            .env("KUBERNETES_SERVICE_HOST", self.host.trim_matches(['[', ']']))
            .env("KUBERNETES_SERVICE_PORT", self.port.to_string())
            .env("HOME", "/nonexistent")
            .env_remove("KUBECONFIG")
            .env_remove("POD_NAMESPACE")
            .under(Program::new(starter[0].as_ref()).args(&starter[1..]))
    }

    /// The plugin, which is told a pod's name and nothing else.
    fn plugin(&self) -> Program {
        self.run(cluster().plugin_of_image().args(["pod/x", "ps"]))
    }

    /// kubectl, which is told the same.
    fn kubectl(&self) -> Program {
        self.run(Program::new(&cluster().kubectl).args(["get", "pod", "x", "-o", "name"]))
    }
}

#[test]
fn the_account_and_the_namespace_of_the_pod_are_taken() {
    let namespace = Namespace::new();
    let _pod = namespace.start_jvm("x");
    let account = ServiceAccount::with_published_role(&namespace, "jane");
    let in_pod = match InPod::of(&account, &namespace) {
        Ok(in_pod) => in_pod,
        Err(reason) => return skip(&reason),
    };
    let _ = in_pod.kubectl().run().succeeded().prints("pod/x");
    let _ = in_pod.plugin().run().succeeded().prints("App");

    // Where the account may do nothing.
    let _ = in_pod.kubectl().env("POD_NAMESPACE", "elsewhere").run().ended_with(1).says("\"elsewhere\"");
    let _ = in_pod.plugin().env("POD_NAMESPACE", "elsewhere").run().ended_with(4).explains().says("elsewhere");
    let _ = in_pod.plugin().env("POD_NAMESPACE", "elsewhere").args(["-n", &namespace.name]).run().succeeded();
    in_pod.write("token", "nonsense");
    let _ = in_pod.plugin().run().ended_with(4).explains().says("credentials");
}

#[test]
fn a_kubeconfig_counts_before_the_account_only_if_it_chooses_a_cluster() {
    let namespace = Namespace::new();
    let _pod = namespace.start_jvm("x");
    let account = ServiceAccount::with_published_role(&namespace, "jane");
    let in_pod = match InPod::of(&account, &namespace) {
        Ok(in_pod) => in_pod,
        Err(reason) => return skip(&reason),
    };
    let directory = tempdir().expect("a directory");
    let server = json!({"server": "https://127.0.0.1:1"});
    let mut dead = Kubeconfig { cluster: server, user: json!({"token": "any"}) }.document();
    let chosen = kubeconfig::write(directory.path(), "chosen", &dead);
    dead.as_object_mut().expect("an object").remove("current-context");
    let unchosen = kubeconfig::write(directory.path(), "unchosen", &dead);
    let _ = in_pod.kubectl().env("KUBECONFIG", &unchosen).run().succeeded().prints("pod/x");
    let _ = in_pod.plugin().env("KUBECONFIG", &unchosen).run().succeeded().prints("App");
    let _ = in_pod.kubectl().env("KUBECONFIG", &chosen).run().ended_with(1).says("127.0.0.1:1");
    let _ = in_pod.plugin().env("KUBECONFIG", &chosen).run().ended_with(1).explains().says("127.0.0.1:1");

    let _ = in_pod.kubectl().args(["--context", "nope"]).run().ended_with(1).says("nope");
    let _ = in_pod.plugin().args(["--context", "nope"]).run().ended_with(1).is_error("JAT-139.no-such-context");
}

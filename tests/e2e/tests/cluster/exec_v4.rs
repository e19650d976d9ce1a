//! A server that knows only the fourth version of the exec protocol, where stdin alone cannot be closed.

use std::path::PathBuf;

use jattach_e2e::{Kubeconfig, Namespace, Relay, Running, cluster, dump, jvm};
use serde_json::json;
use tempfile::{TempDir, tempdir};

/// A way to the cluster on which nobody offers the fifth version: plain HTTP, where that can be taken out of the request. It is
/// there as long as this is.
pub(crate) struct WithoutV5 {
    pub(crate) relay: Relay,
    pub(crate) config: PathBuf,
    _proxy: Running,
    _directory: TempDir,
}

impl WithoutV5 {
    pub(crate) fn start() -> WithoutV5 {
        let mut proxy = cluster().kubectl().args(["proxy", "--port=0", "--reject-paths=^$"]).start();
        let line = proxy.line_with("Starting to serve on ").expect("kubectl proxy serves");
        let relay = Relay::without_v5(line.trim_start_matches("Starting to serve on "));
        let server = json!({"server": format!("http://{}", relay.address())});
        let directory = tempdir().expect("a directory");
        let config = Kubeconfig { cluster: server, user: json!({}) }.write(directory.path());
        WithoutV5 { relay, config, _proxy: proxy, _directory: directory }
    }
}

#[test]
fn the_fourth_version_of_exec_is_enough() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    let way = WithoutV5::start();
    let (relay, config) = (&way.relay, &way.config);

    let _ = pod.plugin_by(config, ["threaddump"]).run().succeeded().prints("Full thread dump");
    let file = directory.path().join("x.hprof");
    let _ = pod.plugin_by(config, ["dumpheap"]).arg(&file).run().succeeded();
    dump::verify(&file);
    let _ = pod.plugin_by(config, ["jcmd", "No.such_command"]).run().ended_with(7).explains();
    assert!(relay.count() >= 3, "{} offers of the fifth version", relay.count());
    jvm::answers(&pod, "app");
    assert_eq!(jvm::leftovers(&pod, "app"), [""; 0]);
}

//! Proxies before the API server, as the kubeconfig or the environment names them.

use std::path::Path;

use jattach_e2e::{Kubeconfig, Namespace, Proxy, Relay, dump, kubeconfig};
use tempfile::tempdir;

#[test]
fn a_proxy_of_the_kubeconfig_is_gone_through() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    let proxy = Proxy::start();
    let config = Kubeconfig::admin().through(&proxy.url()).write(directory.path());
    let _ = pod.plugin_by(&config, ["ps"]).env("NO_PROXY", "*").run().succeeded().prints("App");
    assert!(proxy.connections() > 0);
    drop(proxy);
    let _ = pod.plugin_by(&config, ["ps"]).run().ended_with(1).is_error("JAT-136.proxy-gone").says("proxy");
}

#[test]
fn a_proxy_of_the_environment_is_gone_through_and_the_certificate_is_that_of_the_named_server() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    let mut config = Kubeconfig::admin();
    let (host, port) = config.host_and_port();
    // A name that only the proxy knows: this machine's own addresses are never behind a proxy of the environment.
    let proxy = Proxy::start_to(&format!("{host}:{port}"));
    config.cluster["server"] = "https://cluster.invalid:6443".into();
    let without_name = kubeconfig::write(directory.path(), "without-name", &config.document());
    config.cluster["tls-server-name"] = config.cluster["tls-server-name"].as_str().unwrap_or(&host).into();
    let with_name = kubeconfig::write(directory.path(), "with-name", &config.document());
    let run = |config: &Path| pod.plugin_by(config, ["ps"]).env("HTTPS_PROXY", proxy.url()).env("NO_PROXY", "").run();
    let _ = run(&with_name).succeeded().prints("App");
    assert!(proxy.connections() > 0);
    let _ = run(&without_name).ended_with(1).is_error("JAT-132.other-name");
}

#[test]
fn a_server_that_no_proxy_names_is_asked_without_the_proxy() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    let mut config = Kubeconfig::admin();
    let (host, port) = config.host_and_port();
    let proxy = Proxy::start_to(&format!("{host}:{port}"));
    config.cluster["server"] = "https://api.cluster.invalid:6443".into();
    config.cluster["tls-server-name"] = config.cluster["tls-server-name"].as_str().unwrap_or(&host).into();
    let config = config.write(directory.path());
    let run = |no_proxy| pod.plugin_by(&config, ["ps"]).env("HTTPS_PROXY", proxy.url()).env("NO_PROXY", no_proxy).run();
    // Only the proxy knows the name.
    let _ = run("cluster.invalid").ended_with(1).is_error_however_seen("JAT-135.unknown-host");
    assert_eq!(proxy.connections(), 0);
    let _ = run("elsewhere.invalid").succeeded().prints("App");
    assert!(proxy.connections() > 0);
}

#[test]
fn a_socks_proxy_is_gone_through() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    for scheme in ["socks5", "socks5h"] {
        let relay = Relay::socks();
        let config = Kubeconfig::admin().through(&format!("{scheme}://{}", relay.address())).write(directory.path());
        let file = directory.path().join(format!("{scheme}.hprof"));
        let _ = pod.plugin_by(&config, ["dumpheap"]).arg(&file).run().succeeded();
        dump::verify(&file);
        assert!(relay.count() > 0);
        drop(relay);
        let _ = pod.plugin_by(&config, ["ps"]).run().ended_with(1).explains().says("proxy");
    }
}

#[test]
fn a_proxy_of_a_kind_that_is_not_supported_is_named() {
    let namespace = Namespace::new();
    let directory = tempdir().expect("a directory");
    for (url, kind) in [("socks4://127.0.0.1:1", "socks4"), ("socks5://me:secret@127.0.0.1:1", "password")] {
        let config = Kubeconfig::admin().through(url).write(directory.path());
        let ran = namespace.pod("x").plugin_by(&config, ["ps"]).run().ended_with(1).explains().says(kind);
        assert!(!ran.stderr.contains("secret"), "{ran}");
    }
}

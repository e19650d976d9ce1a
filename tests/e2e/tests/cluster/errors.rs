//! Errors that no other test provokes, as a person sees them (tests/errors).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::{fs, thread};

use jattach_e2e::{Kubeconfig, Namespace, Ran, cluster, manifest, skip};
use serde_json::json;
use tempfile::tempdir;

#[test]
fn a_jvm_whose_attaching_is_switched_off() {
    let namespace = Namespace::new();
    let java = |name: &str, words: &[&str]| {
        let words: Vec<&str> = words.iter().chain(&["-cp", "/app", "App"]).copied().collect();
        namespace.start(&manifest::pod(name, &[manifest::restricted(manifest::java("app", &words))]))
    };
    let deaf = java("deaf", &["-XX:+DisableAttachMechanism"]);
    let _ = deaf.jattach(["threaddump"]).ended_with(6).is_error("JAT-009.switched-off");
    // Where it publishes nothing, nothing but its silence tells.
    let silent = java("silent", &["-XX:+DisableAttachMechanism", "-XX:-UsePerfData"]);
    let _ = silent.jattach(["threaddump"]).ended_with(6).is_error("JAT-010.silent");
}

#[test]
fn a_pod_that_waits_for_its_image() {
    let namespace = Namespace::new();
    let mut app = manifest::container("app", "registry.invalid/app:1", &["java"]);
    // Where the tests' own images are never pulled, this one is to be all the same.
    app["imagePullPolicy"] = "IfNotPresent".into();
    namespace.create(&manifest::pod("x", &[app]));
    let pod = namespace.pod("x");
    pod.wait_for("jsonpath={.status.containerStatuses[0].state.waiting.reason}=ImagePullBackOff");
    let _ = pod.jattach(["threaddump"]).ended_with(3).is_error("JAT-174.image");
}

#[test]
fn files_of_this_machine() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    let directory = tempdir().expect("a directory");
    fs::write(directory.path().join("x.hprof"), "mine").expect("a file");
    let run = |words: &[&str]| pod.plugin(words.iter().copied()).directory(directory.path()).run();
    let _ = run(&["dumpheap", "x.hprof"]).ended_with(2).is_error("JAT-193.file-exists");
    let _ = run(&["dumpheap", "nowhere/x.hprof"]).ended_with(1).is_error("JAT-191.no-such-directory");
    let verify = jattach_e2e::cluster().bare_plugin().args(["verify", "none.hprof"]).directory(directory.path());
    let _ = verify.run().ended_with(1).is_error("JAT-192.no-such-file");
    assert_eq!(fs::read(directory.path().join("x.hprof")).expect("the file"), b"mine");
}

/// Answers every connection with these bytes.
fn answering(answer: &'static [u8]) -> SocketAddr {
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = server.local_addr().expect("an address");
    thread::spawn(move || {
        for connection in server.incoming() {
            let Ok(mut connection) = connection else { return };
            let mut request = [0; 4096];
            // What is asked for does not matter.
            let _ = connection.read(&mut request);
            let _ = connection.write_all(answer);
        }
    });
    address
}

/// `ps` at a server that is none of the cluster's.
fn asked(url: &str) -> Ran {
    let namespace = Namespace::new();
    let directory = tempdir().expect("a directory");
    let mut config = Kubeconfig::admin();
    config.cluster = json!({"server": url, "insecure-skip-tls-verify": true});
    let config = config.write(directory.path());
    namespace.pod("x").plugin_by(&config, ["ps"]).run()
}

#[test]
fn a_server_that_ends_the_handshake() {
    // Alerts of RFC 8446, section 6: fatal, 40 handshake_failure and 42 bad_certificate.
    let of_protocol = asked(&format!("https://{}", answering(&[21, 3, 3, 0, 2, 2, 40])));
    let _ = of_protocol.ended_with(1).is_error("JAT-134.handshake-failure");
    let of_certificate = asked(&format!("https://{}", answering(&[21, 3, 3, 0, 2, 2, 42])));
    let _ = of_certificate.ended_with(4).is_error("JAT-133.bad-certificate");
}

#[test]
fn a_proxy_that_passes_no_upgrade_on() {
    let namespace = Namespace::new();
    let pod = namespace.start_jvm("x");
    // The lab knows the word; to other clusters it means nothing.
    namespace.kubectl(["annotate", "pod", "x", "lab.jattach/node-answers-exec=200"]);
    if !cluster().is_lab {
        return skip("this cluster upgrades every exec");
    }
    let _ = pod.jattach(["threaddump"]).ended_with(1).is_error("JAT-117.no-upgrade");
}

#[test]
fn a_login_page_in_the_api_servers_place() {
    const PAGE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 20\r\nconnection: close\r\n\r\n<html>log in</html>\n";
    let _ = asked(&format!("http://{}", answering(PAGE))).ended_with(1).is_error("JAT-137.login-page");
}

//! `image` tells what `image save` writes, and that is an image whose digest can be counted again.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::run::{Ran, run};

/// The files of an archive by their names.
fn files(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut tar = tar::Archive::new(archive);
    let entries = tar.entries().expect("a tar").map(|entry| {
        let mut entry = entry.expect("an entry");
        let name = entry.path().expect("a path").display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("in memory");
        (name, bytes)
    });
    entries.collect()
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

fn saved(folder: &Path, words: &str) -> Ran {
    run(folder, &format!("image save --image r.example/injector:7@{} {words}", digest(b"")), b"")
}

#[test]
fn what_is_saved_has_the_digest_that_is_told() {
    let folder = tempfile::tempdir().expect("a directory");
    let told = run(folder.path(), "image -o json", b"").json();
    let ran = saved(folder.path(), "i.tar");
    if told["carried"].is_null() {
        assert!(ran.code == Some(1) && ran.stderr.contains("JAT-195"), "{}", ran.stderr);
        return;
    }
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let told_digest = told["carried"]["digest"].as_str().expect("a digest");
    assert!(ran.stderr.contains("i.tar: r.example/injector:7, ") && ran.stderr.contains(told_digest), "{}", ran.stderr);
    let files = files(&std::fs::read(folder.path().join("i.tar")).expect("the archive"));
    let top: Value = serde_json::from_slice(&files["index.json"]).expect("JSON");
    let image = &top["manifests"][0];
    assert_eq!(image["annotations"]["io.containerd.image.name"], "r.example/injector:7");
    assert_eq!(image["digest"], told_digest);
    let blob = |digest: &str| &files[&format!("blobs/{}", digest.replace(':', "/"))];
    assert_eq!(digest(blob(told_digest)), told_digest);
    let index: Value = serde_json::from_slice(blob(told_digest)).expect("JSON");
    let platforms: Vec<String> = index["manifests"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|manifest| {
            let platform = &manifest["platform"];
            format!("{}/{}", platform["os"], platform["architecture"]).replace('"', "")
        })
        .collect();
    assert_eq!(told["carried"]["platforms"], Value::from(platforms));
}

#[test]
fn a_pipe_gets_the_same_archive_as_a_file_and_a_second_file_replaces_nothing() {
    let folder = tempfile::tempdir().expect("a directory");
    if saved(folder.path(), "i.tar").code == Some(1) {
        // Nothing is carried: the test before this one sees how that is said.
        return;
    }
    let again = saved(folder.path(), "i.tar");
    assert!(again.code == Some(2) && again.stderr.contains("JAT-193"), "{}", again.stderr);
    assert_eq!(saved(folder.path(), "--force i.tar").code, Some(0));
    let piped = std::process::Command::new(env!("CARGO_BIN_EXE_kubectl-jattach"))
        .args(["image", "save", "--image=r.example/injector:7", "-"])
        .output()
        .expect("it runs");
    assert!(piped.stdout == std::fs::read(folder.path().join("i.tar")).expect("the archive"));
}

#[test]
fn an_empty_variable_leaves_the_image_to_the_configuration_file() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("kubectl-jattach/config.yaml");
    std::fs::create_dir(file.parent().expect("a directory")).expect("room");
    std::fs::write(&file, "image: r.example/of-the-file:1\n").expect("room");
    let told = |image: &str| -> Value {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_kubectl-jattach"))
            .args(["image", "-o", "json"])
            .envs([("XDG_CONFIG_HOME", folder.path()), ("APPDATA", folder.path())])
            .env("KUBECTL_JATTACH_IMAGE", image)
            .output()
            .expect("it runs");
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let empty = told("");
    assert_eq!(empty["image"], "r.example/of-the-file:1");
    assert_eq!(empty["imageFrom"], file.display().to_string());
    assert_eq!(told("r.example/i:2")["imageFrom"], "KUBECTL_JATTACH_IMAGE");
}

#[test]
fn what_is_no_data_takes_no_format_and_what_needs_no_cluster_no_target() {
    let folder = std::env::temp_dir();
    for words in ["image save x.tar -o json", "pod/x image", "-l app=x image save x.tar"] {
        let ran = run(&folder, words, b"");
        assert!(ran.code == Some(2) && ran.stderr.contains("JAT-002"), "{words}: {}", ran.stderr);
    }
}

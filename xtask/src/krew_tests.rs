use std::fs;

use super::*;
use crate::workspace::Workspace;

fn template() -> String {
    let workspace = Workspace::find().expect("tests run in the workspace");
    fs::read_to_string(workspace.root().join("krew-manifest.yaml")).expect("a manifest")
}

fn manifest() -> Value {
    serde_yaml::from_str(&template()).expect("YAML")
}

/// The file name of each platform's archive.
fn archives() -> Vec<String> {
    let manifest = manifest();
    let platforms = manifest["spec"]["platforms"].as_sequence().expect("platforms");
    let file =
        |platform: &Value| platform["uri"].as_str().and_then(|uri| uri.rsplit('/').next()).expect("a uri").to_owned();
    platforms.iter().map(file).collect()
}

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).expect("YAML")
}

fn first(manifest: &mut Value) -> &mut Value {
    &mut manifest["spec"]["platforms"][0]
}

/// What is said against our manifest after `change`.
fn changed(change: impl FnOnce(&mut Value)) -> String {
    let mut manifest = manifest();
    change(&mut manifest);
    violations(NAME, &manifest).join("; ")
}

#[test]
fn our_manifest_keeps_all_of_krew_s_rules() {
    assert_eq!(violations(NAME, &manifest()), [""; 0]);
}

#[test]
fn each_rule_of_krew_s_is_seen_when_it_is_broken() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 19] = [
        (|all| all["apiVersion"] = "v1".into(), "apiVersion"),
        (|all| all["kind"] = "Pod".into(), "kind"),
        (|all| all["metadata"]["name"] = "other".into(), "not named so"),
        (|all| all["spec"]["shortDescription"] = "".into(), "no shortDescription"),
        (|all| all["spec"]["shortDescription"] = "one\ntwo".into(), "line breaks"),
        (|all| all["spec"]["shortDescription"] = "x".repeat(50).into(), "50 characters"),
        (|all| all["spec"]["version"] = "0.1.0".into(), "version"),
        (|all| all["spec"]["version"] = "v0.1".into(), "version"),
        (|all| all["spec"]["version"] = "v0.01.0".into(), "version"),
        (|all| all["spec"]["platforms"] = Value::Sequence(Vec::new()), "no platforms"),
        (|all| first(all)["uri"] = "".into(), "uri has to be set"),
        (|all| first(all)["sha256"] = "F".repeat(64).into(), "sha256"),
        (|all| first(all)["bin"] = Value::Null, "bin has to be set"),
        (|all| first(all)["files"] = Value::Sequence(Vec::new()), "files"),
        (|all| first(all)["files"] = yaml("[{from: x}]"), "no to"),
        (|all| first(all)["selector"] = Value::Null, "selector is empty"),
        (|all| first(all)["selector"]["matchLabels"]["libc"] = "musl".into(), "not supported"),
        (|all| first(all)["selector"]["matchLabels"]["os"] = "plan9".into(), "matches no platform"),
        (|all| first(all)["selector"]["matchLabels"] = yaml("{os: linux}"), "several platforms"),
    ];
    for (change, words) in cases {
        let said = changed(change);
        assert!(said.contains(words), "{words}: {said:?}");
    }
}

#[test]
fn a_name_is_safe_on_every_system() {
    assert!(is_safe("jattach") && is_safe("a_b-1") && is_safe("COMB"));
    for name in ["", "a b", "a/b", "a.b", "con", "COM1", "lpt9"] {
        assert!(!is_safe(name), "{name}");
    }
}

#[test]
fn a_release_has_the_sum_of_each_archive_that_was_built_and_no_other_platform() {
    let archives = archives();
    let sums = BTreeMap::from([(archives[0].clone(), "a".repeat(64)), (archives[1].clone(), "b".repeat(64))]);
    let text = filled(&template(), &sums).expect("it is within the rules");
    assert!(!text.starts_with('#') && text.contains("caveats: |"), "{text}");
    let filled: Value = serde_yaml::from_str(&text).expect("YAML");
    let platforms = filled["spec"]["platforms"].as_sequence().expect("platforms");
    let found: Vec<_> = platforms.iter().map(|platform| platform["sha256"].as_str().expect("a sum")).collect();
    assert_eq!(found, ["a".repeat(64), "b".repeat(64)]);
    assert_eq!(filled["spec"]["description"], manifest()["spec"]["description"]);
}

#[test]
fn an_archive_that_the_manifest_does_not_know_is_told_of() {
    let sums = BTreeMap::from([("kubectl-jattach-v9-beos-ppc.zip".to_owned(), "a".repeat(64))]);
    assert!(filled(&template(), &sums).expect_err("it has no entry").to_string().contains("beos"));
}

#[test]
fn the_manifest_has_the_version_and_the_addresses_of_the_workspace() {
    let workspace = Workspace::find().expect("tests run in the workspace");
    let (manifest, tag) = (manifest(), format!("v{}", workspace.version()));
    let spec = &manifest["spec"];
    assert_eq!(spec["version"].as_str(), Some(tag.as_str()));
    assert_eq!(spec["homepage"].as_str(), Some(workspace.repository()));
    for platform in spec["platforms"].as_sequence().expect("platforms") {
        let word = |name: &str| platform["selector"]["matchLabels"][name].as_str().expect("a selector").to_owned();
        let (os, arch) = (word("os"), word("arch"));
        let (archive, program) = if os == "windows" { ("zip", ".exe") } else { ("tar.gz", "") };
        let file = format!("kubectl-jattach-{tag}-{os}-{arch}.{archive}");
        let uri = format!("{}/releases/download/{tag}/{file}", workspace.repository());
        assert_eq!(platform["uri"].as_str(), Some(uri.as_str()));
        assert_eq!(platform["bin"].as_str(), Some(format!("kubectl-jattach{program}").as_str()));
    }
}

#[test]
fn the_caveats_name_the_permissions_without_which_nothing_goes() {
    let role = Workspace::find().expect("tests run in the workspace").root().join("deploy/role.yaml");
    let role: Value = serde_yaml::from_str(&fs::read_to_string(role).expect("a Role")).expect("YAML");
    let manifest = manifest();
    let caveats = manifest["spec"]["caveats"].as_str().expect("caveats").replace('\n', " ");
    // The first three rules; what the others are for can be done without.
    for rule in role["rules"].as_sequence().expect("rules").iter().take(3) {
        let words = |field: &str| rule[field].as_sequence().expect("a list").iter().filter_map(Value::as_str);
        let verbs: Vec<_> = words("verbs").collect();
        for resource in words("resources") {
            let right = format!("{} {resource}", verbs.join(" and "));
            assert!(caveats.contains(&right), "{right:?} is missing: {caveats}");
        }
    }
}

//! The workflows hold to rules that actionlint does not know, and say what the rest of the repository says.

use std::collections::BTreeMap;
use std::fs;

use serde_yaml::Value;

use crate::kind;
use crate::workspace::Workspace;

/// Each workflow by its name, as text and as YAML.
fn workflows() -> BTreeMap<String, (String, Value)> {
    let folder = Workspace::find().expect("tests run in the workspace").root().join(".github/workflows");
    let files = fs::read_dir(&folder).expect("workflows").map(|entry| entry.expect("an entry").path());
    let read = |path: std::path::PathBuf| {
        let text = fs::read_to_string(&path).expect("a workflow");
        let yaml = serde_yaml::from_str(&text).expect("YAML");
        (path.file_name().expect("a name").to_string_lossy().into_owned(), (text, yaml))
    };
    files.map(read).collect()
}

/// The jobs of all workflows, as `test.yml: name` and what they are; without those that are another workflow of ours.
fn jobs() -> Vec<(String, Value)> {
    let mut jobs = Vec::new();
    for (file, (_, workflow)) in workflows() {
        for (name, job) in workflow["jobs"].as_mapping().expect("jobs") {
            let is_ours = job["uses"].as_str().is_some_and(|workflow| workflow.starts_with("./"));
            if !is_ours {
                jobs.push((format!("{file}: {}", name.as_str().expect("a name")), job.clone()));
            }
        }
    }
    assert!(jobs.len() >= 3, "{jobs:?}");
    jobs
}

fn steps(job: &Value) -> &[Value] {
    job["steps"].as_sequence().map_or(&[], Vec::as_slice)
}

#[test]
fn every_action_is_pinned_by_a_commit_with_its_version_beside_it() {
    for (file, (text, _)) in workflows() {
        for line in text.lines().filter(|line| line.contains("uses:") && !line.contains("uses: ./")) {
            let (_, action) = line.split_once("uses:").expect("it has one");
            let (action, comment) = action.split_once('#').unwrap_or_else(|| panic!("{file}: no version: {line}"));
            let (_, commit) = action.trim().rsplit_once('@').unwrap_or_else(|| panic!("{file}: not pinned: {line}"));
            assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{file}: {line}");
            assert!(comment.trim().starts_with('v'), "{file}: {line}");
        }
    }
}

#[test]
fn every_job_says_what_it_may_and_how_long_and_leaves_no_credentials_in_the_work_tree() {
    for (file, (_, workflow)) in workflows() {
        assert_eq!(workflow["permissions"].as_mapping().map(serde_yaml::Mapping::len), Some(0), "{file}");
    }
    for (name, job) in jobs() {
        assert!(job["permissions"].is_mapping(), "{name}");
        assert!(job["timeout-minutes"].is_u64(), "{name}");
        let checkouts = steps(&job)
            .iter()
            .filter(|step| step["uses"].as_str().is_some_and(|action| action.starts_with("actions/checkout@")));
        for checkout in checkouts {
            assert_eq!(checkout["with"]["persist-credentials"].as_bool(), Some(false), "{name}");
        }
    }
}

#[test]
fn no_script_of_a_workflow_is_made_of_what_others_have_written() {
    for (name, job) in jobs() {
        for script in steps(&job).iter().filter_map(|step| step["run"].as_str()) {
            assert!(!script.contains("${{"), "{name}: an expression in a script is executed: {script}");
        }
    }
}

#[test]
fn the_end_to_end_tests_run_on_each_kubernetes_that_has_a_pinned_node_with_the_kind_that_it_is_of() {
    let workflows = workflows();
    let (text, workflow) = &workflows["e2e.yml"];
    let versions = workflow["jobs"]["kind"]["strategy"]["matrix"]["kubernetes"].as_sequence().expect("versions");
    let versions: Vec<&str> = versions.iter().filter_map(Value::as_str).collect();
    assert_eq!(versions, kind::NODES.map(|node| node.minor));
    assert!(text.contains(&format!("/v{}/kind-linux-amd64", kind::VERSION)), "another kind");
}

#[test]
fn the_image_is_pushed_to_where_the_plugin_looks_for_it() {
    let workspace = Workspace::find().expect("tests run in the workspace");
    let workflows = workflows();
    let (_, release) = &workflows["release.yml"];
    let image = release["jobs"]["image"]["env"]["IMAGE"].as_str().expect("an image");
    assert_eq!(format!("{image}:{}", workspace.version()), workspace.injector_image());
}

#[test]
fn what_may_write_runs_no_code_of_the_repository() {
    for (name, job) in jobs() {
        let permissions = job["permissions"].as_mapping().expect("permissions");
        let may_write = permissions.values().any(|right| right.as_str() == Some("write"));
        let has_code = steps(&job)
            .iter()
            .any(|step| step["uses"].as_str().is_some_and(|action| action.starts_with("actions/checkout@")));
        assert!(!(may_write && has_code), "{name}");
    }
}

#[test]
fn the_oldest_rust_that_is_promised_is_the_one_that_everything_is_built_and_tested_with() {
    let workspace = Workspace::find().expect("tests run in the workspace");
    let read = |name: &str| fs::read_to_string(workspace.root().join(name)).expect("a file");
    let parse = |name: &str| -> toml::Value { toml::from_str(&read(name)).expect("TOML") };
    let promised = parse("Cargo.toml")["workspace"]["package"]["rust-version"].as_str().expect("a version").to_owned();
    let channel = parse("rust-toolchain.toml")["toolchain"]["channel"].as_str().expect("a version").to_owned();
    assert_eq!(channel.rsplit_once('.').map(|(minor, _)| minor), Some(promised.as_str()));
    let words = format!("[Rust](https://rustup.rs) {promised} or newer");
    assert!(read("README.md").contains(&words), "the README does not say {words:?}");
}

//! krew-manifest.yaml says what Cargo.toml says.

use std::fs;

use serde_yaml::Value;

use crate::workspace::Workspace;

#[test]
fn the_krew_manifest_has_the_version_and_the_addresses_of_the_workspace() {
    let workspace = Workspace::find().expect("tests run in the workspace");
    let text = fs::read_to_string(workspace.root().join("krew-manifest.yaml")).expect("a manifest");
    let manifest: Value = serde_yaml::from_str(&text).expect("YAML");
    let (spec, tag) = (&manifest["spec"], format!("v{}", workspace.version()));
    assert_eq!(spec["version"].as_str(), Some(tag.as_str()));
    assert_eq!(spec["homepage"].as_str(), Some(workspace.repository()));
    let platforms = spec["platforms"].as_sequence().expect("platforms");
    assert!(!platforms.is_empty());
    for platform in platforms {
        let word = |name: &str| platform["selector"]["matchLabels"][name].as_str().expect("a selector").to_owned();
        let (os, arch) = (word("os"), word("arch"));
        let (archive, program) = if os == "windows" { ("zip", ".exe") } else { ("tar.gz", "") };
        let file = format!("kubectl-jattach-{tag}-{os}-{arch}.{archive}");
        let uri = format!("{}/releases/download/{tag}/{file}", workspace.repository());
        assert_eq!(platform["uri"].as_str(), Some(uri.as_str()));
        assert_eq!(platform["bin"].as_str(), Some(format!("kubectl-jattach{program}").as_str()));
        assert_eq!(platform["sha256"].as_str().map(str::len), Some(64));
    }
}

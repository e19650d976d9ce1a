//! krew's manifest: what krew demands of one, and ours filled in for a release.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_yaml::Value;

/// What krew's index calls the plugin, and users after `kubectl`.
pub(crate) const NAME: &str = "jattach";

/// The platforms that krew knows (kubernetes-sigs/krew, cmd/validate-krew-manifest, `allPlatforms`).
const PLATFORMS: [(&str, &str); 11] = [
    ("windows", "386"),
    ("windows", "amd64"),
    ("windows", "arm64"),
    ("linux", "386"),
    ("linux", "amd64"),
    ("linux", "arm"),
    ("linux", "arm64"),
    ("linux", "ppc64le"),
    ("darwin", "386"),
    ("darwin", "amd64"),
    ("darwin", "arm64"),
];

/// Names that Windows gives to no file (kubernetes-sigs/krew, internal/index/validation).
const WINDOWS_FORBIDDEN: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "COM", "LPT"];

/// Fills in the sha256 of each archive, and leaves out what is not among them. `template` is krew-manifest.yaml; `sums` has
/// 64 hexadecimal digits by an archive's file name.
///
/// # Errors
/// That an archive has no entry, or that krew would refuse the result.
pub(crate) fn filled(template: &str, sums: &BTreeMap<String, String>) -> Result<String> {
    // Text stays text: what writes YAML anew would write the descriptions anew, too.
    let (head, platforms) = template.split_once("  platforms:\n").context("the manifest has no platforms")?;
    let head = head.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect::<String>();
    let mut text = format!("{head}  platforms:\n");
    let mut missing: Vec<&String> = sums.keys().collect();
    for entry in platforms.split("  - selector:").skip(1) {
        let named = sums.iter().find(|(archive, _)| entry.contains(&format!("/{archive}\n")));
        if let Some((archive, sum)) = named {
            missing.retain(|name| *name != archive);
            text += &format!("  - selector:{}", entry.replace(&"0".repeat(64), sum));
        }
    }
    ensure!(missing.is_empty(), "krew-manifest.yaml has no entry for {missing:?}");
    let broken = violations(NAME, &serde_yaml::from_str(&text).context("the filled manifest is no YAML")?);
    ensure!(broken.is_empty(), "krew would refuse the manifest: {}", broken.join("; "));
    Ok(text)
}

/// What krew, or its index, would say against a manifest that is called `name`.yaml: nothing if all is well.
///
/// The rules are those of kubernetes-sigs/krew, internal/index/validation/validate.go and
/// cmd/validate-krew-manifest/main.go; the length of the short description is its developer guide's.
pub(crate) fn violations(name: &str, manifest: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    let mut rule = |holds: bool, says: String| {
        if !holds {
            broken.push(says);
        }
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let spec = &manifest["spec"];
    rule(manifest["apiVersion"] == "krew.googlecontainertools.github.com/v1alpha2", "apiVersion is not krew's".into());
    rule(manifest["kind"] == "Plugin", "kind is not Plugin".into());
    rule(is_safe(name), format!("the name {name:?} is not allowed"));
    rule(manifest["metadata"]["name"] == name, format!("the plugin in {name}.yaml is not named so"));
    let short = text(&spec["shortDescription"]);
    rule(!short.is_empty(), "there is no shortDescription".into());
    rule(!short.contains(['\r', '\n']), "shortDescription has line breaks".into());
    rule(short.chars().count() < 50, format!("shortDescription has {} characters", short.chars().count()));
    rule(is_semver(&text(&spec["version"])), format!("version {:?} is not v and semantic", spec["version"]));
    let platforms = spec["platforms"].as_sequence().map_or(&[][..], Vec::as_slice);
    rule(!platforms.is_empty(), "there are no platforms".into());
    for (place, platform) in platforms.iter().enumerate() {
        broken.extend(of_platform(platform).into_iter().map(|says| format!("platform {place}: {says}")));
    }
    for known in PLATFORMS {
        if platforms.iter().filter(|platform| selects(platform, known)).count() > 1 {
            broken.push(format!("several platforms select {known:?}"));
        }
    }
    broken
}

fn of_platform(platform: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    for field in ["uri", "sha256", "bin"] {
        if platform[field].as_str().is_none_or(str::is_empty) {
            broken.push(format!("{field} has to be set"));
        }
    }
    let sum = platform["sha256"].as_str().unwrap_or_default();
    if sum.len() != 64 || !sum.bytes().all(|byte| matches!(byte, b'a'..=b'f' | b'0'..=b'9')) {
        broken.push(format!("sha256 {sum:?} is none"));
    }
    match &platform["files"] {
        // All of the archive is installed then.
        Value::Null => {}
        Value::Sequence(files) if !files.is_empty() => {
            let is_set = |file: &Value, end: &str| file[end].as_str().is_some_and(|path| !path.is_empty());
            if !files.iter().all(|file| is_set(file, "from") && is_set(file, "to")) {
                broken.push("a file has no from, or no to".to_owned());
            }
        }
        _ => broken.push("files is neither unspecified nor a list of some".to_owned()),
    }
    // Of krew's selectors ours use the simple kind alone.
    match platform["selector"]["matchLabels"].as_mapping() {
        Some(labels) if !labels.is_empty() => {
            let unknown = labels.keys().find(|key| !["os", "arch"].contains(&key.as_str().unwrap_or_default()));
            broken.extend(unknown.map(|key| format!("the selector's key {key:?} is not supported")));
        }
        _ => broken.push("the selector is empty".to_owned()),
    }
    if !PLATFORMS.iter().any(|known| selects(platform, *known)) {
        broken.push("the selector matches no platform of krew's".to_owned());
    }
    broken
}

fn selects(platform: &Value, (os, arch): (&str, &str)) -> bool {
    let labels = &platform["selector"]["matchLabels"];
    [("os", os), ("arch", arch)].iter().all(|(key, value)| labels[*key].is_null() || labels[*key] == **value)
}

fn is_safe(name: &str) -> bool {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    let device = name.trim_end_matches(|letter: char| matches!(letter, '1'..='9')).to_ascii_uppercase();
    !name.is_empty() && name.chars().all(is_word) && !WINDOWS_FORBIDDEN.contains(&device.as_str())
}

/// `v1.2.3`, and what may follow that (semver.org).
fn is_semver(version: &str) -> bool {
    let Some(version) = version.strip_prefix('v') else {
        return false;
    };
    let (version, _build) = version.split_once('+').unwrap_or((version, ""));
    let (core, _prerelease) = version.split_once('-').unwrap_or((version, ""));
    let is_number = |part: &str| part == "0" || !part.starts_with('0') && part.parse::<u64>().is_ok();
    core.split('.').count() == 3 && core.split('.').all(is_number)
}

#[cfg(test)]
#[path = "krew_tests.rs"]
mod tests;

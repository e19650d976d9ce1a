//! Which injector, how it behaves, and what its user gives it beside what its target has.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use k8s_openapi::api::core::v1::EphemeralContainer;
use serde_json::{Map, Value};

use super::{DryRun, Profile, PullPolicy, Via, limit};
use crate::cli::flags::InjectorFlags;
use crate::config::is_reference;
use crate::error::{Failure, Result};
use crate::render::document;
use crate::text_file;

const DEFAULT_TTL: Duration = Duration::from_secs(600);
/// More than the API server stores of a whole pod.
const MAX_CUSTOM: u64 = 2 << 20;

/// Which injector, and how it behaves.
#[derive(Clone, Debug)]
pub(crate) struct Injector {
    pub(crate) image: String,
    /// Who has named that.
    pub(crate) image_from: Source,
    pub(crate) pull_policy: Option<PullPolicy>,
    pub(crate) dry_run: Option<DryRun>,
    /// How long it stays after its last job.
    pub(crate) ttl: Duration,
    /// Whether to wait for another job's end.
    pub(crate) wait: bool,
    pub(crate) profile: Profile,
    pub(crate) run_as_user: Option<u32>,
    pub(crate) run_as_group: Option<u32>,
    pub(crate) custom: Option<Custom>,
    pub(crate) via: Option<Via>,
}

/// Who names the image, or the profile: what comes first here counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Flag,
    Environment,
    /// The configuration file at that path.
    Config(PathBuf),
    /// This build of the plugin.
    BuiltIn,
}

/// Who names what a configuration file may name, too.
#[derive(Debug)]
pub(super) struct Sources {
    pub(super) image: Source,
    pub(super) profile: Source,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Flag => f.write_str("--image"),
            Source::Environment => f.write_str("KUBECTL_JATTACH_IMAGE"),
            Source::Config(path) => path.display().fmt(f),
            Source::BuiltIn => f.write_str("built in"),
        }
    }
}

/// The image that belongs to this build (`build.rs`): at a release with its digest.
pub(crate) const BUILT_IN: &str = env!("JATTACH_IMAGE");

impl Injector {
    pub(super) fn check(flags: InjectorFlags, sources: Sources) -> Result<Injector> {
        let ttl = limit("--ttl", flags.ttl, Some(DEFAULT_TTL))?.ok_or_else(|| {
            Failure::usage("--ttl 0 would leave the injector for good").remedy("give a limit: --ttl 1h")
        })?;
        let profile = flags.profile.unwrap_or_default();
        refuse_contradiction(profile, &sources.profile, flags.run_as_user, flags.run_as_group)?;
        let image_from = sources.image;
        Ok(Injector {
            image: flags.image.map_or_else(|| Ok(BUILT_IN.to_owned()), |image| reference(image, &image_from))?,
            image_from,
            pull_policy: flags.image_pull_policy,
            dry_run: flags.dry_run,
            ttl,
            wait: flags.wait,
            profile,
            run_as_user: flags.run_as_user,
            run_as_group: flags.run_as_group,
            custom: flags.custom.as_deref().map(Custom::read).transpose()?,
            via: flags.via,
        })
    }

    /// Whether its user has chosen an id: then that is not to be found out.
    pub(crate) fn has_own_ids(&self) -> bool {
        let by_flag = self.run_as_user.or(self.run_as_group).is_some();
        by_flag || self.custom.as_ref().is_some_and(Custom::sets_ids)
    }
}

/// Kubernetes gives what a container may do beyond others to its root alone.
fn refuse_contradiction(profile: Profile, from: &Source, user: Option<u32>, group: Option<u32>) -> Result<()> {
    let root_alone = "the profile adds a capability, and Kubernetes gives those to root alone";
    let (flag, evidence, remedy) = match (profile, user, group) {
        (Profile::General | Profile::Sysadmin, Some(1..), _) => (
            "--run-as-user",
            root_alone,
            "leave --run-as-user out: the injector takes on the JVM's ids itself, once it has found them",
        ),
        (Profile::General | Profile::Sysadmin, None, Some(1..)) => (
            "--run-as-group",
            root_alone,
            "leave --run-as-group out: the injector takes on the JVM's ids itself, once it has found them; a root's group goes \
             with --run-as-user 0",
        ),
        (Profile::Restricted, Some(0), _) => {
            ("--run-as-user", "the level restricted has no root", "leave one of the two out")
        }
        _ => return Ok(()),
    };
    let Source::Config(file) = from else {
        return Err(Failure::usage(format!("--profile and {flag} contradict each other"))
            .evidence(evidence)
            .remedy(remedy));
    };
    let name = profile.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let leave_out = if profile == Profile::Restricted { "leave --run-as-user out" } else { remedy };
    Err(Failure::usage(format!("the configuration file's profile and {flag} contradict each other"))
        .evidence(format!("{}: profile: {name}\n{evidence}", file.display()))
        .remedy(format!("{leave_out}\nor add --profile=auto: a flag counts before the file")))
}

fn reference(image: String, from: &Source) -> Result<String> {
    if !is_reference(&image) {
        return Err(Failure::usage(format!("\"{image}\" is no image reference"))
            .evidence(format!("from {from}"))
            .remedy("give it as REGISTRY/NAME:TAG"));
    }
    Ok(image)
}

/// What a partial container may not set, and what there is to do instead.
const FIXED: [(&[&str], &str); 5] = [
    (&["name", "command", "args"], "the plugin finds and runs its injectors by these: leave them out"),
    (&["image"], "give it with --image"),
    (&["imagePullPolicy"], "give it with --image-pull-policy"),
    (&["targetContainerName"], "give it with -c"),
    (
        &[
            "lifecycle",
            "livenessProbe",
            "ports",
            "readinessProbe",
            "resizePolicy",
            "resources",
            "restartPolicy",
            "restartPolicyRules",
            "startupProbe",
            "volumeDevices",
        ],
        "an ephemeral container has none: leave it out",
    ),
];

/// A partial container, merged over the injector's as `kubectl debug --custom` does.
///
/// kubectl merges by the strategy of each list. Those that have one (env, volumeMounts) the injector's container has not,
/// so a JSON merge patch (RFC 7396) does the same; and a null takes away what the plugin would set.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Custom(Map<String, Value>);

impl Custom {
    /// # Errors
    /// A usage failure for a file that cannot be read, is no part of a container, or sets what is not its to set.
    pub(crate) fn read(path: &Path) -> Result<Custom> {
        let unusable = |cause: &str, evidence: String| {
            Failure::usage(format!("--custom {}: {cause}", path.display())).evidence(evidence)
        };
        let example = "it is a part of a container, in YAML or JSON: {securityContext: {runAsUser: 1000}}";
        // A pipe, too, as for kubectl debug: `--custom <(…)` in a shell.
        let text = text_file::read(path, MAX_CUSTOM)
            .map_err(|error| unusable("cannot be read", error.to_string()).remedy("name a file with --custom"))?;
        let parsed = document::read::<Map<String, Value>>(&text);
        let custom = parsed.map_err(|error| unusable("is no object in YAML or JSON", error).remedy(example))?;
        for (fields, remedy) in FIXED {
            if let Some(field) = fields.iter().find(|field| custom.contains_key(**field)) {
                let evidence = format!("{field}: {}", custom[*field]);
                return Err(unusable(&format!("{field} is not to be set there"), evidence).remedy(remedy));
            }
        }
        let typed = serde_json::from_value::<EphemeralContainer>(Value::Object(custom.clone()))
            .and_then(serde_json::to_value)
            .map_err(|error| unusable("is no part of a container", error.to_string()).remedy(example))?;
        match unknown(&Value::Object(custom.clone()), &typed, "") {
            Some(field) => {
                let known = "no field of that name is known there, as of Kubernetes 1.33".to_owned();
                Err(unusable(&format!("a container has no {field}"), known).remedy(example))
            }
            None => Ok(Custom(custom)),
        }
    }

    /// The container with these parts of its own.
    ///
    /// # Errors
    /// What the two make together is no container.
    pub(crate) fn over(&self, container: &EphemeralContainer) -> Result<EphemeralContainer> {
        let merged = serde_json::to_value(container).and_then(|mut merged| {
            merge(&mut merged, &Value::Object(self.0.clone()));
            serde_json::from_value(merged)
        });
        merged.map_err(|error| {
            Failure::usage("--custom does not go with the injector's container").evidence(error.to_string())
        })
    }

    fn sets_ids(&self) -> bool {
        let context = self.0.get("securityContext");
        ["runAsUser", "runAsGroup"].iter().any(|id| context.is_some_and(|context| !context[id].is_null()))
    }
}

/// A JSON merge patch (RFC 7396).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else { return target.clone_from(patch) };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(fields) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name).or_insert(Value::Null), value);
        }
    }
}

/// The path of a field that is set in `given` and that its type does not know, so that it is not in `kept`.
fn unknown(given: &Value, kept: &Value, at: &str) -> Option<String> {
    match given {
        Value::Object(fields) => fields.iter().filter(|(_, value)| !value.is_null()).find_map(|(name, value)| {
            let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
            kept.get(name).map_or_else(|| Some(path.clone()), |kept| unknown(value, kept, &path))
        }),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| unknown(item, kept.get(index)?, &format!("{at}[{index}]"))),
        _ => None,
    }
}

#[cfg(test)]
#[path = "injector_tests.rs"]
mod tests;

//! What the ephemeral container is to be: a pure function of the options, the target and the security context. What
//! varies from call to call is no part of it, or no call could reuse the container of another.

use std::hash::{BuildHasher, Hasher, RandomState};

use k8s_openapi::api::core::v1::{EphemeralContainer, SecurityContext};

use crate::error::Result;
use crate::options::{Injector, PullPolicy};
use crate::target::Target;

/// What the container runs.
pub(super) const HOLD: [&str; 2] = ["/injector", "hold"];
/// What is exec'd in it.
pub(crate) const SESSION: [&str; 2] = ["/injector", "session"];

/// What the names of our containers begin with.
const PREFIX: &str = "jattach-";
const RANDOM: usize = 5;
/// Letters and digits that cannot be taken for each other, nor make words: those of Kubernetes' own generated names.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// The container, with a new name.
///
/// # Errors
/// A usage failure where the user's part of it does not go with ours.
pub(super) fn container(injector: &Injector, target: &Target, context: &SecurityContext) -> Result<EphemeralContainer> {
    let policy = |policy| match policy {
        PullPolicy::Always => "Always",
        PullPolicy::IfNotPresent => "IfNotPresent",
        PullPolicy::Never => "Never",
    };
    let container = EphemeralContainer {
        name: new_name(),
        image: Some(injector.image.clone()),
        image_pull_policy: injector.pull_policy.map(|wanted| policy(wanted).to_owned()),
        command: Some(HOLD.map(str::to_owned).to_vec()),
        target_container_name: Some(target.container.clone()),
        security_context: Some(context.clone()),
        ..EphemeralContainer::default()
    };
    match &injector.custom {
        Some(custom) => custom.over(&container),
        None => Ok(container),
    }
}

/// `jattach-` and five random characters. Taken names are refused by the server, so chance need not be perfect: the
/// standard library's seed of a hash map serves.
fn new_name() -> String {
    let mut random = RandomState::new().build_hasher().finish();
    let mut name = PREFIX.to_owned();
    for _ in 0..RANDOM {
        let letters = ALPHABET.len() as u64;
        let index = usize::try_from(random % letters).expect("a remainder below 27");
        name.push(char::from(ALPHABET[index]));
        random /= letters;
    }
    name
}

/// Whether a container's name is one that [`container`] could have given.
pub(super) fn is_our_name(name: &str) -> bool {
    name.strip_prefix(PREFIX)
        .is_some_and(|random| random.len() == RANDOM && random.bytes().all(|byte| ALPHABET.contains(&byte)))
}

/// The container as the API server shows it once it has filled in its defaults
/// (`pkg/apis/core/v1/defaults.go` of Kubernetes), with the ways to say the same thing made one.
pub(super) fn with_defaults(container: &EphemeralContainer) -> EphemeralContainer {
    let mut container = container.clone();
    let image = container.image.as_deref().unwrap_or_default();
    container.image_pull_policy.get_or_insert_with(|| default_pull_policy(image).to_owned());
    container.termination_message_path.get_or_insert_with(|| "/dev/termination-log".to_owned());
    container.termination_message_policy.get_or_insert_with(|| "File".to_owned());
    container.resources = container.resources.filter(|resources| *resources != Default::default());
    for flag in [&mut container.stdin, &mut container.stdin_once, &mut container.tty] {
        *flag = flag.filter(|set| *set);
    }
    for list in [&mut container.command, &mut container.args] {
        *list = list.take().filter(|list| !list.is_empty());
    }
    container.env = container.env.filter(|list| !list.is_empty());
    container.env_from = container.env_from.filter(|list| !list.is_empty());
    container.volume_mounts = container.volume_mounts.filter(|list| !list.is_empty());
    if let Some(context) = &mut container.security_context {
        context.proc_mount = context.proc_mount.take().filter(|mount| mount != "Default");
    }
    container
}

/// Always for a tag `latest` or none at all, unless a digest is given.
fn default_pull_policy(image: &str) -> &'static str {
    let name = image.rsplit('/').next().unwrap_or(image);
    match name.split_once(':') {
        _ if name.contains('@') => "IfNotPresent",
        None | Some((_, "latest")) => "Always",
        Some(_) => "IfNotPresent",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize as _;
    use serde_yaml::Value;

    /// The documents of a file in deploy/.
    fn deployed(name: &str) -> Vec<Value> {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name);
        let text = std::fs::read_to_string(path).expect("a file of the repository");
        serde_yaml::Deserializer::from_str(&text).map(|document| Value::deserialize(document).expect("YAML")).collect()
    }

    /// The texts of all expressions in it.
    fn expressions(value: &Value) -> Vec<String> {
        match value {
            Value::Mapping(entries) => {
                let own =
                    entries.iter().filter(|(name, _)| *name == "expression").filter_map(|(_, text)| text.as_str());
                own.map(str::to_owned).chain(entries.iter().flat_map(|(_, inner)| expressions(inner))).collect()
            }
            Value::Sequence(items) => items.iter().flat_map(expressions).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn the_published_policies_let_through_what_is_added_and_run_here() {
        let policies = deployed("policy.yaml");
        let [container, _, exec, _] = policies.as_slice() else { panic!("{} documents", policies.len()) };
        let (container, exec) = (expressions(container), expressions(exec));
        let words = |words: [&str; 2]| format!("== ['{}', '{}']", words[0], words[1]);
        assert!(container.iter().any(|expression| expression.contains(&words(HOLD))), "{container:?}");
        assert!(exec.iter().any(|expression| expression.contains(&words(SESSION))), "{exec:?}");
        let (image, _) = env!("JATTACH_IMAGE").rsplit_once(':').expect("a tag");
        assert!(container.contains(&format!("'{image}'")), "{container:?}");
        let named = format!(".matches('^{PREFIX}[a-z0-9]{{{RANDOM}}}$')");
        assert!(exec.iter().any(|expression| expression.ends_with(&named)), "{exec:?}");
        // What marks the Role's holders is what both policies ask for.
        let role = deployed("role.yaml");
        let rules = role[0]["rules"].as_sequence().expect("rules");
        let mark = rules.iter().find(|rule| rule["resources"][0] == "injectors").expect("the mark");
        let [group, verb] = ["apiGroups", "verbs"].map(|name| mark[name][0].as_str().expect("a word"));
        let asked =
            format!("authorizer.group('{group}').resource('injectors').namespace(request.namespace).check('{verb}')");
        for expressions in [&container, &exec] {
            assert!(expressions.iter().any(|expression| expression.contains(&asked)), "{expressions:?}");
        }
    }

    #[test]
    fn the_published_policy_looks_at_every_field_of_a_security_context_that_could_give_more() {
        // Without `..`: a field that Kubernetes adds has to be thought of here.
        let all = SecurityContext {
            allow_privilege_escalation: Some(true),
            app_armor_profile: Some(Default::default()),
            capabilities: Some(Default::default()),
            privileged: Some(true),
            proc_mount: Some(String::new()),
            read_only_root_filesystem: Some(true),
            run_as_group: Some(0),
            run_as_non_root: Some(true),
            run_as_user: Some(0),
            se_linux_options: Some(Default::default()),
            seccomp_profile: Some(Default::default()),
            windows_options: Some(Default::default()),
        };
        let fields = serde_json::to_value(all).expect("JSON");
        let policy = expressions(&deployed("policy.yaml")[0]);
        let is_compared = |field: &str| policy.iter().any(|expression| expression.contains(&format!(".?{field}.")));
        let left_out = fields.as_object().into_iter().flatten().map(|(field, _)| field.as_str());
        let left_out: Vec<_> = left_out.filter(|field| !is_compared(field)).collect();
        // The first takes something away; a group alone opens nothing of the target's, which the kernel compares as well.
        assert_eq!(left_out, ["readOnlyRootFilesystem", "runAsGroup"]);
    }

    #[test]
    fn a_new_name_is_ours_and_another_each_time() {
        let names: std::collections::HashSet<String> = (0..100).map(|_| new_name()).collect();
        assert!(names.iter().all(|name| is_our_name(name)), "{names:?}");
        assert!(names.len() > 90, "{} different names of 100", names.len());
    }

    #[test]
    fn names_of_others_are_not_ours() {
        for name in ["jattach-a", "jattach-aeiou", "jattach-bcdfgh", "debugger-bcdfg", "jattach-BCDFG"] {
            assert!(!is_our_name(name), "{name}");
        }
    }

    #[test]
    fn the_servers_default_pull_policy_depends_on_the_tag() {
        for (image, policy) in [
            ("r.example:5000/injector", "Always"),
            ("r.example:5000/injector:latest", "Always"),
            ("r.example/injector:0.1.0", "IfNotPresent"),
            ("injector@sha256:00", "IfNotPresent"),
            ("injector:latest@sha256:00", "IfNotPresent"),
        ] {
            assert_eq!(default_pull_policy(image), policy, "{image}");
        }
    }
}

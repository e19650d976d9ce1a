//! That what a refusal says to type does what it says.

use super::super::{Set, first};
use super::*;
use crate::debugger::recorded::{injector, target_of};
use crate::debugger::spec;
use crate::options::{Custom, Injector};
use serde_json::{Value, json};

const NET_BIND_SERVICE: u64 = 1 << 10;
const SYS_TIME: u64 = 1 << 25;

fn pod(container_context: &Value, uid: u32) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "x"},
        "spec": {"containers": [{"name": "app", "securityContext": container_context}]},
        "status": {"containerStatuses": [{
            "name": "app", "image": "i", "imageID": "", "ready": true, "restartCount": 0,
            "user": {"linux": {"uid": uid, "gid": uid}},
        }]},
    }))
    .expect("a pod")
}

/// The options that a remedy says to type.
fn typed(remedy: &str) -> Injector {
    let (_, flags) = remedy.split_once("--run-as-user 0").unwrap_or_else(|| panic!("no flags: {remedy}"));
    let group = flags.strip_prefix(" --run-as-group ").and_then(|rest| rest.split_whitespace().next());
    let custom = flags.split_once("FILE says\n").map(|(_, rest)| {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        let text = rest.lines().next().expect("a line");
        std::io::Write::write_all(&mut file, text.as_bytes()).expect("it can be written");
        Custom::read(file.path()).unwrap_or_else(|failure| panic!("{failure}"))
    });
    let run_as_group = group.map(|group| group.parse().expect("a gid"));
    Injector { run_as_user: Some(0), run_as_group, custom, ..injector("i") }
}

/// Fails unless the injector of these options can become that, by the rule of its `process/identity.rs`.
fn can_become(options: &Injector, pod: &Pod, identity: Identity, why: &str) {
    let target = target_of(pod.clone());
    let chosen = first(pod, "app", options).expect("a context");
    let container = spec::container(options, &target, &chosen.context).expect("a container");
    let context = container.security_context.expect("a context");
    assert_eq!(context.run_as_user, Some(0), "{why}");
    assert!(context.run_as_non_root != Some(true), "{why}");
    let has = Set::of_container(context.capabilities.as_ref());
    let is_it = identity.uid == 0 && context.run_as_group == Some(i64::from(identity.gid));
    assert!(is_it || (has.has("SETUID") && has.has("SETGID")), "{identity:?} from {has}: {why}");
    assert!(Set::from_bits(identity.capabilities).without(has).is_empty(), "{identity:?} from {has}: {why}");
}

#[test]
fn the_root_injector_that_a_refusal_names_can_become_what_the_jvm_is() {
    let contexts = [
        json!({}),
        json!({"capabilities": {"drop": ["ALL"]}}),
        json!({"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}),
        json!({"capabilities": {"drop": ["SETUID", "SYS_TIME"]}}),
    ];
    let identities =
        [(0, 0, 0), (0, 7, NET_BIND_SERVICE), (0, 0, SYS_TIME), (1000, 1000, NET_BIND_SERVICE), (7, 8, SYS_TIME)];
    let mut refused = 0;
    for (context, begins_as) in contexts.iter().flat_map(|context| [0, 1000].map(|uid| (context, uid))) {
        for (uid, gid, capabilities) in identities {
            let (pod, identity) = (pod(context, begins_as), Identity { uid, gid, capabilities });
            // Whoever has typed the flags and is not served is told no others.
            let mut remedies = vec![instead_of_chosen(&pod, "app", Some(identity))];
            remedies.extend(exact(&pod, "app", identity).err().map(|failure| failure.remedy));
            refused += remedies.len() - 1;
            for remedy in remedies {
                can_become(&typed(&remedy), &pod, identity, &format!("{context}, begins as {begins_as}: {remedy}"));
            }
        }
    }
    assert!(refused > 20, "{refused}");
}

#[test]
fn whoever_has_chosen_the_wrong_ids_of_a_plain_user_is_told_to_leave_them_out() {
    let remedy = |identity| instead_of_chosen(&pod(&Value::Null, 1000), "app", identity);
    let user = Identity { uid: 7, gid: 7, capabilities: 0 };
    assert!(remedy(Some(user)).contains("leave --run-as-user"));
    assert_eq!(remedy(Some(user)), remedy(None));
}

//! What is to be thought of a look at the JVM and at the room around it: pure functions. All of it is the target's own word.

use jattach_protocol::label;
use jattach_protocol::message::{DUMP_WINDOW, Examined};

use super::pod;
use super::report::Verdict;
use crate::debugger::capability_names;
use crate::render::progress::size;
use crate::target::{Target, storage_limit};

/// Where data of a dump would wait; `inside` the target's own container nothing does.
pub(super) fn free_there(examined: &Examined, target: &Target, inside: bool) -> Verdict {
    let Examined { free, spool, .. } = *examined;
    if inside {
        return Verdict::Ok("not used with --via=exec: the JVM waits instead".to_owned());
    }
    if free == 0 {
        return Verdict::warn(
            "no disk where a heap dump can wait: its JVM waits instead",
            "give the injector a writable /tmp (readOnlyRootFilesystem), or run dumpheap close by",
        );
    }
    let text = format!("{}, {} of it for a heap dump", size(free), size(spool));
    // Where that comes from the limit, another check says so.
    let limit = storage_limit(&target.pod);
    if spool < DUMP_WINDOW && (limit == 0 || spool < limit / 4) {
        return Verdict::warn(
            format!("{text}: then its JVM waits"),
            "a fifth of the node's disk stays free: free some of it, or run dumpheap close to the cluster",
        );
    }
    Verdict::Ok(text)
}

/// The target's /tmp, where a JVM has been found to be attachable.
pub(super) fn tmp(examined: &Examined, target: &Target) -> Verdict {
    let met = "the JVM can be met there";
    match (examined.tmp, pod::tmp_limit(target)) {
        (None, _) => Verdict::Ok(met.to_owned()),
        (Some(0), _) => Verdict::warn(
            "no byte is free there, and the JVM's socket may need one",
            "remove something in the target's /tmp, or make its volume larger",
        ),
        (Some(free), Some(limit)) if limit < free => {
            Verdict::Ok(format!("{met}; {} by its volume's sizeLimit", size(limit)))
        }
        (Some(free), _) => Verdict::Ok(format!("{met}; {} free", size(free))),
    }
}

/// A mount that an injector which was killed has left over the target's /tmp, if there is one.
pub(super) fn left_behind(examined: &Examined) -> Option<Verdict> {
    (examined.left_behind > 0).then(|| {
        Verdict::warn(
            "a tmpfs lies over it that an earlier --profile=sysadmin has left",
            "the next threaddump --profile=sysadmin takes it away; so does the container's next start",
        )
    })
}

/// What the kernel compares before it lets the injector in: the JVM's must be among the injector's.
pub(super) fn capabilities(examined: &Examined) -> Verdict {
    let (own, theirs) = (examined.own.capabilities, examined.theirs.capabilities);
    let jvm = capability_names(theirs);
    match (theirs & !own, own & !theirs) {
        (0, 0) => Verdict::Ok(format!("injector and JVM have {jvm}")),
        (0, more) => Verdict::Ok(format!("the injector gives up {}; the JVM has {jvm}", capability_names(more))),
        (lacking, _) => Verdict::warn(
            format!("the JVM has {}, which the injector has not", capability_names(lacking)),
            "the kernel keeps such a process closed; --profile, or a securityContext with --custom, gives the injector more",
        ),
    }
}

/// What stands between two processes whose ids and capabilities fit. `is_let_in`: the injector was not kept from the JVM.
pub(super) fn labels(examined: &Examined, is_let_in: bool) -> Verdict {
    let (own, theirs) = (&examined.own_label, &examined.label);
    let shown = |label: &str| if label.is_empty() { "not shown".to_owned() } else { label.to_owned() };
    match (own == theirs, own.is_empty()) {
        (true, true) => Verdict::Ok("no AppArmor, no SELinux".to_owned()),
        (true, false) => Verdict::Ok(format!("injector and JVM: {own} ({})", module(own))),
        (false, _) => {
            let module = module(if theirs.is_empty() { own } else { theirs });
            let text = format!("{module}: JVM {}, injector {}", shown(theirs), shown(own));
            if is_let_in {
                return Verdict::Ok(text);
            }
            Verdict::warn(
                text,
                "the injector takes over what the pod's spec says (appArmorProfile, seLinuxOptions): name there what the \
                 target runs under",
            )
        }
    }
}

/// Which security module writes labels like this, of which there is one.
fn module(label: &str) -> &'static str {
    label::module(label.as_bytes()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use jattach_protocol::Identity;
    use serde_json::{Value, json};

    use super::*;

    const GIB: u64 = 1 << 30;

    fn usual() -> Examined {
        let identity = Identity { uid: 10001, gid: 10001, capabilities: 0 };
        Examined {
            own: identity,
            theirs: identity,
            own_label: String::new(),
            label: String::new(),
            spool: 20 * GIB,
            free: 40 * GIB,
            tmp: Some(GIB),
            memory: None,
            heap_used: 0,
            left_behind: 0,
        }
    }

    fn target(spec: &Value) -> Target {
        let pod = serde_json::from_value(json!({"metadata": {"name": "x"}, "spec": spec})).expect("a pod");
        Target { namespace: "shop".into(), pod, container: "app".into(), pid: None }
    }

    fn plain() -> Target {
        target(&json!({"containers": [{"name": "app"}]}))
    }

    #[track_caller]
    fn says(verdict: Verdict, result: &str, expected: &str) {
        let (found, text) = match verdict {
            Verdict::Ok(text) => ("ok", text),
            Verdict::Warn { text, .. } => ("warn", text),
            other => panic!("{other:?}"),
        };
        assert_eq!((found, &*text), (result, expected));
    }

    #[test]
    fn little_room_for_a_dump_is_warned_of_once() {
        says(free_there(&usual(), &plain(), false), "ok", "40.00 GiB, 20.00 GiB of it for a heap dump");
        let full = Examined { spool: 1 << 20, ..usual() };
        let text = "40.00 GiB, 1.00 MiB of it for a heap dump";
        says(free_there(&full, &plain(), false), "warn", &format!("{text}: then its JVM waits"));
        let resources = json!({"limits": {"ephemeral-storage": "4Mi"}});
        let limited = target(&json!({"containers": [{"name": "app", "resources": resources}]}));
        says(free_there(&full, &limited, false), "ok", text);
        let nowhere = Examined { spool: 0, free: 0, ..usual() };
        says(
            free_there(&nowhere, &plain(), false),
            "warn",
            "no disk where a heap dump can wait: its JVM waits instead",
        );
        says(free_there(&nowhere, &plain(), true), "ok", "not used with --via=exec: the JVM waits instead");
    }

    #[test]
    fn of_the_targets_tmp_the_smaller_of_disk_and_limit_counts() {
        let limited = |limit: &str| {
            target(&json!({
                "containers": [{"name": "app", "volumeMounts": [{"name": "v", "mountPath": "/tmp"}]}],
                "volumes": [{"name": "v", "emptyDir": {"sizeLimit": limit}}],
            }))
        };
        says(tmp(&usual(), &plain()), "ok", "the JVM can be met there; 1.00 GiB free");
        says(tmp(&usual(), &limited("64Mi")), "ok", "the JVM can be met there; 64.00 MiB by its volume's sizeLimit");
        says(tmp(&usual(), &limited("64Gi")), "ok", "the JVM can be met there; 1.00 GiB free");
        says(tmp(&Examined { tmp: None, ..usual() }, &plain()), "ok", "the JVM can be met there");
        assert!(matches!(tmp(&Examined { tmp: Some(0), ..usual() }, &plain()), Verdict::Warn { .. }));
    }

    #[test]
    fn a_tmpfs_that_was_left_is_told_of_with_what_takes_it_away() {
        assert!(left_behind(&usual()).is_none());
        let left = left_behind(&Examined { left_behind: 1, ..usual() }).expect("a verdict");
        assert!(matches!(left, Verdict::Warn { remedy, .. } if remedy.contains("--profile=sysadmin")));
    }

    #[test]
    fn capabilities_are_compared_by_their_names() {
        let with = |own: u64, theirs: u64| {
            let mut examined = usual();
            (examined.own.capabilities, examined.theirs.capabilities) = (own, theirs);
            capabilities(&examined)
        };
        says(with(0, 0), "ok", "injector and JVM have no capabilities");
        says(with(1, 1), "ok", "injector and JVM have CHOWN");
        says(with(1 | 1 << 12, 1), "ok", "the injector gives up NET_ADMIN; the JVM has CHOWN");
        says(with(1, 1 << 12), "warn", "the JVM has NET_ADMIN, which the injector has not");
    }

    #[test]
    fn labels_are_named_with_whose_they_are() {
        let with = |own: &str, theirs: &str| Examined { own_label: own.into(), label: theirs.into(), ..usual() };
        says(labels(&with("", ""), true), "ok", "no AppArmor, no SELinux");
        let usual = "cri-containerd.apparmor.d (enforce)";
        says(labels(&with(usual, usual), true), "ok", &format!("injector and JVM: {usual} (AppArmor)"));
        says(labels(&with(usual, "app"), true), "ok", &format!("AppArmor: JVM app, injector {usual}"));
        says(labels(&with(usual, "app"), false), "warn", &format!("AppArmor: JVM app, injector {usual}"));
        let confined = "system_u:system_r:container_t:s0:c1,c2";
        says(labels(&with(confined, ""), false), "warn", &format!("SELinux: JVM not shown, injector {confined}"));
    }
}

//! Command lines for a person to copy, in the words of a POSIX shell, whatever the shell is that the plugin was started from. Flags
//! stand before what is to be done: a line that is cut must do nothing elsewhere.

use std::ffi::OsString;
use std::path::Path;

use crate::cli::NAME;
use crate::client::explain::FIX_RBAC;
use crate::error::DESCRIBE;
use crate::kubectl::{self, quoted};
use crate::target::{COMMAND_VIA_EXEC, Name};

/// How a message says that somebody ends an injector who does not know the pod as its user does.
const ANY_CLEAN: &str = "kubectl jattach TARGET clean";

/// What is said of `--via=exec` where it cannot be typed with this plugin.
const NOT_CARRIED: &str = "(--via=exec takes a plugin that carries the injector, and this build carries none)";

/// The flags that say which pod is meant, and who asks.
const WHERE: [&str; 8] = ["namespace", "kubeconfig", "context", "cluster", "user", "as", "as-group", "request-timeout"];

/// The flags that do not go with the rest of a dump of one pod.
const ONCE: [&str; 3] = ["no-resume", "all-pods", "parallel"];

/// The flags that concern an ephemeral container and its disk, or more pods than one.
const OF_CONTAINER: [&str; 11] = [
    "image",
    "image-pull-policy",
    "dry-run",
    "profile",
    "run-as-user",
    "run-as-group",
    "custom",
    "spool-limit",
    "all-pods",
    "parallel",
    "via",
];

/// The one that means the same dump of the same pod.
pub(super) fn dump(flags: &[OsString], pod: &str, path: &Path) -> String {
    // What looks like a flag is none behind a directory.
    let path = if path.to_string_lossy().starts_with('-') { Path::new(".").join(path) } else { path.to_owned() };
    line(pod, "dumpheap", flags, |name| !ONCE.contains(&name)) + " " + &quoted(&path.to_string_lossy())
}

/// `text` with the command lines in it that end the pod's injectors and that describe it, as this user has to give them: what
/// came from the injector knows no pod.
pub(super) fn with_pod(text: &str, flags: &[OsString], namespace: &str, pod: &str) -> String {
    let clean = line(pod, "clean", flags, |name| WHERE.contains(&name));
    let describe = kubectl::line_in(namespace, format_args!("describe pod {pod}"));
    text.replace(ANY_CLEAN, &clean).replace(DESCRIBE, &describe)
}

/// `text` with the target in the command line that prints the rights that are missing on it.
pub(super) fn with_target(text: &str, target: &str) -> String {
    text.replace(FIX_RBAC, &FIX_RBAC.replace("TARGET", target))
}

/// How the user names the target, without what leads to its cluster.
pub(super) fn target(name: &Name) -> String {
    match name {
        Name::Pod(name) => format!("pod/{name}"),
        Name::Workload { kind, name } => format!("{}/{name}", kind.short()),
        Name::Selector(selector) => format!("-l {}", quoted(selector)),
    }
}

/// `text` with the flags in its command lines that lead to this user's cluster.
pub(super) fn with_cluster(text: &str, flags: &[OsString]) -> String {
    let flags: Vec<String> = to_cluster(flags).collect();
    let ours: String = flags.iter().map(|flag| format!("{flag} ")).collect();
    kubectl::with_flags(&text.replace(&format!("{NAME} -n "), &format!("{NAME} {ours}-n ")), &flags)
}

/// `text` with the command line in it that goes without an ephemeral container, for this command. doctor's remedies are for
/// any command. A plugin without an injector to bring along is said to be one.
pub(super) fn with_via_exec(text: &str, flags: &[OsString], words: &[OsString], is_carried: bool) -> String {
    if !text.contains(COMMAND_VIA_EXEC) {
        return text.to_owned();
    }
    let exact = exact_via_exec(text, flags, words).unwrap_or_else(|| text.to_owned());
    if is_carried { exact } else { format!("{exact}\n{NOT_CARRIED}") }
}

/// `None` where `text` has that line for no pod of ours, or is a remedy of doctor's.
fn exact_via_exec(text: &str, flags: &[OsString], words: &[OsString]) -> Option<String> {
    let (before, after) = text.split_once(COMMAND_VIA_EXEC)?;
    let (before, ours) = before.rsplit_once(NAME)?;
    let (_, pod) = ours.rsplit_once("pod/")?;
    let (command, arguments) = words.split_first().filter(|(command, _)| *command != "doctor")?;
    let goes_without_container = |flag: &&OsString| !OF_CONTAINER.contains(&name_of(&flag.to_string_lossy()));
    let mut all: Vec<OsString> = flags.iter().filter(goes_without_container).cloned().collect();
    all.extend(["--via=exec".into(), format!("pod/{}", pod.trim_end()).into(), command.clone()]);
    // After jcmd every word is the JVM's.
    let is_flag = |word: &OsString| word.len() > 1 && word.to_string_lossy().starts_with('-');
    all.extend((command != "jcmd" && arguments.iter().any(is_flag)).then(|| "--".into()));
    all.extend(arguments.iter().cloned());
    let all: Vec<_> = all.iter().map(|word| quoted(&word.to_string_lossy())).collect();
    Some(format!("{before}{NAME} {}{after}", all.join(" ")))
}

/// The name of a flag that is given as one word.
fn name_of(flag: &str) -> &str {
    flag.trim_start_matches('-').split('=').next().unwrap_or_default()
}

/// The one that has a signal make the JVM print its threads.
pub(super) fn via_log(flags: &[OsString], pod: &str) -> String {
    let same_jvm = |name: &str| WHERE.contains(&name) || matches!(name, "container" | "pid" | "via");
    line(pod, "threaddump --via-log", flags, same_jvm)
}

/// One of kubectl's own, in that namespace of the same cluster.
pub(super) fn kubectl(words: &[String], flags: &[OsString], namespace: &str) -> String {
    let words = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    with_cluster(&kubectl::line_in(namespace, words), flags)
}

/// The flags that lead to this user's cluster, whatever the namespace in it, for a shell.
fn to_cluster(flags: &[OsString]) -> impl Iterator<Item = String> {
    let flags = flags.iter().map(|flag| flag.to_string_lossy());
    let flags = flags.filter(|flag| name_of(flag) != "namespace" && WHERE.contains(&name_of(flag)));
    flags.map(|flag| quoted(&flag))
}

fn line(pod: &str, command: &str, flags: &[OsString], wanted: impl Fn(&str) -> bool) -> String {
    let flags = flags.iter().map(|flag| flag.to_string_lossy());
    let flags = flags.filter(|flag| wanted(name_of(flag))).map(|flag| quoted(&flag));
    let words = [NAME.to_owned()].into_iter().chain(flags).chain([format!("pod/{pod} {command}")]);
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_goes_on_names_pod_and_file_and_keeps_the_flags() {
        let flags = ["--namespace=my shop", "--gzip", "--no-resume", "--all-pods", "--parallel=2"].map(OsString::from);
        assert_eq!(
            dump(&flags, "x", Path::new("it's.hprof")),
            r#"kubectl jattach --namespace='my shop' --gzip pod/x dumpheap "it's.hprof""#
        );
        assert_eq!(dump(&[], "x", Path::new("-x")), "kubectl jattach pod/x dumpheap ./-x");
    }

    #[test]
    fn lines_that_know_no_pod_are_given_it_and_keep_the_flags_that_lead_to_it() {
        let flags = ["--namespace=my shop", "--gzip", "--context=prod", "--wait", "--as=ada"].map(OsString::from);
        let with = |text: &str| with_cluster(&with_pod(text, &flags, "shop", "x"), &flags);
        assert_eq!(
            with("give it up: `kubectl jattach TARGET clean`"),
            "give it up: `kubectl jattach --namespace='my shop' --context=prod --as=ada pod/x clean`"
        );
        let ended = with(crate::error::ENDED);
        assert!(ended.contains("; `kubectl --context=prod --as=ada -n shop describe pod x` tells why"), "{ended}");
        assert_eq!(with("wait"), "wait");
    }

    #[test]
    fn lines_for_the_same_jvm_and_the_same_cluster_keep_the_flags_that_lead_there() {
        let flags = ["--namespace=shop", "--gzip", "--context=prod", "--container=app", "--pid=7"].map(OsString::from);
        assert_eq!(
            via_log(&flags, "x"),
            "kubectl jattach --namespace=shop --context=prod --container=app --pid=7 pod/x threaddump --via-log"
        );
        let words = ["patch", "deployment", "x", "-p", "{\"a b\":1}"].map(str::to_owned);
        assert_eq!(
            kubectl(&words, &flags, "shop"),
            r#"kubectl --context=prod -n shop patch deployment x -p '{"a b":1}'"#
        );
    }

    #[test]
    fn lines_that_know_the_pod_alone_are_led_to_the_same_cluster() {
        let flags = ["--namespace=shop", "--context=prod east", "--as=ada", "--gzip"].map(OsString::from);
        let with = |text| with_cluster(text, &flags);
        assert_eq!(
            with("kubectl -n shop logs x -c app --previous says why"),
            "kubectl --context='prod east' --as=ada -n shop logs x -c app --previous says why"
        );
        assert_eq!(
            with("show it, with: kubectl jattach -n shop pod/x ps --dry-run=client"),
            "show it, with: kubectl jattach --context='prod east' --as=ada -n shop pod/x ps --dry-run=client"
        );
        let granting = "grant it:\nkubectl -n shop create rolebinding r --role=r --user=ada";
        assert_eq!(with(granting), granting);
        let plain = "kubectl -n shop describe pod x says why";
        assert_eq!(with_cluster(plain, &["--namespace=shop".into()]), plain);
    }

    #[test]
    fn the_line_that_prints_all_missing_rights_names_the_target_and_the_cluster() {
        let text = format!("grant it (all that is missing: {NAME} -n shop {FIX_RBAC})");
        let workload = Name::Workload { kind: crate::target::WorkloadKind::Deployment, name: "api".into() };
        let selector = Name::Selector("app in (api)".into());
        for (name, words) in
            [(Name::Pod("x".into()), "pod/x"), (workload, "deploy/api"), (selector, "-l 'app in (api)'")]
        {
            let text = with_cluster(&with_target(&text, &target(&name)), &["--context=prod".into()]);
            let line = format!("kubectl jattach --context=prod -n shop {words} doctor --fix-rbac)");
            assert!(text.ends_with(&line), "{text}");
        }
    }

    #[test]
    fn the_line_that_goes_another_way_is_the_same_command_without_what_concerns_the_container() {
        let words = |line: &str| -> Vec<OsString> { line.split_whitespace().map(OsString::from).collect() };
        let text = format!("or where it has a shell: {}", crate::target::via_exec("shop", "x"));
        let flags = words("--namespace=shop --image=r.example/i --profile=general --custom=f --locks --all-pods");
        let exact = |command: &str| with_via_exec(&text, &flags, &words(command), true);
        let front = "or where it has a shell: kubectl jattach --namespace=shop --locks --via=exec pod/x";
        assert_eq!(exact("threaddump"), format!("{front} threaddump"));
        assert_eq!(exact("jcmd VM.log -x what=gc*"), format!("{front} jcmd VM.log -x 'what=gc*'"));
        assert_eq!(exact("dumpheap -"), format!("{front} dumpheap -"));
        assert_eq!(exact("dumpheap -x.hprof"), format!("{front} dumpheap -- -x.hprof"));
        assert_eq!(exact("doctor"), text);
        assert_eq!(with_via_exec("wait", &flags, &words("ps"), false), "wait");
        let without = with_via_exec(&text, &flags, &words("ps"), false);
        assert_eq!(without, format!("{front} ps\n{NOT_CARRIED}"));
    }
}

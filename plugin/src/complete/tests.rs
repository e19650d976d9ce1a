//! What is offered where, as far as no cluster has to be asked.

use super::*;

/// The values for a line that ends with the word under the cursor.
fn offered(line: &str) -> Vec<String> {
    let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
    candidates(&words).iter().map(|candidate| candidate.get_value().to_string_lossy().into_owned()).collect()
}

/// A kubeconfig that leads nowhere, so that no cluster is asked.
const NOWHERE: &str = "--kubeconfig /dev/null";

#[test]
fn a_command_follows_its_target() {
    assert_eq!(offered("pod/x du"), ["dumpheap"]);
    assert_eq!(offered("-n shop pod/x in"), ["inspectheap"]);
    assert_eq!(offered("-l app=x thread"), ["threaddump"]);
    let all = offered("pod/x ");
    assert!(all.contains(&"jcmd".to_owned()) && !all.contains(&"verify".to_owned()), "{all:?}");
    assert!(!all.iter().any(|word| word.starts_with('-')), "flags stand in the way: {all:?}");
}

#[test]
fn what_needs_no_target_stands_first() {
    assert_eq!(offered(&format!("{NOWHERE} ver")), ["verify", "version"]);
    assert_eq!(offered(&format!("{NOWHERE} dep")), ["deploy/"]);
    assert_eq!(offered("image "), ["save"]);
    assert!(offered("help dump").contains(&"dumpheap".to_owned()));
}

#[test]
fn flags_are_those_of_the_command_and_their_values_are_known() {
    assert_eq!(offered("pod/x dumpheap --redact=a"), ["--redact=arrays", "--redact=all"]);
    assert_eq!(offered("pod/x dumpheap --gz"), ["--gzip"]);
    assert!(offered("pod/x threaddump --gz").is_empty());
    assert_eq!(offered("--image-pull-policy A"), ["Always"]);
    assert_eq!(offered("pod/x ps -o "), ["json", "yaml"]);
    assert_eq!(offered("pod/x ps --profile gen"), ["general"]);
}

#[test]
fn after_jcmd_the_words_are_the_jvms() {
    assert_eq!(offered("pod/x jcmd GC.heap_"), ["GC.heap_dump", "GC.heap_info"]);
    assert!(offered("pod/x jcmd GC.heap_info -").is_empty());
    assert!(offered("pod/x jcmd Thread.print --n").is_empty());
}

#[test]
fn a_name_that_a_shell_would_act_on_is_not_offered() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    let names = ["$(reboot)", "`reboot`", "a;reboot", "a b", "a\\n:0", "a\\e[2J", "a*", "arn:aws:eks/x@y_1.z"];
    let contexts: Vec<String> =
        names.iter().map(|name| format!("{{name: \"{name}\", context: {{cluster: c, user: u}}}}")).collect();
    write!(file, "contexts: [{}]", contexts.join(", ")).expect("a file");
    assert_eq!(offered(&format!("--kubeconfig {} --context ", file.path().display())), ["arn:aws:eks/x@y_1.z"]);
}

#[test]
fn names_of_contexts_come_from_the_kubeconfig_that_is_named() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    let text = "contexts: [{name: prod, context: {cluster: c, user: u}}, {name: test, context: {cluster: c, user: u}}]\n\
                clusters: [{name: c}]\nusers: [{name: u}]\n";
    file.write_all(text.as_bytes()).expect("a file");
    let line = |rest: &str| format!("--kubeconfig {} {rest}", file.path().display());
    assert_eq!(offered(&line("--context ")), ["prod", "test"]);
    assert_eq!(offered(&line("pod/x ps --context=p")), ["--context=prod"]);
    assert_eq!((offered(&line("--cluster ")), offered(&line("--user "))), (vec!["c".into()], vec!["u".into()]));
}

#[test]
fn kubectl_is_told_in_cobras_words() {
    let told = |candidates: &[CompletionCandidate]| {
        let mut to = Vec::new();
        to_kubectl(candidates, &mut to).expect("in memory");
        String::from_utf8(to).expect("text")
    };
    let one = CompletionCandidate::new("ps").help(Some("List the JVMs".into()));
    assert_eq!(told(&[one, CompletionCandidate::new("x/")]), "ps\tList the JVMs\nx/\n:4\n");
    assert_eq!(told(&[CompletionCandidate::new("pod/")]), "pod/\n:6\n");
    assert_eq!(told(&[]), ":4\n");
}

#[test]
fn only_the_completers_own_name_makes_it_one() {
    for (name, expected) in [
        ("kubectl_complete-jattach", true),
        ("/usr/bin/kubectl_complete-jattach", true),
        ("kubectl_complete-jattach.exe", true),
        ("kubectl-jattach", false),
    ] {
        assert_eq!(is_completer(OsStr::new(name)), expected, "{name}");
    }
}

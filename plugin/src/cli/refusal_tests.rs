//! What a person sees of a line that makes no sense. The first four are kept in tests/errors, for docs/errors.md.

use crate::catalogue::seen::assert_seen;
use crate::cli::NAME;
use crate::error::{Exit, Failure};
use crate::options::{Parsed, parse};

fn refused(line: &str) -> Failure {
    match parse(std::iter::once("kubectl-jattach").chain(line.split_whitespace()).map(Into::into)) {
        Err(failure) => failure,
        Ok(Parsed::Say(said)) => panic!("{line}: {said}"),
        Ok(Parsed::Run(options)) => panic!("{line} is accepted: {options:?}"),
    }
}

#[test]
fn a_command_that_there_is_not_is_refused_with_the_line_that_is_meant() {
    assert_seen("a-slip", &refused("-n shop pod/api-0 heapdump --gzip"));
}

#[test]
fn a_flag_that_there_is_not_is_refused_with_the_similar_one() {
    assert_seen("no-such-flag", &refused("-n shop pod/api-0 dumpheap --gzpi"));
}

#[test]
fn a_flag_without_its_value_is_named() {
    assert_seen("no-value", &refused("pod/api-0 ps -n"));
}

#[test]
fn two_flags_that_contradict_each_other_are_named() {
    assert_seen("one-of-two", &refused("pod/api-0 dumpheap --gzip --zstd"));
}

/// Cause, evidence and remedy, in a line each.
fn seen(line: &str) -> [String; 3] {
    let failure = refused(line);
    assert_eq!(failure.exit(), Exit::Usage, "{line}");
    assert!(!failure.remedy.is_empty() && !failure.to_string().contains('\u{1b}'), "{line}: {failure}");
    [failure.cause, failure.evidence, failure.remedy]
}

#[test]
fn everything_that_clap_refuses_reads_as_every_other_refusal() {
    for (line, cause, evidence, remedy) in [
        ("x ps --nope", "ps has no flag --nope", "", "kubectl jattach help ps shows what it takes"),
        ("x ps -z", "ps has no flag -z", "", "kubectl jattach help ps shows what it takes"),
        (
            "x ps --gzip",
            "ps has no flag --gzip",
            "it is a flag of dumpheap",
            "kubectl jattach help ps shows what it takes",
        ),
        ("x ps --contxt=y", "ps has no flag --contxt", "", "--context? kubectl jattach help ps shows what it takes"),
        ("--nope 5 x ps", "there is no flag --nope", "", "kubectl jattach help shows what it takes"),
        ("x ps y", "\"y\" is one word too many for ps", "", "kubectl jattach [FLAGS] TARGET ps"),
        ("x printflag", "printflag needs NAME", "", "kubectl jattach [FLAGS] TARGET printflag NAME"),
        ("x setflag", "setflag needs NAME and VALUE", "", "kubectl jattach [FLAGS] TARGET setflag NAME VALUE"),
        ("verify", "verify needs FILE", "", "kubectl jattach verify [-o json|yaml] FILE"),
        ("image save", "image save needs FILE", "", "kubectl jattach image save [--force] FILE"),
        (
            "image copy",
            "image has no command \"copy\"",
            "",
            "kubectl jattach image [-o json|yaml]\nkubectl jattach image save [--force] FILE",
        ),
        ("x ps --run-as-user", "--run-as-user needs a UID", "", "--run-as-user=UID"),
        ("x ps -o", "--output needs a FORMAT", "", "--output=json or --output=yaml"),
        (
            "x ps --run-as-user=me",
            "\"me\" is no UID for --run-as-user",
            "invalid digit found in string",
            "kubectl jattach help ps shows what it takes",
        ),
        (
            "x inspectheap --top 0",
            "\"0\" is no N for --top",
            "not a number from 1 up",
            "kubectl jattach help inspectheap shows what it takes",
        ),
        ("x ps -o xml", "\"xml\" is no FORMAT for --output", "", "one of json, yaml"),
        ("completion tcsh", "\"tcsh\" is no SHELL for completion", "", "one of bash, zsh, fish, powershell"),
        (
            "x ps --dry-run client",
            "--dry-run needs its WHERE behind an equals sign",
            "",
            "--dry-run=client or --dry-run=server",
        ),
        ("x threaddump --locks --via-log", "--locks and --via-log exclude each other", "", "give one of the two"),
    ] {
        assert_eq!(seen(line), [cause, evidence, remedy], "{line}");
    }
}

#[test]
fn the_habits_of_kubectl_and_of_the_jdks_tools_lead_to_the_line_that_is_meant() {
    for (line, meant) in [
        ("pod x ps", "pod/x ps"),
        ("pods x jstack", "pods/x threaddump"),
        ("deployment api dumpheap --live -n shop", "--live --namespace=shop deployment/api dumpheap"),
        ("pod x", "pod/x COMMAND"),
        ("ps pod/x", "pod/x ps"),
        ("-n shop dumpheap pod/x heap.hprof --gzip", "--namespace=shop --gzip pod/x dumpheap heap.hprof"),
        ("jcmd pod/x VM.flags -all", "pod/x jcmd VM.flags -all"),
        ("heapdump pod/x", "pod/x dumpheap"),
        ("jstack x", "x threaddump"),
        ("pod/x heap-dump out.hprof", "pod/x dumpheap out.hprof"),
        ("pod/x thread-dump", "pod/x threaddump"),
        ("pod/x ThreadDump", "pod/x threaddump"),
        ("pod/x agentproperties", "pod/x agentProperties"),
        ("-l app=x,tier!=y jstack -l", "-l 'app=x,tier!=y' threaddump --locks"),
        ("pod/x jmap -histo", "pod/x inspectheap --all"),
        ("pod/x jmap -histo:live", "pod/x inspectheap"),
        ("pod/x jmap -dump:live,format=b,file=/tmp/x.hprof 1", "pod/x dumpheap"),
        ("pod/x jmap", "pod/x dumpheap"),
        ("-n shop pod/x jps", "--namespace=shop pod/x ps"),
        ("pod/x jinfo 1", "pod/x jcmd VM.flags"),
        ("pod/x Thread.print -l", "pod/x threaddump --locks"),
        ("pod/x GC.heap_dump /tmp/x.hprof", "pod/x dumpheap"),
        ("pod/x VM.native_memory summary", "pod/x jcmd VM.native_memory summary"),
        ("pod/x GC.class_histogram -all", "pod/x jcmd GC.class_histogram -all"),
        ("pod/x threadump", "pod/x threaddump"),
    ] {
        let [_, _, remedy] = seen(line);
        assert_eq!(remedy.lines().next(), Some(format!("{NAME} {meant}").as_str()), "{line}");
        if !meant.contains("COMMAND") {
            let words = shlex::split(meant).expect("words of a shell");
            let words = std::iter::once(NAME.to_owned()).chain(words);
            assert!(matches!(parse(words.map(Into::into)), Ok(Parsed::Run(_))), "{line}: {meant} is no line");
        }
    }
}

#[test]
fn a_command_that_is_like_no_other_leads_to_the_list_and_to_the_jvms() {
    let [cause, _, remedy] = seen("-n shop pod/x frobnicate");
    assert_eq!(cause, "there is no command \"frobnicate\"");
    assert_eq!(
        remedy,
        "kubectl jattach help lists them; what the JVM knows: kubectl jattach --namespace=shop pod/x jcmd help"
    );
    assert!(seen("pod/x help")[2].ends_with("kubectl jattach pod/x jcmd help"));
}

//! From a command line to what it amounts to.

use super::*;
use crate::receive::dump::Format;
use crate::target::Name;
use jattach_protocol::message::Redact;

fn options(line: &str) -> Options {
    match parsed(line).expect("a line that makes sense") {
        Parsed::Run(options) => *options,
        Parsed::Say(error) => panic!("{error}"),
    }
}

fn parsed(line: &str) -> Result<Parsed> {
    parse(std::iter::once("kubectl-jattach").chain(line.split_whitespace()).map(OsString::from))
}

fn action(line: &str) -> Action {
    match options(line).command {
        Command::On(_, action) => action,
        other => panic!("{line} has an action: {other:?}"),
    }
}

fn cause(line: &str) -> String {
    match parsed(line) {
        Err(failure) => failure.to_string(),
        Ok(Parsed::Say(help)) => help.to_string(),
        Ok(Parsed::Run(options)) => panic!("{line} is accepted: {options:?}"),
    }
}

#[test]
fn a_heap_dump_is_of_live_objects_and_to_a_new_file_by_default() {
    let usual = DumpHeap {
        file: Destination::Default,
        live: true,
        redact: Redact::Nothing,
        format: Format::Raw,
        force: false,
        resume: true,
        yes: false,
        spool: None,
        max_stall: Some(Duration::from_secs(10)),
        max_pause: None,
    };
    assert_eq!(action("x dumpheap"), Action::DumpHeap(usual.clone()));
    let all = DumpHeap { file: Destination::Stdout, live: false, force: true, ..usual.clone() };
    assert_eq!(action("x dumpheap --all --force -"), Action::DumpHeap(all));
    let named = DumpHeap { file: Destination::File("a.hprof".into()), ..usual };
    assert_eq!(action("x dumpheap --live a.hprof"), Action::DumpHeap(named));
}

#[test]
fn a_heap_dump_may_be_limited_redacted_and_compressed() {
    let dump = |flags: &str| match action(&format!("x dumpheap {flags}")) {
        Action::DumpHeap(dump) => dump,
        other => panic!("{flags} makes a dump: {other:?}"),
    };
    let limited = dump("--spool-limit 512Mi --max-stall 2.5s --max-pause=1m30s -y --no-resume");
    assert_eq!((limited.spool, limited.yes, limited.resume), (Some(512 << 20), true, false));
    assert_eq!(
        (limited.max_stall, limited.max_pause),
        (Some(Duration::from_millis(2500)), Some(Duration::from_secs(90)))
    );
    assert_eq!((dump("--spool-limit=0").spool, dump("--max-stall 0").max_stall), (Some(0), None));
    assert_eq!(
        (dump("--redact").redact, dump("--redact x.hprof").file),
        (Redact::Arrays, Destination::File("x.hprof".into()))
    );
    assert_eq!((dump("--redact=text").redact, dump("--redact=all").redact), (Redact::Text, Redact::All));
    assert_eq!((dump("--gzip").format, dump("--zstd").format), (Format::Gzip, Format::Zstd));
    assert!(cause("x dumpheap --gzip --zstd").contains("exclude each other"));
    assert!(cause("x dumpheap --spool-limit much").contains("is no size"));
    assert!(cause("x dumpheap --redact=some").contains("\"some\" is no WHAT"));
}

#[test]
fn the_flags_can_be_given_again_in_any_order_without_the_target() {
    let flags =
        |line: &str| options(line).flags.into_iter().map(|flag| flag.into_string().expect("text")).collect::<Vec<_>>();
    assert_eq!(flags("-n shop pod/x dumpheap --gzip -- -x"), ["--namespace=shop", "--gzip"]);
    assert_eq!(flags("-l app=x -v dumpheap -y"), ["--v", "--yes"]);
    assert_eq!(flags("x ps"), [""; 0]);
}

#[test]
fn live_and_all_exclude_each_other() {
    assert!(cause("x dumpheap --live --all").contains("exclude each other"));
    assert!(cause("x inspectheap --live --all").contains("exclude each other"));
}

#[test]
fn the_jvms_words_arrive_as_they_were_given() {
    assert_eq!(
        action("x jcmd Thread.print -l --help -n y"),
        Action::Jcmd { words: ["Thread.print", "-l", "--help", "-n", "y"].map(String::from).to_vec() }
    );
    assert!(cause("x jcmd").contains("jcmd needs COMMAND"));
}

#[test]
fn locks_may_be_long_or_short() {
    assert_eq!(action("x threaddump -l"), Action::ThreadDump { locks: true });
    assert_eq!(action("x threaddump --locks"), Action::ThreadDump { locks: true });
    assert_eq!(action("x threaddump --via-log"), Action::PrintThreads);
    assert_eq!(action("--locks x threaddump"), Action::ThreadDump { locks: true });
    assert_eq!(action("-l a=b threaddump"), Action::ThreadDump { locks: false });
}

#[test]
fn an_agent_is_a_path_a_library_or_a_file_of_this_machine() {
    let agent = |line: &str| match action(line) {
        Action::Load { agent, .. } => agent,
        other => panic!("{other:?}"),
    };
    assert_eq!(agent("x load /opt/agent.so"), Agent::Path("/opt/agent.so".into()));
    assert_eq!(agent("x load instrument a.jar=o"), Agent::Library("instrument".into()));
    assert_eq!(agent("x load --upload ./agent.so"), Agent::Upload("./agent.so".into()));
    assert!(cause("x load ./agent.so").contains("neither an absolute path nor"));
}

#[test]
fn durations_are_kubectls() {
    let of = |text| duration(text).map(|duration| duration.as_millis());
    assert_eq!(of("30"), Some(30_000));
    assert_eq!(of("30s"), Some(30_000));
    assert_eq!(of("1h30m"), Some(5_400_000));
    assert_eq!(of("1m0.5s"), Some(60_500));
    assert_eq!(of("250ms"), Some(250));
    for nonsense in ["", "x", "-5s", "5 parsecs", "1e9", "99999999999999999999"] {
        assert_eq!(of(nonsense), None, "{nonsense}");
    }
}

#[test]
fn a_limit_of_zero_is_none_but_the_injector_has_to_end() {
    assert_eq!(options("x ps --timeout 0").timeout, None);
    assert_eq!(options("x ps --timeout 5m").timeout, Some(Duration::from_secs(300)));
    assert_eq!(options("x ps --request-timeout 0").connection.request_timeout, None);
    assert_eq!(options("x ps").connection.request_timeout, Some(Duration::from_secs(60)));
    assert_eq!(options("x ps").injector.ttl, Duration::from_secs(600));
    assert!(cause("x ps --ttl 0").contains("for good"));
    assert!(cause("x ps --timeout soon").contains("\"soon\" is no duration"));
}

#[test]
fn verbosity_is_kubectls_level_or_stands_alone() {
    assert_eq!(options("x ps").output.verbosity, 0);
    assert_eq!(options("-v x ps").output.verbosity, 4);
    assert_eq!(options("-v 6 x ps").output.verbosity, 6);
    assert_eq!(options("x ps --v=8").output.verbosity, 8);
    assert_eq!(options("-vv x ps").output.verbosity, 4);
    assert!(cause("-v=x y ps").contains("\"x\" is no LEVEL"));
}

#[test]
fn the_last_of_two_equal_flags_counts_except_for_groups() {
    assert_eq!(options("-n a x ps -n b").connection.namespace.as_deref(), Some("b"));
    assert_eq!(options("x ps --as u --as-group a --as-group b").connection.impersonate_groups, ["a", "b"]);
}

#[test]
fn the_image_is_the_plugins_own_unless_said_otherwise() {
    assert_eq!(options("x ps").injector.image, env!("JATTACH_IMAGE"));
    assert_eq!(options("x ps --image r.example/i:1").injector.image, "r.example/i:1");
    assert!(cause("x ps --image=").contains("is no image reference"));
}

#[test]
fn an_empty_variable_names_no_image_and_an_empty_flag_is_a_mistake() {
    for (source, given, named) in [
        (Some(ValueSource::EnvVariable), "", None),
        (Some(ValueSource::EnvVariable), "r.example/i:1", Some(Source::Environment)),
        (Some(ValueSource::CommandLine), "", Some(Source::Flag)),
    ] {
        let mut image = Some(given.to_owned());
        assert_eq!(named_by(source, &mut image), named);
        assert_eq!(image.is_some(), named.is_some());
    }
    assert_eq!(named_by(None, &mut None), None);
}

#[test]
fn kubectls_own_spellings_are_taken() {
    let options = options("x ps --image-pull-policy Always --dry-run=server -o yaml");
    assert_eq!(options.injector.pull_policy, Some(PullPolicy::Always));
    assert_eq!(options.injector.dry_run, Some(DryRun::Server));
    assert_eq!(options.output.format, Some(OutputFormat::Yaml));
    assert!(cause("x ps -o wide").contains("json"));
    assert!(cause("x ps --dry-run client").contains("equals sign"));
}

#[test]
fn a_selector_or_a_target_is_the_wish() {
    let wish = |line: &str| match options(line).command {
        Command::On(wish, _) => wish,
        other => panic!("{line} has a target: {other:?}"),
    };
    let by_name = wish("deploy/api -c app --pid 7 ps");
    assert_eq!((by_name.container.as_deref(), by_name.pid), (Some("app"), Some(7)));
    assert!(matches!(by_name.name, Name::Workload { .. }));
    assert!(matches!(wish("-l app=x ps").name, Name::Selector(selector) if selector == "app=x"));
    assert!(matches!(options("version").command, Command::Version));
}

#[test]
fn a_dump_of_this_machine_takes_no_target() {
    let dump = |file: &str| Input::File(file.into());
    assert!(matches!(options("verify x.hprof").command, Command::Verify { dump: read } if read == dump("x.hprof")));
    assert!(matches!(options("verify -").command, Command::Verify { dump: Input::Stdin }));
    assert!(matches!(options("inspect ./-").command, Command::Inspect { dump: read, top: 20 } if read == dump("./-")));
    for line in ["pod/x verify x.hprof", "x inspect x.hprof", "-l app=x verify x.hprof"] {
        assert!(cause(line).contains("takes no TARGET"), "{line}: {}", cause(line));
    }
    assert!(cause("verify").contains("FILE"), "{}", cause("verify"));
}

#[test]
fn an_unknown_command_names_the_similar_one() {
    assert!(cause("x threadump").contains("threaddump"));
    assert!(cause("x ps --contxt=y").contains("--context"));
}

#[test]
fn help_shows_the_order_of_the_words() {
    let root = cause("help");
    assert!(root.contains("kubectl jattach [FLAGS] TARGET COMMAND [ARGS]"), "{root}");
    assert!(root.contains("agentProperties") && root.contains("TARGET is a pod"), "{root}");
    assert!(!root.contains("see more with"), "there is one help: {root}");
    let dumpheap = cause("x dumpheap --help");
    assert!(dumpheap.contains("kubectl jattach [FLAGS] TARGET dumpheap [--live|--all] [FILE]"), "{dumpheap}");
}

#[test]
fn an_empty_value_counts_as_unset_as_for_kubectl() {
    let flags = ["-n", "-c", "--kubeconfig", "--context", "--cluster", "--user", "--as", "--timeout"];
    let line = ["kubectl-jattach", "x", "ps"].into_iter().chain(flags.into_iter().flat_map(|flag| [flag, ""]));
    let Ok(Parsed::Run(options)) = parse(line.map(OsString::from)) else { panic!("empty values are taken") };
    let Connection { kubeconfig, context, cluster, user, impersonate, namespace, .. } = options.connection;
    assert_eq!((kubeconfig, options.timeout), (None, None));
    assert_eq!([context, cluster, user, impersonate, namespace], [const { None }; 5]);
    let Command::On(wish, _) = options.command else { panic!("ps has a target") };
    assert_eq!(wish.container, None);
}

#[test]
fn a_namespace_or_container_that_would_lead_to_another_path_is_refused() {
    assert!(cause("x ps -n ../kube-system").contains("cannot be the name of a namespace"));
    assert!(cause("x ps -c a&stdin=0").contains("cannot be the name of a container"));
}

#[test]
fn a_format_is_refused_where_there_is_nothing_to_format() {
    for line in
        ["x threaddump -o json", "-o yaml x dumpheap", "x clean -o json --dry-run=client", "-o json x jcmd VM.flags"]
    {
        assert!(cause(line).contains("nothing to format"), "{line}");
    }
    for line in [
        "x ps -o json",
        "x doctor -o json",
        "version -o yaml",
        "verify x -o json",
        "-o yaml inspect x",
        "x dumpheap --dry-run=client -o json",
    ] {
        assert!(options(line).output.format.is_some(), "{line}");
    }
}

#[test]
fn doctor_checks_everything_or_prints_what_is_missing() {
    assert_eq!(action("x doctor"), Action::Doctor { fix_rbac: false });
    assert_eq!(action("-l app=x --fix-rbac doctor"), Action::Doctor { fix_rbac: true });
}

#[test]
fn what_counts_is_counted_from_one() {
    for line in [
        "x ps --pid 0",
        "x ps --pid=-1",
        "x ps --pid abc",
        "x inspectheap --top 0",
        "inspect x --top 0",
        "x ps --pid 99999999999",
    ] {
        assert!(cause(line).contains("not a number from 1 up"), "{line}: {}", cause(line));
    }
}

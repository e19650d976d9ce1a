//! Every order of words that a user may type.

use super::*;
use crate::cli::definitions;

fn ordered(line: &str) -> Result<Words> {
    let args = std::iter::once("kubectl-jattach").chain(line.split(' ').filter(|word| !word.is_empty()));
    order(args.map(OsString::from), &definitions())
}

/// `TARGET | the words that clap gets`, or the failure's first line.
fn seen(line: &str) -> String {
    match ordered(line) {
        Ok(words) => {
            let argv: Vec<_> = words.argv[1..].iter().map(|word| word.to_string_lossy()).collect();
            format!("{} | {}", words.target.as_deref().unwrap_or(""), argv.join(" "))
        }
        Err(failure) => failure.cause,
    }
}

macro_rules! orders {
    ($($name:ident: $line:literal => $seen:literal;)*) => {$(
        #[test]
        fn $name() {
            assert_eq!(seen($line), $seen);
        }
    )*};
}

orders! {
    target_then_command: "pod/x threaddump" => "pod/x | threaddump";
    a_bare_name_is_a_pod: "x dumpheap out.hprof" => "x | dumpheap -- out.hprof";
    flags_before_the_target: "-n shop -c app x ps" => "x | ps --namespace=shop --container=app";
    flags_between_target_and_command: "x -n shop --context=prod ps" => "x | ps --namespace=shop --context=prod";
    flags_after_the_command: "x ps -n shop -o json -q" => "x | ps --namespace=shop --output=json --quiet";
    a_commands_own_flag_before_it: "--top 5 x inspectheap --all" => "x | inspectheap --top=5 --all";
    a_flags_value_may_look_like_a_command: "-n ps x threaddump" => "x | threaddump --namespace=ps";
    a_flags_value_may_begin_with_a_dash: "--as -x y ps" => "y | ps --as=-x";
    a_short_flag_with_its_value_attached: "-nshop x ps" => "x | ps --namespace=shop";
    a_short_flag_with_an_equals_sign: "-n=shop x ps" => "x | ps --namespace=shop";
    a_cluster_of_short_flags: "-qn shop x ps" => "x | ps --quiet --namespace=shop";
    a_selector_before_doctor: "-l app=x doctor" => " | --selector=app=x doctor";
    a_pod_that_is_called_like_a_command: "ps ps" => "ps | ps";
    a_pod_that_is_called_like_a_reserved_word: "pod/verify ps" => "pod/verify | ps";

    a_selector_takes_the_targets_place: "-l app=x threaddump" => " | --selector=app=x threaddump";
    a_long_selector: "--selector app=x ps" => " | --selector=app=x ps";
    a_long_selector_with_an_equals_sign: "--selector=app=x ps" => " | --selector=app=x ps";
    an_attached_selector: "-lapp=x ps" => " | --selector=app=x ps";
    a_selector_at_the_end_of_a_cluster: "-ql app=x ps" => " | --selector=app=x ps --quiet";
    a_selector_after_another_command_than_threaddump: "ps -l app=x" => " | --selector=app=x ps";
    a_selector_with_an_argument_of_the_command: "-l app=x dumpheap f" => " | --selector=app=x dumpheap -- f";
    l_after_threaddump_is_the_jvms_locks: "x threaddump -l" => "x | threaddump --locks";
    l_before_and_l_after_threaddump: "-l app=x threaddump -l" => " | --selector=app=x threaddump --locks";
    l_in_a_cluster_after_threaddump: "x threaddump -ql" => "x | threaddump --quiet --locks";
    a_long_selector_after_threaddump_with_a_target: "x threaddump --selector app=y"
        => "TARGET \"x\" and a selector exclude each other";
    a_target_and_a_selector: "-l app=x pod/y ps" => "TARGET \"pod/y\" and a selector exclude each other";
    l_after_threaddump_without_a_target: "threaddump -l" => "no TARGET before \"threaddump\"";
    a_selector_without_a_value: "-l" => "-l needs a SELECTOR";

    everything_after_jcmd_is_the_jvms: "x jcmd VM.flags -all -n y --help -l"
        => "x | jcmd -- VM.flags -all -n y --help -l";
    our_flags_before_jcmd_are_ours: "x -n shop jcmd Thread.print -l"
        => "x | jcmd --namespace=shop -- Thread.print -l";
    everything_after_jcmd_behind_a_selector: "-l app=x jcmd GC.heap_info -q"
        => " | --selector=app=x jcmd -- GC.heap_info -q";
    a_double_dash_after_jcmd_is_the_jvms_too: "x jcmd -- -h" => "x | jcmd -- -- -h";
    a_pod_called_jcmd: "jcmd jcmd help" => "jcmd | jcmd -- help";
    jcmd_as_an_argument_is_none: "x dumpheap jcmd -q" => "x | dumpheap --quiet -- jcmd";
    a_name_of_the_jvms_takes_the_rest_of_the_line: "x Thread.print -l -n y" => "x | Thread.print -- -l -n y";
    a_program_of_the_jdk_takes_the_rest_of_the_line: "-n y x jmap -histo:live" => "x | jmap --namespace=y -- -histo:live";
    a_target_behind_jcmd: "jcmd pod/x VM.flags -all" => "TARGET stands before the command \"jcmd\"";
    jcmd_without_a_target_before_a_selector: "jcmd -l app=x VM.flags" => "no TARGET before \"jcmd\"";

    after_a_double_dash_nothing_is_a_flag: "x dumpheap -- -n" => "x | dumpheap -- -n";
    a_double_dash_before_the_target: "-- x printflag -v" => "x | printflag -- -v";
    a_single_dash_is_an_argument: "x dumpheap -" => "x | dumpheap -- -";

    v_alone: "-v x ps" => "x | ps --v";
    v_with_a_level: "-v 6 x ps" => "x | ps --v=6";
    v_with_an_attached_level: "-v6 x ps" => "x | ps --v=6";
    v_with_an_equals_sign: "-v=6 x ps" => "x | ps --v=6";
    v_with_a_senseless_level_is_left_to_clap: "-v=x y ps" => "y | ps --v=x";
    v_in_a_cluster: "-vq x ps" => "x | ps --v --quiet";
    v_at_the_end: "x ps -v" => "x | ps --v";
    v_long_with_a_level: "--v 6 x ps" => "x | ps --v=6";
    v_long_with_a_level_after_the_command: "x ps --v 6 -q" => "x | ps --v=6 --quiet";
    v_long_alone: "--v x ps" => "x | ps --v";
    v_long_with_an_equals_sign: "--v=6 x ps" => "x | ps --v=6";

    dry_run_takes_no_next_word: "x --dry-run=client ps" => "x | ps --dry-run=client";
    dry_run_without_its_value_is_left_to_clap: "--dry-run x ps" => "x | ps --dry-run";

    no_words_at_all: "" => " | -h";
    help_alone: "help" => " | -h";
    help_for_a_command: "help dumpheap" => " | dumpheap -h";
    help_flag_after_a_command: "x dumpheap --help" => " | dumpheap -h";
    help_flag_without_a_target: "dumpheap -h" => " | dumpheap -h";
    help_flag_alone: "--help" => " | -h";
    help_for_nonsense: "help nonsense" => "no help on \"nonsense\"";
    version_command: "version -o json" => " | version --output=json";
    version_flag: "--version" => " | --version";
    version_flag_with_others: "-n shop x ps --version" => " | --version";
    a_dump_of_this_machine: "verify x.hprof -o json" => " | verify --output=json -- x.hprof";
    a_dump_from_a_pipe: "inspect --top 3 -" => " | inspect --top=3 -- -";
    a_shells_script: "completion bash" => " | completion -- bash";
    a_shells_script_installed: "completion install fish -q" => " | completion install --quiet -- fish";
    the_image: "image -o json" => " | image --output=json";
    a_commands_own_command: "image save --force x.tar" => " | image save --force -- x.tar";
    a_file_that_is_called_like_a_commands_own_command: "image save save" => " | image save -- save";
    help_for_a_commands_own_command: "help image save" => " | image save -h";
    help_flag_after_a_commands_own_command: "image save -h" => " | image save -h";
    a_pod_that_is_called_like_a_commands_own_command: "x dumpheap save" => "x | dumpheap -- save";
    a_reserved_word_with_a_selector_is_left_to_clap: "-l a=b verify" => " | --selector=a=b verify";

    flags_without_a_target: "-n shop" => "no TARGET";
    a_target_without_a_command: "pod/x" => "no COMMAND";
    a_selector_without_a_command: "-l a=b" => "no COMMAND";
    a_command_without_a_target: "threaddump" => "no TARGET before \"threaddump\"";
    a_command_before_the_target: "threaddump pod/x" => "TARGET stands before the command \"threaddump\"";
    a_commands_argument_is_not_taken_for_its_target: "jcmd VM.flags -all" => "no TARGET before \"jcmd\"";
    an_unknown_command_is_left_to_clap: "x threadump" => "x | threadump";
    an_unknown_long_flag_is_left_to_clap: "x ps --nope" => "x | ps --nope";
    an_unknown_short_flag_is_left_to_clap: "x ps -z" => "x | ps -z";
    a_flag_without_its_value_is_left_to_clap: "x ps -n" => "x | ps --namespace";
}

#[test]
fn words_that_are_no_text_reach_the_command_unchanged() {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStringExt;
        let odd = OsString::from_vec(b"\xff.hprof".to_vec());
        let args = ["kubectl-jattach".into(), "x".into(), "dumpheap".into(), odd.clone()];
        assert_eq!(order(args, &definitions()).unwrap().argv.last(), Some(&odd));
        let target = order(["kubectl-jattach".into(), odd, "ps".into()], &definitions()).unwrap_err();
        assert!(target.cause.contains("is no name"), "{}", target.cause);
    }
}

/// `TARGET | COMMAND | flags | what the word under the cursor is`.
fn typed(line: &str) -> String {
    let words: Vec<OsString> = line.split(' ').filter(|word| !word.is_empty()).map(OsString::from).collect();
    let typed = Typed::of(&words, &definitions());
    let join = |words: &[OsString]| words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let target = if typed.has_selector { "-l".into() } else { typed.target.unwrap_or_default() };
    let word = match (typed.pending, typed.is_escaped) {
        (Some(flag), _) => flag,
        (None, escaped) => if escaped { "escaped" } else { "" }.to_owned(),
    };
    format!("{} | {} | {} | {word}", target.display(), join(&typed.command), join(&typed.flags))
}

#[test]
fn a_line_that_is_being_typed_tells_what_its_next_word_is() {
    for (line, expected) in [
        ("", " |  |  | "),
        ("pod/x", "pod/x |  |  | "),
        ("-n shop pod/x dumpheap", "pod/x | dumpheap | --namespace=shop | "),
        ("-n shop pod/x dumpheap --spool-limit", "pod/x | dumpheap | --namespace=shop --spool-limit | spool-limit"),
        ("pod/x -n", "pod/x |  | --namespace | namespace"),
        ("-qc", " |  | --quiet --container | container"),
        ("-l", " |  |  | selector"),
        ("-l app=x", "-l |  |  | "),
        ("-l app=x threaddump", "-l | threaddump |  | "),
        ("x jcmd", "x | jcmd |  | escaped"),
        ("x jcmd GC.class_histogram -all", "x | jcmd GC.class_histogram -all |  | escaped"),
        ("x dumpheap --", "x | dumpheap |  | escaped"),
        ("image save", " | image save |  | "),
        ("x ps --dry-run", "x | ps | --dry-run | "),
    ] {
        assert_eq!(typed(line), expected, "{line}");
    }
}

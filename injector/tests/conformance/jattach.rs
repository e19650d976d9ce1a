//! Command by command: the injector prints what jattach 2.1 prints, and returns what it returns.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::jvm::{Jvm, fixture, homes};
use crate::run::{Outcome, inject, injector, jattach};

/// What differs between two runs of the same program, and is not compared.
#[derive(Clone, Copy, PartialEq)]
enum Mask {
    /// Nothing.
    Exact,
    /// The date in the first comment of a list of properties.
    Date,
    /// Every number, addresses and times among them, and the blanks that line them up; and what the listener that answers
    /// was doing when it was looked at.
    Numbers,
    /// The same, the order of lines, which is by size, and the gaps that a collector fills with arrays.
    Histogram,
}

/// Both programs on one JVM for each command; a round before warms up what the JVM loads for its own answer.
fn assert_same(jvm: &Jvm, words: &[&str], mask: Mask) {
    for warm_up in [true, false] {
        let theirs = jattach(jvm.pid(), words);
        let ours = inject(jvm.pid(), words);
        if !warm_up {
            assert_eq!(ours.code, theirs.code, "{words:?}: {ours:?} {theirs:?}");
            assert_eq!(difference(&ours.stdout, &theirs.stdout, mask), [""; 0], "{words:?}");
            assert_eq!(ours.stderr, theirs.stderr, "{words:?}");
        }
    }
}

/// The lines that differ, ours and theirs, so that a failure can be read; none if the texts are the same.
fn difference(ours: &str, theirs: &str, mask: Mask) -> Vec<String> {
    let (ours, theirs) = (masked(ours, mask), masked(theirs, mask));
    if ours == theirs {
        return Vec::new();
    }
    let missing = theirs.iter().filter(|line| !ours.contains(line)).map(|line| format!("jattach: {line}"));
    let added = ours.iter().filter(|line| !theirs.contains(line)).map(|line| format!("injector: {line}"));
    let lines: Vec<String> = missing.chain(added).collect();
    if lines.is_empty() { vec!["the same lines, in another order or number".to_string()] } else { lines }
}

/// The program's own two lines are never masked.
fn masked(text: &str, mask: Mask) -> Vec<String> {
    let mut lines: Vec<String> = text.split('\n').map(String::from).collect();
    for (index, line) in lines.iter_mut().enumerate().skip(2) {
        match mask {
            Mask::Exact => {}
            Mask::Date if index == 2 && line.starts_with('#') => *line = "#".to_string(),
            Mask::Date => {}
            Mask::Numbers if line.starts_with("\"Attach Listener\"") => line.truncate("\"Attach Listener\"".len()),
            Mask::Numbers | Mask::Histogram => *line = without_numbers(line),
        }
    }
    if mask == Mask::Histogram {
        lines.retain(|line| !line.contains("FillerElement"));
        lines[2..].sort();
    }
    lines
}

/// Hexadecimal behind 0x, decimal elsewhere.
fn without_numbers(line: &str) -> String {
    let mut result = String::new();
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let digits = if let Some(hex) = rest.strip_prefix("0x") {
            2 + hex.bytes().take_while(u8::is_ascii_hexdigit).count()
        } else {
            rest.bytes().take_while(u8::is_ascii_digit).count()
        };
        let blanks = rest.bytes().take_while(|byte| *byte == b' ').count();
        let (length, replacement) = match (digits, blanks) {
            (0, 0) => (c.len_utf8(), &rest[..c.len_utf8()]),
            (0, blanks) => (blanks, " "),
            (digits, _) => (digits, "9"),
        };
        result.push_str(replacement);
        rest = &rest[length..];
    }
    result
}

fn for_each_jvm(test: impl Fn(&Jvm, &Path)) {
    for home in homes() {
        let jvm = Jvm::start(home, &[]);
        let folder = tempfile::tempdir().expect("a folder for dumps");
        test(&jvm, folder.path());
        jvm.finish();
    }
}

#[test]
fn diagnostic_commands_are_passed_as_jattach_passes_them() {
    for_each_jvm(|jvm, _| {
        for words in [
            &["jcmd", "VM.version"][..],
            &["jcmd", "help"],
            &["jcmd", "help VM.version"],
            &["jcmd", "help", "VM.version"],
            &["jcmd", "VM.command_line", "x", "y", "z"],
            &["jcmd", "No.such_command"],
            &["jcmd", "GC.class_histogram -bad"],
            &["jcmd", "Thread.print -l=maybe"],
            &["jcmd", ""],
            &["jcmd"],
        ] {
            assert_same(jvm, words, Mask::Exact);
        }
        assert_same(jvm, &["jcmd", "GC.heap_info"], Mask::Numbers);
        assert_same(jvm, &["jcmd", "Thread.print"], Mask::Numbers);
    });
}

#[test]
fn flags_are_read_and_set_and_refused_as_with_jattach() {
    for_each_jvm(|jvm, _| {
        for words in [
            &["printflag", "HeapDumpPath"][..],
            &["printflag", "MaxHeapSize"],
            &["printflag", "NoSuchFlag"],
            &["printflag"],
            &["setflag", "HeapDumpOnOutOfMemoryError", "1"],
            &["setflag", "HeapDumpPath", "/tmp/a b"],
            &["setflag", "HeapDumpOnOutOfMemoryError", "maybe"],
            &["setflag", "UseSerialGC", "0"],
            &["setflag", "NoSuchFlag", "1"],
            &["setflag"],
        ] {
            assert_same(jvm, words, Mask::Exact);
        }
    });
}

#[test]
fn thread_dumps_are_the_same_with_each_option() {
    for_each_jvm(|jvm, _| {
        for words in
            [&["threaddump"][..], &["threaddump", "-l"], &["threaddump", "-e"], &["threaddump", "-z", "a", "b", "c"]]
        {
            assert_same(jvm, words, Mask::Numbers);
        }
    });
}

#[test]
fn a_data_dump_goes_to_the_jvms_own_output() {
    for home in homes() {
        let mut jvm = Jvm::start(home, &[]);
        let ours = inject(jvm.pid(), &["datadump"]);
        jvm.wait_for("Full thread dump");
        let theirs = jattach(jvm.pid(), &["datadump"]);
        assert_eq!((ours.code, &ours.stdout, &ours.stderr), (theirs.code, &theirs.stdout, &theirs.stderr));
        jvm.wait_for("Full thread dump");
    }
}

#[test]
fn properties_are_the_same_but_for_their_date() {
    for_each_jvm(|jvm, _| {
        assert_same(jvm, &["properties"], Mask::Date);
        assert_same(jvm, &["agentProperties"], Mask::Date);
    });
}

#[test]
fn histograms_have_the_same_classes() {
    for_each_jvm(|jvm, _| {
        for words in [&["inspectheap"][..], &["inspectheap", "-live"], &["inspectheap", "-all"]] {
            assert_same(jvm, words, Mask::Histogram);
        }
        assert_same(jvm, &["inspectheap", "-bad"], Mask::Exact);
    });
}

#[test]
fn heap_dumps_succeed_and_fail_in_the_same_words() {
    for_each_jvm(|jvm, folder| {
        let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
        for options in [&[][..], &["-live"], &["-all"], &["-live", "1"], &["-bad"]] {
            let mut outcomes = Vec::new();
            for program in [jattach as fn(u32, &[&str]) -> Outcome, inject] {
                let dump = path("dump.hprof");
                outcomes.push(program(jvm.pid(), &[&["dumpheap", &dump], options].concat()));
                let _ = fs::remove_file(dump);
            }
            let [theirs, ours] = outcomes.try_into().expect("two");
            assert_eq!((ours.code, &ours.stderr), (theirs.code, &theirs.stderr), "{options:?}");
            assert_eq!(difference(&ours.stdout, &theirs.stdout, Mask::Numbers), [""; 0], "{options:?}");
        }
        fs::write(path("there"), "").expect("written");
        assert_same(jvm, &["dumpheap", &path("there")], Mask::Exact);
        assert_same(jvm, &["dumpheap", &path("no/such/folder")], Mask::Exact);
        assert_same(jvm, &["dumpheap"], Mask::Exact);
    });
}

#[test]
fn the_result_of_load_is_the_agents_own() {
    for_each_jvm(|jvm, _| {
        let agent = fixture().join("agent.jar").to_string_lossy().into_owned();
        assert_same(jvm, &["load", "instrument", "false", &agent], Mask::Exact);
        assert_same(jvm, &["load", "instrument", "false", "/no/such.jar"], Mask::Exact);
        assert_same(jvm, &["load", "/no/such/agent.so", "true", "options"], Mask::Exact);
        assert_same(jvm, &["load", "/no/such/agent.so", "true", "options", "a", "b"], Mask::Exact);
        assert_same(jvm, &["load"], Mask::Exact);
    });
}

#[test]
fn an_unknown_command_is_the_jvms_to_refuse() {
    for_each_jvm(|jvm, _| assert_same(jvm, &["foo", "bar"], Mask::Exact));
}

#[test]
fn without_a_process_both_say_so_and_return_1() {
    for pid in ["abc", "0", "-5", "4194303"] {
        let run =
            |program: &Path| Outcome::of(Command::new(program).args([pid, "threaddump"]).output().expect("started"));
        let (theirs, ours) = (run(Path::new("jattach")), run(&injector()));
        assert_eq!((ours.code, ours.stdout), (theirs.code, theirs.stdout), "{pid}");
        assert!(ours.stderr.starts_with(theirs.stderr.trim_end()), "{:?} {:?}", ours.stderr, theirs.stderr);
    }
}

#[test]
fn without_a_command_the_usage_names_the_same_commands() {
    for arguments in [&[][..], &["1"]] {
        let run = |program: &Path| Outcome::of(Command::new(program).args(arguments).output().expect("started"));
        let (theirs, ours) = (run(Path::new("jattach")), run(&injector()));
        assert_eq!(ours.code, theirs.code);
        let commands = |text: &str| text.split_once("Commands:").expect("commands").1.trim_end().to_string();
        assert_eq!(commands(&ours.stdout), commands(&theirs.stdout));
    }
}

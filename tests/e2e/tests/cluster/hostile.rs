//! A hostile injector, end to end: `bin/hostile` in the place of ours. Whatever it says, the plugin ends with a failure that
//! a person can read, in bounded memory, and has written nothing but what it was asked for.

use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use jattach_e2e::hostile::{BEGUN, ESCAPES, FORGED, MODE, Mode, PATH};
use jattach_e2e::run::Signal;
use jattach_e2e::{Namespace, Pod, Program, Ran, cluster, skip};
use serde_json::json;
use tempfile::{TempDir, tempdir};

/// The most memory that the plugin may take, in KiB: what may be under way of one answer, and as much again for itself.
const MOST: u64 = 200 << 10;

/// Whose image is the hostile one; or the reason why there is none is told, and the test ends.
macro_rules! hostile_image_or_skip {
    () => {
        match &cluster().hostile_image {
            Some(image) => image.as_str(),
            None => return skip("no hostile image was given (--hostile-image)"),
        }
    };
}

// Behind the macro, which it uses.
mod many;

/// Where the plugin runs: everything that it could write without being led elsewhere lies in here.
struct Site {
    directory: TempDir,
    image: &'static str,
}

impl Site {
    fn new(image: &'static str) -> Site {
        let site = Site { directory: tempdir().expect("a directory"), image };
        for name in ["here", "home", "tmp"] {
            fs::create_dir(site.path(name)).expect("room");
        }
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The command on the pod, whose injector is of that mode.
    fn plugin<'a>(&self, pod: &Pod<'_>, mode: Mode, words: impl IntoIterator<Item = &'a str>) -> Program {
        self.measured(self.unmeasured(pod, mode, words))
    }

    /// The same as a child of ours, which signals reach.
    fn unmeasured<'a>(&self, pod: &Pod<'_>, mode: Mode, words: impl IntoIterator<Item = &'a str>) -> Program {
        self.hostile(pod.plugin(words), &name(mode))
    }

    /// The plugin's command line with an injector of these modes.
    fn hostile(&self, program: Program, modes: &str) -> Program {
        let custom = json!({"env": [{"name": MODE, "value": modes}]});
        let file = self.path(&format!("{modes}.json"));
        fs::write(&file, custom.to_string()).expect("room");
        let program = program.args(["--image", self.image, "--custom"]).arg(file);
        let program = program.env("HOME", self.path("home")).env("TMPDIR", self.path("tmp"));
        program.directory(&self.path("here"))
    }

    /// The same, and its peak of memory is looked at.
    fn measured(&self, program: Program) -> Program {
        program.under(Program::new(Path::new(env!("CARGO_BIN_EXE_peak"))).arg(self.peak()))
    }

    fn peak(&self) -> PathBuf {
        self.path("peak")
    }

    /// Checks what holds of every command, whatever its injector has done.
    #[track_caller]
    fn is_unharmed(&self, ran: &Ran) {
        let peak: u64 = fs::read_to_string(self.peak()).expect("a peak").parse().expect("a number");
        println!("{peak} KiB");
        assert!(peak < MOST, "{peak} KiB\n{ran}");
        assert!(!acts(&ran.stderr), "a control character is on stderr\n{ran}");
        assert!(!ran.stderr.contains("panicked"), "{ran}");
        for name in ["home", "tmp"] {
            assert_eq!(names(&self.path(name)), [""; 0], "in {name}\n{ran}");
        }
    }
}

/// What the injector knows a mode by.
fn name(mode: Mode) -> String {
    mode.to_possible_value().expect("no mode is hidden").get_name().to_owned()
}

/// What lies in a directory, in order.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry"));
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Whether a terminal would do something else with the text than show it.
fn acts(text: &str) -> bool {
    text.chars().any(|c| (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}'))
}

/// A pod of any JVM, which none of these injectors ever looks at.
fn start(namespace: &Namespace) -> Pod<'_> {
    namespace.start_jvm("x")
}

#[test]
fn an_answer_that_makes_no_sense_ends_with_a_failure_of_the_transfer() {
    let (site, namespace) = (Site::new(hostile_image_or_skip!()), Namespace::new());
    let pod = start(&namespace);
    let cases = [
        (Mode::Garbage, "threaddump", "not a frame"),
        (Mode::Nothing, "threaddump", "ended the conversation"),
        (Mode::NoHello, "threaddump", "did not say hello"),
        (Mode::Silence, "threaddump", "not even a heartbeat"),
        (Mode::List, "ps", "more than 1 MiB"),
        (Mode::FrameLength, "threaddump", "not a frame"),
        (Mode::StringLength, "ps", "cut short"),
        (Mode::Leftover, "threaddump", "bytes too many"),
        (Mode::Kind, "threaddump", "the kind of message"),
        (Mode::Cut, "threaddump", "bytes short"),
        (Mode::OtherRequest, "threaddump", "ended the conversation"),
        (Mode::TextLength, "threaddump", "7 bytes came of 8"),
        (Mode::TextHash, "threaddump", "xxh3"),
        (Mode::BlockInText, "threaddump", "a piece of a heap dump"),
    ];
    for (mode, command, evidence) in cases {
        let ran = site.plugin(&pod, mode, [command]).run().ended_with(8).explains();
        site.is_unharmed(&ran);
        let ran = ran.says(evidence);
        assert!(!ran.text().contains("another's") && !ran.text().contains("early"), "{mode:?}\n{ran}");
        assert_eq!(names(&site.path("here")), [""; 0], "{mode:?}\n{ran}");
    }
}

#[test]
fn an_answer_that_comes_before_its_question_is_an_answer() {
    let (site, namespace) = (Site::new(hostile_image_or_skip!()), Namespace::new());
    let pod = start(&namespace);
    let ran = site.plugin(&pod, Mode::Early, ["threaddump"]).run().succeeded().prints("early");
    site.is_unharmed(&ran);
}

#[test]
fn a_running_injector_of_another_version_is_noticed_and_another_one_is_started() {
    let (site, namespace) = (Site::new(hostile_image_or_skip!()), Namespace::new());
    let pod = start(&namespace);
    for injectors in [1, 2] {
        let ran = site.plugin(&pod, Mode::Outdated, ["threaddump"]).run().succeeded().prints("current");
        site.is_unharmed(&ran);
        assert_eq!(pod.ephemeral_containers().len(), injectors, "{ran}");
    }
}

#[test]
fn names_that_a_jvm_claims_lead_nowhere_and_do_nothing() {
    let (site, namespace) = (Site::new(hostile_image_or_skip!()), Namespace::new());
    let pod = start(&namespace);
    for words in [&["ps"][..], &["ps", "-o", "json"], &["ps", "-o", "yaml"]] {
        let plugin = site.plugin(&pod, Mode::Names, words.iter().copied());
        let ran = plugin.clone().run().succeeded().prints(PATH);
        site.is_unharmed(&ran);
        // A pipe gets what a document holds; a table is for people.
        assert!(!ran.text().contains('\u{1b}') && (words.len() > 1 || !acts(&ran.text())), "{words:?}\n{ran}");
        assert!(!words.contains(&"json") || ran.json()[0]["main"].as_str().is_some_and(|main| main.contains(ESCAPES)));
        let Some(plugin) = plugin.on_a_terminal() else { return skip("no /usr/bin/script gives a terminal") };
        let ran = plugin.run().succeeded().prints(PATH);
        // A terminal's own lines end so.
        assert!(!acts(&ran.text().replace("\r\n", "\n")), "{words:?}\n{ran}");
    }
    assert_eq!(names(&site.path("here")), [""; 0]);
}

#[test]
fn doctor_ends_with_whatever_it_is_told_as_a_finding() {
    let (site, namespace) = (Site::new(hostile_image_or_skip!()), Namespace::new());
    let pod = start(&namespace);
    for mode in [Mode::Names, Mode::Garbage, Mode::List, Mode::LongFailure, Mode::Greedy, Mode::Kind, Mode::Nothing] {
        let ran = site.plugin(&pod, mode, ["doctor"]).run();
        site.is_unharmed(&ran);
        assert!(ran.code().is_some_and(|code| mode == Mode::Names || code != 0), "{mode:?}\n{ran}");
        assert!(!acts(&ran.text()), "{mode:?}\n{ran}");
        // A line a check, and beneath one what there is to do about it.
        assert!(ran.text().lines().count() <= 36, "{mode:?}: much more than a screen\n{ran}");
    }
}

#[test]
fn numbers_that_cannot_be_break_no_line_of_progress() {
    let (site, namespace) = (Site::new(hostile_image_or_skip!()), Namespace::new());
    let pod = start(&namespace);
    let plugin = site.plugin(&pod, Mode::DumpProgress, ["dumpheap", "x.hprof", "--timeout=8s"]);
    let Some(plugin) = plugin.on_a_terminal() else { return skip("no /usr/bin/script gives a terminal") };
    let ran = plugin.run().ended_with(1).prints("not done within 8 s");
    site.is_unharmed(&ran);
    assert!(!ran.text().contains("panicked"), "{ran}");
}

#[test]
fn a_failure_of_megabytes_is_shown_on_one_screen_and_not_executed() {
    let (site, namespace) = (Site::new(hostile_image_or_skip!()), Namespace::new());
    let pod = start(&namespace);
    let ran = site.plugin(&pod, Mode::LongFailure, ["threaddump"]).run().ended_with(6).explains();
    site.is_unharmed(&ran);
    assert!(ran.stderr.len() < 16 << 10, "{} bytes", ran.stderr.len());
}

#[test]
fn what_has_no_end_is_ended_by_ctrl_c_and_by_a_timeout() {
    let (site, namespace) = (Site::new(hostile_image_or_skip!()), Namespace::new());
    let pod = start(&namespace);
    for mode in [Mode::Heartbeats, Mode::Progress, Mode::Output, Mode::Jobs] {
        let mut running = site.unmeasured(&pod, mode, ["threaddump"]).start();
        assert!(running.line_with(BEGUN).is_some(), "{mode:?}");
        running.signal(Signal::INT);
        let _ = running.wait().ended_with(130);

        // What is printed without end nobody reads: it has to be kept from filling the memory, here and there.
        let ran = site.plugin(&pod, mode, ["threaddump", "--timeout=6s"]).start().wait_unread().ended_with(1);
        site.is_unharmed(&ran);
        let ran = ran.says("error[JAT-018]: not done within 6 s").says("remedy: ");
        assert!(ran.stderr.lines().count() < 12 && !ran.stderr.contains(FORGED), "{mode:?}\n{ran}");
    }
}

#[test]
fn an_identity_that_the_target_has_not_is_refused() {
    let (site, namespace) = (Site::new(hostile_image_or_skip!()), Namespace::new());
    let pod = start(&namespace);
    let ran = site.plugin(&pod, Mode::Greedy, ["threaddump"]).run().ended_with(6).explains();
    site.is_unharmed(&ran);
    let _ = ran.is_error("JAT-159.greedy").says("trust nothing that runs in this container");
    assert_eq!(pod.ephemeral_containers().len(), 1);
}

#[test]
fn an_injector_that_always_wants_another_identity_gets_one_more_and_no_third() {
    let (site, namespace) = (Site::new(hostile_image_or_skip!()), Namespace::new());
    let pod = start(&namespace);
    let ran = site.plugin(&pod, Mode::Restless, ["threaddump"]).run().ended_with(6).explains();
    site.is_unharmed(&ran);
    let containers = pod.ephemeral_containers();
    assert_eq!(containers.len(), 2, "{containers:#?}");
    for container in containers {
        let context = &container["securityContext"];
        assert_eq!(context["allowPrivilegeEscalation"], false, "{container:#}");
        assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}), "{container:#}");
    }
}

#[test]
fn no_dump_that_is_wrong_gets_its_name() {
    let (site, namespace) = (Site::new(hostile_image_or_skip!()), Namespace::new());
    let pod = start(&namespace);
    let cases = [
        (Mode::Bomb, 8, "do not unpack to 1048576"),
        (Mode::BlockLength, 8, "1000 bytes, not 10"),
        (Mode::Offset, 8, "came at 0"),
        (Mode::SecondStream, 8, "a second stream"),
        (Mode::DumpLength, 8, "bytes came of"),
        (Mode::DumpHash, 8, "xxh3"),
        (Mode::Unended, 8, "HEAP_DUMP_END"),
        (Mode::Patches, 8, "that nobody waits for"),
        (Mode::OtherJob, 8, "another dump than the one that was begun"),
        (Mode::Huge, 1, "too little room"),
    ];
    for (mode, code, evidence) in cases {
        let ran = site.plugin(&pod, mode, ["dumpheap", "x.hprof"]).run().ended_with(code);
        site.is_unharmed(&ran);
        let ran = ran.explains().says(evidence);
        let left = names(&site.path("here"));
        let known = ["x.hprof.part", "x.hprof.part.json"];
        assert!(left.iter().all(|name| known.contains(&name.as_str())), "{left:?}\n{ran}");
        for name in left {
            fs::remove_file(site.path("here").join(name)).expect("it is there");
        }
    }
}

#[test]
fn a_dump_without_end_is_ended_by_a_timeout_and_its_name_comes_from_here() {
    let (site, namespace) = (Site::new(hostile_image_or_skip!()), Namespace::new());
    let pod = start(&namespace);
    let ran = site.plugin(&pod, Mode::Endless, ["dumpheap", "--timeout=8s"]).run().ended_with(1);
    site.is_unharmed(&ran);
    let _ = ran.says("not done within 8 s");
    let left = names(&site.path("here"));
    assert!(!left.is_empty() && left.iter().all(|name| name.starts_with("x-app-20")), "{left:?}");
    assert!(left.iter().all(|name| name.ends_with(".part") || name.ends_with(".part.json")), "{left:?}");
}

//! The states of a JVM.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use crate::container::{Jvm, Launch, Parent, java};
use crate::harness::{Expected, Missing, Start, State, Subject};
use crate::{injector, neighbours, safepoint};

/// The states, by name.
pub(crate) fn states() -> Vec<State> {
    let attached = |name, start: Start| State::new(name, Expected::Attached, start);
    let refused = |name, words, start: Start| State::new(name, Expected::Refused(words), start);
    vec![
        // As in most images that have a shell: it is the child of one.
        attached("normal", || started(&Launch::with(&[]))),
        attached("-UsePerfData", || started(&Launch::with(&["-XX:-UsePerfData"]))),
        attached("-Xrs", || Ok(Box::new(without_signals()))),
        refused("-Xrs, socket deleted", "does not handle SIGQUIT", || {
            let jvm = without_signals();
            fs::remove_file(jvm.socket()).expect("its socket");
            Ok(Box::new(jvm))
        }),
        refused("+DisableAttachMechanism", "DisableAttachMechanism", || {
            started(&Launch::with(&["-XX:+DisableAttachMechanism"]))
        }),
        attached("+StartAttachListener", || started(&Launch::with(&["-XX:+StartAttachListener"]))),
        State {
            passing: Some("does not handle SIGQUIT"),
            ..attached("starting", || Ok(Box::new(Jvm::launch(&Launch::with(&[])))))
        },
        refused("stopped", "is stopped", || Ok(Box::new(Jvm::start(&Launch::with(&[])).stop()))),
        refused("stopped, listening", "is stopped", || Ok(Box::new(listening().stop()))),
        attached("long safepoint", || Ok(safepoint::start())),
        attached("listening", || Ok(Box::new(listening()))),
        attached("socket deleted", || {
            let jvm = listening();
            fs::remove_file(jvm.socket()).expect("its socket");
            Ok(Box::new(jvm))
        }),
        attached("stale socket", || {
            let jvm = Jvm::start(&Launch::with(&[]));
            drop(UnixListener::bind(jvm.socket()).expect("bound"));
            Ok(Box::new(jvm))
        }),
        State { is_heavy: true, ..attached("10,000 threads", ten_thousand_threads) },
        attached("out of memory", || started(&burden(&["memory"]))),
        attached("user without a name", || {
            started(&Launch { user: "--setuid 4242 --setgid 4242", ..Launch::with(&[]) })
        }),
        attached("first process", || started(&Launch { parent: Parent::None, ..Launch::with(&[]) })),
        attached("in a shell's background", || started(&Launch { parent: Parent::Background, ..Launch::with(&[]) })),
        attached("child of an init", || started(&Launch { parent: Parent::Init, ..Launch::with(&[]) })),
        State {
            answer: neighbours::OWN.into(),
            ..attached("two in one container", || Ok(Box::new(neighbours::in_one_container())))
        },
        State { answer: neighbours::OWN.into(), ..attached("shared /tmp", || Ok(Box::new(neighbours::in_one_tmp()))) },
        refused("shared /tmp, other listens", "listens on the socket of process", || {
            Ok(Box::new(neighbours::in_one_tmp().listening()))
        }),
        attached("launcher not called java", launcher_of_another_name),
        attached("names in any bytes", || Ok(Box::new(names_in_any_bytes()))),
        attached("Serial", || started(&Launch::with(&["-XX:+UseSerialGC"]))),
        attached("Parallel", || started(&Launch::with(&["-XX:+UseParallelGC"]))),
        attached("G1", || started(&Launch::with(&["-XX:+UseG1GC"]))),
        attached("Z", || rare_collector("-XX:+UseZGC")),
        attached("Shenandoah", || rare_collector("-XX:+UseShenandoahGC")),
    ]
}

pub(crate) fn started(launch: &Launch) -> Result<Box<dyn Subject>, Missing> {
    Ok(Box::new(Jvm::start(launch)))
}

/// A JVM that handles no SIGQUIT, and listens from its start on: a thread of its own begins that, and the application may be
/// ready before.
fn without_signals() -> Jvm {
    let jvm = Jvm::start(&Launch::with(&["-Xrs"]));
    while !jvm.socket().exists() {
        std::thread::yield_now();
    }
    jvm
}

/// A JVM that somebody has attached to before.
pub(crate) fn listening() -> Jvm {
    let jvm = Jvm::start(&Launch::with(&[]));
    let output = injector(jvm.pid(), &["threaddump"]).output().expect("the injector");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    jvm
}

pub(crate) fn burden(words: &[&str]) -> Launch {
    let main = ["Burden"].iter().chain(words).map(OsString::from).collect();
    Launch { main, ..Launch::with(&[]) }
}

/// What 10,000 threads take of the machine at most, in KiB: a JVM's thread has some 100 KiB that it has touched.
const ROOM: u64 = 2 << 20;

fn ten_thousand_threads() -> Result<Box<dyn Subject>, Missing> {
    let memory = fs::read_to_string("/proc/meminfo").expect("a kernel");
    let available = memory.lines().find_map(|line| line.strip_prefix("MemAvailable:")).expect("a kernel since 3.14");
    let available: u64 = available.trim().trim_end_matches(" kB").parse().expect("a number");
    if available < ROOM {
        return Err(Missing::Room(format!("{available} of {ROOM} KiB of memory are available")));
    }
    let mut jvm = Jvm::launch(&burden(&["threads", "10000"]));
    while let Err(said) = jvm.await_ready() {
        // Before that, the JVM may warn of what the system has refused.
        assert!(!said.is_empty(), "it ended");
        if said.starts_with("FEWER ") {
            return Err(Missing::Room(said.trim_end().to_owned()));
        }
    }
    Ok(Box::new(jvm))
}

/// With another one than all the others have, and than every build has. In old ones it is experimental.
fn rare_collector(option: &'static str) -> Result<Box<dyn Subject>, Missing> {
    let said_to_us = "-XX:+DisplayVMOutputToStdout";
    let mut jvm = Jvm::launch(&Launch::with(&[said_to_us, "-XX:+UnlockExperimentalVMOptions", option]));
    jvm.await_ready().map_err(|said| not_in_build(option, &(said + &jvm.rest())))?;
    Ok(Box::new(jvm))
}

/// What a JVM says that does not know the option, and one that was built without what it is for (JDK 12 and newer).
fn not_in_build(option: &str, said: &str) -> Missing {
    let name = option.trim_start_matches("-XX:+");
    let known = [format!("Unrecognized VM option '{name}'"), format!("Option {option} not supported")];
    assert!(known.iter().any(|words| said.contains(words)), "{option}: {said:?}");
    Missing::Build(said.trim_end().to_owned())
}

/// Neither what is executed nor what it calls itself is java.
fn launcher_of_another_name() -> Result<Box<dyn Subject>, Missing> {
    let other = java().with_file_name("keytool");
    started(&Launch { program: Some(other.clone()), instead_of: Some(other), ..Launch::with(&[]) })
}

/// Its thread's name, its first word, its folder, its jar and its arguments are a terminal's sequences, line ends, and where the
/// JVM can do with that no text at all.
pub(crate) fn names_in_any_bytes() -> Jvm {
    let odd = OsString::from_vec(b"\x1b[2J\nPid:\t1\n\xff".to_vec());
    let folder = Jvm::folder();
    symlink(java(), folder.path().join(&odd)).expect("a link");
    let work = OsString::from_vec(b"\xff\x1b]0;x\x07\n".to_vec());
    fs::create_dir(folder.path().join(&work)).expect("a folder");
    let mut jar = Command::new("jar");
    jar.arg("cfe").arg(folder.path().join(JAR)).args(["Fixture", "-C"]).arg(folder.path()).arg("Fixture.class");
    assert!(jar.status().expect("jar").success());
    let mut launch = Launch { program: Some(Path::new("/tmp").join(&odd)), ..Launch::with(&[]) };
    launch.folder = Some(Path::new("/tmp").join(work));
    launch.main = vec!["-jar".into(), format!("/tmp/{JAR}").into(), OsString::from_vec(b"\x1b]0;x\x07\n\xff".to_vec())];
    let mut jvm = Jvm::launch_in(folder, &launch);
    jvm.await_ready().expect("it runs");
    jvm
}

/// The jar of a JVM with odd names: a Java string that is no ASCII is no file under every locale.
pub(crate) const JAR: &str = "\x1b[31m\n1\t\x07.jar";

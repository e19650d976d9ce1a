//! A trap at every path that is opened in a target: a link out of its root, a FIFO, a directory, a device, a socket. No link is
//! followed, nothing is waited for, nothing outside is changed or read; what stands in the way is refused or left alone.
//!
//! The table below has every path; what else can be wrong with one is told where it is opened:
//!
//! | path | beside this test |
//! |---|---|
//! | `/tmp` | `hotspot/tests.rs`, `sys/beneath.rs` (links in the root's directories), `shelter.rs` (mounts) |
//! | `/tmp/.java_pidN` | `hotspot/tests.rs` (another's socket, a stale one), `hotspot/tests/hostile.rs` (what it says) |
//! | `/tmp/.attach_pidN`, `cwd/.attach_pidN` | `hotspot/tests.rs` (another tool's, another user's) |
//! | `/tmp/hsperfdata_USER/N` | `hsperf.rs` (another JVM's, lies) |
//! | `JAVA_HOME/release` | `detect.rs` |
//! | `/tmp/.jattach-*`, `/dev/shm` | `dump/place.rs` (a dump's own names), `tests/session/place.rs` |
//! | `/tmp/.com_ibm_tools_attach/**` | `openj9/tests.rs`, `tests/openj9` (other users' files, locks) |
//! | `/proc/T/*` | the kernel's own; `exe`, which may be any file, in `native_image.rs` |

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use jattach_protocol::{Code, Failure};
use nix::errno::Errno;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::mkfifo;

use super::{Limits, connect, detect, hsperf, print_threads};
use crate::dump::place::Place;
use crate::process::Target;
use crate::skip::skip;
use crate::sys::fake::{Fake, PID};

/// After so long it counts as blocked for good.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the release file and the performance data say: with a trap in their place, only outside.
const RELEASE: &str = "said-by-release";
const DATA: &str = "said-by-the-data";

const J9: &str = "root/tmp/.com_ibm_tools_attach";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Jvm {
    HotSpot,
    OpenJ9,
}
use Jvm::{HotSpot, OpenJ9};

/// What becomes of an attempt to attach.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// Before anything is done to the JVM.
    Refused,
    /// As if there were no trap.
    GoesOn,
}
use Outcome::{GoesOn, Refused};

/// Every path, seen from /proc/T.
fn paths() -> Vec<(Jvm, String, Outcome)> {
    let hotspot = [
        ("root/tmp", Refused),
        ("root/tmp/.java_pid7", Refused),
        // It is there, and the JVM's user's: that is all the JVM looks at, too.
        ("root/tmp/.attach_pid7", GoesOn),
        ("cwd/.attach_pid7", GoesOn),
        ("root/tmp/hsperfdata_app", GoesOn),
        ("root/tmp/hsperfdata_app/7", GoesOn),
        ("root/opt/jdk", GoesOn),
        ("root/opt/jdk/release", GoesOn),
        ("root/dev/shm", GoesOn),
        ("root/tmp/.jattach-1-4194304-1-00", GoesOn),
    ];
    let openj9 = [
        ("", Refused),
        ("/7", Refused),
        // Whose inode alone counts, and whether it is there.
        ("/7/attachInfo", GoesOn),
        ("/_notifier", GoesOn),
        ("/7/attachNotificationSync", Refused),
        ("/_attachlock", Refused),
        // Whoever was here before is replaced, and not written to.
        ("/7/replyInfo", GoesOn),
        ("/8", GoesOn),
        ("/8/attachNotificationSync", GoesOn),
    ];
    let of_hotspot = hotspot.map(|(path, outcome)| (HotSpot, path.to_owned(), outcome));
    let of_openj9 = openj9.map(|(path, outcome)| (OpenJ9, format!("{J9}{path}"), outcome));
    of_hotspot.into_iter().chain([(OpenJ9, "root/tmp".to_owned(), Refused)]).chain(of_openj9).collect()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Trap {
    /// A link by its full path to what belongs here, outside.
    Link,
    /// The same by a way up.
    LinkUp,
    Fifo,
    Directory,
    /// That gives zeros for ever.
    Device,
    Socket,
}

const TRAPS: [Trap; 6] = [Trap::Link, Trap::LinkUp, Trap::Fifo, Trap::Directory, Trap::Device, Trap::Socket];

/// A JVM of which everything there can be at the paths is there.
fn jvm(kind: Jvm) -> Fake {
    let fake = Fake::jvm();
    for directory in ["proc/root/opt/jdk", "proc/root/dev/shm"] {
        fs::create_dir_all(fake.path(directory)).expect("created");
    }
    match kind {
        HotSpot => {
            fake.write("proc/root/opt/jdk/release", &format!("IMPLEMENTOR=\"{RELEASE}\"\n"));
            hsperf::publish(&fake, &hsperf::fixture(&[("sun.rt.javaCommand", DATA)]));
        }
        OpenJ9 => {
            fake.write("proc/maps", "1-2 r-xp 0 0:0 1 /j9/libjvm.so\n3-4 r-xp 0 0:0 2 /j9/libj9vm29.so\n");
            for pid in ["7", "8"] {
                fs::create_dir_all(fake.path(format!("proc/{J9}/{pid}"))).expect("created");
                fake.write(&format!("proc/{J9}/{pid}/attachInfo"), "");
                fake.write(&format!("proc/{J9}/{pid}/attachNotificationSync"), "");
            }
            fake.write(&format!("proc/{J9}/_attachlock"), "");
            fake.write(&format!("proc/{J9}/_notifier"), "");
            for own in ["net", "fd"] {
                symlink(format!("/proc/self/{own}"), fake.path("proc").join(own)).expect("linked");
            }
        }
    }
    fake
}

/// Puts the trap there, and what belongs there outside of the root; somebody listens where that is a socket.
fn plant(fake: &Fake, path: &str, trap: Trap) -> Option<UnixListener> {
    let (inside, outside) = (fake.path(format!("proc/{path}")), fake.path("outside"));
    let name = inside.file_name().expect("a name");
    let target = outside.join(name);
    fs::create_dir_all(&outside).expect("created");
    let listener = name.to_string_lossy().starts_with(".java_pid").then(|| UnixListener::bind(&target).expect("bound"));
    match &listener {
        Some(listener) => listener.set_nonblocking(true).expect("ours"),
        None if inside.exists() => fs::rename(&inside, &target).expect("moved"),
        // As an injector that was killed leaves its own.
        None => fs::write(&target, "kubectl-jattach\n").expect("written"),
    }
    let above = "../".repeat(inside.ancestors().count());
    match trap {
        Trap::Link => symlink(&target, &inside).expect("linked"),
        Trap::LinkUp => symlink(format!("{above}{}", target.display()), &inside).expect("linked"),
        Trap::Fifo => mkfifo(&inside, Mode::S_IRWXU).expect("made"),
        Trap::Directory => fs::create_dir(&inside).expect("created"),
        Trap::Device => mknod(&inside, SFlag::S_IFCHR, Mode::S_IRWXU, makedev(1, 5)).expect("root may"),
        Trap::Socket => drop(UnixListener::bind(&inside).expect("bound")),
    }
    listener
}

/// What there is below a directory: of each entry what a change would change.
fn everything(directory: &Path) -> BTreeMap<String, (u32, u64, i64, i64)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        let meta = entry.metadata().expect("seen");
        all.insert(entry.path().display().to_string(), (meta.mode(), meta.len(), meta.mtime(), meta.mtime_nsec()));
        if meta.is_dir() {
            all.extend(everything(&entry.path()));
        }
    }
    all
}

/// What came of a visit.
struct Visit {
    /// What a list would show.
    seen: String,
    /// Whether the JVM was told to print its threads.
    printed: bool,
    /// Whether it was asked to listen: by a signal, or by a semaphore.
    outcome: Outcome,
    /// Why it cannot be attached to.
    refusal: Option<Failure>,
}

/// All that is ever done to a target's paths.
fn visit(kind: Jvm, fake: &Fake) -> Visit {
    let target = Target::open(fake, PID).expect("opened");
    let seen = format!("{:?}", detect::detect(&target));
    for place in [Place::of(&target), Place::shared(&target)].into_iter().flatten() {
        place.sweep();
        drop(place.open("hsperfdata_app"));
    }
    let signals = || fake.calls().iter().filter(|call| call.contains("SIGQUIT")).count();
    let printed = kind == HotSpot && print_threads(&target).is_ok();
    assert_eq!(signals(), usize::from(printed));
    let (socket, mut listeners) = (fake.path("proc/root/tmp/.java_pid7"), Vec::new());
    fake.on_signal(move || {
        let temporary = socket.with_extension("tmp");
        listeners.extend(UnixListener::bind(&temporary).inspect(|_| drop(fs::rename(&temporary, &socket))));
    });
    // Nobody is there to be woken.
    fake.refuse("semop", Errno::EACCES);
    let refusal = connect(&target, Limits::default()).err();
    let asked = signals() > usize::from(printed) || fake.calls().iter().any(|call| call.contains("semop"));
    Visit { seen, printed, outcome: if asked { GoesOn } else { Refused }, refusal }
}

fn check(kind: Jvm, path: &str, expected: Outcome, trap: Trap, refused: Option<Errno>) {
    let what = format!("{trap:?} at {path}, openat2 {refused:?}");
    let fake = jvm(kind);
    if let Some(errno) = refused {
        fake.refuse("openat2", errno);
    }
    let listener = plant(&fake, path, trap);
    let before = everything(&fake.path("outside"));
    let (sender, result) = channel();
    let visitor = thread::spawn(move || {
        let found = visit(kind, &fake);
        sender.send(()).expect("somebody waits");
        (found, fake)
    });
    assert!(result.recv_timeout(PATIENCE) != Err(std::sync::mpsc::RecvTimeoutError::Timeout), "blocked: {what}");
    let (visit, fake) = visitor.join().expect("no panic");

    assert_eq!(visit.outcome, expected, "{what}: {:?}", visit.refusal);
    let codes = [Code::NotAttachable, Code::TmpNotWritable];
    assert!(visit.refusal.as_ref().is_none_or(|failure| codes.contains(&failure.code)), "{what}: {:?}", visit.refusal);
    assert_eq!(everything(&fake.path("outside")), before, "{what}");
    assert!(listener.is_none_or(|listener| listener.accept().is_err()), "led to a socket outside: {what}");
    assert!(!path.contains("opt/jdk") || !visit.seen.contains(RELEASE), "{}, {what}", visit.seen);
    let hides_data = path == "root/tmp" || path.contains("hsperfdata");
    assert!(!hides_data || !visit.seen.contains(DATA), "{}, {what}", visit.seen);
    // A signal that asks for one thing, and brings about another.
    assert!(!visit.printed || !path.contains(".attach_pid"), "{what}");
    assert!(kind == OpenJ9 || visit.refusal.is_none() == (expected == GoesOn), "{what}: {:?}", visit.refusal);
}

#[test]
fn no_trap_at_any_path_of_a_target_is_walked_into() {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        skip("a device takes root to make: the other traps alone");
    }
    for (kind, path, expected) in paths() {
        // A directory is no trap where there is one.
        let traps = TRAPS.into_iter().filter(|trap| {
            let is_directory = jvm(kind).path(format!("proc/{path}")).is_dir();
            (*trap != Trap::Device || root) && (*trap != Trap::Directory || !is_directory)
        });
        for trap in traps {
            let expected = match trap {
                // One that nobody listens on is what a JVM that has ended leaves: the next one takes its place.
                Trap::Socket if path.ends_with(".java_pid7") => GoesOn,
                // It is not a file that can be replaced.
                Trap::Directory if path.ends_with("replyInfo") => Refused,
                _ => expected,
            };
            for refused in [None, Some(Errno::EPERM)] {
                check(kind, &path, expected, trap, refused);
            }
        }
    }
}

#[test]
fn without_a_trap_all_of_it_is_seen_and_taken() {
    for kind in [HotSpot, OpenJ9] {
        let visit = visit(kind, &jvm(kind));
        assert_eq!(visit.outcome, GoesOn, "{:?}", visit.refusal);
        let all = [RELEASE, DATA].iter().all(|said| visit.seen.contains(said)) && visit.printed;
        assert!(kind == OpenJ9 || all, "{}", visit.seen);
    }
}

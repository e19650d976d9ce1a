//! From a host into a container: a JVM in PID and mount namespaces of its own, as another user. Needs root.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::jvm::{Jvm, arguments, fixture, homes};
use crate::run::{Outcome, inject, injector};
use crate::skip::skip;

const UID: u32 = 10001;
const GID: u32 = 10002;

/// Without root there is nothing to test with.
fn root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        skip("containers need root");
    }
    root
}

/// Where containers have the fixture: they may not see the build folder, and other users may not enter it.
const CLASSES: &str = "/mnt";

/// A JVM that is pid 1 of its namespace, with a /tmp that `mount` makes.
fn contained(home: &Path, mount: &str) -> Jvm {
    let user = format!("--reuid {UID} --regid {GID}");
    let mut java = container(mount, &user);
    java.arg(home.join("bin/java")).args(arguments(Path::new(CLASSES), &[]));
    ready(&mut java)
}

/// To be completed with a program: it becomes pid 1 of its namespace, as the `user` whom these options of setpriv name.
fn container(mount: &str, user: &str) -> Command {
    let classes = format!("mount --bind \"$CLASSES\" {CLASSES}");
    let script = format!("{classes} && {mount} && exec setpriv {user} --clear-groups \"$0\" \"$@\"");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", &script]);
    command.env("CLASSES", fixture());
    command
}

/// Waits until a program in a container says that it runs.
fn ready(command: &mut Command) -> Jvm {
    let mut started = Jvm::spawn(command);
    // JDK 28 warns of a /tmp that it cannot write to before.
    started.wait_for("READY");
    started.adopt_grandchild();
    started
}

const OWN_TMP: &str = "mount -t tmpfs -o mode=1777 tmpfs /tmp";

/// The injector with less power. It is an open file, because other users may not enter the build folder.
fn inject_with(setpriv: &[&str], words: &[&str]) -> Outcome {
    let file = File::open(injector()).expect("the injector");
    let mut command = Command::new("setpriv");
    command.args(setpriv).arg("/proc/self/fd/0").args(words).stdin(file);
    Outcome::of(command.output().expect("setpriv"))
}

#[test]
fn a_jvm_in_a_container_is_reached_by_its_host_pid_as_its_own_user() {
    if !root() {
        return;
    }
    for home in homes() {
        let mut jvm = contained(home, OWN_TMP);
        inject(jvm.pid(), &["threaddump"]).assert_thread_dump();
        assert!(!Path::new(&format!("/proc/{}/root/tmp/.attach_pid1", jvm.pid())).exists());
        // With what a container runtime gives root: no CAP_SYS_PTRACE.
        let pid = jvm.pid().to_string();
        inject_with(&["--bounding-set", "-sys_ptrace"], &[&pid, "threaddump"]).assert_thread_dump();
        let own = [format!("--reuid={UID}"), format!("--regid={GID}"), "--clear-groups".to_string()];
        inject_with(&own.each_ref().map(String::as_str), &[&pid, "threaddump"]).assert_thread_dump();
        jvm.assert_untouched();
    }
}

#[test]
fn list_shows_both_pids_and_whom_the_jvm_belongs_to() {
    if !root() {
        return;
    }
    for home in homes() {
        let jvm = contained(home, OWN_TMP);
        let expected = format!("{{\"pid\": {}, \"nspid\": 1, \"uid\": {UID}, \"gid\": {GID}, ", jvm.pid());
        for capabilities in ["+sys_ptrace", "-sys_ptrace"] {
            let outcome = inject_with(&["--bounding-set", capabilities], &["list", "--json"]);
            let line = outcome.stdout.lines().find(|line| line.contains(&expected));
            let line = line.unwrap_or_else(|| panic!("{expected} is not in {outcome:?}"));
            for part in ["\"kind\": \"HotSpot\"", "\"main\": \"Fixture\"", "\"attachable\": true", "\"version\": \""] {
                assert!(line.contains(part), "{part} is not in {line}");
            }
            // A user without a name has no performance data, and Debian's JDK 8 no release file.
            let known = home.join("release").exists();
            assert_eq!(!line.contains("\"version\": \"\""), known, "{line}");
        }
    }
}

#[test]
fn an_identity_that_does_not_fit_is_refused_with_the_one_that_does() {
    if !root() {
        return;
    }
    let mut jvm = contained(&homes()[0], OWN_TMP);
    let pid = jvm.pid().to_string();
    for other in [["--reuid=10001", "--regid=10001"], ["--reuid=10003", "--regid=10002"]] {
        let outcome = inject_with(&[&other[..], &["--clear-groups"]].concat(), &[&pid, "threaddump"]);
        outcome.assert_refused("does not fit");
        outcome.assert_refused("target 10001:10002 CapPrm 0000000000000000; injector 1000");
        let list = inject_with(&[&other[..], &["--clear-groups"]].concat(), &["list"]);
        assert!(list.stdout.lines().any(|line| line.starts_with(&pid) && line.contains("no: ")), "{list:?}");
    }
    jvm.assert_untouched();
}

#[test]
fn a_tmp_that_is_read_only_is_found_out_without_a_signal() {
    if !root() {
        return;
    }
    for home in homes() {
        let mut jvm = contained(home, "mount -t tmpfs -o ro tmpfs /tmp");
        inject(jvm.pid(), &["threaddump"]).assert_refused("not writable");
        jvm.assert_untouched();
    }
}

/// A /tmp for several containers, and how it is mounted.
fn shared_tmp() -> (TempDir, String) {
    let shared = tempfile::tempdir().expect("a folder");
    fs::set_permissions(shared.path(), fs::Permissions::from_mode(0o1777)).expect("as /tmp");
    let mount = format!("mount --bind {} /tmp", shared.path().display());
    (shared, mount)
}

#[test]
fn two_containers_that_share_a_tmp_are_not_mistaken_for_each_other() {
    if !root() {
        return;
    }
    let (_shared, mount) = shared_tmp();
    let mut first = contained(&homes()[0], &mount);
    let mut second = contained(&homes()[0], &mount);
    inject(first.pid(), &["threaddump"]).assert_thread_dump();
    let words = format!("process {} listens on the socket of process {}", first.pid(), second.pid());
    inject(second.pid(), &["threaddump"]).assert_refused(&words);
    first.assert_untouched();
    second.assert_untouched();
}

/// A user with a name, whose JVM publishes performance data therefore. Debian's base-passwd has it everywhere.
const NAMED: &str = "--reuid daemon --regid daemon";

#[test]
fn performance_data_in_a_shared_tmp_are_never_taken_for_those_of_another_pid_1() {
    if !root() {
        return;
    }
    for home in homes() {
        let (shared, mount) = shared_tmp();
        let java = |options: &[&str]| {
            let mut java = container(&mount, NAMED);
            java.arg(home.join("bin/java")).args(arguments(Path::new(CLASSES), options));
            ready(&mut java)
        };
        let mut first = java(&["-XX:+DisableAttachMechanism"]);
        assert!(shared.path().join("hsperfdata_daemon/1").exists(), "it publishes them");
        let mut second = java(&[]);
        let mut script = container(&mount, NAMED);
        let mut shell = ready(script.args(["sh", "-c", "echo READY; read line; echo PONG $line"]));
        let list = inject_with(&["--bounding-set", "+sys_ptrace"], &["list", "--json"]).stdout;
        let line = |pid: u32| list.lines().find(|line| line.contains(&format!("{{\"pid\": {pid}, ")));
        let of = |jvm: &Jvm| line(jvm.pid()).unwrap_or_else(|| panic!("{} is not in {list}", jvm.pid()));
        assert!(of(&first).contains("DisableAttachMechanism"), "{list}");
        assert!(of(&second).contains("\"attachable\": true"), "{list}");
        assert_eq!(line(shell.pid()), None, "it is no JVM");
        inject(first.pid(), &["threaddump"]).assert_refused("DisableAttachMechanism");
        inject(second.pid(), &["threaddump"]).assert_thread_dump();
        inject(shell.pid(), &["threaddump"]).assert_refused("");
        for process in [&mut first, &mut second, &mut shell] {
            process.assert_untouched();
        }
    }
}

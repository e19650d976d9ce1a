//! Where a dump lies, where the usual place will not do.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use jattach_protocol::Message;
use jattach_protocol::message::Operation;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Hold;
use crate::client::{Client, attach, dump_heap};
use crate::container::{Container, IN_MEMORY, NESTED, PLAIN, Shape, child_of, enter};
use crate::killed::Opens;

/// A /tmp that is not the target's.
pub(crate) const OWN_TMP: &str = r#"mount --bind "$0" /tmp"#;

/// A read-only root filesystem, and a /dev/shm that is not the target's.
pub(crate) const READ_ONLY: &str = r#"mount -t tmpfs none /dev/shm && mount -o remount,bind,ro / &&
    mount --bind "$0" /tmp && mount -o remount,bind,ro /tmp"#;

/// The same with the pod's /dev/shm.
pub(crate) const READ_ONLY_SHARED: &str =
    r#"mount -o remount,bind,ro / && mount --bind "$0" /tmp && mount -o remount,bind,ro /tmp"#;

/// A container with a hold in a mount namespace of its own.
pub(crate) struct Apart {
    pub(crate) container: Container,
    nsenter: Child,
    /// Where hold's own mounts may be.
    pub(crate) own: tempfile::TempDir,
}

impl Apart {
    /// Starts both; a shell does the mounts, to which $0 is a directory of hold's own.
    pub(crate) fn start(shape: &Shape, megabytes: u32, mounts: &str) -> Apart {
        let container = Container::shaped(shape, megabytes);
        let own = tempfile::tempdir_in("/var/tmp").expect("a directory");
        let script = format!(r#"{mounts} && echo && exec "$1" hold"#);
        let mut command = container.command("unshare");
        command.args(["--mount", "sh", "-c", &script]).arg(own.path()).arg(container.injector());
        let mut nsenter = command.stdout(Stdio::piped()).spawn().expect("hold");
        let mut line = String::new();
        BufReader::new(nsenter.stdout.take().expect("piped")).read_line(&mut line).expect("its mounts are there");
        assert!(!line.is_empty(), "the mounts have failed");
        Apart { container, nsenter, own }
    }

    pub(crate) fn hold(&self) -> u32 {
        child_of(self.nsenter.id())
    }

    pub(crate) fn client(&self) -> Client {
        let mut session = enter(self.hold());
        session.arg(self.container.injector());
        Client::connect_through(session)
    }

    /// Kills hold while that JVM is about to dump, and has not opened all it dumps into: it is stopped until then.
    fn kill_before_it_dumps(&self, jvm: u32) {
        let opens = Opens::watch(&self.container);
        let mut client = self.client();
        client.request(dump_heap());
        opens.wait(jvm);
        signal(jvm, Signal::SIGSTOP);
        signal(self.hold(), Signal::SIGKILL);
        assert!(!client.receive(|message| matches!(message, Message::End(_))), "its session ends");
        signal(jvm, Signal::SIGCONT);
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        let _ = self.nsenter.kill();
        let _ = self.nsenter.wait();
    }
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.try_into().expect("a pid")), signal).expect("it runs");
}

#[test]
fn a_dump_goes_through_the_targets_tmp_where_the_injectors_root_is_read_only() {
    let mut pod = Apart::start(&PLAIN, 20, READ_ONLY);
    let dump = pod.client().ask(dump_heap()).whole();
    assert!(dump.len() > 20 << 20);
    assert!(dump.ends_with(&[0x2c, 0, 0, 0, 0, 0, 0, 0, 0]), "HEAP_DUMP_END");
    assert_eq!(pod.container.left_behind(), [""; 0], "hold's own socket is in /dev/shm");
    pod.container.assert_unharmed();
}

#[test]
fn a_dump_needs_no_disk_at_all() {
    let mut pod = Apart::start(&IN_MEMORY, 20, READ_ONLY);
    assert!(pod.client().ask(dump_heap()).whole().len() > 20 << 20);
    assert_eq!(pod.container.left_behind(), [""; 0]);
    pod.container.assert_unharmed();
}

#[test]
fn a_dump_goes_through_the_pods_shared_memory_where_the_injectors_root_is_read_only() {
    let mut pod = Apart::start(&PLAIN, 20, READ_ONLY_SHARED);
    let opens = Opens::watch(&pod.container);
    let mut client = pod.client();
    client.request(dump_heap());
    let fifo = opens.wait(pod.container.init());
    assert!(fifo.starts_with("/dev/shm/"), "{}", fifo.display());
    assert!(client.answer().whole().len() > 20 << 20);
    pod.container.assert_only_sockets_left();
    pod.container.assert_unharmed();
}

/// A JVM of 22 or newer opens its second file in the middle of its pause. The FIFOs have names in the target here, and the
/// JVM's way to them leads through the injector.
#[test]
fn a_jvm_goes_on_whose_injector_is_killed_before_it_dumps_wherever_that_may_write() {
    for mounts in [READ_ONLY, READ_ONLY_SHARED] {
        let mut pod = Apart::start(&PLAIN, 20, mounts);
        pod.kill_before_it_dumps(pod.container.init());
        pod.container.assert_unharmed();
    }
}

#[test]
fn a_jvm_that_is_stopped_before_it_dumps_goes_on_without_the_injector_that_was_told_to_end() {
    let mut pod = Apart::start(&PLAIN, 20, READ_ONLY);
    let opens = Opens::watch(&pod.container);
    let mut client = pod.client();
    client.request(dump_heap());
    let jvm = pod.container.init();
    opens.wait(jvm);
    signal(jvm, Signal::SIGSTOP);
    pod.client().ask(Operation::Shutdown).whole();
    assert!(pod.nsenter.wait().expect("hold's end").success());
    signal(jvm, Signal::SIGCONT);
    pod.container.assert_unharmed();
}

/// In a namespace below ours there is no such way, and a JVM of 22 or newer waits for somebody who reads.
#[test]
fn a_jvm_that_waits_for_an_injector_that_was_killed_is_released_by_the_next_one() {
    let mut pod = Apart::start(&NESTED, 20, READ_ONLY);
    pod.kill_before_it_dumps(child_of(child_of(pod.container.init())));
    let _next = Hold::start(&pod.container);
    Client::connect(&pod.container).ask(attach("properties", &[])).whole();
    pod.container.assert_only_sockets_left();
    pod.container.assert_unharmed();
}

#[test]
fn a_jvm_in_a_pid_namespace_below_ours_dumps_into_its_own_tmp() {
    let mut container = Container::shaped(&NESTED, 20);
    let _hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    assert!(client.ask(dump_heap()).whole().len() > 20 << 20);
    container.assert_only_sockets_left();
    container.assert_unharmed();
}

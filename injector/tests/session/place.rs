//! Where a dump lies, where the usual place will not do.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use jattach_protocol::Message;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Hold;
use crate::client::{Client, attach, dump_heap};
use crate::container::{Container, IN_MEMORY, NESTED, PLAIN, Shape, child_of, enter};
use crate::killed::Opens;

/// A read-only root filesystem, and the pod's /dev/shm.
const READ_ONLY: &str = r#"mount -t tmpfs none /dev/shm && mount -o remount,bind,ro / &&
    mount --bind "$0" /tmp && mount -o remount,bind,ro /tmp && echo && exec "$1" hold"#;

/// A container with a hold that may write nowhere but in /dev/shm.
struct ReadOnly {
    container: Container,
    nsenter: Child,
    _own: tempfile::TempDir,
}

impl ReadOnly {
    fn start(shape: &Shape) -> ReadOnly {
        let container = Container::shaped(shape, 20);
        let own = tempfile::tempdir_in("/var/tmp").expect("a directory");
        let mut command = container.command("unshare");
        command.args(["--mount", "sh", "-c", READ_ONLY]).arg(own.path()).arg(container.injector());
        let mut nsenter = command.stdout(Stdio::piped()).spawn().expect("hold");
        let mut line = String::new();
        BufReader::new(nsenter.stdout.take().expect("piped")).read_line(&mut line).expect("its mounts are there");
        ReadOnly { container, nsenter, _own: own }
    }

    fn client(&self) -> Client {
        let mut session = enter(child_of(self.nsenter.id()));
        session.arg(self.container.injector());
        Client::connect_through(session)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        let _ = self.nsenter.kill();
        let _ = self.nsenter.wait();
    }
}

#[test]
fn a_dump_goes_through_the_targets_tmp_where_the_injectors_root_is_read_only() {
    let mut pod = ReadOnly::start(&PLAIN);
    let dump = pod.client().ask(dump_heap()).whole();
    assert!(dump.len() > 20 << 20);
    assert!(dump.ends_with(&[0x2c, 0, 0, 0, 0, 0, 0, 0, 0]), "HEAP_DUMP_END");
    assert_eq!(pod.container.left_behind(), [""; 0], "hold's own socket is in /dev/shm");
    pod.container.assert_unharmed();
}

#[test]
fn a_dump_needs_no_disk_at_all() {
    let mut pod = ReadOnly::start(&IN_MEMORY);
    assert!(pod.client().ask(dump_heap()).whole().len() > 20 << 20);
    assert_eq!(pod.container.left_behind(), [""; 0]);
    pod.container.assert_unharmed();
}

/// Where the injector may write nothing the FIFOs have names in the target, before which a JVM of 22 or newer may be
/// waiting in the middle of its pause when the injector is killed.
#[test]
fn a_jvm_that_waits_for_an_injector_that_was_killed_is_released_by_the_next_one() {
    let mut pod = ReadOnly::start(&PLAIN);
    let opens = Opens::watch(&pod.container);
    let mut client = pod.client();
    client.request(dump_heap());
    opens.wait(&pod.container);
    let jvm = Pid::from_raw(pod.container.init().try_into().expect("a pid"));
    kill(jvm, Signal::SIGSTOP).expect("it runs");
    kill(Pid::from_raw(child_of(pod.nsenter.id()).try_into().expect("a pid")), Signal::SIGKILL).expect("hold runs");
    assert!(!client.receive(|message| matches!(message, Message::End(_))), "its session ends");
    kill(jvm, Signal::SIGCONT).expect("it is stopped");
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

//! How a session finds hold where that is not easy.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::Hold;
use crate::client::{Client, attach};
use crate::container::{AS_USER, Container, child_of, enter};

#[test]
fn a_user_who_has_no_inotify_instance_left_finds_a_hold_that_runs() {
    let mut container = Container::start(1);
    let _hold = Hold::start(&container);
    Client::connect(&container).ask(attach("properties", &[])).whole();
    let script = "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$0\" \"$@\"";
    let mut command = container.command("unshare");
    command.args(["--user", "--map-root-user", "sh", "-c", script]).arg(container.injector());
    Client::connect_through(command).ask(attach("properties", &[])).whole();
    container.assert_unharmed();
}

/// What containerd and Docker leave root, as far as it matters here: CAP_SYS_PTRACE is not among it.
const ROOT: &str = "--bounding-set=-all,+chown,+dac_override,+kill,+setgid,+setuid";

#[test]
fn root_is_served_in_dev_shm_by_a_hold_that_has_become_the_targets_user() {
    let mut container = Container::shaped(&AS_USER, 1);
    let script = "mount -t tmpfs none /dev/shm && mount -t tmpfs -o ro none /tmp && echo && exec \"$@\"";
    let mut command = container.command("unshare");
    command.args(["--mount", "sh", "-c", script, "sh", "setpriv", ROOT]).arg(container.injector()).arg("hold");
    let mut nsenter = command.stdout(Stdio::piped()).spawn().expect("hold");
    let mut line = String::new();
    BufReader::new(nsenter.stdout.take().expect("piped")).read_line(&mut line).expect("its mounts are there");
    let hold = child_of(nsenter.id());
    for _ in 0..2 {
        let mut session = enter(hold);
        session.args(["setpriv", ROOT]).arg(container.injector());
        Client::connect_through(session).ask(attach("properties", &[])).whole();
    }
    container.assert_unharmed();
    nsenter.wait().expect("it ends with its PID namespace");
}

//! A pid that is another process's by the time of the signal, for real: in a PID namespace whose next pid is chosen.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

use jattach_protocol::Code;
use nix::errno::Errno;
use nix::sys::signal::Signal;

use super::Target;
use crate::skip::skip;
use crate::sys::{Kernel, Sys};

/// The pid that the namespace of its reader has given away last (proc_sys_kernel(5)).
const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";

#[test]
fn no_signal_reaches_the_process_that_has_the_targets_pid_by_now() {
    if !fs::exists(LAST_PID).unwrap_or_default() {
        return skip(&format!("this kernel has no {LAST_PID} (CONFIG_CHECKPOINT_RESTORE)"));
    }
    let root = nix::unistd::geteuid().is_root();
    let user: &[&str] = if root { &[] } else { &["--user", "--map-root-user"] };
    let namespace = |command: &[&str]| {
        let mut unshare = Command::new("unshare");
        unshare.args(user).args(["--pid", "--fork", "--mount-proc", "--kill-child"]).args(command);
        unshare.output().expect("unshare, of util-linux")
    };
    if !root && !namespace(&["true"]).status.success() {
        return skip("there are no namespaces for this user");
    }
    let own = env::current_exe().expect("our own path");
    let own = own.to_str().expect("a path in UTF-8");
    // A shell that has started us in the background has us ignore SIGQUIT, and all that we start.
    let inside = ["env", "--default-signal=QUIT", own, "process::reuse_tests::inside_the_namespace"];
    let output = namespace(&[&inside[..], &["--exact", "--ignored", "--nocapture"]].concat());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

/// A program that answers as long as it lives, and dies of SIGQUIT.
struct Echo(Child);

impl Echo {
    fn start() -> Echo {
        let cat = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        Echo(cat.expect("cat"))
    }

    fn answers(&mut self) -> bool {
        let (stdin, stdout) = (self.0.stdin.as_mut().expect("piped"), self.0.stdout.as_mut().expect("piped"));
        let mut line = String::new();
        stdin.write_all(b"alive\n").is_ok() && BufReader::new(stdout).read_line(&mut line).is_ok() && line == "alive\n"
    }
}

#[test]
#[ignore = "run by the test above, in a namespace of its own"]
fn inside_the_namespace() {
    assert_eq!(std::process::id(), 1, "the pids of others are not to be chosen");
    let mut first = Echo::start();
    let pid = first.0.id();
    let held = Target::open(&Kernel, pid).expect("it runs");
    let without_pidfd = Target { pidfd: None, ..Target::open(&Kernel, pid).expect("it runs") };
    assert!(held.pidfd().is_some());
    first.0.kill().and_then(|()| first.0.wait()).expect("its end");
    fs::write(LAST_PID, (pid - 1).to_string()).expect("the pid that comes before");
    let mut second = Echo::start();
    assert_eq!(second.0.id(), pid, "another process has its pid");

    for target in [&held, &without_pidfd] {
        assert_eq!(target.signal(Signal::SIGQUIT), Err(Errno::ESRCH));
        assert_eq!(target.status().err().map(|failure| failure.code), Some(Code::TargetEnded));
        assert!(target.is_ending());
        assert!(second.answers());
    }
    // Whoever goes by the number alone hits it.
    Kernel.kill(pid, Signal::SIGQUIT).expect("a process of that pid");
    assert_eq!(second.0.wait().expect("its end").signal(), Some(Signal::SIGQUIT as i32));
}

//! SIGQUIT alone, which has a JVM print its threads and ends many another program.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Stdio};

use jattach_protocol::message::{Operation, Request};
use jattach_protocol::{Code, Failure, Message};

use crate::Hold;
use crate::client::Client;
use crate::container::{Container, SHUT_OUT, child_of};
use crate::rest::{serves, settle};
use crate::skip::skip;

#[test]
fn a_jvm_prints_its_threads_and_is_not_attached_to() {
    let mut container = Container::start(1);
    let _hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    assert_eq!(client.ask(Operation::PrintThreads).whole(), b"", "what there is to see stands in its own output");
    container.await_threads();
    assert!(!container.tmp.path().join(".java_pid1").exists());
    client.close();
    container.assert_unharmed();
}

#[test]
fn a_jvm_in_a_folder_that_its_own_user_may_not_enter_prints_its_threads() {
    let mut container = Container::shaped(&SHUT_OUT, 1);
    let _hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    assert_eq!(client.ask(Operation::PrintThreads).whole(), b"");
    container.await_threads();
    client.close();
    container.assert_unharmed();
}

#[test]
fn a_jvm_that_somebody_is_about_to_attach_to_is_left_alone() {
    let mut container = Container::start(1);
    let _hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    let trigger = container.tmp.path().join(".attach_pid1");
    std::fs::write(&trigger, "").expect("written");
    assert_eq!(client.ask(Operation::PrintThreads).failure().code, Code::NotAttachable);
    std::fs::remove_file(trigger).expect("nobody has taken it");
    client.close();
    container.assert_unharmed();
}

#[test]
fn no_other_program_is_signalled() {
    let mut container = Container::start(1);
    let _hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    let mut programs = vec![
        Program::start(&container, "sh", &["-c", "echo here; read end; echo bye"]),
        Program::start(&container, "sh", &["-c", "trap 'echo signalled' QUIT; echo here; read end; echo bye"]),
    ];
    match std::env::var_os("JATTACH_KUBECTL") {
        Some(kubectl) => {
            // Written in Go, whose own handler ends it. It needs no cluster before it is asked for something.
            let words = ["proxy", "--port=0", "--server=http://127.0.0.1:1"];
            let mut proxy = Program::start(&container, &kubectl.to_string_lossy(), &words);
            proxy.address = proxy.first_line.trim_end().rsplit(' ').next().map(String::from);
            programs.push(proxy);
        }
        None => skip("JATTACH_KUBECTL names no program in Go"),
    }
    for program in &mut programs {
        let failure = program.asked(&mut client);
        assert_eq!(failure.code, Code::NoJvm, "{failure}");
        program.assert_unharmed();
    }
    client.close();
    container.assert_unharmed();
}

/// A program in the container that is no JVM.
struct Program {
    nsenter: Child,
    lines: BufReader<ChildStdout>,
    first_line: String,
    /// Where it serves HTTP. Otherwise it is a shell that says bye.
    address: Option<String>,
}

impl Program {
    fn start(container: &Container, program: &str, words: &[&str]) -> Program {
        // It may have been started where SIGQUIT is ignored, and would have that from here.
        let mut command = container.command("env");
        command.args(["--default-signal=QUIT", program]);
        let mut nsenter =
            command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program");
        let mut lines = BufReader::new(nsenter.stdout.take().expect("piped"));
        let mut first_line = String::new();
        lines.read_line(&mut first_line).expect("it says that it is there");
        Program { nsenter, lines, first_line, address: None }
    }

    /// Its pid as the container has it.
    fn pid(&self) -> u32 {
        let status = format!("/proc/{}/status", child_of(self.nsenter.id()));
        let status = std::fs::read_to_string(status).expect("its status");
        let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).expect("its pids");
        pids.split_whitespace().last().and_then(|pid| pid.parse().ok()).expect("a pid")
    }

    /// What comes of a wish for its threads.
    fn asked(&self, client: &mut Client) -> Failure {
        let operation = Operation::PrintThreads;
        let request = Request { pid: self.pid(), container: String::new(), wait: false, ttl: 60, operation };
        client.send(1, &Message::Request(request));
        client.answer().failure()
    }

    /// It runs, and has not heard of any signal.
    fn assert_unharmed(&mut self) {
        settle(child_of(self.nsenter.id()));
        if let Some(address) = &self.address {
            assert!(serves(address), "kubectl does not answer any more");
            return;
        }
        drop(self.nsenter.stdin.take());
        let mut said = String::new();
        self.lines.read_to_string(&mut said).expect("its last words");
        assert_eq!(said, "bye\n");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.nsenter.kill();
        let _ = self.nsenter.wait();
    }
}

//! The same through hold and a session, as the plugin asks.

use std::fs;
use std::process::Child;

use jattach_protocol::Code;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::client::{Client, attach, dump_heap};
use crate::container::Container;
use crate::jvm::Jvm;
use crate::table::threads;

/// Killed when dropped.
struct Hold(Child);

impl Hold {
    fn start(container: &Container) -> Hold {
        Hold(container.command(container.injector()).arg("hold").spawn().expect("hold"))
    }

    fn signal(&self, signal: Signal) {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.0.id())).expect("its children");
        let pid = children.trim().parse().expect("one child");
        kill(Pid::from_raw(pid), signal).expect("hold runs");
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // It lives in the stand-in's PID namespace, and ends with that.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn commands_are_carried_out_and_failures_told_as_such() {
    let mut container = Container { jvm: Jvm::start("") };
    let _hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    let text = client.ask(attach("threaddump", &[])).whole();
    assert!(text == threads().into_bytes(), "unescaped, and all of it");
    for (command, arguments, answer) in [
        ("jcmd", &["help", "Dump.heap"][..], "done: help,Dump.heap\n"),
        ("load", &["/opt/agent.so", "true", "port=1,x"], "ATTACH_ACK"),
        ("agentProperties", &[], "#today\n"),
    ] {
        assert_eq!(client.ask(attach(command, arguments)).whole(), answer.as_bytes(), "{command}");
    }
    for (command, arguments, said) in [
        ("jcmd", &["No.such"][..], "openj9_diagnostics.error_message=No.such"),
        ("load", &["/refuses.so", "true"], "code 7: ATTACH_ERR AgentInitializationException7"),
        ("load", &["/missing.so", "true"], "ATTACH_ERR AgentLoadException"),
    ] {
        let failure = client.ask(attach(command, arguments)).failure();
        assert!(failure.code == Code::JvmFailed && failure.evidence.contains(said), "{command}: {failure}");
    }
    assert_eq!(container.jvm.new_wakes(), 7);
    container.jvm.assert_nothing_is_left();
}

#[test]
fn what_openj9_does_not_do_is_refused_before_it_is_asked() {
    let mut container = Container { jvm: Jvm::start("") };
    let _hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    let failure = client.ask(dump_heap()).failure();
    assert!(failure.code == Code::Usage && failure.remedy.contains("kubectl cp"), "{failure}");
    assert_eq!(container.jvm.new_wakes(), 0);
    container.jvm.assert_nothing_is_left();
}

#[test]
fn half_an_answer_is_no_success() {
    let mut container = Container { jvm: Jvm::start("half a reply") };
    let _hold = Hold::start(&container);
    let failure = Client::connect(&container).ask(attach("threaddump", &[])).failure();
    assert_eq!(failure.code, Code::NoAnswer, "{failure}");
    container.jvm.assert_nothing_is_left();
    assert_eq!(container.jvm.new_wakes(), 1);
}

#[test]
fn a_hold_that_is_told_to_end_undoes_all_of_it_first() {
    let mut container = Container { jvm: Jvm::start("does not connect") };
    let mut hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    client.request(attach("threaddump", &[]));
    container.jvm.await_woken();
    hold.signal(Signal::SIGTERM);
    let failure = client.answer().failure();
    assert_eq!(failure.code, Code::NoAnswer, "{failure}");
    hold.0.wait().expect("its end");
    container.jvm.assert_nothing_is_left();
    assert_eq!(container.jvm.new_wakes(), 2, "it does its job to the end: once more, for one that was not back yet");
}

#[test]
fn a_hold_that_goes_on_leaves_the_semaphore_to_others() {
    let container = Container { jvm: Jvm::start("asleep") };
    let _hold = Hold::start(&container);
    let mut client = Client::connect(&container);
    let failure = client.ask(attach("threaddump", &[])).failure();
    assert_eq!(failure.code, Code::NoAnswer, "{failure}");
    container.jvm.assert_nothing_is_left();
}

//! As whom hold works: what it keeps of its own once it is what the JVM is, and what it needs for one that is closed.

use std::fs;

use jattach_protocol::Code;
use jattach_protocol::message::Operation;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Hold;
use crate::client::{Client, attach};
use crate::container::{ALMOST_POWERLESS, CAPABLE, Container, UNREADABLE, UNREADABLE_TWICE, child_of};

/// What containerd and Docker leave root, as far as it matters here, and what the target's container may have been given.
const WITHOUT_PTRACE: &str = "--bounding-set=-all,+chown,+dac_override,+kill,+setgid,+setuid";
const WITH_PTRACE: &str = "--bounding-set=-all,+chown,+dac_override,+kill,+setgid,+setuid,+sys_ptrace";

/// As /proc shows it.
const NET_BIND_SERVICE: &str = "0000000000000400";

/// A hold that is started by setpriv with these words.
fn hold_as(container: &Container, words: &[&str]) -> Hold {
    let mut command = container.command("setpriv");
    command.args(words).arg(container.injector());
    Hold::run(command)
}

/// The line of that name in the status of each of its threads. A job's thread may end meanwhile.
fn of_each_thread(pid: u32, name: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("its threads");
    let line = |task: fs::DirEntry| {
        let status = fs::read_to_string(task.path().join("status")).ok()?;
        let line = status.lines().find(|line| line.starts_with(name)).expect("a line");
        Some(line.split_whitespace().last().expect("a value").to_owned())
    };
    tasks.filter_map(|task| line(task.ok()?)).collect()
}

fn threaddump() -> Operation {
    attach("threaddump", &[])
}

#[test]
fn no_thread_of_hold_keeps_a_capability_that_the_jvm_has_not() {
    let mut container = Container::shaped(&ALMOST_POWERLESS, 1);
    let hold = Hold::start(&container);
    // Their threads are there before hold knows for whom it works.
    let mut clients = [Client::connect(&container), Client::connect(&container)];
    for client in &mut clients {
        client.ask(Operation::List).whole();
    }
    let [client, _] = &mut clients;
    let text = String::from_utf8(client.ask(threaddump()).whole()).expect("text");
    assert!(text.contains("Full thread dump"), "{text}");
    let sys_chroot = format!("{:016x}", 1 << 18);
    assert_eq!(of_each_thread(container.init(), "CapPrm:")[0], sys_chroot);
    for set in ["CapPrm:", "CapEff:"] {
        let sets = of_each_thread(hold.pid(), set);
        assert!(sets.len() >= 3, "the main thread, and one for each client: {sets:?}");
        assert!(sets.iter().all(|set| *set == sys_chroot), "{set} {sets:?}");
    }
    let confined = of_each_thread(hold.pid(), "NoNewPrivs:");
    assert!(confined.iter().all(|set| set == "1"), "root gets its capabilities back by executing something");
    // They still serve.
    for client in &mut clients {
        client.ask(threaddump()).whole();
    }
    container.assert_unharmed();
}

#[test]
fn a_jvm_that_is_closed_to_its_own_user_is_named_so_and_no_identity_is_asked_for() {
    let mut container = Container::shaped(&UNREADABLE, 1);
    let own = ["--reuid=4242", "--regid=4242", "--clear-groups", "--bounding-set=-all"];
    for words in [&own[..], &["--reuid=65532", "--regid=65532", "--clear-groups"], &[WITHOUT_PTRACE]] {
        let mut hold = hold_as(&container, words);
        let mut session = container.command("setpriv");
        session.args(words).arg(container.injector());
        let mut client = Client::connect_through(session);
        assert!(client.ask(Operation::List).end.is_ok(), "{words:?}: another container would see no more");
        let refused = client.ask(threaddump()).failure();
        assert_eq!((refused.code, refused.identity), (Code::NotAttachable, None), "{words:?}: {refused}");
        assert!(refused.cause.contains("closed to its own user"), "{refused}");
        assert!(refused.evidence.contains("4242") && refused.evidence.contains("not dumpable"), "{refused}");
        assert!(refused.remedy.contains("0711") && refused.remedy.contains("CAP_SYS_PTRACE"), "{refused}");
        client.close();
        hold.signal(Signal::SIGTERM);
        hold.farewell();
    }
    container.assert_unharmed();
}

#[test]
fn a_jvm_that_is_closed_to_its_own_user_is_served_by_who_may_open_it_before_becoming_that_user() {
    let mut container = Container::shaped(&UNREADABLE, 1);
    let hold = hold_as(&container, &[WITH_PTRACE]);
    let mut session = container.command("setpriv");
    session.arg(WITH_PTRACE).arg(container.injector());
    let mut client = Client::connect_through(session);
    // The second time it is that user already.
    for _ in 0..2 {
        let text = String::from_utf8(client.ask(threaddump()).whole()).expect("text");
        assert!(text.contains("Full thread dump"), "{text}");
    }
    let [jvm] = &client.jvms()[..] else { panic!("one JVM") };
    assert_eq!((jvm.kind.as_str(), jvm.obstacle.as_str()), ("HotSpot", ""), "it was opened while that could be");
    let left = of_each_thread(hold.pid(), "CapPrm:");
    assert!(left.iter().all(|set| *set == format!("{:016x}", 0)), "{left:?}");
    container.assert_unharmed();
}

#[test]
fn who_could_have_opened_a_closed_jvm_says_that_another_injector_can() {
    let mut container = Container::shaped(&UNREADABLE_TWICE, 1);
    let connect = |container: &Container| {
        let mut session = container.command("setpriv");
        session.arg(WITH_PTRACE).arg(container.injector());
        Client::connect_through(session)
    };
    let mut hold = hold_as(&container, &[WITH_PTRACE]);
    let mut client = connect(&container);
    client.ask(threaddump()).whole();
    kill(Pid::from_raw(child_of(container.init()).cast_signed()), Signal::SIGKILL).expect("it lives");
    container.await_line("ready");
    let refused = client.ask(threaddump()).failure();
    assert_eq!((refused.code, refused.identity), (Code::NotAttachable, None), "{refused}");
    assert!(refused.cause.contains("has become the JVM's user") && refused.remedy.contains("clean"), "{refused}");
    client.close();
    hold.signal(Signal::SIGTERM);
    hold.farewell();
    let _hold = hold_as(&container, &[WITH_PTRACE]);
    let text = String::from_utf8(connect(&container).ask(threaddump()).whole()).expect("text");
    assert!(text.contains("Full thread dump"), "{text}");
    container.assert_unharmed();
}

#[test]
fn a_jvm_with_a_capability_and_without_root_is_served_by_a_root_that_has_it() {
    let mut container = Container::shaped(&CAPABLE, 1);
    let words = format!("{WITHOUT_PTRACE},+net_bind_service");
    let hold = hold_as(&container, &[&words]);
    let mut session = container.command("setpriv");
    session.arg(&words).arg(container.injector());
    let mut client = Client::connect_through(session);
    for _ in 0..2 {
        client.ask(threaddump()).whole();
    }
    let left = of_each_thread(hold.pid(), "CapPrm:");
    assert!(left.contains(&NET_BIND_SERVICE.to_owned()), "{left:?}");
    let none = format!("{:016x}", 0);
    assert!(left.iter().all(|set| *set == NET_BIND_SERVICE || *set == none), "{left:?}");
    container.assert_unharmed();
}

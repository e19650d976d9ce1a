//! As whom hold works: what it keeps of its own once it is what the JVM is.

use std::fs;

use jattach_protocol::message::Operation;

use crate::Hold;
use crate::client::{Client, attach};
use crate::container::{ALMOST_POWERLESS, Container};

/// The line of that name in the status of each of its threads.
fn of_each_thread(pid: u32, name: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("its threads");
    let line = |task: fs::DirEntry| {
        let status = fs::read_to_string(task.path().join("status")).expect("its status");
        let line = status.lines().find(|line| line.starts_with(name)).expect("a line");
        line.split_whitespace().last().expect("a value").to_owned()
    };
    tasks.map(|task| line(task.expect("a thread"))).collect()
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

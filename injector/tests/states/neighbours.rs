//! Two JVMs that can be mistaken for each other: in one container, or each the first process of its own and with one /tmp for
//! both. What is asked of the one is never answered by the other, and the other is as well as it was.

use std::rc::Rc;

use crate::container::{Jvm, Launch, Parent};
use crate::harness::{Health, Subject};
use crate::injector;
use crate::jvms::burden;

/// The name of a thread that only the one has that is asked.
pub(crate) const OWN: &str = "\"burden-1\"";
/// The name of a thread that both have.
const EACH: &str = "\"burden-0\"";

/// See the module.
pub(crate) struct Pair {
    asked: Box<Jvm>,
    pub(crate) neighbour: Box<Jvm>,
}

/// One that is asked, and one that is there: they differ by a thread.
fn launches(parent: Parent) -> [Launch; 2] {
    ["2", "1"].map(|threads| Launch { parent, ..burden(&["threads", threads]) })
}

/// The neighbour has been attached to, and listens.
pub(crate) fn in_one_container() -> Pair {
    let [asked, neighbour] = launches(Parent::Shell);
    let asked = Jvm::start(&asked);
    let neighbour = asked.start_beside(&neighbour);
    Pair::new(asked, neighbour).listening()
}

/// Neither has been attached to.
pub(crate) fn in_one_tmp() -> Pair {
    let tmp = Jvm::folder();
    let [asked, neighbour] = launches(Parent::None).map(|launch| {
        let mut jvm = Jvm::launch_in(Rc::clone(&tmp), &launch);
        while let Err(said) = jvm.await_ready() {
            // From JDK 17 on the second one says that the first has its performance data (JDK-8286030).
            assert!(said.contains("hsperfdata"), "{said:?}");
        }
        jvm
    });
    assert_eq!(asked.socket(), neighbour.socket());
    Pair::new(asked, neighbour)
}

impl Pair {
    fn new(asked: Jvm, neighbour: Jvm) -> Pair {
        Pair { asked: Box::new(asked), neighbour: Box::new(neighbour) }
    }

    /// Has the neighbour listen, and looks whether it is the one who answers.
    pub(crate) fn listening(self) -> Pair {
        let output = injector(self.neighbour.pid(), &["threaddump"]).output().expect("the injector");
        let answer = String::from_utf8_lossy(&output.stdout);
        assert!(answer.contains(EACH) && !answer.contains(OWN), "{answer}{}", String::from_utf8_lossy(&output.stderr));
        self
    }
}

impl Subject for Pair {
    fn pid(&self) -> u32 {
        self.asked.pid()
    }

    /// The neighbour first: the container may be the other's.
    fn health(self: Box<Self>) -> Health {
        match (self.neighbour.health(), self.asked.health()) {
            (Health::Well, health) => health,
            (Health::Signalled(what), _) => Health::Signalled(format!("its neighbour: {what}")),
            (Health::Dead(what), _) => Health::Dead(format!("its neighbour: {what}")),
        }
    }
}

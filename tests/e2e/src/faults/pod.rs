//! What runs in the pod: killed, stopped, deleted.

use super::Outcome;
use super::seed::Dice;
use super::stage::Stage;
use super::transfer::{Transfer, UNHURRIED};
use crate::proxy::Proxy;

/// Nothing waits in the pod but in memory: the JVM is dumping until the client has nearly all of it.
const DUMPING: [&str; 2] = ["--spool-limit=0", "--max-stall=100s"];

/// The flags with which the JVM is dumping at that moment, or has long been done.
fn dumping_or_not(dice: &mut Dice) -> &'static [&'static str] {
    if dice.flip() { &DUMPING } else { &[] }
}

/// The process that carries the conversation: the client comes with another one.
pub(super) fn session_killed(stage: &Stage, dice: &mut Dice) -> Outcome {
    let transfer = Transfer::of(stage);
    let (running, _proxy) = transfer.under_way(dumping_or_not(dice), UNHURRIED, dice.between(1 << 20, 20 << 20));
    stage.signal("/injector session", "KILL");
    let outcome = transfer.whole(running.wait());
    stage.check(false, false);
    outcome
}

/// The injector itself: what it held is gone, and the same command begins again with another one.
pub(super) fn hold_killed(stage: &Stage, dice: &mut Dice) -> Outcome {
    let transfer = Transfer::of(stage);
    let (running, _proxy) = transfer.under_way(dumping_or_not(dice), UNHURRIED, dice.between(1 << 20, 20 << 20));
    stage.signal("/injector hold", "KILL");
    let outcome = transfer.kept(running.wait(), &[8]);
    stage.await_answer();
    let _ = transfer.whole(transfer.program(&Proxy::start()).run());
    stage.check(false, true);
    outcome
}

/// The JVM while it dumps, and no process beside it.
pub(super) fn jvm_killed(stage: &Stage, dice: &mut Dice) -> Outcome {
    let transfer = Transfer::of(stage);
    let (running, _proxy) = transfer.under_way(&DUMPING, UNHURRIED, dice.between(1 << 20, 16 << 20));
    stage.signal("java", "KILL");
    let outcome = transfer.kept(running.wait(), &[3]);
    stage.accept_the_jvm();
    stage.check(false, false);
    outcome
}

/// The JVM when its dump is written and not yet fetched: the injector has all of it.
pub(super) fn jvm_killed_after(stage: &Stage, dice: &mut Dice) -> Outcome {
    let transfer = Transfer::of(stage);
    let (running, proxy) = transfer.under_way(&[], UNHURRIED, dice.between(1 << 20, 10 << 20));
    stage.await_answer();
    stage.signal("java", "KILL");
    proxy.release();
    let outcome = transfer.whole(running.wait());
    stage.accept_the_jvm();
    stage.check(false, false);
    outcome
}

/// The JVM's container when its dump is written and not yet fetched: the injector ends with it, and what it held.
pub(super) fn container_ended(stage: &Stage, dice: &mut Dice) -> Outcome {
    let transfer = Transfer::of(stage);
    let (running, _proxy) = transfer.under_way(&[], UNHURRIED, dice.between(1 << 20, 10 << 20));
    stage.await_answer();
    // Its end may be quicker than the answer to who asked for it.
    let _ = stage.script("kill -TERM 1").run();
    let outcome = transfer.kept(running.wait(), &[3]);
    stage.pod().wait_for("jsonpath={.status.containerStatuses[0].restartCount}=1");
    stage.pod().wait_for("condition=Ready");
    stage.accept_the_jvm();
    stage.check(false, false);
    outcome
}

/// The pod. There is nothing left to be looked at.
pub(super) fn pod_deleted(stage: &Stage, dice: &mut Dice) -> Outcome {
    let transfer = Transfer::of(stage);
    let (running, _proxy) = transfer.under_way(dumping_or_not(dice), UNHURRIED, dice.between(1 << 20, 20 << 20));
    stage.pod().delete();
    transfer.kept(running.wait(), &[3])
}

/// The JVM stands still as soon as it has begun, and goes on.
pub(super) fn late_first_byte(stage: &Stage, dice: &mut Dice) -> Outcome {
    let transfer = Transfer::of(stage);
    // It opens the FIFO before it collects its garbage.
    let stopper = format!(
        "jvm=$(busybox pidof java); until ls -l /proc/$jvm/fd | grep -q -F /.jattach-; do :; done
        kill -STOP $jvm; sleep {}.{}; kill -CONT $jvm",
        dice.between(1, 5),
        dice.between(0, 10)
    );
    let stopping = stage.script(&stopper).start();
    let proxy = Proxy::start().with(UNHURRIED);
    let outcome = transfer.whole(transfer.program(&proxy).args(DUMPING).run());
    let _ = stopping.wait().succeeded();
    stage.check(false, false);
    outcome
}

//! The client: killed, stopped, without room, or slow to read.

use std::env;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::process::geteuid;

use super::Outcome;
use super::seed::Dice;
use super::stage::{HEAP, Stage};
use super::transfer::{Transfer, UNHURRIED};
use crate::documents;
use crate::proxy::{Fault, Proxy};
use crate::run::{Program, Signal};

/// For how many seconds a client is stopped at least, where JATTACH_E2E_STOPPED says so.
const STOPPED: &str = "JATTACH_E2E_STOPPED";

/// Killed, and started again with the same file.
pub(super) fn killed(stage: &Stage, dice: &mut Dice) -> Outcome {
    let transfer = Transfer::of(stage);
    let (running, _proxy) = transfer.under_way(&[], UNHURRIED, dice.between(2 << 20, 28 << 20));
    running.kill();
    let outcome = transfer.gone_on_with();
    stage.check(false, false);
    outcome
}

/// Killed where nothing may wait in the pod: the JVM goes on without it. The same command begins again, unless it comes before.
pub(super) fn killed_without_spool(stage: &Stage, dice: &mut Dice) -> Outcome {
    let transfer = Transfer::of(stage);
    let (running, proxy) = transfer.under_way(&impatient(dice), UNHURRIED, dice.between(1 << 20, 16 << 20));
    running.kill();
    stage.await_answer();
    proxy.set(Fault::None);
    let outcome = transfer.whole(transfer.program(&proxy).run());
    stage.check(false, false);
    outcome
}

/// Stopped where nothing may wait in the pod: the JVM goes on without it.
pub(super) fn stopped_without_spool(stage: &Stage, dice: &mut Dice) -> Outcome {
    let transfer = Transfer::of(stage);
    let (running, _proxy) = transfer.under_way(&impatient(dice), UNHURRIED, dice.between(1 << 20, 16 << 20));
    running.signal(Signal::STOP);
    stage.await_answer();
    running.signal(Signal::CONT);
    let outcome = transfer.outcome(running.wait());
    stage.check(outcome != Outcome::Whole, false);
    outcome
}

/// Nothing waits on a disk of the pod, and the JVM no longer than a client that is there needs.
fn impatient(dice: &mut Dice) -> [&'static str; 2] {
    ["--spool-limit=0", if dice.flip() { "--max-stall=5s" } else { "--max-stall=9s" }]
}

/// Stopped until it is taken for dead, and continued.
pub(super) fn stopped(stage: &Stage, dice: &mut Dice) -> Outcome {
    let transfer = Transfer::of(stage);
    let (running, _proxy) = transfer.under_way(&[], UNHURRIED, dice.between(2 << 20, 28 << 20));
    running.signal(Signal::STOP);
    stage.await_answer();
    stage.await_job("waiting for its client to come back");
    if let Some(seconds) = env::var(STOPPED).ok().and_then(|seconds| seconds.parse().ok()) {
        // What happens to it then is a matter of hours elsewhere: of every box between that forgets connections.
        thread::sleep(Duration::from_secs(seconds));
    }
    running.signal(Signal::CONT);
    let outcome = transfer.whole(running.wait());
    stage.check(false, false);
    outcome
}

/// Takes all the room there is as soon as something of a dump has arrived.
const FILL: &str = r#"(until [ -s x.hprof.part ] || [ -s x.hprof.part.p0 ]; do sleep 0.01; done
    dd if=/dev/zero of=filler bs=4096 2> /dev/null; true) &"#;

/// A disk that takes a part of the dump, because it is small, as can be seen, or because others fill it: a tmpfs in a mount
/// namespace of the client's own.
pub(super) fn disk_full(stage: &Stage, dice: &mut Dice) -> Outcome {
    let unshare = Program::new(Path::new("unshare"));
    let unshare =
        if geteuid().is_root() { unshare.arg("--mount") } else { unshare.args(["--map-root-user", "--mount"]) };
    if unshare.clone().arg("true").run().code() != Some(0) {
        return Outcome::Skipped("no mount namespace can be had on this machine");
    }
    let transfer = Transfer::of(stage);
    let (size, filler) = if dice.flip() { (dice.between(64, 28 << 10), "") } else { (60 << 10, FILL) };
    let script = format!(
        "mount -t tmpfs -o size={size}k tmpfs . && cd \"$PWD\" || exit; {filler}
        \"$@\"; code=$?; ls -A; exit $code"
    );
    let starter = unshare.args(["sh", "-c", &script, "sh"]);
    let ran = transfer.program(&Proxy::start().with(UNHURRIED)).arg("--yes").under(starter).run();
    assert!(filler.is_empty() || ran.stderr.contains("No space left on device"), "{ran}");
    let names = ran.text();
    assert!(!names.lines().any(|name| name == "x.hprof"), "{ran}");
    assert_ne!(ran.code(), Some(0), "{ran}");
    let outcome = transfer.outcome(ran);
    stage.check(true, false);
    outcome
}

/// Whoever reads the dump from standard output takes 100 KB a second for a while.
pub(super) fn slow_reader(stage: &Stage, dice: &mut Dice) -> Outcome {
    let transfer = Transfer::of(stage);
    let proxy = Proxy::start();
    let mut running = transfer.to(&proxy, "-").start();
    let mut stdout = running.take_stdout();
    let mut read = vec![0; usize::try_from(dice.between(50_000, 300_000)).expect("small")];
    for piece in read.chunks_mut(10_000) {
        std::io::Read::read_exact(&mut stdout, piece).expect("the dump begins");
        // The rate is what is tried here.
        thread::sleep(Duration::from_millis(100));
    }
    stage.await_answer();
    let (_, found) = documents::read(std::io::Read::chain(&read[..], stdout));
    assert!(documents::of_heap(HEAP).is_subset(&found), "what the application holds is not all there");
    let _ = running.wait().succeeded().says("verified to its end");
    stage.check(false, false);
    Outcome::Whole
}

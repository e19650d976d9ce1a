//! The connection between client and cluster: cut, slow, still, or without its last word.

use super::Outcome;
use super::seed::Dice;
use super::stage::Stage;
use super::transfer::{Transfer, UNHURRIED};
use crate::proxy::{Fault, Proxy};

/// A network that is far too slow for any JVM to wait for.
const SLOW: Fault = Fault::Rate(1 << 20);

/// A connection that lasts for so long brings something that stays: a reset throws away what is in buffers.
const ENOUGH: u64 = 10 << 20;

/// Every connection is cut after so many bytes.
pub(super) fn cut(stage: &Stage, dice: &mut Dice) -> Outcome {
    let bytes = if dice.flip() { dice.between(ENOUGH, 40 << 20) } else { dice.between(1 << 10, ENOUGH) };
    let transfer = Transfer::of(stage);
    let ran = transfer.program(&Proxy::start().with(Fault::CutAfter(bytes))).run();
    let outcome = transfer.outcome(ran);
    assert!(bytes < ENOUGH || outcome == Outcome::Whole, "connections of {bytes} bytes bring everything");
    stage.check(outcome != Outcome::Whole, false);
    outcome
}

/// It is cut, and there is no other one; later the same command goes on.
pub(super) fn cut_for_good(stage: &Stage, dice: &mut Dice) -> Outcome {
    let transfer = Transfer::of(stage);
    let (running, proxy) = transfer.under_way(&[], UNHURRIED, dice.between(2 << 20, 28 << 20));
    drop(proxy);
    let _ = transfer.kept(running.wait().says("Go on with: "), &[8]);
    stage.await_answer();
    let outcome = transfer.gone_on_with();
    stage.check(false, false);
    outcome
}

/// Nothing may wait in the pod, and the JVM only for a moment.
pub(super) fn slow_without_spool(stage: &Stage, dice: &mut Dice) -> Outcome {
    let transfer = Transfer::of(stage);
    let stall = format!("--max-stall={}ms", dice.between(200, 3000));
    let proxy = Proxy::start().with(SLOW);
    let ran = transfer.program(&proxy).args(["--spool-limit=0", &stall]).run();
    let outcome = transfer.outcome(ran.says("would have had to wait for the client for too long"));
    stage.check(false, false);
    outcome
}

/// The JVM goes on while its dump is on the way.
pub(super) fn slow(stage: &Stage, dice: &mut Dice) -> Outcome {
    let transfer = Transfer::of(stage);
    let (running, proxy) = transfer.under_way(&[], SLOW, dice.between(1 << 18, 3 << 20));
    stage.await_answer();
    proxy.release();
    let outcome = transfer.whole(running.wait());
    stage.check(false, false);
    outcome
}

/// It stands still, and the client has to find that out by itself.
pub(super) fn stalled(stage: &Stage, dice: &mut Dice) -> Outcome {
    let transfer = Transfer::of(stage);
    let bytes = dice.between(1 << 20, 28 << 20);
    let (running, proxy) = transfer.under_way(&[], Fault::StallAfter(bytes), bytes);
    stage.await_answer();
    // The next one is a better one.
    proxy.set(Fault::None);
    let outcome = transfer.whole(running.wait());
    stage.check(false, false);
    outcome
}

/// A stream that ends without a Status is cut, for all that anybody knows.
pub(super) fn status_dropped(stage: &Stage, _dice: &mut Dice) -> Outcome {
    let pod = stage.pod();
    let annotate = |value: Option<&str>| {
        let patch = serde_json::json!({"metadata": {"annotations": {"lab.jattach/drop-exec-status": value}}});
        pod.namespace.kubectl(["patch", "pod", "x", "--type=merge", "-p", &patch.to_string()]);
    };
    annotate(Some("true"));
    if pod.exec("app", ["sh", "-c", "exit 3"]).code() == Some(3) {
        return Outcome::Skipped("this cluster does not drop the Status of an exec on demand");
    }
    let transfer = Transfer::of(stage);
    let outcome = transfer.kept(transfer.program(&Proxy::start()).run(), &[8]);
    annotate(None);
    let _ = transfer.whole(transfer.program(&Proxy::start()).run());
    stage.check(false, false);
    outcome
}

/// The spool takes a part of the dump, and then the client takes its time: too much of it, or not.
pub(super) fn spool_full(stage: &Stage, dice: &mut Dice) -> Outcome {
    let transfer = Transfer::of(stage);
    let (spool, patient) = (format!("--spool-limit={}Ki", dice.between(1 << 10, 12 << 10)), dice.flip());
    let stall = if patient { "--max-stall=100s" } else { "--max-stall=500ms" };
    let (running, proxy) = transfer.under_way(&[&spool, stall], SLOW, 1 << 20);
    if patient {
        stage.await_job("heap dump at");
        proxy.release();
        let outcome = transfer.whole(running.wait());
        stage.check(false, false);
        return outcome;
    }
    let outcome = transfer.outcome(running.wait().says("would have had to wait for the client for too long"));
    stage.check(false, false);
    outcome
}

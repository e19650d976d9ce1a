//! Others who want something of the same JVM meanwhile.

use super::Outcome;
use super::seed::Dice;
use super::stage::Stage;
use super::transfer::{Transfer, UNHURRIED};
use crate::proxy::Proxy;

/// Two clients dump the same JVM: the second is told so, or waits.
pub(super) fn two_dumps(stage: &Stage, dice: &mut Dice) -> Outcome {
    let (first, second) = (Transfer::of(stage), Transfer::of(stage));
    let (running, proxy) = first.under_way(&[], UNHURRIED, dice.between(1 << 20, 16 << 20));
    let direct = Proxy::start();
    assert_eq!(second.outcome(second.program(&direct).run()), Outcome::Failed(9));
    let waiting = second.program(&direct).arg("--wait").start();
    proxy.release();
    let _ = first.whole(running.wait());
    let outcome = second.whole(waiting.wait());
    stage.check(false, false);
    outcome
}

/// Another command on the same JVM.
pub(super) fn other_command(stage: &Stage, dice: &mut Dice) -> Outcome {
    let transfer = Transfer::of(stage);
    let (running, proxy) = transfer.under_way(&[], UNHURRIED, dice.between(1 << 20, 16 << 20));
    let _ = stage.pod().jattach(["threaddump"]).ended_with(9).explains();
    let _ = stage.pod().jattach(["ps"]).succeeded().prints("App");
    let waiting = stage.pod().plugin(["threaddump", "--wait"]).start();
    proxy.release();
    let outcome = transfer.whole(running.wait());
    let _ = waiting.wait().succeeded().prints("Full thread dump");
    stage.check(false, false);
    outcome
}

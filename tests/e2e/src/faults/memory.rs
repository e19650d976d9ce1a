//! The pod's memory: when it is full, the kernel has to kill the injector and not the application.

use super::Outcome;
use super::seed::Dice;
use super::stage::Stage;
use super::transfer::{Transfer, UNHURRIED};

/// What the pod may take, in MiB: what the JVM takes, and less than /dev/shm holds beside.
pub(super) const LIMIT: u32 = 128;

/// Fills the pod's memory through the tmpfs that its containers share, until the injector is gone.
const FILL: &str = "hold=$(busybox pidof injector) || exit 4
    i=0
    while busybox kill -0 $hold 2> /dev/null && [ $i -lt 1000 ]
    do dd if=/dev/zero of=/dev/shm/filler bs=65536 count=1 seek=$i 2> /dev/null || break
       i=$((i + 1)); done
    rm /dev/shm/filler
    for pid in $hold; do ! busybox kill -0 $pid 2> /dev/null || exit 5; done";

/// Memory runs out while a dump is on its way.
pub(super) fn full(stage: &Stage, dice: &mut Dice) -> Outcome {
    let transfer = Transfer::of(stage);
    let (running, _proxy) = transfer.under_way(&[], UNHURRIED, dice.between(1 << 20, 10 << 20));
    let filled = stage.script(FILL).run();
    if filled.code() == Some(5) {
        // Neither the one nor the other was killed.
        stage.check(true, false);
        return Outcome::Skipped("this pod's memory cannot be filled through /dev/shm");
    }
    let _ = filled.succeeded();
    let outcome = transfer.kept(running.wait(), &[8]);
    stage.check(false, true);
    outcome
}

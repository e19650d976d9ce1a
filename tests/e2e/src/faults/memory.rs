//! The pod's memory: when it is full, the kernel has to kill the injector and not the application.

use super::Outcome;
use super::seed::Dice;
use super::stage::Stage;
use super::transfer::{Transfer, UNHURRIED};

/// What the pod may take, in MiB: what the JVM takes, and less than /dev/shm holds beside.
pub(super) const LIMIT: u32 = 128;

/// Fills the pod's memory through the tmpfs that its containers share, until the injector is gone. After the injector the
/// kernel takes this, should it be too slow to stop: a shell holds more than an injector, and with 999 is taken before it. The
/// injector's command line is empty as soon as it has no memory left.
const FILL: &str = "echo 900 > /proc/self/oom_score_adj
    for p in /proc/[0-9]*; do
        [ \"$(busybox tr '\\0' ' ' < $p/cmdline)\" = '/injector hold ' ] && hold=$p; done
    i=0
    while [ $i -lt 1000 ] && [ -n \"$(busybox tr '\\0' ' ' 2> /dev/null < $hold/cmdline)\" ]
    do dd if=/dev/zero of=/dev/shm/filler bs=65536 count=1 seek=$i 2> /dev/null; i=$((i + 1)); done
    rm /dev/shm/filler
    [ $i -lt 1000 ]";

/// Memory runs out while a dump is on its way.
pub(super) fn full(stage: &Stage, dice: &mut Dice) -> Outcome {
    let transfer = Transfer::of(stage);
    let (running, _proxy) = transfer.under_way(&[], UNHURRIED, dice.between(1 << 20, 10 << 20));
    if stage.script(FILL).run().code() == Some(1) {
        // Neither the one nor the other was killed.
        stage.check(true, false);
        return Outcome::Skipped("this pod's memory cannot be filled through /dev/shm");
    }
    // Where it was itself killed in the end.
    let _ = stage.shell("rm -f /dev/shm/filler");
    let outcome = transfer.kept(running.wait(), &[8]);
    stage.check(false, true);
    outcome
}

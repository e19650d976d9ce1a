//! How long the JVM has waited for us, and what is said when that was too long.

use std::time::{Duration, Instant};

use jattach_protocol::{Code, Failure};

/// For how long the JVM waits for room that only a client can make who has gone.
pub(super) const ALONE: Duration = Duration::from_secs(10);

/// What the spool's disk may take for a block without our being slow: no disk that a JVM would dump to is much faster than
/// 256 MiB a second.
const FAIR: Duration = Duration::from_millis(4);

/// A wait for room in memory.
pub(super) struct Wait {
    pub(super) begin: Instant,
    /// What was moved before.
    pub(super) moved: u32,
    /// What the JVM had waited before.
    pub(super) earlier: Duration,
}

impl Wait {
    pub(super) fn begin(moved: u32, earlier: Duration) -> Wait {
        Wait { begin: Instant::now(), moved, earlier }
    }

    /// How long it has lasted, but for what any disk takes for the blocks that have been moved meanwhile.
    pub(super) fn unfair(&self, moved: u32) -> Duration {
        self.begin.elapsed().saturating_sub(FAIR * (moved - self.moved))
    }
}

/// That it would become too long: for a client that takes nothing, or one that takes too little (`there`).
pub(super) fn stalled(waited: Duration, there: bool, spool: &str) -> Failure {
    let (client, remedy) = if there {
        (
            "",
            "allow it more with --max-stall, or more room with --spool-limit, or come from where the network is faster",
        )
    } else {
        (
            ", and its client takes nothing",
            "run the command again; with more room (--spool-limit) the dump would have been kept",
        )
    };
    Failure::new(
        Code::TimedOut,
        "the heap dump was stopped: the JVM would have had to wait for the client for too long",
    )
    .evidence(format!("it has waited {} ms beyond what any disk takes{client}; {spool}", waited.as_millis()))
    .remedy(format!("the JVM goes on; {remedy}"))
}

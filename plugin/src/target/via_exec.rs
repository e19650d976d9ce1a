//! The way that needs no ephemeral container, as a message names it that knows the pod and not the command. What is run for
//! a person puts their command in (`commands/line.rs`).

use crate::cli::NAME;

/// Stands for the command, and for the flag that sends it another way.
pub(crate) const COMMAND_VIA_EXEC: &str = "COMMAND --via=exec";

/// The command line for that pod.
pub(crate) fn via_exec(namespace: &str, pod: &str) -> String {
    format!("{NAME} -n {namespace} pod/{pod} {COMMAND_VIA_EXEC}")
}

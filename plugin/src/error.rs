//! The one failure type of the plugin: what a person is told, and the exit code a script sees.
//!
//! Where a failure comes from an API answer, [`crate::client::explain`] makes it; where the injector sent it, it comes
//! from [`jattach_protocol::Failure`]. Either way it reads cause, evidence, remedy, on one screen at most.

use std::fmt;

use crate::render::terminal;

/// The exit codes of `kubectl jattach` (README, "Exit codes").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// A failure without a code of its own.
    Other = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The target is not found, not running, or ended meanwhile.
    Target = 3,
    /// RBAC or admission refused, or the server does not know who asks.
    Refused = 4,
    /// The injector's container did not start.
    Injector = 5,
    /// The injector could not attach to the JVM.
    Attach = 6,
    /// The JVM reported a failure.
    Jvm = 7,
    /// The transfer is incomplete or corrupt.
    Transfer = 8,
    /// Another job is running.
    Busy = 9,
    /// Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    /// The exit code of that number; a number that is none of ours is [`Exit::Other`].
    pub(crate) fn from_number(number: u8) -> Exit {
        use Exit::{Attach, Busy, Injector, Interrupted, Jvm, Refused, Target, Transfer, Usage};
        [Usage, Target, Refused, Injector, Attach, Jvm, Transfer, Busy, Interrupted]
            .into_iter()
            .find(|exit| *exit as u8 == number)
            .unwrap_or(Exit::Other)
    }
}

/// The result of everything in the plugin that a person may have to be told about.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// A failure as a person reads it.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What the process ends with.
    pub(crate) exit: Exit,
    /// One sentence: what went wrong.
    pub(crate) cause: String,
    /// What was seen that shows it. May be empty, may have several lines.
    pub(crate) evidence: String,
    /// What the user can do. May be empty, may have several lines.
    pub(crate) remedy: String,
}

impl Failure {
    /// A failure with a cause alone.
    pub(crate) fn new(exit: Exit, cause: impl Into<String>) -> Failure {
        Failure { exit, cause: cause.into(), evidence: String::new(), remedy: String::new() }
    }

    /// A command line that makes no sense.
    pub(crate) fn usage(cause: impl Into<String>) -> Failure {
        Failure::new(Exit::Usage, cause)
    }

    /// The same with its evidence.
    #[must_use]
    pub(crate) fn evidence(mut self, evidence: impl Into<String>) -> Failure {
        self.evidence = evidence.into();
        self
    }

    /// The same with its remedy.
    #[must_use]
    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Failure {
        self.remedy = remedy.into();
        self
    }
}

impl From<jattach_protocol::Failure> for Failure {
    fn from(failure: jattach_protocol::Failure) -> Failure {
        Failure {
            exit: Exit::from_number(failure.code.exit_code()),
            cause: failure.cause,
            evidence: failure.evidence,
            remedy: failure.remedy,
        }
    }
}

/// How many lines, and how many characters in all, a cause, its evidence or its remedy may take: three of them fit a
/// screen of 24 lines and leave room for the prompt.
const LINES: usize = 7;
const CHARACTERS: usize = 900;

impl fmt::Display for Failure {
    /// Every part comes from somewhere else in the end: control characters are shown, never executed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&brief(&self.cause))?;
        for (label, text) in [("evidence", &self.evidence), ("remedy", &self.remedy)] {
            if !text.trim().is_empty() {
                write!(f, "\n  {label}: {}", brief(text.trim()).replace('\n', "\n    "))?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// The text, shown safely and cut to its share of a screen.
fn brief(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let more = lines.len().saturating_sub(LINES);
    lines.truncate(LINES);
    let mut brief = terminal::printable(&lines.join("\n"));
    if let Some((end, _)) = brief.char_indices().nth(CHARACTERS) {
        brief.truncate(end);
        brief.push('…');
    } else if more > 0 {
        brief.push_str(&format!("\n… and {more} more lines"));
    }
    brief
}

#[cfg(test)]
mod tests {
    use super::*;
    use jattach_protocol::Code;

    #[test]
    fn a_failure_reads_cause_evidence_remedy() {
        let failure = Failure::new(Exit::Target, "pod x is gone").evidence("404\nNotFound").remedy("look with -n");
        assert_eq!(failure.to_string(), "pod x is gone\n  evidence: 404\n    NotFound\n  remedy: look with -n");
    }

    #[test]
    fn an_escape_sequence_in_any_part_is_shown_and_not_executed() {
        let failure = Failure::new(Exit::Other, "a\x1b[2J").evidence("b\x07").remedy("c\u{9b}1m");
        let text = failure.to_string();
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }

    #[test]
    fn a_failure_never_fills_more_than_a_screen() {
        let long = "a line of evidence that a hostile image name made long\n".repeat(500);
        let wide = "x".repeat(100_000);
        let failure = Failure::new(Exit::Other, wide.clone()).evidence(long).remedy(wide);
        let text = failure.to_string();
        assert!(text.lines().count() <= 24, "{} lines", text.lines().count());
        assert!(text.chars().count() < 3_000);
    }

    #[test]
    fn every_code_of_the_protocol_keeps_its_exit_code() {
        for code in Code::ALL {
            let failure = Failure::from(jattach_protocol::Failure::new(code, "x"));
            assert_eq!(failure.exit as u8, code.exit_code());
        }
    }
}

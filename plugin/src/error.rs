//! The one failure type of the plugin: what a person is told, and the exit code a script sees.
//!
//! Where a failure comes from an API answer, [`crate::client::explain`] makes it; where the injector sent it, it comes
//! from [`jattach_protocol::Failure`]. Either way it reads cause, evidence, remedy, on one screen at most.

use std::fmt;

use jattach_protocol::Code;

use crate::catalogue::Id;
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
    /// How bad it is where several targets have failed, the worst first.
    pub(crate) fn rank(self) -> usize {
        use Exit::{Attach, Busy, Injector, Interrupted, Jvm, Other, Refused, Target, Transfer, Usage};
        [Interrupted, Refused, Injector, Attach, Target, Transfer, Jvm, Busy, Other, Usage]
            .into_iter()
            .position(|exit| exit == self)
            .unwrap_or(usize::MAX)
    }
}

/// The result of everything in the plugin that a person may have to be told about.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// A failure as a person reads it.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// By what docs/errors.md and `explain` know it.
    pub(crate) id: Id,
    /// One sentence: what went wrong.
    pub(crate) cause: String,
    /// What was seen that shows it. May be empty, may have several lines.
    pub(crate) evidence: String,
    /// What the user can do. May be empty, may have several lines.
    pub(crate) remedy: String,
}

impl Failure {
    /// A failure with a cause alone, of a kind or, where it has none of its own, with an exit code.
    pub(crate) fn new(id: impl Into<Id>, cause: impl Into<String>) -> Failure {
        Failure { id: id.into(), cause: cause.into(), evidence: String::new(), remedy: String::new() }
    }

    /// What the process ends with.
    pub(crate) fn exit(&self) -> Exit {
        self.id.exit()
    }

    /// Whether so long a remedy is shown to its end.
    pub(crate) fn shows_whole(remedy: &str) -> bool {
        !brief(REMEDY, remedy.trim(), REMEDY_ROWS).0.ends_with('…')
    }

    /// A command line that makes no sense.
    pub(crate) fn usage(cause: impl Into<String>) -> Failure {
        Failure::new(Id::Usage, cause)
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

/// How a message has a pod described that it does not know: the command's end puts it in.
pub(crate) const DESCRIBE: &str = "kubectl describe pod TARGET";

/// What there is to do about a target that has ended.
pub(crate) const ENDED: &str =
    "what it held in memory is gone with it; `kubectl describe pod TARGET` tells why it ended";

impl From<jattach_protocol::Failure> for Failure {
    fn from(failure: jattach_protocol::Failure) -> Failure {
        let failure = failure.into_parts();
        let remedy = match failure.code {
            // The injector sees a process, and knows nothing of its pod.
            Code::TargetEnded if failure.remedy.is_empty() => ENDED.to_owned(),
            _ => failure.remedy,
        };
        Failure::new(failure.code, failure.cause).evidence(failure.evidence).remedy(remedy)
    }
}

/// A screen has 24 rows of 80 columns, and its last one is the prompt's.
const COLUMNS: usize = 80;
const ROWS: usize = 23;
/// The most that a cause and a remedy take of them. What they leave is the evidence's: that is where long texts come from.
const CAUSE_ROWS: usize = 5;
const REMEDY_ROWS: usize = 10;
/// What stands before the first line of each part, and before the lines that follow it.
const ERROR: &str = "error[JAT-000]: ";
const EVIDENCE: &str = "  evidence: ";
const REMEDY: &str = "  remedy: ";
const INDENT: &str = "    ";

impl fmt::Display for Failure {
    /// Every part comes from somewhere else in the end: control characters are shown, never executed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = ROWS;
        let mut part = |label, text: &str, most: usize| {
            let (text, taken) = brief(label, text.trim(), most.min(rows));
            rows -= taken;
            text
        };
        let cause = part(ERROR, &self.cause, CAUSE_ROWS);
        let remedy = part(REMEDY, &self.remedy, REMEDY_ROWS);
        let evidence = part(EVIDENCE, &self.evidence, ROWS);
        f.write_str(&cause)?;
        for (label, text) in [(EVIDENCE, evidence), (REMEDY, remedy)] {
            if !text.is_empty() {
                write!(f, "\n{label}{text}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// The text, shown safely, cut to that many rows once its lines wrap; and how many it takes. The label that will stand
/// before it counts, and is not part of it.
fn brief(label: &str, text: &str, rows: usize) -> (String, usize) {
    let text = terminal::printable(text);
    if text.is_empty() {
        return (text, 0);
    }
    let mut brief = String::new();
    let mut taken = 1;
    let mut column = label.len();
    for c in text.chars() {
        // Wide letters begin with the Hangul of U+1100; what is narrow beyond is counted too high, which does no harm.
        let width = match c {
            '\n' => COLUMNS,
            '\t' => 8,
            '\u{1100}'.. => 2,
            _ => 1,
        };
        // One column is kept for the ellipsis.
        if taken == rows && column + width >= COLUMNS {
            brief.push('…');
            return (brief, taken);
        }
        brief.push(c);
        if c == '\n' {
            brief.push_str(INDENT);
        }
        if c == '\n' || column + width > COLUMNS {
            taken += 1;
            column = if c == '\n' { INDENT.len() } else { width };
        } else {
            column += width;
        }
    }
    (brief, taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_reads_cause_evidence_remedy() {
        let failure = Failure::new(Exit::Target, "pod x is gone").evidence("404\nNotFound").remedy("look with -n");
        assert_eq!(failure.to_string(), "pod x is gone\n  evidence: 404\n    NotFound\n  remedy: look with -n");
    }

    #[test]
    fn a_target_that_has_ended_has_a_remedy_whoever_tells_of_it() {
        let told = |remedy: &str| {
            let failure = jattach_protocol::Failure::new(Code::TargetEnded, "process 6 ended").remedy(remedy);
            Failure::from(failure).remedy
        };
        assert_eq!((told("").as_str(), told("its own").as_str()), (ENDED, "its own"));
    }

    #[test]
    fn an_escape_sequence_in_any_part_is_shown_and_not_executed() {
        let failure = Failure::new(Exit::Other, "a\x1b[2J").evidence("b\x07").remedy("c\u{9b}1m");
        let text = failure.to_string();
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }

    /// How many rows a terminal of 80 columns needs for it.
    fn rows(failure: &Failure) -> usize {
        let text = format!("{ERROR}{failure}");
        text.lines().map(|line| line.chars().count().div_ceil(80).max(1)).sum()
    }

    #[test]
    fn a_failure_never_fills_more_than_a_screen() {
        let lines = "a line of evidence that a hostile image name made long\n".repeat(500);
        let wide = "x".repeat(100_000);
        let wrapping = format!("{}\n", "y".repeat(150)).repeat(7);
        let empty = "\n".repeat(1_000) + "end";
        for (cause, evidence, remedy) in
            [(&wide, &lines, &wide), (&wrapping, &wrapping, &wrapping), (&lines, &empty, &wide)]
        {
            let failure = Failure::new(Exit::Other, cause.clone()).evidence(evidence.clone()).remedy(remedy.clone());
            assert!(rows(&failure) <= 23, "{} rows: {failure}", rows(&failure));
            assert!(failure.to_string().contains("\n  remedy: "), "{failure}");
        }
    }

    #[test]
    fn a_short_cause_leaves_its_rows_to_the_evidence() {
        let evidence = (1..=20).map(|line| format!("line {line}")).collect::<Vec<_>>().join("\n");
        let failure = Failure::new(Exit::Other, "short").evidence(evidence).remedy("short too");
        assert!(failure.to_string().contains("line 20\n  remedy: short too"), "{failure}");
    }

    #[test]
    fn every_code_of_the_protocol_keeps_its_exit_code() {
        for code in Code::ALL {
            let failure = Failure::from(jattach_protocol::Failure::new(code, "x"));
            assert_eq!(failure.exit() as u8, code.exit_code());
        }
    }
}

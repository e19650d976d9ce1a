//! What the checks have found: one screen for a person, a document for a script, and the exit code.

use std::collections::BTreeMap;

use serde::Serialize;

use super::check::Check;
use crate::error::{Exit, Failure};
use crate::render::terminal::printable;

/// What one check has found.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is as it should be: what was seen.
    Ok(String),
    /// Some commands do not work, or do harm.
    Warn {
        /// What was seen.
        text: String,
        /// What the user can do.
        remedy: String,
    },
    /// What a command would end with.
    Fail(Failure),
    /// It was not looked at, and why.
    Skipped(String),
}

impl Verdict {
    /// A warning.
    pub(super) fn warn(text: impl Into<String>, remedy: impl Into<String>) -> Verdict {
        Verdict::Warn { text: text.into(), remedy: remedy.into() }
    }
}

impl From<Failure> for Verdict {
    fn from(failure: Failure) -> Verdict {
        Verdict::Fail(failure)
    }
}

/// What all checks have found.
#[derive(Debug, Default)]
pub(super) struct Report {
    verdicts: BTreeMap<Check, Verdict>,
}

/// A check as `-o json` shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    check: &'a str,
    result: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    text: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    evidence: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    remedy: &'a str,
}

/// The whole as `-o json` shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document<'a> {
    checks: Vec<Row<'a>>,
    exit_code: u8,
}

/// A terminal's width. A line that says that all is well is not worth a second one.
const COLUMNS: usize = 80;

/// Its height; the last row is the prompt's.
const ROWS: usize = 24;

/// The most characters of a cause and of its remedy, so that several of them leave room on the screen for the other checks;
/// evidence has the rest of its line. The document has all of them whole, and so has the refusal of the command itself.
const CAUSE: usize = 130;
pub(super) const REMEDY: usize = 600;
/// The most lines of a remedy, which may be of the injector's words.
const REMEDY_LINES: usize = 10;
const INDENT: &str = "      ";

impl Report {
    /// Adds what a check has found.
    pub(super) fn add(&mut self, check: Check, verdict: impl Into<Verdict>) {
        self.verdicts.insert(check, verdict.into());
    }

    /// Has the command lines in all remedies made exact.
    pub(super) fn exact(&mut self, lines: impl Fn(&str) -> String) {
        for verdict in self.verdicts.values_mut() {
            if let Verdict::Warn { remedy, .. } | Verdict::Fail(Failure { remedy, .. }) = verdict {
                *remedy = lines(remedy);
            }
        }
    }

    /// Why a check cannot be made: one that it needs has failed, or cannot be made itself.
    pub(super) fn obstacle(&self, check: Check) -> Option<String> {
        check.needs().iter().find_map(|need| self.because_of(*need))
    }

    /// How a check is the reason that another one is not made, if it is.
    pub(super) fn because_of(&self, check: Check) -> Option<String> {
        match self.verdicts.get(&check) {
            Some(Verdict::Fail(_)) => Some(format!("because \"{}\" failed", check.name())),
            Some(Verdict::Skipped(why)) => Some(why.clone()),
            Some(Verdict::Ok(_) | Verdict::Warn { .. }) => None,
            None => self.obstacle(check),
        }
    }

    /// Whether nothing stands in a check's way.
    pub(super) fn allows(&self, check: Check) -> bool {
        self.obstacle(check).is_none()
    }

    /// Adds what has not been looked at: because of what stands in its way, or else for that reason.
    pub(super) fn skip_the_rest(&mut self, why: &str) {
        for check in Check::ALL {
            if !self.verdicts.contains_key(&check) {
                let why = self.obstacle(check).unwrap_or_else(|| why.to_owned());
                self.add(check, Verdict::Skipped(why));
            }
        }
    }

    /// The exit code of the first check that failed; `None` where all is well.
    pub(super) fn exit(&self) -> Option<Exit> {
        self.verdicts.values().find_map(|verdict| match verdict {
            Verdict::Fail(failure) => Some(failure.exit()),
            _ => None,
        })
    }

    /// The first check that failed, by what it has found; the report has the rest.
    pub(super) fn failed(&self) -> Option<Failure> {
        self.verdicts.values().find_map(|verdict| match verdict {
            Verdict::Fail(failure) => Some(Failure::new(failure.id, failure.cause.clone())),
            _ => None,
        })
    }

    /// A line a check, and its remedy beneath where there is something to be done. Where that is more than a screen, checks
    /// that were not made for the same reason share a line.
    pub(super) fn text(&self) -> String {
        let text = self.lines(false);
        let rows: usize = text.lines().map(|line| line.chars().count().div_ceil(COLUMNS).max(1)).sum();
        if rows < ROWS { text } else { self.lines(true) }
    }

    fn lines(&self, folded: bool) -> String {
        let width = self.verdicts.keys().map(|check| check.name().len()).max().unwrap_or(0);
        let mut text = String::new();
        let mut rows = self.rows().peekable();
        while let Some(row) = rows.next() {
            let mut checks = row.check.to_owned();
            let is_alike =
                |next: &Row<'_>| folded && row.result == "skip" && (next.result, next.text) == ("skip", row.text);
            while let Some(next) = rows.next_if(is_alike) {
                checks.extend([", ", next.check]);
            }
            let mut line = format!("{:<4}  {checks:<width$}  ", row.result);
            let is_quiet = row.remedy.is_empty() && row.evidence.is_empty();
            let room = COLUMNS.saturating_sub(line.chars().count());
            line.push_str(&if is_quiet { one_line(row.text, room) } else { one_line(row.text, CAUSE) });
            line.extend(row.id.iter().map(|id| format!(" ({id})")));
            text.push_str(line.trim_end());
            text.push('\n');
            if !row.evidence.is_empty() {
                let label = format!("{INDENT}evidence: ");
                text.push_str(&format!("{label}{}\n", one_line(row.evidence, COLUMNS - label.len())));
            }
            if !row.remedy.is_empty() {
                text.push_str(&format!("{INDENT}remedy: {}\n", indented(row.remedy, REMEDY)));
            }
        }
        text
    }

    /// The same for a script.
    pub(super) fn document(&self) -> Document<'_> {
        Document { checks: self.rows().collect(), exit_code: self.exit().map_or(0, |exit| exit as u8) }
    }

    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.verdicts.iter().map(|(check, verdict)| {
            let id = if let Verdict::Fail(failure) = verdict { Some(failure.id.to_string()) } else { None };
            let (result, text, evidence, remedy) = match verdict {
                Verdict::Ok(text) => ("ok", text, "", ""),
                Verdict::Warn { text, remedy } => ("warn", text, "", remedy.as_str()),
                Verdict::Fail(failure) => ("fail", &failure.cause, failure.evidence.as_str(), failure.remedy.as_str()),
                Verdict::Skipped(why) => ("skip", why, "", ""),
            };
            Row { check: check.name(), result, id, text, evidence, remedy }
        })
    }
}

/// Safe to show, in one line, of so many characters at the most.
fn one_line(text: &str, most: usize) -> String {
    cut(&printable(text).split_whitespace().collect::<Vec<_>>().join(" "), most)
}

/// Safe to show, its own lines kept beneath one another.
fn indented(text: &str, most: usize) -> String {
    let text = printable(text.trim());
    let lines: Vec<&str> = text.lines().take(REMEDY_LINES).collect();
    cut(&lines.join("\n"), most).trim().replace('\n', "\n        ")
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Id;
    use serde_json::json;

    fn failure(id: Id) -> Failure {
        Failure::new(id, "a cause").evidence("what was seen").remedy("what to do\nand then")
    }

    fn report() -> Report {
        let mut report = Report::default();
        // In whatever order they are made.
        report.add(Check::Exec, failure(Id::NotAttachable));
        report.add(Check::ApiServer, Verdict::Ok("fine".to_owned()));
        report.add(Check::Permissions, Verdict::warn("not so fine", "look at it"));
        report.add(Check::Target, failure(Id::PodEnded));
        report.skip_the_rest("not asked for");
        report
    }

    #[test]
    fn a_report_has_a_line_a_check_and_the_remedies_beneath() {
        let text = report().lines(false);
        let expected = "\
ok    API server       fine
warn  permissions      not so fine
      remedy: look at it
fail  target           a cause (JAT-173)
      evidence: what was seen
      remedy: what to do
        and then
";
        assert!(text.starts_with(expected), "{text}");
        assert_eq!(text.lines().filter(|line| !line.starts_with(' ')).count(), Check::ALL.len(), "{text}");
        assert!(text.contains("\nskip  injector         because \"target\" failed\n"), "{text}");
    }

    #[test]
    fn the_exit_code_is_that_of_the_first_check_that_fails() {
        assert_eq!(report().exit(), Some(Exit::Target));
        let mut fine = Report::default();
        fine.add(Check::ApiServer, Verdict::Ok("fine".to_owned()));
        fine.add(Check::Permissions, Verdict::warn("not so fine", "look at it"));
        fine.skip_the_rest("not asked for");
        assert_eq!(fine.exit(), None);
    }

    #[test]
    fn where_a_line_a_check_is_more_than_a_screen_skipped_ones_share_theirs() {
        let failed = |remedy: &str| {
            let mut report = Report::default();
            report.add(Check::ApiServer, Verdict::Ok("fine".to_owned()));
            report.add(Check::Target, Failure::new(Id::PodEnded, "a cause").remedy(remedy));
            report.add(Check::NodeOs, Verdict::Ok("fine".to_owned()));
            report.skip_the_rest("not asked for");
            report.text()
        };
        assert_eq!(failed("short").lines().count(), Check::ALL.len() + 1);
        let text = failed(&"long ".repeat(100));
        assert!(
            text.contains("\nskip  admission, injector, uid and gid, capabilities, labels  not asked for\n"),
            "{text}"
        );
        for check in Check::ALL {
            assert!(text.contains(check.name()), "{}\n{text}", check.name());
        }
    }

    #[test]
    fn a_script_reads_the_same_as_a_person() {
        let document = serde_json::to_value(report().document()).expect("a document");
        assert_eq!(document["exitCode"], 3);
        assert_eq!(document["checks"][0], json!({"check": "API server", "result": "ok", "text": "fine"}));
        let target = json!({
            "check": "target", "result": "fail", "id": "JAT-173", "text": "a cause", "evidence": "what was seen",
            "remedy": "what to do\nand then",
        });
        assert_eq!(document["checks"][2], target);
        let rows = document["checks"].as_array().expect("a list");
        let results: Vec<_> = rows.iter().map(|row| row["result"].as_str().expect("a word")).collect();
        assert_eq!(results[..4], ["ok", "warn", "fail", "skip"]);
        assert_eq!(results.len(), Check::ALL.len());
    }

    #[test]
    fn a_check_is_skipped_for_what_has_failed_first() {
        let report = report();
        assert!(report.allows(Check::Target), "a warning stands in nobody's way");
        assert_eq!(report.obstacle(Check::Injector).as_deref(), Some("because \"target\" failed"));
        let mut rest = Report::default();
        rest.add(Check::Injector, failure(Id::ImagePull));
        assert_eq!(rest.obstacle(Check::Jvm).as_deref(), Some("because \"injector\" failed"), "through others");
        assert_eq!(rest.obstacle(Check::Injector), None);
    }

    #[test]
    fn what_is_left_out_without_an_obstacle_has_the_reason_that_is_given() {
        let mut report = Report::default();
        report.skip_the_rest("because of --dry-run");
        assert!(report.text().lines().all(|line| line.ends_with("because of --dry-run")), "{}", report.text());
    }

    #[test]
    fn what_a_hostile_target_says_stays_in_its_line_and_is_not_executed() {
        let mut report = Report::default();
        let hostile = format!("\x1b[2Jok\n\rfail  {}", "x".repeat(100_000));
        report.add(Check::Jvm, Verdict::Ok(hostile.clone()));
        let failure = Failure::new(Id::NotAttachable, hostile.clone()).evidence(hostile.clone()).remedy(hostile);
        report.add(Check::Attachable, failure);
        let text = report.text();
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        assert!(text.chars().count() < 2_000, "{} characters", text.chars().count());
        assert_eq!(text.lines().filter(|line| !line.starts_with(' ')).count(), 2, "{text}");
        assert!(text.lines().next().is_some_and(|line| line.chars().count() <= COLUMNS), "{text}");
    }
}

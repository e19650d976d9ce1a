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

/// A terminal's width and its height, whose last row is the prompt's.
const COLUMNS: usize = 80;
const ROWS: usize = 24;

/// The most characters of a remedy; the refusal of the command itself has all of it, and so has the document.
const REMEDY: usize = 600;
/// The most lines of one, which may be of the injector's words.
const REMEDY_LINES: usize = 10;
/// How many rows a remedy may take for all checks to find room beside it, if it is the only long one.
const FEW_ROWS: usize = 8;
/// The most characters of what several checks were skipped for: the first names stand in the same line.
const CAUSE_OF_SEVERAL: usize = 40;
const INDENT: &str = "      ";

/// How much of the findings is shown: so much that all of it fits a screen, where that can be had.
struct Layout {
    /// The most characters of what a failure or a warning says.
    cause: usize,
    /// Rows of a failure's evidence, the first of them shared with its label; and of what goes well or was not looked at.
    rows: usize,
    /// Of the checks that went well, those that share a line.
    shares: fn(Check) -> bool,
}

/// From the one that shows most to the one that takes least. Checks that were skipped for the same reason share a line in each.
const LAYOUTS: [Layout; 4] = [
    Layout { cause: 320, rows: 3, shares: |_| false },
    Layout { cause: 130, rows: 1, shares: |_| false },
    Layout { cause: 130, rows: 1, shares: Check::is_plain },
    Layout { cause: 130, rows: 1, shares: |_| true },
];

/// Whether a remedy leaves room for the other checks.
pub(super) fn leaves_room(remedy: &str) -> bool {
    rows(&format!("{INDENT}remedy: {}", indented(remedy, usize::MAX))) <= FEW_ROWS && remedy.chars().count() <= REMEDY
}

/// How many a text takes on a terminal.
fn rows(text: &str) -> usize {
    text.lines().map(|line| line.chars().count().div_ceil(COLUMNS).max(1)).sum()
}

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

    /// A line a check, and its remedy beneath where there is something to be done. What several checks were skipped for is said
    /// once, at the end; where all the rest is more than a screen, there is less of it.
    pub(super) fn text(&self) -> String {
        let texts = LAYOUTS.iter().map(|layout| self.laid_out(layout));
        texts.reduce(|more, less| if rows(&more) < ROWS { more } else { less }).unwrap_or_default()
    }

    fn laid_out(&self, layout: &Layout) -> String {
        let width = self.verdicts.keys().map(|check| check.name().len()).max().unwrap_or(0);
        let mut text = String::new();
        let mut shared: Vec<(&str, Vec<&str>)> = Vec::new();
        for (row, check) in self.rows().zip(self.verdicts.keys()) {
            // Why it was skipped, or nothing but that it went well.
            let alike = match row.result {
                "ok" if (layout.shares)(*check) => Some(""),
                "skip" if self.rows().filter(|other| other.is_skipped_as(&row)).count() > 1 => Some(row.text),
                _ => None,
            };
            match alike.map(|why| (why, shared.iter_mut().find(|(known, _)| *known == why))) {
                Some((_, Some((_, checks)))) => checks.push(row.check),
                Some((why, None)) => shared.push((why, vec![row.check])),
                None => text.push_str(&row.lines(width, layout)),
            }
        }
        shared.sort_by_key(|(why, _)| !why.is_empty());
        text.extend(shared.iter().map(|(why, checks)| shared_line(why, checks, width)));
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

impl Row<'_> {
    fn is_skipped_as(&self, other: &Row<'_>) -> bool {
        (self.result, self.text) == ("skip", other.text)
    }

    fn lines(&self, width: usize, layout: &Layout) -> String {
        let mut line = format!("{:<4}  {:<width$}  ", self.result, self.check);
        let is_quiet = self.remedy.is_empty() && self.evidence.is_empty();
        let room = (layout.rows * COLUMNS).saturating_sub(line.chars().count());
        line.push_str(&one_line(self.text, if is_quiet { room } else { layout.cause }));
        line.extend(self.id.iter().map(|id| format!(" ({id})")));
        let mut text = format!("{}\n", line.trim_end());
        if !self.evidence.is_empty() {
            let label = format!("{INDENT}evidence: ");
            let room = layout.rows * COLUMNS - label.len();
            text.push_str(&format!("{label}{}\n", one_line(self.evidence, room)));
        }
        if !self.remedy.is_empty() {
            text.push_str(&format!("{INDENT}remedy: {}\n", indented(self.remedy, REMEDY)));
        }
        text
    }
}

/// Several checks that went well, or were skipped, and `why` that was.
fn shared_line(why: &str, checks: &[&str], width: usize) -> String {
    let result = if why.is_empty() { "ok" } else { "skip" };
    let number = format!("{} checks", checks.len());
    let why = if why.is_empty() { String::new() } else { format!("{}: ", one_line(why, CAUSE_OF_SEVERAL)) };
    let mut text = format!("{result:<4}  {number:<width$}  {why}");
    let mut column = text.chars().count();
    for (index, check) in checks.iter().enumerate() {
        let word = if index + 1 < checks.len() { format!("{check}, ") } else { (*check).to_owned() };
        if column + word.trim_end().chars().count() > COLUMNS {
            text = format!("{}\n{INDENT}", text.trim_end());
            column = INDENT.len();
        }
        column += word.chars().count();
        text.push_str(&word);
    }
    text + "\n"
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
        let text = report().laid_out(&LAYOUTS[0]);
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
        assert!(text.contains("\nfail  exec             a cause (JAT-009)\n"), "{text}");
        let expected = "
skip  9 checks         because \"target\" failed: static pod, node OS, admission,
      injector, /tmp writable, free space here, storage limit, memory, probes
skip  7 checks         because \"exec\" failed: uid and gid, capabilities, labels,
      JVM, attachable, free in the pod, speed to here
";
        assert!(text.ends_with(expected), "{text}");
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

    /// All is well, but for what stands in the way of one check.
    fn all_but_tmp(failure: Failure) -> Report {
        let mut report = Report::default();
        for check in Check::ALL {
            report.add(check, Verdict::Ok(format!("what {} has found", check.name())));
        }
        report.add(Check::Tmp, failure);
        report
    }

    #[test]
    fn what_is_plain_gives_way_to_a_long_remedy_and_then_all_that_goes_well() {
        let shown = |remedy: &str| {
            let text = all_but_tmp(Failure::new(Id::TmpNotWritable, "a cause").remedy(remedy)).text();
            assert!(rows(&text) < ROWS, "{text}");
            assert!(Check::ALL.iter().all(|check| text.contains(check.name())), "{text}");
            text
        };
        let lines = |count: usize| vec!["a line"; count].join("\n");
        assert!(!shown("short").contains(" checks "));
        let text = shown(&lines(FEW_ROWS));
        assert!(
            text.ends_with(
                "\nok    8 checks         permissions, static pod, node OS, admission, uid and gid,\n      \
             capabilities, labels, exec\n"
            ),
            "{text}"
        );
        assert!(text.contains("what memory has found"), "{text}");
        assert!(shown(&lines(REMEDY_LINES)).contains("\nok    19 checks        API server, "));
    }

    #[test]
    fn evidence_has_the_rows_that_are_left_and_one_where_none_are() {
        let shown = |remedy: &str| {
            let failure = Failure::new(Id::Webhook, "a cause").evidence("word ".repeat(45)).remedy(remedy);
            let text = all_but_tmp(failure).text();
            text.lines().find(|line| line.starts_with("      evidence: ")).expect("evidence").chars().count()
        };
        let mut report = Report::default();
        let failure = Failure::new(Id::Webhook, "a cause").evidence("word ".repeat(40)).remedy("short");
        report.add(Check::Admission, failure);
        report.skip_the_rest("because of --dry-run");
        assert!(report.text().contains(&format!("evidence: {}\n", "word ".repeat(40).trim())), "{}", report.text());
        assert_eq!(shown("short"), COLUMNS, "one row more is one too many");
    }

    #[test]
    fn a_remedy_leaves_room_by_the_rows_that_it_takes() {
        assert!(leaves_room(&["x"; FEW_ROWS].join("\n")) && !leaves_room(&["x"; FEW_ROWS + 1].join("\n")));
        assert!(leaves_room(&"x".repeat(500)) && !leaves_room(&"x".repeat(601)));
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
        let text = report.text();
        assert!(text.starts_with("skip  20 checks        because of --dry-run: API server, "), "{text}");
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
        assert!(text.lines().next().is_some_and(|line| line.chars().count() <= 3 * COLUMNS), "{text}");
    }
}

//! What is reported: one line for each thing measured, as a table for people and as JSON for programs.

use std::fmt;

use anyhow::Result;
use serde::Serialize;

/// One thing measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Line {
    pub(super) name: String,
    /// None where it was not measured; then `note` says why.
    pub(super) value: Option<f64>,
    /// "ratio" is of two measurements of one run.
    pub(super) unit: &'static str,
    /// None where the value is only told, mostly beside a ratio that is made of it.
    pub(super) target: Option<Target>,
    /// Whether the target is met; None where there is nothing to compare.
    pub(super) ok: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
}

/// What a value should be. JSON has it as the table does: "<= 0.4".
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Line {
    /// A value without a target.
    pub(super) fn told(name: impl Into<String>, value: f64, unit: &'static str) -> Line {
        Line { name: name.into(), value: Some(value), unit, target: None, ok: None, note: None }
    }

    /// A value that is judged.
    pub(super) fn judged(name: impl Into<String>, value: f64, unit: &'static str, target: Target) -> Line {
        let ok = target.is_met(value);
        Line { target: Some(target), ok: Some(ok), ..Line::told(name, value, unit) }
    }

    /// Two measurements of one run, of which the first should be at most so much of the second.
    pub(super) fn ratio(name: impl Into<String>, ours: f64, theirs: f64, limit: f64) -> Line {
        Line::judged(name, ours / theirs, "ratio", Target::AtMost(limit))
    }

    /// Something that cannot be measured here.
    pub(super) fn skipped(name: impl Into<String>, why: impl fmt::Display) -> Line {
        let note = Some(format!("skipped: {why}"));
        Line { name: name.into(), value: None, unit: "", target: None, ok: None, note }
    }

    /// Something whose measurement has failed.
    pub(super) fn failed(name: impl Into<String>, why: impl fmt::Display) -> Line {
        // A program's complaint may have many lines, a table's row has one.
        let why = why.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        let note = Some(format!("failed: {why}"));
        Line { name: name.into(), value: None, unit: "", target: None, ok: Some(false), note }
    }

    /// The same with a remark.
    pub(super) fn note(self, note: impl Into<String>) -> Line {
        Line { note: Some(note.into()), ..self }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.value.is_none() && self.ok == Some(false)
    }

    fn cells(&self) -> [String; 5] {
        let value = self.value.map_or_else(|| "-".to_owned(), number);
        let target = self.target.map(|target| target.to_string()).unwrap_or_default();
        let verdict = match self.ok {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "",
        };
        [self.name.clone(), value, self.unit.to_owned(), target, verdict.to_owned()]
    }
}

impl Target {
    fn is_met(self, value: f64) -> bool {
        match self {
            Target::AtMost(limit) => value <= limit,
            Target::AtLeast(limit) => value >= limit,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::AtMost(limit) => write!(out, "<= {limit}"),
            Target::AtLeast(limit) => write!(out, ">= {limit}"),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// All lines as one JSON array.
pub(super) fn json(lines: &[Line]) -> Result<String> {
    Ok(serde_json::to_string_pretty(lines)?)
}

/// All lines in columns, remarks behind them.
pub(super) fn table(lines: &[Line]) -> String {
    let head = ["name", "value", "unit", "target", "ok"].map(str::to_owned);
    let rows: Vec<([String; 5], Option<&str>)> =
        std::iter::once((head, None)).chain(lines.iter().map(|line| (line.cells(), line.note.as_deref()))).collect();
    let mut widths = [0; 5];
    for (cells, _) in &rows {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = cell.chars().count().max(*width);
        }
    }
    let [a, b, c, d, e] = widths;
    let mut text = String::new();
    for ([name, value, unit, target, ok], note) in rows {
        let row =
            format!("{name:a$}  {value:>b$}  {unit:c$}  {target:d$}  {ok:e$}  {note}", note = note.unwrap_or_default());
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

/// Three digits that mean something are what such measurements are good for.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Vec<Line> {
        vec![
            Line::judged("transfer, 64 MB", 0.312_34, "ratio", Target::AtMost(0.4)),
            Line::judged("verify", 950.0, "MB/s", Target::AtLeast(1000.0)),
            Line::told("ours", 12.345, "s"),
            Line::skipped("transfer, 2048 MB", "disk"),
        ]
    }

    #[test]
    fn a_target_is_an_upper_or_a_lower_bound_and_its_own_value_meets_it() {
        let ok = |value, target| Line::judged("", value, "", target).ok;
        assert_eq!(ok(0.4, Target::AtMost(0.4)), Some(true));
        assert_eq!(ok(0.41, Target::AtMost(0.4)), Some(false));
        assert_eq!(ok(1000.0, Target::AtLeast(1000.0)), Some(true));
        assert_eq!(ok(999.0, Target::AtLeast(1000.0)), Some(false));
        assert_eq!(ok(f64::NAN, Target::AtMost(0.4)), Some(false), "no number is no success");
    }

    #[test]
    fn the_table_says_what_was_measured_what_was_wanted_and_what_was_not_measured() {
        let expected = "\
name               value  unit   target   ok
transfer, 64 MB    0.312  ratio  <= 0.4   yes
verify               950  MB/s   >= 1000  NO
ours                12.3  s
transfer, 2048 MB      -                       skipped: disk
";
        assert_eq!(table(&lines()), expected);
    }

    #[test]
    fn json_is_one_array_whose_values_are_numbers_or_null() {
        let json: serde_json::Value =
            serde_json::from_str(&json(&lines()).expect("lines are JSON")).expect("JSON is read back");
        let expected = serde_json::json!([
            {"name": "transfer, 64 MB", "value": 0.312_34, "unit": "ratio", "target": "<= 0.4", "ok": true},
            {"name": "verify", "value": 950.0, "unit": "MB/s", "target": ">= 1000", "ok": false},
            {"name": "ours", "value": 12.345, "unit": "s", "target": null, "ok": null},
            {"name": "transfer, 2048 MB", "value": null, "unit": "", "target": null, "ok": null, "note": "skipped: disk"},
        ]);
        assert_eq!(json, expected);
    }
}

//! `explain`: what the catalogue of errors says of one, or the list of them all.

use serde::Serialize;

use crate::catalogue::Id;
use crate::options::OutputFormat;
use crate::render::document::document;
use crate::render::stdout::print;
use crate::render::table::Table;

/// One error, as `-o json` shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    id: String,
    exit_code: u8,
    title: &'static str,
    meaning: &'static str,
    evidence: &'static str,
    remedy: &'static str,
}

/// Prints one error, or a table of all.
///
/// # Errors
/// Those of standard output.
pub(super) fn run(id: Option<Id>, format: Option<OutputFormat>) -> anyhow::Result<()> {
    let text = match (id, format) {
        (Some(id), Some(format)) => document(&Document::of(id), format)?,
        (None, Some(format)) => document(&Id::ALL.map(Document::of).as_slice(), format)?,
        (Some(id), None) => one(id),
        (None, None) => all(),
    };
    Ok(print(&text, &mut std::io::stdout())?)
}

impl Document {
    fn of(id: Id) -> Document {
        let entry = id.entry();
        Document {
            id: id.to_string(),
            exit_code: id.exit() as u8,
            title: id.title(),
            meaning: entry.meaning,
            evidence: entry.evidence,
            remedy: entry.remedy,
        }
    }
}

/// A terminal's width.
const COLUMNS: usize = 80;

fn one(id: Id) -> String {
    let entry = id.entry();
    let options = |label| textwrap::Options::new(COLUMNS).initial_indent(label).subsequent_indent("    ");
    let part = |label, text| textwrap::fill(text, options(label));
    format!(
        "{id}: {}\n{}\n{}\n{}\n  exit code: {}\n",
        id.title(),
        part("  ", entry.meaning),
        part("  evidence: ", entry.evidence),
        part("  remedy: ", entry.remedy),
        id.exit() as u8
    )
}

fn all() -> String {
    let mut table = Table::new(["ID", "EXIT CODE", "ERROR"]);
    for id in Id::ALL {
        table.row([id.to_string(), (id.exit() as u8).to_string(), id.title().to_owned()]);
    }
    table.text()
}

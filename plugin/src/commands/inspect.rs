//! `inspect`: what a heap dump file holds, whole or not.

mod report;
mod text;

use std::collections::BTreeMap;

use super::offline::{self, Teller};
use super::verify::Verdict;
use crate::census::{self, Census};
use crate::error::Failure;
use crate::hprof_file::{self, HprofFile};
use crate::options::{Input, Output};
use crate::render::document::document;
use crate::render::stdout::print;
use report::Report;

/// Reads the dump to its end, or to where it breaks, and prints what it holds: of each list the first `top`.
///
/// # Errors
/// 1 where the file cannot be read or is no dump, 8 where the dump is not whole: after what there is of it has been shown.
pub(super) async fn run(dump: Input, top: usize, output: Output) -> anyhow::Result<()> {
    let report = offline::work(output.quiet, move |teller| {
        let mut dump = HprofFile::open(&dump)?;
        look(&mut dump, top, teller)
    });
    let report = report.await?;
    match output.format {
        Some(format) => print(&document(&report, format)?, &mut std::io::stdout())?,
        None if report.verdict.is_dump() => print(&text::text(&report), &mut std::io::stdout())?,
        None => {}
    }
    Ok(report.verdict.check("")?)
}

fn look(dump: &mut HprofFile, top: usize, teller: &Teller) -> Result<Report, Failure> {
    teller.phase("reading");
    let stored = dump.stored();
    let mut pass = hprof_file::read(dump, Census::new(top), &|bytes| teller.bytes(bytes, stored))?;
    let sound = pass.broken.as_ref().map_or(pass.summary.bytes, hprof_file::Broken::offset);
    pass.visitor.end(sound);
    let verdict = Verdict::of(dump, &pass, pass.visitor.zeroed());
    let names = thread_names(dump, &pass.visitor, teller);
    Ok(Report::of(verdict, &pass.visitor, names, top))
}

/// What the threads are called, as far as that can be found: nobody needs it so much that not finding it were a failure.
fn thread_names(dump: &mut HprofFile, census: &Census, teller: &Teller) -> BTreeMap<u32, String> {
    let Some(mut again) = dump.again() else { return BTreeMap::new() };
    teller.phase("looking up the threads' names");
    census::find_thread_names(census, &mut again).unwrap_or_else(|error| {
        tracing::info!(%error, "the dump cannot be read again");
        BTreeMap::new()
    })
}

//! Commands whose answer is a text: what the JVM prints goes to stdout as it comes.

use std::io::{self, Write};

use jattach_protocol::message::Operation;

use super::Context;
use crate::error::Failure;
use crate::receive::{self, Printer, Told};
use crate::render::out::Stream;
use crate::render::stdout;
use crate::render::terminal::JvmOutput;
use crate::session::{Error, Session};

/// Has the injector do `operation`, and prints the answer, of a histogram its head and its first `top` rows.
///
/// # Errors
/// Those of the conversation.
pub(super) async fn run(
    context: &Context,
    session: &mut Session,
    operation: Operation,
    top: Option<u32>,
) -> Result<(), Error> {
    session.request(context.request(operation));
    receive(context, session, top).await
}

/// Prints the answer to the request under way.
///
/// # Errors
/// Those of the conversation.
pub(super) async fn receive(context: &Context, session: &mut Session, top: Option<u32>) -> Result<(), Error> {
    let printed = Printed { to: Some(context.out.jvm()), filter: top.map(Top::new) };
    let mut told = |told| {
        if let Told::Behind(before) = told {
            context.behind(&before);
        }
    };
    receive::text(session, printed, &mut told).await
}

/// Where the answer goes, until its reader goes: then the rest is received and left.
struct Printed {
    to: Option<JvmOutput<Stream>>,
    filter: Option<Top>,
}

impl Printer for Printed {
    fn print(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let Some(to) = &mut self.to else { return Ok(()) };
        let result = match &mut self.filter {
            None => to.write_all(bytes),
            Some(top) => to.write_all(&top.pass(bytes)),
        };
        self.went_well(result)
    }

    fn finish(mut self) -> Result<(), Failure> {
        let result = self.to.take().map_or(Ok(()), |to| to.finish().map(drop));
        self.went_well(result)
    }
}

impl Printed {
    fn went_well(&mut self, result: io::Result<()>) -> Result<(), Failure> {
        if !stdout::heard(result)? {
            self.to = None;
        }
        Ok(())
    }
}

/// A class name is at most 64 KiB long, as the class file format has it.
const LONGEST_ROW: usize = 128 << 10;

/// The first rows of a class histogram with its head and its total. A row begins with its rank and a colon.
struct Top {
    rows: u32,
    passed: u32,
    line: Vec<u8>,
}

impl Top {
    fn new(rows: u32) -> Top {
        Top { rows, passed: 0, line: Vec::new() }
    }

    fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut passed = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            // What is so long is no row, and is not waited for.
            if part.ends_with(b"\n") || self.line.len() > LONGEST_ROW {
                let line = std::mem::take(&mut self.line);
                let is_row = line.len() <= LONGEST_ROW && is_row(&line);
                self.passed += u32::from(is_row);
                if !is_row || self.passed <= self.rows {
                    passed.extend(line);
                }
            }
        }
        passed
    }
}

fn is_row(line: &[u8]) -> bool {
    let rank = line.trim_ascii_start();
    let digits = rank.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && rank.get(digits) == Some(&b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    const HISTOGRAM: &str = " num     #instances         #bytes  class name (module)\n\
        -------------------------------------------------------\n   1:  9  900  [B (java.base@17)\n   2:  8  80  A\n\
        \u{20}  3:  1  8  B\nTotal  18  988\n";

    #[test]
    fn the_top_rows_keep_the_head_and_the_total_wherever_the_pieces_are_cut() {
        for cut in 0..HISTOGRAM.len() {
            let mut top = Top::new(2);
            let (first, second) = HISTOGRAM.as_bytes().split_at(cut);
            let shown = [top.pass(first), top.pass(second)].concat();
            let shown = String::from_utf8(shown).expect("text");
            assert_eq!(shown, HISTOGRAM.replace("   3:  1  8  B\n", ""));
        }
    }

    #[test]
    fn a_line_that_does_not_end_is_not_held_back_for_ever() {
        let mut top = Top::new(2);
        let passed: usize = (0..100).map(|_| top.pass(&[b'x'; 64 << 10]).len()).sum();
        assert!(passed > 90 * (64 << 10));
        assert!(top.line.len() <= LONGEST_ROW + (64 << 10));
    }
}

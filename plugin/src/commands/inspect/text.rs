//! What `inspect` says of a dump, as a person reads it in a terminal of 80 columns.

use std::fmt::Write as _;

use indicatif::BinaryBytes;

use super::report::{Array, Objects, Report, Stack, Thread};
use crate::commands::verify::all_zero;
use crate::render::table::Table;
use crate::render::terminal::printable;

/// Frames of a stack and names of its threads that are shown; `-o json` has the others.
const FRAMES: usize = 20;
const NAMES: usize = 8;
/// The longest that a line of a stack may be, in characters: names are the file's choice.
const WIDEST: usize = 200;

/// The whole text. Control characters of the dump's names are shown.
pub(super) fn text(report: &Report) -> String {
    let mut text = head(report);
    for left_out in &report.left_out {
        line(&mut text, &format!("left out: {left_out}"));
    }
    let shown = report.classes_by_bytes.len();
    if shown > 0 {
        section(&mut text, &format!("Classes by size, {}", of(shown, report.class_count)));
        text.push_str(&objects(&report.classes_by_bytes));
        section(&mut text, &format!("Classes by number, {}", of(shown, report.class_count)));
        text.push_str(&objects(&report.classes_by_count));
    }
    if !report.largest_arrays.is_empty() {
        section(&mut text, "Largest arrays");
        text.push_str(&arrays(&report.largest_arrays));
    }
    if !report.stacks.is_empty() {
        let stacks = of(report.stacks.len(), report.stack_count);
        section(&mut text, &format!("Stacks, {stacks}, of {}", counted(report.thread_count, "thread")));
        report.stacks.iter().for_each(|stack| stack_text(&mut text, stack));
    }
    text
}

fn head(report: &Report) -> String {
    let verdict = &report.verdict;
    let mut text = String::new();
    let state = if verdict.whole { "whole" } else { "NOT WHOLE: what follows is what there is" };
    line(&mut text, &format!("{}: {state}", verdict.file));
    if let Some(format) = report.format {
        let mut about = format!("{format}, ids of {} bytes", verdict.id_size);
        if let Some(time) = report.time {
            write!(about, ", of {}", time.strftime("%Y-%m-%d %H:%M:%S UTC")).expect("a String takes everything");
        }
        if let Some(packing) = verdict.packing {
            write!(about, ", in {packing}").expect("a String takes everything");
        }
        line(&mut text, &about);
    }
    line(
        &mut text,
        &format!(
            "{} bytes: {} instances, {} arrays, {} classes",
            verdict.bytes, verdict.instances, verdict.arrays, verdict.classes
        ),
    );
    if let Some(what) = verdict.redacted {
        line(&mut text, &format!("redacted: {}", all_zero(what)));
    }
    line(&mut text, &format!("{} shallow bytes ({})", report.shallow_bytes, BinaryBytes(report.shallow_bytes)));
    text
}

fn section(text: &mut String, title: &str) {
    text.push('\n');
    line(text, &format!("{title}:"));
}

fn of(shown: usize, all: usize) -> String {
    if shown < all { format!("the first {shown} of {all}") } else { format!("all {all}") }
}

fn objects(objects: &[Objects]) -> String {
    let mut table = Table::new(["BYTES", "SIZE", "COUNT", "CLASS"]).numbers(3);
    for Objects { class, count, bytes } in objects {
        table.row([bytes.to_string(), BinaryBytes(*bytes).to_string(), count.to_string(), class.clone()]);
    }
    table.text()
}

fn arrays(arrays: &[Array]) -> String {
    let mut table = Table::new(["BYTES", "SIZE", "LENGTH", "ID", "CLASS"]).numbers(4);
    for Array { class, id, length, bytes } in arrays {
        table.row([bytes.to_string(), BinaryBytes(*bytes).to_string(), length.to_string(), id.clone(), class.clone()]);
    }
    table.text()
}

fn stack_text(text: &mut String, stack: &Stack) {
    let names: Vec<String> = stack.threads.iter().take(NAMES).map(name).collect();
    let mut title = names.join(", ");
    if let Some(more) = stack.threads.len().checked_sub(NAMES).filter(|more| *more > 0) {
        write!(title, " and {more} more").expect("a String takes everything");
    }
    if stack.threads.len() > 1 {
        title = format!("{}: {title}", counted(stack.threads.len(), "thread"));
    }
    line(text, &title);
    if stack.frames.is_empty() {
        line(text, "    (no Java frames)");
    }
    for frame in stack.frames.iter().take(FRAMES) {
        line(text, &format!("    at {frame}"));
    }
    let shown = u32::try_from(stack.frames.len().min(FRAMES)).unwrap_or(u32::MAX);
    if stack.depth > shown {
        line(text, &format!("    ... {} more", stack.depth - shown));
    }
}

fn name(thread: &Thread) -> String {
    match &thread.name {
        Some(name) => format!("\"{name}\""),
        None => format!("thread {}", thread.serial),
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// One line, of whatever the dump says.
fn line(text: &mut String, said: &str) {
    let cut: String = said.chars().take(WIDEST).collect();
    text.push_str(&printable(&cut).replace('\n', "^J").replace('\t', "^I"));
    text.push_str(if cut.len() < said.len() { "…\n" } else { "\n" });
}

//! What people see: notes on stderr, tables, json and yaml on stdout, progress, and what a terminal may be shown.

pub(crate) mod board;
pub(crate) mod document;
pub(crate) mod out;
pub(crate) mod progress;
mod rate;
pub(crate) mod stdout;
pub(crate) mod table;
pub(crate) mod terminal;

use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;

use board::{Alone, Board, Line};
use progress::Progress;

/// What a person wants to know beside the data: one line each, on stderr, nothing with `-q`.
pub(crate) struct Notes {
    sink: Sink,
    at: At,
    /// Where several commands run at once: whose notes these are.
    of: Option<Of>,
}

struct Of {
    name: String,
    line: Line,
}

/// What a command is at, kept for who breaks it off. Clones are one.
#[derive(Clone, Default)]
pub(crate) struct At(Rc<RefCell<Doing>>);

#[derive(Default)]
struct Doing {
    what: String,
    goes_on: &'static str,
}

impl At {
    /// It is `what` now, as `looking for an injector`; and what `goes_on` of that without it.
    pub(crate) fn is(&self, what: &str, goes_on: &'static str) {
        *self.0.borrow_mut() = Doing { what: what.to_owned(), goes_on };
    }

    /// What it was at last, if that is known; and what goes on.
    pub(crate) fn told(&self) -> Option<(String, &'static str)> {
        let Doing { what, goes_on } = &*self.0.borrow();
        (!what.is_empty()).then(|| (what.clone(), *goes_on))
    }
}

/// What goes on of a command's own work.
const OF_JVM: &str = "what the JVM has begun goes on meanwhile";

enum Sink {
    Stderr,
    Nowhere,
    #[cfg(test)]
    Memory(RefCell<String>),
}

impl Sink {
    /// A stderr that is gone is no reason to fail.
    fn write(&self, line: &str) {
        match self {
            Sink::Stderr => drop(writeln!(std::io::stderr(), "{line}")),
            Sink::Nowhere => {}
            #[cfg(test)]
            Sink::Memory(said) => {
                said.borrow_mut().push_str(line);
                said.borrow_mut().push('\n');
            }
        }
    }

    #[cfg(test)]
    fn recorded(&self) -> String {
        if let Sink::Memory(said) = self { said.borrow().clone() } else { String::new() }
    }
}

impl Notes {
    /// Notes on stderr, or none if `quiet`.
    pub(crate) fn new(quiet: bool) -> Notes {
        Notes { sink: if quiet { Sink::Nowhere } else { Sink::Stderr }, at: At::default(), of: None }
    }

    /// The notes of one of several commands that run at once: each begins with its name.
    pub(crate) fn on(board: &Rc<Board>, name: &str, quiet: bool) -> Notes {
        Notes { of: Some(Of { name: name.to_owned(), line: Line::new(board, name) }), ..Notes::new(quiet) }
    }

    /// Whether somebody reads them.
    pub(crate) fn are_heard(&self) -> bool {
        !matches!(self.sink, Sink::Nowhere)
    }

    /// Says one line.
    pub(crate) fn say(&self, line: &str) {
        match &self.of {
            Some(of) if self.are_heard() => of.line.board().say(&format!("{}{line}", self.label())),
            _ => self.sink.write(&terminal::printable(line)),
        }
    }

    /// Says one line that concerns all commands that run at once, and is said by each of them.
    pub(crate) fn say_once(&self, line: &str) {
        match &self.of {
            Some(of) if self.are_heard() && of.line.board().is_new(line) => of.line.board().say(line),
            Some(_) => {}
            None => self.say(line),
        }
    }

    /// What a line begins with, for who writes one himself.
    pub(crate) fn label(&self) -> String {
        self.of.as_ref().map_or_else(String::new, |of| format!("[{}] ", of.name))
    }

    /// Where progress is shown: one thing after the other.
    pub(crate) fn progress(&self) -> Progress {
        match &self.of {
            Some(of) => of.line.progress(),
            None => Progress::new(!self.are_heard()),
        }
    }

    /// What its command is at.
    pub(crate) fn at(&self) -> &At {
        &self.at
    }

    /// What is being done now: kept, and shown where several commands run at once.
    pub(crate) fn phase(&self, phase: &str) {
        self.at.is(phase, OF_JVM);
        if self.of.is_some() {
            self.progress().phase(phase);
        }
    }

    /// The terminal for this command alone, where several run at once.
    pub(crate) async fn alone(&self) -> Option<Alone<'_>> {
        match &self.of {
            Some(of) => Some(of.line.board().alone().await),
            None => None,
        }
    }

    #[cfg(test)]
    pub(crate) fn silent() -> Notes {
        Notes { sink: Sink::Nowhere, at: At::default(), of: None }
    }

    #[cfg(test)]
    pub(crate) fn recording() -> Notes {
        Notes { sink: Sink::Memory(RefCell::default()), at: At::default(), of: None }
    }

    /// All that was said, for a test.
    #[cfg(test)]
    pub(crate) fn recorded(&self) -> String {
        self.sink.recorded()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_commands_each_note_names_whose_it_is_and_what_concerns_all_is_said_once() {
        let board = Board::recording();
        let [x, y] = ["pod/x", "pod/y"].map(|name| Notes::on(&board, name, false));
        x.say("hello");
        x.say_once("the same");
        y.say_once("the same");
        Notes::on(&board, "pod/z", true).say("not heard");
        assert_eq!(board.recorded(), "[pod/x] hello\nthe same\n");
    }
}

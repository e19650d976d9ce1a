//! What people see: notes on stderr, tables, json and yaml on stdout, progress, and what a terminal may be shown.

pub(crate) mod document;
pub(crate) mod progress;
mod rate;
pub(crate) mod stdout;
pub(crate) mod table;
pub(crate) mod terminal;

#[cfg(test)]
use std::cell::RefCell;
use std::io::Write;

/// What a person wants to know beside the data: one line each, on stderr, nothing with `-q`.
pub(crate) struct Notes {
    sink: Sink,
}

enum Sink {
    Stderr,
    Nowhere,
    #[cfg(test)]
    Memory(RefCell<String>),
}

impl Notes {
    /// Notes on stderr, or none if `quiet`.
    pub(crate) fn new(quiet: bool) -> Notes {
        Notes { sink: if quiet { Sink::Nowhere } else { Sink::Stderr } }
    }

    /// Whether somebody reads them.
    pub(crate) fn are_heard(&self) -> bool {
        !matches!(self.sink, Sink::Nowhere)
    }

    /// Says one line. A stderr that is gone is no reason to fail.
    pub(crate) fn say(&self, line: &str) {
        let line = terminal::printable(line);
        match &self.sink {
            Sink::Stderr => drop(writeln!(std::io::stderr(), "{line}")),
            Sink::Nowhere => {}
            #[cfg(test)]
            Sink::Memory(said) => {
                said.borrow_mut().push_str(&line);
                said.borrow_mut().push('\n');
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn silent() -> Notes {
        Notes { sink: Sink::Nowhere }
    }

    #[cfg(test)]
    pub(crate) fn recording() -> Notes {
        Notes { sink: Sink::Memory(RefCell::default()) }
    }

    /// All that was said, for a test.
    #[cfg(test)]
    pub(crate) fn recorded(&self) -> String {
        match &self.sink {
            Sink::Memory(said) => said.borrow().clone(),
            _ => String::new(),
        }
    }
}

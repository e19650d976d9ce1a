//! What a terminal shows while several commands run at once: a line for each, one for all of them, and above these what they
//! say. One at a time may have the terminal to itself, to ask something or to print an answer: the lines are gone meanwhile,
//! and what is said waits.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::IsTerminal;
use std::rc::Rc;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget};
use tokio::sync::{Mutex, MutexGuard};

use super::Sink;
use super::progress::{self, Progress};
use super::terminal::printable;

pub(crate) struct Board {
    lines: MultiProgress,
    /// The last line, which is there as long as the board is.
    total: ProgressBar,
    shown: bool,
    sink: Sink,
    /// What was said while one of them had the terminal.
    held: RefCell<Option<Held>>,
    terminal: Mutex<()>,
    /// What concerns all of them is said once.
    said: RefCell<HashSet<String>>,
}

/// The most of what waits for the terminal, in bytes: the last words of a thousand pods. Part of them are the pods' own.
const MOST_HELD: usize = 2 << 20;

#[derive(Default)]
struct Held {
    notes: Vec<String>,
    bytes: usize,
    left_out: usize,
}

impl Held {
    fn push(&mut self, note: String) {
        if self.bytes + note.len() > MOST_HELD {
            self.left_out += 1;
            return;
        }
        // An empty one takes something, too.
        self.bytes += note.len() + size_of::<String>();
        self.notes.push(note);
    }
}

impl Board {
    /// A board on stderr; without lines if that is no terminal or the user asked for quiet.
    pub(crate) fn new(quiet: bool) -> Rc<Board> {
        let shown = !quiet && std::io::stderr().is_terminal();
        Board::on(if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }, shown, Sink::Stderr)
    }

    fn on(target: ProgressDrawTarget, shown: bool, sink: Sink) -> Rc<Board> {
        let lines = MultiProgress::with_draw_target(target);
        let total = lines.add(progress::last_line());
        if shown {
            total.enable_steady_tick(progress::TICK);
        }
        let (held, terminal, said) = (RefCell::default(), Mutex::default(), RefCell::default());
        Rc::new(Board { lines, total, shown, sink, held, terminal, said })
    }

    /// A board that remembers what it is told.
    #[cfg(test)]
    pub(crate) fn recording() -> Rc<Board> {
        Board::on(ProgressDrawTarget::hidden(), false, Sink::Memory(RefCell::default()))
    }

    /// All that was said, for a test.
    #[cfg(test)]
    pub(crate) fn recorded(&self) -> String {
        self.sink.recorded()
    }

    /// How far they are together.
    pub(crate) fn total(&self, text: &str) {
        self.total.set_message(printable(text));
    }

    /// Says something above the lines, with `-q`, too.
    pub(crate) fn say(&self, text: &str) {
        let text = printable(text);
        match &mut *self.held.borrow_mut() {
            Some(held) => held.push(text),
            None => self.lines.suspend(|| self.sink.write(&text)),
        }
    }

    /// Whether that is said for the first time.
    pub(super) fn is_new(&self, text: &str) -> bool {
        self.said.borrow_mut().insert(text.to_owned())
    }

    /// The terminal for one of them alone, once nobody else has it.
    pub(crate) async fn alone(&self) -> Alone<'_> {
        let turn = self.terminal.lock().await;
        if self.shown {
            // A terminal that is gone shows nothing in any case.
            let _ = self.lines.clear();
            self.lines.set_draw_target(ProgressDrawTarget::hidden());
        }
        self.held.replace(Some(Held::default()));
        Alone { board: self, _turn: turn }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.total.finish_and_clear();
    }
}

/// Gives the terminal back when it is dropped.
pub(crate) struct Alone<'b> {
    board: &'b Board,
    _turn: MutexGuard<'b, ()>,
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        let Board { lines, shown, held, .. } = self.board;
        if *shown {
            lines.set_draw_target(ProgressDrawTarget::stderr());
        }
        let Some(Held { notes, left_out, .. }) = held.take() else { return };
        notes.iter().for_each(|note| self.board.say(note));
        if left_out > 0 {
            self.board.say(&format!("{left_out} more notes came meanwhile than are kept"));
        }
    }
}

/// The line of one of them, until it is dropped.
pub(crate) struct Line {
    board: Rc<Board>,
    bar: ProgressBar,
}

impl Line {
    /// A line that begins with `name`.
    pub(super) fn new(board: &Rc<Board>, name: &str) -> Line {
        let bar = board.lines.insert_before(&board.total, progress::line(name));
        if board.shown {
            bar.enable_steady_tick(progress::TICK);
        }
        Line { board: Rc::clone(board), bar }
    }

    pub(super) fn board(&self) -> &Board {
        &self.board
    }

    /// To show something on it: one thing after the other.
    pub(super) fn progress(&self) -> Progress {
        Progress::of_line(self.bar.clone())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        self.board.lines.remove(&self.bar);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn who_has_the_terminal_has_it_alone_and_what_others_say_meanwhile_comes_afterwards() {
        let board = Board::recording();
        board.say("before");
        let alone = board.alone().await;
        assert!(board.alone().now_or_never().is_none(), "a second one waits");
        board.say("meanwhile");
        assert_eq!(board.recorded(), "before\n");
        drop(alone);
        assert_eq!(board.recorded(), "before\nmeanwhile\n");
        assert!(board.alone().now_or_never().is_some());
    }

    #[tokio::test]
    async fn what_is_said_without_end_while_somebody_has_the_terminal_does_not_pile_up() {
        let board = Board::recording();
        let alone = board.alone().await;
        board.say("the first");
        let long = "x".repeat(1000);
        (0..2 * MOST_HELD / 1000).for_each(|_| board.say(&long));
        (0..MOST_HELD).for_each(|_| board.say(""));
        drop(alone);
        let said = board.recorded();
        assert!(said.starts_with("the first\nxxx") && said.ends_with(" more notes came meanwhile than are kept\n"));
        assert!(said.len() < 2 * MOST_HELD, "{} bytes", said.len());
    }
}

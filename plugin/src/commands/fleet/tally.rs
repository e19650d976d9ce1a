//! What has become of each pod: a failure is told when it happens, all of them once more at the end, where the command is
//! interrupted, too.

use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

use crate::error::{Exit, Failure};
use crate::render::board::Board;
use crate::render::table::Table;

/// Dropped, it says what has become of all.
pub(super) struct Tally {
    board: Rc<Board>,
    quiet: bool,
    all: usize,
    begun: usize,
    done: usize,
    /// By the names of the pods.
    failures: BTreeMap<String, Failure>,
    /// What has been told whole: another pod's failure of that kind is a line of the summary.
    told: HashSet<String>,
}

impl Tally {
    pub(super) fn new(board: &Rc<Board>, all: usize, quiet: bool) -> Tally {
        let (failures, told) = (BTreeMap::new(), HashSet::new());
        let tally = Tally { board: Rc::clone(board), quiet, all, begun: 0, done: 0, failures, told };
        tally.board.total(&tally.total());
        tally
    }

    /// A pod's turn has come.
    pub(super) fn begin(&mut self) {
        self.begun += 1;
        self.board.total(&self.total());
    }

    /// And is over.
    pub(super) fn end(&mut self, pod: &str, failure: Option<Failure>) {
        match failure {
            None => self.done += 1,
            Some(failure) => {
                let text = failure.to_string();
                if self.told.insert(of_any(&text, pod)) {
                    self.board.say(&format!("[pod/{pod}] error[{}]: {text}", failure.id));
                }
                self.failures.insert(pod.to_owned(), failure);
            }
        }
        self.board.total(&self.total());
    }

    /// The exit code of them all: the worst.
    pub(super) fn exit(&self) -> Option<Exit> {
        self.failures.values().map(|failure| failure.exit()).min_by_key(|exit| exit.rank())
    }

    fn total(&self) -> String {
        let mut total = format!("{} of {} pods done", self.done, self.all);
        let failed = self.failures.len();
        for (number, what) in [(failed, "failed"), (self.under_way(), "under way"), (self.all - self.begun, "to come")]
        {
            if number > 0 {
                total.push_str(&format!(", {number} {what}"));
            }
        }
        total
    }

    fn under_way(&self) -> usize {
        self.begun - self.done - self.failures.len()
    }

    fn summary(&self) -> String {
        let mut table = Table::new(["POD", "EXIT", "ERROR", "CAUSE"]);
        for (pod, failure) in &self.failures {
            let exit = failure.exit() as u8;
            table.row([pod.clone(), exit.to_string(), failure.id.to_string(), failure.cause.clone()]);
        }
        let (broken_off, left) = (self.under_way(), self.all - self.begun);
        let mut total = format!("{} of {} pods done", self.done, self.all);
        for (number, what) in [(self.failures.len(), "failed"), (broken_off, "broken off"), (left, "not begun")] {
            if number > 0 {
                total.push_str(&format!(", {number} {what}"));
            }
        }
        match (self.failures.is_empty(), self.quiet) {
            (true, true) => String::new(),
            (true, false) => total,
            (false, true) => table.text().trim_end().to_owned(),
            (false, false) => table.text() + &total,
        }
    }
}

/// What is said of a pod as it would be said of any other one.
fn of_any(text: &str, pod: &str) -> String {
    let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let mut words = Vec::new();
    for word in text.split(|c| !is_of_a_name(c)) {
        words.push(if word.trim_end_matches('.') == pod { "POD" } else { word });
    }
    words.join(" ")
}

impl Drop for Tally {
    fn drop(&mut self) {
        let summary = self.summary();
        if !summary.is_empty() {
            self.board.say(&summary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(exit: Exit, cause: &str) -> Option<Failure> {
        Some(Failure::new(exit, cause).evidence("seen in boats").remedy("do it"))
    }

    /// What is said of three pods of four.
    fn said(quiet: bool) -> (String, Option<Exit>) {
        let board = Board::recording();
        let mut tally = Tally::new(&board, 4, quiet);
        for (pod, failure) in [
            ("b", failed(Exit::Target, "pod/b is not running yet")),
            ("c", None),
            ("a", failed(Exit::Target, "pod/a is not running yet")),
        ] {
            tally.begin();
            tally.end(pod, failure);
        }
        let exit = tally.exit();
        drop(tally);
        (board.recorded(), exit)
    }

    #[test]
    fn a_failure_is_told_whole_once_and_all_are_lines_of_the_summary_by_their_pods() {
        let id = Failure::new(Exit::Target, "").id;
        let whole =
            format!("[pod/b] error[{id}]: pod/b is not running yet\n  evidence: seen in boats\n  remedy: do it\n");
        let table = format!(
            "POD   EXIT   ERROR     CAUSE\na     3      {id}   pod/a is not running yet\nb     3      {id}   pod/b is not \
             running yet\n"
        );
        let total = "1 of 4 pods done, 2 failed, 1 not begun\n";
        assert_eq!(said(false), (format!("{whole}{table}{total}"), Some(Exit::Target)));
        assert_eq!(said(true).0, format!("{whole}{table}"));
    }

    #[test]
    fn the_worst_exit_code_counts_in_the_order_of_the_design() {
        let worst = |exits: &[Exit]| {
            let mut tally = Tally::new(&Board::recording(), exits.len(), true);
            for (pod, exit) in exits.iter().enumerate() {
                tally.begin();
                tally.end(&pod.to_string(), failed(*exit, "x"));
            }
            tally.exit()
        };
        assert_eq!(worst(&[]), None);
        assert_eq!(worst(&[Exit::Other, Exit::Busy, Exit::Jvm, Exit::Transfer]), Some(Exit::Transfer));
        assert_eq!(worst(&[Exit::Transfer, Exit::Target, Exit::Attach]), Some(Exit::Attach));
        assert_eq!(worst(&[Exit::Attach, Exit::Refused, Exit::Injector]), Some(Exit::Refused));
        assert_eq!(worst(&[Exit::Refused, Exit::Interrupted]), Some(Exit::Interrupted));
    }

    #[test]
    fn of_success_one_line_is_said_and_nothing_to_who_wants_quiet() {
        for (quiet, expected) in [(false, "1 of 1 pods done\n"), (true, "")] {
            let board = Board::recording();
            let mut tally = Tally::new(&board, 1, quiet);
            tally.begin();
            tally.end("a", None);
            drop(tally);
            assert_eq!(board.recorded(), expected);
        }
    }
}

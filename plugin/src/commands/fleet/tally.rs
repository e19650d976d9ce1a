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
    /// By the names of the pods.
    pods: BTreeMap<String, State>,
    /// What has been told whole: another pod's failure of that kind is a line of the summary.
    told: HashSet<String>,
    /// Why no more is done, the worst of it.
    stopped: Option<Failure>,
    /// Answers that are there and not printed yet.
    waiting: usize,
}

enum State {
    ToCome,
    UnderWay,
    Done,
    Failed(Failure),
    /// And whether something has come of its answer.
    BrokenOff(bool),
}

/// How a pod's command has ended.
pub(super) enum End {
    Done,
    Failed(Failure),
    BrokenOff,
}

impl Tally {
    pub(super) fn new(board: &Rc<Board>, pods: &[String], quiet: bool) -> Tally {
        let pods = pods.iter().map(|pod| (pod.clone(), State::ToCome)).collect();
        let told = HashSet::new();
        let tally = Tally { board: Rc::clone(board), quiet, pods, told, stopped: None, waiting: 0 };
        tally.show();
        tally
    }

    /// A pod's turn has come.
    pub(super) fn begin(&mut self, pod: &str) {
        self.set(pod, State::UnderWay);
    }

    /// And is over, with an answer to be printed or without.
    pub(super) fn end(&mut self, pod: &str, end: End, has_answer: bool) {
        self.waiting += usize::from(has_answer);
        let state = match end {
            End::Done => State::Done,
            End::BrokenOff => State::BrokenOff(has_answer),
            End::Failed(failure) => {
                let text = failure.to_string();
                if self.told.insert(of_any(&text, pod)) {
                    self.board.say(&format!("[pod/{pod}] error[{}]: {text}", failure.id));
                }
                State::Failed(failure)
            }
        };
        self.set(pod, state);
    }

    /// So many answers are printed.
    pub(super) fn printed(&mut self, answers: usize) {
        self.waiting = self.waiting.saturating_sub(answers);
    }

    /// Why no pod is begun any more, nor gone on with.
    pub(super) fn stop(&mut self, why: Failure) {
        match &self.stopped {
            None => self.board.say(&format!("error[{}]: {why}", why.id)),
            Some(before) if before.exit().rank() <= why.exit().rank() => return,
            Some(_) => {}
        }
        self.stopped = Some(why);
    }

    /// Whether no pod is under way, and none will be.
    pub(super) fn is_over(&self) -> bool {
        let will_be = |state: &State| matches!(state, State::ToCome) && self.stopped.is_none();
        self.count(|state| matches!(state, State::UnderWay) || will_be(state)) == 0
    }

    /// The exit code of them all: the worst.
    pub(super) fn exit(&self) -> Option<Exit> {
        let failures = self
            .pods
            .values()
            .filter_map(|state| if let State::Failed(failure) = state { Some(failure) } else { None });
        failures.chain(&self.stopped).map(Failure::exit).min_by_key(|exit| exit.rank())
    }

    fn set(&mut self, pod: &str, state: State) {
        self.pods.insert(pod.to_owned(), state);
        self.show();
    }

    fn show(&self) {
        self.board.total(&self.total("under way", "to come"));
    }

    fn count(&self, of: impl Fn(&State) -> bool) -> usize {
        self.pods.values().filter(|state| of(state)).count()
    }

    /// How many there are in each state, in one line.
    fn total(&self, begun: &str, left: &str) -> String {
        let done = self.count(|state| matches!(state, State::Done));
        let mut total = format!("{done} of {} pods done", self.pods.len());
        for (number, what) in [
            (self.count(|state| matches!(state, State::Failed(_))), "failed"),
            (self.count(|state| matches!(state, State::UnderWay | State::BrokenOff(_))), begun),
            (self.count(|state| matches!(state, State::ToCome)), left),
        ] {
            if number > 0 {
                total.push_str(&format!(", {number} {what}"));
            }
        }
        total
    }

    /// A row of the summary: nothing of what is done.
    fn row(&self, pod: &str, state: &State) -> Option<[String; 4]> {
        let (failure, cause) = match state {
            State::Done => return None,
            State::Failed(failure) => (Some(failure), failure.cause.as_str()),
            State::BrokenOff(true) => (self.stopped.as_ref(), "broken off: its answer is not whole"),
            State::BrokenOff(false) | State::UnderWay => (self.stopped.as_ref(), "broken off"),
            State::ToCome => (self.stopped.as_ref(), "not begun"),
        };
        let exit = failure.map_or_else(String::new, |failure| (failure.exit() as u8).to_string());
        let id = failure.map_or_else(String::new, |failure| failure.id.to_string());
        Some([pod.to_owned(), exit, id, cause.to_owned()])
    }

    fn summary(&self) -> String {
        let mut table = Table::new(["POD", "EXIT", "ERROR", "CAUSE"]);
        let rows = self.pods.iter().filter_map(|(pod, state)| self.row(pod, state));
        let are_all_done = rows.map(|row| table.row(row)).count() == 0;
        let mut text = if are_all_done { String::new() } else { table.text() };
        if !self.quiet || self.waiting > 0 {
            text += &self.total("broken off", "not begun");
        }
        if self.waiting > 0 {
            let answers = if self.waiting == 1 { "answer" } else { "answers" };
            text += &format!(", {} {answers} not printed", self.waiting);
        }
        text.trim_end().to_owned()
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
    use crate::catalogue::Id;

    /// A pod of each letter.
    fn names(letters: &str) -> Vec<String> {
        letters.chars().map(String::from).collect()
    }

    fn failed(exit: Exit, cause: &str) -> Option<Failure> {
        Some(Failure::new(exit, cause).evidence("seen in boats").remedy("do it"))
    }

    /// What is said of three pods of four.
    fn said(quiet: bool) -> (String, Option<Exit>) {
        let board = Board::recording();
        let mut tally = Tally::new(&board, &names("abcd"), quiet);
        for (pod, failure) in [
            ("b", failed(Exit::Target, "pod/b is not running yet")),
            ("c", None),
            ("a", failed(Exit::Target, "pod/a is not running yet")),
        ] {
            tally.begin(pod);
            tally.end(pod, failure.map_or(End::Done, End::Failed), false);
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
             running yet\nd     -      -         not begun\n"
        );
        let total = "1 of 4 pods done, 2 failed, 1 not begun\n";
        assert_eq!(said(false), (format!("{whole}{table}{total}"), Some(Exit::Target)));
        assert_eq!(said(true).0, format!("{whole}{table}"));
    }

    #[test]
    fn the_worst_exit_code_counts_in_the_order_of_the_design() {
        let worst = |exits: &[Exit]| {
            let mut tally = Tally::new(&Board::recording(), &names("abcd"), true);
            for (pod, exit) in names("abcd").iter().zip(exits) {
                tally.begin(pod);
                tally.end(pod, End::Failed(Failure::new(*exit, "x")), false);
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
            let mut tally = Tally::new(&board, &names("a"), quiet);
            tally.begin("a");
            tally.end("a", End::Done, true);
            tally.printed(1);
            drop(tally);
            assert_eq!(board.recorded(), expected);
        }
    }

    /// What is said of four pods, of which one has an answer, one is broken off in the middle of it, one before, and one is to
    /// come; and nothing is printed yet.
    fn broken_off(reasons: impl IntoIterator<Item = Failure>) -> (String, Option<Exit>) {
        let board = Board::recording();
        let mut tally = Tally::new(&board, &names("abcd"), false);
        ["a", "b", "c"].into_iter().for_each(|pod| tally.begin(pod));
        tally.end("b", End::Done, true);
        assert!(!tally.is_over());
        for reason in reasons {
            tally.stop(reason);
        }
        assert!(!tally.is_over());
        tally.end("a", End::BrokenOff, true);
        tally.end("c", End::BrokenOff, false);
        assert!(tally.is_over(), "what is left is to be printed");
        tally.printed(1);
        let exit = tally.exit();
        drop(tally);
        (board.recorded(), exit)
    }

    #[test]
    fn what_is_broken_off_has_a_line_for_each_pod_that_was_not_done() {
        let (said, exit) = broken_off([Failure::new(Id::TimedOut, "not done within 9 s")]);
        let expected = "error[JAT-018]: not done within 9 s\n\
            POD   EXIT   ERROR     CAUSE\n\
            a     1      JAT-018   broken off: its answer is not whole\n\
            c     1      JAT-018   broken off\n\
            d     1      JAT-018   not begun\n\
            1 of 4 pods done, 2 broken off, 1 not begun, 1 answer not printed\n";
        assert_eq!((said.as_str(), exit), (expected, Some(Exit::Other)));
        let twice = ["x", "y"].map(|cause| Failure::new(Id::Interrupted, cause));
        assert_eq!(broken_off(twice).0.matches("error[").count(), 1);
    }

    #[test]
    fn the_worst_of_what_has_failed_and_why_it_was_broken_off_is_the_exit_code() {
        let exit = |failed, reasons: &[Id]| {
            let mut tally = Tally::new(&Board::recording(), &names("ab"), true);
            tally.end("a", End::Failed(Failure::new(failed, "x")), false);
            reasons.iter().for_each(|id| tally.stop(Failure::new(*id, "y")));
            tally.exit()
        };
        assert_eq!(exit(Exit::Refused, &[Id::TimedOut]), Some(Exit::Refused));
        assert_eq!(exit(Exit::Refused, &[Id::Interrupted]), Some(Exit::Interrupted));
        assert_eq!(exit(Exit::Usage, &[Id::TimedOut]), Some(Exit::Other));
        assert_eq!(exit(Exit::Other, &[Id::TimedOut, Id::Interrupted]), Some(Exit::Interrupted));
    }
}

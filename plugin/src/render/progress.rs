//! Progress on a terminal: the phase, the bytes, the rate. Nothing where stderr is no terminal, and nothing with `-q`.

use std::cell::Cell;
use std::fmt;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::rate::Rate;
use super::terminal::printable;

/// One line that shows how far a transfer is. Gone when it is dropped.
pub(crate) struct Progress {
    bar: ProgressBar,
    template: Cell<&'static str>,
    shown: bool,
    /// Whether the line is one among others, which stays when this is dropped.
    among_others: bool,
}

pub(super) const TICK: Duration = Duration::from_millis(120);

// The phase takes what is left of the line and is cut there: a line that wraps is drawn anew below itself at each tick.
const KNOWN: &str = "{spinner} {prefix}{wide_msg}  {bytes} of about {total_bytes}  {rate}  {elapsed}{room}";
const UNKNOWN: &str = "{spinner} {prefix}{wide_msg}  {bytes}  {rate}  {elapsed}{room}";
const PHASE: &str = "{spinner} {prefix}{wide_msg}  {elapsed}{room}";

/// What stands for `{room}`: two columns, and the cursor before them. The terminal writes its `^C` there; behind the last
/// column that would begin a new line, and the one above could not be taken away any more.
const ROOM: &str = "  \x1b[2D";

/// Of several lines the last one alone has it: the next one begins where the one above ends.
const NO_ROOM: &str = "";

impl Progress {
    /// A line on stderr, if that is a terminal and the user did not ask for quiet.
    pub(crate) fn new(quiet: bool) -> Progress {
        let shown = !quiet && std::io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let progress = Progress::on(target, shown);
        if shown {
            progress.bar.enable_steady_tick(TICK);
        }
        progress
    }

    fn on(target: ProgressDrawTarget, shown: bool) -> Progress {
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(style(PHASE, ROOM));
        Progress { bar, template: Cell::new(PHASE), shown, among_others: false }
    }

    /// On a line of a board.
    pub(super) fn of_line(bar: ProgressBar) -> Progress {
        bar.set_style(style(PHASE, NO_ROOM));
        Progress { bar, template: Cell::new(PHASE), shown: false, among_others: true }
    }

    /// What happens now. It may come from the injector: control characters are shown. A phase counts its own bytes.
    pub(crate) fn phase(&self, phase: &str) {
        let phase = one_line(phase);
        if phase == self.bar.message() {
            return;
        }
        self.show_as(PHASE);
        self.bar.unset_length();
        self.bar.set_position(0);
        self.bar.set_message(phase);
    }

    /// What happens now within the phase: its bytes count on.
    pub(crate) fn detail(&self, message: &str) {
        self.bar.set_message(one_line(message));
    }

    /// Takes the line away, for who asks something. A board takes its lines away itself.
    pub(crate) fn leave(&self) {
        if !self.among_others {
            self.bar.finish_and_clear();
        }
    }

    /// Brings the line back.
    pub(crate) fn come_back(&self) {
        if self.among_others {
            return;
        }
        self.bar.reset();
        if self.shown {
            self.bar.enable_steady_tick(TICK);
        }
    }

    /// Writes something else to the terminal without tearing the line; the notes of a board see to that themselves.
    pub(crate) fn aside(&self, write: impl FnOnce()) {
        if self.among_others { write() } else { self.bar.suspend(write) }
    }

    /// How many bytes have arrived in this phase, and how many are expected, where that is known: 0 is not.
    pub(crate) fn bytes(&self, position: u64, expected: Option<u64>) {
        let expected = expected.filter(|expected| *expected > 0);
        match expected {
            _ if position == 0 => self.show_as(PHASE),
            Some(_) => self.show_as(KNOWN),
            None => self.show_as(UNKNOWN),
        }
        if let Some(expected) = expected {
            self.bar.set_length(expected.max(position));
        }
        self.bar.set_position(position);
    }

    fn show_as(&self, template: &'static str) {
        if self.template.replace(template) != template {
            self.bar.set_style(style(template, if self.among_others { NO_ROOM } else { ROOM }));
        }
    }
}

/// A text that may come from the injector.
fn one_line(text: &str) -> String {
    printable(text).replace('\n', " ")
}

/// A number of bytes as the line shows it.
pub(crate) fn size(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

impl Drop for Progress {
    fn drop(&mut self) {
        if !self.among_others {
            self.bar.finish_and_clear();
        }
    }
}

/// The last line of a board.
pub(super) fn last_line() -> ProgressBar {
    ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()).with_style(style(PHASE, ROOM))
}

/// A line of a board above that, which begins with `name`.
pub(super) fn line(name: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()).with_style(style(PHASE, NO_ROOM));
    bar.with_prefix(format!("{}  ", printable(name)))
}

fn style(template: &str, room: &'static str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).expect("the templates of this module are well-formed");
    style.with_key("rate", Rate::default()).with_key("room", move |_: &ProgressState, line: &mut dyn fmt::Write| {
        // It is a String.
        let _ = line.write_str(room);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::{MultiProgress, TermLike};
    use std::io;
    use std::sync::{Arc, Mutex};

    #[test]
    fn every_template_is_well_formed() {
        for template in [KNOWN, UNKNOWN, PHASE] {
            style(template, ROOM);
        }
    }

    #[test]
    fn an_expected_size_that_was_too_small_grows() {
        let progress = Progress::new(true);
        progress.phase("heap\ndump\x1b[2J");
        progress.bytes(10, Some(100));
        progress.bytes(150, Some(100));
        assert_eq!(progress.bar.length(), Some(150));
        assert_eq!(progress.bar.message(), "heap dump^[[2J");
    }

    /// A terminal of 80 columns that remembers the line drawn last.
    #[derive(Clone, Debug, Default)]
    struct Screen(Arc<Mutex<String>>);

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            self.0.lock().unwrap().clear();
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What the line shows after that.
    fn shown(happening: impl FnOnce(&Progress)) -> String {
        let screen = Screen::default();
        let progress = Progress::on(ProgressDrawTarget::term_like(Box::new(screen.clone())), false);
        happening(&progress);
        progress.bar.force_draw();
        let line = screen.0.lock().unwrap().trim_end().to_owned();
        progress.bar.abandon();
        line
    }

    #[test]
    fn a_new_phase_counts_from_its_own_beginning() {
        let line = shown(|progress| {
            progress.phase("dumping");
            progress.bytes(372 << 20, Some(372 << 20));
            progress.phase("receiving");
            assert_eq!((progress.bar.position(), progress.bar.length()), (0, None));
        });
        assert!(line.contains("receiving") && !line.contains("MiB"), "{line}");
        let line = shown(|progress| {
            progress.phase("dumping");
            progress.bytes(372 << 20, Some(372 << 20));
            progress.phase("receiving");
            progress.bytes(1 << 20, None);
        });
        assert!(line.contains("  1.00 MiB  ") && !line.contains("372"), "{line}");
    }

    #[test]
    fn the_same_phase_said_again_goes_on_counting() {
        let line = shown(|progress| {
            progress.phase("dumping");
            progress.bytes(5 << 20, Some(10 << 20));
            progress.phase("dumping");
        });
        assert!(line.contains("5.00 MiB of about 10.00 MiB"), "{line}");
    }

    #[test]
    fn an_expected_size_of_zero_is_not_known() {
        let line = shown(|progress| progress.bytes(5 << 20, Some(0)));
        assert!(line.contains("5.00 MiB") && !line.contains("of about"), "{line}");
    }

    #[test]
    fn the_line_never_wraps_and_the_numbers_stay() {
        let line = shown(|progress| {
            progress.phase(&"a phase with very much to say ".repeat(9));
            progress.bytes(371 << 20, Some(372 << 20));
        });
        let columns = line.strip_suffix("\x1b[2D").map(|line| line.chars().count());
        assert_eq!(columns, Some(80), "{line:?}");
        assert!(line.contains("  371.00 MiB of about 372.00 MiB  "), "{line}");
    }

    #[test]
    fn of_several_lines_each_ends_where_the_next_begins_and_the_last_one_has_room() {
        let screen = Screen::default();
        let lines = MultiProgress::with_draw_target(ProgressDrawTarget::term_like(Box::new(screen.clone())));
        let last = lines.add(last_line());
        let first = lines.insert_before(&last, line("pod/x"));
        last.set_message("0 of 1 pods done");
        let progress = Progress::of_line(first.clone());
        progress.phase("receiving");
        progress.bytes(1 << 20, Some(2 << 20));
        first.force_draw();
        let shown = screen.0.lock().unwrap().clone();
        let (above, below) = shown.split_at(shown.char_indices().nth(80).expect("more than a line").0);
        assert!(above.contains(" pod/x  receiving ") && !above.contains(ROOM), "{shown:?}");
        assert!(below.contains(" 0 of 1 pods done ") && below.contains(ROOM), "{shown:?}");
        [first, last].iter().for_each(ProgressBar::abandon);
    }

    #[test]
    fn what_a_terminal_writes_of_ctrl_c_stays_in_the_line() {
        for line in [shown(|progress| progress.phase("attaching")), shown(|progress| progress.bytes(1, None))] {
            let columns = line.strip_suffix("  \x1b[2D").map(|line| line.chars().count());
            assert_eq!(columns, Some(78), "nothing is behind the cursor: {line:?}");
        }
    }
}

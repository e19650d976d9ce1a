//! A terminal without a window: what programs write to it, and in the end a picture of what stands on it.

use std::num::NonZeroU16;

use anstyle_svg::Term;
use anyhow::{Result, ensure};
use vt100::Parser;

/// How wide it is: what is printed wraps little, and on GitHub the picture is hardly made smaller.
pub(super) const COLUMNS: NonZeroU16 = NonZeroU16::new(104).unwrap();
/// How high: more than a picture should be, so that nothing is scrolled away.
pub(super) const ROWS: NonZeroU16 = NonZeroU16::new(60).unwrap();

/// Light letters on a dark ground of its own: it reads alike on a light page and on a dark one.
const GROUND: anstyle::RgbColor = anstyle::RgbColor(0x16, 0x1b, 0x22);
const LETTERS: anstyle::RgbColor = anstyle::RgbColor(0xe6, 0xed, 0xf3);

/// The terminal.
pub(super) struct Terminal(Parser);

impl Terminal {
    pub(super) fn new() -> Terminal {
        Terminal(Parser::new(ROWS, COLUMNS, 0))
    }

    /// Takes what a program has written, its escape sequences too.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.0.process(bytes);
    }

    /// Shows a line as if somebody had typed it, a blank line below what is there.
    pub(super) fn type_in(&mut self, line: &str) {
        let blank = if self.0.screen().cursor_position() == (0, 0) { "" } else { "\r\n" };
        self.write(format!("{blank}\x1b[1m$ {line}\x1b[m\r\n").as_bytes());
    }

    /// What stands on it, as an SVG.
    ///
    /// # Errors
    /// If it is full: something may have been scrolled away.
    pub(super) fn picture(mut self) -> Result<String> {
        let screen = self.0.screen_mut();
        ensure!(
            screen.cursor_position().0 + 1 < ROWS.get(),
            "there are more than {ROWS} rows; the last ones:\n{}",
            screen.contents()
        );
        // A row that goes on in the next one would be joined to it. In another width it goes on no more.
        screen.set_size(ROWS, COLUMNS.saturating_add(1));
        let text = screen.contents_formatted_basic();
        Ok(Term::new().bg_color(GROUND.into()).fg_color(LETTERS.into()).render_svg(text.trim_end()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts of its lines.
    fn lines(svg: &str) -> Vec<String> {
        let lines = svg.lines().filter(|line| line.trim_start().starts_with("<tspan x="));
        let text = |line: &str| line.split('<').filter_map(|part| Some(part.split_once('>')?.1)).collect::<String>();
        lines.map(text).collect()
    }

    #[test]
    fn what_was_overwritten_is_not_in_the_picture_and_a_long_line_goes_on_in_the_next_row() {
        let mut terminal = Terminal::new();
        terminal.type_in("copy <that>");
        terminal.write(b"10 %\r20 %\r\x1b[Kdone\r\n");
        terminal.write("x".repeat(108).as_bytes());
        terminal.write(b"\r\n\tend");
        let svg = terminal.picture().expect("there is room");
        let rows = ["$ copy &lt;that&gt;", "done", &"x".repeat(104), "xxxx", "        end"];
        assert_eq!(lines(&svg), rows, "{svg}");
        assert!(svg.contains(r#"class="bold""#), "what is typed stands out: {svg}");
    }

    #[test]
    fn nothing_is_scrolled_away_unsaid() {
        let mut terminal = Terminal::new();
        terminal.write("line\r\n".repeat(200).as_bytes());
        assert!(terminal.picture().is_err());
    }
}

//! What a terminal may be shown: everything that prints, nothing that acts.
//!
//! Thread names, property values and error texts come from the target, which is hostile input: an escape sequence in
//! them could retitle a window, move the cursor over what was printed before, or answer back into the shell.

use std::fmt::Write as _;
use std::io::{self, Write};

/// The text with each control character made visible: `\x1b` as `^[`, C1 and the invisible bidirectional controls as
/// `\u{…}`. Line feed and tab stay, and a carriage return before a line feed goes.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\n' | '\t' => shown.push(c),
            '\r' if rest.peek() == Some(&'\n') => {}
            '\0'..='\x1f' => shown.extend(['^', char::from(c as u8 + b'@')]),
            '\x7f' => shown.push_str("^?"),
            '\u{80}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                write!(shown, "\\u{{{:x}}}", u32::from(c)).expect("a String takes everything");
            }
            _ => shown.push(c),
        }
    }
    shown
}

/// The same in one line of so many characters at the most: a line feed in it is shown, so that nobody else's line begins there,
/// and `…` stands for what is left out.
pub(crate) fn one_line(text: &str, most: usize) -> String {
    let start: String = text.chars().take(most + 1).collect();
    let mut line = printable(&start).replace('\n', "^J").replace('\t', "^I");
    if let Some((end, _)) = line.char_indices().nth(most) {
        let last = line[..end].char_indices().next_back().map_or(0, |(last, _)| last);
        line.truncate(last);
        line.push('…');
    }
    line
}

/// Standard output for what the JVM prints: a pipe gets the bytes untouched, a terminal gets them made [`printable`], and the
/// last line ended.
pub(crate) struct JvmOutput<W> {
    inner: W,
    terminal: bool,
    /// The beginning of a character that a write cut in two, or a carriage return whose line feed may still come.
    held: Vec<u8>,
    in_line: bool,
}

impl<W: Write> JvmOutput<W> {
    /// Writes to `inner`, escaping control characters if it is a `terminal`.
    pub(crate) fn new(inner: W, terminal: bool) -> Self {
        JvmOutput { inner, terminal, held: Vec::new(), in_line: false }
    }

    /// Writes what is still held back: call it at the end of the output.
    ///
    /// # Errors
    /// Those of the writer beneath.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        let held = std::mem::take(&mut self.held);
        self.show(&held)?;
        if self.in_line {
            // Or the shell's prompt stands behind "return code: 0".
            self.inner.write_all(b"\n")?;
        }
        self.inner.flush()?;
        Ok(self.inner)
    }

    fn show(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.in_line = bytes.last().map_or(self.in_line, |last| *last != b'\n');
        self.inner.write_all(printable(&String::from_utf8_lossy(bytes)).as_bytes())
    }
}

impl<W: Write> Write for JvmOutput<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.terminal {
            return self.inner.write(bytes);
        }
        self.held.extend_from_slice(bytes);
        let end = whole(&self.held);
        let rest = self.held.split_off(end);
        let ready = std::mem::replace(&mut self.held, rest);
        self.show(&ready)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// How many leading bytes hold whole characters, so that nothing shown depends on where a write ended.
fn whole(bytes: &[u8]) -> usize {
    let end = match bytes.utf8_chunks().last() {
        // An invalid sequence at the very end may be the first bytes of a character; a longer one never becomes one.
        Some(last) if !last.invalid().is_empty() && may_go_on(last.invalid()) => bytes.len() - last.invalid().len(),
        _ => bytes.len(),
    };
    if bytes[..end].last() == Some(&b'\r') { end - 1 } else { end }
}

fn may_go_on(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_sequence_is_shown() {
        assert_eq!(printable("a\x1b]0;owned\x07b"), "a^[]0;owned^Gb");
        assert_eq!(printable("\u{9b}31m\x7f"), "\\u{9b}31m^?");
    }

    #[test]
    fn a_terminal_gets_its_last_line_ended_and_a_pipe_what_the_jvm_wrote() {
        let shown = |terminal, text: &[&str]| {
            let mut output = JvmOutput::new(Vec::new(), terminal);
            text.iter().for_each(|part| output.write_all(part.as_bytes()).expect("memory"));
            String::from_utf8(output.finish().expect("memory")).expect("text")
        };
        assert_eq!(shown(true, &["return ", "code: 0"]), "return code: 0\n");
        assert_eq!(shown(false, &["return code: 0"]), "return code: 0");
        assert_eq!(shown(true, &["a\n", "b\r", "\n"]), "a\nb\n");
        assert_eq!(shown(true, &[]), "");
    }

    #[test]
    fn text_that_could_read_backwards_is_shown() {
        assert_eq!(printable("user\u{202e}nimda"), "user\\u{202e}nimda");
    }

    #[test]
    fn lines_tabs_and_letters_of_every_script_stay() {
        assert_eq!(printable("\tat α.β(Ünï.java:1)\r\n日本"), "\tat α.β(Ünï.java:1)\n日本");
        assert_eq!(printable("over\rwritten"), "over^Mwritten");
    }

    #[test]
    fn a_pipe_gets_the_bytes_untouched() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut output = JvmOutput::new(Vec::new(), false);
        output.write_all(&bytes).unwrap();
        assert_eq!(output.finish().unwrap(), bytes);
    }

    #[test]
    fn a_terminal_sees_the_same_wherever_the_writes_are_cut() {
        let text = "über\x1b[1m日本\r\nend\r".as_bytes();
        let whole = printable(std::str::from_utf8(text).unwrap()) + "\n";
        for cut in 0..=text.len() {
            let mut output = JvmOutput::new(Vec::new(), true);
            output.write_all(&text[..cut]).unwrap();
            output.write_all(&text[cut..]).unwrap();
            assert_eq!(String::from_utf8(output.finish().unwrap()).unwrap(), whole, "cut at {cut}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_do_not_reach_a_terminal() {
        let mut output = JvmOutput::new(Vec::new(), true);
        output.write_all(b"\xff\xfe\x9b1m ok").unwrap();
        let shown = String::from_utf8(output.finish().unwrap()).unwrap();
        assert_eq!(shown, "\u{fffd}\u{fffd}\u{fffd}1m ok\n");
    }
}

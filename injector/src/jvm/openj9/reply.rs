//! What OpenJ9 answers: bytes up to a NUL, which [`Answer`] says how to read. The text of a diagnostic command is the value of
//! one line in the format of java.util.Properties, and is unescaped as it comes.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use jattach_protocol::Failure;

use super::wire::{Answer, DETACHED};
use crate::jvm::incoming::Incoming;

/// The property that holds the text. Without it the command has failed, and the others tell why.
const RESULT: &[u8] = b"openj9_diagnostics.string_result=";

/// How much is read before it is known what the answer is, of an answer that is to be short, and after the text.
const MAX_HEAD: usize = 64 << 10;

/// What an answer begins with that tells of a failure.
const ERROR: &[u8] = b"ATTACH_ERR";

/// What follows it where an agent has refused: its own code.
const AGENT: &[u8] = b"ATTACH_ERR AgentInitializationException";

/// For how long the JVM may say goodbye. Who closes before that makes it complain in its log.
const GOODBYE: Duration = Duration::from_secs(1);

/// A reply under way.
pub(crate) struct Reply {
    incoming: Incoming,
    decoder: Decoder,
    /// What has been decoded, and how much of that has been handed out.
    text: Vec<u8>,
    taken: usize,
    is_over: bool,
}

impl Reply {
    pub(super) fn new(stream: OwnedFd, silence: Duration, answer: Answer) -> Result<Reply, Failure> {
        let incoming = Incoming::new(stream, silence)?;
        Ok(Reply { incoming, decoder: Decoder::new(answer), text: Vec::new(), taken: 0, is_over: false })
    }

    pub(crate) fn set_silence_limit(&mut self, silence: Duration) {
        self.incoming.silence = silence;
    }

    /// 0 for success, else the agent's code, or -1. An answer that breaks off before it is known gives
    /// [`ErrorKind::UnexpectedEof`], one that is none [`ErrorKind::InvalidData`].
    pub(crate) fn code(&mut self) -> io::Result<i32> {
        loop {
            if let Some(code) = self.decoder.code {
                return Ok(code);
            }
            self.advance()?;
        }
    }

    fn advance(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        let count = self.incoming.receive(&mut buffer)?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.is_over = self.decoder.decode(&buffer[..count], &mut self.text)?;
        if self.is_over {
            self.detach();
        }
        Ok(())
    }

    /// The answer is whole, whatever becomes of this.
    fn detach(&mut self) {
        let deadline = Instant::now() + GOODBYE;
        let mut buffer = [0; 64];
        let mut result = self.incoming.stream.write_all(DETACHED);
        while result.is_ok() {
            self.incoming.silence = deadline.saturating_duration_since(Instant::now());
            result = match self.incoming.receive(&mut buffer) {
                Ok(count) if count > 0 && !buffer[..count].contains(&0) => Ok(()),
                _ => break,
            };
        }
    }
}

impl Read for Reply {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.code()?;
        while self.taken == self.text.len() && !self.is_over {
            self.text.clear();
            self.taken = 0;
            self.advance()?;
        }
        let count = buffer.len().min(self.text.len() - self.taken);
        buffer[..count].copy_from_slice(&self.text[self.taken..self.taken + count]);
        self.taken += count;
        Ok(count)
    }
}

impl AsFd for Reply {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.incoming.as_fd()
    }
}

/// Where in an answer we are.
enum State {
    /// It is not known yet what it is. These bytes have come.
    Head(Vec<u8>),
    /// Text, as it is.
    Text,
    /// The value of a property.
    Value(Escape),
    /// Properties that say nothing more; so many bytes of them.
    Rest(usize),
}

/// Where in the escapes of java.util.Properties.
enum Escape {
    None,
    Backslash,
    /// `\u`, so many digits, and their value.
    Unicode(u32, u32),
}

struct Decoder {
    answer: Answer,
    state: State,
    /// The first half of a character that takes two `\u`.
    high: u32,
    code: Option<i32>,
}

impl Decoder {
    fn new(answer: Answer) -> Decoder {
        Decoder { answer, state: State::Head(Vec::new()), high: 0, code: None }
    }

    /// Adds to `text`; true at the end of the answer.
    fn decode(&mut self, bytes: &[u8], text: &mut Vec<u8>) -> io::Result<bool> {
        for &byte in bytes {
            if byte == 0 {
                if let State::Head(head) = &mut self.state {
                    text.append(head);
                    self.code = Some(self.code_of(text));
                }
                return Ok(true);
            }
            self.take(byte, text)?;
        }
        Ok(false)
    }

    /// Of an answer that was too short, or had no result: all of it.
    fn code_of(&self, all: &[u8]) -> i32 {
        let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.trim_ascii().parse().ok();
        match self.answer {
            Answer::Plain if !all.starts_with(ERROR) => 0,
            Answer::Acknowledgement if all == b"ATTACH_ACK" => 0,
            _ => all.strip_prefix(AGENT).and_then(number).filter(|code| *code != 0).unwrap_or(-1),
        }
    }

    fn take(&mut self, byte: u8, text: &mut Vec<u8>) -> io::Result<()> {
        match &mut self.state {
            State::Text => text.push(byte),
            State::Rest(MAX_HEAD) => return Err(ErrorKind::InvalidData.into()),
            State::Rest(count) => *count += 1,
            State::Value(Escape::None) if byte == b'\n' || byte == b'\r' => self.state = State::Rest(0),
            State::Value(_) => self.unescape(byte, text),
            State::Head(head) => {
                head.push(byte);
                let is_result = || {
                    let line = head.rsplit(|byte| *byte == b'\n').next();
                    line == Some(RESULT)
                };
                match self.answer {
                    Answer::Diagnostic if byte == b'=' && is_result() => {
                        self.state = State::Value(Escape::None);
                        self.code = Some(0);
                    }
                    Answer::Plain if head.len() >= ERROR.len() && !head.starts_with(ERROR) => {
                        text.append(head);
                        self.state = State::Text;
                        self.code = Some(0);
                    }
                    _ if head.len() > MAX_HEAD => return Err(ErrorKind::InvalidData.into()),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn unescape(&mut self, byte: u8, text: &mut Vec<u8>) {
        let State::Value(escape) = &mut self.state else { return };
        match (&escape, byte) {
            (Escape::None, b'\\') => *escape = Escape::Backslash,
            (Escape::None, byte) => text.push(byte),
            (Escape::Backslash, b'u') => *escape = Escape::Unicode(0, 0),
            (Escape::Backslash, byte) => {
                *escape = Escape::None;
                text.push(match byte {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    b'f' => b'\x0c',
                    byte => byte,
                });
            }
            (Escape::Unicode(digits, value), digit) => {
                let value = value << 4 | char::from(digit).to_digit(16).unwrap_or_default();
                let digits = digits + 1;
                *escape = if digits == 4 { Escape::None } else { Escape::Unicode(digits, value) };
                if digits == 4 {
                    self.push_unit(value, text);
                }
            }
        }
    }

    /// A unit of UTF-16. Half a character without the other half is none.
    fn push_unit(&mut self, unit: u32, text: &mut Vec<u8>) {
        let high = std::mem::take(&mut self.high);
        let whole = match unit {
            0xd800..=0xdbff => {
                self.high = unit;
                return;
            }
            0xdc00..=0xdfff if high != 0 => 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00),
            unit => unit,
        };
        let character = char::from_u32(whole).unwrap_or(char::REPLACEMENT_CHARACTER);
        text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;

    /// The code and the text of an answer, however it is cut into pieces.
    fn read(answer: Answer, bytes: &[u8]) -> io::Result<(i32, Vec<u8>)> {
        let mut all = Vec::new();
        for size in [1, 7, bytes.len().max(1)] {
            let (mut decoder, mut text, mut over) = (Decoder::new(answer), Vec::new(), false);
            for piece in bytes.chunks(size) {
                over = over || decoder.decode(piece, &mut text)?;
            }
            all.push((over, decoder.code, text));
        }
        assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
        let (over, code, text) = all.swap_remove(0);
        if over { Ok((code.expect("known at the end"), text)) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    fn is(answer: Answer, bytes: &str, code: i32, text: &str) {
        assert_eq!(read(answer, bytes.as_bytes()).expect("whole"), (code, text.as_bytes().to_vec()), "{bytes:?}");
    }

    #[test]
    fn the_result_of_a_diagnostic_command_is_one_property_unescaped() {
        let before = "#comment\n#date\nopenj9_diagnostics.error=false\n";
        let value = r"a\tb\n\\c\:\=\r\f\u00e4\uD83D\uDE00\ \#";
        let text = "a\tb\n\\c:=\r\x0c\u{e4}\u{1f600} #";
        is(
            Answer::Diagnostic,
            &format!("{before}{RESULT}{value}\nlater=x\n\0", RESULT = "openj9_diagnostics.string_result="),
            0,
            text,
        );
        is(Answer::Diagnostic, "openj9_diagnostics.string_result=\0", 0, "");
    }

    #[test]
    fn a_diagnostic_command_without_a_result_has_failed_and_all_of_it_tells_why() {
        let text = "openj9_diagnostics.error=true\nx=openj9_diagnostics.string_result=y\n";
        is(Answer::Diagnostic, &format!("{text}\0"), -1, text);
        is(Answer::Diagnostic, "ATTACH_ERR no\0", -1, "ATTACH_ERR no");
    }

    #[test]
    fn half_a_character_is_none() {
        is(
            Answer::Diagnostic,
            "openj9_diagnostics.string_result=\\ude00\\ud83dx\\ud83d\\u0041\\uzzzz\0",
            0,
            "\u{fffd}xA\0",
        );
    }

    #[test]
    fn an_agent_is_acknowledged_or_tells_its_code() {
        is(Answer::Acknowledgement, "ATTACH_ACK\0", 0, "ATTACH_ACK");
        for (text, code) in [
            ("ATTACH_ERR AgentInitializationException5", 5),
            ("ATTACH_ERR AgentInitializationException-3", -3),
            ("ATTACH_ERR AgentInitializationException0", -1),
            ("ATTACH_ERR AgentLoadException no.so", -1),
            ("ATTACH_ACKNOWLEDGED", -1),
            ("", -1),
        ] {
            is(Answer::Acknowledgement, &format!("{text}\0"), code, text);
        }
    }

    #[test]
    fn properties_are_text_as_it_is() {
        is(Answer::Plain, "#date\na=b\\n\n\0", 0, "#date\na=b\\n\n");
        is(Answer::Plain, "a=b\0", 0, "a=b");
        is(Answer::Plain, "ATTACH_ERR no\0", -1, "ATTACH_ERR no");
    }

    #[test]
    fn an_answer_without_end_fills_no_memory_before_it_is_known() {
        for answer in [Answer::Acknowledgement, Answer::Diagnostic] {
            let error = read(answer, &vec![b'x'; MAX_HEAD + 1]).expect_err("no answer");
            assert_eq!(error.kind(), ErrorKind::InvalidData);
        }
        let text_and_noise = [RESULT, b"\n", &[b'x'; MAX_HEAD + 1]].concat();
        assert_eq!(read(Answer::Diagnostic, &text_and_noise).expect_err("no end").kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn an_answer_that_breaks_off_gives_what_has_come_and_then_the_error() {
        let (mut jvm, ours) = UnixStream::pair().expect("sockets");
        jvm.write_all(b"openj9_diagnostics.string_result=half").expect("taken");
        drop(jvm);
        let mut reply = Reply::new(ours.into(), Duration::from_secs(10), Answer::Diagnostic).expect("a reply");
        assert_eq!(reply.code().expect("known"), 0);
        let mut text = Vec::new();
        let error = reply.read_to_end(&mut text).expect_err("not whole");
        assert_eq!((error.kind(), text.as_slice()), (ErrorKind::UnexpectedEof, b"half".as_slice()));
    }

    #[test]
    fn the_jvm_is_told_goodbye_and_answers_that() {
        let (mut jvm, ours) = UnixStream::pair().expect("sockets");
        let mut reply = Reply::new(ours.into(), Duration::from_secs(10), Answer::Plain).expect("a reply");
        let jvm = thread::spawn(move || {
            jvm.write_all(b"some text of it\0").expect("taken");
            let mut goodbye = [0; DETACHED.len()];
            jvm.read_exact(&mut goodbye).expect("a goodbye");
            jvm.write_all(&goodbye).expect("it is waited for");
            goodbye
        });
        let mut text = String::new();
        reply.read_to_string(&mut text).expect("whole");
        assert_eq!((text.as_str(), jvm.join().expect("no panic").as_slice()), ("some text of it", DETACHED));
        assert_eq!(reply.read(&mut [0; 9]).expect("over"), 0);
    }
}

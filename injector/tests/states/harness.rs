//! States and rounds: a process is brought into a state, an injector is let loose on it, and then it is asked how it is.

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

/// A process in some state.
pub(crate) trait Subject {
    /// Its pid as we see it.
    fn pid(&self) -> u32;

    /// The injector has been connected, and waits for its answer.
    fn connected(&mut self) {}

    /// Whether the injector may try again if it is refused: the process is on its way to where it can be attached to, and was
    /// not there yet when this was asked.
    fn is_to_be_tried_again(&mut self) -> bool {
        false
    }

    /// Ends what the state is about, and the process, and tells how it was until then.
    fn health(self: Box<Self>) -> Health;
}

/// What a process that was looked after says.
#[derive(Debug)]
pub(crate) enum Health {
    Well,
    /// It lives, and something reached it that it was not to get.
    Signalled(String),
    Dead(String),
}

/// What the injector is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    Attached,
    /// With these words among the reasons, before it has connected.
    Refused(&'static str),
    /// The same, by what a connection has shown.
    RefusedConnected(&'static str),
}

/// Why a state cannot be had here. Whatever else keeps one from it is a failure.
#[derive(Debug)]
pub(crate) enum Missing {
    /// This build of the JVM cannot be in it.
    Build(String),
    /// The machine has not the room.
    Room(String),
    /// Nobody has named the program.
    Program(String),
}

/// How a state is called, and brought about.
pub(crate) struct State {
    pub(crate) name: &'static str,
    pub(crate) expected: Expected,
    pub(crate) start: Start,
    /// What the injector is asked for, and what stands in the answer.
    pub(crate) words: Vec<String>,
    pub(crate) answer: String,
    /// It takes so much of the machine that it is tried a fifth as often.
    pub(crate) is_heavy: bool,
    /// What a try is refused with that comes while the state lasts, which is not for long: it has to be hit.
    pub(crate) passing: Option<&'static str>,
}

pub(crate) type Start = fn() -> Result<Box<dyn Subject>, Missing>;

/// The injector to try, made for a pid and words.
pub(crate) type Injector<'a> = &'a dyn Fn(u32, &[String]) -> Command;

impl State {
    pub(crate) fn new(name: &'static str, expected: Expected, start: Start) -> State {
        let (words, answer) = (vec!["threaddump".to_owned()], "Full thread dump".to_owned());
        State { name, expected, start, words, answer, is_heavy: false, passing: None }
    }
}

/// In so many rounds a state that passes is hit.
const ENOUGH: u32 = 5;

/// What came of a state.
#[derive(Debug)]
pub(crate) struct Row {
    name: &'static str,
    expected: Expected,
    pub(crate) tried: u32,
    attached: u32,
    refused: u32,
    /// Tries that came while a state lasted that passes, and whether there have to be some.
    pub(crate) hits: u32,
    is_to_be_hit: bool,
    /// Processes that got a signal and lived.
    pub(crate) signals: u32,
    pub(crate) deaths: u32,
    /// Why it was tried no more.
    pub(crate) missing: Option<Missing>,
    /// What was not as it should be.
    remarks: Vec<String>,
}

impl Row {
    /// Whether every round went as expected. Without any there is a reason.
    pub(crate) fn is_right(&self) -> bool {
        let as_expected = match self.expected {
            Expected::Attached => self.attached,
            Expected::Refused(_) | Expected::RefusedConnected(_) => self.refused,
        };
        let hit = self.hits > 0 || !self.is_to_be_hit || self.tried < ENOUGH;
        let tried = self.tried > 0 || self.missing.is_some();
        tried && as_expected == self.tried && hit && self.signals == 0 && self.deaths == 0
    }

    /// A line: the state, what was expected, how often it was tried, whether all was right or why it was not tried, and how
    /// many processes were harmed.
    pub(crate) fn record(&self) -> String {
        let verdict = match &self.missing {
            _ if !self.is_right() => "wrong",
            Some(missing) if self.tried == 0 => missing.name(),
            _ => "right",
        };
        format!("{}\t{}\t{}\t{verdict}\t{}\n", self.name, self.expected.name(), self.tried, self.signals + self.deaths)
    }
}

impl Missing {
    fn name(&self) -> &'static str {
        match self {
            Missing::Build(_) => "not in build",
            Missing::Room(_) => "no room",
            Missing::Program(_) => "no program",
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Missing::Build(reason) | Missing::Room(reason) | Missing::Program(reason)) = self;
        write!(f, "{}: {reason}", self.name())
    }
}

impl Expected {
    fn name(self) -> &'static str {
        match self {
            Expected::Attached => "attached",
            Expected::Refused(_) | Expected::RefusedConnected(_) => "refused",
        }
    }
}

/// Tries a state, with a process of its own each time.
pub(crate) fn run(state: &State, rounds: u32, injector: Injector<'_>) -> Row {
    let mut row = Row {
        name: state.name,
        expected: state.expected,
        tried: 0,
        attached: 0,
        refused: 0,
        hits: 0,
        is_to_be_hit: state.passing.is_some(),
        signals: 0,
        deaths: 0,
        missing: None,
        remarks: Vec::new(),
    };
    for _ in 0..rounds {
        match (state.start)() {
            Ok(subject) => round(&mut row, subject, state, injector),
            Err(missing) => {
                row.missing = Some(missing);
                break;
            }
        }
    }
    if row.is_to_be_hit {
        row.remarks.push(format!("{} tries while it lasted", row.hits));
    }
    row
}

fn round(row: &mut Row, mut subject: Box<dyn Subject>, state: &State, injector: Injector<'_>) {
    row.tried += 1;
    let outcome = loop {
        // Asked before the try: the one after it was there has to succeed.
        let may_be_early = subject.is_to_be_tried_again();
        let outcome = inject(injector(subject.pid(), &state.words), subject.as_mut());
        row.hits += u32::from(state.passing.is_some_and(|words| outcome.is_refusal(words)));
        if !may_be_early || !outcome.is_refusal("") {
            break outcome;
        }
    };
    match row.expected {
        Expected::Attached if outcome.is_answer(&state.answer) => row.attached += 1,
        Expected::Refused(words) if outcome.is_refusal(words) => row.refused += 1,
        Expected::RefusedConnected(words) if outcome.is_late_refusal(words) => row.refused += 1,
        _ => row.remarks.push(outcome.summary()),
    }
    match subject.health() {
        Health::Well => {}
        Health::Signalled(what) => {
            row.signals += 1;
            row.remarks.push(what);
        }
        Health::Dead(what) => {
            row.deaths += 1;
            row.remarks.push(what);
        }
    }
}

/// What an injector said and returned.
struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn inject(mut command: Command, subject: &mut dyn Subject) -> Outcome {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the injector");
    let mut lines = BufReader::new(child.stdout.take().expect("piped"));
    let mut stdout = Vec::new();
    lines.read_until(b'\n', &mut stdout).expect("its output");
    if !stdout.is_empty() {
        subject.connected();
    }
    lines.read_to_end(&mut stdout).expect("its output");
    let rest = child.wait_with_output().expect("the injector's end");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Outcome { code: rest.status.code(), stdout: text(&stdout), stderr: text(&rest.stderr) }
}

/// What it says first when it is.
const CONNECTED: &str = "Connected to remote JVM\n";

impl Outcome {
    fn is_answer(&self, words: &str) -> bool {
        self.code == Some(0) && self.stdout.contains(words)
    }

    fn is_refusal(&self, words: &str) -> bool {
        self.code == Some(1) && self.stdout.is_empty() && self.stderr.contains(words)
    }

    fn is_late_refusal(&self, words: &str) -> bool {
        self.code == Some(1) && self.stdout == CONNECTED && self.stderr.contains(words)
    }

    fn summary(&self) -> String {
        let beginning: String = self.stdout.chars().take(80).collect();
        format!("the injector: {:?} {:?} {:?}", self.code, beginning, self.stderr)
    }
}

/// A line for each state, and what there is to remark below it.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = line("state", &["expected", "rounds", "attached", "refused", "signals", "deaths"].map(String::from));
    for row in rows {
        let counts = [row.tried, row.attached, row.refused, row.signals, row.deaths];
        let [tried, attached, refused, signals, deaths] = counts.map(|count| count.to_string());
        text += &line(row.name, &[row.expected.name().to_string(), tried, attached, refused, signals, deaths]);
        let missing = row.missing.iter().map(ToString::to_string);
        for remark in missing.chain(row.remarks.iter().cloned()) {
            text += &format!("    {remark}\n");
        }
    }
    text
}

fn line(name: &str, cells: &[String; 6]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:>9}")).collect();
    format!("{name:<32}{}\n", cells.concat())
}

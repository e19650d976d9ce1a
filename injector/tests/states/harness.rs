//! States and rounds: a process is brought into a state, an injector is let loose on it, and then it is asked how it is.

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
    /// With these words among the reasons.
    Refused(&'static str),
}

/// How a state is called, and brought about. An error says why it cannot be had here.
pub(crate) struct State {
    pub(crate) name: &'static str,
    pub(crate) expected: Expected,
    pub(crate) start: Start,
    /// It takes so much of the machine that it is tried a fifth as often.
    pub(crate) is_heavy: bool,
    /// What a try is refused with that comes while the state lasts, which is not for long: it has to be hit.
    pub(crate) passing: Option<&'static str>,
}

pub(crate) type Start = fn() -> Result<Box<dyn Subject>, String>;

impl State {
    pub(crate) fn new(name: &'static str, expected: Expected, start: Start) -> State {
        State { name, expected, start, is_heavy: false, passing: None }
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
    /// What was not as it should be, or why nothing was tried.
    remarks: Vec<String>,
}

impl Row {
    /// Whether every round went as expected. A state that cannot be had here has none.
    pub(crate) fn is_right(&self) -> bool {
        let as_expected = match self.expected {
            Expected::Attached => self.attached,
            Expected::Refused(_) => self.refused,
        };
        let hit = self.hits > 0 || !self.is_to_be_hit || self.tried < ENOUGH;
        as_expected == self.tried && hit && self.signals == 0 && self.deaths == 0
    }
}

impl Row {
    /// A line: the state, what was expected, how often it was tried, whether all was right, and how many processes were harmed.
    pub(crate) fn record(&self) -> String {
        let right = if self.is_right() { "right" } else { "wrong" };
        format!("{}\t{}\t{}\t{right}\t{}\n", self.name, self.expected.name(), self.tried, self.signals + self.deaths)
    }
}

impl Expected {
    fn name(self) -> &'static str {
        match self {
            Expected::Attached => "attached",
            Expected::Refused(_) => "refused",
        }
    }
}

/// Tries a state, with a process of its own each time.
pub(crate) fn run(state: &State, rounds: u32, injector: &dyn Fn(u32) -> Command) -> Row {
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
        remarks: Vec::new(),
    };
    for _ in 0..rounds {
        match (state.start)() {
            Ok(subject) => round(&mut row, subject, state.passing, injector),
            Err(why) => {
                row.remarks.push(format!("not tried: {why}"));
                break;
            }
        }
    }
    if row.is_to_be_hit {
        row.remarks.push(format!("{} tries while it lasted", row.hits));
    }
    row
}

fn round(
    row: &mut Row,
    mut subject: Box<dyn Subject>,
    passing: Option<&'static str>,
    injector: &dyn Fn(u32) -> Command,
) {
    row.tried += 1;
    let outcome = loop {
        // Asked before the try: the one after it was there has to succeed.
        let may_be_early = subject.is_to_be_tried_again();
        let outcome = inject(injector(subject.pid()), subject.as_mut());
        row.hits += u32::from(passing.is_some_and(|words| outcome.is_refusal(words)));
        if !may_be_early || !outcome.is_refusal("") {
            break outcome;
        }
    };
    match row.expected {
        Expected::Attached if outcome.is_thread_dump() => row.attached += 1,
        Expected::Refused(words) if outcome.is_refusal(words) => row.refused += 1,
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

impl Outcome {
    fn is_thread_dump(&self) -> bool {
        self.code == Some(0) && self.stdout.contains("Full thread dump")
    }

    fn is_refusal(&self, words: &str) -> bool {
        self.code == Some(1) && self.stdout.is_empty() && self.stderr.contains(words)
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
        for remark in &row.remarks {
            text += &format!("    {remark}\n");
        }
    }
    text
}

fn line(name: &str, cells: &[String; 6]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:>9}")).collect();
    format!("{name:<32}{}\n", cells.concat())
}

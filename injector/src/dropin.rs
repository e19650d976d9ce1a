//! `injector PID COMMAND ARGS…`: what jattach 2.1 does, prints and returns, in the safe order.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::time::Duration;

use jattach_protocol::{Code, Failure};

use crate::jvm::command::Command;
use crate::jvm::{self, Limits, Reply, failure};
use crate::process::{Target, identity};
use crate::sys::Sys;

/// A heap dump says nothing until it is written. The user can end the wait earlier, with Ctrl-C.
const ANSWER: Duration = Duration::from_secs(3600);

/// As much of a `load` reply as jattach reads before it looks for the agent's own result.
const LOAD_REPLY: u64 = 8191;

/// Runs the command in that JVM, prints its answer on `out`, and returns the exit code.
pub(crate) fn run(
    sys: &dyn Sys,
    pid: &OsStr,
    command: &[u8],
    arguments: &[Vec<u8>],
    out: &mut dyn Write,
) -> Result<u8, Failure> {
    let Some(number) = leading_number(pid) else {
        return Err(Failure::new(Code::Usage, format!("{} is not a valid process ID", pid.to_string_lossy())));
    };
    let command = Command::like_jattach(command, arguments)?;
    let target = Target::open(sys, number)?;
    take_position(&target)?;
    let connection = jvm::connect(&target, Limits::default())?;
    print(out, b"Connected to remote JVM\n")?;
    let mut reply = connection.request(&command)?;
    reply.set_silence_limit(ANSWER);
    mirror(&mut reply, command.name() == b"load", out)
}

/// Goes where the target is and becomes what it is, as far as that is needed and permitted.
fn take_position(target: &Target<'_>) -> Result<(), Failure> {
    // With CAP_SYS_PTRACE these succeed now and perhaps not with the target's ids; without it, the other way round.
    let _ = target.root();
    let _ = target.libraries();
    for kind in ["net", "ipc"] {
        // As jattach does. HotSpot's socket is a file, and works from any.
        let _ = target.enter_namespace(kind);
    }
    identity::become_like(target)
}

fn mirror(reply: &mut Reply, load: bool, out: &mut dyn Write) -> Result<u8, Failure> {
    let broken = |error: io::Error| failure(&error);
    let mut code = reply.code().map_err(broken)?;
    let Some(mut head) = reply.code_line().map(<[u8]>::to_vec) else {
        // OpenJ9 has no such line, and jattach makes none up.
        return print_rest(reply, out).map(|()| code.to_le_bytes()[0]);
    };
    if load && code == 0 {
        let mut result = Vec::new();
        reply.read_text(&mut result, LOAD_REPLY - head.len() as u64).map_err(broken)?;
        code = load_result(&result);
        head.append(&mut result);
    }
    print(out, b"JVM response code = ")?;
    print(out, &head)?;
    print_rest(reply, out)?;
    // An exit code is the low byte, as exit(3) makes it.
    Ok(code.to_le_bytes()[0])
}

fn print_rest(reply: &mut Reply, out: &mut dyn Write) -> Result<(), Failure> {
    let mut buffer = [0; 8192];
    loop {
        match reply.read(&mut buffer).map_err(|error| failure(&error))? {
            0 => return print(out, b"\n"),
            count => print(out, &buffer[..count])?,
        }
    }
}

/// What the agent's Agent_OnAttach returned; JDK 8 gives the bare number.
fn load_result(text: &[u8]) -> i32 {
    let number = text.strip_prefix(b"return code: ").unwrap_or(text);
    let line = number.split(|byte| *byte == b'\n').next().unwrap_or_default();
    std::str::from_utf8(line).ok().and_then(|line| line.trim_ascii().parse().ok()).unwrap_or(0)
}

/// A reader that has gone is nothing to complain about, but nobody is left to work for either.
fn print(out: &mut dyn Write, bytes: &[u8]) -> Result<(), Failure> {
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::new(Code::Cancelled, ""),
        _ => Failure::new(Code::Other, "cannot write the answer").evidence(error.to_string()),
    })
}

/// atoi(3), as jattach reads a pid: white space, a sign, digits, and whatever follows.
fn leading_number(text: &OsStr) -> Option<u32> {
    let text = text.to_str()?.trim_ascii_start();
    let text = text.strip_prefix('+').unwrap_or(text);
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text[..digits].parse().ok().filter(|pid| *pid > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_is_read_as_atoi_reads_it() {
        let read = |text: &str| leading_number(OsStr::new(text));
        assert_eq!(read("4711"), Some(4711));
        assert_eq!(read(" +7x"), Some(7));
        for none in ["", "0", "-1", "abc", "99999999999"] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    #[test]
    fn the_agents_own_result_is_the_result_of_load() {
        assert_eq!(load_result(b"return code: 5\n"), 5);
        assert_eq!(load_result(b"-3\n"), -3);
        assert_eq!(load_result(b"x was not loaded.\n"), 0);
        assert_eq!(load_result(b""), 0);
    }
}

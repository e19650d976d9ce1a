//! The bytes of a request to OpenJ9. Its diagnostic commands have words of their own, separated by commas.

use jattach_protocol::{Code, Failure};

use crate::jvm::command::Command;

/// What a request is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// `ATTACH_ACK` or `ATTACH_ERR …`.
    Acknowledgement,
    /// Text.
    Plain,
    /// Properties, one of which is the text.
    Diagnostic,
}

/// The last word of both sides.
pub(super) const DETACHED: &[u8] = b"ATTACH_DETACHED\0";

/// The request, and how it is answered.
pub(super) fn request(command: &Command) -> Result<(Vec<u8>, Answer), Failure> {
    refuse_commas(command)?;
    let argument = |index: usize| command.arguments().get(index).map_or(b"".as_slice(), Vec::as_slice);
    let words = words(command.arguments());
    let (verb, rest, answer): (&str, [&[u8]; 3], Answer) = match command.name() {
        b"load" => {
            let verb = if argument(1) == b"true" { "ATTACH_LOADAGENTPATH(" } else { "ATTACH_LOADAGENT(" };
            (verb, [argument(0), b",", argument(2)], Answer::Acknowledgement)
        }
        b"jcmd" => ("ATTACH_DIAGNOSTICS:", [&words, b"", b""], Answer::Diagnostic),
        b"threaddump" => ("ATTACH_DIAGNOSTICS:Thread.print,", [argument(0), b"", b""], Answer::Diagnostic),
        b"dumpheap" => ("ATTACH_DIAGNOSTICS:Dump.heap,", [argument(0), b"", b""], Answer::Diagnostic),
        b"inspectheap" => ("ATTACH_DIAGNOSTICS:GC.class_histogram,", [argument(0), b"", b""], Answer::Diagnostic),
        b"datadump" => ("ATTACH_DIAGNOSTICS:Dump.java,", [argument(0), b"", b""], Answer::Diagnostic),
        b"properties" => ("ATTACH_GETSYSTEMPROPERTIES", [b""; 3], Answer::Plain),
        b"agentProperties" => ("ATTACH_GETAGENTPROPERTIES", [b""; 3], Answer::Plain),
        name => {
            return Err(Failure::new(Code::Usage, format!("OpenJ9 has no {}", String::from_utf8_lossy(name)))
                .remedy("`jcmd help` lists what it has"));
        }
    };
    let mut bytes = verb.as_bytes().to_vec();
    for part in rest {
        bytes.extend_from_slice(part);
    }
    if answer == Answer::Acknowledgement {
        bytes.push(b')');
    }
    bytes.push(0);
    Ok((bytes, answer))
}

/// OpenJ9 ends an argument at each comma: what has one would be another argument, a file's name another file's. An agent's
/// options come last, and may have some.
fn refuse_commas(command: &Command) -> Result<(), Failure> {
    let count = if command.name() == b"load" { 1 } else { usize::MAX };
    match command.arguments().iter().take(count).find(|argument| argument.contains(&b',')) {
        None => Ok(()),
        Some(argument) => Err(Failure::new(Code::Usage, "OpenJ9 takes no argument with a comma, which ends one")
            .evidence(argument.escape_ascii().to_string())
            .remedy("name a file without one; words of a command are separated by blanks here")),
    }
}

/// The words of a diagnostic command, which blanks separate outside of quotes, with commas between them.
fn words(arguments: &[Vec<u8>]) -> Vec<u8> {
    let mut joined: Vec<u8> = Vec::new();
    let mut is_quoted = false;
    for byte in arguments.join(&b' ') {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b' ' if !is_quoted => {
                if joined.last().is_some_and(|last| *last != b',') {
                    joined.push(b',');
                }
            }
            byte => joined.push(byte),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(name: &str, arguments: &[&str]) -> (String, Answer) {
        let arguments: Vec<Vec<u8>> = arguments.iter().map(|argument| argument.as_bytes().to_vec()).collect();
        let command = Command::like_jattach(name.as_bytes(), &arguments).expect("no NUL");
        let (bytes, answer) = request(&command).expect("known");
        (String::from_utf8(bytes).expect("text"), answer)
    }

    #[test]
    fn every_command_has_its_words() {
        for (name, arguments, words, answer) in [
            ("load", &["/a.so", "true", "x=1"][..], "ATTACH_LOADAGENTPATH(/a.so,x=1)\0", Answer::Acknowledgement),
            (
                "load",
                &["instrument", "false", "a.jar"],
                "ATTACH_LOADAGENT(instrument,a.jar)\0",
                Answer::Acknowledgement,
            ),
            ("load", &["a"], "ATTACH_LOADAGENT(a,)\0", Answer::Acknowledgement),
            ("jcmd", &["GC.class_histogram all"], "ATTACH_DIAGNOSTICS:GC.class_histogram,all\0", Answer::Diagnostic),
            ("jcmd", &["Dump.heap", "/tmp/x"], "ATTACH_DIAGNOSTICS:Dump.heap,/tmp/x\0", Answer::Diagnostic),
            ("jcmd", &[r#"Dump.heap  "/tmp/a b""#], "ATTACH_DIAGNOSTICS:Dump.heap,/tmp/a b\0", Answer::Diagnostic),
            ("threaddump", &["-l"], "ATTACH_DIAGNOSTICS:Thread.print,-l\0", Answer::Diagnostic),
            ("dumpheap", &["/tmp/x"], "ATTACH_DIAGNOSTICS:Dump.heap,/tmp/x\0", Answer::Diagnostic),
            ("inspectheap", &[], "ATTACH_DIAGNOSTICS:GC.class_histogram,\0", Answer::Diagnostic),
            ("datadump", &[], "ATTACH_DIAGNOSTICS:Dump.java,\0", Answer::Diagnostic),
            ("properties", &[], "ATTACH_GETSYSTEMPROPERTIES\0", Answer::Plain),
            ("agentProperties", &[], "ATTACH_GETAGENTPROPERTIES\0", Answer::Plain),
        ] {
            assert_eq!(sent(name, arguments), (words.to_owned(), answer), "{name}");
        }
    }

    #[test]
    fn an_argument_that_openj9_would_take_for_two_is_refused() {
        let refused = |name: &str, arguments: &[&[u8]]| {
            let arguments: Vec<Vec<u8>> = arguments.iter().map(|argument| argument.to_vec()).collect();
            request(&Command::like_jattach(name.as_bytes(), &arguments).expect("no NUL")).is_err()
        };
        assert!(refused("jcmd", &[b"Dump.heap /tmp/a,b.phd"]));
        assert!(refused("dumpheap", &[b"/tmp/a,b.phd"]));
        assert!(refused("load", &[b"/tmp/a,b.so", b"true", b"x"]));
        assert!(!refused("load", &[b"/tmp/a.so", b"true", b"x=1,y=2"]), "an agent reads its options itself");
    }

    #[test]
    fn what_openj9_does_not_know_is_refused() {
        for name in ["setflag", "printflag", "getversion"] {
            let command = Command::like_jattach(name.as_bytes(), &[]).expect("no NUL");
            assert_eq!(request(&command).expect_err("unknown").code, Code::Usage);
        }
    }
}

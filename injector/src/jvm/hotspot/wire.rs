//! The bytes of an attach request (HotSpot's attachListener.cpp; JDK-8342995 for version 2).

use jattach_protocol::{Code, Failure};

use crate::jvm::command::{ARGUMENTS, Command};

/// The longest command name; beyond it a JVM closes the connection without a word.
const MAX_NAME: usize = 16;

/// The longest argument under version 1.
const MAX_ARGUMENT: usize = 1024;

/// The most bytes after the size under version 2.
const MAX_V2: usize = 256 << 10;

/// Whether version 1 can carry the command; fails on what no version can.
pub(super) fn fits_version_1(command: &Command) -> Result<bool, Failure> {
    if command.name().len() > MAX_NAME {
        return Err(Failure::new(Code::Usage, "the command's name is too long")
            .evidence(format!("{} bytes, a JVM takes {MAX_NAME}", command.name().len())));
    }
    if body_v2(command).len() > MAX_V2 {
        return Err(Failure::new(Code::Usage, "the command's arguments are too long")
            .evidence(format!("{} bytes, no JVM takes more than {MAX_V2}", body_v2(command).len())));
    }
    Ok(command.arguments().iter().all(|argument| argument.len() <= MAX_ARGUMENT))
}

/// Five NUL-terminated strings: the version, the name, and three arguments, always.
pub(super) fn version_1(command: &Command) -> Vec<u8> {
    let mut bytes = b"1\0".to_vec();
    push(&mut bytes, command.name());
    for index in 0..ARGUMENTS {
        push(&mut bytes, command.arguments().get(index).map_or(b"", Vec::as_slice));
    }
    bytes
}

/// The version, the size of the rest in decimal, and the rest: the name and as many arguments as there are.
pub(super) fn version_2(command: &Command) -> Vec<u8> {
    let body = body_v2(command);
    let mut bytes = b"2\0".to_vec();
    push(&mut bytes, body.len().to_string().as_bytes());
    bytes.extend(body);
    bytes
}

fn body_v2(command: &Command) -> Vec<u8> {
    let mut body = Vec::new();
    push(&mut body, command.name());
    for argument in command.arguments() {
        push(&mut body, argument);
    }
    body
}

fn push(bytes: &mut Vec<u8>, string: &[u8]) {
    bytes.extend_from_slice(string);
    bytes.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(name: &str, arguments: &[&str]) -> Command {
        let arguments: Vec<Vec<u8>> = arguments.iter().map(|argument| argument.as_bytes().to_vec()).collect();
        Command::like_jattach(name.as_bytes(), &arguments).expect("no NUL")
    }

    #[test]
    fn version_1_always_sends_five_strings() {
        assert_eq!(version_1(&command("threaddump", &["-l"])), b"1\0threaddump\0-l\0\0\0");
        assert_eq!(version_1(&command("load", &["a", "b", "c"])), b"1\0load\0a\0b\0c\0");
    }

    #[test]
    fn version_2_sends_the_size_of_what_follows() {
        assert_eq!(version_2(&command("jcmd", &["VM.version"])), b"2\x0016\0jcmd\0VM.version\0");
    }

    #[test]
    fn an_argument_of_1024_bytes_is_the_last_that_version_1_carries() {
        assert_eq!(fits_version_1(&command("jcmd", &[&"x".repeat(1024)])).map_err(|failure| failure.code), Ok(true));
        assert_eq!(fits_version_1(&command("jcmd", &[&"x".repeat(1025)])).map_err(|failure| failure.code), Ok(false));
    }

    #[test]
    fn what_no_version_carries_is_refused() {
        let code = |command: &Command| fits_version_1(command).expect_err("too long").code;
        assert_eq!(code(&command("seventeen-letters", &[])), Code::Usage);
        assert_eq!(code(&command("jcmd", &[&"x".repeat(256 << 10)])), Code::Usage);
        assert!(fits_version_1(&command("sixteen-letters!", &[&"x".repeat((256 << 10) - 18)])).is_ok());
    }
}

//! `load`: an agent that the target can already see, or one that is brought along.

use std::fs;
use std::path::Path;

use jattach_protocol::Message;
use jattach_protocol::message::{Block, Codec, Operation};
use xxhash_rust::xxh3::xxh3_64;

use super::{Context, answer, attach};
use crate::error::Failure;
use crate::session::{Error, Session};

/// How much of an agent goes into one message: small enough to be acknowledged often.
const BLOCK: usize = 128 << 10;

/// How much may be under way: the injector holds no more than 2 MiB that it has not stored.
const UNDER_WAY: u64 = 1 << 20;

/// The largest agent that is brought along. Native agents are far below it; a heap dump given by mistake is not.
const MAX_AGENT: u64 = 512 << 20;

/// `load` of an absolute path in the target's file system.
pub(super) fn path(path: &str, options: Option<&str>) -> Operation {
    attach("load", [path, "true"].into_iter().chain(options))
}

/// `load` of a library that the JVM finds by its name.
pub(super) fn library(name: &str, options: Option<&str>) -> Operation {
    attach("load", [name, "false"].into_iter().chain(options))
}

/// Sends a native agent of this machine, and has the injector load it from its own filesystem.
///
/// # Errors
/// Those of the conversation.
pub(super) async fn upload(
    context: &Context,
    session: &mut Session,
    file: &Path,
    agent: &[u8],
    options: Option<&str>,
) -> Result<(), Error> {
    let name = file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let options = options.unwrap_or_default().to_owned();
    let operation = Operation::Load { name, length: agent.len() as u64, hash: xxh3_64(agent), options };
    session.request(context.request(operation));
    loop {
        match session.next().await? {
            Message::Started(_) => break,
            Message::Job(before) => context.behind(before),
            _ => {}
        }
    }
    let (outgoing, request) = (session.outgoing(), session.current());
    let (mut sent, mut stored) = (0, 0);
    for data in agent.chunks(BLOCK) {
        let raw_length = u32::try_from(data.len()).unwrap_or(0);
        let block = Block { stream: 0, offset: sent, raw_length, codec: Codec::None, data };
        outgoing.send(request, &Message::Block(block));
        sent += data.len() as u64;
        while sent - stored > UNDER_WAY {
            if let Message::Ack { offset, .. } = session.next().await? {
                stored = offset.clamp(stored, sent);
            }
        }
    }
    answer::receive(context, session, None).await
}

/// A native agent of this machine.
///
/// # Errors
/// A usage failure for what cannot be read or is none.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::usage(format!("cannot read the agent {}", file.display()))
            .evidence(error.to_string())
            .remedy("check the path: it is one of this machine")
    };
    let metadata = fs::metadata(file).map_err(unreadable)?;
    let no_agent = |evidence: String| {
        Failure::usage(format!("{} is no agent", file.display()))
            .evidence(evidence)
            .remedy("name the agent's shared library")
    };
    // A FIFO or a device may have no end.
    if !metadata.is_file() {
        return Err(no_agent("it is no regular file".to_owned()));
    }
    if metadata.len() > MAX_AGENT {
        return Err(no_agent(format!("{} bytes, and {MAX_AGENT} is the most", metadata.len())));
    }
    let agent = fs::read(file).map_err(unreadable)?;
    if !agent.starts_with(b"\x7fELF") {
        return Err(Failure::usage(format!("{} is no native agent for Linux", file.display()))
            .evidence("it does not begin as an ELF file does")
            .remedy("a Java agent (a jar) has to lie in the target: load instrument /path/agent.jar=OPTIONS"));
    }
    Ok(agent)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_regular_file_is_not_read_to_its_end() {
        let failure = read(Path::new("/dev/null")).expect_err("a device");
        assert_eq!(failure.evidence, "it is no regular file");
    }
}

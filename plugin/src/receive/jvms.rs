//! An answer that is a list of JVMs.

use jattach_protocol::Message;
use jattach_protocol::message::Jvm;

use crate::catalogue::Id;
use crate::error::Failure;
use crate::session::{Error, Session};

/// The JVMs that a request for the list gives, and the job that the injector is at, in its words.
///
/// # Errors
/// Those of the conversation.
pub(crate) async fn jvms(session: &mut Session) -> Result<(Vec<Jvm>, Option<String>), Error> {
    // More text than all the JVMs of a pod have; a hostile injector is not to fill the memory.
    const MAX_TEXT: usize = 1 << 20;
    let (mut jvms, mut job, mut text) = (Vec::new(), None, 0);
    loop {
        match session.next().await? {
            Message::Jvm(jvm) => {
                let names = [&jvm.container, &jvm.kind, &jvm.vendor, &jvm.version, &jvm.main];
                let strings = names.into_iter().chain([&jvm.obstacle, &jvm.remedy]);
                text += size_of::<Jvm>() + strings.map(String::len).sum::<usize>();
                if text > MAX_TEXT {
                    return Err(Failure::new(Id::Transfer, "the list of JVMs does not end")
                        .evidence(format!("{} of them take more than 1 MiB", jvms.len() + 1))
                        .remedy("end the injector with `kubectl jattach TARGET clean`: its answer makes no sense")
                        .into());
                }
                jvms.push(jvm);
            }
            Message::Job(words) => job = Some(words.to_owned()),
            Message::End(_) => return Ok((jvms, job)),
            _ => {}
        }
    }
}

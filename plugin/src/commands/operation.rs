//! The commands whose answer is a text, as jattach would be given them.

use jattach_protocol::message::Operation;

use super::{flags, inspectheap, jcmd, load, threaddump};
use crate::options::{Action, Agent};

/// The operation of an action whose answer is a text; `None` for those that make or take files, and for those that
/// concern the injector alone.
pub(super) fn operation(action: &Action) -> Option<Operation> {
    Some(match action {
        Action::ThreadDump { locks } => threaddump::operation(*locks),
        Action::InspectHeap { live, .. } => inspectheap::operation(*live),
        Action::Jcmd { words } => jcmd::operation(words),
        Action::Properties => attach("properties", None::<&str>),
        Action::AgentProperties => attach("agentProperties", None::<&str>),
        Action::DataDump => attach("datadump", None::<&str>),
        Action::SetFlag { name, value } => flags::set(name, value),
        Action::PrintFlag { name } => flags::print(name),
        Action::Load { agent: Agent::Path(path), options } => load::path(path, options.as_deref()),
        Action::Load { agent: Agent::Library(name), options } => load::library(name, options.as_deref()),
        Action::Load { agent: Agent::Upload(_), .. }
        | Action::PrintThreads
        | Action::Ps
        | Action::DumpHeap(_)
        | Action::Doctor { .. }
        | Action::Clean => {
            return None;
        }
    })
}

/// An attach command in jattach's words.
pub(super) fn attach<T: Into<String>>(command: &str, arguments: impl IntoIterator<Item = T>) -> Operation {
    let arguments = arguments.into_iter().map(Into::into).collect();
    Operation::Attach { command: command.to_owned(), arguments }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(action: &Action) -> String {
        match operation(action) {
            Some(Operation::Attach { command, arguments }) => format!("{command} {arguments:?}"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn every_text_command_is_what_jattach_would_be_given() {
        let load = |agent, options: Option<&str>| Action::Load { agent, options: options.map(str::to_owned) };
        let cases = [
            (Action::ThreadDump { locks: true }, r#"threaddump ["-l"]"#),
            (Action::ThreadDump { locks: false }, "threaddump []"),
            (Action::InspectHeap { live: true, top: Some(3) }, r#"inspectheap ["-live"]"#),
            (Action::InspectHeap { live: false, top: None }, r#"inspectheap ["-all"]"#),
            (Action::Properties, "properties []"),
            (Action::AgentProperties, "agentProperties []"),
            (Action::DataDump, "datadump []"),
            (
                Action::SetFlag { name: "HeapDumpPath".into(), value: "/a b".into() },
                r#"setflag ["HeapDumpPath", "/a b"]"#,
            ),
            (Action::PrintFlag { name: "MaxHeapSize".into() }, r#"printflag ["MaxHeapSize"]"#),
            (load(Agent::Path("/a.so".into()), Some("o=1")), r#"load ["/a.so", "true", "o=1"]"#),
            (load(Agent::Library("instrument".into()), None), r#"load ["instrument", "false"]"#),
            (load(Agent::Upload("a.so".into()), None), "None"),
            (Action::Ps, "None"),
        ];
        for (action, expected) in cases {
            assert_eq!(words(&action), expected);
        }
    }
}

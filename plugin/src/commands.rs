//! One small file per command, and the way there: options → cluster → target → injector.

mod flags;
mod inspectheap;
mod jcmd;
mod load;
mod threaddump;
mod version;

use std::io::Write;

use jattach_protocol::message::Operation;

use crate::client::Cluster;
use crate::debugger;
use crate::error::{Exit, Failure};
use crate::options::{Action, Agent, Command, Options, OutputFormat};
use crate::render::Notes;
use crate::render::document::document;
use crate::target::{self, Target, Wish};

/// What every command on a target works with.
pub(crate) struct Context {
    pub(crate) cluster: Cluster,
    pub(crate) target: Target,
    pub(crate) options: Shared,
    pub(crate) notes: Notes,
}

/// The options that concern all commands.
pub(crate) struct Shared {
    pub(crate) injector: crate::options::Injector,
    pub(crate) output: crate::options::Output,
}

/// Does what the options say, within the limit for the whole command.
///
/// # Errors
/// A [`Failure`], or an I/O error of standard output.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let Options { command, connection, injector, output, timeout } = options;
    let work = async {
        match command {
            Command::Version => version::run(&injector.image, output.format),
            Command::On(wish, action) => {
                let cluster = Cluster::connect(&connection).await?;
                on_target(cluster, &wish, &action, Shared { injector, output }).await
            }
        }
    };
    match timeout {
        None => work.await,
        Some(limit) => tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            Err(Failure::new(Exit::Other, format!("not done within {} s", limit.as_secs_f64()))
                .remedy("allow more with --timeout")
                .into())
        }),
    }
}

async fn on_target(cluster: Cluster, wish: &Wish, action: &Action, options: Shared) -> anyhow::Result<()> {
    let notes = Notes::new(options.output.quiet);
    let target = target::resolve(&cluster, wish, &notes).await?;
    let context = Context { cluster, target, options, notes };
    if let Some(answered_by) = context.options.injector.dry_run {
        let Context { cluster, target, options, .. } = &context;
        let patch = debugger::dry_run(cluster, target, &options.injector, answered_by).await?;
        let text = document(&patch, options.output.format.unwrap_or(OutputFormat::Yaml))?;
        std::io::stdout().write_all(text.as_bytes())?;
        return Ok(());
    }
    act(&context, action).await
}

/// Starts or finds the injector and has it do the work.
async fn act(context: &Context, action: &Action) -> anyhow::Result<()> {
    let Context { cluster, target, options, notes } = context;
    let debugger = debugger::ensure(cluster, target, &options.injector, notes).await?;
    tracing::info!(?debugger, operation = ?text_operation(action), "ready");
    Err(Failure::new(Exit::Other, format!("this build cannot talk to the injector {}", debugger.container)).into())
}

/// The operation of an action whose answer is a text; `None` for those that make or take files, and for those that
/// concern the injector alone.
fn text_operation(action: &Action) -> Option<Operation> {
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
        Action::Load { agent: Agent::Upload(_), .. } | Action::Ps | Action::DumpHeap { .. } | Action::Clean => {
            return None;
        }
    })
}

/// An attach command in jattach's words.
fn attach<T: Into<String>>(command: &str, arguments: impl IntoIterator<Item = T>) -> Operation {
    let arguments = arguments.into_iter().map(Into::into).collect();
    Operation::Attach { command: command.to_owned(), arguments }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(action: &Action) -> String {
        match text_operation(action) {
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

//! One small file per command, and the way there: options → cluster → target → injector.

mod answer;
mod clean;
mod doctor;
mod dumpheap;
mod explain;
mod flags;
mod fleet;
mod image;
mod inspect;
mod inspectheap;
mod jcmd;
mod line;
mod load;
mod offline;
mod postmortem;
mod ps;
mod remedy;
mod sheltered;
mod stop;
mod threaddump;
mod verify;
mod version;
mod vialog;

use std::cell::Cell;
use std::rc::Rc;

use jattach_protocol::message::{Jvm, Operation, Request};

use crate::catalogue::Id;
use crate::client::Cluster;
use crate::debugger::{self, Basis, Debugger};
use crate::error::{Exit, Failure};
use crate::inside;
use crate::options::{Action, Agent, Command, Options, OutputFormat};
use crate::render::Notes;
use crate::render::document::document;
use crate::render::out::Out;
use crate::render::stdout;
use crate::render::terminal::one_line;
use crate::session::{self, Partings, Session};
use crate::target::{self, Target, Wish};
use doctor::Doctor;
use stop::Stop;

/// What every command on a target works with.
pub(crate) struct Context {
    pub(crate) cluster: Cluster,
    pub(crate) target: Target,
    pub(crate) options: Shared,
    pub(crate) notes: Notes,
    /// Conversations that it has broken off.
    pub(crate) partings: Partings,
    /// Where its answer goes.
    pub(crate) out: Out,
    /// The agent that is brought along, where that was read already.
    agent: Option<Rc<[u8]>>,
    /// What it shares with the same command on other pods.
    beside: dumpheap::Beside,
    measuring: Turn,
    /// Whether it was said which job comes before the request under way.
    is_behind: Cell<bool>,
}

/// Of several pods' commands one at a time measures how fast data come: they come the same way.
type Turn = Rc<tokio::sync::Mutex<()>>;

/// What a command has found, where it does not print that itself.
enum Answer {
    /// All has been said.
    Told,
    Jvms(Vec<Jvm>),
    /// What `--dry-run` would send.
    Patch(serde_json::Value),
    /// Doctor's, for a list; and the first check that has failed.
    Report {
        document: Option<serde_json::Value>,
        failed: Option<Failure>,
    },
}

/// The options that concern all commands.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) injector: crate::options::Injector,
    pub(crate) output: crate::options::Output,
    /// The flags as they were given.
    pub(crate) flags: Vec<std::ffi::OsString>,
    /// COMMAND and its arguments, likewise.
    pub(crate) words: Vec<std::ffi::OsString>,
}

impl Shared {
    /// The failure with the command lines in its remedy as this user has to give them.
    fn exact(&self, mut failure: Failure) -> Failure {
        failure.remedy = self.exact_lines(&failure.remedy);
        failure
    }

    /// A remedy's command lines, those that go another way among them.
    fn exact_lines(&self, remedy: &str) -> String {
        let remedy = line::with_via_exec(remedy, &self.flags, &self.words, inside::is_carried());
        line::with_cluster(&remedy, &self.flags)
    }

    /// The same of an error, if it is a failure.
    fn exact_of_any(&self, error: anyhow::Error) -> anyhow::Error {
        match error.downcast() {
            Ok(failure) => self.exact(failure).into(),
            Err(error) => error,
        }
    }
}

/// Does what the options say, within the limit for the whole command.
///
/// # Errors
/// A [`Failure`], or an I/O error of standard output.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let Options { command, connection, injector, output, timeout, flags, words } = options;
    let partings = Partings::default();
    let mut stop = Stop::new(timeout)?;
    let result = match command {
        Command::Version => version::run(&injector, output.format),
        Command::Image { save } => image::run(&injector, save, output),
        Command::Explain { id } => explain::run(id, output.format),
        Command::Verify { dump } => stop.unless(verify::run(dump, output)).await,
        Command::Inspect { dump, top } => stop.unless(inspect::run(dump, top, output)).await,
        Command::On(wish, action) => {
            let notes = Notes::new(output.quiet);
            let at = notes.at().clone();
            let shared = Shared { injector, output, flags, words };
            let cluster = stop.unless(Cluster::connect(&connection)).await.map_err(|failure| shared.exact(failure))?;
            let work = on_target(cluster, &wish, &action, shared.clone(), notes, partings.clone());
            stop.unless_at(&at, work).await.map_err(|error| shared.exact_of_any(error))
        }
        Command::OnAll(wish, action, fleet) => {
            let shared = Shared { injector, output, flags, words };
            let cluster = stop.unless(Cluster::connect(&connection)).await.map_err(|failure| shared.exact(failure))?;
            let done = fleet::run(cluster, &wish, &action, fleet, shared.clone(), partings.clone(), &mut stop).await;
            done.map_err(|error| shared.exact_of_any(error))
        }
    };
    partings.say_bye().await;
    result
}

async fn on_target(
    cluster: Cluster,
    wish: &Wish,
    action: &Action,
    options: Shared,
    notes: Notes,
    partings: Partings,
) -> anyhow::Result<()> {
    if *action == Action::Clean {
        // The injectors run beside whatever else does not.
        let target = target::find(&cluster, wish, &notes).await?;
        return Ok(clean::run(&Context::new(cluster, target, options, notes, partings)).await?);
    }
    match *action {
        Action::Doctor { fix_rbac: true } => return doctor::fix_rbac(&cluster, wish, &options, &notes).await,
        Action::Doctor { fix_rbac: false } => {
            return Doctor { cluster, options, notes, partings, measuring: Turn::default() }.run(wish).await;
        }
        _ => {}
    }
    let target = match (target::resolve(&cluster, wish, &notes).await, action) {
        (Err(gone), Action::DumpHeap(wanted)) if gone.exit() == Exit::Target => {
            return Ok(dumpheap::complete_without(gone, cluster.namespace(), wish, wanted, &notes).await?);
        }
        (found, _) => found?,
    };
    let mut context = Context::new(cluster, target, options, notes, partings);
    let (format, to) = (context.options.output.format, &mut std::io::stdout());
    match ask(&mut context, action).await? {
        Answer::Jvms(jvms) => ps::show(&jvms, format, &context.target, to)?,
        Answer::Patch(patch) => stdout::print(&document(&patch, format.unwrap_or(OutputFormat::Yaml))?, to)?,
        Answer::Told | Answer::Report { .. } => {}
    }
    Ok(())
}

/// Does what is asked of a running target, or tells what it would begin with.
async fn ask(context: &mut Context, action: &Action) -> Result<Answer, Failure> {
    match context.options.injector.dry_run {
        Some(by) => sheltered::dry_run(context, by).await.map(Answer::Patch),
        None => sheltered::run(context, action).await,
    }
}

/// What a command needs of this machine, looked at before anything is done in the cluster: an ephemeral container cannot be
/// taken back.
enum Local<'c> {
    Nothing,
    Dump(dumpheap::To<'c>),
    Agent(Rc<[u8]>),
}

impl<'c> Local<'c> {
    async fn prepare(context: &'c Context, action: &Action) -> Result<Local<'c>, Failure> {
        match action {
            Action::DumpHeap(wanted) => dumpheap::To::open(context, wanted).await.map(Local::Dump),
            Action::Load { agent: Agent::Upload(path), .. } => match &context.agent {
                Some(agent) => Ok(Local::Agent(Rc::clone(agent))),
                None => load::read(path).map(|agent| Local::Agent(agent.into())),
            },
            _ => Ok(Local::Nothing),
        }
    }

    /// Lets it know how the command has ended.
    fn ended(&mut self, failure: Failure) -> Failure {
        if let Local::Dump(to) = self {
            to.ended(&failure);
        }
        failure
    }
}

/// Finds or starts the injector and has it do the work; a second time where its first identity does not fit the JVM.
async fn act(context: &Context, action: &Action) -> Result<Answer, Failure> {
    let Context { cluster, target, options, notes, .. } = context;
    let mut local = Local::prepare(context, action).await?;
    if matches!(local, Local::Dump(dumpheap::To::Done)) {
        return Ok(Answer::Told);
    }
    notes.phase("looking for an injector");
    let (first, session) = open(context, &mut local).await?;
    notes.phase("asking the JVM");
    let error = match perform(context, &first, session, action, &mut local).await {
        Ok(answer) => return Ok(answer),
        Err(error) => error,
    };
    let Some(identity) = session::fitting_identity(&error).filter(|_| !first.basis.is_final()) else {
        return Err(local.ended(explained(context, &first, action, error).await));
    };
    let exact = debugger::ensure_exact(cluster, target, &options.injector, identity, &first, notes).await?;
    let session = Session::open(cluster, &exact).await;
    match perform(context, &exact, session, action, &mut local).await {
        Ok(answer) => Ok(answer),
        Err(error) => Err(local.ended(explained(context, &exact, action, error).await)),
    }
}

/// An injector, and a session with it or why there is none.
type Opened = (Debugger, Result<Session, session::Error>);

/// An injector in the target's own container, if that is wanted.
async fn open_inside(context: &Context) -> Opened {
    let Context { cluster, target, .. } = context;
    let (pod, container) = (target.pod_name().to_owned(), target.container.clone());
    // It runs as whoever the container's user is, and there is no other one to be had.
    let debugger = Debugger { pod, container, basis: Basis::Exact, reused: false };
    (debugger, inside::open(cluster, target).await)
}

/// An injector and, if it answers, a session with it. One that was found running may have ended just then: then another.
async fn open(context: &Context, local: &mut Local<'_>) -> Result<Opened, Failure> {
    let Context { cluster, target, options, notes, .. } = context;
    if options.injector.via.is_some() {
        return Ok(open_inside(context).await);
    }
    if let Local::Dump(to) = local
        && let Some(wanted) = to.injector()
    {
        if let Some(opened) = dumpheap::open_again(context, wanted).await {
            return Ok(opened);
        }
        notes.say(&format!(
            "The earlier dump of pod/{} is gone ({wanted} has ended): starting afresh",
            target.pod_name()
        ));
        to.forget();
    }
    let mut gone = Vec::new();
    loop {
        let found = debugger::ensure(cluster, target, &options.injector, &gone, notes).await?;
        let session = Session::open(cluster, &found).await;
        if !found.reused || !session.as_ref().is_err_and(is_the_injectors) {
            return Ok((found, session));
        }
        tracing::info!(container = %found.container, "the running injector does not answer; taking another");
        gone.push(found.container);
    }
}

/// Whether the injector itself does not answer, and not the way to it: only then does another one do better.
fn is_the_injectors(error: &session::Error) -> bool {
    match error {
        session::Error::Injector(_) => true,
        session::Error::Transfer(failure) => matches!(failure.exit(), Exit::Injector | Exit::Transfer),
    }
}

async fn explained(context: &Context, debugger: &Debugger, action: &Action, error: session::Error) -> Failure {
    let what = if matches!(action, Action::DumpHeap(_)) { "the heap dump" } else { "the command" };
    let identity = session::fitting_identity(&error);
    let mut failure = postmortem::examine(context, debugger, what, error.into()).await;
    failure.remedy = context.with_pod(&failure.remedy);
    if failure.id == Id::TmpNotWritable {
        return remedy::of_tmp(context, action, failure).await;
    }
    // The injector sees a container, and knows nothing of the pod's others.
    if failure.id == Id::NoJvm && context.target.pid.is_none() {
        return failure.remedy(ps::where_else(&context.target));
    }
    if failure.id == Id::WrongIdentity && debugger.basis == Basis::Asked {
        let Target { pod, container, .. } = &context.target;
        return failure.remedy(debugger::instead_of_chosen(pod, container, identity));
    }
    if failure.exit() == Exit::Transfer && changes_the_jvm(action) {
        return failure.remedy("it may have been done all the same: look before you do it again");
    }
    failure
}

/// Whether doing it twice is another thing than doing it once. Of a diagnostic command nobody knows.
fn changes_the_jvm(action: &Action) -> bool {
    match action {
        Action::SetFlag { .. } | Action::Load { .. } | Action::Jcmd { .. } | Action::DataDump => true,
        Action::Ps
        | Action::DumpHeap(_)
        | Action::ThreadDump { .. }
        | Action::PrintThreads
        | Action::InspectHeap { .. }
        | Action::Properties
        | Action::AgentProperties
        | Action::PrintFlag { .. }
        | Action::Doctor { .. }
        | Action::Clean => false,
    }
}

/// One conversation with the injector, if there was an answer.
async fn perform(
    context: &Context,
    debugger: &Debugger,
    session: Result<Session, session::Error>,
    action: &Action,
    local: &mut Local<'_>,
) -> Result<Answer, session::Error> {
    let mut session = session?;
    let mut answer = Answer::Told;
    match (action, local) {
        (Action::Ps, _) => answer = Answer::Jvms(ps::run(context, &mut session).await?),
        (Action::DumpHeap(wanted), Local::Dump(to)) => {
            return dumpheap::run(context, debugger, session, wanted, to).await.map(|()| answer);
        }
        (Action::Load { agent: Agent::Upload(path), options }, Local::Agent(agent)) => {
            load::upload(context, &mut session, path, agent, options.as_deref()).await?;
        }
        (Action::PrintThreads, _) => vialog::run(context, &mut session).await?,
        (action, _) => {
            let operation = text_operation(action).ok_or_else(|| {
                Failure::usage("this command is done in another way").remedy("report it: the plugin has a mistake")
            })?;
            let top = if let Action::InspectHeap { top, .. } = action { *top } else { None };
            answer::run(context, &mut session, operation, top).await?;
        }
    }
    session.finish().await?;
    Ok(answer)
}

impl Context {
    /// For a command alone, whose answer goes to standard output.
    fn new(cluster: Cluster, target: Target, options: Shared, notes: Notes, partings: Partings) -> Context {
        let (out, agent, beside) = (Out::Stdout, None, dumpheap::Beside::new(1));
        let (measuring, is_behind) = (Turn::default(), Cell::default());
        Context { cluster, target, options, notes, partings, out, agent, beside, measuring, is_behind }
    }

    /// A request for the target's JVM.
    fn request(&self, operation: Operation) -> Request {
        let id = self.target.container_id().unwrap_or_default();
        self.is_behind.set(false);
        Request {
            pid: self.target.pid.unwrap_or(0),
            container: id.rsplit("//").next().unwrap_or_default().to_owned(),
            wait: self.options.injector.wait,
            ttl: u32::try_from(self.options.injector.ttl.as_secs()).unwrap_or(u32::MAX),
            operation,
        }
    }

    /// The remedy with the command lines in it that its maker knew no pod for.
    fn with_pod(&self, remedy: &str) -> String {
        line::with_pod(remedy, &self.options.flags, self.cluster.namespace(), self.target.pod_name())
    }

    /// Says which job of the injector's comes first, in its words: once for each request, however often it is told.
    fn behind(&self, job: &str) {
        if !self.is_behind.replace(true) {
            self.notes.say(&format!("Waiting for another job of the injector: {}", one_line(job, LONGEST_JOB)));
        }
    }
}

/// How much is shown of what the injector calls a job, in characters.
const LONGEST_JOB: usize = 200;

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

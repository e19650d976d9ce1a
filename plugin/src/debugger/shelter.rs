//! The privileged container that lays a tmpfs over the target's /tmp for the time of a command, and takes it away again. It is
//! beside the injector's, never the same: an injector becomes what the target is, and the target could take it over.
//!
//! Its life hangs on an exec stream: the tmpfs goes when we say so, when our connection does, and after some seconds of silence.
//! What a kill leaves, the container's main process takes away, or the next such container ([`was_killed`]).

use std::pin::Pin;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use jattach_protocol::message::HEARTBEAT_SECONDS;
use k8s_openapi::api::core::v1::{ContainerState, EphemeralContainer, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::AttachedProcess;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::wanted::Wanted;
use super::{Basis, Debugger, START_LIMIT, create, ephemeral, exec, security, spec, wait};
use crate::catalogue::Id;
use crate::client::Cluster;
use crate::error::{Failure, Result};
use crate::options::Injector;
use crate::render::Notes;
use crate::target::{Target, status_of};

/// What the container runs; whose /tmp it is follows.
const SHELTER: [&str; 2] = ["/injector", "shelter"];
/// What is exec'd in it beside that.
const MOUNT: &str = "mount";
const MOUNTED: &[u8] = b"mounted\n";
const BEAT: &[u8] = b".";
const DONE: &[u8] = b"q";

/// How long it may take to mount or to unmount: a system call, and the way there and back.
const LIMIT: Duration = Duration::from_secs(20);
/// The most that is read of what it says.
const MAX_SAID: u64 = 4 << 10;

/// A /tmp for the target, until it is dropped.
pub(crate) struct Shelter {
    container: String,
    /// Dropping it ends the stream, and with it the tmpfs.
    _attached: AttachedProcess,
    status: BoxFuture<'static, Option<Status>>,
    done: oneshot::Sender<()>,
    /// Gives stdin back when it has said that all is done.
    beating: JoinHandle<Option<Stdin>>,
}

type Stdin = Pin<Box<dyn AsyncWrite + Send>>;

impl Shelter {
    /// Starts the container and has it mount.
    ///
    /// # Errors
    /// Those of any debug container; JAT-023 where the target's /tmp is not such that a tmpfs may lie over it.
    pub(crate) async fn open(
        cluster: &Cluster,
        target: &Target,
        injector: &Injector,
        notes: &Notes,
    ) -> Result<Shelter> {
        refuse_tracers(target)?;
        let who = who(target);
        let wanted = privileged(target, injector, &who)?;
        let Wanted { container, .. } = &wanted;
        notes.say(&format!(
            "{} is privileged, and speaks to nobody. It stays in pod/{}'s spec for good when it has ended, and Pod Security judges \
             it there.",
            container.name,
            target.pod_name()
        ));
        let created = create::create(cluster, target, &wanted).await?;
        wait::until_running(cluster, target, container, created, START_LIMIT, notes).await?;
        let name = container.name.clone();
        let pod = target.pod_name().to_owned();
        let debugger = Debugger { pod, container: name.clone(), basis: Basis::Asked, reused: false };
        let argv = [SHELTER[0], SHELTER[1], &who, MOUNT];
        let mut attached = exec(cluster, &debugger, &argv).await?;
        let streams = (attached.stdin(), attached.stdout(), attached.stderr(), attached.take_status());
        let (Some(stdin), Some(mut stdout), Some(stderr), Some(status)) = streams else {
            return Err(failed(&name, "the exec stream has no stdin, stdout and stderr"));
        };
        // A full one would hold up the rest.
        let errors = tokio::spawn(last_words(stderr));
        let (done, told) = oneshot::channel();
        let beating = tokio::spawn(beat(Box::pin(stdin), told));
        let mut said = [0; MOUNTED.len()];
        match timeout(LIMIT, stdout.read_exact(&mut said)).await {
            Ok(Ok(_)) if said == *MOUNTED => {}
            Ok(_) => {
                let errors = timeout(LIMIT, errors).await;
                return Err(refused(&name, &errors.ok().and_then(std::result::Result::ok).unwrap_or_default()));
            }
            Err(_) => return Err(failed(&name, "it has not mounted anything in time")),
        }
        notes.say(&format!(
            "{name} has mounted an empty tmpfs over the target's /tmp. It is taken away when this command ends, however it does."
        ));
        Ok(Shelter { container: name, _attached: attached, status: status.boxed(), done, beating })
    }

    /// Has the tmpfs taken away, and waits until it is.
    ///
    /// # Errors
    /// Where it may be there still.
    pub(crate) async fn end(self, notes: &Notes) -> Result<()> {
        let Shelter { container, _attached, status, done, beating } = self;
        // Its receiver goes with the stream alone, whose status tells.
        let _ = done.send(());
        // Over the exec protocol v4 a closed stdin closes everything, the status too.
        let _stdin = timeout(LIMIT, beating).await;
        match timeout(LIMIT, status).await {
            Ok(Some(status)) if status.status.as_deref() == Some("Success") => {
                notes.say("The target's /tmp is as it was.");
                Ok(())
            }
            Ok(Some(status)) => Err(left(&container, &status.message.unwrap_or_default())),
            Ok(None) => Err(left(&container, "the exec stream ended without a status")),
            Err(_) => Err(left(&container, "no answer in time")),
        }
    }
}

/// Whether one of them was killed since the last one that ended well: then its tmpfs may lie over the target's /tmp still, and
/// the next one takes it away.
pub(crate) fn was_killed(pod: &Pod, container: &str) -> bool {
    let ended = |shelter: &EphemeralContainer| {
        let is_of_target = shelter.target_container_name.as_deref() == Some(container);
        let command = shelter.command.as_deref().unwrap_or_default();
        if !spec::is_our_name(&shelter.name) || !is_of_target || command.get(..2) != Some(&SHELTER.map(str::to_owned)) {
            return None;
        }
        match status_of(pod, &shelter.name)?.state.as_ref()? {
            ContainerState { terminated: Some(end), .. } => Some((end.finished_at.clone(), end.exit_code)),
            _ => None,
        }
    };
    ephemeral(pod).filter_map(ended).max().is_some_and(|(_, code)| code != 0)
}

/// By what the container finds the target: its pid 1 is the target's own, unless it shares that with others.
fn who(target: &Target) -> String {
    let id = target.container_id().and_then(|id| id.rsplit("//").next());
    id.filter(|_| shares_processes(&target.pod)).unwrap_or("1").to_owned()
}

fn shares_processes(pod: &Pod) -> bool {
    pod.spec.as_ref().is_some_and(|spec| spec.share_process_namespace == Some(true) || spec.host_pid == Some(true))
}

/// Fails where somebody sees the container's processes who may look into any: not being dumpable does not keep out
/// SYS_PTRACE, and who gets into a privileged process has the node. Injectors give it up before they serve anybody.
fn refuse_tracers(target: &Target) -> Result<()> {
    let Some(spec) = &target.pod.spec else { return Ok(()) };
    let all = shares_processes(&target.pod);
    let own = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let own = own.filter(|container| all || container.name == target.container);
    let own = own.map(|container| (&container.name, container.security_context.as_ref()));
    let others = ephemeral(&target.pod).filter(|container| {
        let is_injector =
            container.command.as_ref().is_some_and(|command| command.first().map(String::as_str) == Some(SHELTER[0]));
        !is_injector && (all || container.target_container_name.as_deref() == Some(&*target.container))
    });
    let others = others.map(|container| (&container.name, container.security_context.as_ref()));
    match own.chain(others).find(|(_, context)| security::traces_others(*context)) {
        None => Ok(()),
        Some((name, _)) => Err(Failure::new(Id::Shelter, "no privileged container is put within the target's reach")
            .evidence(format!("container {name} has SYS_PTRACE, and sees its processes"))
            .remedy("threaddump --via-log needs none; an emptyDir at /tmp in the workload helps for good")),
    }
}

/// The container that `--profile=sysadmin` may come to add; none where it would be refused.
///
/// # Errors
/// Those of a debug container.
pub(super) fn wanted(target: &Target, injector: &Injector) -> Result<Option<Wanted>> {
    match refuse_tracers(target) {
        Ok(()) => privileged(target, injector, &who(target)).map(Some),
        Err(_) => Ok(None),
    }
}

fn privileged(target: &Target, injector: &Injector, who: &str) -> Result<Wanted> {
    let chosen = security::privileged(&target.pod, &target.container);
    // What the user adds is for the injector.
    let injector = Injector { custom: None, ..injector.clone() };
    let command = [SHELTER[0], SHELTER[1], who].map(str::to_owned).to_vec();
    let container =
        EphemeralContainer { command: Some(command), ..spec::container(&injector, target, &chosen.context)? };
    Wanted::of(container, &injector, target, &chosen)
}

/// Shows that we are there, until there is nothing more to do, or nobody to show it to.
async fn beat(mut stdin: Stdin, mut done: oneshot::Receiver<()>) -> Option<Stdin> {
    let mut beats = interval(Duration::from_secs(HEARTBEAT_SECONDS));
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let word = tokio::select! {
            told = &mut done => match told {
                Ok(()) => DONE,
                Err(_) => return None,
            },
            _ = beats.tick() => BEAT,
        };
        if stdin.write_all(word).await.is_err() || stdin.flush().await.is_err() || word == DONE {
            return Some(stdin);
        }
    }
}

/// All that it says, of which the beginning is kept.
async fn last_words(mut stderr: impl AsyncRead + Unpin) -> String {
    let mut text = Vec::new();
    let _ = (&mut stderr).take(MAX_SAID).read_to_end(&mut text).await;
    let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(text.trim_ascii()).into_owned()
}

/// What it says begins with the cause, and goes on with the evidence.
fn refused(container: &str, said: &str) -> Failure {
    let (cause, seen) = said.split_once('\n').unwrap_or((said, ""));
    if cause.is_empty() {
        return failed(container, "it ended without a word");
    }
    let seen = seen.trim_start().trim_start_matches("evidence:").trim_start();
    Failure::new(Id::TmpNotWritable, cause).evidence(format!("{container}: {seen}"))
}

fn failed(container: &str, seen: &str) -> Failure {
    Failure::new(Id::Shelter, "the container that was to mount a tmpfs over the target's /tmp did not")
        .evidence(format!("{container}: {seen}"))
        .remedy("try again; see that --image is the injector's image, of this plugin's version")
}

fn left(container: &str, seen: &str) -> Failure {
    Failure::new(Id::Shelter, "the tmpfs may lie over the target's /tmp still")
        .evidence(format!("{container}: {}", seen.trim()))
        .remedy(
            "it goes within some seconds of our silence; what has been killed is cleared up by the next command with \
             --profile=sysadmin, and ends with the target's container at the latest",
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::seen::assert_seen;
    use serde_json::{Value, json};

    fn pod(mut spec: Value, ended: &[(&str, &str, i32)]) -> Pod {
        let shelter = |(name, _, _): &(&str, &str, i32)| json!({"name": name, "command": ["/injector", "shelter", "1"], "targetContainerName": "app"});
        let status = |(name, at, code): &(&str, &str, i32)| {
            json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"terminated": {"exitCode": code, "finishedAt": at}}})
        };
        spec["ephemeralContainers"] = ended.iter().map(shelter).collect();
        let pod = json!({"metadata": {"name": "x"}, "spec": spec, "status": {
            "ephemeralContainerStatuses": ended.iter().map(status).collect::<Value>(),
            "containerStatuses": [{"name": "app", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                "containerID": "containerd://0123"}],
        }});
        serde_json::from_value(pod).expect("a pod")
    }

    #[test]
    fn only_what_was_killed_since_the_last_good_end_may_have_left_something() {
        let spec = || json!({"containers": [{"name": "app"}]});
        let killed = ("jattach-bbbbb", "2026-01-01T00:00:01Z", 137);
        let well = ("jattach-ccccc", "2026-01-01T00:00:02Z", 0);
        assert!(was_killed(&pod(spec(), &[killed]), "app"));
        assert!(!was_killed(&pod(spec(), &[killed]), "side"));
        assert!(!was_killed(&pod(spec(), &[well, killed]), "app"), "the later one has cleared up");
        assert!(!was_killed(&pod(spec(), &[]), "app"));
        assert!(!was_killed(&pod(spec(), &[("debugger-x", "2026-01-01T00:00:01Z", 137)]), "app"), "not ours");
    }

    #[test]
    fn the_target_is_pid_1_unless_that_is_everybodys() {
        let who = |spec: Value| {
            who(&Target { namespace: "n".into(), pod: pod(spec, &[]), container: "app".into(), pid: None })
        };
        assert_eq!(who(json!({"containers": [{"name": "app"}]})), "1");
        assert_eq!(who(json!({"containers": [{"name": "app"}], "shareProcessNamespace": true})), "0123");
        assert_eq!(who(json!({"containers": [{"name": "app"}], "hostPID": true})), "0123");
    }

    #[test]
    fn whoever_may_look_into_any_process_gets_no_privileged_one_beside_it() {
        let refused = |change: fn(&mut Value)| {
            let mut spec = json!({"containers": [{"name": "app"}, {"name": "side"}]});
            change(&mut spec);
            refuse_tracers(&Target { namespace: "n".into(), pod: pod(spec, &[]), container: "app".into(), pid: None })
                .is_err()
        };
        let tracing = || json!({"capabilities": {"add": ["CAP_SYS_PTRACE"]}});
        assert!(!refused(|_| ()));
        assert!(refused(|spec| spec["containers"][0]["securityContext"] = json!({"capabilities": {"add": ["ALL"]}})));
        assert!(
            !refused(|spec| spec["containers"][0]["securityContext"] = json!({"privileged": true})),
            "it has the node"
        );
        let beside = |spec: &mut Value| {
            spec["containers"][1]["securityContext"] = json!({"capabilities": {"add": ["SYS_PTRACE"]}});
        };
        assert!(!refused(beside), "it does not see it");
        let shared = |spec: &mut Value| {
            spec["containers"][1]["securityContext"] = json!({"capabilities": {"add": ["SYS_PTRACE"]}});
            spec["shareProcessNamespace"] = true.into();
        };
        assert!(refused(shared));
        let mut debugged = pod(json!({"containers": [{"name": "app"}]}), &[]);
        let debugger = json!([{"name": "debugger-x", "targetContainerName": "app", "securityContext": tracing()}]);
        let spec = debugged.spec.as_mut().expect("a spec");
        spec.ephemeral_containers = serde_json::from_value(debugger).expect("containers");
        let target = Target { namespace: "n".into(), pod: debugged, container: "app".into(), pid: None };
        assert_seen("within-reach", &refuse_tracers(&target).expect_err("kubectl debug's profile general"));
    }

    #[test]
    fn why_it_does_not_mount_is_said_in_its_own_words() {
        let failure = refused("jattach-bbbbb", "the target's /tmp is not empty\n  evidence: /proc/1/root/tmp: a");
        assert_eq!(failure.id, Id::TmpNotWritable);
        assert_eq!(failure.evidence, "jattach-bbbbb: /proc/1/root/tmp: a");
        assert_seen("without-a-word", &refused("jattach-bbbbb", ""));
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_it_says_on_stderr_is_taken_from_it_and_the_beginning_kept() {
        let (errors, mut theirs) = tokio::io::simplex(64);
        let words = tokio::spawn(last_words(errors));
        let said = "x".repeat(100_000);
        timeout(LIMIT, theirs.write_all(said.as_bytes())).await.expect("somebody reads").expect("a pipe");
        theirs.shutdown().await.expect("a pipe");
        assert_eq!(words.await.expect("no panic").len() as u64, MAX_SAID);
    }

    #[tokio::test(start_paused = true)]
    async fn the_other_side_hears_us_until_it_is_told_that_all_is_done() {
        let (mut theirs, ours) = tokio::io::simplex(64);
        let (done, told) = oneshot::channel();
        let beating = tokio::spawn(beat(Box::pin(ours), told));
        let mut two = [0; 2];
        theirs.read_exact(&mut two).await.expect("two beats");
        assert_eq!(&two, b"..");
        done.send(()).expect("it listens");
        assert_eq!(theirs.read_u8().await.expect("a word"), b'q');
        assert!(beating.await.expect("no panic").is_some(), "stdin stays open for the status");
    }
}

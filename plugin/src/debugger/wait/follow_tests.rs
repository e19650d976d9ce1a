//! The recorded watch streams, followed.

use super::*;
use crate::catalogue::seen::assert_seen;
use crate::debugger::recorded::{pod_at, recording, target};
use crate::error::Exit;
use futures::stream;

/// What follows from the events of a recording, or of what `change` makes of them.
fn followed(
    name: &str,
    container: &str,
    change: impl FnOnce(&mut Vec<kube::Result<WatchEvent<Pod>>>),
) -> (Result<Watched>, String) {
    waited(name, container, change, async |_, watched| watched)
}

/// The same, and `then` what is made of it.
fn waited<T>(
    name: &str,
    container: &str,
    change: impl FnOnce(&mut Vec<kube::Result<WatchEvent<Pod>>>),
    then: impl AsyncFnOnce(&Waiting<'_>, Result<Watched>) -> T,
) -> (T, String) {
    let target = target("pod-get-user");
    let events = recording(name)["events"].as_array().unwrap().clone();
    let mut events: Vec<_> = events.iter().map(|event| Ok(WatchEvent::Modified(pod_at(event, &target)))).collect();
    change(&mut events);
    let notes = Notes::recording();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let made = runtime.block_on(async {
        let cluster = Cluster::unreachable();
        let mut waiting = Waiting {
            cluster: &cluster,
            target: &target,
            container,
            image: "r.example/injector:1",
            notes: &notes,
            progress: Progress::new(true),
            said: None,
            doubt: None,
            quiet: QUIET,
        };
        let watched = waiting.follow(stream::iter(events).chain(stream::pending())).await;
        then(&waiting, watched).await
    });
    (made, notes.recorded())
}

#[test]
fn following_ends_when_the_container_runs() {
    let (watched, said) = followed("watch-ephemeral-ok", "jattach-a", |_| ());
    assert_eq!((watched.unwrap(), said.as_str()), (Watched::Running, ""));
}

#[test]
fn following_ends_with_the_reason_when_it_never_will() {
    for (name, container) in [
        ("watch-ephemeral-image-pull-failure", "jattach-pull"),
        ("watch-ephemeral-image-never-present", "jattach-never"),
        ("watch-ephemeral-runasnonroot-rootimage", "jattach-nr"),
        ("watch-ephemeral-bad-command", "jattach-nocmd"),
    ] {
        let failure = followed(name, container, |_| ()).0.unwrap_err();
        assert_eq!(failure.exit(), Exit::Injector, "{name}");
        assert!(!failure.evidence.is_empty() && !failure.remedy.is_empty(), "{failure}");
    }
}

/// A pull that fails for a reason that may pass, three times.
fn pull_again_and_again(events: &mut Vec<kube::Result<WatchEvent<Pod>>>) {
    events.truncate(4);
    for _ in 0..2 {
        let Some(Ok(WatchEvent::Modified(pod))) = events.last_mut() else { panic!("the recording has a pod") };
        let status = &mut pod.status.as_mut().unwrap().ephemeral_container_statuses.as_mut().unwrap()[0];
        status.state.as_mut().unwrap().waiting.as_mut().unwrap().message = Some("i/o timeout".to_owned());
        let again = pod.clone();
        events.push(Ok(WatchEvent::Modified(again)));
    }
}

#[test]
fn a_pull_that_may_yet_succeed_is_said_once() {
    let (watched, said) = followed("watch-ephemeral-image-pull-failure", "jattach-pull", pull_again_and_again);
    assert_eq!(watched.unwrap(), Watched::Quiet);
    assert_eq!(said, "ErrImagePull: i/o timeout (still trying)\n");
}

#[test]
fn an_injector_that_has_not_started_in_time_is_told_of_with_the_last_reason() {
    let name = "watch-ephemeral-image-pull-failure";
    let (failure, _) = waited(name, "jattach-pull", pull_again_and_again, async |waiting, watched| {
        assert_eq!(watched.unwrap(), Watched::Quiet);
        waiting.too_late(Duration::from_secs(300)).await
    });
    assert_eq!(failure.exit(), Exit::Injector);
    assert_seen("pull-that-stays", &failure);
}

#[test]
fn a_watch_that_shows_nothing_is_given_up() {
    let (watched, _) = followed("watch-ephemeral-ok", "jattach-a", |events| events.truncate(3));
    assert_eq!(watched.unwrap(), Watched::Quiet);
}

#[test]
fn a_pod_that_is_deleted_meanwhile_ends_it() {
    let (watched, _) = followed("watch-ephemeral-ok", "jattach-a", |events| {
        events.truncate(2);
        events.push(Ok(WatchEvent::Deleted(Pod::default())));
    });
    assert_eq!(watched.unwrap_err().exit(), Exit::Target);
}

#[test]
fn a_watch_that_is_cut_or_too_old_is_opened_again() {
    let gone = kube::core::Status::failure("too old resource version", "Expired").with_code(410);
    let (watched, _) = followed("watch-ephemeral-ok", "jattach-a", |events| {
        events.truncate(2);
        events.push(Ok(WatchEvent::Error(gone.boxed())));
    });
    assert_eq!(watched.unwrap(), Watched::Ended);
    let (watched, _) = followed("watch-ephemeral-ok", "jattach-a", |events| {
        events.truncate(2);
        events.push(Err(kube::Error::LinesCodecMaxLineLengthExceeded));
    });
    assert_eq!(watched.unwrap(), Watched::Ended);
}

#[test]
fn who_may_not_watch_asks_again_and_whom_the_server_does_not_know_is_told() {
    let place = Place { namespace: "fx".to_owned(), server: "https://k8s.example".to_owned() };
    let denied = crate::debugger::recorded::refused(&recording("rbac-denied-get-pod"));
    assert_eq!(refused(&denied, "x", &place).unwrap(), Watched::Ended);
    let unknown = crate::debugger::recorded::refused(&recording("unauthorized"));
    assert_eq!(refused(&unknown, "x", &place).unwrap_err().exit(), Exit::Refused);
}

#[test]
fn what_takes_long_is_kept_for_who_is_told_that_the_time_is_over() {
    let target = target("pod-get-user");
    let notes = Notes::recording();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let quiet = runtime.block_on(async {
        let cluster = Cluster::unreachable();
        let mut waiting = Waiting {
            cluster: &cluster,
            target: &target,
            container: "jattach-a",
            image: "r.example/injector:1",
            notes: &notes,
            progress: Progress::new(true),
            said: None,
            doubt: None,
            quiet: SOON,
        };
        waiting.tell().await;
        waiting.quiet
    });
    assert_eq!(quiet, QUIET, "it is found out once");
    let starting = "waiting for node lab to start jattach-a from the image r.example/injector:1";
    assert_eq!(notes.at().told(), Some((starting.to_owned(), GOES_ON)), "who may not list events is told this much");
    let pulling = "waiting for node lab to pull the image r.example/injector:1";
    assert_eq!(taking_long("lab", "jattach-a", "r.example/injector:1", true), pulling);
}

//! Ids, capabilities, privileges and seccomp, as the kernel reports them.

use jattach_lab::runtime::{Error, SeccompDefault, User};
use serde_json::json;

use crate::support::{in_lab, in_lab_with, output, shell, status_field};

/// containerd's fourteen.
const DEFAULT_CAPABILITIES: &str = "00000000a80425fb";
const NONE: &str = "0000000000000000";

fn restricted() -> serde_json::Value {
    json!({"securityContext": {"runAsUser": 10001, "runAsGroup": 10001, "runAsNonRoot": true,
        "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"}}})
}

#[tokio::test]
async fn root_has_containerds_default_capabilities_and_no_filter() {
    in_lab(async |lab| {
        let app = lab.run_one(json!({})).await;
        for (field, expected) in [
            ("Uid", "0 0 0 0"),
            ("Groups", "0"),
            ("CapPrm", DEFAULT_CAPABILITIES),
            ("CapBnd", DEFAULT_CAPABILITIES),
            ("CapInh", NONE),
            ("NoNewPrivs", "0"),
            ("Seccomp", "0"),
        ] {
            assert_eq!(status_field(&app, field).await, expected, "{field}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_restricted_container_has_nothing_but_its_ids() {
    in_lab(async |lab| {
        let app = lab.run_one(restricted()).await;
        for (field, expected) in [
            ("Uid", "10001 10001 10001 10001"),
            ("Gid", "10001 10001 10001 10001"),
            ("Groups", "10001"),
            ("CapPrm", NONE),
            ("CapEff", NONE),
            ("CapBnd", NONE),
            ("NoNewPrivs", "1"),
            ("Seccomp", "2"),
        ] {
            assert_eq!(status_field(&app, field).await, expected, "{field}");
        }
        assert_eq!(app.user(), &User { uid: 10001, gid: 10001, supplemental_groups: vec![10001] });
    })
    .await;
}

#[tokio::test]
async fn the_first_process_has_the_same_identity_as_a_command_run_later() {
    in_lab(async |lab| {
        let app = lab.run_one(restricted()).await;
        let script = "for f in Uid Gid Groups CapPrm CapBnd NoNewPrivs Seccomp; do grep ^$f: /proc/$P/status; done";
        let first = shell(&app, &format!("P=1; {script}")).await;
        assert_eq!(first, shell(&app, &format!("P=self; {script}")).await);
    })
    .await;
}

#[tokio::test]
async fn a_non_root_user_loses_its_capabilities_but_not_the_bounding_set() {
    in_lab(async |lab| {
        let app = lab.run_one(json!({"securityContext": {"runAsUser": 10001}})).await;
        assert_eq!(status_field(&app, "CapPrm").await, NONE);
        assert_eq!(status_field(&app, "CapBnd").await, DEFAULT_CAPABILITIES);
        assert_eq!(app.user().gid, 0);
    })
    .await;
}

#[tokio::test]
async fn an_images_numeric_user_runs_with_gid_zero() {
    in_lab(async |lab| {
        let app = lab.run_one(json!({"image": "localhost/lab/user:1"})).await;
        assert_eq!(status_field(&app, "Uid").await, "10001 10001 10001 10001");
        assert_eq!(status_field(&app, "Gid").await, "0 0 0 0");
        assert_eq!(app.user(), &User { uid: 10001, gid: 0, supplemental_groups: vec![0] });
    })
    .await;
}

#[tokio::test]
async fn an_images_named_user_gets_its_groups_from_the_image() {
    in_lab(async |lab| {
        let app = lab.run_one(json!({"image": "localhost/lab/named:1"})).await;
        assert_eq!(status_field(&app, "Gid").await, "10005 10005 10005 10005");
        assert_eq!(status_field(&app, "Groups").await, "77 10005");
        assert_eq!(app.user(), &User { uid: 10001, gid: 10005, supplemental_groups: vec![77, 10005] });
    })
    .await;
}

#[tokio::test]
async fn run_as_non_root_refuses_a_root_image_in_the_kubelets_words() {
    in_lab(async |lab| {
        let pod = crate::support::pod(&json!({"containers": [
            crate::support::container("c", &json!({"securityContext": {"runAsNonRoot": true}}))]}));
        let uid = pod["metadata"]["uid"].as_str().unwrap().to_owned();
        let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
        let Err(error) = lab.try_run(pod).await else { panic!("a root image was started") };
        assert_eq!(error.reason(), "CreateContainerConfigError");
        let expected =
            format!("container has runAsNonRoot and image will run as root (pod: \"{name}_ns({uid})\", container: c)");
        assert_eq!(error.to_string(), expected);
    })
    .await;
}

#[tokio::test]
async fn capabilities_are_added_and_dropped() {
    in_lab(async |lab| {
        let capabilities = json!({"add": ["SYS_PTRACE"], "drop": ["ALL"]});
        let app = lab.run_one(json!({"securityContext": {"capabilities": capabilities}})).await;
        assert_eq!(status_field(&app, "CapPrm").await, "0000000000080000");
    })
    .await;
}

#[tokio::test]
async fn a_privileged_container_has_all_the_machine_grants_and_no_masks() {
    in_lab(async |lab| {
        let app = lab
            .run_one(json!({"securityContext": {"privileged": true, "seccompProfile": {"type": "RuntimeDefault"}}}))
            .await;
        let own = std::fs::read_to_string("/proc/self/status").unwrap();
        let bounding = own.lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap().trim();
        assert_eq!(status_field(&app, "CapEff").await, bounding);
        assert_eq!(status_field(&app, "Seccomp").await, "0");
        shell(&app, "mount -t tmpfs x /tmp && test -w /proc/sys/kernel/hostname").await;
    })
    .await;
}

/// add_key(2), which the profile does not mention, on x86_64 and aarch64.
const UNLISTED_CALL: u32 = if cfg!(target_arch = "aarch64") { 217 } else { 248 };

async fn errno_of_an_unlisted_call(default: SeccompDefault, profile: &'static str) -> String {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    in_lab_with(default, async move |lab| {
        let app = lab.run_one(json!({"securityContext": {"seccompProfile": {"type": profile}}})).await;
        let script = format!("syscall({UNLISTED_CALL}, 0, 0, 0, 0, 0); print $!+0");
        let output = output(&app, &["/usr/bin/perl", "-e", &script]).await;
        assert_eq!((output.code, output.stderr.as_str()), (0, ""));
        sender.send(output.stdout).unwrap();
    })
    .await;
    receiver.await.unwrap()
}

#[tokio::test]
async fn a_call_outside_of_the_profile_is_answered_with_the_default_that_was_chosen() {
    assert_eq!(errno_of_an_unlisted_call(SeccompDefault::Eperm, "RuntimeDefault").await, "1");
    assert_eq!(errno_of_an_unlisted_call(SeccompDefault::Enosys, "RuntimeDefault").await, "38");
}

/// pidfd_send_signal(2), pidfd_open(2), openat2(2): of one number everywhere.
const NEWER_CALLS: [u32; 3] = [424, 434, 437];

#[tokio::test]
async fn an_old_profile_denies_the_calls_that_are_newer_than_it() {
    for (default, denied) in [(SeccompDefault::EpermOld, true), (SeccompDefault::Eperm, false)] {
        in_lab_with(default, async move |lab| {
            let app = lab.run_one(json!({"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}})).await;
            for call in NEWER_CALLS {
                let script = format!("syscall({call}, -1, 0, 0, 0); print $!+0");
                let output = output(&app, &["/usr/bin/perl", "-e", &script]).await;
                assert_eq!(output.code, 0, "{}", output.stderr);
                assert_eq!(output.stdout == "1", denied, "{default:?}: call {call} gives errno {}", output.stdout);
            }
        })
        .await;
    }
}

#[tokio::test]
async fn without_a_profile_the_call_reaches_the_kernel() {
    let errno = errno_of_an_unlisted_call(SeccompDefault::Enosys, "Unconfined").await;
    assert!(["14", "22"].contains(&errno.as_str()), "errno {errno}");
}

#[tokio::test]
async fn an_unsupported_profile_is_refused_by_name() {
    in_lab(async |lab| {
        let pod = crate::support::pod(&json!({"containers": [crate::support::container("c",
            &json!({"securityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": "x"}}}))]}));
        let Err(error) = lab.try_run(pod).await else { panic!("a Localhost profile was taken") };
        assert!(matches!(&error, Error::Unsupported { what } if what.contains("Localhost")), "{error}");
    })
    .await;
}

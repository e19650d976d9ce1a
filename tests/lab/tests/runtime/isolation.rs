//! What containers of a pod share, and what they do not.

use serde_json::json;

use crate::support::{container, in_lab, output, pod, pod_of, shell};

async fn namespace(of: &jattach_lab::runtime::Container, kind: &str) -> String {
    shell(of, &format!("readlink /proc/self/ns/{kind}")).await
}

#[tokio::test]
async fn containers_of_a_pod_share_net_ipc_and_uts_but_neither_processes_nor_mounts() {
    in_lab(async |lab| {
        let first = lab.run(pod_of(&["a", "b"])).await;
        let second = lab.run(pod_of(&["a"])).await;
        let [a, b] = [&first.containers[0], &first.containers[1]];
        for kind in ["net", "ipc", "uts"] {
            assert_eq!(namespace(a, kind).await, namespace(b, kind).await, "{kind} within a pod");
            assert_ne!(namespace(a, kind).await, namespace(&second.containers[0], kind).await, "{kind} between pods");
            let own = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
            assert_ne!(namespace(a, kind).await, own.to_str().unwrap(), "{kind} of the machine");
        }
        for kind in ["pid", "mnt"] {
            assert_ne!(namespace(a, kind).await, namespace(b, kind).await, "{kind} within a pod");
        }
    })
    .await;
}

#[tokio::test]
async fn shared_memory_is_one_for_the_pod_and_none_of_another_pods() {
    in_lab(async |lab| {
        let first = lab.run(pod_of(&["a", "b"])).await;
        let second = lab.run(pod_of(&["a"])).await;
        shell(&first.containers[0], "echo here > /dev/shm/x").await;
        assert_eq!(shell(&first.containers[1], "cat /dev/shm/x").await, "here");
        assert_eq!(output(&second.containers[0], &["cat", "/dev/shm/x"]).await.code, 1);
        let device = "stat -c %d /dev/shm";
        assert_eq!(shell(&first.containers[0], device).await, shell(&first.containers[1], device).await);
        assert_eq!(shell(&first.containers[0], "stat -c %a /dev/shm").await, "1777");
        let size = shell(&first.containers[0], "df -k /dev/shm | tail -1 | awk '{print $2}'").await;
        assert_eq!(size, "65536");
    })
    .await;
}

#[tokio::test]
async fn the_loopback_interface_is_up_and_the_only_one_and_takes_low_ports_from_anybody() {
    in_lab(async |lab| {
        let app = lab.run_one(json!({"securityContext": {"runAsUser": 10001}})).await;
        assert_eq!(shell(&app, "ip -o link | awk '{print $2}'").await, "lo:");
        let script = "my $a = pack('Sna4x8', 2, 80, chr(127).chr(0).chr(0).chr(1)); socket(S, 2, 1, 0); \
                      bind(S, $a) && listen(S, 1) && socket(C, 2, 1, 0) && connect(C, $a) or die $!; print 'ok'";
        let connected = output(&app, &["/usr/bin/perl", "-e", script]).await;
        assert_eq!((connected.stdout.as_str(), connected.stderr.as_str()), ("ok", ""));
    })
    .await;
}

#[tokio::test]
async fn each_container_has_its_own_root_and_what_it_writes_can_be_metered() {
    in_lab(async |lab| {
        let running = lab.run(pod_of(&["a", "b"])).await;
        let [a, b] = [&running.containers[0], &running.containers[1]];
        shell(a, "echo data > /tmp/file").await;
        assert_eq!(output(b, &["cat", "/tmp/file"]).await.code, 1);
        assert_eq!(std::fs::read_to_string(a.upper_dir().join("tmp/file")).unwrap(), "data\n");
        assert_eq!(shell(a, "stat -c %a /tmp").await, "1777");
    })
    .await;
}

#[tokio::test]
async fn a_read_only_root_refuses_writing_everywhere_but_in_volumes_and_shared_memory() {
    in_lab(async |lab| {
        let spec = json!({
            "volumes": [{"name": "v", "emptyDir": {}}, {"name": "m", "emptyDir": {"medium": "Memory"}}],
            "containers": [container("app", &json!({
                "securityContext": {"readOnlyRootFilesystem": true, "runAsUser": 10001, "runAsGroup": 10001},
                "volumeMounts": [{"name": "v", "mountPath": "/data"}, {"name": "m", "mountPath": "/memory"},
                                 {"name": "v", "mountPath": "/fixed", "readOnly": true}]}))]});
        let app = &lab.run(pod(&spec)).await.containers[0];
        for path in ["/x", "/tmp/x", "/fixed/x"] {
            let refused = output(app, &["touch", path]).await;
            assert!(refused.stderr.contains("Read-only file system"), "{path}: {refused:?}");
        }
        shell(app, "touch /data/x /memory/x /dev/shm/x && test -e /fixed/x").await;
        assert_eq!(shell(app, "stat -f -c %T /memory").await, "tmpfs");
        assert_ne!(shell(app, "stat -f -c %T /data").await, "tmpfs");
    })
    .await;
}

#[tokio::test]
async fn an_empty_dir_is_one_for_the_pod_and_belongs_to_its_fs_group() {
    in_lab(async |lab| {
        let mount = json!({"volumeMounts": [{"name": "v", "mountPath": "/data"}]});
        let spec = json!({"securityContext": {"fsGroup": 5000, "runAsUser": 10001}, "volumes": [{"name": "v", "emptyDir": {}}],
            "containers": [container("a", &mount), container("b", &mount)]});
        let running = lab.run(pod(&spec)).await;
        shell(&running.containers[0], "echo shared > /data/x").await;
        assert_eq!(shell(&running.containers[1], "cat /data/x").await, "shared");
        assert_eq!(shell(&running.containers[1], "stat -c %g /data/x").await, "5000");
        assert_eq!(running.containers[0].user().supplemental_groups, [0, 5000]);
        assert!(running.sandbox.volume_dir("v").join("x").exists());
    })
    .await;
}

#[tokio::test]
async fn the_kernels_inner_files_are_masked_or_read_only() {
    in_lab(async |lab| {
        let app = lab.run_one(json!({})).await;
        assert_eq!(shell(&app, "head -c 10 /proc/kcore | wc -c").await, "0");
        assert_eq!(shell(&app, "ls /sys/firmware | wc -l").await, "0");
        for path in ["/proc/sys/kernel/hostname", "/sys/kernel/profiling", "/proc/irq/default_smp_affinity"] {
            let refused = output(&app, &["sh", "-c", &format!("echo 1 > {path}")]).await;
            assert!(refused.stderr.contains("Read-only file system"), "{path}: {refused:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_hostname_is_the_pods_name_and_can_be_resolved() {
    in_lab(async |lab| {
        let pod = pod_of(&["app"]);
        let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
        let app = &lab.run(pod).await.containers[0];
        assert_eq!(shell(app, "hostname; echo $HOSTNAME").await, format!("{name}\n{name}"));
        assert!(shell(app, "cat /etc/hosts").await.contains(&name));
    })
    .await;
}

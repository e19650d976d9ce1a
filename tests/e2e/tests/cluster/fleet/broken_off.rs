//! Dumps of several pods that are broken off: one of them by its pod's end, all of them by Ctrl-C.

use std::path::Path;

use jattach_e2e::run::Signal;
use jattach_e2e::{Fault, Kubeconfig, Namespace, Pod, Program, Proxy, Running, cluster, dump, jvm};
use tempfile::{TempDir, tempdir};

use super::{dumped, failures, start};
use crate::transfer::SOME;

/// A heap that does not become smaller on its way.
const LARGE: [&str; 4] = ["--heap-mb", "40", "--content", "random"];

/// Dumps of all pods through a proxy.
struct Transfers {
    proxy: Proxy,
    /// Where the dumps go.
    directory: TempDir,
    _config: TempDir,
    program: Program,
}

impl Transfers {
    /// So many at once, and each connection stands still when it has carried so much.
    fn stalled(namespace: &Namespace, parallel: u32) -> Transfers {
        let (proxy, directory) = (Proxy::start().with(Fault::StallAfter(SOME)), tempdir().expect("a directory"));
        let elsewhere = tempdir().expect("a directory");
        let config = Kubeconfig::admin().through(&proxy.url()).write(elsewhere.path());
        let program = cluster().plugin_of_image().arg("--kubeconfig").arg(&config).args(["-n", &namespace.name]);
        let program = program.args(["-l", "tier=web", "--all-pods", "dumpheap", "--parallel", &parallel.to_string()]);
        let program = program.arg(directory.path());
        Transfers { proxy, directory, _config: elsewhere, program }
    }

    /// Starts, and waits until so many of them stand still in the middle.
    fn start(&self, standing: u64) -> Running {
        let running = self.program.clone().start();
        self.proxy.wait_until_passed(standing * SOME);
        running
    }

    /// Lets them go on.
    fn release(&self) {
        self.proxy.set(Fault::None);
        self.proxy.release();
    }
}

/// The pods whose turn has come.
fn begun<'n>(pods: &'n [Pod<'_>]) -> Vec<&'n str> {
    pods.iter().filter(|pod| !pod.ephemeral_containers().is_empty()).map(|pod| pod.name.as_str()).collect()
}

#[test]
fn no_more_pods_are_begun_than_may_be_at_once() {
    let namespace = Namespace::new();
    let pods = start(&namespace, &["a", "b", "c", "d"], &LARGE);
    let transfers = Transfers::stalled(&namespace, 2);
    let running = transfers.start(2);
    // Neither of the two can be done.
    assert_eq!(begun(&pods), ["a", "b"]);
    transfers.release();
    let _ = running.wait().succeeded().says("4 of 4 pods done");
    assert_eq!(dumped(transfers.directory.path()), ["a", "b", "c", "d"]);
}

#[test]
fn a_pod_that_dies_in_the_middle_is_one_failure_and_the_others_have_their_dumps() {
    let namespace = Namespace::new();
    let pods = start(&namespace, &["a", "b", "c"], &LARGE);
    let transfers = Transfers::stalled(&namespace, 3);
    let running = transfers.start(3);
    pods[1].delete();
    transfers.release();
    let ran = running.wait().ended_with(3).says("2 of 3 pods done, 1 failed");
    assert_eq!(failures(&ran.stderr), [("b", "3")], "{ran}");
    let names = dump::names(transfers.directory.path());
    let whole: Vec<_> = names.iter().filter(|name| name.ends_with(".hprof")).collect();
    assert_eq!(whole.iter().map(|name| &name[..1]).collect::<Vec<_>>(), ["a", "c"], "{names:?}");
    for name in whole {
        let _ = dump::verify(&transfers.directory.path().join(name));
    }
}

#[test]
fn ctrl_c_ends_all_with_one_summary_and_a_line_for_each_that_goes_on() {
    let namespace = Namespace::new();
    let pods = start(&namespace, &["a", "b", "c"], &LARGE);
    let transfers = Transfers::stalled(&namespace, 2);
    let running = transfers.start(2);
    running.signal(Signal::INT);
    let ran = running.wait().ended_with(130).says("0 of 3 pods done, 2 broken off, 1 not begun");
    assert_eq!(begun(&pods), ["a", "b"]);
    let mut lines: Vec<_> =
        ran.stderr.lines().filter_map(|line| line.split_once("] Go on with: kubectl jattach ")).collect();
    lines.sort_unstable();
    assert_eq!(lines.iter().map(|(pod, _)| *pod).collect::<Vec<_>>(), ["[pod/a", "[pod/b"], "{ran}");
    assert!(ran.stderr.lines().count() < 14, "more than a summary: {ran}");
    transfers.release();
    for (_, line) in lines {
        let shell = Program::new(Path::new("sh")).arg("-c").arg(format!("exec \"$0\" {line}")).arg(&cluster().plugin);
        let _ = shell.run().succeeded().says("Going on with");
    }
    assert_eq!(dumped(transfers.directory.path()), ["a", "b"]);
    pods.iter().for_each(|pod| jvm::answers(pod, "app"));
}

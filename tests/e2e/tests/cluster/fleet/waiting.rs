//! Answers that wait behind one that does not come: broken off, the command prints what there is.

use jattach_e2e::run::Signal;
use jattach_e2e::{Fault, Kubeconfig, Namespace, Program, Proxy, Ran, cluster};
use tempfile::{TempDir, tempdir};

use super::{failures, headers, on_all, start};

/// So much a connection carries before it stands still: all that is asked of the API server, and no dump of that many threads.
const CARRIED: u64 = 512 << 10;
const MANY: [&str; 2] = ["--threads", "2500"];

/// The threads of all pods through a proxy whose connections stand still in the middle of a long answer.
struct Stalled {
    proxy: Proxy,
    _config: TempDir,
    program: Program,
}

impl Stalled {
    fn new(namespace: &Namespace, flags: &[&str]) -> Stalled {
        let (proxy, elsewhere) = (Proxy::start().with(Fault::StallAfter(CARRIED)), tempdir().expect("a directory"));
        let config = Kubeconfig::admin().through(&proxy.url()).write(elsewhere.path());
        let program = cluster().plugin_of_image().arg("--kubeconfig").arg(&config).args(["-n", &namespace.name]);
        let program = program.args(["-l", "tier=web", "--all-pods", "threaddump"]).args(flags);
        Stalled { proxy, _config: elsewhere, program }
    }
}

/// The answer of each pod that there is something of.
#[track_caller]
fn answers(ran: &Ran) -> Vec<String> {
    let text = ran.text();
    assert!(text.starts_with("==> pod/"), "{ran}");
    text.split("==> pod/").skip(1).map(str::to_owned).collect()
}

/// Whether it is a dump of all threads, and not the beginning of one.
fn is_whole(answer: &str) -> bool {
    assert!(answer.contains("Full thread dump") && answer.ends_with('\n'), "{answer:.200}");
    answer.contains("JNI global ref")
}

#[test]
fn on_ctrl_c_the_answers_behind_one_that_does_not_come_are_printed() {
    let namespace = Namespace::new();
    let _ = [start(&namespace, &["a", "c"], &MANY), start(&namespace, &["b", "d"], &[])];
    // The injectors run already: a connection that stands still for long is taken for dead.
    let _ = on_all(&namespace, ["ps"]).run().succeeded();
    let stalled = Stalled::new(&namespace, &["--parallel", "2"]);
    let running = stalled.program.clone().start();
    // Two stand still by then, so that b has made room for c.
    stalled.proxy.wait_until_passed(2 * CARRIED);
    running.signal(Signal::INT);
    let ran = running.wait().ended_with(130).says("error[JAT-017]: interrupted");
    let ran = ran.says("1 of 4 pods done, 2 broken off, 1 not begun");
    assert_eq!(headers(&ran.text()), ["a", "b", "c"], "{ran}");
    let are_whole: Vec<_> = answers(&ran).iter().map(|answer| is_whole(answer)).collect();
    assert_eq!(are_whole, [false, true, false], "{ran}");
    assert_eq!(failures(&ran.stderr), [("a", "130"), ("c", "130"), ("d", "130")], "{ran}");
    for cause in ["broken off: its answer is not whole", "not begun"] {
        assert!(ran.stderr.contains(cause), "{ran}");
    }
}

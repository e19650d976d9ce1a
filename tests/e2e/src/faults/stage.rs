//! Where faults are tried: a pod whose JVM can be killed and comes again, and what has to hold there after each of them.

use std::cell::Cell;

use serde_json::json;

use crate::manifest;
use crate::namespace::{Namespace, Pod};
use crate::run::{Program, Ran};

/// What the application holds, in MiB: it does not become smaller on its way.
pub const HEAP: usize = 32;

/// The first process is a shell, which starts the JVM again when it ends: so the JVM can be stopped and killed from inside,
/// as the first process of a namespace cannot. Told to end, it takes the whole container with it.
const KEEP_A_JVM: &str = "trap 'exit 143' TERM; while :; do java JAVA -cp /app App WORDS & wait $!; done";

const JAVA: &str = "-Xmx96m -XX:+UseSerialGC -XX:TieredStopAtLevel=1";

/// Ends once the application answers, which it does not while it stands still.
const AWAIT_ANSWER: &str = r#"until busybox timeout 5 busybox nc 127.0.0.1 7070 < /dev/null 2> /dev/null | grep -q "alive answers="
    do busybox usleep 50000; done"#;

/// Every process in sight, with what it has open of ours, and the files of ours where it looks for its own.
const LOOK: &str = r#"for p in /proc/[0-9]*; do pid=${p#/proc/}
    echo "process $pid $(busybox tr '\0\n' '  ' < $p/cmdline)"
    for f in $p/root/tmp/.jattach-* $p/root/dev/shm/.jattach-* $p/root/tmp/.attach_pid* $p/cwd/.attach_pid* \
        $p/root/tmp/*.hprof* $p/root/dev/shm/*.hprof*; do
        if [ -e "$f" ] || [ -L "$f" ]; then echo "file $pid $f"; fi; done
    ls -l $p/fd | grep -F .jattach- | while read line; do echo "open $pid ${line##*> }"; done
    done 2> /dev/null; true"#;

/// So many looks take longer than anything takes to go.
const LOOKS: usize = 200;

/// A namespace with one pod, "x", and what is known of it.
#[derive(Debug)]
pub struct Stage {
    namespace: Namespace,
    /// The pid of the JVM.
    jvm: Cell<u32>,
}

/// What can be seen in the container of the JVM, which is the injector's own view as well.
#[derive(Debug)]
pub struct Sight {
    /// Pids and command lines.
    processes: Vec<(u32, String)>,
    /// Files of ours, by name or only open; sockets of an injector that runs are none.
    left: Vec<String>,
}

impl Stage {
    /// A stage in that image, which has a shell. A memory limit, in MiB, is the whole pod's.
    #[must_use]
    pub fn start(image: &str, memory: Option<u32>) -> Stage {
        let namespace = Namespace::new();
        // All of it is touched at once where it is limited: what the JVM takes is known then.
        let java = if memory.is_some() { "-Xms64m -Xmx64m -XX:+AlwaysPreTouch -XX:+UseSerialGC" } else { JAVA };
        let words = format!("--heap-mb {HEAP} --content random");
        let script = KEEP_A_JVM.replace("JAVA", java).replace("WORDS", &words);
        let mut app = manifest::restricted(manifest::container("app", image, &["sh", "-c", &script]));
        if let Some(memory) = memory {
            // A limit for each makes it a Guaranteed pod, whose processes the kernel spares until all others are gone.
            app["resources"] = json!({"limits": {"memory": format!("{memory}Mi"), "cpu": "1"}});
        }
        drop(namespace.start(&manifest::pod("x", &[app])));
        let stage = Stage { namespace, jvm: Cell::new(0) };
        stage.accept_the_jvm();
        stage
    }

    #[must_use]
    pub fn pod(&self) -> Pod<'_> {
        self.namespace.pod("x")
    }

    /// Runs a script in the JVM's container.
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    #[must_use]
    pub fn shell(&self, script: &str) -> Ran {
        self.script(script).run().succeeded()
    }

    /// A script in the JVM's container.
    #[must_use]
    pub fn script(&self, script: &str) -> Program {
        let exec = self.namespace.kubectl_program().args(["exec", "x", "-c", "app", "--", "sh", "-c"]);
        exec.arg(script)
    }

    /// Waits until the application answers.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn await_answer(&self) {
        let _ = self.shell(AWAIT_ANSWER);
    }

    /// The JVM may be another one from here on.
    ///
    /// # Panics
    /// If there is not one.
    #[track_caller]
    pub fn accept_the_jvm(&self) {
        self.await_answer();
        let [jvm] = self.look().of("java")[..] else { panic!("there is not one JVM") };
        self.jvm.set(jvm);
    }

    /// Waits until `ps` tells that the injector is at something that reads so.
    ///
    /// # Panics
    /// If it never does.
    #[track_caller]
    pub fn await_job(&self, words: &str) {
        let mut looks = 0;
        loop {
            let said = self.pod().jattach(["ps"]).succeeded().stderr;
            looks += 1;
            if said.contains(words) {
                return;
            }
            assert!(looks < LOOKS, "the injector is never {words:?}: {said}");
        }
    }

    /// What there is to see now.
    ///
    /// # Panics
    /// If the look does not see what is certainly there.
    #[track_caller]
    #[must_use]
    pub fn look(&self) -> Sight {
        let seen = self.shell(LOOK).text();
        let mut sight = Sight { processes: Vec::new(), left: Vec::new() };
        for line in seen.lines() {
            let mut words = line.splitn(3, ' ');
            match (words.next(), words.next().and_then(|pid| pid.parse().ok()), words.next()) {
                (Some("process"), Some(pid), Some(line)) => sight.processes.push((pid, line.trim_end().to_owned())),
                _ if line.contains("/.jattach-hold-") => {}
                _ => sight.left.push(line.to_owned()),
            }
        }
        assert!(sight.processes.iter().any(|(pid, _)| *pid == 1), "the look sees no first process:\n{seen}");
        let holds = sight.of("/injector hold").len();
        assert!(holds == 0 || seen.contains("/.jattach-hold-"), "the look does not see an injector's socket:\n{seen}");
        sight
    }

    /// Signals every process with that command line (`/injector hold`, `java …`), which there has to be.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn signal(&self, command: &str, signal: &str) {
        let pids = self.look().of(command);
        assert!(!pids.is_empty(), "no process {command}");
        let pids: Vec<_> = pids.iter().map(u32::to_string).collect();
        let _ = self.shell(&format!("kill -{signal} {}", pids.join(" ")));
    }

    /// Checks what holds after every fault: the JVM is the same, and answers without any help; nothing of ours is left, and the
    /// next command is served. `waits` where a dump may wait for its client, which is ended then; `debris` where an injector was
    /// killed, whose files the next command removes.
    ///
    /// # Panics
    /// If anything of that is not so.
    #[track_caller]
    pub fn check(&self, waits: bool, debris: bool) {
        self.await_answer();
        if !debris {
            self.await_sight("files of ours lie in the target", |sight| !sight.has_names());
        }
        if waits {
            let _ = self.pod().jattach(["clean"]).succeeded();
        }
        let _ = self.pod().jattach(["threaddump", "--wait"]).succeeded().prints("Full thread dump");
        self.await_answer();
        // A session may take some seconds to believe that nobody takes its last bytes.
        let sight = self.await_sight("something of ours is left", Sight::is_clean);
        assert_eq!(sight.of("java"), [self.jvm.get()], "the JVM is another one");
    }

    /// Looks until it is as wanted.
    #[track_caller]
    fn await_sight(&self, otherwise: &str, wanted: impl Fn(&Sight) -> bool) -> Sight {
        let mut looks = 0;
        loop {
            let sight = self.look();
            looks += 1;
            if wanted(&sight) {
                return sight;
            }
            assert!(looks < LOOKS, "{otherwise}: {sight:#?}");
        }
    }
}

impl Sight {
    /// Whether a file of ours has a name. What a dump that waits for its client has open has none.
    fn has_names(&self) -> bool {
        self.left.iter().any(|line| line.starts_with("file "))
    }

    /// Whether nothing of ours is left but injectors that wait for work.
    fn is_clean(&self) -> bool {
        let ours = self.processes.iter().filter(|(_, line)| line.starts_with("/injector"));
        self.left.is_empty() && ours.into_iter().all(|(_, line)| line == "/injector hold")
    }

    /// The pids of the processes with that command line: all of it, or its first word.
    #[must_use]
    pub fn of(&self, command: &str) -> Vec<u32> {
        let is = |line: &str| line == command || line.split(' ').next() == Some(command);
        self.processes.iter().filter(|(_, line)| is(line)).map(|(pid, _)| *pid).collect()
    }
}

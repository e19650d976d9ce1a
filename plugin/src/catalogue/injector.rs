//! What the injector reports: the kinds of the protocol.

use super::{Entry, Id};

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn entry(id: Id) -> Option<Entry> {
    let (meaning, evidence, remedy) = match id {
        Id::Other => (
            "A call to the kernel, or something else that nobody expects to fail, has failed, or the plugin has a defect. It \
             is no fault of the command line, and the target has not been changed by it.",
            "The call and the kernel's answer, the text of the error, or where in the plugin it happened.",
            "Run it again with -v=6, which tells what is done. If it stays so, report it with these lines.",
        ),
        Id::Usage => (
            "A word or a flag is not known, is missing, or contradicts another one, or what there is of an earlier command. \
             Nothing has been asked of the JVM.",
            "The word, and where it comes from.",
            "`kubectl jattach help COMMAND` shows what a command takes.",
        ),
        Id::NoSuchProcess => (
            "The process that --pid names is not there, or it ended before anything was asked of it.",
            "The process id as the target's container sees it.",
            "`kubectl jattach TARGET ps` lists the JVMs of the container. Leave --pid out where there is one.",
        ),
        Id::NoJvm => (
            "The container runs no process that has a JVM's library mapped, or the process that --pid names has none. It was not \
             signalled: SIGQUIT, by which a JVM is woken, would end another program.",
            "The processes that were looked at, or the candidates among the pod's containers.",
            "Name the container that runs Java with -c. A JVM that has only just been started has no library yet: try again.",
        ),
        Id::SeveralJvms => (
            "The container runs several JVMs, and none of them was asked for.",
            "Their process ids and main classes.",
            "Name one with --pid, as the evidence or `kubectl jattach TARGET ps` lists it.",
        ),
        Id::TargetEnded => (
            "The JVM, or its container, ended while it was being worked with. The injector ends no target; it takes up to 16 MiB \
             of the pod's memory, and a limit that was nearly reached may have been reached by that.",
            "How it ended, as the kubelet tells it: exit code, signal, OOMKilled.",
            "`kubectl describe pod` and `kubectl logs --previous` tell why. What the JVM had in memory is gone. What has arrived \
             of a heap dump is kept where it can be of use, and the message says where.",
        ),
        Id::WrongIdentity => (
            "A JVM talks only to a process of its own user and group, and the kernel shows its files only to one that has all of \
             its capabilities. What the injector was given (the pod's spec tells the first, the process itself the second, \
             --run-as-user, --run-as-group and --custom the only one) does not fit.",
            "The ids and the capabilities of both.",
            "Give the target's ids by --run-as-user and --run-as-group, or leave these out: then they are found out. \
             `kubectl jattach TARGET doctor` compares them.",
        ),
        Id::Denied => (
            "User, group and capabilities fit, and access is refused all the same: AppArmor, SELinux or Yama forbids it.",
            "The labels of both processes (/proc/PID/attr/current), where the kernel has such a module.",
            "The injector copies the profile and the SELinux options that the pod's spec names. Where the runtime gives each \
             container a label of its own, name the target's in a file for --custom.",
        ),
        Id::NotAttachable => (
            "The JVM cannot be attached to in its present state: it was started with -XX:+DisableAttachMechanism, or with -Xrs \
             before its attach listener was there; it is stopped, or just starting; its /tmp cannot be written to, where its \
             socket has to be; its files are closed to us, since its executable cannot be read. This was found by looking, \
             and no signal was sent.",
            "What was seen in /proc: the flag, the signals it handles, its state, the error of the file.",
            "It depends on the state, and the message names it. `kubectl jattach TARGET doctor` shows it beside the others.",
        ),
        Id::NoAnswer => (
            "The JVM was woken and has made no socket, or answers nothing: it is starting, has no processor time, or waits in a \
             safepoint. It goes on; where attaching is switched off and it does not say so, it has printed its threads to its \
             own stdout.",
            "How long was waited, and the state of the process.",
            "Try again when it is less busy. `kubectl top pod` shows whether it is throttled.",
        ),
        Id::WrongPeer => (
            "The socket in the target's /tmp that carries the JVM's process id belongs to another process: of two containers that \
             share a /tmp, both JVMs are process 1. Nothing was asked of it, so you never see another JVM's data.",
            "The process that answered, and the one that was meant.",
            "Attach to the other container, or give each container a /tmp of its own.",
        ),
        Id::JvmFailed => (
            "The JVM has carried out the command and says that it failed, or that it does not know it.",
            "The JVM's own words, and its code.",
            "`kubectl jattach TARGET jcmd help` lists what this JVM knows.",
        ),
        Id::Busy => (
            "The injector does one job at a time, and another one is running. On this machine: another process is writing the \
             same file.",
            "Which job, since when, and how far it is.",
            "--wait waits for the injector's job, and `kubectl jattach TARGET clean` ends it. A file wants another name.",
        ),
        Id::NoSpace => (
            "There is no place in the injector's container where the data may wait: it is all memory, too little is free, or a \
             storage limit would be exceeded, for which the kubelet would evict the pod. At least a fifth of the node's disk \
             stays free.",
            "Each place that was looked at, and why not.",
            "Free some of the node's disk, or take another replica on another node. --spool-limit 0 needs no room, but of a JDK 8, \
             which cannot be made to wait.",
        ),
        Id::Transfer => (
            "The connection was cut, or a block, a length or a checksum is not what the other side has sent; with --all-pods, an \
             answer is longer than may wait for its turn (64 MiB). What is not whole is never taken for a whole answer.",
            "How far it came, and what did not fit.",
            "Run the same command again: a heap dump into a file goes on where it stopped. If it stays so, try another way to the \
             API server than the proxy in between.",
        ),
        Id::Version => (
            "The injector that answers speaks another version of the protocol than this plugin.",
            "Both versions.",
            "Take the image of this plugin's version (`kubectl jattach version` names it): leave --image out.",
        ),
        Id::Interrupted => (
            "Ctrl-C or SIGTERM, or somebody else ended the injector or its job. With --all-pods what is there of the answers is \
             printed all the same, and the summary names the pods that were not done; Ctrl-C a second time ends that, too.",
            "Who or what did, where it is known.",
            "Run the command again. A heap dump into a file goes on where it stopped.",
        ),
        Id::TimedOut => (
            "A limit that you have set (--timeout, --max-stall, --max-pause), or one of our own, has run out.",
            "The limit, and what was waited for.",
            "Allow more with the flag that the message names.",
        ),
        Id::Gone => (
            "The heap dump that was to be gone on with is not there any more: its injector has ended, after its --ttl or with \
             the target, or another dump was begun.",
            "Which dump it was.",
            "Run it again with --no-resume. A longer --ttl keeps the next one for longer.",
        ),
        Id::TmpNotWritable => (
            "HotSpot makes its socket in /tmp and nowhere else, and the target's /tmp is missing, read-only or full. This was \
             found by looking, and no signal was sent.",
            "The error of a file that was to be made there.",
            "`threaddump --via-log` needs no socket. An emptyDir at /tmp in the workload helps all commands, from the next \
             restart on: the message prints the patch. With --profile=sysadmin, where that is allowed, a memory file system \
             is mounted over an empty /tmp for the time of the command.",
        ),
        _ => return None,
    };
    Some(Entry { meaning, evidence, remedy })
}

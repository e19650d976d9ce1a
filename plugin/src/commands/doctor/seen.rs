//! What is to be thought of what the injector has told: pure functions. All names and obstacles are the target's own words.

use jattach_protocol::Code;
use jattach_protocol::message::{Examined, Jvm};

use super::check::Check;
use super::inside::{Look, Seen, Unmeasured};
use super::report::{Report, Verdict};
use super::{examined, pod, speed};
use crate::catalogue::Id;
use crate::commands::ps;
use crate::error::Failure;
use crate::target::Target;

/// Adds what follows from it.
pub(super) fn judge(seen: &Seen, target: &Target, image: &str, report: &mut Report) {
    report.add(Check::Injector, injector(seen, target, image));
    report.add(Check::Exec, exec(seen));
    let meant: Vec<&Jvm> = seen.jvms.iter().filter(|jvm| target.pid.is_none_or(|pid| pid == jvm.pid)).collect();
    report.add(Check::Identity, identity(seen, &meant));
    report.add(Check::Jvm, jvm(&meant, target));
    if report.allows(Check::Attachable) {
        let verdict = attachable(&meant, report.because_of(Check::Tmp));
        report.add(Check::Attachable, verdict);
    }
    report.add(Check::Speed, speed(seen));
    if let [first, ..] = &meant[..] {
        compare(&seen.examined, !first.kind.is_empty(), report);
        if let Ok(examined) = &seen.examined {
            room(examined, target, is_inside(seen, target), report);
        }
    }
}

/// What the kernel compares. `is_let_in`: it has let the injector look into the JVM.
pub(super) fn compare(look: &Look, is_let_in: bool, report: &mut Report) {
    let verdict = |of: &dyn Fn(&Examined) -> Verdict| match look {
        Ok(examined) => of(examined),
        Err(why) => Verdict::Skipped(why.clone()),
    };
    report.add(Check::Capabilities, verdict(&examined::capabilities));
    report.add(Check::Labels, verdict(&|examined| examined::labels(examined, is_let_in)));
}

/// What there is in the pod for a command to use.
fn room(examined: &Examined, target: &Target, inside: bool, report: &mut Report) {
    report.add(Check::FreeThere, examined::free_there(examined, target, inside));
    report.add(Check::Memory, pod::memory(target, examined.memory));
    if report.because_of(Check::Attachable).is_none() {
        report.add(Check::Tmp, examined::tmp(examined, target));
    }
    if let Some(left) = examined::left_behind(examined) {
        report.add(Check::Tmp, left);
    }
}

fn speed(seen: &Seen) -> Verdict {
    match &seen.speed {
        Ok(speed) => speed::verdict(speed, seen.examined.as_ref().map_or(0, |examined| examined.heap_used)),
        Err(Unmeasured::Spared(why)) => Verdict::Skipped((*why).to_owned()),
        Err(Unmeasured::Failed(failure)) => Verdict::Fail(failure.clone()),
    }
}

/// Whether it runs in the target's own container.
fn is_inside(seen: &Seen, target: &Target) -> bool {
    seen.debugger.container == target.container
}

fn injector(seen: &Seen, target: &Target, image: &str) -> Verdict {
    let container = &seen.debugger.container;
    match &seen.job {
        _ if is_inside(seen, target) => Verdict::Ok("in the target's container, by --via=exec".to_owned()),
        Some(job) => Verdict::warn(
            format!("{container} is at work: {job}"),
            "other commands end with exit code 9 meanwhile, or wait with --wait",
        ),
        None => Verdict::Ok(format!("{container}, {image}")),
    }
}

fn exec(seen: &Seen) -> Verdict {
    Verdict::Ok(format!("an answer from the pod after {} ms", seen.round_trip.as_millis()))
}

fn identity(seen: &Seen, meant: &[&Jvm]) -> Verdict {
    if let Some(identity) = seen.second {
        return Verdict::warn(
            format!(
                "the JVM runs as {}:{}, which the pod does not tell: that took a second container",
                identity.uid, identity.gid
            ),
            "with runAsUser and runAsGroup in the pod's securityContext the first one fits",
        );
    }
    match meant {
        [jvm] => Verdict::Ok(format!("the JVM's are {}:{}", jvm.uid, jvm.gid)),
        _ => Verdict::Ok("the injector may look around".to_owned()),
    }
}

fn jvm(meant: &[&Jvm], target: &Target) -> Verdict {
    match meant {
        [] if target.pid.is_some() => {
            Failure::new(Id::NoJvm, format!("process {} is no JVM", target.pid.unwrap_or_default()))
                .remedy("leave --pid out to see the JVMs of the container")
                .into()
        }
        [] => ps::none(target).into(),
        [jvm] if jvm.kind.is_empty() => {
            Verdict::warn(described(jvm), format!("\"{}\" below tells why", Check::Attachable.name()))
        }
        [jvm] => Verdict::Ok(described(jvm)),
        several => {
            let lines: Vec<String> = several.iter().map(|jvm| format!("{} {}", jvm.pid, jvm.main)).collect();
            Verdict::warn(format!("{} JVMs: {}", several.len(), lines.join(", ")), "say which with --pid")
        }
    }
}

/// `HotSpot 17.0.19, App`
fn described(jvm: &Jvm) -> String {
    let kind = if jvm.kind.is_empty() { "of a kind that cannot be seen" } else { &jvm.kind };
    let words = [kind, &jvm.version].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if jvm.main.is_empty() { words } else { format!("{words}, {}", jvm.main) }
}

/// `tmp`: that /tmp is not writable, where the pod's spec has shown that already.
fn attachable(meant: &[&Jvm], tmp: Option<String>) -> Verdict {
    let refused: Vec<&&Jvm> = meant.iter().filter(|jvm| !jvm.obstacle.is_empty()).collect();
    let Some(first) = refused.first() else { return Verdict::Ok("yes".to_owned()) };
    let others = refused.len() < meant.len();
    if let (Some(tmp), false) = (tmp, others) {
        return Failure::new(Id::TmpNotWritable, format!("no, {tmp}")).into();
    }
    let text = format!("pid {}: {}", first.pid, first.obstacle);
    let as_a_command = "threaddump is refused for the same reason, and tells what helps";
    if others {
        return Verdict::warn(text, as_a_command);
    }
    let remedy = if first.remedy.is_empty() { as_a_command } else { &first.remedy };
    Failure::new(Code::from_number(first.code), text).remedy(remedy).into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jattach_protocol::Identity;
    use jattach_protocol::message::Memory;

    use super::super::speed::Speed;
    use super::*;
    use crate::debugger::{Basis, Debugger};
    use crate::error::Exit;

    fn usual(pid: u32) -> Jvm {
        let [kind, version, main] = ["HotSpot", "17.0.19", "App"].map(str::to_owned);
        Jvm { pid, uid: 10001, gid: 10001, kind, version, main, ..Jvm::default() }
    }

    fn deaf(pid: u32) -> Jvm {
        let code = Code::NotAttachable as u16;
        Jvm { obstacle: "the JVM is deaf (it says so)".to_owned(), code, ..usual(pid) }
    }

    fn judged_as(seen: &Seen, pid: Option<u32>) -> Report {
        let pod = serde_json::json!({"metadata": {"name": "x"}, "spec": {"containers": [{"name": "app"}]}});
        let pod = serde_json::from_value(pod).expect("a pod");
        let target = Target { namespace: "shop".into(), pod, container: "app".into(), pid };
        let mut report = Report::default();
        judge(seen, &target, "r.example/injector:1", &mut report);
        report.skip_the_rest("not looked at");
        report
    }

    fn seen(jvms: &[Jvm]) -> Seen {
        let debugger =
            Debugger { pod: "x".into(), container: "jattach-bcdfg".into(), basis: Basis::Reported, reused: false };
        let speed = Ok(Speed { bytes: 8 << 20, time: Duration::from_millis(100), is_cut: false });
        let round_trip = Duration::from_millis(7);
        Seen { debugger, jvms: jvms.to_vec(), job: None, round_trip, examined: Ok(looked()), speed, second: None }
    }

    fn looked() -> Examined {
        let identity = Identity { uid: 10001, gid: 10001, capabilities: 0 };
        Examined {
            own: identity,
            theirs: identity,
            own_label: String::new(),
            label: String::new(),
            spool: 2 << 30,
            free: 4 << 30,
            tmp: Some(1 << 30),
            memory: Some(Memory { used: 200 << 20, limit: 512 << 20 }),
            heap_used: 200 << 20,
            left_behind: 0,
        }
    }

    #[track_caller]
    fn says(report: &Report, line: &str) {
        let text = report.text();
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.lines().any(|found| words(found) == line), "{line}\n{text}");
    }

    /// Those that were skipped for the same reason share a line of the text.
    #[track_caller]
    fn skips(report: &Report, check: &str, why: &str) {
        let document = serde_json::to_value(report.document()).expect("a document");
        let row = serde_json::json!({"check": check, "result": "skip", "text": why});
        assert!(document["checks"].as_array().is_some_and(|rows| rows.contains(&row)), "{row}\n{document:#}");
    }

    #[test]
    fn a_jvm_that_can_be_attached_to_passes() {
        let report = judged_as(&seen(&[usual(1)]), None);
        assert_eq!(report.exit(), None);
        says(&report, "ok injector jattach-bcdfg, r.example/injector:1");
        says(&report, "ok uid and gid the JVM's are 10001:10001");
        says(&report, "ok JVM HotSpot 17.0.19, App");
        says(&report, "ok attachable yes");
        says(&report, "ok capabilities injector and JVM have no capabilities");
        says(&report, "ok labels no AppArmor, no SELinux");
        says(&report, "ok /tmp writable the JVM can be met there; 1.00 GiB free");
        says(&report, "ok free in the pod 4.00 GiB, 2.00 GiB of it for a heap dump");
        says(&report, "ok memory 312.00 MiB free of the container's 512.00 MiB");
        says(&report, "ok speed to here 80.0 MiB/s: a heap of 200.00 MiB takes up to 5 s");
        says(&report, "ok exec an answer from the pod after 7 ms");
    }

    #[test]
    fn a_container_without_a_jvm_fails_as_ps_does() {
        let report = judged_as(&seen(&[]), None);
        assert_eq!(report.exit(), Some(Exit::Target));
        says(&report, "fail JVM no JVM runs in container \"app\" (JAT-004)");
        skips(&report, "attachable", "because \"JVM\" failed");
    }

    #[test]
    fn a_jvm_that_cannot_be_attached_to_fails_with_its_obstacle() {
        let report = judged_as(&seen(&[deaf(7)]), None);
        assert_eq!(report.exit(), Some(Exit::Attach));
        says(&report, "ok JVM HotSpot 17.0.19, App");
        says(&report, "fail attachable pid 7: the JVM is deaf (it says so) (JAT-009)");
        says(&report, "ok labels no AppArmor, no SELinux");
        skips(&report, "/tmp writable", "not looked at");
        says(&report, "ok memory 312.00 MiB free of the container's 512.00 MiB");
    }

    #[test]
    fn of_several_jvms_the_one_that_is_meant_counts() {
        let both = seen(&[usual(1), deaf(7)]);
        let report = judged_as(&both, None);
        assert_eq!(report.exit(), None, "{}", report.text());
        says(&report, "warn JVM 2 JVMs: 1 App, 7 App");
        says(&report, "warn attachable pid 7: the JVM is deaf (it says so)");
        assert_eq!(judged_as(&both, Some(1)).exit(), None);
        assert_eq!(judged_as(&both, Some(7)).exit(), Some(Exit::Attach));
        let report = judged_as(&both, Some(8));
        assert_eq!(report.exit(), Some(Exit::Target));
        says(&report, "fail JVM process 8 is no JVM (JAT-004)");
        assert_eq!(judged_as(&seen(&[deaf(1), deaf(7)]), None).exit(), Some(Exit::Attach));
    }

    #[test]
    fn a_jvm_that_a_label_closes_is_no_ok_anywhere() {
        let [obstacle, remedy] = ["AppArmor keeps the injector out (label a)", "name the label"].map(str::to_owned);
        let (kind, version, code) = (String::new(), String::new(), Code::Denied as u16);
        let closed = Jvm { kind, version, obstacle, remedy, code, ..deaf(1) };
        let [own_label, label] = ["b", "a"].map(str::to_owned);
        let examined = Ok(Examined { own_label, label, ..looked() });
        let report = judged_as(&Seen { examined, ..seen(&[closed]) }, None);
        says(&report, "warn JVM of a kind that cannot be seen, App");
        says(&report, "warn labels AppArmor: JVM a, injector b");
        says(&report, "fail attachable pid 1: AppArmor keeps the injector out (label a) (JAT-008)");
        says(&report, "remedy: name the label");
    }

    #[test]
    fn what_the_spec_has_shown_is_not_told_twice() {
        let mut report = Report::default();
        let examined = Ok(looked());
        report.add(Check::Tmp, Failure::new(Id::TmpNotWritable, "read-only"));
        let pod = serde_json::json!({"metadata": {"name": "x"}, "spec": {"containers": [{"name": "app"}]}});
        let pod = serde_json::from_value(pod).expect("a pod");
        let target = Target { namespace: "shop".into(), pod, container: "app".into(), pid: None };
        judge(&Seen { examined, ..seen(&[deaf(1)]) }, &target, "r.example/injector:1", &mut report);
        says(&report, "fail attachable no, because \"/tmp writable\" failed (JAT-023)");
    }

    #[test]
    fn a_tmpfs_that_was_left_is_told_of_whether_the_jvm_can_be_attached_to_or_not() {
        for jvm in [usual(1), deaf(1)] {
            let examined = Ok(Examined { left_behind: 1, ..looked() });
            let report = judged_as(&Seen { examined, ..seen(&[jvm]) }, None);
            says(&report, "warn /tmp writable a tmpfs lies over it that an earlier --profile=sysadmin has left");
        }
    }

    #[test]
    fn what_was_not_told_or_not_measured_is_skipped_with_the_reason() {
        let examined = Err("process 1 ended".to_owned());
        let speed = Err(Unmeasured::Spared("it is at work"));
        let report = judged_as(&Seen { examined, speed, ..seen(&[usual(1)]) }, None);
        skips(&report, "capabilities", "process 1 ended");
        says(&report, "skip speed to here it is at work");
        assert_eq!(report.exit(), None);
        let failed = Unmeasured::Failed(Failure::new(Exit::Transfer, "it was cut"));
        let report = judged_as(&Seen { speed: Err(failed), ..seen(&[usual(1)]) }, None);
        assert_eq!(report.exit(), Some(Exit::Transfer));
    }

    #[test]
    fn the_injector_in_the_targets_own_container_is_told_as_that() {
        let mut inside = seen(&[usual(1)]);
        inside.debugger.container = "app".to_owned();
        says(&judged_as(&inside, None), "ok injector in the target's container, by --via=exec");
    }

    #[test]
    fn a_second_container_and_a_busy_injector_are_warned_of() {
        let second = Some(Identity { uid: 1000, gid: 1001, capabilities: 0 });
        let report = judged_as(&Seen { second, ..seen(&[usual(1)]) }, None);
        says(
            &report,
            "warn uid and gid the JVM runs as 1000:1001, which the pod does not tell: that took a second container",
        );
        let report = judged_as(&Seen { job: Some("heap dump of ada".into()), ..seen(&[usual(1)]) }, None);
        says(&report, "warn injector jattach-bcdfg is at work: heap dump of ada");
        assert_eq!(report.exit(), None);
    }
}

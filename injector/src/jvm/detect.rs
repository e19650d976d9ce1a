//! Whether a process is a JVM, which one, what it runs, and whether it can be attached to; nothing is signalled for that.

use jattach_protocol::Failure;
use jattach_protocol::message::{Jvm, MAX_NAME, clip};
use nix::errno::Errno;

use super::hsperf::{self, PerfData};
use super::{command_line, hotspot, native_image, openj9};
use crate::process::identity::explain_refusal;
use crate::process::{Libraries, Target, container_id};

/// A `release` file is a few hundred bytes of NAME="value".
const MAX_RELEASE: usize = 1 << 16;

/// What the process is, if it is a JVM or calls itself one. Every string is the target's own word.
pub(crate) fn detect(target: &Target<'_>) -> Option<Jvm> {
    let status = target.status().ok()?;
    let command_line = target.command_line().unwrap_or_default();
    let libraries = target.libraries();
    let data = libraries.as_ref().ok().and_then(|libraries| hsperf::read(target, &status, libraries));
    let (kind, failure) = match &libraries {
        Ok(libraries) => kind(target, libraries)?,
        Err(errno) if command_line::names_java(&command_line) || status.name == b"java" => {
            ("", Some(explain_refusal(target, &format!("/proc/{}/maps", target.pid()), *errno)))
        }
        Err(_) => return None,
    };
    let libjvm = libraries.ok().and_then(|libraries| libraries.libjvm);
    let release = release_file(target, data.as_ref(), libjvm.as_deref()).unwrap_or_default();
    let from_data = |name: &str| data.as_ref().and_then(|data| data.string(name));
    let vendor = from_data("java.property.java.vm.vendor").or_else(|| release_value(&release, "IMPLEMENTOR"));
    let version = from_data("java.property.java.version").or_else(|| release_value(&release, "JAVA_VERSION"));
    let main = from_data("sun.rt.javaCommand").and_then(command_line::first_word);
    let main = main.or_else(|| command_line::main_class(&command_line));
    Some(Jvm {
        pid: target.pid(),
        inner_pid: status.inner_pid(),
        uid: status.uid.effective,
        gid: status.gid.effective,
        container: target.control_groups().ok().and_then(|text| container_id(&text)).unwrap_or_default(),
        kind: kind.to_string(),
        vendor: text(vendor),
        version: text(version),
        main: text(main),
        obstacle: failure.as_ref().map(one_line).unwrap_or_default(),
        code: failure.as_ref().map_or(0, |failure| failure.code as u16),
        remedy: failure.map(|failure| failure.into_parts().remedy).unwrap_or_default(),
    })
}

/// The kind of JVM and what stands in the way of attaching to it.
fn kind(target: &Target<'_>, libraries: &Libraries) -> Option<(&'static str, Option<Failure>)> {
    // What lies in /tmp is no sign: containers that share it may have processes of the same number.
    if libraries.openj9 {
        return Some(("OpenJ9", openj9::obstacle(target)));
    }
    if libraries.libjvm.is_some() {
        return Some(("HotSpot", hotspot::obstacle(target)));
    }
    // One that listens does so in HotSpot's way.
    native_image::is_run_by(target).then(|| ("native image", hotspot::obstacle(target)))
}

/// `release` in the Java home that the JVM names, or that its libjvm.so lies in.
fn release_file(target: &Target<'_>, data: Option<&PerfData>, libjvm: Option<&[u8]>) -> Option<Vec<u8>> {
    let named = data.and_then(|data| data.string("java.property.java.home"));
    let home = named.or_else(|| libjvm.and_then(home_of))?;
    let read = |home: &[u8]| target.read_in_root(&[home, b"/release"].concat(), MAX_RELEASE);
    match read(home) {
        // JDK 8: the home is the JRE inside of the JDK.
        Err(Errno::ENOENT) => read(home.strip_suffix(b"/jre")?).ok(),
        release => release.ok(),
    }
}

/// /opt/jdk of /opt/jdk/lib/server/libjvm.so, and of JDK 8's /opt/jdk/jre/lib/amd64/server/libjvm.so.
fn home_of(libjvm: &[u8]) -> Option<&[u8]> {
    let end = libjvm.windows(5).rposition(|part| part == b"/lib/")?;
    Some(&libjvm[..end])
}

fn release_value<'r>(release: &'r [u8], name: &str) -> Option<&'r [u8]> {
    release.split(|byte| *byte == b'\n').find_map(|line| {
        let value = line.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?.trim_ascii();
        value.strip_prefix(b"\"")?.strip_suffix(b"\"")
    })
}

/// A failure in a table's cell.
fn one_line(failure: &Failure) -> String {
    let line = if failure.evidence.is_empty() {
        failure.cause.to_string()
    } else {
        format!("{} ({})", failure.cause, failure.evidence)
    };
    clip(&line, MAX_NAME).to_owned()
}

/// What the target says of itself, as far as it is a name and no attempt to fill our memory.
fn text(bytes: Option<&[u8]>) -> String {
    let bytes = bytes.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_NAME)]);
    clip(&text, MAX_NAME).to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::sys::fake::{Fake, PID};

    fn detected(fake: &Fake) -> Option<Jvm> {
        detect(&Target::open(fake, PID).expect("opened"))
    }

    #[test]
    fn a_jvm_tells_of_itself_in_its_performance_data() {
        let fake = Fake::jvm();
        let data = hsperf::fixture(&[
            ("sun.rt.jvmCapabilities", "1100"),
            ("sun.rt.javaCommand", "org.example.Main --port 80"),
            ("java.property.java.vm.vendor", "Debian"),
            ("java.property.java.version", "17.0.15"),
        ]);
        hsperf::publish(&fake, &data);
        let jvm = detected(&fake).expect("a JVM");
        assert_eq!((jvm.kind.as_str(), jvm.main.as_str()), ("HotSpot", "org.example.Main"));
        assert_eq!((jvm.vendor.as_str(), jvm.version.as_str()), ("Debian", "17.0.15"));
        assert_eq!((jvm.pid, jvm.inner_pid, jvm.obstacle.as_str()), (PID, 7, ""));
        assert_eq!(fake.calls(), Vec::<String>::new(), "nothing was done to it");
    }

    #[test]
    fn a_main_class_that_fills_the_performance_data_is_clipped() {
        let fake = Fake::jvm();
        let mut data = hsperf::fixture(&[("sun.rt.javaCommand", &"x".repeat(1 << 19))]);
        // Each of these takes three bytes as the character that stands for it.
        data.iter_mut().filter(|byte| **byte == b'x').for_each(|byte| *byte = 0xff);
        hsperf::publish(&fake, &data);
        assert_eq!(detected(&fake).expect("a JVM").main, "\u{fffd}".repeat(MAX_NAME / 3));
    }

    #[test]
    fn without_performance_data_release_and_command_line_tell() {
        let fake = Fake::jvm();
        fs::create_dir_all(fake.path("proc/root/opt/jdk")).expect("created");
        fake.write("proc/root/opt/jdk/release", "IMPLEMENTOR=\"Eclipse Adoptium\"\nJAVA_VERSION=\"25.0.3\"\n");
        fake.write("proc/cmdline", "java\0-Xmx1g\0-jar\0app.jar\0-x\0");
        let jvm = detected(&fake).expect("a JVM");
        assert_eq!((jvm.vendor.as_str(), jvm.version.as_str()), ("Eclipse Adoptium", "25.0.3"));
        assert_eq!(jvm.main, "app.jar");
    }

    #[test]
    fn a_process_without_a_jvms_library_is_none_whatever_it_is_called() {
        let fake = Fake::jvm();
        fake.write("proc/maps", "");
        fake.write("proc/cmdline", "java\0");
        assert_eq!(detected(&fake), None);
    }

    #[test]
    fn a_native_image_is_one_by_its_executable_and_tells_what_it_can() {
        let fake = Fake::jvm();
        fake.write("proc/maps", "");
        hsperf::publish(&fake, &hsperf::fixture(&[("sun.rt.javaCommand", "Main")]));
        assert_eq!(detected(&fake), None, "performance data are no sign of one");
        fs::write(fake.path("proc/exe"), native_image::fixture(&[".text", ".svm_heap"])).expect("written");
        let image = detected(&fake).expect("one");
        assert_eq!((image.kind.as_str(), image.main.as_str()), ("native image", "Main"));
        assert!(image.obstacle.contains("does not listen"), "{}", image.obstacle);
        let _listener = UnixListener::bind(fake.path("proc/root/tmp/.java_pid7")).expect("bound");
        assert_eq!(detected(&fake).expect("one").obstacle, "");
        assert!(!fake.calls().iter().any(|call| call.contains("SIG")), "{:?}", fake.calls());
    }

    #[test]
    fn a_jvm_is_an_openj9_by_its_library_and_not_by_what_lies_in_a_tmp_that_others_share() {
        let fake = Fake::jvm();
        fs::create_dir_all(fake.path("proc/root/tmp/.com_ibm_tools_attach/7")).expect("created");
        fake.write("proc/root/tmp/.com_ibm_tools_attach/7/attachInfo", "");
        assert_eq!(detected(&fake).expect("a JVM").kind, "HotSpot");
        fake.write("proc/maps", "1-2 r-xp 0 0:0 1 /j9/libjvm.so\n3-4 r-xp 0 0:0 2 /j9/libj9vm29.so\n");
        let jvm = detected(&fake).expect("a JVM");
        assert_eq!((jvm.kind.as_str(), jvm.obstacle.as_str()), ("OpenJ9", ""));
        fs::remove_dir_all(fake.path("proc/root/tmp/.com_ibm_tools_attach")).expect("removed");
        assert!(detected(&fake).expect("a JVM").obstacle.contains("takes no attach requests"));
    }

    #[test]
    fn an_obstacle_is_told_with_its_evidence() {
        let fake = Fake::jvm();
        fake.set_status(&[("SigCgt", "0000000000000000")]);
        let jvm = detected(&fake).expect("a JVM");
        assert!(jvm.obstacle.contains("SigCgt"), "{}", jvm.obstacle);
        assert!(jvm.code != 0 && !jvm.remedy.is_empty(), "{jvm:?}");
    }

    #[test]
    fn a_release_file_that_is_a_fifo_or_a_link_to_elsewhere_is_no_trap() {
        let fake = Fake::jvm();
        fs::create_dir_all(fake.path("proc/root/opt/jdk")).expect("created");
        nix::unistd::mkfifo(&fake.path("proc/root/opt/jdk/release"), nix::sys::stat::Mode::S_IRWXU).expect("made");
        assert_eq!(detected(&fake).expect("a JVM").version, "");
    }
}

//! Dumps that lie: what they choose may be long, many, in circles, or meant for the terminal.

use super::dump::{BYTE, Dump, ORDER, THREAD, string, thread_object, with_classes};
use super::run::{document, with_file};

#[test]
fn no_name_of_a_dump_acts_on_the_terminal() {
    let evil = "a\x1b]0;owned\x07\r\nb\tc\u{9b}31m\u{202e}";
    let mut dump = with_classes(8);
    let class = dump.load(0x700, format!("shop/{evil}"));
    dump.frame(0x900, class, evil, evil, 1);
    dump.trace(1, &[0x900]);
    dump.instance(0x200, 0x700, &[]);
    dump.objects(0x201, 0x700, &[0; 9]);
    dump.thread(0x400, 1);
    thread_object(&mut dump, 8, 0x400, THREAD, 0x500);
    string(&mut dump, 8, 0x500, 0x600, 0);
    dump.values(0x600, BYTE, 1, b"\x1b[2J\x9b1m\nname");
    let ran = with_file("x.hprof", &dump.end(), "inspect x.hprof");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let acts = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!ran.stdout.contains(acts), "{:?}", ran.stdout);
    assert!(ran.stdout.contains("   shop.a^[]0;owned^G^Jb^Ic\\u{9b}31m\\u{202e}\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("\"^[[2J\\u{9b}1m^Jname\"\n"), "{}", ran.stdout);
}

#[test]
fn a_name_that_is_too_long_is_cut_where_it_is_shown() {
    let mut dump = with_classes(8);
    dump.load(0x700, "x".repeat(300_000));
    dump.instance(0x200, 0x700, &[]);
    let ran = with_file("x.hprof", &dump.end(), "inspect x.hprof");
    assert!(ran.stdout.lines().all(|line| line.chars().count() < 260), "{} bytes", ran.stdout.len());
    assert!(ran.stdout.contains("xxx…"), "{}", ran.stdout);
}

#[test]
fn classes_that_are_their_own_ancestors_have_a_size_all_the_same() {
    let mut dump = Dump::new(8);
    dump.class(1, 2, &[("a", BYTE)]);
    dump.class(2, 3, &[("b", BYTE)]);
    dump.class(3, 1, &[("c", BYTE)]);
    for class in 1..=3 {
        dump.instance(0x200 + class, class, &[0; 3]);
        dump.thread(0x200 + class, u32::try_from(class).expect("small"));
    }
    let report = document("inspect", "x.hprof", &dump.end());
    assert_eq!(report["shallowBytes"], 3 * 24);
}

#[test]
fn a_long_line_of_ancestors_is_gone_through_once() {
    let mut dump = Dump::new(8);
    // Looked at from each of them anew, this would be five thousand million steps.
    for class in 1..=100_000 {
        dump.class(class, class - 1, &[]);
        dump.instance(0x1_000_000 + class, class, &[]);
    }
    let report = document("inspect", "x.hprof", &dump.end());
    assert_eq!((&report["classCount"], &report["shallowBytes"]), (&100_000.into(), &1_600_000.into()));
}

#[test]
fn threads_that_share_a_name_or_have_none_are_all_there() {
    let mut dump = with_classes(8);
    for serial in 1..=3 {
        dump.thread(0x400, serial);
    }
    dump.thread(0x401, 4);
    thread_object(&mut dump, 8, 0x400, THREAD, 0x500);
    // A name of another class, and one that leads back to the thread.
    thread_object(&mut dump, 8, 0x401, THREAD, 0x401);
    string(&mut dump, 8, 0x500, 0x600, 0);
    dump.values(0x600, BYTE, 1, b"shared");
    let report = document("inspect", "x.hprof", &dump.end());
    let threads = report["stacks"][0]["threads"].as_array().expect("threads");
    let names: Vec<_> = threads.iter().map(|thread| thread["name"].as_str()).collect();
    assert_eq!(names, [Some("shared"), Some("shared"), Some("shared"), None]);
}

#[test]
fn of_a_stack_that_overflowed_the_first_frames_are_shown_and_all_are_counted() {
    let mut dump = with_classes(8);
    dump.frame(0x900, 4, "recurse", "Order.java", 7);
    dump.trace(1, &vec![0x900; 20_000]);
    dump.instance(0x200, ORDER, &[0; 4]);
    let dump = dump.end();
    let report = document("inspect", "x.hprof", &dump);
    let stack = &report["stacks"][0];
    assert_eq!((&stack["depth"], stack["frames"].as_array().map(Vec::len)), (&20_000.into(), Some(1024)));
    let ran = with_file("x.hprof", &dump, "inspect x.hprof");
    assert!(ran.stdout.ends_with("at shop.Order.recurse(Order.java:7)\n    ... 19980 more\n"), "{}", ran.stdout);
}

#[cfg(target_os = "linux")]
mod memory {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::Dump;

    /// Address space of the process, in KiB: a good deal less than what flows through it.
    const LIMIT: u32 = 300_000;

    #[test]
    fn a_name_of_4_gib_a_deep_trace_and_a_long_array_take_no_memory() {
        /// As many as a trace of half a gigabyte has.
        const FRAMES: u32 = (1 << 26) - 2;
        let name = [&[0x01, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff][..], &[0; 8]].concat();
        let trace = [&[0x05, 0, 0, 0, 0][..], &[12 + 8 * FRAMES, 1, 1, FRAMES].map(u32::to_be_bytes).concat()].concat();
        let array = [&[0x1c, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x23][..], &[0; 12], &[0xff; 4], &[11]].concat();
        for claim in [name, trace, array] {
            let mut head = Dump::new(8);
            head.raw(&claim);
            assert_eq!(inspect_with_little_memory(&head.bytes(), 400 << 20), Some(8));
        }
    }

    #[test]
    fn a_long_name_in_every_frame_of_every_thread_and_of_many_classes_takes_no_memory() {
        /// Frames of a stack.
        const DEEP: usize = 1000;
        let mut dump = Dump::new(8);
        let long = "[".repeat(60_000);
        let class = dump.load(0x700, &long);
        dump.frame(0x900, class, &long, &long, 1);
        // Each depth is a stack of its own: 36 gigabytes of frames.
        for serial in 1..=200 {
            dump.trace(serial, &vec![0x900; DEEP - usize::try_from(serial).expect("few")]);
        }
        // 2 gigabytes of names.
        for class in 0x1000..0x5000 {
            dump.load(class, &long);
            dump.instance(0x10_0000 + class, class, &[]);
        }
        assert_eq!(inspect_with_little_memory(&dump.end(), 0), Some(0));
    }

    /// What `inspect -` ends with that reads those bytes, and then so many zeroes.
    fn inspect_with_little_memory(head: &[u8], zeroes: usize) -> Option<i32> {
        let mut child = Command::new("sh")
            .args(["-c", &format!("ulimit -v {LIMIT}; exec \"$0\" inspect - -o json")])
            .arg(env!("CARGO_BIN_EXE_kubectl-jattach"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh starts");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(head).expect("it reads");
        let block = vec![0; 1 << 20];
        for _ in 0..zeroes / block.len() {
            stdin.write_all(&block).expect("it reads to the end of what it was promised");
        }
        drop(stdin);
        child.wait().expect("it ends").code()
    }
}

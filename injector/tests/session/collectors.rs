//! Every collector lays its heap out in another way, and tells how much of it is in use in other words.

use std::process::Command;

use jattach_protocol::Message;
use jattach_protocol::hprof::{Reader, Summary};
use jattach_protocol::message::{Limits, Operation, Survey};

use crate::Hold;
use crate::client::{Client, dump_heap};
use crate::container::{Container, PLAIN, jvm_knows};
use crate::skip::skip;

/// All that HotSpot has had; no version has all of them.
const COLLECTORS: [&str; 6] = ["Serial", "Parallel", "G1", "ConcMarkSweep", "Z", "Shenandoah"];

pub(crate) fn survey(client: &mut Client) -> Survey {
    let mut told = None;
    client.request(Operation::Survey(Limits::default()));
    client.receive(|message| {
        if let Message::Survey(survey) = message {
            told = Some(survey);
        }
        matches!(message, Message::End(_))
    });
    told.expect("a survey")
}

/// HPROF_SLURP, if it is named, finds in the dump what our reader finds.
fn agrees_with_slurp(dump: &[u8], summary: &Summary) {
    let Some(slurp) = std::env::var_os("HPROF_SLURP") else { return skip("HPROF_SLURP names no second reader") };
    let file = tempfile::NamedTempFile::new_in("/var/tmp").expect("a file");
    std::fs::write(file.path(), dump).expect("room");
    let output = Command::new(slurp).arg(file.path()).output().expect("hprof-slurp");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{report}{}", String::from_utf8_lossy(&output.stderr));
    let number = |label: &str| -> u64 {
        let number = report.lines().find_map(|line| line.strip_prefix(label)).expect(label);
        number.trim().parse().expect("a number")
    };
    assert_eq!(number("..GC instance dump: "), summary.instances);
    assert_eq!(number("..GC class dump: "), summary.classes);
    assert_eq!(number("..GC primitive array dump: ") + number("..GC object array dump: "), summary.arrays);
}

#[test]
fn a_heap_dump_is_whole_and_as_long_as_expected_whichever_collector_the_jvm_has() {
    let mut had = Vec::new();
    for collector in COLLECTORS {
        let flag = format!("-XX:+Use{collector}GC");
        let options = ["-XX:+UnlockExperimentalVMOptions", &flag];
        if !jvm_knows(&options) {
            continue;
        }
        let mut container = Container::with(&PLAIN, &options, 30);
        let _hold = Hold::start(&container);
        let mut client = Client::connect(&container);
        let survey = survey(&mut client);
        assert!(survey.heap_used >= 30 << 20, "{collector}: {survey:?}");
        let dump = client.ask(dump_heap()).whole();
        assert!(dump.len() > 30 << 20 && dump.len() as u64 <= survey.expected, "{collector}: {survey:?}");
        let mut reader = Reader::new();
        reader.push(&dump).expect("a dump");
        agrees_with_slurp(&dump, &reader.finish().expect("a whole one"));
        container.assert_only_sockets_left();
        container.assert_unharmed();
        had.push(collector);
    }
    println!("collectors: {}", had.join(", "));
    assert!(had.starts_with(&["Serial", "Parallel", "G1"]), "{had:?}");
}

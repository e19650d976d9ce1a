//! `threaddump --via-log`: for a JVM that cannot be attached to. A signal has it print its threads to its own standard output,
//! and that is the container's log, from which they are read.

use std::io::Write;
use std::time::Duration;

use jattach_protocol::Message;
use jattach_protocol::message::Operation;
use tokio::time::Instant;

use super::Context;
use crate::catalogue::Id;
use crate::client::log::Source;
use crate::error::Failure;
use crate::render::stdout;
use crate::session::{Error, Session};

/// Has the JVM print its threads, and prints what of it comes in the log.
///
/// # Errors
/// The injector's refusal, before any signal; the API server's of the log, also before; 6 if nothing comes, 8 if the end does
/// not.
pub(super) async fn run(context: &Context, session: &mut Session) -> std::result::Result<(), Error> {
    let source = Source { pod: context.target.pod_name().to_owned(), container: context.target.container.clone() };
    let mark = source.mark(&context.cluster).await?;
    let mut log = source.after(mark, &context.cluster);
    session.request(context.request(Operation::PrintThreads));
    let mut out = context.out.jvm();
    let mut dump = Dump::default();
    let mut deadline = None;
    let mut asked = std::pin::pin!(asked(context, session));
    let left_out = loop {
        let limit = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            line = log.next() => {
                let line = line?.ok_or_else(log_ended)?;
                let before = dump.part;
                let shown = dump.take(line);
                // A reader that has gone is no reason to leave in the middle.
                stdout::heard(out.write_all(&shown))?;
                if dump.part == Part::Over && deadline.is_some() {
                    break false;
                }
                if dump.part != before && deadline.is_some() {
                    deadline = Some(dump.part.deadline());
                }
            }
            answer = &mut asked, if deadline.is_none() => {
                answer?;
                context.notes.say(&format!(
                    "From the log of {}: lines that the application writes meanwhile stand in between.",
                    source.container
                ));
                if dump.part == Part::Over {
                    break false;
                }
                deadline = Some(dump.part.deadline());
            }
            () = limit => match dump.part {
                Part::Before => return Err(nothing(&source).into()),
                Part::Threads => return Err(cut_off().into()),
                _ => break true,
            },
        }
    };
    stdout::heard(out.finish().map(drop))?;
    if left_out {
        context
            .notes
            .say("The JVM's heap did not follow: -XX:-PrintHeapAtSIGBREAK leaves it out. All threads are there.");
    }
    Ok(())
}

/// Until the JVM is signalled.
async fn asked(context: &Context, session: &mut Session) -> std::result::Result<(), Error> {
    loop {
        match session.next().await? {
            Message::End(_) => return Ok(()),
            Message::Job(before) => context.behind(before),
            _ => {}
        }
    }
}

/// Where in a dump a line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Before,
    Threads,
    /// Deadlocks, if there are any, and an empty line.
    Locks,
    Heap,
    /// The last part of the heap.
    Metaspace,
    Over,
}

impl Part {
    /// When the next part has to have begun.
    fn deadline(self) -> Instant {
        let seconds = match self {
            // Of ten thousand threads, through the kubelet and the API server.
            Part::Threads => 120,
            _ => 10,
        };
        Instant::now() + Duration::from_secs(seconds)
    }
}

/// Finds the dump in the lines of a log. What HotSpot 8 to 28 print on SIGQUIT, with every collector: a date, "Full thread
/// dump", the threads, "JNI global ref…", deadlocks, "Heap" down to its " Metaspace" of one or two lines, and an empty line.
#[derive(Default)]
struct Dump {
    part: Part,
    /// The line before, which is the dump's if it is a date.
    date: Vec<u8>,
}

impl Dump {
    /// What is to be shown after this line has come.
    fn take(&mut self, line: Vec<u8>) -> Vec<u8> {
        let text = line.trim_ascii_end();
        let was = self.part;
        self.part = match was {
            Part::Before if text.starts_with(b"Full thread dump ") => Part::Threads,
            Part::Threads if text.starts_with(b"JNI global ref") => Part::Locks,
            Part::Locks if text == b"Heap" => Part::Heap,
            Part::Heap if text.starts_with(b" Metaspace ") => Part::Metaspace,
            Part::Metaspace if text.is_empty() => Part::Over,
            part => part,
        };
        match (was, self.part) {
            (Part::Before, Part::Before) => {
                self.date = if is_date(text) { line } else { Vec::new() };
                Vec::new()
            }
            (Part::Before, _) => [std::mem::take(&mut self.date), line].concat(),
            (Part::Over, _) => Vec::new(),
            _ => line,
        }
    }
}

fn is_date(text: &[u8]) -> bool {
    let text = std::str::from_utf8(text).unwrap_or_default();
    jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S", text).is_ok()
}

fn nothing(source: &Source) -> Failure {
    let Source { pod, container } = source;
    Failure::new(Id::NoAnswer, "the JVM was told to print its threads, and the log does not show them")
        .evidence(format!("no line of pod/{pod} {container} begins with \"Full thread dump\" within 10 s"))
        .remedy(
            "its standard output may lead elsewhere, to a file that a script names: look there. A JVM in a long pause prints \
             them after it: kubectl logs",
        )
}

fn cut_off() -> Failure {
    Failure::new(Id::Transfer, "the thread dump in the log has no end")
        .evidence("no line that begins with \"JNI global ref\" came within 120 s of its first line")
        .remedy("what is printed above is what there is; kubectl logs shows whether more has come since")
}

fn log_ended() -> Failure {
    Failure::new(Id::Transfer, "the log ended before the thread dump did")
        .evidence("the API server closed the stream")
        .remedy("run the command again; a container that has ended has printed what it had: kubectl logs --previous")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(log: &str) -> (String, Part) {
        let mut dump = Dump::default();
        let lines = log.split_inclusive('\n').map(|line| dump.take(line.as_bytes().to_vec()));
        let shown = lines.collect::<Vec<_>>().concat();
        (String::from_utf8(shown).expect("text"), dump.part)
    }

    const BEFORE: &str = "hello\n2026-11-23 15:02:00\nof the application\n";
    const THREADS: &str = "2026-11-23 15:02:35\nFull thread dump OpenJDK 64-Bit Server VM (17.0.15+6 mixed mode):\n\n\
        \"main\" #1 prio=5\n\tat App.main(App.java)\n\nJNI global refs: 4, weak refs: 0\n\n";
    /// JDK 17 with -XX:+UseShenandoahGC: an empty line of its own.
    const SHENANDOAH: &str = "Heap\nShenandoah Heap\n 65536K max\nCollection set:\n - map (biased):  0x1\n\n Metaspace       \
        used 129K, committed 320K\n  class space    used 3K, committed 128K\n\n";
    /// JDK 17 with -XX:-UseCompressedClassPointers.
    const SHORT: &str = "Heap\n garbage-first heap   total 65536K\n Metaspace       used 3690K, committed 3776K\n\n";

    #[test]
    fn a_dump_is_shown_from_its_date_to_the_empty_line_after_its_heap() {
        for heap in [SHENANDOAH, SHORT] {
            let dump = format!("{THREADS}{heap}");
            let log = format!("{BEFORE}{dump}more of the application\n\n");
            assert_eq!(shown(&log), (dump, Part::Over));
        }
    }

    #[test]
    fn what_the_application_writes_in_between_does_not_end_it() {
        let heap = SHORT.replace("Heap\n", "Heap\nline of the application\n");
        let dump = format!("{}{heap}", THREADS.replace("\tat", "GET / 200\n\n\tat"));
        assert_eq!(shown(&dump), (dump.clone(), Part::Over));
    }

    #[test]
    fn a_dump_without_its_end_is_not_over() {
        assert_eq!(shown(BEFORE), (String::new(), Part::Before));
        assert_eq!(shown(&THREADS[..60]).1, Part::Threads);
        assert_eq!(shown(THREADS).1, Part::Locks);
        assert_eq!(shown(&format!("{THREADS}Heap\n a\n\n")).1, Part::Heap);
    }
}

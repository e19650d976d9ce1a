//! `threaddump --via-log`: for a JVM that cannot be attached to. A signal has it print its threads to its own standard output,
//! and that is the container's log, from which they are read.

use std::future::pending;
use std::io::Write;
use std::time::Duration;

use jattach_protocol::Message;
use jattach_protocol::message::Operation;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep_until};

use super::Context;
use crate::catalogue::Id;
use crate::client::log::Source;
use crate::error::{Failure, Result};
use crate::render::stdout;
use crate::session::{Error, Session};

/// Has the JVM print its threads, and prints what of it comes in the log.
///
/// # Errors
/// The injector's refusal, before any signal; the API server's of the log, also before; 6 if nothing comes, 8 if the end does
/// not.
pub(super) async fn run(context: &Context, session: &mut Session) -> std::result::Result<(), Error> {
    let namespace = context.target.namespace.clone();
    let (pod, container) = (context.target.pod_name().to_owned(), context.target.container.clone());
    let source = Source { namespace, pod, container };
    let mark = source.mark(&context.cluster).await?;
    let mut log = source.after(mark, &context.cluster);
    session.request(context.request(Operation::PrintThreads));
    let mut out = context.out.jvm();
    let asked = async {
        asked(context, session).await?;
        context.notes.say(&format!(
            "From the log of {}: lines that the application writes meanwhile stand in between.",
            source.container
        ));
        Ok(())
    };
    // A reader that has gone is no reason to leave in the middle.
    let show = |shown: &[u8]| stdout::heard(out.write_all(shown)).map(drop);
    let end = follow(async || log.next().await, asked, show, &source).await?;
    stdout::heard(out.finish().map(drop))?;
    match end {
        Part::Before | Part::Threads | Part::Over => {}
        Part::Locks => context
            .notes
            .say("The JVM's heap did not follow: -XX:-PrintHeapAtSIGBREAK leaves it out. All threads are there."),
        Part::Heap | Part::Metaspace => context.notes.say(
            "The end of the JVM's heap did not come within 10 s: some of it may be missing. All threads are there.",
        ),
    }
    Ok(())
}

/// Shows the dump as its lines come, once `asked` has had it made; where in it the lines have ended, with all threads shown.
///
/// # Errors
/// Those of [`run`].
async fn follow(
    mut next: impl AsyncFnMut() -> Result<Option<Vec<u8>>>,
    asked: impl Future<Output = std::result::Result<(), Error>>,
    mut show: impl FnMut(&[u8]) -> Result<()>,
    source: &Source,
) -> std::result::Result<Part, Error> {
    let mut dump = Dump::default();
    let mut deadline: Option<Instant> = None;
    let mut asked = std::pin::pin!(asked);
    loop {
        // A log that always has a line leaves a timer, and the session, no turn by itself.
        consume_budget().await;
        let limit = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = limit => return match dump.part {
                Part::Before => Err(nothing(source).into()),
                Part::Threads => Err(cut_off(source).into()),
                part => Ok(part),
            },
            answer = &mut asked, if deadline.is_none() => {
                answer?;
                if dump.part == Part::Over {
                    return Ok(dump.part);
                }
                deadline = Some(dump.part.deadline());
            }
            line = next() => {
                let line = line?.ok_or_else(|| log_ended(source))?;
                let (before, begun) = (dump.part, Instant::now());
                show(&dump.take(line))?;
                match &mut deadline {
                    Some(_) if dump.part == Part::Over => return Ok(dump.part),
                    Some(deadline) if dump.part != before => *deadline = dump.part.deadline(),
                    // Who reads it in a pager takes his time, and the JVM has none of that.
                    Some(deadline) => *deadline += begun.elapsed(),
                    None => {}
                }
            }
        }
    }
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
    let Source { pod, container, .. } = source;
    Failure::new(Id::NoAnswer, "the JVM was told to print its threads, and the log does not show them")
        .evidence(format!("no line of pod/{pod} {container} begins with \"Full thread dump\" within 10 s"))
        .remedy(format!(
            "its standard output may lead elsewhere, to a file that a script names: look there. A JVM in a long pause prints \
             them after it: {}",
            source.line("")
        ))
}

fn cut_off(source: &Source) -> Failure {
    Failure::new(Id::Transfer, "the thread dump in the log has no end")
        .evidence("no line that begins with \"JNI global ref\" came within 120 s of its first line")
        .remedy(format!(
            "what is printed above is what there is; {} shows whether more has come since",
            source.line("")
        ))
}

fn log_ended(source: &Source) -> Failure {
    Failure::new(Id::Transfer, "the log ended before the thread dump did")
        .evidence("the API server closed the stream")
        .remedy(format!(
            "run the command again; a container that has ended has printed what it had: {}",
            source.line(" --previous")
        ))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

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

    fn source() -> Source {
        Source { namespace: "shop".to_owned(), pod: "x".to_owned(), container: "app".to_owned() }
    }

    /// Time goes on by so much, whatever else there is to do.
    fn pass(seconds: u64) {
        let passing = std::pin::pin!(tokio::time::advance(Duration::from_secs(seconds)));
        // It has done so once it has been asked.
        assert!(passing.now_or_never().is_none());
    }

    /// What becomes of a log with these lines before an application that writes without a pause, a line each second.
    async fn followed(log: &str) -> (std::result::Result<Part, Error>, usize) {
        let mut lines = log.split_inclusive('\n');
        let mut noise = 0;
        let next = async || match lines.next() {
            Some(line) => Ok(Some(line.as_bytes().to_vec())),
            None => {
                noise += 1;
                assert!(noise < 1000, "it is followed for ever");
                pass(1);
                Ok(Some(b"GET / 200\n".to_vec()))
            }
        };
        let end = follow(next, async { Ok(()) }, |_| Ok(()), &source()).await;
        (end, noise)
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_that_never_pauses_does_not_keep_the_limits_from_their_turn() {
        let failed = |end: std::result::Result<Part, Error>| Failure::from(end.expect_err("no dump")).id;
        for (log, id) in [(BEFORE, Id::NoAnswer), (&THREADS[..60], Id::Transfer)] {
            assert_eq!(failed(followed(log).await.0), id, "{log}");
        }
        for (log, part) in [
            (THREADS.to_owned(), Part::Locks),
            (format!("{THREADS}Heap\n garbage-first heap\n"), Part::Heap),
            (format!("{THREADS}{}", SHORT.trim_end()), Part::Metaspace),
        ] {
            let (end, noise) = followed(&log).await;
            assert_eq!(end.expect("all threads"), part, "{log}");
            assert!(noise > 1, "nothing was waited for");
        }
        assert_eq!(followed(&format!("{THREADS}{SHORT}")).await.0.expect("a dump"), Part::Over);
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_slowly_does_not_run_out_of_the_jvms_time() {
        let log = format!("{THREADS}{SHORT}");
        let mut lines = log.split_inclusive('\n').map(|line| line.as_bytes().to_vec());
        let next = async || Ok(lines.next());
        let show = |_: &[u8]| {
            pass(100);
            Ok(())
        };
        assert_eq!(follow(next, async { Ok(()) }, show, &source()).await.expect("a dump"), Part::Over);
    }

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

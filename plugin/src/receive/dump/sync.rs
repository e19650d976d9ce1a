//! What makes a dump safe while more of it is being written: a thread that has the disk take all that is there, notes it in
//! the record, and lets it be acknowledged. As soon as one round is done the next one begins, so a round is as long as the
//! disk needs, and no longer than what may be under way without an acknowledgement.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use jattach_protocol::message::STREAMS;
use tokio::sync::watch;

use super::super::Safe;
use super::record::{Held, Record, Tail};

/// How much has been written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) streams: [Held; STREAMS],
    pub(super) tail: Tail,
}

/// The files of a dump, and the record of what is safe in them.
pub(super) struct Books {
    files: Vec<Arc<File>>,
    pub(super) record: Record,
    path: PathBuf,
    safe: Arc<watch::Sender<Safe>>,
}

impl Books {
    pub(super) fn new(files: Vec<Arc<File>>, record: Record, path: &Path) -> Books {
        let safe = Arc::new(watch::Sender::new(Some(record.raw())));
        Books { files, record, path: path.to_owned(), safe }
    }

    pub(super) fn safe(&self) -> watch::Receiver<Safe> {
        self.safe.subscribe()
    }

    /// Has the disk take what was written, notes it, and lets it be acknowledged, in this order.
    pub(super) fn enter(&mut self, mark: Mark) -> io::Result<()> {
        for ((file, was), is) in self.files.iter().zip(self.record.streams).zip(mark.streams) {
            if was != is {
                file.sync_data()?;
            }
        }
        (self.record.streams, self.record.tail) = (mark.streams, mark.tail);
        self.save()
    }

    /// Writes the record as it is now.
    pub(super) fn save(&mut self) -> io::Result<()> {
        self.record.write(&self.path)?;
        self.safe.send_replace(Some(self.record.raw()));
        Ok(())
    }
}

/// The books, and whoever keeps them just now.
pub(super) enum Keeper {
    Here(Box<Books>),
    Away {
        marks: Sender<Mark>,
        thread: JoinHandle<(Box<Books>, io::Result<()>)>,
    },
    /// Only while one becomes the other.
    Between,
}

impl Keeper {
    /// Lets everything up to `mark` become safe, without waiting for it.
    pub(super) fn mark(&mut self, mark: Mark) {
        if let Keeper::Here(_) = self
            && let Keeper::Here(books) = std::mem::replace(self, Keeper::Between)
        {
            let (marks, receiver) = channel();
            let thread = thread::spawn(move || keep(books, &receiver));
            *self = Keeper::Away { marks, thread };
        }
        if let Keeper::Away { marks, .. } = self {
            // A thread that has ended has failed, and says why when it is asked.
            let _ = marks.send(mark);
        }
    }

    /// The books, once everything that was marked is safe.
    ///
    /// # Errors
    /// What kept something from becoming so.
    pub(super) fn books(&mut self) -> io::Result<&mut Books> {
        let mut result = Ok(());
        *self = match std::mem::replace(self, Keeper::Between) {
            Keeper::Away { marks, thread } => {
                drop(marks);
                let (books, kept) = thread.join().map_err(|_| io::Error::other("the thread that syncs has died"))?;
                result = kept;
                Keeper::Here(books)
            }
            here => here,
        };
        match self {
            Keeper::Here(books) => result.map(|()| &mut **books),
            _ => Err(io::Error::other("the thread that syncs has died")),
        }
    }
}

fn keep(mut books: Box<Books>, marks: &Receiver<Mark>) -> (Box<Books>, io::Result<()>) {
    while let Ok(mut mark) = marks.recv() {
        while let Ok(newer) = marks.try_recv() {
            mark = newer;
        }
        if let Err(error) = books.enter(mark) {
            // Nothing more will be acknowledged: who waits for that has to ask.
            books.safe.send_replace(None);
            return (books, Err(error));
        }
    }
    (books, Ok(()))
}

#[cfg(test)]
mod tests {
    use super::super::format::Format;
    use super::super::record::tests::{source, wanted};
    use super::*;
    use jattach_protocol::message::Form;

    fn keeper(directory: &Path) -> Keeper {
        let files = [0, 1].map(|_| Arc::new(tempfile::tempfile().expect("a file"))).into();
        let record = Record::new(source(), wanted(Format::Raw), "jattach-abcde".into(), Form::Pair, 0);
        Keeper::Here(Box::new(Books::new(files, record, &directory.join("x.part.json"))))
    }

    fn mark(raw: u64) -> Mark {
        let held = Held { raw, stored: raw };
        Mark { streams: [held, held], tail: Tail { at: raw, matched: 0 } }
    }

    #[test]
    fn what_is_acknowledged_stands_in_the_record_before() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut keeper = keeper(directory.path());
        let mut safe = keeper.books().expect("nothing to do").safe();
        for raw in [1, 5, 1000] {
            keeper.mark(mark(raw));
        }
        let books = keeper.books().expect("a disk");
        assert_eq!(books.record.streams, mark(1000).streams);
        assert_eq!(Record::read(&directory.path().join("x.part.json")).as_ref(), Some(&books.record));
        assert_eq!(*safe.borrow_and_update(), Some([1000, 1000]));
        keeper.mark(mark(1001));
        assert_eq!(keeper.books().expect("a disk").record.raw(), [1001, 1001]);
    }

    #[test]
    fn what_cannot_be_noted_is_not_acknowledged_and_told_of() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut keeper = keeper(&directory.path().join("gone"));
        let mut safe = keeper.books().expect("nothing to do").safe();
        keeper.mark(mark(5));
        assert!(keeper.books().is_err());
        assert_eq!(*safe.borrow_and_update(), None);
    }
}

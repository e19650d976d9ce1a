//! A heap dump on its way into a file: `FILE.part` until every record of it has been walked and the JVM's own end mark
//! found, then FILE. What is not whole never gets that name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use jattach_protocol::hprof::{Reader, Summary};

use super::Sink;
use crate::error::{Exit, Failure};

/// A stream of dump bytes that is checked as it passes.
pub(crate) struct Dump<W> {
    reader: Reader,
    to: W,
}

impl<W: Target> Dump<W> {
    pub(crate) fn new(to: W) -> Dump<W> {
        Dump { reader: Reader::new(), to }
    }
}

/// Where a dump's bytes go once they are checked.
pub(crate) trait Target: Write + Send + 'static {
    /// All bytes have come: put them where no crash takes them.
    fn settle(&mut self) -> Result<(), Failure>;

    /// The dump is whole: give it its name.
    fn complete(self) -> Result<(), Failure>;

    /// What an I/O error of it means.
    fn failed(&self, error: &io::Error) -> Failure;
}

/// A dump that is whole and has no name yet: who sent it may still have to say that all went well.
pub(crate) struct Whole<W> {
    summary: Summary,
    to: W,
}

impl<W: Target> Whole<W> {
    /// Gives it its name.
    ///
    /// # Errors
    /// A usage failure where the name has been taken meanwhile, 1 where it cannot be given.
    pub(crate) fn name(self) -> Result<Summary, Failure> {
        self.to.complete()?;
        Ok(self.summary)
    }
}

impl<W: Target> Sink for Dump<W> {
    type Stored = Whole<W>;

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        // Stored first: what is wrong with a dump is found in the file, too.
        self.to.write_all(bytes).map_err(|error| self.to.failed(&error))?;
        self.reader.push(bytes).map_err(|error| not_whole(&error))
    }

    fn finish(mut self) -> Result<Whole<W>, Failure> {
        let summary = self.reader.finish().map_err(|error| not_whole(&error))?;
        if !summary.ended {
            // A form that JDK 7 wrote; every JVM that can be attached to here closes a dump with its end record.
            return Err(not_whole(&"it has no HEAP_DUMP_END record"));
        }
        self.to.settle()?;
        Ok(Whole { summary, to: self.to })
    }
}

fn not_whole(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Transfer, "the heap dump that the JVM wrote is not whole")
        .evidence(error.to_string())
        .remedy("dump again; if it breaks at the same place, the JVM writes it so")
}

/// `FILE.part`, locked for us, mode 0600.
pub(crate) struct DumpFile {
    part: PathBuf,
    path: PathBuf,
    file: File,
    overwrite: bool,
}

impl DumpFile {
    /// Takes `path`, which must not exist unless `overwrite`, and starts `path.part` afresh.
    ///
    /// # Errors
    /// A usage failure where `path` is taken, 9 where another dump is being written to it, 1 where it cannot be written.
    pub(crate) fn create(path: &Path, overwrite: bool) -> Result<DumpFile, Failure> {
        if !overwrite && fs::symlink_metadata(path).is_ok() {
            return Err(exists(path));
        }
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = open_part(&part).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => Failure::new(Exit::Busy, format!("{} is being written", part.display()))
                .evidence("another process holds its lock")
                .remedy("wait for it, or give another FILE"),
            _ => unwritable(&part, &error),
        })?;
        Ok(DumpFile { part, path: path.to_owned(), file, overwrite })
    }

    /// Where the bytes are until they are whole.
    pub(crate) fn part(&self) -> &Path {
        &self.part
    }
}

/// A regular file that is ours alone: made by us, or left by us before; never what a link points at.
fn open_part(part: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true);
    private(&mut options);
    loop {
        let file = match options.create_new(true).open(part) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && fs::symlink_metadata(part)?.is_file() => {
                match options.create_new(false).open(part) {
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    result => result?,
                }
            }
            result => result?,
        };
        file.try_lock()?;
        // Whoever had the lock may have given the file its final name meanwhile: then it is a whole dump by now.
        if is_still(part, &file)? {
            make_private(&file)?;
            file.set_len(0)?;
            return Ok(file);
        }
    }
}

#[cfg(unix)]
fn is_still(part: &Path, file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let ours = file.metadata()?;
    let named = fs::symlink_metadata(part);
    Ok(named.is_ok_and(|named| (named.dev(), named.ino()) == (ours.dev(), ours.ino())))
}

/// Windows renames no file that somebody has open.
#[cfg(not(unix))]
fn is_still(_part: &Path, _file: &File) -> io::Result<bool> {
    Ok(true)
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
}

/// For a file that was there: it may have been made by somebody else's rules.
#[cfg(unix)]
fn make_private(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn make_private(_file: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn private(_options: &mut OpenOptions) {}

impl Drop for DumpFile {
    /// Where nothing came, an empty file helps nobody.
    fn drop(&mut self) {
        if self.file.metadata().is_ok_and(|meta| meta.len() == 0) && is_still(&self.part, &self.file).unwrap_or(false) {
            let _ = fs::remove_file(&self.part);
        }
    }
}

impl Write for DumpFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Target for DumpFile {
    fn settle(&mut self) -> Result<(), Failure> {
        self.file.sync_all().map_err(|error| unwritable(&self.part, &error))
    }

    fn complete(self) -> Result<(), Failure> {
        let named = if self.overwrite { fs::rename(&self.part, &self.path) } else { link(&self.part, &self.path) };
        named.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => exists(&self.path),
            _ => unwritable(&self.path, &error),
        })
    }

    fn failed(&self, error: &io::Error) -> Failure {
        unwritable(&self.part, error)
    }
}

/// A rename that does not replace: the name may have been taken while the dump was on its way.
fn link(part: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(part, path) {
        // A filesystem without links (FAT, some network ones).
        Err(error) if !matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound) => {
            if fs::symlink_metadata(path).is_ok() {
                return Err(ErrorKind::AlreadyExists.into());
            }
            fs::rename(part, path)
        }
        Err(error) => Err(error),
        Ok(()) => fs::remove_file(part),
    }
}

fn exists(path: &Path) -> Failure {
    Failure::new(Exit::Usage, format!("{} exists", path.display()))
        .remedy("give another FILE, or --force to replace it")
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Other, format!("cannot write {}", path.display()))
        .evidence(error.to_string())
        .remedy("give a FILE on a disk with room for the dump, or `-` to stream it to stdout")
}

/// Standard output: what has passed cannot be taken back, so the exit code alone tells whether it was whole.
impl Target for io::Stdout {
    fn settle(&mut self) -> Result<(), Failure> {
        let flushed = self.flush();
        flushed.map_err(|error| self.failed(&error))
    }

    fn complete(self) -> Result<(), Failure> {
        Ok(())
    }

    fn failed(&self, error: &io::Error) -> Failure {
        Failure::new(Exit::Other, "cannot write to standard output")
            .evidence(error.to_string())
            .remedy("see that its reader takes all of it, or give a FILE")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shortest whole dump: a header, a segment with one root, and the end mark.
    fn whole() -> Vec<u8> {
        let mut dump = b"JAVA PROFILE 1.0.2\0\0\0\0\x08\0\0\0\0\0\0\0\0".to_vec();
        dump.extend([0x1c, 0, 0, 0, 0, 0, 0, 0, 9, 0xff, 0, 0, 0, 0, 0, 0, 0, 1]);
        dump.extend([0x2c, 0, 0, 0, 0, 0, 0, 0, 0]);
        dump
    }

    fn store(path: &Path, bytes: &[u8], overwrite: bool) -> Result<Summary, Failure> {
        let mut dump = Dump::new(DumpFile::create(path, overwrite)?);
        dump.write(bytes)?;
        dump.finish()?.name()
    }

    #[test]
    fn a_whole_dump_gets_its_name_and_leaves_no_part() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x.hprof");
        store(&path, &whole(), false).expect("whole");
        assert_eq!(fs::read(&path).expect("the dump"), whole());
        assert_eq!(fs::read_dir(&directory).expect("the directory").count(), 1);
    }

    #[test]
    fn a_dump_without_its_end_keeps_the_name_part() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x.hprof");
        let failure = store(&path, &whole()[..49], false).expect_err("not whole");
        assert_eq!(failure.exit, Exit::Transfer);
        assert!(!path.exists());
        assert!(directory.path().join("x.hprof.part").exists());
        store(&path, &whole(), false).expect("the next one starts the part afresh");
    }

    #[test]
    fn a_whole_dump_has_no_name_until_it_is_given_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x.hprof");
        let mut dump = Dump::new(DumpFile::create(&path, false).expect("free"));
        dump.write(&whole()).expect("whole");
        let dump = dump.finish().unwrap_or_else(|failure| panic!("{failure}"));
        assert!(!path.exists());
        dump.name().expect("free");
        assert!(path.exists());
    }

    #[test]
    fn a_name_that_is_taken_is_refused_before_and_after_the_transfer() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x.hprof");
        let mut dump = Dump::new(DumpFile::create(&path, false).expect("free"));
        dump.write(&whole()).expect("whole");
        fs::write(&path, "meanwhile").expect("another file");
        assert_eq!(dump.finish().and_then(Whole::name).expect_err("taken").exit, Exit::Usage);
        assert_eq!(DumpFile::create(&path, false).err().expect("taken").exit, Exit::Usage);
        assert_eq!(fs::read(&path).expect("the file"), b"meanwhile");
        store(&path, &whole(), true).expect("--force");
    }

    #[cfg(unix)]
    #[test]
    fn a_part_that_became_a_whole_dump_while_its_lock_was_waited_for_is_not_truncated() {
        let directory = tempfile::tempdir().expect("a directory");
        let part = directory.path().join("x.hprof.part");
        fs::write(&part, whole()).expect("a part");
        let late = File::open(&part).expect("the part");
        assert!(is_still(&part, &late).expect("metadata"));
        fs::rename(&part, directory.path().join("x.hprof")).expect("its name");
        assert!(!is_still(&part, &late).expect("metadata"));
        fs::write(&part, "another").expect("a new part");
        assert!(!is_still(&part, &late).expect("metadata"));
    }

    #[test]
    fn a_part_in_which_nothing_arrived_is_removed() {
        let directory = tempfile::tempdir().expect("a directory");
        drop(DumpFile::create(&directory.path().join("x.hprof"), false).expect("free"));
        assert_eq!(fs::read_dir(&directory).expect("the directory").count(), 0);
    }

    #[test]
    fn two_dumps_to_one_file_at_once_are_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x.hprof");
        let _first = DumpFile::create(&path, false).expect("free");
        assert_eq!(DumpFile::create(&path, false).err().expect("busy").exit, Exit::Busy);
    }

    #[cfg(unix)]
    #[test]
    fn a_dump_is_for_its_owner_alone_and_never_written_through_a_link() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x.hprof");
        store(&path, &whole(), false).expect("whole");
        assert_eq!(fs::metadata(&path).expect("the dump").permissions().mode() & 0o777, 0o600);

        let aim = directory.path().join("aim");
        fs::write(&aim, "precious").expect("a file");
        let linked = directory.path().join("y.hprof");
        symlink(&aim, directory.path().join("y.hprof.part")).expect("a link");
        assert!(DumpFile::create(&linked, false).is_err());
        assert_eq!(fs::read(&aim).expect("the file"), b"precious");
    }
}

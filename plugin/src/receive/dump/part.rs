//! The names of a heap dump: `FILE.part` and what lies beside it until the dump is whole, then FILE. Ours alone: locked, for
//! its owner's eyes, and never what a link points at.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::record::Record;
use crate::catalogue::Id;
use crate::error::Failure;

/// What follows on FILE.part: the record, the second stream, and a dump that is being compressed as a whole.
pub(super) const JSON: &str = ".json";
/// A record that is being written: it is left only by who is killed meanwhile.
pub(super) const NEW: &str = ".json.new";
pub(super) const P0: &str = ".p0";
pub(super) const PACKED: &str = ".packed";

/// `FILE.part`, locked for us, mode 0600.
pub(crate) struct DumpFile {
    part: PathBuf,
    path: PathBuf,
    file: File,
    overwrite: bool,
}

impl DumpFile {
    /// Takes `path`, which must not exist unless `overwrite`, and `path.part`, whatever is in it.
    ///
    /// # Errors
    /// A usage failure where `path` is taken or no name of a file, 9 where another dump is being written to it, 1 where it
    /// cannot be written.
    pub(crate) fn open(path: &Path, overwrite: bool) -> Result<DumpFile, Failure> {
        // A rename would put the dump in a device's place.
        if path.file_name().is_none() || fs::metadata(path).is_ok_and(|there| !there.is_file()) {
            return Err(Failure::usage(format!("\"{}\" cannot be the name of a file", path.display()))
                .evidence("it is a directory, a device, or nothing")
                .remedy("give another FILE, `-` for stdout, or none for POD-CONTAINER-UTC.hprof here"));
        }
        let part = with(path, ".part");
        part_from(path, &part);
        if !overwrite && fs::symlink_metadata(path).is_ok() {
            return Err(exists(path));
        }
        let file = lock(&part).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => Failure::new(Id::Busy, format!("{} is being written", part.display()))
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

    /// What FILE.part is the beginning of, where that is known.
    pub(crate) fn record(&self) -> Option<Record> {
        // Where a whole dump has its name already, a crash may have left its record.
        Record::read(&self.beside(JSON)).filter(|record| record.whole.is_none() || held(&self.part) > 0)
    }

    /// Whether another version of this program has left it, and knows more of it than this one.
    pub(crate) fn is_foreign(&self) -> bool {
        Record::is_foreign(&self.beside(JSON))
    }

    /// Gives up whatever is there of an earlier dump.
    ///
    /// # Errors
    /// 1 where it cannot be written.
    pub(crate) fn clear(&self) -> Result<(), Failure> {
        // Its record first: without its bytes it must not be believed.
        for suffix in [JSON, NEW, P0, PACKED] {
            let _ = fs::remove_file(self.beside(suffix));
        }
        self.file.set_len(0).map_err(|error| unwritable(&self.part, &error))
    }

    /// What lies beside FILE.part under that suffix.
    pub(super) fn beside(&self, suffix: &str) -> PathBuf {
        with(&self.part, suffix)
    }

    /// Opens what lies there, or creates it.
    pub(super) fn open_beside(&self, suffix: &str) -> Result<File, Failure> {
        let path = self.beside(suffix);
        open_own(&path).map_err(|error| unwritable(&path, &error))
    }

    /// FILE.part itself.
    pub(super) fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Gives the dump its name: FILE.part, or what was made of it.
    ///
    /// # Errors
    /// A usage failure where the name has been taken meanwhile, 1 where it cannot be given.
    pub(super) fn name(&self, united: Option<&Path>) -> Result<(), Failure> {
        let from = united.unwrap_or(&self.part);
        let named = if self.overwrite { fs::rename(from, &self.path) } else { link(from, &self.path) };
        named.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => exists(&self.path),
            _ => unwritable(&self.path, &error),
        })?;
        if united.is_some() {
            // The dump has its name, in another shape.
            let _ = fs::remove_file(&self.part);
        }
        Ok(())
    }
}

/// How many bytes lie in FILE.part and in the second stream beside it.
pub(crate) fn held(part: &Path) -> u64 {
    [part.to_owned(), with(part, P0)].into_iter().map(|path| fs::metadata(path).map_or(0, |meta| meta.len())).sum()
}

/// How many bytes lie there of an earlier dump to FILE, which the next one takes the place of.
pub(crate) fn held_for(path: &Path) -> u64 {
    held(&with(path, ".part"))
}

/// Whether FILE.part is the beginning of a dump that a job of an injector gives.
pub(crate) fn is_begun(part: &Path) -> bool {
    Record::read(&with(part, JSON)).is_some_and(|record| record.job.is_some())
}

/// The record of a dump to FILE, if all of that is here and has no name yet.
pub(crate) fn whole_for(path: &Path) -> Option<Record> {
    Record::read(&with(&with(path, ".part"), JSON)).filter(|record| record.whole.is_some())
}

/// Has no other run go on with FILE.part.
pub(crate) fn forget(part: &Path) {
    let _ = fs::remove_file(with(part, JSON));
}

/// Removes FILE.part and what lies beside it, if no byte has come.
pub(crate) fn remove_empty(part: &Path) {
    if held(part) == 0 {
        for path in [with(part, P0), with(part, JSON), part.to_owned()] {
            let _ = fs::remove_file(path);
        }
    }
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Parts FILE.part from FILE, where a crash has left both names to a dump that is whole: what is done to the one from now on
/// would be done to the other.
#[cfg(unix)]
fn part_from(path: &Path, part: &Path) {
    let is_shared = || -> io::Result<bool> {
        let file = File::open(path)?;
        let both = is_still(path, &file)? && is_still(part, &file)?;
        // Who gives the dump its name just now has the lock.
        Ok(both && file.try_lock().is_ok())
    };
    let left = fs::metadata(with(part, P0)).map_or(0, |meta| meta.len());
    if whole_for(path).is_some() && left == 0 && is_shared().unwrap_or(false) {
        for name in [part.to_owned(), with(part, P0), with(part, PACKED), with(part, JSON)] {
            let _ = fs::remove_file(name);
        }
    }
}

/// The standard library tells no file from another here.
#[cfg(not(unix))]
fn part_from(_path: &Path, _part: &Path) {}

/// A file that is ours alone, and that nobody else writes a dump to.
fn lock(part: &Path) -> io::Result<File> {
    loop {
        let file = open_own(part)?;
        file.try_lock()?;
        // Whoever had the lock may have given the file its final name meanwhile: then it is a whole dump by now.
        if is_still(part, &file)? {
            return Ok(file);
        }
    }
}

/// A regular file that is ours alone: made by us, or left by us before; never what a link points at.
fn open_own(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    private(options.read(true).write(true));
    loop {
        let file = match options.create_new(true).open(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && fs::symlink_metadata(path)?.is_file() => {
                match options.create_new(false).open(path) {
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    result => result?,
                }
            }
            result => result?,
        };
        if is_still(path, &file)? {
            make_private(&file)?;
            return Ok(file);
        }
    }
}

/// A new file of ours in the place of whatever was there.
pub(super) fn create(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    private(options.write(true).create_new(true));
    options.open(path)
}

#[cfg(unix)]
fn is_still(part: &Path, file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let ours = file.metadata()?;
    let named = fs::symlink_metadata(part);
    Ok(named.is_ok_and(|named| (named.dev(), named.ino()) == (ours.dev(), ours.ino())))
}

/// The standard library tells no file from another here; a part that became a dump has left its name at least.
#[cfg(not(unix))]
fn is_still(part: &Path, _file: &File) -> io::Result<bool> {
    part.try_exists()
}

#[cfg(unix)]
pub(super) fn private(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
}

#[cfg(not(unix))]
pub(super) fn private(_options: &mut OpenOptions) {}

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

impl Drop for DumpFile {
    /// Where nothing came, an empty file helps nobody; unless it comes still, to who asks for it again.
    fn drop(&mut self) {
        if !is_begun(&self.part) && is_still(&self.part, &self.file).unwrap_or(false) {
            remove_empty(&self.part);
        }
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
    let size =
        fs::symlink_metadata(path).map_or_else(|error| error.to_string(), |file| format!("{} bytes", file.len()));
    Failure::new(Id::FileExists, format!("{} exists", path.display()))
        .evidence(size)
        .remedy("give another FILE, or --force to replace it")
}

pub(super) fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let remedy = match error.kind() {
        ErrorKind::NotFound => "make its directory first, or give another FILE",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "give a FILE in a directory that you may write to"
        }
        _ => "give a FILE on a disk with room for the dump, or `-` to stream it to stdout",
    };
    Failure::new(Id::CannotWrite, format!("cannot write {}", path.display())).evidence(error.to_string()).remedy(remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    fn open(path: &Path) -> DumpFile {
        DumpFile::open(path, false).unwrap_or_else(|failure| panic!("{failure}"))
    }

    #[cfg(unix)]
    #[test]
    fn a_part_that_became_a_whole_dump_while_its_lock_was_waited_for_is_another_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let part = directory.path().join("x.hprof.part");
        fs::write(&part, "dump").expect("a part");
        let late = File::open(&part).expect("the part");
        assert!(is_still(&part, &late).expect("metadata"));
        fs::rename(&part, directory.path().join("x.hprof")).expect("its name");
        assert!(!is_still(&part, &late).expect("metadata"));
        fs::write(&part, "another").expect("a new part");
        assert!(!is_still(&part, &late).expect("metadata"));
    }

    #[test]
    fn a_part_in_which_nothing_arrived_is_removed_with_all_that_is_beside_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x.hprof");
        let file = open(&path);
        drop(file.open_beside(P0).expect("room"));
        drop(file);
        assert_eq!(fs::read_dir(&directory).expect("the directory").count(), 0);
        // The second stream comes before most of the first.
        let file = open(&path);
        fs::write(file.beside(P0), "heap").expect("room");
        drop(file);
        assert_eq!(fs::read_dir(&directory).expect("the directory").count(), 2);
    }

    #[test]
    fn what_is_there_of_an_earlier_dump_is_not_touched_before_that_is_wanted() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x.hprof");
        fs::write(with(&path, ".part"), "dump").expect("a part");
        drop(open(&path));
        assert_eq!(fs::read(with(&path, ".part")).expect("the part"), b"dump");
    }

    #[test]
    fn a_name_that_is_taken_is_refused_before_and_after_the_transfer() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x.hprof");
        let file = open(&path);
        fs::write(file.part(), "dump").expect("the part");
        fs::write(&path, "meanwhile").expect("another file");
        assert_eq!(file.name(None).expect_err("taken").exit(), Exit::Usage);
        drop(file);
        assert_eq!(DumpFile::open(&path, false).err().expect("taken").exit(), Exit::Usage);
        assert_eq!(fs::read(&path).expect("the file"), b"meanwhile");
        DumpFile::open(&path, true).and_then(|file| file.name(None)).expect("--force");
        assert_eq!(fs::read(&path).expect("the file"), b"dump");
    }

    #[test]
    fn what_cannot_become_a_file_is_refused_before_anything_is_dumped() {
        let directory = tempfile::tempdir().expect("a directory");
        let device = Path::new(if cfg!(unix) { "/dev/null" } else { "" });
        for path in [directory.path(), &directory.path().join(".."), Path::new(""), device] {
            let failure = DumpFile::open(path, true).err().expect("no file");
            assert_eq!(failure.exit(), Exit::Usage, "{failure}");
        }
        assert_eq!(fs::read_dir(&directory).expect("the directory").count(), 0);
    }

    #[test]
    fn the_remedy_fits_what_keeps_the_file_from_being_written() {
        let directory = tempfile::tempdir().expect("a directory");
        let failure = DumpFile::open(&directory.path().join("no/x.hprof"), false).err().expect("no directory");
        assert!(failure.remedy.starts_with("make its directory first"), "{failure}");
        let full = unwritable(Path::new("x"), &ErrorKind::StorageFull.into());
        assert!(full.remedy.contains("with room"), "{full}");
    }

    #[test]
    fn two_dumps_to_one_file_at_once_are_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x.hprof");
        let _first = open(&path);
        assert_eq!(DumpFile::open(&path, false).err().expect("busy").exit(), Exit::Busy);
    }

    #[cfg(unix)]
    #[test]
    fn a_dump_is_for_its_owner_alone_and_never_written_through_a_link() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x.hprof");
        fs::write(with(&path, ".part"), "left by somebody's other rules").expect("a part");
        open(&path).name(None).expect("free");
        assert_eq!(fs::metadata(&path).expect("the dump").permissions().mode() & 0o777, 0o600);

        let aim = directory.path().join("aim");
        fs::write(&aim, "precious").expect("a file");
        let linked = directory.path().join("y.hprof");
        symlink(&aim, directory.path().join("y.hprof.part")).expect("a link");
        assert!(DumpFile::open(&linked, false).is_err());
        assert_eq!(fs::read(&aim).expect("the file"), b"precious");
    }
}

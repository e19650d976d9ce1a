//! The file of a heap dump: `FILE.part` until the dump is whole, then FILE. Ours alone: locked, for its owner's eyes, and
//! never what a link points at.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::dump::Target;
use crate::error::{Exit, Failure};

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
    /// A usage failure where `path` is taken or no name of a file, 9 where another dump is being written to it, 1 where it cannot
    /// be written.
    pub(crate) fn create(path: &Path, overwrite: bool) -> Result<DumpFile, Failure> {
        // A rename would put the dump in a device's place.
        if path.file_name().is_none() || fs::metadata(path).is_ok_and(|there| !there.is_file()) {
            return Err(Failure::usage(format!("\"{}\" cannot be the name of a file", path.display()))
                .evidence("it is a directory, a device, or nothing")
                .remedy("give another FILE, `-` for stdout, or none for POD-CONTAINER-UTC.hprof here"));
        }
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

/// The standard library tells no file from another here; a part that became a dump has left its name at least.
#[cfg(not(unix))]
fn is_still(part: &Path, _file: &File) -> io::Result<bool> {
    part.try_exists()
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
}

#[cfg(not(unix))]
fn private(_options: &mut OpenOptions) {}

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
    let remedy = match error.kind() {
        ErrorKind::NotFound => "make its directory first, or give another FILE",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "give a FILE in a directory that you may write to"
        }
        _ => "give a FILE on a disk with room for the dump, or `-` to stream it to stdout",
    };
    Failure::new(Exit::Other, format!("cannot write {}", path.display())).evidence(error.to_string()).remedy(remedy)
}

#[cfg(test)]
mod tests {
    use super::super::Sink;
    use super::super::dump::{Dump, Whole};
    use super::*;
    use jattach_protocol::hprof::Summary;

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
    fn what_cannot_become_a_file_is_refused_before_anything_is_dumped() {
        let directory = tempfile::tempdir().expect("a directory");
        let device = Path::new(if cfg!(unix) { "/dev/null" } else { "" });
        for path in [directory.path(), &directory.path().join(".."), Path::new(""), device] {
            let failure = DumpFile::create(path, true).err().expect("no file");
            assert_eq!(failure.exit, Exit::Usage, "{failure}");
        }
        assert_eq!(fs::read_dir(&directory).expect("the directory").count(), 0);
    }

    #[test]
    fn the_remedy_fits_what_keeps_the_file_from_being_written() {
        let directory = tempfile::tempdir().expect("a directory");
        let failure = DumpFile::create(&directory.path().join("no/x.hprof"), false).err().expect("no directory");
        assert!(failure.remedy.starts_with("make its directory first"), "{failure}");
        let full = unwritable(Path::new("x"), &ErrorKind::StorageFull.into());
        assert!(full.remedy.contains("with room"), "{full}");
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

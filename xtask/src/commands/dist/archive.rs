//! The archives that people download: the same files give the same bytes.

use std::io::{Cursor, Write};

use anyhow::{Context, Result, anyhow};
use flate2::{Compression, GzBuilder};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tar::{Builder, Header};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// A file at the top of an archive.
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) executable: bool,
}

impl Entry<'_> {
    fn mode(&self) -> u32 {
        if self.executable { 0o755 } else { 0o644 }
    }
}

/// A gzipped tar whose files belong to root and are as old as the commit: `time` is in seconds since 1970.
pub(super) fn tar_gz(entries: &[Entry<'_>], time: u64) -> Result<Vec<u8>> {
    // The compressed stream itself carries neither name nor time.
    let mut tar = Builder::new(GzBuilder::new().write(Vec::new(), Compression::best()));
    for entry in sorted(entries) {
        let mut header = Header::new_ustar();
        header.set_mtime(time);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mode(entry.mode());
        header.set_size(entry.bytes.len() as u64);
        tar.append_data(&mut header, entry.name, entry.bytes)
            .with_context(|| format!("failed to pack {}", entry.name))?;
    }
    Ok(tar.into_inner()?.finish()?)
}

/// A zip; `time` as for [`tar_gz`].
pub(super) fn zip(entries: &[Entry<'_>], time: u64) -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for entry in sorted(entries) {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(9))
            .last_modified_time(dos_time(time)?)
            .unix_permissions(entry.mode());
        zip.start_file(entry.name, options)
            .map_err(anyhow::Error::from)
            .and_then(|()| Ok(zip.write_all(entry.bytes)?))
            .with_context(|| format!("failed to pack {}", entry.name))?;
    }
    Ok(zip.finish()?.into_inner())
}

fn sorted<'a, 'b>(entries: &'a [Entry<'b>]) -> Vec<&'a Entry<'b>> {
    let mut sorted: Vec<_> = entries.iter().collect();
    sorted.sort_by_key(|entry| entry.name);
    sorted
}

/// A zip knows no zones: it is UTC here, whatever the machine's.
fn dos_time(seconds: u64) -> Result<DateTime> {
    let time = Timestamp::from_second(i64::try_from(seconds)?)?.to_zoned(TimeZone::UTC).datetime();
    let [month, day, hour, minute, second] =
        [time.month(), time.day(), time.hour(), time.minute(), time.second()].map(i8::unsigned_abs);
    DateTime::from_date_and_time(time.year().unsigned_abs(), month, day, hour, minute, second)
        .map_err(|_| anyhow!("no zip can be that old: {time}"))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    const TIME: u64 = 1_700_000_000;
    const FILES: [Entry<'_>; 2] = [
        Entry { name: "kubectl-jattach", bytes: b"program", executable: true },
        Entry { name: "LICENSE", bytes: b"licence", executable: false },
    ];

    #[test]
    fn a_tar_holds_its_files_in_order_as_root_s_and_as_old_as_the_commit() {
        let packed = tar_gz(&FILES, TIME).expect("small");
        let mut tar = tar::Archive::new(GzDecoder::new(packed.as_slice()));
        let found = tar.entries().expect("a tar").map(|entry| {
            let mut entry = entry.expect("an entry");
            let mut text = String::new();
            entry.read_to_string(&mut text).expect("in memory");
            let header = entry.header();
            let facts = (header.mode(), header.uid(), header.gid(), header.mtime());
            let facts = [facts.0.map(u64::from), facts.1, facts.2, facts.3].map(|fact| fact.expect("a number"));
            (entry.path().expect("a path").display().to_string(), text, facts)
        });
        let file = |name: &str, text: &str, mode| (name.to_owned(), text.to_owned(), [mode, 0, 0, TIME]);
        assert_eq!(
            found.collect::<Vec<_>>(),
            [file("LICENSE", "licence", 0o644), file("kubectl-jattach", "program", 0o755)]
        );
    }

    #[test]
    fn a_zip_holds_its_files_in_order_and_as_old_as_the_commit() {
        let packed = zip(&FILES, TIME).expect("small");
        let mut zip = ::zip::ZipArchive::new(Cursor::new(packed)).expect("a zip");
        let mut found = Vec::new();
        for place in 0..zip.len() {
            let mut file = zip.by_index(place).expect("an entry");
            let mut text = String::new();
            file.read_to_string(&mut text).expect("in memory");
            let time = file.last_modified().expect("a time").to_string();
            found.push((
                file.name().expect("a name").into_owned(),
                text,
                file.unix_mode().map(|mode| mode & 0o777),
                time,
            ));
        }
        let file = |name: &str, text: &str, mode| {
            (name.to_owned(), text.to_owned(), Some(mode), "2023-11-14 22:13:20".to_owned())
        };
        assert_eq!(found, [file("LICENSE", "licence", 0o644), file("kubectl-jattach", "program", 0o755)]);
    }

    #[test]
    fn the_order_in_which_files_are_named_does_not_matter() {
        let [one, other] = FILES;
        let turned = [other, one];
        assert_eq!(tar_gz(&FILES, TIME).expect("small"), tar_gz(&turned, TIME).expect("small"));
        assert_eq!(zip(&FILES, TIME).expect("small"), zip(&turned, TIME).expect("small"));
    }
}

//! HotSpot's performance data, `/tmp/hsperfdata_USER/PID`: names and values that the JVM publishes about itself.
//!
//! The file is absent with -XX:-UsePerfData, without a writable /tmp, and for a user without a name: nothing may depend on
//! it. And it is the target's: every offset in it is a claim.

use std::os::fd::AsFd;

use nix::fcntl::OFlag;
use nix::sys::stat::FileStat;

use crate::process::{Libraries, Status, Target, names_in, read_limited};

/// HotSpot writes 32 KiB; -XX:PerfDataMemorySize may ask for more.
const MAX_FILE: usize = 1 << 20;

/// How many entries of the target's /tmp are looked at.
const MAX_ENTRIES: usize = 4096;

/// Header: magic, byte order, major, minor, accessible, i32 used, i32 overflow, i64 time, i32 first entry, i32 count.
const MAGIC: [u8; 4] = [0xca, 0xfe, 0xc0, 0xc0];
const BYTE_ORDER: usize = 4;
const MAJOR: usize = 5;
const FIRST_ENTRY: usize = 24;
const COUNT: usize = 28;

/// Entry: i32 length, i32 name offset, i32 vector length, four bytes of type, i32 data offset; offsets from the entry.
const NAME_OFFSET: usize = 4;
const VECTOR_LENGTH: usize = 8;
const DATA_OFFSET: usize = 16;

/// A copy of the file, taken at one moment. The JVM goes on writing into it.
pub(crate) struct PerfData {
    bytes: Vec<u8>,
    little_endian: bool,
}

/// The data of a JVM, if it publishes any that can be read. In a /tmp that containers share, another JVM may have the same
/// pid in its own namespace, and the same user: only the file that the target itself has mapped is about this one.
pub(crate) fn read(target: &Target<'_>, status: &Status, libraries: &Libraries) -> Option<PerfData> {
    let mapped = &libraries.performance_data;
    if mapped.is_empty() {
        return None;
    }
    let tmp = target.open_in_root(b"/tmp", OFlag::O_RDONLY | OFlag::O_DIRECTORY).ok()?;
    let pid = status.inner_pid().to_string();
    for name in names_in(tmp.as_fd(), MAX_ENTRIES) {
        if name.starts_with(b"hsperfdata_") {
            let path = [b"/tmp/", name.as_slice(), b"/", pid.as_bytes()].concat();
            let is_its_own = |seen: &FileStat| seen.st_uid == status.uid.effective && mapped.contains(&seen.st_ino);
            let file = target.open_file_in_root(&path).ok().filter(|(_, seen)| is_its_own(seen));
            let data = file.and_then(|(file, _)| read_limited(file, MAX_FILE).ok()).and_then(PerfData::new);
            if data.is_some() {
                return data;
            }
        }
    }
    None
}

/// The bytes in use in the target's heap, as it publishes them; 0 where it does not.
pub(crate) fn heap_used(target: &Target<'_>, status: &Status) -> u64 {
    let data = target.libraries().ok().and_then(|libraries| read(target, status, &libraries));
    data.map_or(0, |data| data.heap_used())
}

impl PerfData {
    fn new(bytes: Vec<u8>) -> Option<PerfData> {
        let known = bytes.get(..MAGIC.len())? == MAGIC && *bytes.get(MAJOR)? == 2;
        let little_endian = *bytes.get(BYTE_ORDER)? == 1;
        known.then_some(PerfData { bytes, little_endian })
    }

    /// The value of a string, without what follows its NUL.
    pub(crate) fn string(&self, name: &str) -> Option<&[u8]> {
        let (_, size, data) = self.entries().find(|(known, ..)| *known == name.as_bytes())?;
        (size > 0).then(|| until_nul(&data[..size.min(data.len())]))
    }

    /// The sum over all spaces of all generations, as the JVM last counted them.
    fn heap_used(&self) -> u64 {
        let of_space = |name: &[u8]| name.starts_with(b"sun.gc.generation.") && name.ends_with(b".used");
        let numbers = self.entries().filter(|(name, size, _)| *size == 0 && of_space(name));
        numbers.filter_map(|(.., data)| self.long(data)).fold(0, u64::saturating_add)
    }

    /// Name, length (0 for a single number) and data of each entry, up to one that makes no sense.
    fn entries(&self) -> impl Iterator<Item = (&[u8], usize, &[u8])> {
        let mut next = self.number(FIRST_ENTRY);
        (0..self.number(COUNT).unwrap_or(0)).map_while(move |_| {
            let entry = next?;
            let length = self.number(entry)?;
            let end = entry.checked_add(length).filter(|end| *end <= self.bytes.len() && length > 0)?;
            next = Some(end);
            let name = until_nul(self.within(entry, NAME_OFFSET, end)?);
            Some((name, self.number(entry + VECTOR_LENGTH)?, self.within(entry, DATA_OFFSET, end)?))
        })
    }

    /// The i64 there, if it is not negative.
    fn long(&self, data: &[u8]) -> Option<u64> {
        let bytes = *data.first_chunk()?;
        let number = if self.little_endian { i64::from_le_bytes(bytes) } else { i64::from_be_bytes(bytes) };
        u64::try_from(number).ok()
    }

    /// Whether the JVM says that it does not take attach requests (-XX:+DisableAttachMechanism): the first digit of its
    /// capabilities (attachListener.hpp, services/management).
    pub(crate) fn refuses_attach(&self) -> bool {
        self.string("sun.rt.jvmCapabilities").is_some_and(|digits| digits.first() == Some(&b'0'))
    }

    /// From where the offset at `entry + field` points, to `end`.
    fn within(&self, entry: usize, field: usize, end: usize) -> Option<&[u8]> {
        let start = entry.checked_add(self.number(entry.checked_add(field)?)?)?;
        self.bytes.get(start..end)
    }

    /// The i32 there, if it is not negative.
    fn number(&self, offset: usize) -> Option<usize> {
        let bytes: [u8; 4] = self.bytes.get(offset..offset.checked_add(4)?)?.try_into().ok()?;
        let number = if self.little_endian { i32::from_le_bytes(bytes) } else { i32::from_be_bytes(bytes) };
        usize::try_from(number).ok()
    }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A file with these strings, as HotSpot lays it out.
#[cfg(test)]
pub(crate) fn fixture(strings: &[(&str, &str)]) -> Vec<u8> {
    let word = |number: usize| u32::try_from(number).expect("small").to_le_bytes();
    let mut bytes = [&MAGIC[..], &[1, 2, 0, 1], &[0; 16], &word(32), &word(strings.len())].concat();
    for (name, value) in strings {
        let data = 20 + name.len() + 1;
        let length = (data + value.len() + 1).next_multiple_of(8);
        let mut entry = [word(length), word(20), word(value.len() + 1), *b"B\x01\x05\x01", word(data)].concat();
        entry.extend([name.as_bytes(), b"\0", value.as_bytes()].concat());
        entry.resize(length, 0);
        bytes.extend(entry);
    }
    bytes
}

/// Has the process publish these data: in a file of its /tmp, which it has mapped.
#[cfg(test)]
pub(crate) fn publish(fake: &crate::sys::fake::Fake, data: &[u8]) {
    use std::fs;
    use std::os::unix::fs::MetadataExt;
    let path = fake.path("proc/root/tmp/hsperfdata_app/7");
    fs::create_dir_all(path.with_file_name("")).expect("created");
    fs::write(&path, data).expect("written");
    let inode = fs::metadata(path).expect("its inode").ino();
    let maps = fs::read_to_string(fake.path("proc/maps")).expect("a map");
    fake.write("proc/maps", &format!("{maps}1-2 rw-s 00000000 00:01 {inode} /tmp/hsperfdata_app/7\n"));
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::sys::fake::{Fake, PID};

    fn sample() -> Vec<u8> {
        fixture(&[("sun.rt.jvmCapabilities", "1100"), ("sun.rt.javaCommand", "Main a b"), ("java.empty", "")])
    }

    /// The data with one more entry, of a number.
    fn with_number(mut data: Vec<u8>, name: &str, number: i64) -> Vec<u8> {
        let word = |number: usize| u32::try_from(number).expect("small").to_le_bytes();
        let start = (20 + name.len() + 1).next_multiple_of(8);
        let mut entry = [word(start + 8), word(20), word(0), *b"J\x01\x02\x03", word(start)].concat();
        entry.extend(name.as_bytes());
        entry.resize(start, 0);
        entry.extend(number.to_le_bytes());
        data.extend(entry);
        data[COUNT] += 1;
        data
    }

    #[test]
    fn the_heap_in_use_is_the_sum_of_its_spaces() {
        let mut data = sample();
        for (name, number) in [
            ("sun.gc.generation.0.space.0.used", 1000),
            ("sun.gc.generation.0.space.0.capacity", 9999),
            ("sun.gc.generation.1.space.0.used", 500),
            ("sun.gc.metaspace.used", 9999),
            ("sun.gc.generation.1.space.1.used", -1),
        ] {
            data = with_number(data, name, number);
        }
        let known = PerfData::new(data.clone()).expect("known");
        assert_eq!(known.heap_used(), 1500);
        assert_eq!(known.string("sun.rt.javaCommand"), Some(&b"Main a b"[..]));
        // A string of that name is no number.
        let lie = PerfData::new(fixture(&[("sun.gc.generation.0.space.0.used", "12345678")])).expect("known");
        assert_eq!(lie.heap_used(), 0);
        for length in 0..data.len() {
            let cut = PerfData::new(data[..length].to_vec());
            assert!(cut.is_none_or(|cut| cut.heap_used() <= 1500), "at {length}");
        }
    }

    #[test]
    fn strings_are_found_by_their_names() {
        let data = PerfData::new(sample()).expect("known");
        assert_eq!(data.string("sun.rt.javaCommand"), Some(b"Main a b".as_slice()));
        assert_eq!(data.string("java.empty"), Some(b"".as_slice()));
        assert_eq!(data.string("java.absent"), None);
        assert!(!data.refuses_attach());
    }

    fn of(target: &Target<'_>) -> Option<PerfData> {
        read(target, &target.status().expect("its status"), &target.libraries().expect("its map"))
    }

    #[test]
    fn the_data_of_another_users_jvm_with_the_same_pid_are_not_this_ones() {
        let fake = Fake::jvm();
        publish(&fake, &sample());
        let target = Target::open(&fake, PID).expect("opened");
        assert!(of(&target).is_some());
        fake.set_status(&[("Uid", "4242\t4242\t4242\t4242")]);
        assert!(of(&target).is_none());
    }

    #[test]
    fn a_file_that_the_target_has_not_mapped_is_another_jvms_with_the_same_pid() {
        let fake = Fake::jvm();
        let maps = fs::read_to_string(fake.path("proc/maps")).expect("a map");
        publish(&fake, &sample());
        fake.write("proc/maps", &maps);
        let target = Target::open(&fake, PID).expect("opened");
        assert!(of(&target).is_none());
        publish(&fake, &sample());
        assert!(of(&target).is_some(), "a JVM that starts maps its own later");
        let target = Target::open(&fake, PID).expect("opened");
        assert!(target.libraries().is_ok());
        fs::remove_file(fake.path("proc/maps")).expect("removed");
        assert!(of(&target).is_some(), "seen before the map was closed");
    }

    #[test]
    fn no_byte_that_the_target_may_write_leads_out_of_the_file() {
        let good = sample();
        for length in 0..good.len() {
            let cut = PerfData::new(good[..length].to_vec());
            let _ = cut.map(|data| data.string("java.absent").map(<[u8]>::len));
        }
        for position in 0..good.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = good.clone();
                bytes[position] = value;
                let _ = PerfData::new(bytes).map(|data| data.string("java.absent").map(<[u8]>::len));
            }
        }
    }

    #[test]
    fn an_entry_without_length_ends_the_search() {
        let mut bytes = sample();
        bytes[32..36].fill(0);
        bytes[28..32].copy_from_slice(&i32::MAX.to_le_bytes());
        assert_eq!(PerfData::new(bytes).expect("known").string("sun.rt.javaCommand"), None);
    }
}

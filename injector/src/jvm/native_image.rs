//! GraalVM native images: Java programs without a JVM. They are known by the heap that they bring along, a section of the
//! executable (SectionName.SVM_HEAP of GraalVM's object files), and are never signalled.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use jattach_protocol::{Code, Failure};
use nix::fcntl::OFlag;

use crate::process::Target;

/// The name of the section.
const HEAP: &[u8] = b".svm_heap\0";

/// The longest table that is looked at; a native image has some thirty sections of 64 bytes.
const MAX_TABLE: usize = 1 << 16;

/// Whether the process executes one. What stands in the file is the target's word.
pub(super) fn is_run_by(target: &Target<'_>) -> bool {
    let executable = target.open_entry(b"exe", OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY);
    executable.is_ok_and(|file| has_heap(&file.into()).unwrap_or(false))
}

/// Why it gets no signal, and what can be done instead.
pub(super) fn refusal(pid: u32) -> Failure {
    Failure::new(Code::NotAttachable, format!("process {pid} is a GraalVM native image, and does not listen"))
        .evidence(format!("section .svm_heap in /proc/{pid}/exe, no libjvm.so; SIGQUIT, which would ask, may end it"))
        .remedy(
            "one built with --enable-monitoring=jcmd,heapdump listens once the jcmd of a JDK has attached, and takes `jcmd` \
             then (`jcmd help` lists what); threaddump, dumpheap and agents are a JVM's",
        )
}

/// Looks for the section in an ELF file of 64 bits and little endian, as native images are.
fn has_heap(file: &File) -> io::Result<bool> {
    let mut header = [0; 64];
    file.read_exact_at(&mut header, 0)?;
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return Ok(false);
    }
    // e_shoff, e_shentsize, e_shnum and e_shstrndx of Elf64_Ehdr (elf(5)).
    let (offset, size) = (number(&header, 0x28, 8), number(&header, 0x3a, 2));
    let (count, names) = (number(&header, 0x3c, 2), number(&header, 0x3e, 2));
    let entry = 64;
    let length = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(entry);
    if size != entry as u64 || names >= count || length > MAX_TABLE {
        return Ok(false);
    }
    let mut table = vec![0; length];
    file.read_exact_at(&mut table, offset)?;
    let mut sections = table.chunks_exact(entry);
    let Some(of_names) = sections.clone().nth(usize::try_from(names).unwrap_or(usize::MAX)) else {
        return Ok(false);
    };
    // sh_offset and sh_size of Elf64_Shdr; sh_name is where a name begins.
    let length = usize::try_from(number(of_names, 0x20, 8)).unwrap_or(usize::MAX).min(MAX_TABLE);
    let mut strings = vec![0; length];
    file.read_exact_at(&mut strings, number(of_names, 0x18, 8))?;
    let name = |section: &[u8]| strings.get(usize::try_from(number(section, 0, 4)).unwrap_or(usize::MAX)..);
    Ok(sections.any(|section| name(section).is_some_and(|name| name.starts_with(HEAP))))
}

/// The number of `length` bytes there.
fn number(bytes: &[u8], offset: usize, length: usize) -> u64 {
    bytes[offset..offset + length].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// An executable that consists of its section headers, with sections of these names.
#[cfg(test)]
pub(super) fn fixture(names: &[&str]) -> Vec<u8> {
    let mut strings = b"\0".to_vec();
    let mut table = Vec::new();
    let entry = |name: usize, offset: usize, size: usize| {
        let mut entry = [0; 64];
        entry[..4].copy_from_slice(&u32::try_from(name).expect("small").to_le_bytes());
        entry[0x18..0x20].copy_from_slice(&(offset as u64).to_le_bytes());
        entry[0x20..0x28].copy_from_slice(&(size as u64).to_le_bytes());
        entry
    };
    for name in names {
        table.extend(entry(strings.len(), 0, 0));
        strings.extend_from_slice(name.as_bytes());
        strings.push(0);
    }
    table.extend(entry(0, 64, strings.len()));
    let mut header = vec![0; 64];
    header[..6].copy_from_slice(b"\x7fELF\x02\x01");
    header[0x28..0x30].copy_from_slice(&(64 + strings.len() as u64).to_le_bytes());
    header[0x3a] = 64;
    header[0x3c] = u8::try_from(names.len() + 1).expect("few");
    header[0x3e] = u8::try_from(names.len()).expect("few");
    [header, strings, table].concat()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn has(bytes: &[u8]) -> bool {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        has_heap(&file).unwrap_or(false)
    }

    #[test]
    fn a_native_image_is_known_by_its_heap() {
        assert!(has(&fixture(&[".text", ".svm_heap", ".data"])));
        assert!(!has(&fixture(&[".text", ".svm_heaps", "x.svm_heap"])));
        assert!(!has(&fixture(&[])));
        assert!(!has(b"#!/bin/sh\n"));
    }

    #[test]
    fn a_program_that_was_really_linked_is_read_to_its_end_and_is_none() {
        let own = File::open("/proc/self/exe").expect("ourselves");
        assert!(matches!(has_heap(&own), Ok(false)));
    }

    #[test]
    fn no_byte_of_an_executable_leads_out_of_it_or_takes_much_memory() {
        let good = fixture(&[".svm_heap"]);
        for length in 0..good.len() {
            has(&good[..length]);
        }
        for position in 0..good.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = good.clone();
                bytes[position] = value;
                has(&bytes);
            }
        }
    }
}

//! The injectors that this build carries (`build.rs`), each as one static program.

use sha2::{Digest, Sha256};

/// What `uname -m` says, and the program for it, compressed by zstd.
const INJECTORS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/injectors.rs"));

/// A program, ready to be written somewhere.
pub(super) struct Program {
    bytes: Vec<u8>,
    /// SHA-256, as `sha256sum` writes it.
    hash: String,
}

impl Program {
    pub(super) fn new(bytes: Vec<u8>) -> Program {
        let hash = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Program { bytes, hash }
    }

    /// Whether it has come whole is told by these, a length in bytes and a hash.
    pub(super) fn announcement(&self) -> String {
        format!("{} {}\n", self.bytes.len(), self.hash)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Whether there are any.
pub(crate) fn any() -> bool {
    !INJECTORS.is_empty()
}

/// All of them: what `uname -m` says, and the program.
///
/// # Errors
/// One that does not unpack, which is a mistake of this build.
pub(crate) fn all() -> std::io::Result<Vec<(&'static str, Vec<u8>)>> {
    INJECTORS.iter().map(|(machine, packed)| Ok((*machine, zstd::decode_all(*packed)?))).collect()
}

/// The one for such a processor.
pub(super) fn program(machine: &str) -> Option<Program> {
    let (_, packed) = INJECTORS.iter().find(|(known, _)| *known == machine)?;
    zstd::decode_all(*packed).ok().map(Program::new)
}

/// The processors that there are programs for.
pub(super) fn machines() -> String {
    INJECTORS.iter().map(|(machine, _)| *machine).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_carried_are_programs() {
        for (machine, _) in INJECTORS {
            let program = program(machine).expect("it unpacks");
            assert!(program.bytes().starts_with(b"\x7fELF"), "{machine}");
        }
    }

    #[test]
    fn a_program_is_announced_by_its_length_and_the_hash_that_sha256sum_gives() {
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Program::new(b"abc".to_vec()).announcement(), format!("3 {hash}\n"));
    }
}

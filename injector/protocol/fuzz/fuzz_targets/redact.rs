//! Whatever the bytes, and wherever they are cut, redaction ends with the same verdict and the same bytes; it changes
//! nothing but into zeroes, and nothing more when it is done again. What is refused is gone.
#![no_main]

use jattach_protocol::hprof::redact::{Error, Redactor};
use jattach_protocol::hprof::{IdSize, Lengths, Reader, Summary};
use jattach_protocol::message::Redact;
use libfuzzer_sys::fuzz_target;

const EVERY: [Redact; 4] = [Redact::Nothing, Redact::Text, Redact::Arrays, Redact::All];

fn redactor(how: u8, what: Redact) -> Redactor {
    match how & 3 {
        0 => Redactor::part(what, IdSize::Four),
        1 => Redactor::part(what, IdSize::Eight),
        2 => Redactor::file(what, Lengths::Pending),
        _ => Redactor::main(what),
    }
}

fn redacted(mut redactor: Redactor, bytes: &[u8], portion: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = bytes.to_vec();
    for portion in bytes.chunks_mut(portion) {
        if let Err(error) = redactor.redact(portion) {
            assert!(portion.iter().all(|byte| *byte == 0));
            return Err(error);
        }
    }
    Ok(bytes)
}

fn summary(bytes: &[u8]) -> Result<Summary, jattach_protocol::hprof::Error> {
    let mut reader = Reader::with((), Lengths::Pending);
    // What a push says is said by finish() again.
    let _ = reader.push(bytes);
    reader.finish()
}

fuzz_target!(|input: &[u8]| {
    let Some(([how, portion], rest)) = input.split_first_chunk() else { return };
    // Most of the search should not go into finding the header.
    let mut dump = match how & 2 {
        0 => Vec::new(),
        _ => [b"JAVA PROFILE 1.0.2\0\0\0\0".as_slice(), &[4 + (how >> 4 & 4)], &[0; 8]].concat(),
    };
    dump.extend_from_slice(rest);
    let what = EVERY[usize::from(how >> 2 & 3)];
    let whole = redacted(redactor(*how, what), &dump, dump.len().max(1));
    let cut = redacted(redactor(*how, what), &dump, usize::from(*portion).max(1));
    assert_eq!(whole, cut);
    let Ok(whole) = whole else { return };
    assert!(whole.iter().zip(&dump).all(|(after, before)| after == before || (*after == 0 && what != Redact::Nothing)));
    assert_eq!(redacted(redactor(*how, what), &whole, 64).as_ref(), Ok(&whole));
    assert_eq!(summary(&whole), summary(&dump));
});

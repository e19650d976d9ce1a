//! A heap dump is called whole when it is, wherever it is cut into portions, and never when it is not.

mod broken;
mod dump;
mod hostile;
mod pair;
mod redact;
mod seen;
mod whole;
mod writers;

use jattach_protocol::hprof::{Error, Lengths, Reader, Summary};

/// The verdict on `bytes` pushed in one portion.
fn verdict(bytes: &[u8]) -> Result<Summary, Error> {
    in_portions(bytes, &[bytes.len().max(1)])
}

/// The verdict on `bytes` pushed in portions of these sizes, again and again.
fn in_portions(mut bytes: &[u8], sizes: &[usize]) -> Result<Summary, Error> {
    let mut reader = Reader::new();
    for size in sizes.iter().cycle() {
        if bytes.is_empty() {
            break;
        }
        let (portion, rest) = bytes.split_at(bytes.len().min(*size));
        if reader.push(portion).is_err() {
            break;
        }
        bytes = rest;
    }
    reader.finish()
}

/// The verdict on a dump that is still being written.
fn pending(bytes: &[u8]) -> Result<Summary, Error> {
    let mut reader = Reader::with((), Lengths::Pending);
    // What a push says is said by finish() again.
    let _ = reader.push(bytes);
    reader.finish()
}

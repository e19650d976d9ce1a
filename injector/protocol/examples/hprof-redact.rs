//! Redacts a heap dump file and says how fast: `cargo run --release --example hprof-redact FILE text|arrays|all [TO]`.

use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use jattach_protocol::hprof::Lengths;
use jattach_protocol::hprof::redact::Redactor;
use jattach_protocol::message::Redact;

const USAGE: &str = "usage: hprof-redact FILE text|arrays|all [TO]";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (path, what, to) = match arguments.as_slice() {
        [path, what] => (path, what, None),
        [path, what, to] => (path, what, Some(to)),
        _ => return Err(USAGE.into()),
    };
    let what = match what.as_str() {
        "text" => Redact::Text,
        "arrays" => Redact::Arrays,
        "all" => Redact::All,
        _ => return Err(USAGE.into()),
    };
    let mut file = File::open(path)?;
    let mut to = to.map(File::create).transpose()?;
    let mut block = vec![0; 1 << 20];
    let mut redactor = Redactor::file(what, Lengths::Final);
    let (mut bytes, mut busy) = (0, Duration::ZERO);
    loop {
        let length = file.read(&mut block)?;
        if length == 0 {
            break;
        }
        // The clock runs for the redactor alone, not for the disk.
        let begin = Instant::now();
        redactor.redact(&mut block[..length])?;
        busy += begin.elapsed();
        bytes += length;
        to.as_mut().map_or(Ok(()), |to| to.write_all(&block[..length]))?;
    }
    let mb = u32::try_from(bytes / 1_000_000)?;
    println!("{mb} MB in {:.3} s: {:.0} MB/s", busy.as_secs_f64(), f64::from(mb) / busy.as_secs_f64());
    Ok(())
}

//! Verifies a heap dump file to its HEAP_DUMP_END and says how fast: `cargo run --release --example hprof-verify FILE`.

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::time::{Duration, Instant};

use jattach_protocol::hprof::Reader;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: hprof-verify FILE")?;
    let mut file = File::open(path)?;
    let mut block = vec![0; 256 << 10];
    let mut reader = Reader::new();
    let mut busy = Duration::ZERO;
    loop {
        let length = file.read(&mut block)?;
        if length == 0 {
            break;
        }
        // The clock runs for the reader alone, not for the disk.
        let begin = Instant::now();
        reader.push(&block[..length])?;
        busy += begin.elapsed();
    }
    let summary = reader.finish()?;
    let mb = u32::try_from(summary.bytes / 1_000_000)?;
    println!("{summary:#?}\n{mb} MB in {:.3} s: {:.0} MB/s", busy.as_secs_f64(), f64::from(mb) / busy.as_secs_f64());
    Ok(())
}

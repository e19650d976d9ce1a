//! Whether this machine has room for a heap of some size, its dumps, and their copies; and how busy it is.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

/// How often a dump lies on the disk at a time: in the pod or its spool, and here; and what others take meanwhile.
const COPIES: u64 = 3;
/// How often a heap lies in memory: once, and what the JVM and everybody else needs.
const HEAPS: u64 = 2;

/// What there is not enough of for a heap of so many MiB.
pub(super) fn lacking(sh: &Shell, folder: &Path, megabytes: u64) -> Result<Option<&'static str>> {
    let heap = megabytes << 20;
    let (size, free) = disk(&cmd!(sh, "df --block-size=1 --output=size,avail {folder}").quiet().read()?)?;
    // Below a fifth the injector takes no more into its spool.
    if free.saturating_sub(size / 5) < heap * COPIES {
        return Ok(Some("disk"));
    }
    let free = available(&fs::read_to_string("/proc/meminfo").context("failed to read /proc/meminfo")?)?;
    Ok((free < heap * HEAPS).then_some("memory"))
}

/// How many programs have wanted a processor in the last minute, on average.
pub(super) fn load() -> Result<String> {
    let text = fs::read_to_string("/proc/loadavg").context("failed to read /proc/loadavg")?;
    Ok(text.split(' ').next().unwrap_or_default().to_owned())
}

/// Size and free space in what df prints: a line of titles, and one of numbers.
fn disk(text: &str) -> Result<(u64, u64)> {
    let parse = || {
        let mut numbers = text.lines().nth(1)?.split_whitespace();
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    };
    parse().with_context(|| format!("df said {text:?}"))
}

/// The memory that programs can get, in bytes.
fn available(meminfo: &str) -> Result<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.map(|kib| kib << 10).context("the kernel does not tell how much memory is available")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_df_and_the_kernel_print_them() {
        assert_eq!(
            disk("   1B-blocks       Avail\n270000000000 67000000000\n").expect("df"),
            (270_000_000_000, 67_000_000_000)
        );
        assert!(disk("df: no such file\n").is_err());
        assert_eq!(available("MemTotal: 9 kB\nMemAvailable:    7 kB\n").expect("meminfo"), 7 << 10);
    }
}

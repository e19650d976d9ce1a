//! What an executable asks of the machine it runs on.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use object::elf::{PT_DYNAMIC, PT_INTERP};
use object::read::elf::{ElfFile64, ProgramHeader};

/// Refuses an executable that needs a dynamic loader or a shared library: a scratch image has neither.
///
/// Debian's musl-gcc with rustc's default PIE makes such a file, and it runs wherever musl is installed: only the
/// program headers tell.
pub(crate) fn assert_static(path: &Path) -> Result<()> {
    let bytes = fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
    let needs = dynamic_segments(&bytes).with_context(|| format!("failed to parse {}", path.display()))?;
    ensure!(needs.is_empty(), "{} is not static: it has {}", path.display(), needs.join(" and "));
    Ok(())
}

fn dynamic_segments(bytes: &[u8]) -> Result<Vec<&'static str>> {
    let file: ElfFile64<'_> = ElfFile64::parse(bytes)?;
    let endian = file.endian();
    let names = file.elf_program_headers().iter().filter_map(|header| match header.p_type(endian) {
        PT_INTERP => Some("an INTERP segment"),
        PT_DYNAMIC => Some("a DYNAMIC segment"),
        _ => None,
    });
    Ok(names.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_executable_is_refused_by_name() {
        let this_test = std::env::current_exe().expect("a test has an executable");
        let error = assert_static(&this_test).expect_err("cargo links tests dynamically");
        assert!(error.to_string().contains("INTERP"), "{error:#}");
    }
}

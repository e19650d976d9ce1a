//! For the tests: what a person sees of a failure, kept in tests/errors under its id.

use std::path::Path;

use snapbox::{Data, assert_data_eq};

use crate::error::Failure;

/// Checks what a person sees against tests/errors/JAT-nnn.CASE.txt; `SNAPSHOTS=overwrite` writes that anew.
#[track_caller]
pub(crate) fn assert_seen(case: &str, failure: &Failure) {
    let text = format!("error[{}]: {failure}\n", failure.id);
    assert!(!text.contains("ErrorResponse") && !text.contains("Failed to parse"), "{text}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../tests/errors/{}.{case}.txt", failure.id));
    assert_data_eq!(text, Data::read_from(&path, None).raw());
}

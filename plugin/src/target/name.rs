//! What may be a name: it becomes a part of the API server's paths, where a slash, a dot or a question mark would lead
//! elsewhere.

use crate::error::{Failure, Result};

/// The longest name of any object, in characters.
const LONGEST: usize = 253;

/// That `name` is one that Kubernetes gives: small letters, digits, `-` and `.`. `what` is what it should name.
///
/// # Errors
/// A usage failure.
pub(crate) fn check(what: &str, name: &str) -> Result<()> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let ends = |name: &str| name.starts_with(['-', '.']) || name.ends_with(['-', '.']);
    if !name.is_empty() && name.len() <= LONGEST && name.chars().all(legal) && !ends(name) {
        return Ok(());
    }
    let remedy = match what {
        "container" => "write it as `kubectl describe` shows it of the pod",
        _ => "write it as `kubectl get` lists it",
    };
    Err(Failure::usage(format!("\"{name}\" cannot be the name of a {what}"))
        .evidence("names have small letters, digits, - and . (these two not at the ends), 253 characters at most")
        .remedy(remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_kubernetes_gives_are_taken() {
        for name in ["x", "api-7d4b9c-x2x4z", "node1.example.com", "0", &"a".repeat(253)] {
            assert!(check("pod", name).is_ok(), "{name}");
        }
    }

    #[test]
    fn what_would_lead_to_another_path_is_no_name() {
        let long = "a".repeat(254);
        for name in
            ["", ".", "..", "x?watch=1", "x#y", "%2e%2e", "a/b", "a\\b", "a b", "X", "é", "x\n", ".x", "x-", &long]
        {
            let failure = check("pod", name).expect_err(name);
            assert_eq!(failure.exit(), crate::error::Exit::Usage, "{name}");
        }
    }
}

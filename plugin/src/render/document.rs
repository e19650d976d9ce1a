//! `-o json` and `-o yaml`. The only module that knows serde_yaml.

use serde::Serialize;

use crate::catalogue::Id;
use crate::error::{Failure, Result};
use crate::options::OutputFormat;

/// The value as a document that ends with a line feed.
///
/// # Errors
/// A value that the format cannot hold, which none of ours is.
pub(crate) fn document(value: &impl Serialize, format: OutputFormat) -> Result<String> {
    match format {
        OutputFormat::Json => serde_json::to_string_pretty(value).map(|text| text + "\n").map_err(|e| e.to_string()),
        OutputFormat::Yaml => serde_yaml::to_string(value).map_err(|error| error.to_string()),
    }
    .map_err(|error| {
        Failure::new(Id::Other, "the output has no such form").evidence(error).remedy("take the other of json and yaml")
    })
}

/// What a document in JSON or YAML holds.
///
/// # Errors
/// The parser's words.
pub(crate) fn read<T: serde::de::DeserializeOwned>(text: &str) -> std::result::Result<T, String> {
    // YAML holds nearly all of JSON, and not the tabs that it may be indented with.
    serde_json::from_str(text).or_else(|_| serde_yaml::from_str(text)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_formats_hold_the_same_and_end_with_a_line_feed() {
        let value = json!({"pid": 1, "main": "com.example.Main: \u{1b}[1m", "jvms": ["a"]});
        let as_json = document(&value, OutputFormat::Json).unwrap();
        let as_yaml = document(&value, OutputFormat::Yaml).unwrap();
        assert!(as_json.ends_with("}\n") && as_yaml.ends_with('\n'));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&as_json).unwrap(), value);
        assert_eq!(serde_yaml::from_str::<serde_json::Value>(&as_yaml).unwrap(), value);
        assert!(!as_json.contains('\u{1b}') && !as_yaml.contains('\u{1b}'), "{as_json}{as_yaml}");
    }
}

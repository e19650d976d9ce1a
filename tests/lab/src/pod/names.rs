//! What names may look like.

use serde_json::json;

use crate::status::Cause;

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
                     start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for \
                     validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
                         '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used \
                         for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

fn is_label(name: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    bytes.first().is_some_and(|first| alphanumeric(*first))
        && bytes.last().is_some_and(|last| alphanumeric(*last))
        && bytes.iter().all(|byte| alphanumeric(*byte) || *byte == b'-')
}

/// A name of one label, at most 63 characters: containers, volumes, namespaces.
pub fn check_label(field: &str, name: &str, causes: &mut Vec<Cause>) {
    if name.is_empty() {
        causes.push(Cause::required(field, ""));
    } else if !is_label(name) {
        causes.push(Cause::invalid(field, &json!(name), LABEL));
    } else if name.len() > 63 {
        causes.push(Cause::invalid(field, &json!(name), "must be no more than 63 characters"));
    }
}

/// A name of dotted labels, at most 253 characters: most objects.
pub fn check_subdomain(field: &str, name: &str, causes: &mut Vec<Cause>) {
    if name.is_empty() {
        causes.push(Cause::required(field, "name or generateName is required"));
    } else if !name.split('.').all(is_label) {
        causes.push(Cause::invalid(field, &json!(name), SUBDOMAIN));
    } else if name.len() > 253 {
        causes.push(Cause::invalid(field, &json!(name), "must be no more than 253 characters"));
    }
}

//! What every object carries: uid, creation time, generated names.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

/// Now, as `metav1.Time` writes it: whole seconds.
pub fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Now, as `metav1.MicroTime` writes it.
pub fn now_micros() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

pub fn uid() -> String {
    Uuid::new_v4().to_string()
}

/// 64 hexadecimal digits, like a container's id.
pub fn container_id() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// `length` characters of the alphabet that generated names are made of: no vowels, no lookalikes.
pub fn suffix(length: usize) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut random = Uuid::new_v4().as_u128();
    let mut text = String::with_capacity(length);
    for _ in 0..length {
        let index = usize::try_from(random % 27).expect("less than 27");
        text.push(char::from(ALPHABET[index]));
        random /= 27;
    }
    text
}

/// Fills in what the server sets on a new object; `generateName` becomes a name.
pub fn stamp(object: &mut Value, namespace: Option<&str>) {
    let metadata = metadata_mut(object);
    if text(metadata, "name").is_empty() {
        let prefix = text(metadata, "generateName").to_owned();
        if !prefix.is_empty() {
            metadata["name"] = format!("{prefix}{}", suffix(5)).into();
        }
    }
    if let Some(namespace) = namespace {
        metadata["namespace"] = namespace.into();
    }
    metadata["uid"] = uid().into();
    metadata["creationTimestamp"] = now().into();
    for server_side in ["resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields"] {
        remove(metadata, server_side);
    }
}

pub fn metadata_mut(object: &mut Value) -> &mut Value {
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    &mut object["metadata"]
}

pub fn remove(object: &mut Value, field: &str) {
    if let Some(map) = object.as_object_mut() {
        map.remove(field);
    }
}

/// The text at `field`, empty where there is none.
pub fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

pub fn name(object: &Value) -> &str {
    text(&object["metadata"], "name")
}

pub fn namespace(object: &Value) -> &str {
    text(&object["metadata"], "namespace")
}

/// The array at `field`, empty where there is none.
pub fn items<'a>(object: &'a Value, field: &str) -> &'a [Value] {
    object[field].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Whether anything of substance stands at `value`: JSON's null, empty containers, empty text, false and zero do not.
pub fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

//! Label and field selectors of lists and watches.

use serde_json::Value;

use crate::{
    meta,
    status::{Answer, Failure},
};

/// What a list or a watch is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct Selector {
    labels: Vec<LabelTerm>,
    fields: Vec<(String, bool, String)>,
}

#[derive(Debug, Clone)]
enum LabelTerm {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

/// Fields that can be selected by; the API server refuses any other too.
const FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "status.phase",
    "spec.nodeName",
    "involvedObject.kind",
    "involvedObject.name",
    "involvedObject.namespace",
    "involvedObject.uid",
    "reason",
    "type",
];

impl Selector {
    pub fn parse(labels: Option<&str>, fields: Option<&str>) -> Answer<Self> {
        Ok(Self {
            labels: parse_labels(labels.unwrap_or_default())?,
            fields: parse_fields(fields.unwrap_or_default())?,
        })
    }

    /// The selector of a workload: `matchLabels` and `matchExpressions`.
    pub fn of_workload(selector: &Value) -> Self {
        let mut labels = Vec::new();
        for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
            labels.push(LabelTerm::In(key.clone(), vec![value.as_str().unwrap_or_default().into()]));
        }
        for term in meta::items(selector, "matchExpressions") {
            let key = meta::text(term, "key").to_owned();
            let values =
                meta::items(term, "values").iter().filter_map(|value| value.as_str().map(str::to_owned)).collect();
            labels.push(match meta::text(term, "operator") {
                "In" => LabelTerm::In(key, values),
                "NotIn" => LabelTerm::NotIn(key, values),
                "Exists" => LabelTerm::Exists(key),
                _ => LabelTerm::Absent(key),
            });
        }
        Self { labels, fields: Vec::new() }
    }

    /// Only the object of this name.
    pub fn narrow_to_name(&mut self, name: &str) {
        self.fields.push(("metadata.name".to_owned(), true, name.to_owned()));
    }

    pub fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.iter().all(|term| match term {
            LabelTerm::In(key, values) => labels[key].as_str().is_some_and(|is| values.iter().any(|value| value == is)),
            LabelTerm::NotIn(key, values) => {
                labels[key].as_str().is_none_or(|is| values.iter().all(|value| value != is))
            }
            LabelTerm::Exists(key) => labels[key].is_string(),
            LabelTerm::Absent(key) => !labels[key].is_string(),
        }) && self.fields.iter().all(|(path, equal, wanted)| (field(object, path) == *wanted) == *equal)
    }
}

fn field<'a>(object: &'a Value, path: &str) -> &'a str {
    path.split('.').fold(object, |value, part| &value[part]).as_str().unwrap_or_default()
}

fn parse_fields(text: &str) -> Answer<Vec<(String, bool, String)>> {
    let mut fields = Vec::new();
    for term in text.split(',').filter(|term| !term.is_empty()) {
        let (path, equal, value) = if let Some((path, value)) = term.split_once("!=") {
            (path, false, value)
        } else if let Some((path, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
            (path, true, value)
        } else {
            return Err(Failure::bad_request(format!("invalid selector: '{text}'; can't understand '{term}'")));
        };
        if !FIELDS.contains(&path) {
            return Err(Failure::bad_request(format!("field label not supported: {path}")));
        }
        fields.push((path.to_owned(), equal, value.to_owned()));
    }
    Ok(fields)
}

fn parse_labels(text: &str) -> Answer<Vec<LabelTerm>> {
    split_outside_parentheses(text).into_iter().filter(|term| !term.trim().is_empty()).map(parse_label).collect()
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let (mut terms, mut depth, mut start) = (Vec::new(), 0usize, 0);
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                terms.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

fn parse_label(term: &str) -> Answer<LabelTerm> {
    let term = term.trim();
    let set = |rest: &str| -> Option<Vec<String>> {
        let inside = rest.trim().strip_prefix('(')?.strip_suffix(')')?;
        Some(inside.split(',').map(|value| value.trim().to_owned()).collect())
    };
    let parsed = if let Some((key, rest)) = term.split_once(" notin ") {
        set(rest).map(|values| LabelTerm::NotIn(key.trim().into(), values))
    } else if let Some((key, rest)) = term.split_once(" in ") {
        set(rest).map(|values| LabelTerm::In(key.trim().into(), values))
    } else if let Some((key, value)) = term.split_once("!=") {
        Some(LabelTerm::NotIn(key.trim().into(), vec![value.trim().into()]))
    } else if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        Some(LabelTerm::In(key.trim().into(), vec![value.trim().into()]))
    } else if let Some(key) = term.strip_prefix('!') {
        Some(LabelTerm::Absent(key.trim().into()))
    } else {
        (!term.contains(char::is_whitespace)).then(|| LabelTerm::Exists(term.into()))
    };
    parsed.ok_or_else(|| Failure::bad_request(format!("unable to parse requirement: {term}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(labels: &str, fields: &str) -> bool {
        let pod = json!({"metadata": {"name": "a", "labels": {"app": "web", "tier": "front"}}});
        Selector::parse(Some(labels), Some(fields)).unwrap().matches(&pod)
    }

    #[test]
    fn label_terms_select_as_the_api_server_does() {
        for selected in ["", "app=web", "app==web,tier!=back", "app in (api, web)", "app notin (api)", "app", "!zone"] {
            assert!(matches(selected, ""), "{selected}");
        }
        for not_selected in ["app=api", "app!=web", "app in (api),tier=front", "zone", "!app"] {
            assert!(!matches(not_selected, ""), "{not_selected}");
        }
    }

    #[test]
    fn a_field_selector_takes_the_name_and_refuses_unknown_fields() {
        assert!(matches("", "metadata.name=a"));
        assert!(!matches("", "metadata.name=b"));
        assert!(matches("", "metadata.name!=b"));
        assert!(Selector::parse(None, Some("spec.colour=red")).is_err());
    }
}

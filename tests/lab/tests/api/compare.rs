//! Compares a recorded answer with the lab's, by the rules.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::rules::{NORMALISED, RULES, Rule};

static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    NORMALISED.iter().map(|(pattern, text, _)| (Regex::new(pattern).expect("a pattern"), *text)).collect()
});

/// The text with everything replaced that differs by nature.
pub(crate) fn normalised(text: &str) -> String {
    PATTERNS.iter().fold(text.to_owned(), |text, (pattern, by)| pattern.replace_all(&text, *by).into_owned())
}

/// All differences between a recording and an answer that no rule allows.
pub(crate) fn differences(recording: &str, recorded: &Value, answered: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(recording, &mut Vec::new(), recorded, answered, &mut found);
    found
}

fn compare(recording: &str, path: &mut Vec<String>, recorded: &Value, answered: &Value, found: &mut Vec<String>) {
    let told = |recorded: &Value, answered: &Value| {
        format!("{recording}: {}: recorded {recorded}, answered {answered}", path.join("."))
    };
    match rule_for(recording, path) {
        Some(Rule::LeftOut) => return,
        Some(Rule::AnyValue) => {
            if std::mem::discriminant(recorded) != std::mem::discriminant(answered) {
                found.push(told(recorded, answered));
            }
            return;
        }
        Some(Rule::SameStart(start)) => {
            let begins = |value: &Value| value.as_str().is_some_and(|text| text.starts_with(start));
            if !begins(recorded) || !begins(answered) {
                found.push(told(recorded, answered));
            }
            return;
        }
        None => {}
    }
    match (recorded, answered) {
        (Value::Object(before), Value::Object(now)) => {
            let mut fields: Vec<&String> = before.keys().chain(now.keys()).collect();
            fields.sort();
            fields.dedup();
            for field in fields {
                step(recording, path, field, before.get(field), now.get(field), found);
            }
        }
        (Value::Array(before), Value::Array(now)) => {
            for index in 0..before.len().max(now.len()) {
                step(recording, path, &index.to_string(), before.get(index), now.get(index), found);
            }
        }
        (Value::String(before), Value::String(now)) if normalised(before) == normalised(now) => {}
        _ if recorded == answered => {}
        _ => found.push(told(recorded, answered)),
    }
}

/// A member that is absent on one side is a difference unless a rule leaves it out.
fn step(
    recording: &str,
    path: &mut Vec<String>,
    name: &str,
    recorded: Option<&Value>,
    answered: Option<&Value>,
    found: &mut Vec<String>,
) {
    path.push(name.to_owned());
    match (recorded, answered) {
        (Some(recorded), Some(answered)) => compare(recording, path, recorded, answered, found),
        (recorded, answered) if !matches!(rule_for(recording, path), Some(Rule::LeftOut)) => {
            let text = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
            found.push(format!(
                "{recording}: {}: recorded {}, answered {}",
                path.join("."),
                text(recorded),
                text(answered)
            ));
        }
        _ => {}
    }
    path.pop();
}

/// Each rule with its recording and its path as expressions.
static GLOBS: LazyLock<Vec<(Regex, Regex, Rule)>> =
    LazyLock::new(|| RULES.iter().map(|(recording, path, rule, _)| (glob(recording), glob(path), *rule)).collect());

fn rule_for(recording: &str, path: &[String]) -> Option<Rule> {
    let path = path.join(".");
    let holds = |(of, pattern, _): &&(Regex, Regex, Rule)| of.is_match(recording) && pattern.is_match(&path);
    GLOBS.iter().find(holds).map(|(_, _, rule)| *rule)
}

/// `*` stands for anything within a step, `**` for any steps.
fn glob(pattern: &str) -> Regex {
    let expression = regex::escape(pattern).replace(r"\*\*\.", r"(.*\.)?").replace(r"\*", "[^.]*");
    Regex::new(&format!("^{expression}$")).expect("an escaped pattern")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_differs_by_nature_is_equal_and_everything_else_is_not() {
        let recorded = json!({"metadata": {"uid": "92a1a22e-a996-4ddb-88a0-6266db8118b3", "resourceVersion": "7"}});
        let same = json!({"metadata": {"uid": "cfdf9bbd-fc58-4b31-9e02-22058856d9f9", "resourceVersion": "9"}});
        assert_eq!(differences("x", &recorded, &same), Vec::<String>::new());
        for other in [json!({"metadata": {"uid": "a", "resourceVersion": "7"}}), json!({"metadata": {}}), json!({})] {
            assert_ne!(differences("x", &recorded, &other), Vec::<String>::new(), "{other}");
        }
    }

    #[test]
    fn a_member_too_many_and_an_element_too_few_are_differences() {
        assert_eq!(differences("x", &json!({}), &json!({"a": null})).len(), 1);
        assert_eq!(differences("x", &json!(["a", "b"]), &json!(["a"])).len(), 1);
    }

    #[test]
    fn a_rule_holds_for_its_path_and_its_recording_only() {
        let (one, other) = (json!({"status": {"resources": {}}}), json!({"status": {"resources": {"a": 1}}}));
        assert_eq!(differences("x", &one, &other), Vec::<String>::new());
        let (one, other) = (json!({"spec": {"resources": {}}}), json!({"spec": {"resources": {"a": 1}}}));
        assert_eq!(differences("x", &one, &other).len(), 1);
    }
}

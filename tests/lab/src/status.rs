//! How the API says no: `metav1.Status` bodies, worded as the API server words them, and the plain text answers that
//! come through it from the kubelet.

use http::StatusCode;
use serde_json::{Value, json};

use crate::resource::Resource;

/// An answer other than success.
#[derive(Debug, Clone)]
pub enum Failure {
    /// A `metav1.Status`.
    Status { code: StatusCode, reason: &'static str, message: String, details: Option<Value> },
    /// A body of plain text, as the kubelet gives it.
    Text { code: StatusCode, message: String },
}

pub type Answer<T> = Result<T, Failure>;

/// One finding of a validation: field, reason and the text after the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    pub field: String,
    pub reason: &'static str,
    pub message: String,
}

impl Cause {
    pub fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self { field: field.into(), reason: "FieldValueInvalid", message: format!("Invalid value: {value}: {detail}") }
    }

    pub fn required(field: impl Into<String>, detail: &str) -> Self {
        let message = if detail.is_empty() { "Required value".to_owned() } else { format!("Required value: {detail}") };
        Self { field: field.into(), reason: "FieldValueRequired", message }
    }

    pub fn duplicate(field: impl Into<String>, value: &str) -> Self {
        Self { field: field.into(), reason: "FieldValueDuplicate", message: format!("Duplicate value: {value:?}") }
    }

    pub fn not_found(field: impl Into<String>, value: &str) -> Self {
        Self { field: field.into(), reason: "FieldValueNotFound", message: format!("Not found: {value:?}") }
    }

    pub fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self { field: field.into(), reason: "FieldValueForbidden", message: format!("Forbidden: {detail}") }
    }

    pub fn not_supported(field: impl Into<String>, value: &str, supported: &[&str]) -> Self {
        let supported: Vec<String> = supported.iter().map(|choice| format!("{choice:?}")).collect();
        Self {
            field: field.into(),
            reason: "FieldValueNotSupported",
            message: format!("Unsupported value: {value:?}: supported values: {}", supported.join(", ")),
        }
    }
}

impl Failure {
    fn status(code: StatusCode, reason: &'static str, message: String, details: Option<Value>) -> Self {
        Self::Status { code, reason, message, details }
    }

    pub fn text(code: StatusCode, message: impl Into<String>) -> Self {
        Self::Text { code, message: message.into() }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::status(StatusCode::BAD_REQUEST, "BadRequest", message.into(), None)
    }

    pub fn unauthorized() -> Self {
        Self::status(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized".into(), None)
    }

    /// `why` may be empty: the server itself leaves it so where it does not know the reason.
    pub fn forbidden(resource: ResourceName<'_>, name: Option<&str>, why: &str) -> Self {
        let subject = match name {
            Some(name) => format!("{} {name:?}", resource.qualified()),
            None => resource.qualified(),
        };
        Self::status(
            StatusCode::FORBIDDEN,
            "Forbidden",
            format!("{subject} is forbidden: {why}"),
            Some(resource.details(name)),
        )
    }

    pub fn forbidden_path(why: &str) -> Self {
        Self::status(StatusCode::FORBIDDEN, "Forbidden", format!("forbidden: {why}"), Some(json!({})))
    }

    pub fn not_found(resource: &Resource, name: &str) -> Self {
        let resource = ResourceName::of(resource);
        Self::status(
            StatusCode::NOT_FOUND,
            "NotFound",
            format!("{} {name:?} not found", resource.qualified()),
            Some(resource.details(Some(name))),
        )
    }

    /// What the server says of a path it does not serve.
    pub fn no_such_path() -> Self {
        Self::status(
            StatusCode::NOT_FOUND,
            "NotFound",
            "the server could not find the requested resource".into(),
            Some(json!({})),
        )
    }

    pub fn already_exists(resource: &Resource, name: &str) -> Self {
        let resource = ResourceName::of(resource);
        Self::status(
            StatusCode::CONFLICT,
            "AlreadyExists",
            format!("{} {name:?} already exists", resource.qualified()),
            Some(resource.details(Some(name))),
        )
    }

    pub fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let resource = ResourceName::of(resource);
        Self::status(
            StatusCode::CONFLICT,
            "Conflict",
            format!("Operation cannot be fulfilled on {} {name:?}: {why}", resource.qualified()),
            Some(resource.details(Some(name))),
        )
    }

    /// 422: every cause listed, one sentence of them all.
    pub fn invalid(resource: &Resource, name: &str, causes: &[Cause]) -> Self {
        let texts: Vec<String> = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let list = match texts.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let qualified = if resource.group.is_empty() {
            resource.kind.to_owned()
        } else {
            format!("{}.{}", resource.kind, resource.group)
        };
        let mut details = json!({
            "name": name,
            "kind": resource.kind,
            "causes": causes
                .iter()
                .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}))
                .collect::<Vec<_>>(),
        });
        if !resource.group.is_empty() {
            details["group"] = resource.group.into();
        }
        Self::status(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Invalid",
            format!("{qualified} {name:?} is invalid: {list}"),
            Some(details),
        )
    }

    pub fn method_not_allowed() -> Self {
        Self::status(
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource".into(),
            Some(json!({})),
        )
    }

    pub fn not_acceptable(accepted: &str) -> Self {
        let message = format!("only the following media types are accepted: {accepted}");
        Self::status(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message, None)
    }

    pub fn unsupported_media_type(accepted: &str) -> Self {
        Self::status(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            format!("the body of the request was in an unknown format - accepted media types include: {accepted}"),
            None,
        )
    }

    pub fn expired(requested: u64, oldest: u64) -> Self {
        Self::status(StatusCode::GONE, "Expired", format!("too old resource version: {requested} ({oldest})"), None)
    }

    pub fn internal(message: impl std::fmt::Display) -> Self {
        Self::status(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalError",
            format!("Internal error occurred: {message}"),
            Some(json!({"causes": [{"message": message.to_string()}]})),
        )
    }

    pub fn code(&self) -> StatusCode {
        match self {
            Self::Status { code, .. } | Self::Text { code, .. } => *code,
        }
    }

    pub fn message(&self) -> &str {
        match self {
            Self::Status { message, .. } | Self::Text { message, .. } => message,
        }
    }

    /// The `metav1.Status`, or nothing for a plain text.
    pub fn body(&self) -> Option<Value> {
        let Self::Status { code, reason, message, details } = self else { return None };
        let mut body = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "code": code.as_u16(),
        });
        if let Some(details) = details {
            body["details"] = details.clone();
        }
        Some(body)
    }
}

/// A resource as messages name it: plural, with its group.
#[derive(Debug, Clone, Copy)]
pub struct ResourceName<'a> {
    pub group: &'a str,
    pub plural: &'a str,
}

impl<'a> ResourceName<'a> {
    pub fn of(resource: &'a Resource) -> Self {
        Self { group: resource.group, plural: resource.plural }
    }

    fn qualified(self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    fn details(self, name: Option<&str>) -> Value {
        let mut details = json!({ "kind": self.plural });
        if let Some(name) = name {
            details["name"] = name.into();
        }
        if !self.group.is_empty() {
            details["group"] = self.group.into();
        }
        details
    }
}

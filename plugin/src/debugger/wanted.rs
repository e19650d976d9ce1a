//! A container that is to be added, and what of it goes beyond what its target calls for: that is said before it is sent, by
//! the path of each field, and a refusal of that is laid to who asked for it.

use std::collections::BTreeSet;
use std::fmt;

use k8s_openapi::api::core::v1::{EphemeralContainer, SecurityContext};
use serde_json::{Map, Value};

use super::security::{Basis, Chosen, added_capabilities};
use super::spec;
use crate::error::Result;
use crate::options::Injector;
use crate::target::Target;

/// Where the fields are that a Pod Security level judges.
const CONTEXT: &str = "securityContext";
const CAPABILITIES: &str = "securityContext.capabilities";

/// A container to be added.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) container: EphemeralContainer,
    pub(super) beyond: Beyond,
}

impl Wanted {
    /// The injector's.
    ///
    /// # Errors
    /// Those of [`spec::container`].
    pub(super) fn injector(injector: &Injector, target: &Target, chosen: &Chosen) -> Result<Wanted> {
        let container = spec::container(injector, target, &chosen.context)?;
        Wanted::of(container, injector, target, chosen)
    }

    /// One that was made of the injector's.
    ///
    /// # Errors
    /// Those of [`spec::container`].
    pub(super) fn of(
        container: EphemeralContainer,
        injector: &Injector,
        target: &Target,
        chosen: &Chosen,
    ) -> Result<Wanted> {
        let injector = Injector { custom: None, ..injector.clone() };
        let plain = spec::container(&injector, target, &chosen.derived.context)?;
        let beyond = Beyond::of(&plain, &container, chosen.derived.basis);
        Ok(Wanted { container, beyond })
    }
}

/// What a container has by its user's wish alone: the paths of the fields, and what they say where that is no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Beyond(Vec<(String, String)>);

impl Beyond {
    /// What `wanted` has beyond `plain`, which is as nobody has asked for anything, and whose ids are known by `basis`. What it
    /// has less is not in it.
    fn of(plain: &EphemeralContainer, wanted: &EphemeralContainer, basis: Basis) -> Beyond {
        let object = |container| serde_json::to_value(container).unwrap_or_default();
        let mut walk = Walk { basis, is_root: is_root(wanted), found: Vec::new() };
        let capabilities = added_capabilities(plain.security_context.as_ref(), wanted.security_context.as_ref());
        if !capabilities.is_empty() {
            walk.found.push((CAPABILITIES.to_owned(), capabilities));
        }
        walk.compare("", &object(plain), &object(wanted));
        Beyond(walk.found)
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether what Pod Security has found names one of these fields. Its words are sometimes another spelling of the path.
    pub(super) fn is_among(&self, found: &str) -> bool {
        let found = found.replace(' ', "").to_ascii_lowercase();
        let field = |(path, _): &(String, String)| {
            let field = path.strip_prefix(CONTEXT)?.strip_prefix('.')?.split('.').next()?;
            Some(field.to_ascii_lowercase())
        };
        self.0.iter().filter_map(field).any(|field| found.contains(&field))
    }
}

impl fmt::Display for Beyond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (path, shown)) in self.0.iter().enumerate() {
            let (between, blank) = (if index == 0 { "" } else { "; " }, if shown.is_empty() { "" } else { " " });
            write!(f, "{between}{path}{blank}{shown}")?;
        }
        Ok(())
    }
}

/// A walk through two objects.
struct Walk {
    basis: Basis,
    /// Whether the container that is wanted is root's.
    is_root: bool,
    found: Vec<(String, String)>,
}

impl Walk {
    fn compare(&mut self, path: &str, plain: &Value, wanted: &Value) {
        if plain == wanted || self.is_no_more(path, plain, wanted) {
            return;
        }
        let is_object = |value: &Value| value.is_object() || value.is_null();
        if is_object(plain) && is_object(wanted) {
            let (none, empty) = (Value::Null, Map::new());
            let (plain, wanted) = (plain.as_object().unwrap_or(&empty), wanted.as_object().unwrap_or(&empty));
            for name in plain.keys().chain(wanted.keys()).collect::<BTreeSet<_>>() {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                self.compare(&path, plain.get(name).unwrap_or(&none), wanted.get(name).unwrap_or(&none));
            }
            return;
        }
        // What an environment says may be a secret.
        let shown = match wanted {
            Value::Null => "left out".to_owned(),
            Value::String(text) if path.starts_with(CONTEXT) => text.clone(),
            Value::Bool(_) | Value::Number(_) => wanted.to_string(),
            _ => String::new(),
        };
        self.found.push((path.to_owned(), shown));
    }

    /// Whether a field that differs gives nothing that the plain container has not.
    fn is_no_more(&self, path: &str, plain: &Value, wanted: &Value) -> bool {
        let is_left_out = wanted.is_null();
        match path.strip_prefix(CONTEXT).and_then(|field| field.strip_prefix('.')) {
            // The names are by chance; what the capabilities come to is seen by who knows what they are by default.
            None => path == "name" || *wanted == false || wanted.as_array().is_some_and(Vec::is_empty),
            Some("capabilities") => true,
            Some("allowPrivilegeEscalation" | "privileged") => *wanted == false,
            Some("readOnlyRootFilesystem") => true,
            // That a root is none is not to be said of it.
            Some("runAsNonRoot") => self.is_root || *wanted == true,
            Some("runAsGroup") if self.is_root => true,
            // Where nothing shows the target's ids, those of the plain container are a guess.
            Some("runAsUser" | "runAsGroup") => {
                !is_left_out && *wanted != 0 && (self.basis == Basis::Unknown || *plain == 0)
            }
            Some("procMount") => is_left_out || wanted == "Default",
            // Without any, the runtime gives labels that no other container has.
            Some(field) if field.starts_with("seLinuxOptions") => is_left_out,
            Some("appArmorProfile") => is_left_out && plain["type"] == "Unconfined",
            Some(_) => false,
        }
    }
}

fn is_root(container: &EphemeralContainer) -> bool {
    let uid = |context: &SecurityContext| context.run_as_user;
    container.security_context.as_ref().and_then(uid) == Some(0)
}

#[cfg(test)]
#[path = "wanted_tests.rs"]
mod tests;

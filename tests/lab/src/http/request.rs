//! What a request asks for: resource, verb, namespace, name and query, read from method and path.

use std::collections::BTreeMap;

use http::{Method, Uri};

use crate::{
    rbac::Attributes,
    resource::{self, Resource},
    status::{Answer, Failure},
};

/// A request on a resource. `resource` is `None` where the lab does not serve it: authorisation comes before that
/// is told, as in the API server.
#[derive(Debug, Clone)]
pub struct ResourceRequest {
    pub verb: &'static str,
    pub group: String,
    pub plural: String,
    pub subresource: Option<String>,
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub resource: Option<&'static Resource>,
}

#[derive(Debug, Clone)]
pub enum Target {
    /// Discovery, `/version` and the like, with the verb that RBAC sees.
    Path {
        path: String,
        verb: &'static str,
    },
    Resource(ResourceRequest),
}

/// The query's values by name. A name may come several times (`command`).
#[derive(Debug, Clone, Default)]
pub struct Query(BTreeMap<String, Vec<String>>);

impl Query {
    pub fn of(uri: &Uri) -> Self {
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            values.entry(name.into_owned()).or_default().push(value.into_owned());
        }
        Self(values)
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(|values| values.first()).map(String::as_str)
    }

    pub fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1"))
    }

    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Answer<Option<T>> {
        match self.get(name) {
            None | Some("") => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| {
                Failure::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax (query {name})"))
            }),
        }
    }

    pub fn is_dry_run(&self) -> bool {
        self.all("dryRun").iter().any(|value| value == "All")
    }
}

impl Target {
    pub fn parse(method: &Method, uri: &Uri, query: &Query) -> Answer<Self> {
        let path = uri.path();
        let decoded: Vec<String> = path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(percent_decoded)
            .collect::<Option<_>>()
            .ok_or_else(|| Failure::bad_request("the path is not UTF-8"))?;
        let parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
            ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
            _ => return Ok(Self::Path { path: path.to_owned(), verb: lower(method)? }),
        };
        let (namespace, plural, name, subresource) = match rest {
            ["namespaces"] => (None, "namespaces", None, None),
            ["namespaces", name] => (Some(*name), "namespaces", Some(*name), None),
            ["namespaces", name, sub @ ("status" | "finalize")] => (Some(*name), "namespaces", Some(*name), Some(*sub)),
            ["namespaces", namespace, plural] => (Some(*namespace), *plural, None, None),
            ["namespaces", namespace, plural, name] => (Some(*namespace), *plural, Some(*name), None),
            ["namespaces", namespace, plural, name, sub] => (Some(*namespace), *plural, Some(*name), Some(*sub)),
            [plural] => (None, *plural, None, None),
            [plural, name] => (None, *plural, Some(*name), None),
            [plural, name, sub] => (None, *plural, Some(*name), Some(*sub)),
            _ => return Err(Failure::no_such_path()),
        };
        Ok(Self::Resource(ResourceRequest {
            verb: verb(method, name.is_some(), query)?,
            group: group.to_owned(),
            plural: plural.to_owned(),
            subresource: subresource.map(str::to_owned),
            namespace: namespace.map(str::to_owned),
            name: name.map(str::to_owned),
            resource: resource::find(group, version, plural),
        }))
    }
}

impl ResourceRequest {
    /// What authorisation is asked for it, under its own verb or another.
    pub fn attributes<'a>(&'a self, verb: &'a str) -> Attributes<'a> {
        Attributes {
            verb,
            group: &self.group,
            resource: &self.plural,
            subresource: self.subresource.as_deref(),
            namespace: self.namespace.as_deref(),
            name: self.name.as_deref(),
        }
    }

    /// The namespace that objects are stored under: none for cluster-wide resources, namespaces included.
    pub fn store_namespace(&self) -> &str {
        if self.resource.is_some_and(|resource| !resource.namespaced) {
            return "";
        }
        self.namespace.as_deref().unwrap_or_default()
    }
}

fn lower(method: &Method) -> Answer<&'static str> {
    match *method {
        Method::GET => Ok("get"),
        Method::HEAD => Ok("head"),
        Method::POST => Ok("post"),
        Method::PUT => Ok("put"),
        Method::PATCH => Ok("patch"),
        Method::DELETE => Ok("delete"),
        Method::OPTIONS => Ok("options"),
        _ => Err(Failure::method_not_allowed()),
    }
}

fn verb(method: &Method, named: bool, query: &Query) -> Answer<&'static str> {
    match *method {
        Method::GET | Method::HEAD if query.flag("watch") => Ok("watch"),
        Method::GET | Method::HEAD => Ok(if named { "get" } else { "list" }),
        Method::POST => Ok("create"),
        Method::PUT => Ok("update"),
        Method::PATCH => Ok("patch"),
        Method::DELETE => Ok(if named { "delete" } else { "deletecollection" }),
        _ => Err(Failure::method_not_allowed()),
    }
}

fn percent_decoded(part: &str) -> Option<String> {
    // A path keeps its `+`, which form decoding would turn into a space.
    let kept = part.replace('+', "%2B");
    let (decoded, _) = form_urlencoded::parse(kept.as_bytes()).next().unwrap_or_default();
    (!decoded.contains('\u{FFFD}')).then(|| decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: &str, uri: &str) -> ResourceRequest {
        let uri: Uri = uri.parse().unwrap();
        match Target::parse(&method.parse().unwrap(), &uri, &Query::of(&uri)).unwrap() {
            Target::Resource(request) => request,
            Target::Path { path, .. } => panic!("{path} is a path"),
        }
    }

    #[test]
    fn a_path_names_namespace_resource_name_and_subresource() {
        let exec = parse("GET", "/api/v1/namespaces/fx/pods/shell/exec?command=a&command=b");
        assert_eq!((exec.verb, exec.plural.as_str(), exec.subresource.as_deref()), ("get", "pods", Some("exec")));
        assert_eq!((exec.namespace.as_deref(), exec.name.as_deref()), (Some("fx"), Some("shell")));
        let namespace = parse("DELETE", "/api/v1/namespaces/fx");
        assert_eq!(
            (namespace.verb, namespace.plural.as_str(), namespace.store_namespace()),
            ("delete", "namespaces", "")
        );
        let everywhere = parse("GET", "/apis/apps/v1/deployments");
        assert_eq!((everywhere.verb, everywhere.namespace), ("list", None));
    }

    #[test]
    fn a_get_with_watch_is_a_watch_even_of_one_name() {
        assert_eq!(parse("GET", "/api/v1/namespaces/fx/pods?watch=true&fieldSelector=metadata.name%3Da").verb, "watch");
    }

    #[test]
    fn what_comes_several_times_in_the_query_is_kept_in_order() {
        let uri: Uri = "/x?command=%2Fbin%2Fsh&command=-c&stdout=true".parse().unwrap();
        let query = Query::of(&uri);
        assert_eq!(query.all("command"), ["/bin/sh", "-c"]);
        assert!(query.flag("stdout") && !query.flag("stderr"));
    }
}

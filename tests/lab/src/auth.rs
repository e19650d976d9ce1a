//! Who is asking: client certificates and bearer tokens.

use std::{collections::HashMap, sync::Mutex};

use http::{HeaderMap, header};
use jiff::{SignedDuration, Timestamp};

use crate::{
    meta,
    resource::SERVICE_ACCOUNTS,
    status::{Answer, Failure},
    store::Store,
};

/// A user as authorisation sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub groups: Vec<String>,
}

pub const AUTHENTICATED: &str = "system:authenticated";
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

impl User {
    pub fn authenticated(name: String, mut groups: Vec<String>) -> Self {
        if !groups.iter().any(|group| group == AUTHENTICATED) {
            groups.push(AUTHENTICATED.to_owned());
        }
        Self { name, groups }
    }

    pub fn anonymous() -> Self {
        Self { name: "system:anonymous".to_owned(), groups: vec![UNAUTHENTICATED.to_owned()] }
    }

    pub fn service_account(namespace: &str, name: &str) -> Self {
        Self::authenticated(
            format!("{SERVICE_ACCOUNT}{namespace}:{name}"),
            vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")],
        )
    }

    /// Namespace and name, for a service account.
    pub fn as_service_account(&self) -> Option<(&str, &str)> {
        self.name.strip_prefix(SERVICE_ACCOUNT)?.split_once(':')
    }
}

#[derive(Debug)]
struct Grant {
    namespace: String,
    name: String,
    /// The uid of the service account: a token dies with it.
    uid: String,
    expires: Timestamp,
}

/// The tokens handed out so far.
#[derive(Debug, Default)]
pub struct Tokens(Mutex<HashMap<String, Grant>>);

impl Tokens {
    /// A new token of a service account, and when it ends.
    pub fn issue(&self, namespace: &str, name: &str, uid: &str, seconds: i64) -> (String, Timestamp) {
        let token = format!("lab-{}", meta::container_id());
        let expires = Timestamp::now() + SignedDuration::from_secs(seconds);
        let grant = Grant { namespace: namespace.into(), name: name.into(), uid: uid.into(), expires };
        self.0.lock().expect("no holder of this lock panics").insert(token.clone(), grant);
        (token, expires)
    }

    fn user_of(&self, token: &str, store: &Store) -> Option<User> {
        let grants = self.0.lock().expect("no holder of this lock panics");
        let grant = grants.get(token)?;
        let account = store.find(&SERVICE_ACCOUNTS, &grant.namespace, &grant.name)?;
        let alive = meta::text(&account["metadata"], "uid") == grant.uid && grant.expires > Timestamp::now();
        alive.then(|| User::service_account(&grant.namespace, &grant.name))
    }
}

/// Tells who sent a request. `certified` is the user of the verified client certificate.
///
/// A token that is not known gives 401, whatever else is shown; no credentials at all is the anonymous user.
pub fn authenticate(headers: &HeaderMap, certified: Option<&User>, tokens: &Tokens, store: &Store) -> Answer<User> {
    if let Some(user) = certified {
        return Ok(user.clone());
    }
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(User::anonymous()) };
    let text = value.to_str().map_err(|_| Failure::unauthorized())?;
    let token = text.strip_prefix("Bearer ").map(str::trim).ok_or_else(Failure::unauthorized)?;
    tokens.user_of(token, store).ok_or_else(Failure::unauthorized)
}

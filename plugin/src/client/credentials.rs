//! The user of a kubeconfig as kubectl understands it, where kube reads it in another way.

use kube::config::{AuthInfo, AuthProviderConfig, ExecConfig, ExecInteractiveMode};
use secrecy::{ExposeSecret, SecretString};

use crate::catalogue::Id;
use crate::error::{Failure, Result};
use crate::options::Connection;

/// Makes kube send what kubectl would send. `terminal`: whether a person can be asked on stdin.
///
/// # Errors
/// What kubectl does not take either, or this client does not support.
pub(super) fn settle(user: &mut AuthInfo, terminal: bool) -> Result<()> {
    token(user)?;
    basic(user)?;
    user.auth_provider.as_ref().map_or(Ok(()), auth_provider)?;
    user.exec.as_mut().map_or(Ok(()), |exec| interaction(exec, terminal))
}

/// An empty token is none, a file counts more than a token, and a line feed at its end is not part of it.
fn token(user: &mut AuthInfo) -> Result<()> {
    user.token = user.token.take().filter(|token| !token.expose_secret().is_empty());
    let Some(file) = &user.token_file else { return Ok(()) };
    match std::fs::read_to_string(file) {
        // kube takes the file as it is and reads it again when a minute is over; a line feed would spoil its header.
        Ok(token) if token.trim() == token => user.token = None,
        Ok(token) => {
            user.token = Some(SecretString::from(token.trim()));
            user.token_file = None;
        }
        Err(error) if user.token.is_none() => {
            return Err(unusable(format!("the token file {file} cannot be read"))
                .evidence(error.to_string())
                .remedy("correct tokenFile of the kubeconfig's user, or choose another --user"));
        }
        Err(_) => user.token_file = None,
    }
    Ok(())
}

/// A name without a password is sent with an empty one; beside a token it is refused, because only one can be meant.
fn basic(user: &mut AuthInfo) -> Result<()> {
    user.username = user.username.take().filter(|name| !name.is_empty());
    if user.username.is_none() {
        return Ok(());
    }
    if user.token.is_some() {
        return Err(unusable("the kubeconfig's user has a token and a password".to_owned())
            .evidence("token and username are both set; kubectl refuses that, too")
            .remedy("remove one of them, or choose another --user"));
    }
    user.password.get_or_insert_with(|| SecretString::from(""));
    Ok(())
}

/// kube would still take what is left in the kubeconfig from the time before; kubectl has removed all of them but one.
fn auth_provider(provider: &AuthProviderConfig) -> Result<()> {
    let plugin = match provider.name.as_str() {
        // kubectl keeps its id-token fresh in the file.
        "oidc" => return Ok(()),
        "gcp" => "gke-gcloud-auth-plugin",
        "azure" => "kubelogin",
        _ => "that of the provider",
    };
    Err(unusable(format!("the auth provider {} is not supported, nor is it by kubectl any more", provider.name))
        .evidence("auth-provider of the kubeconfig's user")
        .remedy(format!("use a credential plugin (exec) in the kubeconfig's user instead: {plugin}")))
}

/// kube has the plugin ask a person whenever it may. Without a terminal it would read what is meant for somebody else: the
/// list of pods, say, that a loop of the shell reads line by line.
fn interaction(exec: &mut ExecConfig, terminal: bool) -> Result<()> {
    if terminal {
        return Ok(());
    }
    if exec.interactive_mode == Some(ExecInteractiveMode::Always) {
        return Err(unusable(
            "the credential plugin wants to ask a person, and standard input is no terminal".to_owned(),
        )
        .evidence("interactiveMode of users[].user.exec in the kubeconfig is Always")
        .remedy("run it from a terminal, or log in first by any kubectl command there"));
    }
    exec.interactive_mode = Some(ExecInteractiveMode::Never);
    Ok(())
}

/// Each flag replaces its own field of the file, and the others stay.
///
/// # Errors
/// Groups, a uid or more without a user, as for kubectl.
pub(super) fn impersonate(user: &mut AuthInfo, connection: &Connection) -> Result<()> {
    if connection.impersonate.is_some() {
        user.impersonate.clone_from(&connection.impersonate);
    }
    if !connection.impersonate_groups.is_empty() {
        user.impersonate_groups = Some(connection.impersonate_groups.clone());
    }
    let has_groups = user.impersonate_groups.as_ref().is_some_and(|groups| !groups.is_empty());
    let has_extra = user.impersonate_user_extra.as_ref().is_some_and(|extra| !extra.is_empty());
    if user.impersonate.is_none() && (has_groups || has_extra || user.impersonate_uid.is_some()) {
        return Err(Failure::usage("groups or a uid are to be impersonated, but no user")
            .evidence("--as-group, or as-groups, as-uid and as-user-extra of the kubeconfig's user")
            .remedy("name the user to impersonate with --as USER"));
    }
    Ok(())
}

fn unusable(cause: String) -> Failure {
    Failure::new(Id::NoCredentials, cause)
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;

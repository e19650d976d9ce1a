//! The configuration as kubectl finds it: `--kubeconfig`, else the files of `$KUBECONFIG`, else `~/.kube/config`, else the
//! pod's own service account; with the context, cluster, user and impersonation that the flags name.

use std::path::{Path, PathBuf};

use kube::Config;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig, KubeconfigError, NamedContext};
use secrecy::{ExposeSecret, SecretString};

use super::proxy;
use crate::error::{Exit, Failure, Result};
use crate::options::Connection;

/// The configuration for a connection.
pub(super) async fn load(connection: &Connection) -> Result<Config> {
    let files = files(connection.kubeconfig.as_deref(), |name| std::env::var_os(name));
    let kubeconfig = match (&connection.kubeconfig, read(&files)?) {
        (_, Some(kubeconfig)) => kubeconfig,
        (Some(named), None) => {
            return Err(broken(format!("the kubeconfig {} does not exist", named.display()))
                .remedy("name another with --kubeconfig"));
        }
        (None, None) => return in_cluster(connection, &files),
    };
    let kubeconfig = with_context_of_flags(kubeconfig, connection);
    let proxy_url = cluster_proxy(&kubeconfig, connection);
    let options = KubeConfigOptions {
        context: connection.context.clone(),
        cluster: connection.cluster.clone(),
        user: connection.user.clone(),
    };
    if let Some(user) = &connection.user
        && !kubeconfig.auth_infos.iter().any(|named| named.name == *user)
    {
        return Err(broken(format!("the kubeconfig has no user \"{user}\""))
            .evidence(names_of(&files))
            .remedy("name one of them with --user: kubectl config get-users lists them"));
    }
    let known = Known::of(&kubeconfig, &files);
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| known.explain(&error))?;
    finish(config, connection, proxy_url.as_deref())
}

/// The files to merge, in their order. A file that is named by a flag is the only one.
fn files(named: Option<&Path>, variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> Vec<PathBuf> {
    if let Some(named) = named {
        return vec![named.to_owned()];
    }
    let listed = variable("KUBECONFIG").filter(|list| !list.is_empty());
    match listed {
        Some(list) => std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()).collect(),
        None => std::env::home_dir().map(|home| home.join(".kube").join("config")).into_iter().collect(),
    }
}

/// All files that exist, merged: the first to name a thing wins. `None` if none exists.
fn read(files: &[PathBuf]) -> Result<Option<Kubeconfig>> {
    let mut merged: Option<Kubeconfig> = None;
    for file in files.iter().filter(|file| file.exists()) {
        let cannot = |error: &KubeconfigError| {
            broken(format!("the kubeconfig {} cannot be read", file.display())).evidence(error.to_string()).remedy(
                "correct it, or name another with --kubeconfig; kubectl config view shows what kubectl makes of it",
            )
        };
        let mut next = Kubeconfig::read_from(file).map_err(|error| cannot(&error))?;
        // An empty string is what `kubectl config unset` leaves; it names nothing.
        next.current_context = next.current_context.filter(|context| !context.is_empty());
        merged = Some(match merged {
            None => next,
            Some(before) => before.merge(next).map_err(|error| cannot(&error))?,
        });
    }
    Ok(merged)
}

/// `--cluster` alone is enough for kubectl, where there is no context to take it from.
fn with_context_of_flags(mut kubeconfig: Kubeconfig, connection: &Connection) -> Kubeconfig {
    if connection.context.is_none()
        && kubeconfig.current_context.is_none()
        && let Some(cluster) = &connection.cluster
    {
        let name = "of the flags";
        let context =
            kube::config::Context { cluster: cluster.clone(), user: connection.user.clone(), ..Default::default() };
        kubeconfig.contexts.push(NamedContext { name: name.to_owned(), context: Some(context), ..Default::default() });
        kubeconfig.current_context = Some(name.to_owned());
    }
    kubeconfig
}

/// The `proxy-url` of the cluster that will be taken.
fn cluster_proxy(kubeconfig: &Kubeconfig, connection: &Connection) -> Option<String> {
    let context = connection.context.as_ref().or(kubeconfig.current_context.as_ref())?;
    let of_context =
        || Some(&kubeconfig.contexts.iter().find(|named| named.name == *context)?.context.as_ref()?.cluster);
    let name = connection.cluster.as_ref().or_else(of_context)?;
    let cluster = kubeconfig.clusters.iter().find(|named| named.name == *name)?.cluster.as_ref()?;
    cluster.proxy_url.clone().filter(|url| !url.is_empty())
}

/// The service account of the pod that this process runs in.
fn in_cluster(connection: &Connection, files: &[PathBuf]) -> Result<Config> {
    let config = Config::incluster().map_err(|error| {
        broken("there is no kubeconfig, and this is no pod with a service account".to_owned())
            .evidence(format!("{} not found; {error}", names_of(files)))
            .remedy("name a kubeconfig with --kubeconfig or KUBECONFIG")
    })?;
    finish(config, connection, None)
}

fn finish(mut config: Config, connection: &Connection, proxy_url: Option<&str>) -> Result<Config> {
    config.proxy_url = proxy::for_server(&config.cluster_url, proxy_url, |name| std::env::var(name).ok())?;
    credentials(&mut config.auth_info)?;
    if connection.impersonate.is_some() {
        config.auth_info.impersonate.clone_from(&connection.impersonate);
        config.auth_info.impersonate_groups = Some(connection.impersonate_groups.clone());
    }
    Ok(config)
}

/// What kube reads in another way than kubectl: an empty string is nothing, a token file counts more than a token, and
/// a line feed at its end is not part of it.
fn credentials(user: &mut AuthInfo) -> Result<()> {
    user.token = user.token.take().filter(|token| !token.expose_secret().is_empty());
    user.token_file = user.token_file.take().filter(|file| !file.is_empty());
    let Some(file) = &user.token_file else { return Ok(()) };
    match std::fs::read_to_string(file) {
        // kube takes the file as it is and reads it again when a minute is over; a line feed would spoil its header.
        Ok(token) if token.trim() == token => user.token = None,
        Ok(token) => {
            user.token = Some(SecretString::from(token.trim()));
            user.token_file = None;
        }
        Err(error) if user.token.is_none() => {
            return Err(broken(format!("the token file {file} cannot be read"))
                .evidence(error.to_string())
                .remedy("correct tokenFile of the kubeconfig's user, or choose another --user"));
        }
        Err(_) => user.token_file = None,
    }
    Ok(())
}

/// What the kubeconfig holds, for an error that names it.
struct Known {
    contexts: Vec<String>,
    clusters: Vec<String>,
    files: String,
}

impl Known {
    fn of(kubeconfig: &Kubeconfig, files: &[PathBuf]) -> Known {
        Known {
            contexts: kubeconfig.contexts.iter().map(|named| named.name.clone()).collect(),
            clusters: kubeconfig.clusters.iter().map(|named| named.name.clone()).collect(),
            files: names_of(files),
        }
    }

    fn explain(&self, error: &KubeconfigError) -> Failure {
        let contexts = || format!("{} has the contexts {}", self.files, list(&self.contexts));
        match error {
            KubeconfigError::CurrentContextNotSet => broken("the kubeconfig has no current context".to_owned())
                .evidence(contexts())
                .remedy("name one with --context, or set it: kubectl config use-context NAME"),
            KubeconfigError::LoadContext(name) => broken(format!("the kubeconfig has no context \"{name}\""))
                .evidence(contexts())
                .remedy("name one of them with --context"),
            KubeconfigError::LoadClusterOfContext(name) => broken(format!("the kubeconfig has no cluster \"{name}\""))
                .evidence(format!("{} has the clusters {}", self.files, list(&self.clusters)))
                .remedy("name one of them with --cluster"),
            KubeconfigError::MissingClusterUrl => broken("the kubeconfig's cluster has no server".to_owned())
                .evidence(self.files.clone())
                .remedy("kubectl config set-cluster NAME --server=https://…"),
            other => broken("the kubeconfig cannot be used".to_owned())
                .evidence(format!("{}: {other}", self.files))
                .remedy("correct it: kubectl config view --minify shows the part that counts"),
        }
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "(none)".to_owned() } else { names.join(", ") }
}

fn names_of(files: &[PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn broken(cause: String) -> Failure {
    Failure::new(Exit::Other, cause)
}

#[cfg(test)]
#[path = "kubeconfig_tests.rs"]
mod tests;

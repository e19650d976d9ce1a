//! Which proxy leads to the API server: the cluster's `proxy-url`, else the environment, as kubectl decides it.
//!
//! kube reads the same variables, but asks NO_PROXY about the proxy's own address instead of the server's, and applies it
//! to `proxy-url` too, which kubectl does not; so it is decided here. The rules of the variables are those of Go's
//! `golang.org/x/net/http/httpproxy`.

use std::net::IpAddr;

use http::Uri;

use crate::catalogue::Id;
use crate::error::{Failure, Result};

/// The proxy for a server, given the cluster's `proxy-url` and a way to read the environment.
pub(super) fn for_server(
    server: &Uri,
    proxy_url: Option<&str>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Uri>> {
    if let Some(url) = proxy_url {
        return parse(url, "proxy-url of the kubeconfig's cluster").map(Some);
    }
    let names = match server.scheme_str() {
        Some("http") => ["HTTP_PROXY", "http_proxy"],
        _ => ["HTTPS_PROXY", "https_proxy"],
    };
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let Some((name, url)) = names.iter().find_map(|name| Some((name, set(name)?))) else { return Ok(None) };
    let no_proxy = set("NO_PROXY").or_else(|| set("no_proxy")).unwrap_or_default();
    if is_direct(server, &no_proxy) {
        return Ok(None);
    }
    parse(&url, name).map(Some)
}

fn parse(text: &str, from: &str) -> Result<Uri> {
    let unusable = |cause: String| Failure::new(Id::Proxy, cause).evidence(format!("{from} is {}", without_user(text)));
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    // socks5h resolves names at the proxy, which is what this client does for socks5 too.
    let with_scheme = with_scheme.replacen("socks5h://", "socks5://", 1);
    let uri: Uri = with_scheme.parse().map_err(|error| {
        unusable(format!("the proxy's address is no URL: {error}")).remedy("give it as http://HOST:PORT")
    })?;
    let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    match uri.scheme_str() {
        Some("http" | "https") => Ok(uri),
        Some("socks5") if !has_user => Ok(uri),
        Some("socks5") => Err(unusable("a SOCKS proxy that asks for a password is not supported".to_owned())
            .remedy("use an http:// proxy, or a local tunnel to this one without a password")),
        scheme => Err(unusable(format!("a proxy of the kind {} is not supported", scheme.unwrap_or("none")))
            .remedy("http://, https:// and socks5:// are")),
    }
}

/// The address without a user and a password.
fn without_user(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((front, host)) => {
            let scheme = front.split_once("://").map(|(scheme, _)| format!("{scheme}://")).unwrap_or_default();
            format!("{scheme}…@{host}")
        }
        None => url.to_owned(),
    }
}

/// Whether the server is this machine or one that NO_PROXY names.
fn is_direct(server: &Uri, no_proxy: &str) -> bool {
    let host = server.host().unwrap_or_default().trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
    let port = server.port_u16().unwrap_or(if server.scheme_str() == Some("http") { 80 } else { 443 });
    let address: Option<IpAddr> = host.parse().ok();
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return true;
    }
    no_proxy
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .any(|entry| covers(entry, &host, address, port))
}

/// Whether one entry of NO_PROXY covers the server: `*`, a network, an address or a domain, these two with or without a
/// port.
fn covers(entry: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    let entry = entry.to_ascii_lowercase();
    if entry == "*" {
        return true;
    }
    if let Some((network, bits)) = entry.split_once('/') {
        return address.is_some_and(|address| in_network(address, network, bits));
    }
    if let Ok(entry) = entry.trim_matches(['[', ']']).parse::<IpAddr>() {
        return address == Some(entry);
    }
    let (name, entry_port) = match entry.rsplit_once(':') {
        Some((name, digits)) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            (name.to_owned(), Some(digits.to_owned()))
        }
        _ => (entry, None),
    };
    if entry_port.is_some_and(|digits| digits.parse() != Ok(port)) {
        return false;
    }
    if let Ok(entry) = name.trim_matches(['[', ']']).parse::<IpAddr>() {
        return address == Some(entry);
    }
    match name.strip_prefix("*.").or_else(|| name.strip_prefix('.')) {
        Some(domain) => host.strip_suffix(domain).is_some_and(|front| front.ends_with('.')),
        None => host == name || host.strip_suffix(&name).is_some_and(|front| front.ends_with('.')),
    }
}

fn in_network(address: IpAddr, network: &str, bits: &str) -> bool {
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            u32::from(address) & mask == u32::from(network) & mask
        }
        (IpAddr::V6(address), IpAddr::V6(network)) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            u128::from(address) & mask == u128::from(network) & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(server: &str, proxy_url: Option<&str>, environment: &[(&str, &str)]) -> Option<String> {
        let read = |name: &str| environment.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        for_server(&server.parse().unwrap(), proxy_url, read).unwrap().map(|uri| uri.to_string())
    }

    const PROXY: (&str, &str) = ("HTTPS_PROXY", "http://proxy:3128");

    #[test]
    fn the_clusters_own_proxy_counts_whatever_no_proxy_says() {
        let environment = [PROXY, ("NO_PROXY", "*")];
        let found = proxy("https://k8s.example", Some("http://own:1"), &environment);
        assert_eq!(found.as_deref(), Some("http://own:1/"));
    }

    #[test]
    fn the_variable_of_the_servers_scheme_counts() {
        let environment = [PROXY, ("HTTP_PROXY", "other:8080")];
        assert_eq!(proxy("https://k8s.example", None, &environment).as_deref(), Some("http://proxy:3128/"));
        assert_eq!(proxy("http://k8s.example", None, &environment).as_deref(), Some("http://other:8080/"));
        assert_eq!(proxy("https://k8s.example", None, &[("https_proxy", "low:1")]).as_deref(), Some("http://low:1/"));
        assert_eq!(proxy("https://k8s.example", None, &[("HTTPS_PROXY", "")]), None);
    }

    #[test]
    fn this_machine_is_never_behind_a_proxy_of_the_environment() {
        for server in ["https://localhost:6443", "https://127.0.0.1:6443", "https://[::1]:6443"] {
            assert_eq!(proxy(server, None, &[PROXY]), None, "{server}");
        }
    }

    #[test]
    fn no_proxy_is_asked_about_the_server() {
        let direct = |server: &str, no_proxy: &str| proxy(server, None, &[PROXY, ("NO_PROXY", no_proxy)]).is_none();
        assert!(direct("https://k8s.example", "other, k8s.example"));
        assert!(direct("https://api.k8s.example", "k8s.example"));
        assert!(direct("https://api.k8s.example", ".k8s.example"));
        assert!(direct("https://api.k8s.example", "*.K8S.example"));
        assert!(direct("https://k8s.example:6443", "k8s.example:6443"));
        assert!(direct("https://10.1.2.3:6443", "10.0.0.0/8"));
        assert!(direct("https://10.1.2.3:6443", "10.1.2.3"));
        assert!(direct("https://[fd00::1]:6443", "fd00::/8"));
        assert!(direct("https://x.y", "*"));

        assert!(!direct("https://k8s.example", "proxy"));
        assert!(!direct("https://k8s.example", ".k8s.example"));
        assert!(!direct("https://notk8s.example", "k8s.example"));
        assert!(!direct("https://k8s.example", "k8s.example:6443"));
        assert!(!direct("https://11.1.2.3", "10.0.0.0/8"));
        assert!(!direct("https://10.1.2.3", "10.0.0.0/99,nonsense/8,10.1.2"));
    }

    #[test]
    fn a_kind_of_proxy_that_is_not_supported_is_named_without_its_password() {
        let refused =
            |url: &str| for_server(&"https://x".parse().unwrap(), Some(url), |_| None).unwrap_err().to_string();
        let ftp = refused("ftp://user:secret@host");
        assert!(ftp.contains("ftp is not supported") && ftp.contains("ftp://…@host"), "{ftp}");
        let socks = refused("socks5://user:secret@host:1080");
        assert!(socks.contains("asks for a password") && !socks.contains("secret"), "{socks}");
    }

    #[test]
    fn socks_with_names_resolved_at_the_proxy_is_socks() {
        assert_eq!(proxy("https://x", Some("socks5h://host:1080"), &[]).as_deref(), Some("socks5://host:1080/"));
    }
}

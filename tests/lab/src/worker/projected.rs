//! Projected volumes: the token of the pod's service account, the cluster's certificate and fields of the pod itself.
//! They are written once, for a token outlives every lab; a real kubelet renews it.

use k8s_openapi::api::core::v1::{Pod, VolumeProjection};

use crate::{
    cluster::Cluster,
    meta,
    resource::SERVICE_ACCOUNTS,
    runtime::{Error, ProjectedFile, ProjectedVolume, Result, pod_field},
};

/// The one config map there is: every namespace's copy of the cluster's certificate.
const ROOT_CERTIFICATE: &str = "kube-root-ca.crt";
const DEFAULT_MODE: i32 = 0o644;
const HOUR: i64 = 3600;

/// All projected volumes of a pod, with what is to stand in them.
pub fn volumes(cluster: &Cluster, pod: &Pod) -> Result<Vec<ProjectedVolume>> {
    let mut volumes = Vec::new();
    for volume in pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()) {
        let Some(projected) = &volume.projected else { continue };
        let mode = projected.default_mode.unwrap_or(DEFAULT_MODE).cast_unsigned();
        let mut files = Vec::new();
        for source in projected.sources.iter().flatten() {
            for (path, content) in contents(cluster, pod, &volume.name, source)? {
                files.push(ProjectedFile { path: path.into(), content, mode });
            }
        }
        volumes.push(ProjectedVolume { name: volume.name.clone(), files });
    }
    Ok(volumes)
}

/// Paths in the volume, with what stands there.
fn contents(cluster: &Cluster, pod: &Pod, volume: &str, source: &VolumeProjection) -> Result<Vec<(String, String)>> {
    let unsupported = || Error::Unsupported { what: format!("a source of volume {volume}") };
    if let Some(token) = &source.service_account_token {
        let content = token_of(cluster, pod, token.expiration_seconds.unwrap_or(HOUR));
        return Ok(vec![(token.path.clone(), content.ok_or_else(unsupported)?)]);
    }
    if let Some(map) = source.config_map.as_ref().filter(|map| map.name == ROOT_CERTIFICATE) {
        let paths = map.items.iter().flatten().map(|item| item.path.clone());
        return Ok(paths.map(|path| (path, cluster.authority.pem())).collect());
    }
    let fields = source.downward_api.as_ref().and_then(|fields| fields.items.as_ref()).ok_or_else(unsupported)?;
    let content = |field: &k8s_openapi::api::core::v1::DownwardAPIVolumeFile| {
        let path = field.field_ref.as_ref().map(|field| field.field_path.as_str());
        Ok((field.path.clone(), pod_field(pod, path).ok_or_else(unsupported)?))
    };
    fields.iter().map(content).collect()
}

fn token_of(cluster: &Cluster, pod: &Pod, seconds: i64) -> Option<String> {
    let namespace = pod.metadata.namespace.as_deref()?;
    let name = pod.spec.as_ref()?.service_account_name.as_deref()?;
    let account = cluster.store.find(&SERVICE_ACCOUNTS, namespace, name)?;
    let uid = meta::text(&account["metadata"], "uid");
    Some(cluster.tokens.issue(namespace, name, uid, seconds).0)
}

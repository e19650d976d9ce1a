//! All pods of a workload or of a selector.

use super::{Name, Wish, workload};
use crate::client::Cluster;
use crate::error::Result;

/// Their names, in order. Whether they run shows when it is their turn.
///
/// # Errors
/// Exit code 3 where there is none, 4 where the API server refuses to say.
pub(crate) async fn names(cluster: &Cluster, wish: &Wish) -> Result<Vec<String>> {
    let (what, pods) = match &wish.name {
        Name::Pod(name) => return Ok(vec![name.clone()]),
        Name::Workload { kind, name } => workload::pods(cluster, *kind, name).await?,
        Name::Selector(selector) => (workload::selected_by(selector), workload::list(cluster, selector).await?),
    };
    if pods.is_empty() {
        return Err(workload::none_running(&what, cluster.namespace(), &[]));
    }
    let mut names: Vec<String> = pods.into_iter().filter_map(|pod| pod.metadata.name).collect();
    names.sort();
    Ok(names)
}

//! The pod's limits on the node's disk: above them the kubelet evicts the whole pod.

use k8s_openapi::api::core::v1::Pod;

/// The smallest ephemeral-storage limit of the pod's containers, in bytes; 0 where none has one.
pub(crate) fn storage_limit(pod: &Pod) -> u64 {
    let Some(spec) = &pod.spec else { return 0 };
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let limits = containers.filter_map(|container| {
        let limit = container.resources.as_ref()?.limits.as_ref()?.get("ephemeral-storage")?;
        // A limit that makes no sense to us is one all the same: the smallest.
        Some(quantity(&limit.0).unwrap_or(1))
    });
    limits.min().unwrap_or(0)
}

/// A quantity in bytes (apimachinery's resource.Quantity: a decimal number and a suffix), rounded down.
pub(crate) fn quantity(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let number: f64 = number.parse().ok()?;
    let power = |suffixes: [&str; 6]| suffixes.iter().position(|known| *known == suffix);
    let factor = if let Some(power) = power(["", "k", "M", "G", "T", "P"]) {
        1000_f64.powi(i32::try_from(power).ok()?)
    } else if let Some(power) = power(["", "Ki", "Mi", "Gi", "Ti", "Pi"]) {
        1024_f64.powi(i32::try_from(power).ok()?)
    } else if suffix == "m" {
        0.001
    } else {
        10_f64.powi(suffix.strip_prefix(['e', 'E'])?.parse().ok()?)
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and is never negative")]
    Some((number * factor) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_read_in_every_form_it_may_have() {
        let cases = [
            ("64Mi", 64 << 20),
            ("1G", 1_000_000_000),
            ("1.5Gi", 3 << 29),
            ("1048576", 1 << 20),
            ("2k", 2000),
            ("1e3", 1000),
            ("12E2", 1200),
            ("500m", 0),
        ];
        for (text, expected) in cases {
            assert_eq!(quantity(text), Some(expected), "{text}");
        }
        assert_eq!(quantity("much"), None);
        assert_eq!(quantity(""), None);
    }

    #[test]
    fn the_smallest_limit_of_any_container_counts() {
        let pod = |limits: &[Option<&str>]| -> Pod {
            let container = |limit: &Option<&str>| match limit {
                Some(limit) => serde_json::json!({"name": "a", "resources": {"limits": {"ephemeral-storage": limit}}}),
                None => serde_json::json!({"name": "a"}),
            };
            let containers: Vec<_> = limits.iter().map(container).collect();
            serde_json::from_value(serde_json::json!({"spec": {"containers": containers}})).expect("a pod")
        };
        assert_eq!(storage_limit(&pod(&[None, None])), 0);
        assert_eq!(storage_limit(&pod(&[None, Some("1Gi"), Some("64Mi")])), 64 << 20);
        assert_eq!(storage_limit(&pod(&[Some("nonsense")])), 1);
    }
}

//! The labels that security modules give to processes, as `/proc/PID/attr/current` shows them.

/// Which security module writes labels like this one; none where there is no label.
///
/// SELinux's are `user:role:type`, with a fourth part where the policy has levels (libselinux, `context_new(3)`). AppArmor's end
/// with a mode in brackets or are `unconfined`, and one that names its namespace begins with a colon (`:ns:profile (enforce)`).
#[must_use]
pub fn module(label: &[u8]) -> Option<&'static str> {
    let parts = 1 + label.iter().filter(|byte| **byte == b':').count();
    match label {
        [] => None,
        [first, .., last] if parts >= 3 && *first != b':' && *last != b')' => Some("SELinux"),
        _ => Some("AppArmor"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_tells_its_module() {
        for (label, expected) in [
            ("", None),
            ("unconfined", Some("AppArmor")),
            ("cri-containerd.apparmor.d (enforce)", Some("AppArmor")),
            (":host:a:b (complain)", Some("AppArmor")),
            ("a:b:c (enforce)", Some("AppArmor")),
            ("system_u:system_r:container_t:s0:c1,c2", Some("SELinux")),
            ("system_u:system_r:container_t", Some("SELinux")),
        ] {
            assert_eq!(module(label.as_bytes()), expected, "{label}");
        }
    }
}

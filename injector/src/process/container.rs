//! Which container a process is in, as its control groups tell.

/// How many hex digits a container id has (containerd, CRI-O, Docker, Podman alike).
const DIGITS: usize = 64;

/// The container id in the text of `/proc/PID/cgroup`: the last 64 hex digits in a row of any path there. Inside a cgroup
/// namespace of its own a container's path is "/", and nothing is found.
pub(crate) fn container_id(control_groups: &[u8]) -> Option<String> {
    let mut found = None;
    for word in control_groups.split(|byte| !byte.is_ascii_hexdigit()) {
        if word.len() == DIGITS {
            found = Some(word);
        }
    }
    found.map(|id| String::from_utf8_lossy(id).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn a_container_id_is_found_however_the_runtime_wraps_it() {
        for path in [
            format!("0::/kubepods.slice/kubepods-pod8d2.slice/cri-containerd-{ID}.scope\n"),
            format!("12:memory:/kubepods/burstable/pod8d2/{ID}\n0::/\n"),
            format!("0::/system.slice/docker-{ID}.scope"),
            format!("0::/kubepods/crio-{ID}"),
        ] {
            assert_eq!(container_id(path.as_bytes()).as_deref(), Some(ID), "{path}");
        }
    }

    #[test]
    fn a_path_without_a_container_gives_none() {
        assert_eq!(container_id(b"0::/user.slice/user-1000.slice\n"), None);
        assert_eq!(container_id(format!("0::/x/{ID}0").as_bytes()), None, "65 digits are no id");
        assert_eq!(container_id(b""), None);
    }
}

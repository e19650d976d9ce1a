//! What a JVM in a pod is asked beside the plugin: by an exec of java itself, which is in every JVM image.

use crate::namespace::Pod;

/// The application in the container answers.
///
/// # Panics
/// If it does not.
#[track_caller]
pub fn answers(pod: &Pod<'_>, container: &str) {
    let _ = pod.exec(container, ["java", "-Xmx16m", "-cp", "/app", "Ask"]).succeeded().prints("alive answers=");
}

/// What the plugin or its injector has left where this container can see it: files in any /tmp of the processes that it
/// sees, and files without a name that some process still holds open.
///
/// # Panics
/// If java cannot be run in the container.
#[track_caller]
#[must_use]
pub fn leftovers(pod: &Pod<'_>, container: &str) -> Vec<String> {
    let listing = pod.exec(container, ["java", "-Xmx16m", "-cp", "/app", "Traces"]).succeeded().text();
    assert!(listing.contains("/tmp/.java_pid"), "the socket of a JVM that was attached to is not seen:\n{listing}");
    // The socket of the injector itself stays as long as the injector.
    let is_left = |line: &&str| line.contains(".jattach-") && !line.contains(".jattach-hold-");
    listing.lines().filter(is_left).map(str::to_owned).collect()
}

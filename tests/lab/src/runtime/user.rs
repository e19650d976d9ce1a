//! Whom a container runs as: the security context's ids, else the image's `USER`, completed from the image's
//! /etc/passwd and /etc/group, by the rules of the kubelet and of containerd together.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use super::spec::{SecurityContext, User};

/// Whom the kubelet asks containerd for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Uid(u32),
    Name(String),
}

/// Only the part of `USER` before the colon reaches the kubelet: the group of `USER 10001:10002` is lost.
pub(super) fn wanted(security: &SecurityContext, image_user: &str) -> Wanted {
    let name = image_user.split(':').next().unwrap_or_default();
    match (security.run_as_user, name.parse()) {
        (Some(uid), _) | (None, Ok(uid)) => Wanted::Uid(uid),
        (None, Err(_)) if name.is_empty() => Wanted::Uid(0),
        (None, Err(_)) => Wanted::Name(name.to_owned()),
    }
}

/// `None` where a user's name is not in the image's /etc/passwd.
pub(super) fn resolve(wanted: &Wanted, security: &SecurityContext, rootfs: &Path) -> Option<User> {
    let passwd = read_in_root(rootfs, "etc/passwd");
    let mut accounts = passwd.lines().filter_map(Account::parse);
    let account = accounts.find(|account| match wanted {
        Wanted::Uid(uid) => account.uid == *uid,
        Wanted::Name(name) => account.name == name,
    });
    let uid = match (wanted, &account) {
        (Wanted::Uid(uid), _) => *uid,
        (Wanted::Name(_), account) => account.as_ref()?.uid,
    };
    let gid = security.run_as_group.or(account.as_ref().map(|account| account.gid)).unwrap_or(0);
    let mut groups = vec![gid];
    groups.extend(&security.supplemental_groups);
    if let Some(account) = account.filter(|_| !security.strict_groups) {
        let file = read_in_root(rootfs, "etc/group");
        groups.extend(file.lines().filter_map(|line| group_with_member(line, account.name)));
    }
    groups.sort_unstable();
    groups.dedup();
    Some(User { uid, gid, supplemental_groups: groups })
}

struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
}

impl<'a> Account<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next()?;
        Some(Self { name, uid: fields.nth(1)?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    }
}

fn group_with_member(line: &str, user: &str) -> Option<u32> {
    let mut fields = line.split(':').skip(2);
    let gid = fields.next()?.parse().ok()?;
    fields.next()?.split(',').any(|member| member == user).then_some(gid)
}

/// Empty where there is no such file. An image's link must not lead out of it.
fn read_in_root(root: &Path, path: &str) -> String {
    let read = || -> std::io::Result<String> {
        let root = File::open(root)?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT)?;
        let mut text = String::new();
        File::from(file).read_to_string(&mut text)?;
        Ok(text)
    };
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn image() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("etc")).unwrap();
        fs::write(dir.path().join("etc/passwd"), "root:x:0:0::/:\napp:x:10001:10005::/:/bin/sh\n").unwrap();
        fs::write(dir.path().join("etc/group"), "root:x:0:\nextra:x:77:other,app\nnone:x:78:other\n").unwrap();
        dir
    }

    fn run(security: &SecurityContext, image_user: &str) -> Option<(u32, u32, Vec<u32>)> {
        let image = image();
        let user = resolve(&wanted(security, image_user), security, image.path())?;
        Some((user.uid, user.gid, user.supplemental_groups))
    }

    #[test]
    fn ids_follow_the_measured_rules() {
        let nothing = SecurityContext::default();
        let uid = SecurityContext { run_as_user: Some(20000), ..nothing.clone() };
        let both = SecurityContext { run_as_user: Some(20000), run_as_group: Some(20001), ..nothing.clone() };
        let known = SecurityContext { run_as_user: Some(10001), ..nothing.clone() };
        for (security, image_user, expected) in [
            (&nothing, "", (0, 0, vec![0])),
            (&nothing, "20000", (20000, 0, vec![0])),
            (&nothing, "20000:10002", (20000, 0, vec![0])),
            (&nothing, "10001:10002", (10001, 10005, vec![77, 10005])),
            (&nothing, "app", (10001, 10005, vec![77, 10005])),
            (&uid, "app", (20000, 0, vec![0])),
            (&both, "", (20000, 20001, vec![20001])),
            (&known, "", (10001, 10005, vec![77, 10005])),
        ] {
            assert_eq!(run(security, image_user), Some(expected), "{security:?} USER {image_user:?}");
        }
    }

    #[test]
    fn an_unknown_name_is_nobody() {
        assert_eq!(run(&SecurityContext::default(), "nobody"), None);
    }

    #[test]
    fn the_strict_policy_leaves_the_images_groups_out() {
        let security = SecurityContext { strict_groups: true, supplemental_groups: vec![5], ..Default::default() };
        assert_eq!(run(&security, "app"), Some((10001, 10005, vec![5, 10005])));
    }

    #[test]
    fn a_link_in_the_image_does_not_lead_out_of_it() {
        let image = image();
        fs::remove_file(image.path().join("etc/passwd")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", image.path().join("etc/passwd")).unwrap();
        assert_eq!(read_in_root(image.path(), "etc/passwd"), "");
    }
}

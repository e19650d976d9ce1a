//! Which virtual machine a process has loaded, and which performance data are its own, as its memory map tells.

/// The libraries of a JVM in `/proc/PID/maps`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Libraries {
    /// The path of libjvm.so in the target's root: HotSpot, or OpenJ9's front.
    pub(crate) libjvm: Option<Vec<u8>>,
    /// OpenJ9's own library is there too.
    pub(crate) openj9: bool,
    /// The inodes of files called as HotSpot's performance data are, `…/hsperfdata_USER/PID`.
    pub(crate) performance_data: Vec<u64>,
}

impl Libraries {
    /// A library that was replaced on disk (an upgrade under a running JVM) still counts.
    pub(super) fn parse(maps: &[u8]) -> Libraries {
        let mut found = Libraries::default();
        for line in maps.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b" (deleted)").unwrap_or(line);
            let Some(start) = line.iter().position(|byte| *byte == b'/') else { continue };
            let path = &line[start..];
            let mut parts = path.rsplit(|byte| *byte == b'/');
            let (name, folder) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            if folder.starts_with(b"hsperfdata_") {
                found.performance_data.extend(inode(&line[..start]));
            } else if name == b"libjvm.so" {
                found.libjvm.get_or_insert_with(|| path.to_vec());
            } else if name.starts_with(b"libj9vm") {
                found.openj9 = true;
            }
        }
        found
    }
}

/// The last of the fields before the path. The device beside it is another than stat(2) tells on overlayfs and btrfs.
fn inode(fields: &[u8]) -> Option<u64> {
    let field = fields.trim_ascii_end().rsplit(|byte| *byte == b' ').next()?;
    std::str::from_utf8(field).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libjvm_is_found_with_its_path_also_when_it_was_replaced_on_disk() {
        let path = b"/opt/my jdk/lib/server/libjvm.so";
        for suffix in ["", " (deleted)"] {
            let maps = format!(
                "7f00-7f01 r--p 00000000 08:01 5 /opt/my jdk/lib/libjava.so\n\
                 7f02-7f03 r-xp 00000000 08:01 6                  {}{suffix}\n7f04-7f05 rw-p 00000000 00:00 0 \n",
                String::from_utf8_lossy(path)
            );
            let found = Libraries::parse(maps.as_bytes());
            assert_eq!(found.libjvm.as_deref(), Some(path.as_slice()));
            assert!(!found.openj9);
        }
    }

    #[test]
    fn openj9_is_told_from_hotspot_though_both_have_a_libjvm() {
        let maps =
            b"1-2 r-xp 0 0:0 1 /opt/j9/lib/default/libjvm.so\n3-4 r-xp 0 0:0 2 /opt/j9/lib/default/libj9vm29.so\n";
        assert!(Libraries::parse(maps).openj9);
    }

    #[test]
    fn performance_data_are_known_by_the_inodes_of_what_is_mapped() {
        let maps = b"1-2 rw-s 00000000 00:2f 4711                       /tmp/hsperfdata_app/1\n\
            3-4 rw-s 00000000 00:2f 4712                       /srv/root/tmp/hsperfdata_a b/1 (deleted)\n\
            5-6 rw-s 00000000 00:2f 4713                       /tmp/hsperfdata_app\n\
            7-8 rw-s 00000000 00:2f -1 /tmp/hsperfdata_app/1\n";
        assert_eq!(Libraries::parse(maps).performance_data, [4711, 4712]);
    }

    #[test]
    fn a_name_that_only_contains_libjvm_is_none() {
        let maps =
            b"1-2 r-xp 0 0:0 1 /opt/libjvm.so.bak\n1-2 r-xp 0 0:0 1 /opt/notlibjvm.so\n1-2 r-xp 0 0:0 1 libjvm.so\n";
        assert_eq!(Libraries::parse(maps), Libraries::default());
    }
}

//! Whose the connection is. Two JVMs whose containers share a /tmp may have the same pid and user: both find the file that is
//! meant for one, and TCP has no SO_PEERCRED. So the socket is looked for among the target's.

use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use jattach_protocol::Failure;
use nix::fcntl::{OFlag, readlinkat};

use crate::jvm::clash;
use crate::process::identity::explain_refusal;
use crate::process::{Target, names_in};

/// How many descriptors of the target are looked at.
const MAX_DESCRIPTORS: usize = 1 << 20;

/// Fails unless the target has the socket that is connected from port `theirs` to our port `ours`.
pub(super) fn require(target: &Target<'_>, ours: u16, theirs: u16) -> Result<(), Failure> {
    let inode = ["net/tcp6", "net/tcp"].iter().find_map(|table| {
        let table = target.read(table).ok()?;
        inode(&table, ours, theirs).map(<[u8]>::to_vec)
    });
    let descriptors = target
        .open_entry(b"fd", OFlag::O_RDONLY | OFlag::O_DIRECTORY)
        .map_err(|errno| explain_refusal(target, &format!("/proc/{}/fd", target.pid()), errno))?;
    let socket = [b"socket:[", inode.as_deref().unwrap_or(b"?"), b"]"].concat();
    for name in names_in(descriptors.as_fd(), MAX_DESCRIPTORS) {
        if readlinkat(&descriptors, name.as_slice()).is_ok_and(|link| link.as_bytes() == socket) {
            return Ok(());
        }
    }
    Err(clash(
        format!("another JVM answers in place of process {}", target.pid()),
        "it read the file meant for the target, and its connection is none of the target's",
    ))
}

/// The inode of a socket in /proc/net/tcp (proc_net_tcp.txt of the kernel's documentation), by its own port and the other's.
fn inode(table: &[u8], other: u16, own: u16) -> Option<&[u8]> {
    let (own, other) = (format!(":{own:04X}"), format!(":{other:04X}"));
    table.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.split(|byte| *byte == b' ').filter(|field| !field.is_empty());
        let is_own = fields.nth(1)?.ends_with(own.as_bytes());
        let is_it = fields.next()?.ends_with(other.as_bytes()) && is_own;
        fields.nth(6).filter(|_| is_it)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_found_by_both_its_ports() {
        let table =
            b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 111 1 0 100 0\n\
            1: 0100007F:C001 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 222 1 0 20 4\n\
            2: 0100007F:1F90 0100007F:C001 01 00000000:00000000 00:00000000 00000000  1000        0 333 1 0 20 4\n";
        assert_eq!(inode(table, 0x1f90, 0xc001), Some(b"222".as_slice()));
        assert_eq!(inode(table, 0xc001, 0x1f90), Some(b"333".as_slice()));
        assert_eq!(inode(table, 0x1f90, 0xc002), None);
        assert_eq!(inode(b"", 1, 2), None);
    }
}

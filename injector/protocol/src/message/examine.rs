//! What `doctor` asks of the injector: a look at the JVM and at the room around it.

use super::{MAX_NAME, clip};
use crate::failure::Identity;
use crate::wire::{Error, Reader, Writer};

/// What a look has shown that touches nothing ([`Operation::Examine`](super::Operation::Examine)). Names and numbers of the
/// target are its own word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// What the injector runs as; its capabilities are those it may use.
    pub own: Identity,
    /// What the JVM runs as.
    pub theirs: Identity,
    /// The injector's security label (AppArmor, SELinux); empty where there is none.
    pub own_label: String,
    /// The JVM's; empty where there is none, or it may not be read.
    pub label: String,
    /// The most bytes of a heap dump that may wait in the pod, as far as disk and limits go.
    pub spool: u64,
    /// Bytes that are free where they would wait; 0 where there is no such place.
    pub free: u64,
    /// Bytes that are free in the target's /tmp, where that can be seen.
    pub tmp: Option<u64>,
    /// The memory of the target's control group, where that can be seen.
    pub memory: Option<Memory>,
    /// Bytes in use in the heap, as the JVM has published them; 0 where it does not.
    pub heap_used: u64,
    /// How many mounts over the target's /tmp are ours, and nobody's any more.
    pub left_behind: u32,
}

/// The memory of a control group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Bytes in use that the kernel cannot take back at once, as the kubelet counts them.
    pub used: u64,
    /// The most that it may use; 0 for no limit.
    pub limit: u64,
}

pub(super) fn write_examined(examined: &Examined, out: &mut Writer<'_>) {
    for Identity { uid, gid, capabilities } in [examined.own, examined.theirs] {
        out.u32(uid);
        out.u32(gid);
        out.u64(capabilities);
    }
    [&examined.own_label, &examined.label].into_iter().for_each(|label| out.str(clip(label, MAX_NAME)));
    [examined.spool, examined.free, examined.heap_used].into_iter().for_each(|number| out.u64(number));
    out.u32(examined.left_behind);
    out.u8(examined.tmp.is_some().into());
    examined.tmp.into_iter().for_each(|free| out.u64(free));
    out.u8(examined.memory.is_some().into());
    examined.memory.into_iter().for_each(|memory| {
        out.u64(memory.used);
        out.u64(memory.limit);
    });
}

pub(super) fn read_examined(from: &mut Reader<'_>) -> Result<Examined, Error> {
    let (own, theirs) = (read_identity(from)?, read_identity(from)?);
    let (own_label, label) = (from.string()?, from.string()?);
    let [spool, free, heap_used] = [from.u64()?, from.u64()?, from.u64()?];
    let left_behind = from.u32()?;
    let tmp = if from.flag("/tmp")? { Some(from.u64()?) } else { None };
    let memory = if from.flag("memory")? { Some(Memory { used: from.u64()?, limit: from.u64()? }) } else { None };
    Ok(Examined { own, theirs, own_label, label, spool, free, tmp, memory, heap_used, left_behind })
}

fn read_identity(from: &mut Reader<'_>) -> Result<Identity, Error> {
    Ok(Identity { uid: from.u32()?, gid: from.u32()?, capabilities: from.u64()? })
}

//! zstd's simple compression, called without the `zstd` crate's wrapper: that one reaches for the streaming functions, even
//! where nothing streams, and they weigh 9 KB.
#![expect(unsafe_code, reason = "calls into C")]

use std::ptr::NonNull;

use zstd::zstd_safe::zstd_sys;

/// The fastest level that still makes a heap dump a quarter of its size.
const LEVEL: i32 = 1;

/// A compressor whose memory serves one block after the other.
pub(crate) struct Compressor(NonNull<zstd_sys::ZSTD_CCtx>);

impl Compressor {
    /// None where there is no memory for it.
    pub(crate) fn new() -> Option<Compressor> {
        // SAFETY: takes nothing, and gives a context of our own or null.
        NonNull::new(unsafe { zstd_sys::ZSTD_createCCtx() }).map(Compressor)
    }

    /// Compresses `from` as one zstd frame into `to`, and tells its length; none where it does not fit.
    pub(crate) fn compress(&mut self, from: &[u8], to: &mut [u8]) -> Option<usize> {
        let (context, room, length) = (self.0.as_ptr(), to.len(), from.len());
        let (from, to) = (from.as_ptr().cast(), to.as_mut_ptr().cast());
        // SAFETY: the context is live and ours alone, both buffers are live for the call and as long as is said.
        let packed = unsafe { zstd_sys::ZSTD_compressCCtx(context, to, room, from, length, LEVEL) };
        // SAFETY: takes an integer.
        let failed = unsafe { zstd_sys::ZSTD_isError(packed) } != 0;
        (!failed).then_some(packed)
    }
}

impl Drop for Compressor {
    fn drop(&mut self) {
        // SAFETY: the context is live, and nobody uses it after this.
        unsafe { zstd_sys::ZSTD_freeCCtx(self.0.as_ptr()) };
    }
}

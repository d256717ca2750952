//! How do packed and foreign bytes become text? Readers that count, guard, check, decode and mend line ends on the
//! way, a piece at a time.

use std::fmt;
use std::io::{Error, ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Unpacked bytes from which on the ratio is looked at.
const GUARDED_BYTES: u64 = 64 << 20;
/// Times that text may be longer than its packed form. Logs reach 5 to 100.
pub(super) const MOST_RATIO: u64 = 300;

/// Counts the bytes that pass: for the progress bar, and for a guard.
pub(super) struct Counted<R> {
    pub inner: R,
    pub progress: Arc<AtomicU64>,
    pub own: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(out)?;
        self.progress.fetch_add(read as u64, Ordering::Relaxed);
        self.own.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Why a guard stopped the unpacking.
#[derive(Debug)]
pub(super) struct Bomb;

impl fmt::Display for Bomb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it unpacks to more than {MOST_RATIO} times its size")
    }
}

impl std::error::Error for Bomb {}

/// True when bytes unpack to far more than logs do.
pub(super) fn is_bomb(packed: u64, unpacked: u64) -> bool {
    unpacked > GUARDED_BYTES && unpacked / MOST_RATIO > packed
}

/// Stops an archive that unpacks to far more than logs do.
pub(super) struct Guarded<R> {
    pub inner: R,
    pub packed: Arc<AtomicU64>,
    pub unpacked: u64,
}

impl<R: Read> Read for Guarded<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(out)?;
        self.unpacked += read as u64;
        if is_bomb(self.packed.load(Ordering::Relaxed), self.unpacked) {
            return Err(Error::other(Bomb));
        }
        Ok(read)
    }
}

/// Compares what was unpacked with the checksum of the archive.
pub(super) struct Checked<R> {
    pub inner: flate2::CrcReader<R>,
    pub expected: u32,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(out)?;
        let is_end = read == 0 && !out.is_empty();
        if is_end && self.inner.crc().sum() != self.expected {
            return Err(Error::new(ErrorKind::InvalidData, "its checksum does not fit"));
        }
        Ok(read)
    }
}

/// Text of one line end: a carriage return alone becomes a line feed.
pub(super) struct LineEnds<R>(pub R);

impl<R: Read> Read for LineEnds<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = self.0.read(out)?;
        for byte in out.iter_mut().take(read).filter(|byte| **byte == b'\r') {
            *byte = b'\n';
        }
        Ok(read)
    }
}

/// Another encoding as UTF-8, a piece at a time.
pub(super) struct Transcoded<R> {
    inner: R,
    decoder: encoding_rs::Decoder,
    ready: Vec<u8>,
    served: usize,
    ended: bool,
}

impl<R: Read> Transcoded<R> {
    pub fn new(inner: R, charset: &'static encoding_rs::Encoding) -> Self {
        Self {
            inner,
            decoder: charset.new_decoder_with_bom_removal(),
            ready: Vec::new(),
            served: 0,
            ended: false,
        }
    }
}

impl<R: Read> Read for Transcoded<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        while self.served == self.ready.len() && !self.ended {
            let mut piece = vec![0; 1 << 16];
            let read = self.inner.read(&mut piece)?;
            self.ended = read == 0;
            let mut text =
                String::with_capacity(self.decoder.max_utf8_buffer_length(read).unwrap_or(read * 3 + 16));
            let _ = self.decoder.decode_to_string(&piece[..read], &mut text, self.ended);
            self.ready = text.into_bytes();
            self.served = 0;
        }
        let serve = out.len().min(self.ready.len() - self.served);
        out[..serve].copy_from_slice(&self.ready[self.served..self.served + serve]);
        self.served += serve;
        Ok(serve)
    }
}

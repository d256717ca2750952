//! How do packed and foreign bytes become text? Readers that count, guard, check, decode and mend line ends on the
//! way, a piece at a time.

use memchr::memchr;
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
    currency: Option<char>,
    /// True when a backslash waits for the character after it.
    is_held: bool,
    ready: Vec<u8>,
    served: usize,
    ended: bool,
}

impl<R: Read> Transcoded<R> {
    pub fn new(inner: R, charset: &'static encoding_rs::Encoding) -> Self {
        Self {
            inner,
            decoder: charset.new_decoder_with_bom_removal(),
            currency: currency_at_backslash(charset),
            is_held: false,
            ready: Vec::new(),
            served: 0,
            ended: false,
        }
    }
}

/// The sign of the currency that people of these encodings see where a backslash is stored.
fn currency_at_backslash(charset: &'static encoding_rs::Encoding) -> Option<char> {
    match charset.name() {
        "Shift_JIS" => Some('¥'),
        "EUC-KR" => Some('₩'),
        _ => None,
    }
}

/// The text with that sign for each backslash before a digit; elsewhere it may stand in a path or an escape.
fn with_currency(text: &str, sign: char) -> String {
    let mut letters = text.chars().peekable();
    let mut read = String::with_capacity(text.len());
    while let Some(letter) = letters.next() {
        let is_sign = letter == '\\' && letters.peek().is_some_and(char::is_ascii_digit);
        read.push(if is_sign { sign } else { letter });
    }
    read
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
            if let Some(sign) = self.currency {
                if std::mem::take(&mut self.is_held) {
                    text.insert(0, '\\');
                }
                if !self.ended && text.ends_with('\\') {
                    text.pop();
                    self.is_held = true;
                }
                if memchr(b'\\', text.as_bytes()).is_some() {
                    text = with_currency(&text, sign);
                }
            }
            self.ready = text.into_bytes();
            self.served = 0;
        }
        let serve = out.len().min(self.ready.len() - self.served);
        out[..serve].copy_from_slice(&self.ready[self.served..self.served + serve]);
        self.served += serve;
        Ok(serve)
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{cells, try_open};
    use super::*;

    #[test]
    fn a_backslash_before_digits_is_the_sign_that_people_see() {
        for (charset, city, sign) in
            [(encoding_rs::SHIFT_JIS, "東京", '¥'), (encoding_rs::EUC_KR, "서울에서", '₩')]
        {
            // A name that fills the piece that is decoded at once, so that a sign is parted from its number.
            for filling in (1 << 16) - 60..(1 << 16) - 20 {
                let rows = format!("city,cost\n{city},\\70\n{},\\1300\na\\b,\\5\n", "x".repeat(filling));
                let (bytes, _, has_unmappable) = charset.encode(&rows);
                assert!(!has_unmappable);
                let mut text = String::new();
                Transcoded::new(bytes.as_ref(), charset).read_to_string(&mut text).unwrap();
                assert_eq!(text.matches(sign).count(), 3, "{filling}");
                assert!(text.contains("a\\b"));
            }
        }
        let rows = "都市,費用\n東京,\\70\n大阪,\\1300\n".repeat(5);
        let (bytes, ..) = encoding_rs::SHIFT_JIS.encode(&rows);
        let log = try_open(&bytes).unwrap();
        assert_eq!(cells(&log, "費用")[..2], ["70", "1300"]);
    }
}

//! What is this file, before anyone reads it as a table? Container, encoding, and its first bytes.
//!
//! Everything is decided by content: a `.csv` may be gzip, UTF-16 or a picture.

use super::guess::{Guess, Plan};
use crate::base::files::disk_failure;
use crate::base::{Failure, Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many bytes of text importers look at before they choose.
const HEAD_BYTES: u64 = 256 * 1024;

/// How the bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// As they are.
    Plain,
    /// gzip, possibly in several members.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// How characters are written, as far as a byte order mark tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8 (or ASCII) without a mark.
    Utf8,
    /// UTF-8 with a mark of three bytes, which is no part of the first name.
    Utf8Marked,
    /// UTF-16, low byte first.
    Utf16Le,
    /// UTF-16, high byte first.
    Utf16Be,
}

/// A file that can be read from its start as often as needed.
#[derive(Debug, Clone)]
pub struct Input {
    /// Where it lies.
    pub path: PathBuf,
    /// Its size on disk.
    pub bytes: u64,
    /// How it is packed.
    pub container: Container,
    /// How its characters are written.
    pub encoding: Encoding,
    /// The first unpacked bytes, as UTF-8 without a mark where they are text.
    pub head: Vec<u8>,
    /// True when `head` is the whole file.
    pub head_is_all: bool,
    /// How some columns of a text are to be read, whatever their cells look like.
    pub readings: BTreeMap<String, Plan>,
}

impl Input {
    /// Looks at a file: finds its container and encoding and unpacks its head.
    ///
    /// # Errors
    /// No such file, a folder, an empty file, a picture or another kind that holds no log, broken compression.
    pub fn open(path: &Path) -> Result<Self> {
        let metadata = std::fs::metadata(path).map_err(|error| disk_failure(WHAT, path, &error))?;
        if metadata.is_dir() {
            return Err(Failure::new(WHAT, "it is a folder").at(path.display()).hint("choose a file in it"));
        }
        let mut input = Self {
            path: path.to_owned(),
            bytes: metadata.len(),
            container: Container::Plain,
            encoding: Encoding::Utf8,
            head: Vec::new(),
            head_is_all: false,
            readings: BTreeMap::new(),
        };
        let start = input.read_start(4)?;
        input.container = match start.as_slice() {
            [0x1f, 0x8b, ..] => Container::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd] => Container::Zstd,
            _ => Container::Plain,
        };
        let start = input.read_start(16)?;
        if start.is_empty() {
            return Err(Failure::new(WHAT, "the file is empty").at(path.display()).hint("export it again"));
        }
        input.encoding = match start.as_slice() {
            [0xef, 0xbb, 0xbf, ..] => Encoding::Utf8Marked,
            [0xff, 0xfe, ..] => Encoding::Utf16Le,
            [0xfe, 0xff, ..] => Encoding::Utf16Be,
            _ => Encoding::Utf8,
        };
        input.refuse_other_kinds(&start)?;
        let mut text = input.text(&Arc::default())?.take(HEAD_BYTES);
        let read = text.read_to_end(&mut input.head);
        read.map_err(|error| input.read_failure(&error))?;
        input.head_is_all = (input.head.len() as u64) < HEAD_BYTES;
        Ok(input)
    }

    /// The unpacked bytes as they are, for binary formats. `progress` counts bytes read from the disk.
    ///
    /// # Errors
    /// What the disk answers.
    pub fn unpacked(&self, progress: &Arc<AtomicU64>) -> Result<Box<dyn Read + Send>> {
        let file = File::open(&self.path).map_err(|error| disk_failure(WHAT, &self.path, &error))?;
        let counted = Counted { inner: BufReader::with_capacity(1 << 18, file), count: Arc::clone(progress) };
        Ok(match self.container {
            Container::Plain => Box::new(counted),
            Container::Gzip => Box::new(flate2::read::MultiGzDecoder::new(counted)),
            Container::Zstd => Box::new(
                zstd::stream::read::Decoder::new(counted).map_err(|error| self.read_failure(&error))?,
            ),
        })
    }

    /// The unpacked text as UTF-8 without a byte order mark.
    ///
    /// # Errors
    /// What the disk answers.
    pub fn text(&self, progress: &Arc<AtomicU64>) -> Result<Box<dyn Read + Send>> {
        let mut unpacked = self.unpacked(progress)?;
        match self.encoding {
            Encoding::Utf8 => Ok(unpacked),
            Encoding::Utf8Marked => {
                let mut mark = [0; 3];
                unpacked.read_exact(&mut mark).map_err(|error| self.read_failure(&error))?;
                Ok(unpacked)
            }
            Encoding::Utf16Le => Ok(Box::new(Transcoded::new(unpacked, encoding_rs::UTF_16LE))),
            Encoding::Utf16Be => Ok(Box::new(Transcoded::new(unpacked, encoding_rs::UTF_16BE))),
        }
    }

    /// How a column is read: as was asked for, or as its cells tell; and what a person should know about it.
    pub fn plan(&self, name: &str, guess: &Guess) -> (Plan, Option<String>) {
        self.readings.get(name).map_or_else(|| guess.plan(name), |plan| (*plan, None))
    }

    /// A failure of reading, told with what it means for this container.
    pub fn read_failure(&self, error: &std::io::Error) -> Failure {
        let broken = matches!(
            error.kind(),
            ErrorKind::UnexpectedEof | ErrorKind::InvalidInput | ErrorKind::InvalidData
        );
        if self.container != Container::Plain && broken {
            return Failure::new(WHAT, format!("the compressed file is cut off or damaged ({error})"))
                .at(self.path.display())
                .hint("copy or download it again");
        }
        disk_failure(WHAT, &self.path, error)
    }

    /// "gzip, utf-8 with mark": what was found before the format; empty when there is nothing to say.
    pub fn describe(&self) -> String {
        let container = match self.container {
            Container::Plain => "",
            Container::Gzip => ", gzip",
            Container::Zstd => ", zstd",
        };
        let encoding = match self.encoding {
            Encoding::Utf8 => "",
            Encoding::Utf8Marked => ", byte order mark",
            Encoding::Utf16Le | Encoding::Utf16Be => ", utf-16",
        };
        format!("{container}{encoding}")
    }

    fn read_start(&self, bytes: u64) -> Result<Vec<u8>> {
        let mut start = Vec::new();
        let mut unpacked = self.unpacked(&Arc::default())?.take(bytes);
        let read = unpacked.read_to_end(&mut start);
        read.map_err(|error| self.read_failure(&error))?;
        Ok(start)
    }

    fn refuse_other_kinds(&self, start: &[u8]) -> Result<()> {
        let known = OTHER_KINDS.iter().find(|(magic, ..)| start.starts_with(magic));
        if let Some((_, kind, hint)) = known {
            return Err(Failure::new(WHAT, format!("it is {kind}, not a log"))
                .at(self.path.display())
                .hint(*hint));
        }
        Ok(())
    }
}

const WHAT: &str = "cannot read the log";

/// Kinds of file that people drop by mistake, by their first bytes.
const OTHER_KINDS: &[(&[u8], &str, &str)] = &[
    (b"\x89PNG", "a PNG picture", "choose the log itself"),
    (b"\xff\xd8\xff", "a JPEG picture", "choose the log itself"),
    (b"GIF8", "a GIF picture", "choose the log itself"),
    (b"%PDF", "a PDF document", "export the table as CSV"),
    (b"PK\x03\x04", "a zip archive or an office workbook", "unpack it, or save the sheet as CSV"),
    (b"BZh", "a bzip2 archive", "unpack it with bunzip2"),
    (b"\xfd7zXZ", "an xz archive", "unpack it with unxz"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it"),
    (b"SQLite format 3", "an SQLite database", "export the table as CSV"),
    (b"\x7fELF", "a program", "choose the log itself"),
];

/// Counts the bytes that pass, for the progress bar.
struct Counted<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(out)?;
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Another encoding as UTF-8, a piece at a time.
struct Transcoded<R> {
    inner: R,
    decoder: encoding_rs::Decoder,
    ready: Vec<u8>,
    served: usize,
    ended: bool,
}

impl<R: Read> Transcoded<R> {
    fn new(inner: R, encoding: &'static encoding_rs::Encoding) -> Self {
        Self {
            inner,
            decoder: encoding.new_decoder_with_bom_removal(),
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

//! What is this file, before anyone reads it as a table? Container, encoding, and its first bytes.
//!
//! Everything is decided by content: a `.csv` may be gzip, UTF-16 or a picture.

use super::archive::{self, Entry};
use super::encoding::Encoding;
use super::guess::{Guess, Plan};
use super::keep::Keep;
use super::reading::Reading;
use super::unpack::{Bomb, Counted, Guarded, LineEnds, Transcoded};
use crate::base::files::disk_failure;
use crate::base::{Failure, Result};
use crate::data::layout::Layout;
use memchr::memchr;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Bytes of a file that are read at once where it is unpacked; text is read in larger pieces.
const PACKED_BYTES: usize = 1 << 16;
/// Bytes that tell the encoding by a mark or by their zeros.
const START_BYTES: u64 = 4096;
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
    /// bzip2, possibly in several streams.
    Bzip2,
    /// The only log in a zip archive.
    Zip,
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
    /// What a person has decided about the reading.
    pub reading: Reading,
    /// Which rows are kept.
    pub keep: Keep,
    /// Where the log lies in a zip archive.
    entry: Option<Entry>,
    /// True when lines end with a carriage return alone, as on the first Macintosh.
    has_returns: bool,
}

impl Input {
    /// Looks at a file: finds its container and encoding and unpacks its head.
    ///
    /// # Errors
    /// No such file, a folder, an empty file, a picture or another kind that holds no log, broken compression, an
    /// archive of several files.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_as(path, &Reading::default())
    }

    /// Looks at a file, as [`Input::open`], where a person has decided some things about it.
    ///
    /// # Errors
    /// As [`Input::open`]; an encoding that does not exist.
    pub fn open_as(path: &Path, reading: &Reading) -> Result<Self> {
        let metadata = std::fs::metadata(path).map_err(|error| disk_failure(WHAT, path, &error))?;
        if metadata.is_dir() {
            return Err(Failure::new(WHAT, "it is a folder").at(path.display()).hint("choose a file in it"));
        }
        let mut input = Self {
            path: path.to_owned(),
            bytes: metadata.len(),
            container: Container::Plain,
            encoding: Encoding::of_start(&[], &Reading::default())?,
            head: Vec::new(),
            head_is_all: false,
            reading: reading.clone(),
            keep: Keep::default(),
            entry: None,
            has_returns: false,
        };
        input.find_container()?;
        let start = input.read_start(START_BYTES)?;
        if start.is_empty() {
            return Err(Failure::new(WHAT, "the file is empty").at(path.display()).hint("export it again"));
        }
        input.refuse_other_kinds(&start)?;
        input.encoding = Encoding::of_start(&start, reading).map_err(|failure| failure.at(path.display()))?;
        input.read_head()?;
        if let Some(other) = input.other_encoding()? {
            input.encoding = other;
            input.read_head()?;
        }
        Ok(input)
    }

    fn find_container(&mut self) -> Result<()> {
        let start = self.read_start(4)?;
        self.container = match start.as_slice() {
            [0x1f, 0x8b, ..] => Container::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd] => Container::Zstd,
            [b'B', b'Z', b'h', b'1'..=b'9'] => Container::Bzip2,
            b"PK\x03\x04" | b"PK\x05\x06" => {
                self.entry = archive::find_log(&self.path)?;
                // A workbook is an archive, but its reader opens it itself.
                if self.entry.is_some() { Container::Zip } else { Container::Plain }
            }
            _ => Container::Plain,
        };
        Ok(())
    }

    fn read_head(&mut self) -> Result<()> {
        self.head.clear();
        self.has_returns = false;
        let mut text = self.text(&Arc::default())?.take(HEAD_BYTES);
        let read = text.read_to_end(&mut self.head);
        read.map_err(|error| self.read_failure(&error))?;
        self.head_is_all = (self.head.len() as u64) < HEAD_BYTES;
        if memchr(b'\r', &self.head).is_some() && memchr(b'\n', &self.head).is_none() {
            self.has_returns = true;
            self.head.iter_mut().filter(|byte| **byte == b'\r').for_each(|byte| *byte = b'\n');
        }
        Ok(())
    }

    /// Another encoding than UTF-8, where the head is no UTF-8 and all lines together say so.
    fn other_encoding(&self) -> Result<Option<Encoding>> {
        let is_text = !self.head.contains(&0);
        match std::str::from_utf8(&self.head) {
            // A character may be cut in two at the end of the head.
            Err(error) if is_text && error.error_len().is_some() => self.encoding_of_all_lines(),
            _ => Ok(None),
        }
    }

    /// The encoding that all lines of the file tell, where it is not the one that was chosen. It reads the whole
    /// file, so it is asked only where some line is no UTF-8.
    ///
    /// # Errors
    /// What the disk answers.
    fn encoding_of_all_lines(&self) -> Result<Option<Encoding>> {
        if self.encoding.is_asked || !self.encoding.is_utf8() || self.encoding.mark_bytes > 0 {
            return Ok(None);
        }
        let source = self.unpacked(&Arc::default())?;
        let found = Encoding::of_lines(source).map_err(|error| self.read_failure(&error))?;
        Ok((found != self.encoding).then_some(found))
    }

    /// The same file in the encoding that all its lines tell, after some turned out to be no UTF-8; `None` when it
    /// stays UTF-8.
    ///
    /// # Errors
    /// What the disk answers.
    pub(super) fn in_other_encoding(&self) -> Result<Option<Self>> {
        let Some(encoding) = self.encoding_of_all_lines()?.filter(|encoding| !encoding.is_utf8()) else {
            return Ok(None);
        };
        let mut input = Self { encoding, ..self.clone() };
        input.read_head()?;
        Ok(Some(input))
    }

    /// The unpacked bytes as they are, for binary formats. `progress` counts bytes read from the disk.
    ///
    /// # Errors
    /// What the disk answers.
    pub fn unpacked(&self, progress: &Arc<AtomicU64>) -> Result<Box<dyn Read + Send>> {
        let mut file = File::open(&self.path).map_err(|error| disk_failure(WHAT, &self.path, &error))?;
        if let Some(entry) = &self.entry {
            let seek = file.seek(SeekFrom::Start(entry.start));
            seek.map_err(|error| disk_failure(WHAT, &self.path, &error))?;
        }
        let packed = Arc::new(AtomicU64::new(0));
        let counted = Counted {
            inner: BufReader::with_capacity(PACKED_BYTES, file),
            progress: Arc::clone(progress),
            own: Arc::clone(&packed),
        };
        let inner: Box<dyn Read + Send> = match (self.container, &self.entry) {
            (Container::Plain, _) => return Ok(Box::new(counted)),
            (Container::Gzip, _) => Box::new(flate2::read::MultiGzDecoder::new(counted)),
            (Container::Bzip2, _) => Box::new(bzip2::read::MultiBzDecoder::new(counted)),
            (Container::Zip, Some(entry)) => entry.unpacked(counted),
            (Container::Zip | Container::Zstd, _) => Box::new(
                zstd::stream::read::Decoder::new(counted).map_err(|error| self.read_failure(&error))?,
            ),
        };
        Ok(Box::new(Guarded { inner, packed, unpacked: 0 }))
    }

    /// The unpacked text as UTF-8 without a byte order mark.
    ///
    /// # Errors
    /// What the disk answers.
    pub fn text(&self, progress: &Arc<AtomicU64>) -> Result<Box<dyn Read + Send>> {
        let mut unpacked = self.unpacked(progress)?;
        let mut mark = vec![0; self.encoding.mark_bytes];
        unpacked.read_exact(&mut mark).map_err(|error| self.read_failure(&error))?;
        let text: Box<dyn Read + Send> = if self.encoding.is_utf8() {
            unpacked
        } else {
            Box::new(Transcoded::new(unpacked, self.encoding.charset))
        };
        Ok(if self.has_returns { Box::new(LineEnds(text)) } else { text })
    }

    /// How a column is read: as was asked for, or as its cells tell; and what a person should know about it.
    pub fn plan(&self, name: &str, guess: &Guess) -> (Plan, Option<String>) {
        self.reading.columns.get(name).map_or_else(|| guess.plan(name), |plan| (*plan, None))
    }

    /// A failure of reading, told with what it means for this container.
    pub fn read_failure(&self, error: &std::io::Error) -> Failure {
        if error.get_ref().is_some_and(|inner| inner.is::<Bomb>()) {
            return Failure::new(WHAT, error)
                .at(self.path.display())
                .hint("unpack it by hand if you trust it");
        }
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
            Container::Bzip2 => ", bzip2",
            Container::Zip => ", zip",
        };
        let encoding = match (self.encoding.is_utf8(), self.encoding.mark_bytes) {
            (true, 0) => String::new(),
            (true, _) => ", byte order mark".to_owned(),
            (false, _) => format!(", {}", self.encoding.name().to_lowercase()),
        };
        format!("{container}{encoding}")
    }

    /// What was found before the format, as facts.
    pub(super) fn layout(&self) -> Layout {
        Layout {
            encoding: self.encoding.name().to_owned(),
            encoding_evidence: self.encoding.evidence.clone(),
            part: self.entry.as_ref().map(|entry| entry.name.clone()).unwrap_or_default(),
            ..Layout::default()
        }
    }

    fn read_start(&self, bytes: u64) -> Result<Vec<u8>> {
        let mut start = Vec::new();
        let mut unpacked = self.unpacked(&Arc::default())?.take(bytes);
        let read = unpacked.read_to_end(&mut start);
        read.map_err(|error| self.read_failure(&error))?;
        Ok(start)
    }

    fn refuse_other_kinds(&self, start: &[u8]) -> Result<()> {
        let is_packed_twice =
            self.container != Container::Plain && PACKED.iter().any(|magic| start.starts_with(magic));
        if is_packed_twice {
            return Err(Failure::new(WHAT, "it holds another compressed file")
                .at(self.path.display())
                .hint("unpack it once"));
        }
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

/// How compressed files begin.
const PACKED: [&[u8]; 3] = [b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"BZh"];

/// Kinds of file that people drop by mistake, by their first bytes.
const OTHER_KINDS: &[(&[u8], &str, &str)] = &[
    (b"\x89PNG", "a PNG picture", "choose the log itself"),
    (b"\xff\xd8\xff", "a JPEG picture", "choose the log itself"),
    (b"GIF8", "a GIF picture", "choose the log itself"),
    (b"%PDF", "a PDF document", "export the table as CSV"),
    (b"\xfd7zXZ", "an xz archive", "unpack it with unxz"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it"),
    (b"SQLite format 3", "an SQLite database", "export the table as CSV"),
    (b"\x7fELF", "a program", "choose the log itself"),
];

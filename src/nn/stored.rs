//! Where do weights lie that are kept beside those in training? In memory, or in a file when they are many.

use super::numbers::{FILE_FROM, folder};
use crate::base::Result;
use crate::base::files::disk_failure;
use memmap2::Mmap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::ops::Deref;
use std::path::Path;

/// Bytes that were written once, to be read.
#[derive(Debug)]
pub enum Stored {
    /// Few enough for memory.
    Memory(Vec<u8>),
    /// In a file, of which the system holds as much in memory as there is room for.
    File(Mmap),
}

impl Stored {
    /// Keeps the `bytes` that `write` writes: those of a model whose tables are in files go to a nameless one too.
    ///
    /// # Errors
    /// The disk has no room.
    pub fn written(bytes: usize, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<Self> {
        Self::written_from(FILE_FROM, bytes, write)
    }

    fn written_from(
        file_from: usize,
        bytes: usize,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<Self> {
        let folder = folder();
        let kept = || {
            if bytes < file_from {
                let mut kept = Vec::with_capacity(bytes);
                write(&mut kept)?;
                return Ok(Self::Memory(kept));
            }
            let mut out = BufWriter::new(tempfile::tempfile_in(&folder)?);
            write(&mut out)?;
            Ok(Self::File(map(&out.into_inner().map_err(io::IntoInnerError::into_error)?)?))
        };
        kept().map_err(|error| disk_failure("cannot keep the weights", &folder, &error))
    }

    /// What a file holds.
    ///
    /// # Errors
    /// What the disk answers.
    pub fn read(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.len() < FILE_FROM as u64 {
            return fs::read(path).map(Self::Memory);
        }
        map(&file).map(Self::File)
    }
}

impl Deref for Stored {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Memory(bytes) => bytes,
            Self::File(map) => map,
        }
    }
}

#[allow(unsafe_code, reason = "a map of a file is unsafe where others can change the file")]
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the file is nameless and ours alone, or one of weights, which this program only ever replaces by renaming
    // a new file over it: the old one keeps its contents as long as the map lives.
    unsafe { Mmap::map(file) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_file_hold_the_same_bytes() {
        for file_from in [1, FILE_FROM] {
            let kept = Stored::written_from(file_from, 5, |out| out.write_all(b"bytes")).unwrap();
            assert_eq!(matches!(kept, Stored::File(_)), file_from == 1);
            assert_eq!(&kept[..], b"bytes");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        fs::write(&path, "old").unwrap();
        assert_eq!(&Stored::read(&path).unwrap()[..], b"old");
        let mapped = map(&File::open(&path).unwrap()).unwrap();
        fs::write(folder.path().join("next"), "newer").unwrap();
        fs::rename(folder.path().join("next"), &path).unwrap();
        assert_eq!(&mapped[..], b"old");
        assert!(Stored::read(&folder.path().join("none")).is_err());
    }
}

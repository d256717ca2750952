//! Where do the numbers of a column lie? In memory, or in a file that the system pages in where it is read.
//!
//! Whoever reads sees a slice either way: the training step does not know the difference. Files are written through
//! `ArrayWriter`, byte by byte and never through a map, so that a full disk is an answer and no crash.

use crate::base::files::disk_failure;
use crate::base::{Failure, Result};
use bytemuck::Pod;
use memmap2::Mmap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::marker::PhantomData;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use xxhash_rust::xxh3::Xxh3;

/// Bytes of a writer's buffer.
const BUFFER: usize = 1 << 18;

/// Numbers of one kind, shared and never edited. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Array<T>(Place<T>);

#[derive(Debug, Clone)]
enum Place<T> {
    Memory(Arc<Vec<T>>),
    File(Arc<Mmap>),
}

impl<T: Pod> Array<T> {
    /// Maps a file of such numbers, which nobody changes.
    ///
    /// # Errors
    /// What the disk answers, or a size that is no whole number of numbers.
    pub(in crate::data) fn map(path: &Path) -> Result<Self> {
        let what = "cannot read the encoded rows";
        let explain = |error: std::io::Error| disk_failure(what, path, &error);
        let file = File::open(path).map_err(explain)?;
        let bytes = file.metadata().map_err(explain)?.len() as usize;
        if !bytes.is_multiple_of(size_of::<T>()) {
            return Err(Failure::new(what, "the file is cut short").at(path.display()));
        }
        if bytes == 0 {
            // No map is empty.
            return Ok(Self::default());
        }
        let map = map_unchanging(&file).map_err(explain)?;
        Ok(Self(Place::File(Arc::new(map))))
    }

    /// True when the numbers lie in a file.
    pub fn is_mapped(&self) -> bool {
        matches!(self.0, Place::File(_))
    }

    /// The same numbers in memory.
    #[must_use]
    pub fn in_memory(&self) -> Self {
        if self.is_mapped() { self.to_vec().into() } else { self.clone() }
    }

    /// Bytes that the numbers take.
    pub fn bytes(&self) -> u64 {
        size_of_val(&**self) as u64
    }

    /// Tells the system that these places will be read soon. Costs nothing where they lie in memory.
    pub fn will_read(&self, places: std::ops::Range<usize>) {
        #[cfg(unix)]
        if let Place::File(map) = &self.0 {
            let (start, end) = (places.start * size_of::<T>(), places.end * size_of::<T>());
            let end = end.min(map.len());
            if start < end {
                // A wish, not a need.
                let _ = map.advise_range(memmap2::Advice::WillNeed, start, end - start);
            }
        }
        #[cfg(not(unix))]
        let _ = places;
    }
}

impl<T: Pod> Deref for Array<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match &self.0 {
            Place::Memory(numbers) => numbers,
            // A map begins on a page and is whole numbers long, so the cast cannot fail.
            Place::File(map) => bytemuck::cast_slice(map),
        }
    }
}

impl<T> Default for Array<T> {
    fn default() -> Self {
        Self(Place::Memory(Arc::default()))
    }
}

impl<T> From<Vec<T>> for Array<T> {
    fn from(numbers: Vec<T>) -> Self {
        Self(Place::Memory(Arc::new(numbers)))
    }
}

impl<T> FromIterator<T> for Array<T> {
    fn from_iter<I: IntoIterator<Item = T>>(numbers: I) -> Self {
        Self::from(Vec::from_iter(numbers))
    }
}

impl<'a, T: Pod> IntoIterator for &'a Array<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: Pod + PartialEq> PartialEq for Array<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Pod + Eq> Eq for Array<T> {}

impl<T: Pod + PartialEq, const N: usize> PartialEq<[T; N]> for Array<T> {
    fn eq(&self, other: &[T; N]) -> bool {
        **self == other[..]
    }
}

#[allow(unsafe_code, reason = "a map of a file is unsafe where others can change the file")]
fn map_unchanging(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the file lies in a folder of the cache that this program alone writes to. It is written whole before
    // it is mapped, and from then on it is never written or shortened, only removed, which leaves maps valid.
    unsafe { Mmap::map(file) }
}

/// Writes numbers into a file, from the first to the last.
pub(in crate::data) struct ArrayWriter<T> {
    path: PathBuf,
    out: BufWriter<File>,
    hash: Xxh3,
    bytes: u64,
    kind: PhantomData<T>,
}

/// A file that was written: enough to see later whether it still is what it was.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(in crate::data) struct WrittenFile {
    pub name: String,
    pub bytes: u64,
    pub hash: u64,
}

impl<T: Pod> ArrayWriter<T> {
    /// An empty file.
    ///
    /// # Errors
    /// What the disk answers.
    pub fn create(folder: &Path, name: &str) -> Result<Self> {
        let path = folder.join(name);
        let file = File::create(&path).map_err(|error| disk_failure(WHAT_WRITE, &path, &error))?;
        let out = BufWriter::with_capacity(BUFFER, file);
        Ok(Self { path, out, hash: Xxh3::new(), bytes: 0, kind: PhantomData })
    }

    /// Adds numbers.
    ///
    /// # Errors
    /// What the disk answers.
    pub fn push(&mut self, numbers: &[T]) -> Result<()> {
        let bytes: &[u8] = bytemuck::cast_slice(numbers);
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes).map_err(|error| disk_failure(WHAT_WRITE, &self.path, &error))
    }

    /// The file, whole.
    ///
    /// # Errors
    /// What the disk answers.
    pub fn finish(mut self) -> Result<WrittenFile> {
        self.out.flush().map_err(|error| disk_failure(WHAT_WRITE, &self.path, &error))?;
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(WrittenFile { name, bytes: self.bytes, hash: self.hash.digest() })
    }
}

const WHAT_WRITE: &str = "cannot keep the encoded rows";

/// Where new arrays are made: in memory, or in files of a folder.
#[derive(Debug, Default)]
pub(in crate::data) struct Room {
    folder: Option<PathBuf>,
    written: Mutex<Vec<WrittenFile>>,
}

impl Room {
    /// In memory.
    pub fn memory() -> Self {
        Self::default()
    }

    /// In files.
    pub fn folder(path: &Path) -> Self {
        Self { folder: Some(path.to_owned()), ..Self::default() }
    }

    /// The files that were made here.
    pub fn into_written(self) -> Vec<WrittenFile> {
        self.written.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers that come one after another, under a name that is used once.
    ///
    /// # Errors
    /// What the disk answers.
    pub fn collect<T: Pod>(&self, name: &str, numbers: impl Iterator<Item = T>) -> Result<Array<T>> {
        /// Numbers that are put together before they are written.
        const PIECE: usize = 1 << 14;
        let Some(folder) = &self.folder else {
            return Ok(numbers.collect());
        };
        let mut writer = ArrayWriter::create(folder, name)?;
        let mut piece = Vec::with_capacity(PIECE);
        for number in numbers {
            piece.push(number);
            if piece.len() == PIECE {
                writer.push(&piece)?;
                piece.clear();
            }
        }
        writer.push(&piece)?;
        let written = writer.finish()?;
        self.written.lock().unwrap_or_else(PoisonError::into_inner).push(written);
        Array::map(&folder.join(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_file_read_alike() {
        let folder = tempfile::tempdir().unwrap();
        let numbers = || (0..100_000u32).map(|n| n.wrapping_mul(2_654_435_761));
        let kept = Room::memory().collect("x", numbers()).unwrap();
        let mapped = Room::folder(folder.path()).collect("x", numbers()).unwrap();
        assert!(mapped.is_mapped() && !kept.is_mapped());
        assert_eq!(kept, mapped);
        assert_eq!((mapped.len(), mapped[77], mapped.bytes()), (100_000, kept[77], 400_000));
        mapped.will_read(50..1_000_000);
        assert!(!mapped.in_memory().is_mapped() && mapped.in_memory() == mapped);
        let empty: Array<f32> = Room::folder(folder.path()).collect("empty", std::iter::empty()).unwrap();
        assert!(empty.is_empty());
    }

    #[test]
    fn a_file_that_is_cut_short_or_gone_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.u32");
        std::fs::write(&path, [0; 7]).unwrap();
        assert!(Array::<u32>::map(&path).unwrap_err().why.contains("cut short"));
        assert!(Array::<u32>::map(&folder.path().join("none")).is_err());
        let nowhere = Room::folder(&folder.path().join("no such folder"));
        assert!(nowhere.collect("x", 0..3u32).is_err());
    }
}

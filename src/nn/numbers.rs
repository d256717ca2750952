//! Where do the numbers of a table live? In memory, or in a file that the system pages in when it is too large.
//!
//! Both are memory maps: pages of 2 MB where the system grants them (rows are read in no order, and a miss of the
//! address cache costs as much as a miss of the data), zeros that cost nothing until they are written, and rows
//! that begin on a cache line. The file has no name, so nothing is left behind and nobody else can change it.

use crate::base::failure::Explain;
use crate::base::files::disk_failure;
use crate::base::{Failure, Result};
use memmap2::MmapMut;
use std::io::Write;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

/// Bytes from which on a table lives in a file.
pub const FILE_FROM: usize = 4 << 30;

/// Bytes of memory below which large pages bring nothing.
const LARGE_PAGES_FROM: usize = 8 << 20;

/// Bytes written at once.
const BLOCK: usize = 8 << 20;

/// A fixed number of f32, at first all 0.
#[derive(Debug)]
pub struct Numbers {
    map: MmapMut,
    count: usize,
    in_file: bool,
}

impl Numbers {
    /// `count` zeros: in memory, or in a nameless file when they take `file_from` bytes or more.
    ///
    /// # Errors
    /// There is not enough memory, or not enough room on the disk of [`folder`].
    pub fn zeros(count: usize, file_from: usize) -> Result<Self> {
        let bytes = count * size_of::<f32>();
        let in_file = bytes >= file_from.max(1);
        let map = if in_file { in_file_of(bytes, &folder())? } else { in_memory(bytes)? };
        Ok(Self { map, count, in_file })
    }

    /// True when they live in a file.
    pub fn in_file(&self) -> bool {
        self.in_file
    }
}

impl Deref for Numbers {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // A map begins on a page and holds any bit pattern, so the cast cannot fail.
        &bytemuck::cast_slice(&self.map[..])[..self.count]
    }
}

impl DerefMut for Numbers {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut bytemuck::cast_slice_mut(&mut self.map[..])[..self.count]
    }
}

fn in_memory(bytes: usize) -> Result<MmapMut> {
    // No map is empty.
    let map = MmapMut::map_anon(bytes.max(size_of::<f32>())).explain("cannot make the model's tables")?;
    #[cfg(target_os = "linux")]
    if bytes >= LARGE_PAGES_FROM {
        // A wish, not a need: a system without large pages trains a little slower.
        let _ = map.advise(memmap2::Advice::HugePage);
    }
    Ok(map)
}

fn in_file_of(bytes: usize, folder: &Path) -> Result<MmapMut> {
    let what = "cannot make the model's tables";
    let free = |error: std::io::Error| disk_failure(what, folder, &error);
    let file = tempfile::tempfile_in(folder).map_err(free)?;
    file.set_len(bytes as u64).map_err(free)?;
    // Written in full now: a disk that fills later would kill the program at some store to memory.
    let zeros = vec![0; BLOCK];
    for block in (0..bytes).step_by(BLOCK) {
        (&file).write_all(&zeros[..BLOCK.min(bytes - block)]).map_err(free)?;
    }
    map_alone(&file).map_err(|error| {
        Failure::new(what, error).at(folder.display()).hint("set TMPDIR to a folder on a disk with more room")
    })
}

#[allow(unsafe_code, reason = "a map of a file is unsafe where others can change the file")]
fn map_alone(file: &std::fs::File) -> std::io::Result<MmapMut> {
    // SAFETY: the file has no name (`tempfile_in`) and this process never shares or shortens it, so nothing but
    // this map writes to it while the map lives.
    unsafe { MmapMut::map_mut(file) }
}

/// Where tables too large for memory live: the folder for temporary files, on Unix the one for large ones, since
/// `/tmp` is memory on many systems.
pub fn folder() -> PathBuf {
    let large = Path::new("/var/tmp");
    if cfg!(unix) && std::env::var_os("TMPDIR").is_none() && large.is_dir() {
        return large.to_owned();
    }
    std::env::temp_dir()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_file_hold_the_same_numbers() {
        for file_from in [FILE_FROM, 1000] {
            let mut numbers = Numbers::zeros(1000, file_from).unwrap();
            assert_eq!(numbers.in_file(), file_from == 1000);
            assert!(numbers.iter().all(|number| *number == 0.0));
            numbers[999] = 1.5;
            assert_eq!((numbers.len(), numbers[999]), (1000, 1.5));
        }
        assert_eq!(Numbers::zeros(0, FILE_FROM).unwrap().len(), 0);
    }

    #[test]
    fn a_disk_without_room_is_told_with_what_to_try() {
        let failure = in_file_of(1 << 10, Path::new("/no/such/folder")).unwrap_err();
        assert!(failure.to_string().contains("/no/such/folder"), "{failure}");
        let failure = in_file_of(usize::MAX >> 1, &folder()).unwrap_err();
        assert!(!failure.hint.is_empty(), "{failure}");
    }
}

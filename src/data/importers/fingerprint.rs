//! Is this still the same file? A short look at its size, its time of change and blocks spread over its bytes.
//!
//! Where a file lies and what it is called play no part, so a moved file is known again. What this can miss: a
//! change of bytes between the blocks that keeps the size and sets the time of change back, which programs do not
//! do by chance.

use crate::base::Result;
use crate::base::files::disk_failure;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use xxhash_rust::xxh3::Xxh3;

/// Bytes of one block.
const BLOCK: u64 = 64 * 1024;
/// Blocks that are looked at: the head, the tail and others evenly between them.
const BLOCKS: u64 = 64;

const WHAT: &str = "cannot read the log";

/// What a file looks like from outside: enough to see that it changed while it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub bytes: u64,
    /// Nanoseconds since 1970; 0 where the disk keeps no times.
    modified: u128,
}

impl Stamp {
    /// Looks at a file.
    ///
    /// # Errors
    /// What the disk answers.
    pub fn of(path: &Path) -> Result<Self> {
        let metadata = std::fs::metadata(path).map_err(|error| disk_failure(WHAT, path, &error))?;
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let modified = modified.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        Ok(Self { bytes: metadata.len(), modified })
    }
}

/// Adds size, time of change and sampled bytes of a file to a hash.
///
/// # Errors
/// What the disk answers.
pub(super) fn add(hash: &mut Xxh3, path: &Path, stamp: Stamp) -> Result<()> {
    hash.update(&stamp.bytes.to_le_bytes());
    hash.update(&stamp.modified.to_le_bytes());
    let explain = |error: std::io::Error| disk_failure(WHAT, path, &error);
    let mut file = File::open(path).map_err(explain)?;
    let mut block = Vec::with_capacity(BLOCK as usize);
    for place in places(stamp.bytes) {
        block.clear();
        file.seek(SeekFrom::Start(place)).map_err(explain)?;
        file.by_ref().take(BLOCK).read_to_end(&mut block).map_err(explain)?;
        hash.update(&block);
    }
    Ok(())
}

/// Where blocks begin: every one of a small file, else evenly from the first to the last.
fn places(bytes: u64) -> Vec<u64> {
    if bytes <= BLOCK * BLOCKS {
        return (0..bytes.div_ceil(BLOCK)).map(|block| block * BLOCK).collect();
    }
    (0..BLOCKS).map(|block| (bytes - BLOCK) / (BLOCKS - 1) * block).chain([bytes - BLOCK]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(path: &Path) -> u64 {
        let mut hash = Xxh3::new();
        add(&mut hash, path, Stamp::of(path).unwrap()).unwrap();
        hash.digest()
    }

    #[test]
    fn a_change_is_seen_and_a_move_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("日志 1.csv");
        std::fs::write(&path, vec![7; 10_000_000]).unwrap();
        let before = print(&path);
        assert_eq!(before, print(&path));
        let moved = folder.path().join("moved");
        std::fs::rename(&path, &moved).unwrap();
        assert_eq!(before, print(&moved));
        let mut bytes = vec![7; 10_000_000];
        bytes[9_999_999] = 8;
        std::fs::write(&moved, bytes).unwrap();
        assert_ne!(before, print(&moved));
    }

    #[test]
    fn blocks_reach_from_head_to_tail() {
        let places = places(10_000_000);
        assert_eq!((places[0], *places.last().unwrap()), (0, 10_000_000 - BLOCK));
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] <= 160_000));
    }
}

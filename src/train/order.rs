//! In which order does an epoch see its rows? Shuffled: all of them where they fit into memory, else window by window.
//!
//! Rows in no order that lie in files cost a page each for every column. Where the encoded rows take more than memory
//! may hold, the rows are therefore cut into blocks in the order of the file, the blocks are shuffled, and so many
//! of them as memory holds make a window, whose rows are shuffled. Each window is read from its blocks in one go, and the
//! system is told of the next one while this one is trained on. Rows far apart in the file still meet in a batch, but
//! those of a block are nearer to each other than chance would have it: a full shuffle is better where it fits, so it
//! is what happens there.
//!
//! With 39 fields and 4 million rows, 4,096 rows in no order were gathered in 2 ms from memory and in 14 ms from mapped
//! files (`adloupe bench tokenise`, two busy cores), beside a DeepFM step of some 80 ms. Rows that fit are trained on from
//! memory ([`near`]); others are gathered ahead ([`prefetch`](super::prefetch)).
//!
//! Either order depends on nothing but the seed, the epoch and the window's size, which a checkpoint keeps.

use crate::base::rng::Rng;
use crate::data::Dataset;
use std::ops::Range;

/// Rows of a block: 8 pages of each column of ids.
const BLOCK: usize = 8192;
/// Part of the memory that a window may take: two are there at once, and the weights want most of it.
const PART_OF_MEMORY: u64 = 4;

/// The rows in memory, where they take no more than half of so many bytes.
pub fn near(dataset: &Dataset, memory: u64) -> Dataset {
    dataset.in_memory(memory / 2)
}

/// Rows that are shuffled together, where so many bytes may lie in memory; 0 for all of them.
pub fn window(dataset: &Dataset, memory: u64) -> usize {
    let bytes = dataset.bytes();
    if !dataset.is_mapped() || bytes <= memory {
        return 0;
    }
    let row = bytes as f64 / dataset.rows.max(1) as f64;
    let fits = (memory / PART_OF_MEMORY) as f64 / row;
    (fits as usize / BLOCK).max(1) * BLOCK
}

/// Brings rows into the order of an epoch, with windows of so many rows (0 for all).
pub fn shuffle(rows: &mut [u32], window: usize, rng: &mut Rng) {
    if window == 0 {
        rng.shuffle(rows);
        return;
    }
    // The order of the file, whatever the order of time.
    rows.sort_unstable();
    let mut blocks: Vec<&[u32]> = rows.chunks(BLOCK).collect();
    rng.shuffle(&mut blocks);
    let mixed = blocks.concat();
    rows.copy_from_slice(&mixed);
    rows.chunks_mut(window).for_each(|window| rng.shuffle(window));
}

/// The windows of an epoch, of which the system is told before their rows are read.
#[derive(Debug)]
pub struct Ahead {
    window: usize,
    /// Windows that it was told of.
    told: usize,
}

impl Ahead {
    /// For windows of so many rows (0 for one of all rows, of which nothing is told).
    pub fn of(window: usize) -> Self {
        Self { window, told: 0 }
    }

    /// The rows from `place` on come next: tells of their window and of the one after it.
    pub fn come_to(&mut self, place: usize, rows: &[u32], dataset: &Dataset) {
        let Some(now) = place.checked_div(self.window) else {
            return;
        };
        for number in self.told.max(now)..now + 2 {
            let window = rows.chunks(self.window).nth(number).unwrap_or_default();
            runs(window).for_each(|run| dataset.will_read(run));
            self.told = number + 1;
        }
    }
}

/// The stretches of the file in which these rows lie.
fn runs(rows: &[u32]) -> impl Iterator<Item = Range<usize>> {
    let mut sorted = rows.to_vec();
    sorted.sort_unstable();
    let near = |one: &u32, next: &u32| next - one < BLOCK as u32;
    let runs: Vec<Range<usize>> = sorted
        .chunk_by(near)
        .filter_map(|run| Some(*run.first()? as usize..*run.last()? as usize + 1))
        .collect();
    runs.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_hold_every_row_once_in_blocks_of_the_file() {
        let all: Vec<u32> = (0..100_000).map(|row| row * 3 % 100_000).collect();
        let mut rows = all.clone();
        let mut rng = Rng::named(3, "row order");
        shuffle(&mut rows, 2 * BLOCK, &mut rng);
        let mut again = all.clone();
        shuffle(&mut again, 2 * BLOCK, &mut Rng::named(3, "row order"));
        assert_eq!(rows, again, "the same seed, the same order");
        for window in rows.chunks(2 * BLOCK) {
            // Two blocks of rows that lie next to each other, and perhaps the short one.
            assert!(runs(window).count() <= 3);
            assert!(window.windows(2).filter(|pair| pair[1] == pair[0] + 1).count() < 10, "shuffled");
        }
        let mut next = all.clone();
        shuffle(&mut next, 2 * BLOCK, &mut rng);
        assert_ne!(rows, next, "another epoch, another order");
        let mut sorted = rows.clone();
        sorted.sort_unstable();
        assert!(sorted.iter().zip(0..).all(|(row, place)| *row == place));
    }

    #[test]
    fn what_fits_is_shuffled_as_a_whole() {
        let mut rows: Vec<u32> = (0..50_000).collect();
        let mut plain = rows.clone();
        shuffle(&mut rows, 0, &mut Rng::named(7, "row order"));
        Rng::named(7, "row order").shuffle(&mut plain);
        assert_eq!(rows, plain);
        let dataset = Dataset { rows: 10, label: vec![0.0; 10].into(), ..Dataset::default() };
        assert_eq!(window(&dataset, 0), 0, "what lies in memory is shuffled there");
        let mut ahead = Ahead::of(0);
        ahead.come_to(5, &rows, &dataset);
        assert_eq!(ahead.told, 0);
        let mut ahead = Ahead::of(BLOCK);
        ahead.come_to(0, &rows, &dataset);
        assert_eq!(ahead.told, 2);
        ahead.come_to(BLOCK + 1, &rows, &dataset);
        assert_eq!(ahead.told, 3);
    }
}

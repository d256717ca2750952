//! Which rows are kept of a log that does not fit into memory? Each with the same chance, decided by its number.
//!
//! A row is kept when a hash of its number lies below a threshold, so the sample is uniform over the file whatever
//! its order, the same in every pass, and a lower threshold keeps a part of what a higher one kept. Types, bad rows
//! and sums still come from all rows.

use crate::base::resources::machine_bytes;
use crate::base::rng;
use crate::data::layout::{ColumnTotal, SampleNote};

/// Sets these draws apart from all others.
const SEED: u64 = 0x7361_6d70_6c65;
/// An estimate from the first rows may be wrong by this factor before a second attempt is needed.
const MARGIN: f64 = 0.8;

/// The rows that are kept, and the room there is for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    threshold: u64,
    /// Bytes that the typed columns may take.
    pub memory: u64,
    /// Which of several files this is.
    pub part: u64,
}

impl Default for Keep {
    fn default() -> Self {
        Self::within(u64::MAX)
    }
}

impl Keep {
    /// All rows, as long as they fit into so many bytes.
    pub fn within(memory: u64) -> Self {
        Self { threshold: u64::MAX, memory, part: 0 }
    }

    /// True when no row is left out.
    pub fn is_all(self) -> bool {
        self.threshold == u64::MAX
    }

    /// True when a row, counted from 0, is kept.
    pub fn keeps(self, row: u64) -> bool {
        self.is_all() || rng::mix(SEED ^ rng::mix(self.part) ^ row) <= self.threshold
    }

    /// The share of the rows that is kept.
    pub fn share(self) -> f64 {
        self.threshold as f64 / u64::MAX as f64
    }

    /// As many rows as fit, where all of them would take so many bytes.
    #[must_use]
    pub fn fitted(self, bytes: f64) -> Self {
        let share = self.memory as f64 / bytes.max(1.0);
        if share >= 1.0 { self } else { self.at_most((MARGIN * share * u64::MAX as f64) as u64) }
    }

    /// The same for one of several files, which may take its share of the memory.
    #[must_use]
    pub fn for_part(self, part: usize, share: f64) -> Self {
        let memory = if self.memory == u64::MAX { self.memory } else { (self.memory as f64 * share) as u64 };
        Self { memory, part: part as u64, ..self }
    }

    /// Half of the rows.
    #[must_use]
    pub fn halved(self) -> Self {
        self.at_most(self.threshold / 2)
    }

    /// No row whose hash exceeds `threshold`.
    #[must_use]
    pub fn at_most(self, threshold: u64) -> Self {
        Self { threshold: self.threshold.min(threshold), ..self }
    }

    /// What a person should know of the sample; `None` when all rows are kept.
    pub fn note(self, rows: u64, of: u64, totals: Vec<ColumnTotal>) -> Option<SampleNote> {
        let how = "every row with the same chance, by a hash of its number".to_owned();
        (!self.is_all()).then_some(SampleNote { rows, of, how, threshold: self.threshold, totals })
    }
}

/// Half of the memory of this machine, or of what this process may use of it.
pub fn usual_memory() -> u64 {
    /// Where the system does not tell: half of a small machine.
    const UNKNOWN: u64 = 4 << 30;
    let total = machine_bytes().or_else(|| {
        let asked = std::process::Command::new("sysctl").args(["-n", "hw.memsize"]).output().ok()?;
        String::from_utf8(asked.stdout).ok()?.trim().parse().ok()
    });
    let allowed = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let allowed = allowed.and_then(|text| text.trim().parse().ok());
    let least = [total, allowed].into_iter().flatten().min();
    least.map_or(UNKNOWN, |bytes| bytes / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_kept_evenly_and_less_is_a_part_of_more() {
        let keep = Keep::within(100).fitted(400.0);
        let kept = |keep: Keep, rows: std::ops::Range<u64>| rows.filter(|row| keep.keeps(*row)).count();
        // A fifth (a quarter less the margin) of each stretch, within 5 standard errors.
        for start in [0, 50_000] {
            let count = kept(keep, start..start + 50_000) as f64;
            assert!((count - 10_000.0).abs() < 5.0 * (50_000.0f64 * 0.2 * 0.8).sqrt(), "{count}");
        }
        assert!((0..1000).all(|row| keep.keeps(row) || !keep.halved().keeps(row)));
        assert!(Keep::within(100).fitted(90.0).is_all());
        assert_eq!(Keep::within(100).note(5, 5, Vec::new()), None);
        assert!(usual_memory() > 1 << 20);
    }
}

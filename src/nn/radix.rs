//! Which slots read the same row? A radix sort that keeps the order of equals.

/// Bits of a digit: a table of counts that fits the first-level cache.
const DIGIT: u32 = 11;

/// Buffers kept between sorts.
#[derive(Debug, Default)]
pub struct RowSort {
    keys: Vec<u64>,
    spare: Vec<u64>,
    counts: Vec<u32>,
}

impl RowSort {
    /// Sorts `reads` of a table of `rows` rows by row, equal rows in order of their places. Answers
    /// `row << 32 | place`, ascending.
    ///
    /// Least significant digit first (Knuth, TAOCP 3, 5.2.5): no comparison, and as many passes as `rows` has digits
    /// of 11 bits.
    pub fn sort(&mut self, reads: impl Iterator<Item = u32>, rows: usize) -> &[u64] {
        self.keys.clear();
        self.keys.extend(reads.zip(0_u64..).map(|(row, place)| u64::from(row) << 32 | place));
        self.spare.resize(self.keys.len(), 0);
        self.counts.resize(1 << DIGIT, 0);
        let bits = usize::BITS - rows.saturating_sub(1).leading_zeros();
        for shift in (0..bits).step_by(DIGIT as usize) {
            self.pass(32 + shift);
        }
        &self.keys
    }

    fn pass(&mut self, shift: u32) {
        let digit = |key: u64| (key >> shift) as usize & ((1 << DIGIT) - 1);
        self.counts.fill(0);
        for key in &self.keys {
            self.counts[digit(*key)] += 1;
        }
        let mut start = 0;
        for count in &mut self.counts {
            start += std::mem::replace(count, start);
        }
        for key in &self.keys {
            let place = &mut self.counts[digit(*key)];
            self.spare[*place as usize] = *key;
            *place += 1;
        }
        std::mem::swap(&mut self.keys, &mut self.spare);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn sorts_like_the_standard_library_whatever_the_number_of_rows() {
        let mut sort = RowSort::default();
        let mut rng = Rng::named(1, "test");
        for rows in [0, 1, 2, 2048, 2049, 5_000_000, u32::MAX as usize] {
            let count = if rows == 0 { 0 } else { 3000 };
            let reads: Vec<u32> = (0..count).map(|_| rng.below(rows) as u32).collect();
            let mut want: Vec<_> =
                (0..count).map(|place| u64::from(reads[place]) << 32 | place as u64).collect();
            want.sort_unstable();
            assert_eq!(sort.sort(reads.iter().copied(), rows), want, "{rows}");
        }
    }
}

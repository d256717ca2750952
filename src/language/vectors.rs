//! How are vectors added up and multiplied, on the widest instructions at hand?

use crate::base::simd::{Kernel, run_widest};

/// Sums that are kept side by side: two AVX-512 registers.
const LANES: usize = 32;

/// `sum a b` over the shorter of the two: what a matching score is.
pub fn inner_product(a: &[f32], b: &[f32]) -> f32 {
    run_widest(Inner { a, b })
}

/// The inner products of one vector with each of several.
pub fn inner_products<'a>(one: &[f32], others: impl IntoIterator<Item = &'a [f32]>) -> Vec<f32> {
    others.into_iter().map(|other| inner_product(one, other)).collect()
}

/// `out += sum of weight * row` of a row-major `table` whose width is that of `out`.
pub fn add_rows(rows: &[(u32, f32)], table: &[f32], out: &mut [f32]) {
    run_widest(AddRows { rows, table, out });
}

/// Scales to length 1; a vector of zeros stays one. Answers the length that it had.
pub fn to_unit(vector: &mut [f32]) -> f32 {
    let length = inner_product(vector, vector).sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value /= length);
    }
    length
}

struct Inner<'a> {
    a: &'a [f32],
    b: &'a [f32],
}

impl Kernel for Inner<'_> {
    type Output = f32;

    #[inline(always)]
    fn run(self) -> f32 {
        let n = self.a.len().min(self.b.len());
        let (a, b) = (&self.a[..n], &self.b[..n]);
        let mut sums = [0.0f32; LANES];
        let (whole_a, whole_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
        let rest: f32 = whole_a.remainder().iter().zip(whole_b.remainder()).map(|(a, b)| a * b).sum();
        for (a, b) in whole_a.zip(whole_b) {
            for lane in 0..LANES {
                sums[lane] = a[lane].mul_add(b[lane], sums[lane]);
            }
        }
        sums.iter().sum::<f32>() + rest
    }
}

struct AddRows<'a> {
    rows: &'a [(u32, f32)],
    table: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for AddRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let width = self.out.len();
        for (row, weight) in self.rows {
            let row = &self.table[*row as usize * width..][..width];
            for (sum, value) in self.out.iter_mut().zip(row) {
                *sum = weight.mul_add(*value, *sum);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_vectors_of_three_numbers_give_32_and_50() {
        let [a, b, c] = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]];
        assert_eq!(inner_products(&a, [&b[..], &c[..]]), [32.0, 50.0]);
    }

    #[test]
    fn long_vectors_have_a_tail_and_lengths_become_one() {
        let a: Vec<f32> = (0..77).map(|i| i as f32).collect();
        // Sum of squares below n: (n - 1) n (2n - 1) / 6.
        assert_eq!(inner_product(&a, &a), 76.0 * 77.0 * 153.0 / 6.0);
        let mut unit = [3.0, 4.0];
        assert_eq!((to_unit(&mut unit), unit), (5.0, [0.6, 0.8]));
        let mut sum = [1.0, 1.0];
        add_rows(&[(1, 2.0), (0, 1.0)], &[1.0, 2.0, 3.0, 4.0], &mut sum);
        assert_eq!(sum, [8.0, 11.0]);
    }
}

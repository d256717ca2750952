//! How are rows of small whole numbers multiplied by an input, when memory is what limits?
//!
//! Rows and inputs are cut into blocks of [`BLOCK`] numbers; each block is one byte a number and one scale, as ggml's `Q8_0`
//! stores it. Products of a block are added in whole numbers, blocks in single precision over eight lanes, in one order: all
//! processors give the same bits. With VNNI a block is one multiplication, with AVX2 three instructions.

/// Numbers under one scale.
pub const BLOCK: usize = 32;
const LANES: usize = 8;

/// Rows of whole numbers, each of as many blocks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Blocks {
    /// The numbers, at most 127 either way; a whole number of blocks.
    pub values: Vec<i8>,
    /// What the numbers of each block are multiplied by.
    pub scales: Vec<f32>,
}

impl Blocks {
    /// Adds a row, filled up with zeros to whole blocks. The largest number of a block becomes 127.
    pub fn push(&mut self, row: &[f32]) {
        for block in row.chunks(BLOCK) {
            let most = block.iter().fold(0.0f32, |most, value| most.max(value.abs()));
            let scale = most / 127.0;
            let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
            self.values.extend(block.iter().map(|value| (value * inverse).round() as i8));
            self.values.extend(std::iter::repeat_n(0, BLOCK - block.len()));
            self.scales.push(scale);
        }
    }
}

/// Inner products `[rows, inputs]` of some rows with all inputs; `blocks` is how many a row and an input have.
pub fn rows_times(values: &[i8], scales: &[f32], inputs: &Blocks, blocks: usize, out: &mut [f32]) {
    let n = inputs.scales.len() / blocks;
    assert!(values.len() == scales.len() * BLOCK && inputs.values.len() == inputs.scales.len() * BLOCK);
    let each =
        scales.chunks_exact(blocks).zip(values.chunks_exact(blocks * BLOCK)).zip(out.chunks_exact_mut(n));
    let kind = Kind::best();
    for ((scales, values), out) in each {
        let inputs = inputs.scales.chunks_exact(blocks).zip(inputs.values.chunks_exact(blocks * BLOCK));
        for ((input_scales, input), out) in inputs.zip(out) {
            *out = kind.inner((values, scales), (input, input_scales)).iter().sum();
        }
    }
}

/// How a block is multiplied.
#[derive(Clone, Copy)]
enum Kind {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Vnni,
}

impl Kind {
    fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let wide = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if wide && is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512vl") {
                return Self::Vnni;
            }
            if wide {
                return Self::Avx2;
            }
        }
        Self::Plain
    }

    /// The sums of the lanes of one row and one input of as many blocks.
    #[allow(
        unsafe_code,
        reason = "the only way to call a function compiled for more than the build's target"
    )]
    fn inner(self, row: (&[i8], &[f32]), input: (&[i8], &[f32])) -> [f32; LANES] {
        match self {
            Self::Plain => plain(row, input),
            // SAFETY: `best` found these features on this processor.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { x86::avx2(row, input) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Vnni => unsafe { x86::vnni(row, input) },
        }
    }
}

fn plain(row: (&[i8], &[f32]), input: (&[i8], &[f32])) -> [f32; LANES] {
    let mut sums = [0.0f32; LANES];
    let blocks = row.0.chunks_exact(BLOCK).zip(input.0.chunks_exact(BLOCK)).zip(row.1.iter().zip(input.1));
    for ((a, b), (one, other)) in blocks {
        for (sum, (a, b)) in sums.iter_mut().zip(a.chunks_exact(4).zip(b.chunks_exact(4))) {
            let products: i32 = a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
            *sum = (products as f32).mul_add(one * other, *sum);
        }
    }
    sums
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #![allow(unsafe_code, reason = "vector instructions read and write through pointers")]

    use super::{BLOCK, LANES};
    use std::arch::x86_64::{
        __m256i, _mm256_abs_epi8, _mm256_cvtepi32_ps, _mm256_dpbusd_epi32, _mm256_fmadd_ps,
        _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_set1_epi16, _mm256_set1_ps,
        _mm256_setzero_ps, _mm256_setzero_si256, _mm256_sign_epi8, _mm256_storeu_ps,
    };

    /// Products of two blocks, four to a lane.
    macro_rules! inner {
        ($row:expr, $input:expr, $product:expr) => {{
            let mut sums = _mm256_setzero_ps();
            let blocks = $row.0.chunks_exact(BLOCK).zip($input.0.chunks_exact(BLOCK));
            for ((a, b), (one, other)) in blocks.zip($row.1.iter().zip($input.1)) {
                let (a, b) = (load(a), load(b));
                // The instructions want one side without sign: it moves to the other.
                let products: __m256i = $product(_mm256_abs_epi8(a), _mm256_sign_epi8(b, a));
                sums = _mm256_fmadd_ps(_mm256_cvtepi32_ps(products), _mm256_set1_ps(one * other), sums);
            }
            let mut lanes = [0.0f32; LANES];
            // SAFETY: the eight numbers that are written have their place.
            unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), sums) };
            lanes
        }};
    }

    #[target_feature(enable = "avx2")]
    fn load(block: &[i8]) -> __m256i {
        assert_eq!(block.len(), BLOCK);
        // SAFETY: a block is 32 bytes, as many as are read; the instruction asks for no alignment.
        unsafe { _mm256_loadu_si256(block.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx2,fma")]
    pub fn avx2(row: (&[i8], &[f32]), input: (&[i8], &[f32])) -> [f32; LANES] {
        // Two products are at most 2 x 127 x 127, which fits in 16 bits.
        let ones = _mm256_set1_epi16(1);
        inner!(row, input, |a, b| _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), ones))
    }

    #[target_feature(enable = "avx2,fma,avx512vnni,avx512vl")]
    pub fn vnni(row: (&[i8], &[f32]), input: (&[i8], &[f32])) -> [f32; LANES] {
        let zero = _mm256_setzero_si256();
        inner!(row, input, |a, b| _mm256_dpbusd_epi32(zero, a, b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn every_kind_of_processor_gives_the_same_bits_near_the_exact_sum() {
        let mut rng = Rng::named(3, "eighths");
        let mut blocks = |numbers: usize| {
            let row: Vec<f32> = (0..numbers).map(|_| rng.normal() as f32).collect();
            let mut blocks = Blocks::default();
            blocks.push(&row);
            (row, blocks)
        };
        for numbers in [1, 31, 32, 45, 576] {
            let ((a, one), (b, other)) = (blocks(numbers), blocks(numbers));
            let exact: f32 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
            let of = |kind: Kind| kind.inner((&one.values, &one.scales), (&other.values, &other.scales));
            let plain: f32 = of(Kind::Plain).iter().sum();
            // Rounding moves a number by at most 1/254 of the largest of its block.
            assert!(
                (plain - exact).abs() < 0.02 * (numbers as f32).sqrt() + 0.02,
                "{numbers}: {plain} {exact}"
            );
            assert_eq!(of(Kind::best()), of(Kind::Plain));
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                assert_eq!(of(Kind::Avx2), of(Kind::Plain));
            }
        }
        let mut extreme = Blocks::default();
        extreme.push(&[-1.0; 32]);
        assert_eq!(
            Kind::best().inner((&extreme.values, &extreme.scales), (&extreme.values, &extreme.scales)),
            [(4.0 * 127.0 * 127.0) * extreme.scales[0] * extreme.scales[0]; LANES]
        );
    }
}

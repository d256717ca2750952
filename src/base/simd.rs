//! How does a plain loop run on the widest vectors of the processor at hand?
//!
//! A [`Kernel`] is a loop that the compiler can vectorise. [`run_widest`] holds it compiled three times, for the
//! build's own target, for AVX2 and for AVX-512, and chooses when the program runs. All give the same bits: no
//! floating-point rule is relaxed, and `mul_add` is one rounding everywhere.

/// A loop to be compiled for each kind of vector; `run` must be `#[inline(always)]`.
pub trait Kernel {
    /// What it answers.
    type Output;

    /// The loop itself.
    fn run(self) -> Self::Output;
}

/// Runs a kernel on the widest vectors there are.
pub fn run_widest<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    {
        x86::run(kernel)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        kernel.run()
    }
}

/// `e^x` to 2 parts in 10 million, written so that a compiler makes vectors of it (Cephes' `expf` by S. Moshier:
/// `2^n e^r` with `|r| <= ln 2 / 2`). Beyond -87 and 88 it stays at their value; what is no number stays none.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    /// Pushes the whole part of a number into the lowest bits.
    const PUSH: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let pushed = x * std::f32::consts::LOG2_E + PUSH;
    let n = pushed - PUSH;
    // ln 2 in two parts, of which the first is exact in few bits.
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut power = 1.987_569_1e-4;
    for next in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        power = power * r + next;
    }
    let scale = f32::from_bits((pushed.to_bits() << 23).wrapping_add(127 << 23));
    (power * r * r + r + 1.0) * scale
}

/// The name of those vectors, for reports.
pub fn widest() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if x86::has_avx512() {
            return "AVX-512";
        }
        if x86::has_avx2() {
            return "AVX2";
        }
    }
    std::env::consts::ARCH
}

/// A bit for each byte that is `wanted`, the first byte's lowest.
#[inline]
pub fn equal_bytes(bytes: &[u8; 64], wanted: u8) -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        x86::equal_bytes(bytes, wanted)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        plain_equal_bytes(bytes, wanted)
    }
}

/// As [`equal_bytes`], eight at a time: a byte that equals it is zero after `xor`, and zero is the only byte whose highest
/// bit stays clear when its lower bits are added to 127 (Warren, Hacker's Delight, 6-1).
#[cfg(any(test, not(target_arch = "x86_64")))]
fn plain_equal_bytes(bytes: &[u8; 64], wanted: u8) -> u64 {
    const LOWEST: u64 = 0x0101_0101_0101_0101;
    const LOWER: u64 = 0x7f * LOWEST;
    let wanted = u64::from(wanted) * LOWEST;
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().rev().fold(0, |mask, word| {
        let word = u64::from_le_bytes(*word) ^ wanted;
        let equal = !(((word & LOWER) + LOWER) | word | LOWER) >> 7;
        // One bit in every byte becomes one byte of bits.
        mask << 8 | equal.wrapping_mul(0x0102_0408_1020_4080) >> 56
    })
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Kernel;

    #[allow(
        unsafe_code,
        reason = "the compiler takes what every processor of this kind has for a feature of some"
    )]
    #[inline]
    pub fn equal_bytes(bytes: &[u8; 64], wanted: u8) -> u64 {
        // SAFETY: SSE2 belongs to x86-64.
        unsafe { by_sixteen(bytes, wanted) }
    }

    #[target_feature(enable = "sse2")]
    #[inline]
    fn by_sixteen(bytes: &[u8; 64], wanted: u8) -> u64 {
        use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8};
        let wanted = _mm_set1_epi8(wanted.cast_signed());
        let (words, _) = bytes.as_chunks::<8>();
        words.chunks_exact(2).rev().fold(0, |mask, pair| {
            let [low, high] = [pair[0], pair[1]].map(i64::from_le_bytes);
            let equal = _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_set_epi64x(high, low), wanted));
            mask << 16 | u64::from(equal.cast_unsigned())
        })
    }

    pub fn has_avx512() -> bool {
        has_avx2()
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
    }

    pub fn has_avx2() -> bool {
        is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
    }

    #[allow(
        unsafe_code,
        reason = "the only way to call a function compiled for more than the build's target"
    )]
    pub fn run<K: Kernel>(kernel: K) -> K::Output {
        if has_avx512() {
            // SAFETY: the features that the function was compiled for were detected on this processor.
            unsafe { on_avx512(kernel) }
        } else if has_avx2() {
            // SAFETY: as above.
            unsafe { on_avx2(kernel) }
        } else {
            kernel.run()
        }
    }

    #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
    fn on_avx512<K: Kernel>(kernel: K) -> K::Output {
        kernel.run()
    }

    #[target_feature(enable = "avx2,fma")]
    fn on_avx2<K: Kernel>(kernel: K) -> K::Output {
        kernel.run()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_bytes_are_found_in_their_places() {
        let bytes: [u8; 64] = std::array::from_fn(|place| (place * 37 % 61 + 97 * (place % 3)) as u8);
        for wanted in 0..=255 {
            let equal = (0..64).filter(|place| bytes[*place] == wanted);
            let by_hand = equal.fold(0u64, |mask, place| mask | 1 << place);
            assert_eq!(equal_bytes(&bytes, wanted), by_hand);
            assert_eq!(plain_equal_bytes(&bytes, wanted), by_hand);
        }
    }
}

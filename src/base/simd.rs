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

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Kernel;

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

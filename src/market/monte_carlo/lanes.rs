//! Numbers for loops that the compiler turns into vectors: branch-free, each lane for itself.
//!
//! Uniforms come from a counter, never from a state: lane `i` of block `b` is the same on any machine and in any
//! order. The functions are polynomials with coefficients of Cephes' single-precision library (Moshier 1992),
//! within some 2 units in the last place over the ranges used here.

use crate::base::rng::mix;

/// The key of a block's random numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    one: u32,
    other: u32,
}

impl Key {
    /// The key of block `block` of a seed.
    pub fn new(seed: u64, block: u64) -> Self {
        let bits = mix(mix(seed) ^ block.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        Self { one: bits as u32, other: (bits >> 32) as u32 }
    }

    /// The key in two words, for a graphics processor.
    pub fn words(self) -> [u32; 2] {
        [self.one, self.other]
    }

    /// 32 random bits of a counter: two rounds of a multiply-xorshift hash (Wellons' lowbias32) with a key before
    /// each.
    #[inline(always)]
    pub fn bits(self, counter: u32) -> u32 {
        let x = counter.wrapping_mul(0x9E37_79B9) ^ self.one;
        let x = (x ^ (x >> 16)).wrapping_mul(0x7FEB_352D);
        let x = (x ^ (x >> 15) ^ self.other).wrapping_mul(0x846C_A68B);
        x ^ (x >> 16)
    }
}

/// Uniform in `(0, 1)` from random bits: 2^23 values, never 0.
#[inline(always)]
pub(super) fn open_uniform(bits: u32) -> f32 {
    ((bits >> 9) as i32 as f32 + 0.5) * (1.0 / 8_388_608.0)
}

/// Two standard normals from 64 random bits (Box & Muller 1958).
#[inline(always)]
pub(super) fn normals(radius: u32, angle: u32) -> (f32, f32) {
    let r = (-2.0 * ln(open_uniform(radius))).sqrt();
    let (sin, cos) = sin_cos_turn(angle);
    (r * cos, r * sin)
}

/// Natural logarithm of a positive normal number.
#[inline(always)]
pub(super) fn ln(x: f32) -> f32 {
    // x = m 2^e with m in [sqrt(1/2), sqrt(2)).
    let bits = x.to_bits();
    let shifted = bits.wrapping_sub(0x3F35_04F3);
    let e = ((shifted as i32) >> 23) as f32;
    let m = f32::from_bits((shifted & 0x007F_FFFF).wrapping_add(0x3F35_04F3)) - 1.0;
    let mut p = 7.037_683_6e-2f32;
    p = p.mul_add(m, -1.151_461e-1);
    p = p.mul_add(m, 1.167_699_9e-1);
    p = p.mul_add(m, -1.242_014_1e-1);
    p = p.mul_add(m, 1.424_932_3e-1);
    p = p.mul_add(m, -1.666_805_8e-1);
    p = p.mul_add(m, 2.000_071_5e-1);
    p = p.mul_add(m, -2.499_999_4e-1);
    p = p.mul_add(m, 3.333_333e-1);
    let m2 = m * m;
    let tail = (p * m2).mul_add(m, e * -2.121_944_4e-4);
    let y = m2.mul_add(-0.5, tail) + m;
    e.mul_add(0.693_359_4, y)
}

/// Sine and cosine of `2 pi bits / 2^32`.
#[inline(always)]
pub(super) fn sin_cos_turn(bits: u32) -> (f32, f32) {
    // The two highest bits are the quadrant, the rest the angle from its middle, within +- pi/4.
    let within = (bits & 0x3FFF_FFFF) as i32 - 0x2000_0000;
    let x = within as f32 * (std::f32::consts::FRAC_PI_2 / 1_073_741_824.0);
    let x2 = x * x;
    let s = (-1.951_529_6e-4f32).mul_add(x2, 8.332_161e-3).mul_add(x2, -1.666_665_5e-1);
    let s = (s * x2).mul_add(x, x);
    let c = 2.443_315_7e-5f32.mul_add(x2, -1.388_731_6e-3).mul_add(x2, 4.166_664_6e-2);
    let c = (c * x2).mul_add(x2, x2.mul_add(-0.5, 1.0));
    // A quadrant on: (sin, cos) -> (cos, -sin); two on: both change sign. Rotated by an eighth of a turn,
    // which no uniform angle notices.
    let swap = bits & 0x4000_0000 != 0;
    let (sin, cos) = if swap { (c, s) } else { (s, c) };
    let sin_sign = bits & 0x8000_0000;
    let cos_sign = (bits ^ (bits << 1)) & 0x8000_0000;
    (f32::from_bits(sin.to_bits() ^ sin_sign), f32::from_bits(cos.to_bits() ^ cos_sign))
}

/// `e^x`, saturating at about `2^-126` and `2^127`.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    // Adding 1.5 x 2^23 rounds to a whole number, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let x = if x > 88.0 { 88.0 } else { x };
    let x = if x < -87.0 { -87.0 } else { x };
    let rounded = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = rounded - ROUND;
    let r = n.mul_add(-0.693_359_4, x);
    let r = n.mul_add(2.121_944_4e-4, r);
    let mut p = 1.987_569_1e-4f32;
    p = p.mul_add(r, 1.398_199_9e-3);
    p = p.mul_add(r, 8.333_452e-3);
    p = p.mul_add(r, 4.166_579_6e-2);
    p = p.mul_add(r, 1.666_666_6e-1);
    p = p.mul_add(r, 5e-1);
    let y = (p * r).mul_add(r, r) + 1.0;
    let exponent = rounded.to_bits().wrapping_sub(ROUND.to_bits()) << 23;
    f32::from_bits(y.to_bits().wrapping_add(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_polynomials_are_the_functions() {
        for step in 1..40_000 {
            let u = step as f32 / 40_000.0;
            let exact = f64::from(u).ln();
            assert!((f64::from(ln(u)) - exact).abs() <= 3e-7 * exact.abs().max(0.3), "ln {u}");
            let x = (u - 0.5) * 60.0;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) - exact).abs() <= 3e-7 * exact, "exp {x}");
            let bits = step * 107_374;
            let (sin, cos) = sin_cos_turn(bits);
            // The rotation by an eighth of a turn that the function's comment speaks of.
            let angle = (f64::from(bits) / 4_294_967_296.0 - 0.125) * std::f64::consts::TAU;
            assert!((f64::from(sin) - angle.sin()).abs() < 3e-7, "sin {angle}: {sin}");
            assert!((f64::from(cos) - angle.cos()).abs() < 3e-7, "cos {angle}: {cos}");
        }
        assert!(ln(1.0).abs() < 1e-9 && (exp(0.0) - 1.0).abs() < 1e-9);
        assert!(exp(1_000.0).is_finite() && exp(-1_000.0) >= 0.0);
    }

    #[test]
    fn blocks_of_normals_are_normal_and_independent() {
        let n = 200_000u32;
        let draw = |block: u64| -> Vec<(f64, f64)> {
            let key = Key::new(5, block);
            let pair = |i: u32| {
                let (a, b) = normals(key.bits(2 * i), key.bits(2 * i + 1));
                (f64::from(a), f64::from(b))
            };
            (0..n).map(pair).collect()
        };
        let (first, second) = (draw(0), draw(1));
        let mean = |f: &dyn Fn(usize) -> f64| (0..n as usize).map(f).sum::<f64>() / f64::from(n);
        let close = |found: f64, exact: f64, deviation: f64| {
            assert!((found - exact).abs() < 4.0 * deviation / f64::from(n).sqrt(), "{found} against {exact}");
        };
        close(mean(&|i| first[i].0), 0.0, 1.0);
        close(mean(&|i| first[i].1), 0.0, 1.0);
        close(mean(&|i| first[i].0.powi(2)), 1.0, 2f64.sqrt());
        close(mean(&|i| first[i].1.powi(3)), 0.0, 15f64.sqrt());
        close(mean(&|i| first[i].0.powi(4)), 3.0, 96f64.sqrt());
        close(mean(&|i| first[i].0 * first[i].1), 0.0, 1.0);
        close(mean(&|i| first[i].0 * second[i].0), 0.0, 1.0);
        close(mean(&|i| first[i].0 * first[(i + 1) % n as usize].0), 0.0, 1.0);
        close(mean(&|i| first[i].0.powi(2) * first[i].1.powi(2)), 1.0, 8f64.sqrt());
    }
}

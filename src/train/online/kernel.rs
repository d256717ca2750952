//! How are weights moved row by row, as fast as memory allows? FTRL for the linear part, row-wise AdaGrad for factors.
//!
//! Every feature is a place in one table of `2^bits` slots, whatever column it comes from. Per coordinate the linear part
//! keeps `z` and `n` of FTRL-Proximal (McMahan et al., KDD 2013, algorithm 1); its weight is made from them when it is
//! read. A slot of a factorised kind is one or more cache lines: `z`, `n`, then factors with what AdaGrad remembers.

/// What is learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A weight a feature.
    Linear,
    /// A factor a feature (Rendle 2010).
    Fm,
    /// A factor a feature and column that it meets (Juan et al. 2016).
    Ffm,
}

/// Sizes of steps and penalties.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// FTRL's alpha.
    pub alpha: f32,
    /// FTRL's beta.
    pub beta: f32,
    /// L1 penalty of linear weights.
    pub l1: f32,
    /// L2 penalty of linear weights.
    pub l2: f32,
    /// AdaGrad's rate of factors.
    pub factors: f32,
}

/// Numbers of a cache line.
const LINE: usize = 16;
/// `z`, `n`, the sum of squares of an FM factor, and one that fills up.
const HEAD: usize = 4;
/// What a sum of squared gradients of factors begins with, so that the first steps are no leaps.
const FIRST_SQUARES: f32 = 1.0;

/// All weights, and room for one row.
#[derive(Debug)]
pub struct Kernel {
    shape: Shape,
    rates: Rates,
    fields: usize,
    /// Numbers of a factor, filled up to four.
    width: usize,
    /// Numbers from one slot to the next.
    stride: usize,
    mask: usize,
    /// Numbers before the first slot, which lies on a cache line.
    start: usize,
    numbers: Vec<f32>,
    /// `z` and `n` of the constant.
    bias: [f32; 2],
    row: Scratch,
}

/// What is known of the row that was scored last.
#[derive(Debug, Default)]
struct Scratch {
    places: Vec<usize>,
    z: Vec<f32>,
    n: Vec<f32>,
    weight: Vec<f32>,
    root: Vec<f32>,
    factors: Vec<f32>,
    sum: Vec<f32>,
    gradient: Vec<f32>,
}

impl Kernel {
    /// Weights of zero, factors small and drawn from `seed`; rows have `fields` features, factors `width` numbers.
    pub fn new(shape: Shape, rates: Rates, fields: usize, (bits, width): (u32, usize), seed: u64) -> Self {
        let width = if shape == Shape::Linear { 0 } else { width.next_multiple_of(4) };
        let stride = stride(shape, fields, width);
        let numbers = vec![0.0; (stride << bits) + LINE];
        let bytes = LINE * size_of::<f32>();
        let start = numbers.as_ptr().align_offset(bytes).min(LINE);
        let row = Scratch {
            places: vec![0; fields],
            z: vec![0.0; fields],
            n: vec![0.0; fields],
            weight: vec![0.0; fields],
            root: vec![0.0; fields],
            factors: vec![0.0; fields * width],
            sum: vec![0.0; width],
            gradient: vec![0.0; if shape == Shape::Ffm { fields * fields * width } else { 0 }],
        };
        let mut kernel = Self {
            shape,
            rates,
            fields,
            width,
            stride,
            mask: (1 << bits) - 1,
            start,
            numbers,
            bias: [0.0; 2],
            row,
        };
        kernel.draw(seed);
        kernel
    }

    /// Bytes that a kernel would take.
    pub fn bytes(shape: Shape, fields: usize, (bits, width): (u32, usize)) -> u64 {
        let width = if shape == Shape::Linear { 0 } else { width.next_multiple_of(4) };
        (4 * stride(shape, fields, width) as u64) << bits
    }

    fn draw(&mut self, seed: u64) {
        if self.shape == Shape::Linear {
            return;
        }
        let (width, squares) = (self.width, self.shape == Shape::Ffm);
        let fields = if squares { self.fields } else { 1 };
        let scale = 0.2 / (width as f32).sqrt();
        let mut state = seed;
        let numbers = &mut self.numbers[self.start..];
        for slot in numbers.chunks_exact_mut(self.stride) {
            slot[2] = FIRST_SQUARES;
            let (factors, rest) = slot[HEAD..].split_at_mut(fields * width);
            for pair in factors.chunks_mut(2) {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let halves = [(state >> 32) as u32, (state >> 8) as u32];
                for (factor, bits) in pair.iter_mut().zip(halves) {
                    *factor = scale * (bits as f32 / u32::MAX as f32 - 0.5);
                }
            }
            if squares {
                rest[..fields].fill(FIRST_SQUARES);
            }
        }
    }

    /// Log odds of a row of features; what is read stays known for [`learn`](Self::learn).
    pub fn score(&mut self, features: &[u32]) -> f32 {
        let Self { row, mask, stride, start, .. } = self;
        let slots = &self.numbers[*start..];
        for (place, feature) in row.places.iter_mut().zip(features) {
            *place = (*feature as usize & *mask) * *stride;
        }
        for ((z, n), place) in row.z.iter_mut().zip(&mut row.n).zip(&row.places) {
            let slot = &slots[*place..*place + 2];
            (*z, *n) = (slot[0], slot[1]);
        }
        let Rates { alpha, beta, l1, l2, .. } = self.rates;
        let inverse = 1.0 / alpha;
        let linear = row.weight.iter_mut().zip(&mut row.root).zip(row.z.iter().zip(&row.n));
        for ((weight, root), (z, n)) in linear {
            *root = n.sqrt();
            let beyond = (z.abs() - l1).max(0.0).copysign(*z);
            *weight = -beyond / ((beta + *root) * inverse + l2);
        }
        let bias = -self.bias[0] / ((beta + self.bias[1].sqrt()) * inverse);
        bias + row.weight.iter().sum::<f32>() + self.second_order()
    }

    fn second_order(&mut self) -> f32 {
        let (row, width) = (&mut self.row, self.width);
        let slots = &self.numbers[self.start..];
        match self.shape {
            Shape::Linear => 0.0,
            Shape::Fm => {
                row.sum.fill(0.0);
                let mut squares = 0.0;
                for (place, factor) in row.places.iter().zip(row.factors.chunks_exact_mut(width)) {
                    factor.copy_from_slice(&slots[place + HEAD..][..width]);
                    for (sum, v) in row.sum.iter_mut().zip(factor.iter()) {
                        *sum += v;
                        squares += v * v;
                    }
                }
                0.5 * (row.sum.iter().map(|sum| sum * sum).sum::<f32>() - squares)
            }
            Shape::Ffm => {
                let mut sum = 0.0;
                for (i, one) in row.places.iter().enumerate() {
                    for (j, other) in row.places.iter().enumerate().skip(i + 1) {
                        let a = &slots[one + HEAD + j * width..][..width];
                        let b = &slots[other + HEAD + i * width..][..width];
                        sum += a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
                    }
                }
                sum
            }
        }
    }

    /// Moves the weights of the row that was scored last by the derivative of its loss by its log odds.
    pub fn learn(&mut self, gradient: f32) {
        let inverse = 1.0 / self.rates.alpha;
        let square = gradient * gradient;
        match self.shape {
            Shape::Linear => {}
            Shape::Fm => self.learn_fm(gradient),
            Shape::Ffm => self.learn_ffm(gradient),
        }
        let Self { row, start, .. } = self;
        let slots = &mut self.numbers[*start..];
        // Two features of a row may share a slot: both are added.
        let moves = row.weight.iter_mut().zip(row.root.iter().zip(&row.n));
        for (weight, (root, n)) in moves {
            let sigma = ((n + square).sqrt() - root) * inverse;
            *weight = gradient - sigma * *weight;
        }
        for (place, moved) in row.places.iter().zip(&row.weight) {
            let slot = &mut slots[*place..*place + 2];
            slot[0] += moved;
            slot[1] += square;
        }
        let [z, n] = self.bias;
        let weight = -z / ((self.rates.beta + n.sqrt()) * inverse);
        let sigma = ((n + square).sqrt() - n.sqrt()) * inverse;
        self.bias = [z + gradient - sigma * weight, n + square];
    }

    fn learn_fm(&mut self, gradient: f32) {
        let (row, width, rate) = (&self.row, self.width, self.rates.factors);
        let slots = &mut self.numbers[self.start..];
        for (place, factor) in row.places.iter().zip(row.factors.chunks_exact(width)) {
            let slot = &mut slots[*place..*place + HEAD + width];
            let square: f32 = row.sum.iter().zip(factor).map(|(sum, v)| (sum - v) * (sum - v)).sum();
            slot[2] += gradient * gradient * square / width as f32;
            let step = rate * gradient / slot[2].sqrt();
            for ((v, sum), own) in slot[HEAD..].iter_mut().zip(&row.sum).zip(factor) {
                *v -= step * (sum - own);
            }
        }
    }

    fn learn_ffm(&mut self, gradient: f32) {
        let (fields, width, rate) = (self.fields, self.width, self.rates.factors);
        let row = &mut self.row;
        let slots = &mut self.numbers[self.start..];
        // All derivatives are of the weights as they were scored.
        for (i, _) in row.places.iter().enumerate() {
            for (j, other) in row.places.iter().enumerate().filter(|(j, _)| *j != i) {
                let to = &mut row.gradient[(i * fields + j) * width..][..width];
                to.copy_from_slice(&slots[other + HEAD + i * width..][..width]);
            }
        }
        for (i, place) in row.places.iter().enumerate() {
            for j in (0..fields).filter(|j| *j != i) {
                let by = &row.gradient[(i * fields + j) * width..][..width];
                let square: f32 = by.iter().map(|v| v * v).sum();
                let squares = &mut slots[place + HEAD + fields * width + j];
                *squares += gradient * gradient * square / width as f32;
                let step = rate * gradient / squares.sqrt();
                for (v, by) in slots[place + HEAD + j * width..][..width].iter_mut().zip(by) {
                    *v -= step * by;
                }
            }
        }
    }

    /// Scales the sums of squared gradients that make steps small. FTRL tells a weight from its sums, so `z` is scaled
    /// along where the weight is not 0: all weights stay what they are.
    pub fn quicken(&mut self, kept: f32) {
        let (Self { rates, fields, width, stride, shape, .. }, kept) = (&*self, kept.max(0.0));
        let (Rates { alpha, beta, l1, l2, .. }, stride) = (*rates, *stride);
        let squares = match shape {
            Shape::Linear => 2..2,
            Shape::Fm => 2..3,
            Shape::Ffm => HEAD + fields * width..HEAD + fields * width + fields,
        };
        let reach = |n: f32| (beta + n.sqrt()) / alpha;
        let start = self.start;
        for slot in self.numbers[start..].chunks_exact_mut(stride) {
            let [z, n] = [slot[0], slot[1]];
            let beyond = z.abs() - l1;
            if beyond > 0.0 {
                slot[0] = (l1 + beyond * (reach(kept * n) + l2) / (reach(n) + l2)).copysign(z);
            }
            slot[1] = kept * n;
            slot[squares.clone()].iter_mut().for_each(|sum| *sum = (kept * *sum).max(FIRST_SQUARES));
        }
        let [z, n] = self.bias;
        self.bias = [z * reach(kept * n) / reach(n), kept * n];
    }

    /// How many linear weights are not 0.
    pub fn nonzero(&self) -> usize {
        let l1 = self.rates.l1;
        let slots = self.numbers[self.start..].chunks_exact(self.stride.max(1));
        slots.filter(|slot| slot[1] > 0.0 && slot[0].abs() > l1).count()
    }

    /// All numbers, the constant's first: for a file.
    pub fn numbers(&self) -> ([f32; 2], &[f32]) {
        (self.bias, &self.numbers[self.start..self.start + self.stride * (self.mask + 1)])
    }

    /// Takes back what [`numbers`](Self::numbers) gave; false where their number is another.
    pub fn set_numbers(&mut self, bias: &[f32], numbers: &[f32]) -> bool {
        let own = &mut self.numbers[self.start..self.start + self.stride * (self.mask + 1)];
        let ([z, n], true) = (bias, own.len() == numbers.len()) else { return false };
        self.bias = [*z, *n];
        own.copy_from_slice(numbers);
        true
    }
}

/// Numbers from one slot to the next: factorised slots begin on cache lines.
fn stride(shape: Shape, fields: usize, width: usize) -> usize {
    match shape {
        Shape::Linear => 2,
        Shape::Fm => (HEAD + width).next_multiple_of(LINE),
        Shape::Ffm => (HEAD + fields * (width + 1)).next_multiple_of(LINE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    const RATES: Rates = Rates { alpha: 0.3, beta: 1.0, l1: 0.0, l2: 0.0, factors: 0.1 };

    fn sigmoid(z: f64) -> f64 {
        1.0 / (1.0 + (-z).exp())
    }

    #[test]
    fn ftrl_without_penalties_is_online_gradient_descent_per_coordinate() {
        // McMahan et al. 2013, section 3.1: w -= eta g with eta = alpha / (beta + sqrt(sum of g^2)), in doubles.
        let mut kernel = Kernel::new(Shape::Linear, RATES, 3, (8, 0), 1);
        let (mut weights, mut squares) = ([0.0f64; 257], [0.0f64; 257]);
        let mut rng = Rng::named(1, "ftrl");
        for _ in 0..3000 {
            let features = [rng.below(80) as u32, 80 + rng.below(80) as u32, 160 + rng.below(90) as u32];
            let places = [features[0] as usize, features[1] as usize, features[2] as usize, 256];
            let wanted: f64 = places.iter().map(|place| weights[*place]).sum();
            let found = f64::from(kernel.score(&features));
            assert!((found - wanted).abs() < 2e-4, "{found} for {wanted}");
            let gradient = sigmoid(wanted) - f64::from(u8::from(rng.chance(0.3)));
            kernel.learn(gradient as f32);
            for place in places {
                squares[place] += gradient * gradient;
                weights[place] -= gradient * 0.3 / (1.0 + squares[place].sqrt());
            }
        }
    }

    #[test]
    fn more_l1_leaves_fewer_weights() {
        let count = |l1: f32| {
            let mut kernel = Kernel::new(Shape::Linear, Rates { l1, ..RATES }, 2, (12, 0), 1);
            let mut rng = Rng::named(2, "sparse");
            for _ in 0..20_000 {
                let features = [rng.below(5) as u32, 10 + rng.below(3000) as u32];
                let p = sigmoid(f64::from(kernel.score(&features)));
                let clicked = rng.chance(0.1 + 0.1 * f64::from(features[0]));
                kernel.learn(p as f32 - f32::from(clicked));
            }
            kernel.nonzero()
        };
        let counts = [0.0, 0.5, 2.0, 8.0].map(count);
        assert!(counts.is_sorted_by(|a, b| a > b) && counts[3] > 0, "{counts:?}");
    }

    /// The derivative of the score by every factor, told by the step of a rate that does not move anything else.
    fn steps_are_derivatives(shape: Shape) {
        let rates = Rates { alpha: 1e-9, factors: 1e-3, ..RATES };
        let make = || Kernel::new(shape, rates, 3, (4, 4), 7);
        let features = [1u32, 6, 11];
        let mut kernel = make();
        kernel.score(&features);
        kernel.learn(1.0);
        let before = make();
        for place in 0..before.numbers().1.len() {
            let in_slot = place % before.stride;
            let factors = if shape == Shape::Fm { 4 } else { 12 };
            if !(HEAD..HEAD + factors).contains(&in_slot) {
                continue;
            }
            let moved = |by: f32| {
                let mut kernel = make();
                let at = kernel.start + place;
                kernel.numbers[at] += by;
                kernel.score(&features)
            };
            let derivative = (moved(0.01) - moved(-0.01)) / 0.02;
            let squares = match shape {
                Shape::Fm => kernel.numbers().1[place - in_slot + 2],
                _ => kernel.numbers().1[place - in_slot + HEAD + 12 + (in_slot - HEAD) / 4],
            };
            let step = before.numbers().1[place] - kernel.numbers().1[place];
            let wanted = 1e-3 * derivative / squares.sqrt();
            assert!((step - wanted).abs() < 2e-7, "{place}: {step} for {wanted}");
        }
    }

    #[test]
    fn factors_move_along_central_differences() {
        steps_are_derivatives(Shape::Fm);
        steps_are_derivatives(Shape::Ffm);
    }

    #[test]
    fn fm_is_the_sum_of_products_of_pairs() {
        let mut kernel = Kernel::new(Shape::Fm, RATES, 3, (4, 8), 7);
        let features = [1u32, 6, 11];
        let score = kernel.score(&features);
        let factor = |feature: u32| &kernel.numbers().1[feature as usize * kernel.stride + HEAD..][..8];
        let dot = |a: u32, b: u32| factor(a).iter().zip(factor(b)).map(|(a, b)| a * b).sum::<f32>();
        assert!((score - dot(1, 6) - dot(1, 11) - dot(6, 11)).abs() < 1e-6);
    }
}

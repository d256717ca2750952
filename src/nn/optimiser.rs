//! How does a gradient become a step? Five rules, on whole tensors or on single rows of a table.
//!
//! On tables every rule is lazy: rows that a batch does not touch rest, with all that is remembered of them. For SGD,
//! both Adagrads and FTRL that is no approximation, since a gradient of 0 would change nothing (with `l2` 0); lazy
//! Adam is a rule of its own, that of PyTorch's `SparseAdam`.

use crate::base::simd::{Kernel, run_widest};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The rule of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Against the gradient; nothing is remembered.
    Sgd,
    /// Duchi, Hazan & Singer 2011.
    Adagrad,
    /// Adagrad with one sum a row, of the mean square of its gradient: FBGEMM's `EXACT_ROWWISE_ADAGRAD`. A fifth of
    /// Adagrad's memory at width 4, a seventeenth at 16. Tensors outside tables have no rows to share: Adagrad.
    RowwiseAdagrad,
    /// Kingma & Ba 2015 with 0.9, 0.999, 1e-8.
    Adam,
    /// FTRL-Proximal, McMahan et al. 2013 (algorithm 1) with beta 1: weights that tell little become exactly 0.
    Ftrl,
}

/// Every rule with its word in files and flags.
pub const RULES: &[Rule] = &[Rule::Sgd, Rule::Adagrad, Rule::RowwiseAdagrad, Rule::Adam, Rule::Ftrl];

/// One step's settings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Which rule.
    pub rule: Rule,
    /// Learning rate now.
    pub rate: f32,
    /// `l2 * value` is added to each gradient; on tables only to touched rows.
    pub l2: f32,
    /// FTRL's L1: weights whose summed gradient stays within it are 0. Other rules have none.
    pub l1: f32,
    /// Before a step each value shrinks by `rate * decay` of itself, apart from its gradient (decoupled weight decay,
    /// Loshchilov & Hutter 2019); on tables only touched rows.
    pub decay: f32,
    /// Steps taken, this one included: from 1.
    pub count: u64,
}

const FIRST_DECAY: f32 = 0.9;
const SECOND_DECAY: f32 = 0.999;
const ADAM_EPSILON: f32 = 1e-8;
/// PyTorch's for Adagrad.
const ADAGRAD_EPSILON: f32 = 1e-10;
/// FBGEMM's for row-wise Adagrad.
const ROWWISE_EPSILON: f32 = 1e-8;
/// McMahan's beta: keeps the first steps from being infinite.
const FTRL_BETA: f32 = 1.0;
/// Numbers of a dense tensor that a thread takes at a time.
const CHUNK: usize = 1 << 14;

impl Rule {
    /// The word in files and flags.
    pub fn id(self) -> &'static str {
        match self {
            Self::Sgd => "sgd",
            Self::Adagrad => "adagrad",
            Self::RowwiseAdagrad => "rowwise_adagrad",
            Self::Adam => "adam",
            Self::Ftrl => "ftrl",
        }
    }

    /// What it remembers of a row of `width` weights: names in checkpoints, with how many numbers each takes.
    pub fn remembers(self, width: usize) -> Vec<(&'static str, usize)> {
        match self {
            Self::Sgd => vec![],
            Self::Adagrad => vec![("square_sum", width)],
            Self::RowwiseAdagrad => vec![("row_square_sum", 1)],
            Self::Adam => vec![("mean", width), ("mean_square", width)],
            Self::Ftrl => vec![("gradient_sum", width), ("square_sum", width)],
        }
    }

    /// What it remembers of a tensor outside tables.
    pub fn remembers_dense(self, count: usize) -> Vec<(&'static str, usize)> {
        self.outside_tables().remembers(count)
    }

    /// The rule where there are no rows.
    fn outside_tables(self) -> Self {
        if self == Self::RowwiseAdagrad { Self::Adagrad } else { self }
    }
}

impl Step {
    /// The first step of a rule, without penalties.
    pub fn new(rule: Rule, rate: f32) -> Self {
        Self { rule, rate, l2: 0.0, l1: 0.0, decay: 0.0, count: 1 }
    }

    /// Moves every number of a tensor outside tables. `memory` holds [`Rule::remembers_dense`], one after another.
    pub fn dense(self, values: &mut [f32], memory: &mut [f32], gradient: &[f32]) {
        let step = Self { rule: self.rule.outside_tables(), ..self };
        let (first, second) = memory.split_at_mut(values.len().min(memory.len()));
        let mut second = second.chunks_mut(CHUNK);
        let mut first = first.chunks_mut(CHUNK);
        let parts: Vec<_> = values
            .chunks_mut(CHUNK)
            .zip(gradient.chunks(CHUNK))
            .map(|(values, gradient)| {
                (values, first.next().unwrap_or_default(), second.next().unwrap_or_default(), gradient)
            })
            .collect();
        parts.into_par_iter().for_each(|(values, first, second, gradient)| {
            step.numbers(values, first, second, gradient);
        });
    }

    /// Moves one row of a table. `memory` begins with [`Rule::remembers`], one after another.
    pub fn row(self, weights: &mut [f32], memory: &mut [f32], gradient: &[f32]) {
        if self.rule == Rule::RowwiseAdagrad {
            self.rowwise_adagrad(weights, memory, gradient);
            return;
        }
        let (first, second) = memory.split_at_mut(weights.len().min(memory.len()));
        self.numbers(weights, first, second, gradient);
    }

    fn numbers(self, values: &mut [f32], first: &mut [f32], second: &mut [f32], gradient: &[f32]) {
        self.shrink(values);
        match self.rule {
            Rule::Sgd => {
                for (value, g) in values.iter_mut().zip(gradient) {
                    *value -= self.rate * (g + self.l2 * *value);
                }
            }
            Rule::Adagrad | Rule::RowwiseAdagrad => {
                for ((value, sum), g) in values.iter_mut().zip(first).zip(gradient) {
                    let g = g + self.l2 * *value;
                    *sum += g * g;
                    *value -= self.rate * g / (sum.sqrt() + ADAGRAD_EPSILON);
                }
            }
            Rule::Adam => self.adam(values, first, second, gradient),
            Rule::Ftrl => self.ftrl(values, first, second, gradient),
        }
    }

    fn shrink(self, values: &mut [f32]) {
        if self.decay > 0.0 {
            let kept = 1.0 - self.rate * self.decay;
            values.iter_mut().for_each(|value| *value *= kept);
        }
    }

    fn rowwise_adagrad(self, weights: &mut [f32], memory: &mut [f32], gradient: &[f32]) {
        let Some(sum) = memory.first_mut() else {
            return;
        };
        self.shrink(weights);
        let square = |(weight, g): (&f32, &f32)| (g + self.l2 * weight).powi(2);
        *sum += weights.iter().zip(gradient).map(square).sum::<f32>() / weights.len().max(1) as f32;
        let rate = self.rate / (sum.sqrt() + ROWWISE_EPSILON);
        for (weight, g) in weights.iter_mut().zip(gradient) {
            *weight -= rate * (g + self.l2 * *weight);
        }
    }

    fn adam(self, values: &mut [f32], mean: &mut [f32], square: &mut [f32], gradient: &[f32]) {
        Adam { rate: self.rate, second_decay: SECOND_DECAY, l2: self.l2, count: self.count }
            .numbers(values, mean, square, gradient);
    }

    /// The paper keeps `z` and derives the weight, `w = -(z - sign(z) l1) / ((beta + sqrt(n)) / rate)`. Where the weight
    /// is not 0 the equation also gives `z`, so we derive it: the same as long as the rate is constant, and when the rate
    /// changes, or a weight starts elsewhere than at 0, the weight stays where it is.
    fn ftrl(self, values: &mut [f32], z: &mut [f32], n: &mut [f32], gradient: &[f32]) {
        let stiffness = |n: f32| (FTRL_BETA + n.sqrt()) / self.rate;
        for ((value, (z, n)), g) in values.iter_mut().zip(z.iter_mut().zip(n)).zip(gradient) {
            let g = g + self.l2 * *value;
            if g == 0.0 {
                // Nothing moves; deriving z anew would only round.
                continue;
            }
            let before = stiffness(*n);
            if *value != 0.0 {
                *z = -*value * before - value.signum() * self.l1;
            }
            *n += g * g;
            let after = stiffness(*n);
            *z += g - (after - before) * *value;
            *value = if z.abs() <= self.l1 { 0.0 } else { (z.signum() * self.l1 - *z) / after };
        }
    }
}

/// A step of Adam that forgets squares at a pace of its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// Learning rate now.
    pub rate: f32,
    /// What a step keeps of the mean square: 0.999 in [`Rule::Adam`].
    pub second_decay: f32,
    /// `l2 * value` is added to each gradient.
    pub l2: f32,
    /// Steps taken, this one included: from 1.
    pub count: u64,
}

impl Adam {
    /// Moves every number.
    pub fn dense(self, values: &mut [f32], [mean, square]: [&mut [f32]; 2], gradient: &[f32]) {
        let moments = mean.par_chunks_mut(CHUNK).zip(square.par_chunks_mut(CHUNK));
        let numbers = values.par_chunks_mut(CHUNK).zip(gradient.par_chunks(CHUNK));
        numbers.zip(moments).for_each(|((values, gradient), (mean, square))| {
            self.numbers(values, mean, square, gradient);
        });
    }

    fn numbers(self, values: &mut [f32], mean: &mut [f32], square: &mut [f32], gradient: &[f32]) {
        run_widest(Moved { step: self, values, mean, square, gradient });
    }
}

/// Numbers that a step of Adam moves.
struct Moved<'a> {
    step: Adam,
    values: &'a mut [f32],
    mean: &'a mut [f32],
    square: &'a mut [f32],
    gradient: &'a [f32],
}

impl Kernel for Moved<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { step: Adam { rate, second_decay, l2, count }, values, mean, square, gradient } = self;
        // Far beyond 1e4 steps both corrections are 1 to the last bit.
        let count = count.min(100_000) as i32;
        let rate = rate / (1.0 - FIRST_DECAY.powi(count));
        let square_scale = 1.0 / (1.0 - second_decay.powi(count));
        let moments = mean.iter_mut().zip(square);
        for ((value, (mean, square)), g) in values.iter_mut().zip(moments).zip(gradient) {
            let g = g + l2 * *value;
            *mean = FIRST_DECAY * *mean + (1.0 - FIRST_DECAY) * g;
            *square = second_decay * *square + (1.0 - second_decay) * g * g;
            *value -= rate * *mean / ((*square * square_scale).sqrt() + ADAM_EPSILON);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    /// One number's course under a rule, without penalties.
    fn course(rule: Rule, gradients: &[f32]) -> f32 {
        let (mut value, mut memory) = ([0.0_f32], [0.0; 2]);
        for (place, g) in gradients.iter().enumerate() {
            Step { count: place as u64 + 1, ..Step::new(rule, 0.1) }.dense(&mut value, &mut memory, &[*g]);
        }
        value[0]
    }

    #[test]
    fn decoupled_decay_shrinks_first_and_leaves_the_gradient_alone() {
        for rule in RULES {
            let step = Step { decay: 0.5, ..Step::new(*rule, 0.1) };
            // Loshchilov & Hutter 2019, algorithm 2: without a gradient only (1 - rate * decay) is left.
            let mut memory = vec![0.0; 2];
            let mut still = [2.0_f32];
            step.row(&mut still, &mut memory, &[0.0]);
            assert!((still[0] - 1.9).abs() < 1e-6, "{rule:?}: {}", still[0]);
            // With one it is the plain step from the shrunk value.
            let (mut decayed, mut plain) = ([2.0_f32], [1.9_f32]);
            step.row(&mut decayed, &mut [0.0; 2], &[0.3]);
            Step::new(*rule, 0.1).row(&mut plain, &mut [0.0; 2], &[0.3]);
            assert!((decayed[0] - plain[0]).abs() < 1e-6, "{rule:?}: {} {}", decayed[0], plain[0]);
        }
    }

    #[test]
    fn each_rule_follows_its_paper_by_hand() {
        // SGD: -0.1 (1 - 0.5).
        assert!((course(Rule::Sgd, &[1.0, -0.5]) + 0.05).abs() < 1e-6);
        // Adagrad: -0.1 * 3/3 - 0.1 * 4/5.
        assert!((course(Rule::Adagrad, &[3.0, 4.0]) + 0.18).abs() < 1e-6);
        // Adam (Kingma & Ba 2015, algorithm 1): step 1: m/c1 = 1, v/c2 = 1 -> -0.1.
        // step 2: m = 0.04, c1 = 0.19; v = 0.001249, c2 = 0.001999.
        assert!((course(Rule::Adam, &[1.0]) + 0.1).abs() < 1e-6);
        let want = -0.1 - 0.1 * (0.04 / 0.19) / (0.001_249_f64 / 0.001_999).sqrt();
        assert!((f64::from(course(Rule::Adam, &[1.0, -0.5])) - want).abs() < 1e-5);
        // FTRL (McMahan et al. 2013, algorithm 1; alpha 0.1, beta 1, no penalties): step 1: n = 9, z = 3,
        // w = -3 / 40. step 2: n = 25, sigma = 20, z = 3 + 4 + 20 * 3/40 = 8.5, w = -8.5 / 60.
        assert!((course(Rule::Ftrl, &[3.0]) + 3.0 / 40.0).abs() < 1e-6);
        assert!((course(Rule::Ftrl, &[3.0, 4.0]) + 8.5 / 60.0).abs() < 1e-6);
    }

    #[test]
    fn rowwise_adagrad_shares_one_sum_a_row() {
        // FBGEMM: sum += mean(g^2) = (9 + 16) / 2; w -= rate g / (sqrt(sum) + 1e-8).
        let (mut row, mut memory) = ([0.0_f32; 2], [0.0; 2]);
        Step::new(Rule::RowwiseAdagrad, 0.1).row(&mut row, &mut memory, &[3.0, 4.0]);
        let root = 12.5_f32.sqrt();
        assert!((row[0] + 0.3 / root).abs() < 1e-6 && (row[1] + 0.4 / root).abs() < 1e-6);
        assert_eq!(memory, [12.5, 0.0]);
        // At width 1 it is Adagrad.
        let (mut row, mut memory) = ([0.0_f32], [0.0]);
        for g in [3.0, 4.0] {
            Step::new(Rule::RowwiseAdagrad, 0.1).row(&mut row, &mut memory, &[g]);
        }
        assert!((row[0] + 0.18).abs() < 1e-6);
    }

    #[test]
    fn ftrl_without_l1_is_gradient_descent_with_a_rate_per_number() {
        // McMahan et al. 2013, section 3.1: with l1 = l2 = 0, w -= eta_t g with eta_t = alpha / (beta + sqrt(n_t)).
        let mut rng = Rng::named(1, "test");
        let (mut ftrl, mut memory) = ([0.3_f32], [0.0; 2]);
        let (mut descent, mut n) = (0.3_f64, 0.0_f64);
        for _ in 0..200 {
            let g = rng.normal();
            Step::new(Rule::Ftrl, 0.1).dense(&mut ftrl, &mut memory, &[g as f32]);
            n += g * g;
            descent -= 0.1 / (1.0 + n.sqrt()) * g;
            assert!((f64::from(ftrl[0]) - descent).abs() < 1e-4, "{} {descent}", ftrl[0]);
        }
    }

    #[test]
    fn ftrl_with_l1_follows_the_papers_own_recursion_and_makes_zeros() {
        let zeros = |l1: f32| {
            let mut rng = Rng::named(2, "test");
            let (mut weights, mut memory) = (vec![0.0_f32; 50], vec![0.0; 100]);
            let (mut z, mut n, mut w) = (vec![0.0_f64; 50], vec![0.0_f64; 50], vec![0.0_f64; 50]);
            for _ in 0..100 {
                let g: Vec<f32> = (0..50).map(|_| rng.normal() as f32).collect();
                Step { l1, ..Step::new(Rule::Ftrl, 0.1) }.dense(&mut weights, &mut memory, &g);
                for i in 0..50 {
                    let g = f64::from(g[i]);
                    let sigma = ((n[i] + g * g).sqrt() - n[i].sqrt()) / 0.1;
                    z[i] += g - sigma * w[i];
                    n[i] += g * g;
                    let shrunk = z[i] - z[i].signum() * f64::from(l1);
                    w[i] =
                        if z[i].abs() <= f64::from(l1) { 0.0 } else { -shrunk / ((1.0 + n[i].sqrt()) / 0.1) };
                }
            }
            for (got, want) in weights.iter().zip(&w) {
                assert!((f64::from(*got) - want).abs() < 1e-4, "{got} {want}");
            }
            weights.iter().filter(|weight| **weight == 0.0).count()
        };
        let counts = [0.0, 2.0, 20.0, 1e3].map(zeros);
        assert_eq!(counts[0], 0);
        assert!(counts.is_sorted() && counts[1] < counts[2], "{counts:?}");
        assert_eq!(counts[3], 50);
    }

    #[test]
    fn a_row_is_moved_as_a_tensor_of_its_own() {
        let mut rng = Rng::named(3, "test");
        for rule in RULES.iter().filter(|rule| **rule != Rule::RowwiseAdagrad) {
            let width = 2 * CHUNK + 5;
            let mut draw = || -> Vec<f32> { (0..width).map(|_| rng.normal() as f32).collect() };
            let (start, gradient) = (draw(), draw());
            let step = Step { l2: 0.01, l1: 0.01, ..Step::new(*rule, 0.1) };
            let (mut dense, mut memory) = (start.clone(), vec![0.0; 2 * width]);
            step.dense(&mut dense, &mut memory, &gradient);
            let (mut row, mut memory) = (start.clone(), vec![0.0; 2 * width]);
            step.row(&mut row, &mut memory, &gradient);
            assert_eq!(dense, row, "{rule:?}");
        }
    }
}

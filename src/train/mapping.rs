//! What would a user's vector of one domain be in another? A map from vectors to vectors, learnt on users of both.
//!
//! EMCDR (Man et al., IJCAI 2017): two models are fitted apart, and a function takes what one knows of a user to what the
//! other would. Here it is a ridge regression, solved exactly, or one hidden layer of tanh.

use crate::base::rng::Rng;
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use crate::nn::inverse::solve;
use serde::{Deserialize, Serialize};

const WHAT: &str = "cannot map one domain's vectors to the other's";

/// The form of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// A matrix and a shift.
    #[default]
    Linear,
    /// A hidden layer of tanh, twice as wide as the vectors.
    Mlp,
}

impl Form {
    /// The words for them.
    pub const WORDS: [(&str, Self); 2] = [("linear", Self::Linear), ("mlp", Self::Mlp)];

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, form)| *form == self).map_or("", |(word, _)| word)
    }
}

/// A fitted map.
#[derive(Debug, Clone, PartialEq)]
pub enum Mapping {
    /// `A x + b`, `A` row-major.
    Linear {
        /// `[to, from]`.
        matrix: Vec<f64>,
        /// `[to]`.
        shift: Vec<f64>,
    },
    /// `V tanh(W x + b) + c` on vectors of mean 0 and deviation 1.
    Mlp(Box<Mlp>),
}

/// One hidden layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Mlp {
    sizes: [usize; 3],
    /// `W`, `b`, `V`, `c`, one after another.
    weights: Vec<f64>,
    from: Scale,
    to: Scale,
}

/// Mean and deviation of each number.
#[derive(Debug, Clone, PartialEq)]
struct Scale {
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

/// Passes over the pairs, the rate of a step, and the share of a weight that a step takes away.
const PASSES: usize = 400;
const RATE: f64 = 0.01;
const DECAY: f64 = 1e-4;

impl Mapping {
    /// Fits a map on pairs of vectors, `[pairs, from]` and `[pairs, to]`. `ridge` is the penalty of the linear form as a
    /// share of the vectors' mean square.
    ///
    /// # Errors
    /// Fewer than two pairs, a linear form that pairs do not settle without a penalty, or a cancel.
    pub fn fit(
        form: Form,
        (from, to): (&[Vec<f64>], &[Vec<f64>]),
        ridge: f64,
        seed: u64,
        context: &JobContext,
    ) -> Result<Self> {
        if from.len() < 2 || from.len() != to.len() {
            let why = format!("{} users are known in both", from.len().min(to.len()));
            return Err(Failure::new(WHAT, why).hint("domains that share more users"));
        }
        match form {
            Form::Linear => linear(from, to, ridge),
            Form::Mlp => Ok(Self::Mlp(Box::new(Mlp::fit(from, to, seed, context)?))),
        }
    }

    /// Where a vector comes to lie.
    pub fn of(&self, x: &[f64]) -> Vec<f64> {
        match self {
            Self::Linear { matrix, shift } => shift
                .iter()
                .zip(matrix.chunks_exact(x.len().max(1)))
                .map(|(b, row)| b + dot(row, x))
                .collect(),
            Self::Mlp(mlp) => mlp.of(x),
        }
    }
}

/// Least squares with a penalty on the matrix, not on the shift: `(X'X + l I) A' = X'Y` on centred vectors.
fn linear(from: &[Vec<f64>], to: &[Vec<f64>], ridge: f64) -> Result<Mapping> {
    let (of_from, of_to) = (means(from), means(to));
    let (n, m) = (of_from.len(), of_to.len());
    let mut gram = vec![0.0; n * n];
    let mut cross = vec![0.0; n * m];
    for (x, y) in from.iter().zip(to) {
        for i in 0..n {
            let centred = x[i] - of_from[i];
            for j in 0..n {
                gram[i * n + j] += centred * (x[j] - of_from[j]);
            }
            for j in 0..m {
                cross[i * m + j] += centred * (y[j] - of_to[j]);
            }
        }
    }
    let trace: f64 = (0..n).map(|i| gram[i * n + i]).sum();
    (0..n).for_each(|i| gram[i * n + i] += ridge * trace / n.max(1) as f64);
    let mut matrix = vec![0.0; m * n];
    for j in 0..m {
        let mut column: Vec<f64> = (0..n).map(|i| cross[i * m + j]).collect();
        solve(&mut gram.clone(), &mut column).map_err(|_| {
            Failure::new(WHAT, "the users known in both do not settle the map")
                .hint("a larger penalty, or more users")
        })?;
        matrix[j * n..(j + 1) * n].copy_from_slice(&column);
    }
    let shift =
        of_to.iter().zip(matrix.chunks_exact(n.max(1))).map(|(y, row)| y - dot(row, &of_from)).collect();
    Ok(Mapping::Linear { matrix, shift })
}

impl Mlp {
    fn fit(from: &[Vec<f64>], to: &[Vec<f64>], seed: u64, context: &JobContext) -> Result<Self> {
        let (scale_from, scale_to) = (Scale::of(from), Scale::of(to));
        let (x, y): (Vec<_>, Vec<_>) =
            from.iter().zip(to).map(|(x, y)| (scale_from.scaled(x), scale_to.scaled(y))).unzip();
        let sizes = [x[0].len(), 2 * x[0].len(), y[0].len()];
        let mut rng = Rng::named(seed, "mapping");
        let [n, hidden, m] = sizes;
        let mut weights: Vec<f64> = Vec::with_capacity(hidden * (n + 1) + m * (hidden + 1));
        for (rows, columns) in [(hidden, n), (m, hidden)] {
            let deviation = (2.0 / (rows + columns) as f64).sqrt();
            weights.extend((0..rows * columns).map(|_| deviation * rng.normal()));
            weights.extend(vec![0.0; rows]);
        }
        let mut mlp = Self { sizes, weights, from: scale_from, to: scale_to };
        let (mut first, mut second) = (vec![0.0; mlp.weights.len()], vec![0.0; mlp.weights.len()]);
        let mut order: Vec<usize> = (0..x.len()).collect();
        let (mut step, size) = (0, x.len().min(64));
        let all = (PASSES * x.len().div_ceil(size)) as f64;
        for _ in 0..PASSES {
            context.check()?;
            rng.shuffle(&mut order);
            for places in order.chunks(size) {
                let pairs = places.iter().map(|place| (x[*place].as_slice(), y[*place].as_slice()));
                let (_, gradient) = mlp.loss_and_gradient(pairs);
                step += 1;
                // Adam (Kingma & Ba 2015) along half a cosine.
                let rate = RATE * 0.5 * (1.0 + (std::f64::consts::PI * f64::from(step) / all).cos());
                let (fade_first, fade_second) = (1.0 - 0.9_f64.powi(step), 1.0 - 0.999_f64.powi(step));
                for (at, weight) in mlp.weights.iter_mut().enumerate() {
                    first[at] = 0.9 * first[at] + 0.1 * gradient[at];
                    second[at] = 0.999 * second[at] + 0.001 * gradient[at] * gradient[at];
                    let way = (first[at] / fade_first) / ((second[at] / fade_second).sqrt() + 1e-8);
                    *weight -= rate * way + DECAY * rate * *weight;
                }
            }
        }
        Ok(mlp)
    }

    fn of(&self, x: &[f64]) -> Vec<f64> {
        let (_, y) = self.forward(&self.from.scaled(x));
        y.iter()
            .zip(&self.to.mean)
            .zip(&self.to.deviation)
            .map(|((y, mean), deviation)| mean + deviation * y)
            .collect()
    }

    /// The hidden layer and the answer for a scaled vector.
    fn forward(&self, x: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let [n, hidden, m] = self.sizes;
        let (inner, outer) = self.weights.split_at(hidden * (n + 1));
        let h: Vec<f64> =
            (0..hidden).map(|i| (dot(&inner[i * n..][..n], x) + inner[hidden * n + i]).tanh()).collect();
        let y = (0..m).map(|i| dot(&outer[i * hidden..][..hidden], &h) + outer[m * hidden + i]).collect();
        (h, y)
    }

    /// Half the mean squared distance over pairs, and its derivative by every weight.
    fn loss_and_gradient<'a>(&self, pairs: impl Iterator<Item = (&'a [f64], &'a [f64])>) -> (f64, Vec<f64>) {
        let [n, hidden, m] = self.sizes;
        let split = hidden * (n + 1);
        let mut gradient = vec![0.0; self.weights.len()];
        let (mut loss, mut count) = (0.0, 0.0);
        for (x, y) in pairs {
            let (h, answer) = self.forward(x);
            let (inner, outer) = gradient.split_at_mut(split);
            let mut of_h = vec![0.0; hidden];
            for i in 0..m {
                let off = answer[i] - y[i];
                loss += 0.5 * off * off;
                outer[m * hidden + i] += off;
                for j in 0..hidden {
                    outer[i * hidden + j] += off * h[j];
                    of_h[j] += off * self.weights[split + i * hidden + j];
                }
            }
            for j in 0..hidden {
                let of_sum = of_h[j] * (1.0 - h[j] * h[j]);
                inner[hidden * n + j] += of_sum;
                (0..n).for_each(|k| inner[j * n + k] += of_sum * x[k]);
            }
            count += 1.0;
        }
        gradient.iter_mut().for_each(|slope| *slope /= count);
        (loss / count, gradient)
    }
}

impl Scale {
    fn of(vectors: &[Vec<f64>]) -> Self {
        let mean = means(vectors);
        let square = |at: usize| vectors.iter().map(|x| (x[at] - mean[at]).powi(2)).sum::<f64>();
        let deviation = (0..mean.len()).map(|at| (square(at) / vectors.len() as f64).sqrt().max(1e-9));
        let deviation = deviation.collect();
        Self { mean, deviation }
    }

    fn scaled(&self, x: &[f64]) -> Vec<f64> {
        x.iter().zip(&self.mean).zip(&self.deviation).map(|((x, mean), by)| (x - mean) / by).collect()
    }
}

/// The mean vector.
pub fn means(vectors: &[Vec<f64>]) -> Vec<f64> {
    let mut mean = vec![0.0; vectors.first().map_or(0, Vec::len)];
    for vector in vectors {
        mean.iter_mut().zip(vector).for_each(|(sum, number)| *sum += number / vectors.len() as f64);
    }
    mean
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planted(noise: f64) -> (Vec<Vec<f64>>, Vec<Vec<f64>>, Vec<f64>) {
        let mut rng = Rng::named(3, "planted map");
        let matrix: Vec<f64> = (0..12).map(|_| rng.normal()).collect();
        let from: Vec<Vec<f64>> = (0..80).map(|_| (0..4).map(|_| rng.normal()).collect()).collect();
        let to = from.iter().map(|x| {
            let rows = matrix.chunks_exact(4).zip([0.5, -1.0, 2.0]);
            rows.map(|(row, shift)| dot(row, x) + shift + noise * rng.normal()).collect()
        });
        let to = to.collect();
        (from, to, matrix)
    }

    #[test]
    fn a_planted_linear_map_is_recovered_exactly() {
        let (from, to, wanted) = planted(0.0);
        let context = JobContext::detached();
        let found = Mapping::fit(Form::Linear, (&from, &to), 0.0, 1, &context).unwrap();
        let Mapping::Linear { matrix, shift } = &found else { panic!("it is linear") };
        assert!(matrix.iter().zip(&wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-10));
        assert!(shift.iter().zip([0.5, -1.0, 2.0]).all(|(found, wanted)| (found - wanted).abs() < 1e-10));
        let same =
            from.iter().zip(&to).all(|(x, y)| found.of(x).iter().zip(y).all(|(a, b)| (a - b).abs() < 1e-9));
        assert!(same);
        // A penalty pulls the matrix towards nothing, and the shift stays where the means lie.
        let pulled = Mapping::fit(Form::Linear, (&from, &to), 1e9, 1, &context).unwrap();
        assert!(pulled.of(&from[0]).iter().zip(means(&to)).all(|(a, b)| (a - b).abs() < 1e-6));
        let few = (&from[..3], &to[..3]);
        let why = Mapping::fit(Form::Linear, few, 0.0, 1, &context).unwrap_err();
        assert!(why.hint.contains("penalty"), "{why}");
        assert!(Mapping::fit(Form::Mlp, (&from[..1], &to[..1]), 0.0, 1, &context).is_err());
    }

    #[test]
    fn the_hidden_layers_gradient_is_that_of_central_differences_and_it_learns_what_bends() {
        let (from, mut to, _) = planted(0.0);
        to.iter_mut().flatten().for_each(|y| *y = y.tanh());
        let context = JobContext::detached();
        let mlp = Mlp::fit(&from, &to, 1, &context).unwrap();
        let (x, y) = (mlp.from.scaled(&from[0]), mlp.to.scaled(&to[1]));
        let (_, gradient) = mlp.loss_and_gradient(std::iter::once((x.as_slice(), y.as_slice())));
        for (at, known) in gradient.iter().enumerate() {
            let moved = |by: f64| {
                let mut other = mlp.clone();
                other.weights[at] += by;
                other.loss_and_gradient(std::iter::once((x.as_slice(), y.as_slice()))).0
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((slope - known).abs() < 1e-6, "weight {at}: {slope} is not {known}");
        }
        let off = |map: &Mapping| -> f64 {
            let distance = |(x, y): (&Vec<f64>, &Vec<f64>)| {
                map.of(x).iter().zip(y).map(|(a, b)| (a - b).powi(2)).sum::<f64>()
            };
            from.iter().zip(&to).map(distance).sum()
        };
        let line = Mapping::fit(Form::Linear, (&from, &to), 0.0, 1, &context).unwrap();
        assert!(off(&Mapping::Mlp(Box::new(mlp))) < 0.5 * off(&line), "what bends is no line");
    }
}

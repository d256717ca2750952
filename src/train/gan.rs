//! How could more rows look? A generator of categorical columns, trained against a discriminator, both told a condition.
//!
//! The game of Goodfellow et al. (arXiv 1406.2661) with the non-saturating loss, on one-hot rows: the generator's choices are
//! straight-through Gumbel-softmax draws (Jang et al., arXiv 1611.01144), so that the discriminator sees no row that is
//! softer than a real one. The condition stands beside the noise and beside the row (Mirza & Osindero, arXiv 1411.1784). The
//! generator also has its marginals pulled to those of the batch (feature matching, Salimans et al., arXiv 1606.03498),
//! and the mean of its weights over the last steps is what draws (Yazici et al., arXiv 1806.04498).

use crate::base::failure::Explain;
use crate::base::rng::Rng;
use crate::base::{Failure, Result};
use crate::jobs::JobContext;
use crate::nn::Computed;
use crate::nn::linear::Linear;
use crate::nn::losses::bce_with_logits;
use crate::nn::optimiser::{Rule, Step};
use crate::nn::weights::{Builder, Parameter};
use candle_core::{D, Device, Tensor};

const WHAT: &str = "cannot train the generator";

/// Rows of categorical columns, each with a condition.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cells {
    /// How many values each column has.
    pub sizes: Vec<usize>,
    /// `[column][row]`.
    pub columns: Vec<Vec<u32>>,
    /// How many conditions there are.
    pub conditions: usize,
    /// `[row]`.
    pub condition: Vec<u32>,
}

/// How the two are trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Game {
    /// Steps of both.
    pub steps: usize,
    /// Rows of a step.
    pub batch: usize,
    /// Units of the hidden layers.
    pub width: usize,
    /// Size of a first step of both.
    pub rate: f64,
    /// Softness of the draws through which the gradient goes.
    pub temperature: f64,
    /// What the distance of the marginals counts in the generator's loss.
    pub matching: f64,
    /// Start of every random draw.
    pub seed: u64,
}

impl Default for Game {
    fn default() -> Self {
        Self { steps: 1500, batch: 128, width: 64, rate: 2e-3, temperature: 0.7, matching: 1.0, seed: 1 }
    }
}

/// A trained pair.
#[derive(Debug)]
pub struct Gan {
    sizes: Vec<usize>,
    conditions: usize,
    generator: Player,
    discriminator: Player,
}

/// Numbers of noise that a row is made of.
const NOISE: usize = 16;
/// How much of the mean of the generator's weights stays in a step.
const KEPT: f32 = 0.99;

/// A network of one or two hidden layers.
#[derive(Debug)]
struct Player {
    parameters: Vec<Parameter>,
    layers: Vec<Linear>,
}

impl Player {
    fn new(name: &str, sizes: &[usize], seed: u64) -> Result<Self> {
        let mut builder = Builder::for_training(seed, Device::Cpu, Rule::Adam);
        let layers = sizes
            .windows(2)
            .enumerate()
            .map(|(place, pair)| builder.linear(&format!("{name}.{place}"), pair[0], pair[1]))
            .collect::<Result<_>>()?;
        Ok(Self { parameters: builder.parameters, layers })
    }

    fn forward(&self, x: &Tensor) -> Computed<Tensor> {
        let mut x = x.clone();
        for (place, layer) in self.layers.iter().enumerate() {
            x = layer.forward(&x)?;
            if place + 1 < self.layers.len() {
                // What is below 0 goes on a little, so that no unit of so few dies.
                x = x.maximum(&(&x * 0.1)?)?;
            }
        }
        Ok(x)
    }

    /// Moves every weight against the gradient of a loss.
    fn step(&mut self, loss: &Tensor, step: Step) -> Result<()> {
        let store = loss.backward().explain(WHAT)?;
        for parameter in &mut self.parameters {
            let Some(gradient) = store.get(parameter.var.as_tensor()) else { continue };
            let gradient = gradient.flatten_all().and_then(|flat| flat.to_vec1::<f32>()).explain(WHAT)?;
            step.dense(&mut parameter.values, &mut parameter.memory, &gradient);
            parameter.upload()?;
        }
        Ok(())
    }
}

impl Cells {
    fn rows(&self) -> usize {
        self.condition.len()
    }

    fn check(&self) -> Result<()> {
        let refuse = |why: String| Err(Failure::new(WHAT, why).hint("a larger part of the log"));
        if self.rows() < 2 || self.sizes.is_empty() {
            return refuse(format!("{} rows of {} columns show no pattern", self.rows(), self.sizes.len()));
        }
        for (column, size) in self.columns.iter().zip(&self.sizes) {
            if column.len() != self.rows() || column.iter().any(|cell| *cell as usize >= *size) {
                return refuse("a column does not fit the others".to_owned());
            }
        }
        Ok(())
    }

    /// Some rows as `[rows, all values]` of zeros and ones, and their conditions likewise.
    fn one_hot(&self, rows: &[usize]) -> Computed<[Tensor; 2]> {
        let width: usize = self.sizes.iter().sum();
        let mut values = vec![0.0_f32; rows.len() * width];
        let mut conditions = vec![0.0_f32; rows.len() * self.conditions];
        for (at, row) in rows.iter().enumerate() {
            let mut start = 0;
            for (column, size) in self.columns.iter().zip(&self.sizes) {
                values[at * width + start + column[*row] as usize] = 1.0;
                start += size;
            }
            conditions[at * self.conditions + self.condition[*row] as usize] = 1.0;
        }
        Ok([
            Tensor::from_vec(values, (rows.len(), width), &Device::Cpu)?,
            Tensor::from_vec(conditions, (rows.len(), self.conditions), &Device::Cpu)?,
        ])
    }
}

/// What a generator's pass draws: noise before its first layer, and Gumbel noise on its answers.
struct Draws {
    noise: Vec<f32>,
    gumbel: Vec<f32>,
}

impl Draws {
    fn new(rows: usize, width: usize, rng: &mut Rng) -> Self {
        let mut gumbel = || (-(-rng.uniform().max(1e-12).ln()).max(1e-12).ln()) as f32;
        let gumbel = (0..rows * width).map(|_| gumbel()).collect();
        Self { noise: (0..rows * NOISE).map(|_| rng.normal() as f32).collect(), gumbel }
    }
}

impl Gan {
    /// Trains both on rows; a step takes rows of each condition in turn as often as rows of any other, so that a rare one is
    /// learnt too.
    ///
    /// # Errors
    /// Rows that show no pattern, a game without steps, a loss that is no number, or a cancel.
    pub fn fit(cells: &Cells, game: Game, context: &JobContext) -> Result<Self> {
        cells.check()?;
        if game.steps == 0 || game.batch < 2 || game.width == 0 || game.temperature <= 0.0 {
            return Err(Failure::new(
                WHAT,
                "a game without steps, rows, units or temperature teaches nothing",
            )
            .hint("1500 steps of 128 rows"));
        }
        let width: usize = cells.sizes.iter().sum();
        let mut gan = Self {
            sizes: cells.sizes.clone(),
            conditions: cells.conditions,
            generator: Player::new(
                "generator",
                &[NOISE + cells.conditions, game.width, game.width, width],
                game.seed,
            )?,
            discriminator: Player::new(
                "discriminator",
                &[width + cells.conditions, game.width, game.width, 1],
                game.seed,
            )?,
        };
        let mut by_condition: Vec<Vec<usize>> = vec![Vec::new(); cells.conditions];
        (0..cells.rows()).for_each(|row| by_condition[cells.condition[row] as usize].push(row));
        by_condition.retain(|rows| !rows.is_empty());
        let mut mean: Vec<Vec<f32>> =
            gan.generator.parameters.iter().map(|known| known.values.clone()).collect();
        let mut rng = Rng::named(game.seed, "game");
        for step in 0..game.steps {
            context.check()?;
            context.progress(step as u64, game.steps as u64);
            let fall = 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / game.steps as f64).cos());
            let adam = Step { count: step as u64 + 1, ..Step::new(Rule::Adam, (game.rate * fall) as f32) };
            let rows: Vec<usize> = (0..game.batch)
                .map(|at| {
                    let of = &by_condition[at % by_condition.len()];
                    of[rng.below(of.len())]
                })
                .collect();
            let draws = Draws::new(rows.len(), width, &mut rng);
            let losses = gan.losses(cells, &rows, &draws, game, true).explain(WHAT)?;
            let value = losses[0].to_scalar::<f32>().explain(WHAT)?;
            if !value.is_finite() {
                return Err(Failure::new(
                    WHAT,
                    format!("the discriminator's loss is {value} in step {}", step + 1),
                )
                .hint("a lower learning rate"));
            }
            gan.discriminator.step(&losses[0], adam)?;
            let losses = gan.losses(cells, &rows, &draws, game, true).explain(WHAT)?;
            gan.generator.step(&losses[1], adam)?;
            for (mean, known) in mean.iter_mut().zip(&gan.generator.parameters) {
                mean.iter_mut()
                    .zip(&known.values)
                    .for_each(|(mean, now)| *mean += (1.0 - KEPT) * (now - *mean));
            }
        }
        for (mean, known) in mean.into_iter().zip(&mut gan.generator.parameters) {
            known.values = mean;
            known.upload()?;
        }
        Ok(gan)
    }

    /// The discriminator's loss and the generator's on some rows.
    fn losses(
        &self,
        cells: &Cells,
        rows: &[usize],
        draws: &Draws,
        game: Game,
        hard: bool,
    ) -> Computed<[Tensor; 2]> {
        let [real, condition] = cells.one_hot(rows)?;
        let made = self.made(&condition, draws, game.temperature, hard)?;
        let judge = |x: &Tensor| self.discriminator.forward(&Tensor::cat(&[x, &condition], 1)?);
        let (of_real, of_made) = (judge(&real)?, judge(&made)?);
        // -ln D(x) = s(-z) and -ln(1 - D(x)) = s(z), with s(z) = ln(1 + e^z).
        let of_discriminator = (softplus(&of_real.neg()?)?.mean_all()? + softplus(&of_made)?.mean_all()?)?;
        let apart = (made.mean(0)? - real.mean(0)?)?.sqr()?.sum_all()?;
        let of_generator = (softplus(&of_made.neg()?)?.mean_all()? + (apart * game.matching)?)?;
        Ok([of_discriminator, of_generator])
    }

    /// Rows of `[rows, all values]`: draws where `hard`, and their soft forms otherwise; the gradient is that of the soft.
    fn made(&self, condition: &Tensor, draws: &Draws, temperature: f64, hard: bool) -> Computed<Tensor> {
        let rows = condition.dim(0)?;
        let noise = Tensor::from_slice(&draws.noise, (rows, NOISE), &Device::Cpu)?;
        let scores = self.generator.forward(&Tensor::cat(&[&noise, condition], 1)?)?;
        let gumbel = Tensor::from_slice(&draws.gumbel, scores.dims(), &Device::Cpu)?;
        let scores = ((scores + gumbel)? / temperature)?;
        let mut start = 0;
        let mut columns = Vec::with_capacity(self.sizes.len());
        for size in &self.sizes {
            let own = scores.narrow(1, start, *size)?;
            start += size;
            let most = own.max_keepdim(D::Minus1)?.detach();
            let powers = own.broadcast_sub(&most)?.exp()?;
            let soft = powers.broadcast_div(&powers.sum_keepdim(D::Minus1)?)?;
            if !hard {
                columns.push(soft);
                continue;
            }
            let drawn = own.broadcast_ge(&most)?.to_dtype(soft.dtype())?;
            columns.push(((drawn - soft.detach())? + soft)?);
        }
        Tensor::cat(&columns, 1)
    }

    /// Draws a row for each condition: `[column][row]`.
    ///
    /// # Errors
    /// The memory is too small.
    pub fn draw(&self, conditions: &[u32], rng: &mut Rng) -> Result<Vec<Vec<u32>>> {
        let width: usize = self.sizes.iter().sum();
        let mut columns: Vec<Vec<u32>> = vec![Vec::with_capacity(conditions.len()); self.sizes.len()];
        for conditions in conditions.chunks(1024) {
            let mut one_hot = vec![0.0_f32; conditions.len() * self.conditions];
            for (row, condition) in conditions.iter().enumerate() {
                one_hot[row * self.conditions + *condition as usize] = 1.0;
            }
            let made = || -> Computed<Vec<f32>> {
                let condition = Tensor::from_vec(one_hot, (conditions.len(), self.conditions), &Device::Cpu)?;
                let draws = Draws::new(conditions.len(), width, rng);
                self.made(&condition, &draws, 1.0, true)?.flatten_all()?.to_vec1()
            };
            let made = made().explain("cannot draw rows")?;
            for row in made.chunks_exact(width) {
                let mut start = 0;
                for (column, size) in columns.iter_mut().zip(&self.sizes) {
                    let own = &row[start..start + size];
                    start += size;
                    let best = (0..*size).max_by(|a, b| own[*a].total_cmp(&own[*b])).unwrap_or_default();
                    column.push(best as u32);
                }
            }
        }
        Ok(columns)
    }

    /// The discriminator's log odds that each row is real.
    ///
    /// # Errors
    /// The memory is too small.
    pub fn judged(&self, cells: &Cells) -> Result<Vec<f32>> {
        let rows: Vec<usize> = (0..cells.rows()).collect();
        let mut judged = Vec::with_capacity(rows.len());
        for rows in rows.chunks(1024) {
            let of_rows = || -> Computed<Vec<f32>> {
                let [x, condition] = cells.one_hot(rows)?;
                self.discriminator.forward(&Tensor::cat(&[&x, &condition], 1)?)?.flatten_all()?.to_vec1()
            };
            judged.extend(of_rows().explain("cannot judge rows")?);
        }
        Ok(judged)
    }

    /// The value of the game on real and on made rows, `E ln D(real) + E ln(1 - D(made))`: `-ln 4` where nobody can tell.
    ///
    /// # Errors
    /// As [`judged`](Self::judged).
    pub fn value(&self, real: &Cells, made: &Cells) -> Result<f64> {
        let loss = |z: Vec<f32>, label: f32| bce_with_logits(&z, &vec![label; z.len()], &[]).mean;
        Ok(-loss(self.judged(real)?, 1.0) - loss(self.judged(made)?, 0.0))
    }
}

/// `ln(1 + e^z)` that no `z` overflows.
fn softplus(z: &Tensor) -> Computed<Tensor> {
    let away = z.abs()?.neg()?.exp()?;
    z.relu()? + (away + 1.0)?.log()?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::significance::p_of_chi_square;

    /// Two columns that go together, and a condition that decides the first.
    fn planted(rows: usize) -> Cells {
        let mut rng = Rng::named(2, "planted cells");
        let mut cells =
            Cells { sizes: vec![4, 3], columns: vec![vec![], vec![]], conditions: 2, condition: vec![] };
        for row in 0..rows {
            let condition = u32::from(row % 5 == 0);
            let draw = rng.uniform();
            let first = if condition == 1 { u32::from(draw < 0.5) } else { 2 + u32::from(draw < 0.3) };
            let second = if rng.chance(0.8) { first % 3 } else { rng.below(3) as u32 };
            cells.columns[0].push(first);
            cells.columns[1].push(second);
            cells.condition.push(condition);
        }
        cells
    }

    #[test]
    fn gradients_of_both_players_are_those_of_central_differences() {
        let cells = planted(12);
        let game = Game { width: 5, ..Game::default() };
        let mut gan = Gan {
            sizes: cells.sizes.clone(),
            conditions: 2,
            generator: Player::new("generator", &[NOISE + 2, 5, 5, 7], 3).unwrap(),
            discriminator: Player::new("discriminator", &[9, 5, 5, 1], 3).unwrap(),
        };
        let rows: Vec<usize> = (0..12).collect();
        let draws = Draws::new(12, 7, &mut Rng::named(4, "draws"));
        // The soft forms are differentiated; what is drawn jumps and has no slope of its own.
        fn player(gan: &mut Gan, side: usize) -> &mut Player {
            if side == 0 { &mut gan.discriminator } else { &mut gan.generator }
        }
        let (mut checked, mut bent) = (0, 0);
        for side in 0..2 {
            let store = gan.losses(&cells, &rows, &draws, game, false).unwrap()[side].backward().unwrap();
            for place in 0..6 {
                let known = store.get(player(&mut gan, side).parameters[place].var.as_tensor()).unwrap();
                let known = known.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                for at in (0..known.len()).step_by(1 + known.len() / 7) {
                    let mut loss_at = |by: f32| -> f64 {
                        let own = &mut player(&mut gan, side).parameters[place];
                        own.values[at] += by;
                        own.upload().unwrap();
                        let loss =
                            gan.losses(&cells, &rows, &draws, game, false).unwrap()[side].to_scalar::<f32>();
                        let own = &mut player(&mut gan, side).parameters[place];
                        own.values[at] -= by;
                        own.upload().unwrap();
                        f64::from(loss.unwrap())
                    };
                    let slope = (loss_at(1e-3) - loss_at(-1e-3)) / 2e-3;
                    let off = (slope - f64::from(known[at])).abs();
                    checked += 1;
                    bent += usize::from(off > 2e-3 + 0.03 * slope.abs());
                }
            }
        }
        // A unit that passes 0 within the step bends there; few do.
        assert!(checked > 60 && bent <= checked / 25, "{bent} of {checked}");
    }

    #[test]
    fn on_a_small_distribution_nobody_can_tell_and_the_game_is_worth_minus_ln_4() {
        let cells = planted(4000);
        let gan = Gan::fit(&cells, Game::default(), &JobContext::detached()).unwrap();
        let columns = gan.draw(&cells.condition, &mut Rng::named(5, "drawn")).unwrap();
        let made = Cells { columns, ..cells.clone() };
        let value = gan.value(&cells, &made).unwrap();
        assert!((value + 4.0_f64.ln()).abs() < 0.05, "{value}");
        let mean = |cells: &Cells| {
            let z = gan.judged(cells).unwrap();
            z.iter().map(|z| crate::nn::losses::sigmoid(f64::from(*z))).sum::<f64>() / z.len() as f64
        };
        assert!((mean(&cells) - 0.5).abs() < 0.05 && (mean(&made) - 0.5).abs() < 0.05);
        // Pairs by condition, within what 500 rows cannot tell from the truth by a chi-square test.
        let count = |cells: &Cells, rows: usize| {
            let mut pairs = vec![0.0; 24];
            for row in 0..rows {
                let at = cells.condition[row] * 12 + cells.columns[0][row] * 3 + cells.columns[1][row];
                pairs[at as usize] += 1.0;
            }
            pairs
        };
        let (truth, drawn) = (count(&cells, 4000), count(&made, 500));
        let expected = truth.iter().map(|n| n / 8.0);
        let (mut chi_square, mut freedom) = (0.0, 0);
        for (drawn, expected) in drawn.iter().zip(expected).filter(|(_, expected)| *expected >= 4.0) {
            chi_square += (drawn - expected) * (drawn - expected) / expected;
            freedom += 1;
        }
        assert!(p_of_chi_square(chi_square, freedom - 1) > 1e-3, "{chi_square} {drawn:?} {truth:?}");
    }

    #[test]
    fn a_game_that_teaches_nothing_is_refused() {
        let context = JobContext::detached();
        let refused = |cells: &Cells, game| Gan::fit(cells, game, &context).unwrap_err().why;
        assert!(refused(&Cells::default(), Game::default()).contains("0 rows"));
        assert!(refused(&planted(50), Game { steps: 0, ..Game::default() }).contains("without steps"));
        let wrong = Cells { sizes: vec![2, 3], ..planted(50) };
        assert!(refused(&wrong, Game::default()).contains("does not fit"));
    }
}

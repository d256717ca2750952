//! What would a person want next, when every past action has told what came after it? Whole sequences, learnt at all
//! positions at once.
//!
//! SASRec (Kang & McAuley, ICDM 2018, arXiv 1808.09781), with the layers and the objective of its authors' program
//! (kang205/SASRec): at each position the next item should score above 0 and a drawn one below (binary cross-entropy,
//! equation 8). Sequences lie one behind the other without padding, and the way back is written by hand. The kind
//! [`sas_rec`](crate::models) learns a click of a pair instead, by the one loop of all kinds.

mod layer;
pub mod learn;

use super::Pass;
use super::dropout::in_place;
use crate::base::rng::Rng;
use layer::{Normed, Trace, layer_sizes, split, split_mut};
use rayon::prelude::*;

/// How large the model is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Items, from 0 on.
    pub items: usize,
    /// Positions that it looks at, the last ones of a longer sequence.
    pub longest: usize,
    /// Numbers of a vector.
    pub width: usize,
    /// Layers of attention.
    pub layers: usize,
}

/// The weights, one behind the other: vectors of items, of positions (how long ago), layers, the last normalisation.
#[derive(Debug, Clone, PartialEq)]
pub struct NextItem {
    shape: Shape,
    values: Vec<f32>,
}

/// Sequences one behind the other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sequences {
    /// Where each begins, and the end of the last.
    offsets: Vec<usize>,
    items: Vec<u32>,
}

/// What follows each position, and what was drawn against it.
#[derive(Debug, Clone, Default, PartialEq)]
struct Targets {
    next: Vec<u32>,
    other: Vec<u32>,
}

/// What a run over sequences leaves for the way back.
struct Run {
    /// Factors of dropout on the sum of item and position.
    kept: Vec<f32>,
    layers: Vec<Trace>,
    states: Normed,
}

/// The slope by everything but the items' vectors, and what makes up theirs.
struct Slope {
    loss: f64,
    rest: Vec<f32>,
    /// By the input vectors of positions, `[positions, width]`.
    of_inputs: Vec<f32>,
    states: Vec<f32>,
    /// By the score of what follows, and of what was drawn.
    of_scores: Vec<[f32; 2]>,
}

impl Sequences {
    /// The last `longest` items of each.
    pub fn of<'a>(sequences: impl IntoIterator<Item = &'a [u32]>, longest: usize) -> Self {
        let mut all = Self { offsets: vec![0], items: Vec::new() };
        for sequence in sequences {
            all.items.extend(&sequence[sequence.len().saturating_sub(longest)..]);
            all.offsets.push(all.items.len());
        }
        all
    }

    fn ranges(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        self.offsets.windows(2).map(|ends| ends[0]..ends[1])
    }
}

impl NextItem {
    /// Draws the weights as the authors do (Glorot & Bengio 2010, uniform).
    pub fn drawn(shape: Shape, seed: u64) -> Self {
        let Shape { items, longest, width, layers } = shape;
        let mut rng = Rng::named(seed, "next item");
        let mut values = Vec::new();
        let mut draw = |values: &mut Vec<f32>, rows: usize, columns: usize| {
            let limit = (6.0 / (rows + columns) as f64).sqrt();
            values.extend((0..rows * columns).map(|_| (limit * (2.0 * rng.uniform() - 1.0)) as f32));
        };
        draw(&mut values, items, width);
        draw(&mut values, longest, width);
        let norm = |values: &mut Vec<f32>| {
            values.resize(values.len() + width, 1.0);
            values.resize(values.len() + width, 0.0);
        };
        for _ in 0..layers {
            // In the order of `layer_sizes`.
            for linears in [3, 2] {
                norm(&mut values);
                for _ in 0..linears {
                    draw(&mut values, width, width);
                    values.resize(values.len() + width, 0.0);
                }
            }
        }
        norm(&mut values);
        Self { shape, values }
    }

    /// How large it is.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The vector of an item.
    pub fn item(&self, item: u32) -> &[f32] {
        &self.values[item as usize * self.shape.width..][..self.shape.width]
    }

    /// What stands behind the vectors of items: positions, layers, the last normalisation.
    fn rest(&self) -> &[f32] {
        &self.values[self.shape.items * self.shape.width..]
    }

    /// Sizes of the parts of [`rest`](Self::rest).
    fn rest_sizes(&self) -> [usize; 3] {
        let Shape { longest, width, layers, .. } = self.shape;
        [longest * width, layers * layer_sizes(width).iter().sum::<usize>(), 2 * width]
    }

    /// States after the last item of each sequence, `[sequences, width]`; zeros for an empty one. Their products with the
    /// vectors of items say what comes next.
    pub fn last_states(&self, sequences: &Sequences) -> Vec<f32> {
        let width = self.shape.width;
        let states = self.run(sequences, 0.0, &mut Pass::Predict).states.out;
        let last = |range: std::ops::Range<usize>| match range.is_empty() {
            true => vec![0.0; width],
            false => states[(range.end - 1) * width..][..width].to_vec(),
        };
        sequences.ranges().flat_map(last).collect()
    }

    fn run(&self, sequences: &Sequences, dropout: f64, pass: &mut Pass<'_>) -> Run {
        let Shape { width, layers, .. } = self.shape;
        let [ago, all_layers, last_norm] = split(self.rest(), self.rest_sizes());
        let root = (width as f32).sqrt();
        let mut x = Vec::with_capacity(sequences.items.len() * width);
        for range in sequences.ranges() {
            for at in range.clone() {
                let vector = self.item(sequences.items[at]);
                let shift = &ago[(range.end - 1 - at) * width..][..width];
                x.extend(vector.iter().zip(shift).map(|(vector, shift)| root * vector + shift));
            }
        }
        let mut kept = vec![1.0; x.len()];
        in_place(&mut kept, dropout, pass);
        x.iter_mut().zip(&kept).for_each(|(x, kept)| *x *= kept);
        let mut traces: Vec<Trace> = Vec::with_capacity(layers);
        for weights in all_layers.chunks_exact((all_layers.len() / layers.max(1)).max(1)) {
            let trace = Trace::forward(weights, x, sequences, (width, dropout), pass);
            x = trace.out.clone();
            traces.push(trace);
        }
        let (gain, bias) = last_norm.split_at(width);
        Run { kept, layers: traces, states: Normed::of(&x, gain, bias) }
    }

    /// Loss and slope of some sequences, each position counting `share`.
    fn slope(
        &self,
        sequences: &Sequences,
        targets: &Targets,
        (share, dropout): (f32, f64),
        pass: &mut Pass<'_>,
    ) -> Slope {
        let Shape { width, layers, .. } = self.shape;
        let run = self.run(sequences, dropout, pass);
        let mut loss = 0.0;
        let mut of_scores = Vec::with_capacity(targets.next.len());
        let mut of_states = vec![0.0; run.states.out.len()];
        let states = run.states.out.chunks_exact(width).zip(of_states.chunks_exact_mut(width));
        for ((state, of_state), (next, other)) in states.zip(targets.next.iter().zip(&targets.other)) {
            let (next, other) = (self.item(*next), self.item(*other));
            let score = |item: &[f32]| state.iter().zip(item).map(|(x, y)| x * y).sum::<f32>();
            let (up, down) = (score(next), score(other));
            loss += f64::from(softplus(-up)) + f64::from(softplus(down));
            let of = [-share * sigmoid(-up), share * sigmoid(down)];
            for ((of_state, next), other) in of_state.iter_mut().zip(next).zip(other) {
                *of_state = of[0] * next + of[1] * other;
            }
            of_scores.push(of);
        }
        let [ago, all_layers, last_norm] = split(self.rest(), self.rest_sizes());
        let mut rest = vec![0.0; self.rest().len()];
        let [of_ago, of_layers, of_norm] = split_mut(&mut rest, self.rest_sizes());
        let (of_gain, of_bias) = of_norm.split_at_mut(width);
        let mut of_x = run.states.backward(&of_states, &last_norm[..width], of_gain, of_bias);
        let size = (all_layers.len() / layers.max(1)).max(1);
        let weights = all_layers.chunks_exact(size).zip(of_layers.chunks_exact_mut(size));
        for (trace, (weights, of_weights)) in run.layers.iter().zip(weights).rev() {
            of_x = trace.backward(weights, &of_x, sequences, of_weights);
        }
        of_x.iter_mut().zip(&run.kept).for_each(|(of_x, kept)| *of_x *= kept);
        debug_assert_eq!(ago.len(), of_ago.len());
        for range in sequences.ranges() {
            for at in range.clone() {
                let to = &mut of_ago[(range.end - 1 - at) * width..][..width];
                to.iter_mut().zip(&of_x[at * width..]).for_each(|(to, from)| *to += from);
            }
        }
        Slope { loss: f64::from(share) * loss, rest, of_inputs: of_x, states: run.states.out, of_scores }
    }

    /// The mean loss of parts of a batch, and its slope added to `gradient`, which is laid out like the weights. Each part
    /// draws its dropout from a seed of its own, so that the luck does not depend on the threads.
    fn gradient(
        &self,
        parts: &[(Sequences, Targets)],
        (dropout, seeds): (f64, &[u64]),
        gradient: &mut [f32],
    ) -> f64 {
        let positions: usize = parts.iter().map(|(sequences, _)| sequences.items.len()).sum();
        let share = 1.0 / positions.max(1) as f32;
        let slopes: Vec<Slope> = parts
            .par_iter()
            .zip(seeds)
            .map(|((sequences, targets), seed)| {
                let mut rng = Rng::named(*seed, "dropout of a part");
                self.slope(sequences, targets, (share, dropout), &mut Pass::Train(&mut rng))
            })
            .collect();
        let width = self.shape.width;
        let root = (width as f32).sqrt();
        let (of_items, of_rest) = gradient.split_at_mut(self.shape.items * width);
        for (slope, (sequences, targets)) in slopes.iter().zip(parts) {
            of_rest.iter_mut().zip(&slope.rest).for_each(|(to, from)| *to += from);
            let mut add = |item: u32, factor: f32, from: &[f32]| {
                let to = &mut of_items[item as usize * width..][..width];
                to.iter_mut().zip(from).for_each(|(to, from)| *to += factor * from);
            };
            let vectors = slope.of_inputs.chunks_exact(width).zip(slope.states.chunks_exact(width));
            for (at, (of_input, state)) in vectors.enumerate() {
                add(sequences.items[at], root, of_input);
                add(targets.next[at], slope.of_scores[at][0], state);
                add(targets.other[at], slope.of_scores[at][1], state);
            }
        }
        slopes.iter().map(|slope| slope.loss).sum()
    }
}

/// `ln(1 + e^x)` without overflow.
fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { items: 9, longest: 4, width: 6, layers: 2 };

    fn lively() -> NextItem {
        let mut model = NextItem::drawn(SHAPE, 4);
        let mut rng = Rng::named(2, "lively");
        model.values.iter_mut().for_each(|value| *value += (0.3 * rng.normal()) as f32);
        model
    }

    /// Sequences longer than, as long as and shorter than what is looked at.
    fn batch() -> Vec<(Sequences, Targets)> {
        let mut rng = Rng::named(8, "batch");
        let mut draw = |count: usize| (0..count).map(|_| rng.below(9) as u32).collect::<Vec<u32>>();
        let mut part = |lengths: &[usize]| {
            let all: Vec<Vec<u32>> = lengths.iter().map(|length| draw(*length)).collect();
            let sequences = Sequences::of(all.iter().map(Vec::as_slice), SHAPE.longest);
            let count = sequences.items.len();
            (sequences, Targets { next: draw(count), other: draw(count) })
        };
        vec![part(&[7, 1]), part(&[4, 3, 2])]
    }

    #[test]
    fn the_slope_by_every_part_is_that_of_central_differences() {
        let (model, parts) = (lively(), batch());
        let seeds = [5, 6];
        for dropout in [0.0, 0.3] {
            let mut gradient = vec![0.0; model.values.len()];
            model.gradient(&parts, (dropout, &seeds), &mut gradient);
            let loss = |values: &[f32]| {
                let moved = NextItem { values: values.to_vec(), ..model.clone() };
                moved.gradient(&parts, (dropout, &seeds), &mut vec![0.0; values.len()])
            };
            let mut seen = 0;
            for at in (0..model.values.len()).step_by(3) {
                let mut near = model.values.clone();
                near[at] += 2e-3;
                let above = loss(&near);
                near[at] -= 4e-3;
                let numeric = (above - loss(&near)) / 4e-3;
                let claimed = f64::from(gradient[at]);
                assert!((numeric - claimed).abs() < 2e-3, "{at} of {}: {numeric} {claimed}", near.len());
                seen += usize::from(claimed.abs() > 0.01);
            }
            assert!(seen > 50, "{seen} slopes matter");
        }
    }

    #[test]
    fn a_position_sees_what_came_before_it_alone() {
        let model = lively();
        let states = |items: &[u32]| {
            let sequences = Sequences::of([items], SHAPE.longest);
            model.run(&sequences, 0.0, &mut Pass::Predict).layers.pop().unwrap().out
        };
        let (one, other) = (states(&[1, 2, 3, 4]), states(&[1, 2, 3, 8]));
        assert_eq!(one[..18], other[..18], "the last one is later than the first three");
        assert_ne!(one[18..], other[18..]);
        let last = |items: &[u32]| model.last_states(&Sequences::of([items], SHAPE.longest));
        assert_eq!(last(&[7, 1, 2, 3, 4]), last(&[0, 1, 2, 3, 4]), "only the last four are looked at");
        assert_eq!(last(&[]), [0.0; 6]);
    }

    /// One layer over two items, as loops in double precision from the authors' program.
    #[test]
    fn a_layer_equals_the_authors_written_as_loops() {
        let shape = Shape { layers: 1, ..SHAPE };
        let mut model = NextItem::drawn(shape, 1);
        let mut rng = Rng::named(3, "lively");
        model.values.iter_mut().for_each(|value| *value += (0.3 * rng.normal()) as f32);
        let w = 6;
        let of = |at: usize, size: usize| {
            model.values[at..at + size].iter().map(|x| f64::from(*x)).collect::<Vec<f64>>()
        };
        let mut at = (9 + 4) * w;
        let mut take = |size: usize| {
            at += size;
            of(at - size, size)
        };
        let norm = |x: &[f64], gain: &[f64], bias: &[f64]| -> Vec<f64> {
            let mean = x.iter().sum::<f64>() / 6.0;
            let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 6.0;
            (0..6).map(|k| gain[k] * (x[k] - mean) / (variance + 1e-8).sqrt() + bias[k]).collect()
        };
        let linear = |x: &[f64], weight: &[f64], bias: &[f64]| -> Vec<f64> {
            (0..6).map(|j| bias[j] + (0..6).map(|i| x[i] * weight[6 * i + j]).sum::<f64>()).collect()
        };
        let (gain, bias) = (take(w), take(w));
        let mut dense = || (take(w * w), take(w));
        let (q, k, v) = (dense(), dense(), dense());
        let (next_gain, next_bias) = (take(w), take(w));
        let mut dense = || (take(w * w), take(w));
        let (inside, outside) = (dense(), dense());
        let (last_gain, last_bias) = (take(w), take(w));
        let input = |item: usize, ago: usize| -> Vec<f64> {
            let (item, ago) = (of(item * w, w), of((9 + ago) * w, w));
            item.iter().zip(&ago).map(|(item, ago)| 6f64.sqrt() * item + ago).collect()
        };
        let x = [input(5, 1), input(2, 0)];
        let asking = norm(&x[1], &gain, &bias);
        let question = linear(&asking, &q.0, &q.1);
        let powers = x.each_ref().map(|x| {
            let key = linear(x, &k.0, &k.1);
            (question.iter().zip(&key).map(|(q, k)| q * k).sum::<f64>() / 6f64.sqrt()).exp()
        });
        let mut o = asking;
        for (x, power) in x.iter().zip(powers) {
            let share = power / powers.iter().sum::<f64>();
            o.iter_mut().zip(linear(x, &v.0, &v.1)).for_each(|(o, answer)| *o += share * answer);
        }
        let y = norm(&o, &next_gain, &next_bias);
        let inner: Vec<f64> = linear(&y, &inside.0, &inside.1).into_iter().map(|x| x.max(0.0)).collect();
        let outer = linear(&inner, &outside.0, &outside.1);
        let out: Vec<f64> = y.iter().zip(&outer).map(|(y, outer)| y + outer).collect();
        let wanted = norm(&out, &last_gain, &last_bias);
        let found = model.last_states(&Sequences::of([&[5u32, 2][..]], 4));
        for (found, wanted) in found.iter().zip(&wanted) {
            assert!((f64::from(*found) - wanted).abs() < 1e-4, "{found} {wanted}");
        }
    }
}

//! How are trees boosted? Gradient boosting on histograms, leaf by leaf (Friedman 2001; Ke et al., NIPS 2017).
//!
//! Every feature is cut into at most 255 bins of about equal weight. A leaf's gradients are summed by bin, the best cut over
//! all leaves is made next, and of two new leaves the larger one's sums are the parent's less the smaller one's. Gradients
//! are whole numbers (as in Shi et al., NeurIPS 2022, but of 31 bits), whose sums are exact: neither the number of threads
//! nor the order of rows changes a tree.

use crate::base::simd::{Kernel, run_widest};
use rayon::prelude::*;

/// Sizes and penalties of trees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    /// Trees at most.
    pub trees: usize,
    /// Leaves of a tree at most.
    pub leaves: usize,
    /// What a tree's answer counts.
    pub rate: f64,
    /// Rows of a leaf at least.
    pub least_rows: usize,
    /// L2 penalty of a leaf's answer.
    pub l2: f64,
    /// Trees without a gain on the validation rows before growing stops.
    pub patience: usize,
}

/// Rows with their features cut into bins, kept both ways: sums read whole rows, a cut reads one column.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Binned {
    features: usize,
    /// `[row * features + feature]`.
    rows: Vec<u8>,
    /// `[feature][row]`.
    columns: Vec<Vec<u8>>,
}

impl Binned {
    /// Rows of columns of bins, all of one length.
    pub fn of(columns: Vec<Vec<u8>>) -> Self {
        let (features, rows) = (columns.len(), columns.first().map_or(0, Vec::len));
        let mut all = vec![0; features * rows];
        let parts = all.par_chunks_mut(features.max(1) * AT_ONCE);
        parts.enumerate().for_each(|(part, rows)| {
            for (row, bins) in rows.chunks_exact_mut(features).enumerate() {
                let row = part * AT_ONCE + row;
                bins.iter_mut().zip(&columns).for_each(|(bin, column)| *bin = column[row]);
            }
        });
        Self { features, rows: all, columns }
    }

    /// The bins of a row.
    fn row(&self, row: usize) -> &[u8] {
        &self.rows[row * self.features..][..self.features]
    }
}

/// Upper ends of a feature's bins, but the last, rising: `x` lies in the first bin whose end is not below it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cuts(pub Vec<f32>);

/// Bins of a feature at most.
const BINS: usize = 255;
/// Values that cuts are made from at most: quantiles need no more.
const CUT_FROM: usize = 200_000;
/// Rows that a thread takes at a time.
const AT_ONCE: usize = 1 << 13;
/// Hessian of a leaf at least: below it rows are told apart already.
const LEAST_CURVE: f64 = 1e-3;

impl Cuts {
    /// Cuts between values of about equally many rows.
    pub fn of(values: impl Iterator<Item = f32>, rows: usize) -> Self {
        let step = rows.div_ceil(CUT_FROM).max(1);
        let mut sorted: Vec<f32> = values.step_by(step).filter(|value| !value.is_nan()).collect();
        sorted.sort_unstable_by(f32::total_cmp);
        let mut cuts = Vec::new();
        let each = sorted.len() as f64 / BINS as f64;
        let mut filled = 0.0;
        let mut groups = sorted.chunk_by(|a, b| a == b).peekable();
        let distinct = sorted.chunk_by(|a, b| a == b).count();
        while let Some(group) = groups.next() {
            let Some(next) = groups.peek() else { break };
            filled += group.len() as f64;
            if distinct <= BINS || filled >= each {
                cuts.push(group[0] + (next[0] - group[0]) / 2.0);
                filled = 0.0;
            }
        }
        cuts.truncate(BINS - 1);
        Self(cuts)
    }

    /// The bin of a value; what is no number lies in the first.
    pub fn bin(&self, value: f32) -> u8 {
        self.0.partition_point(|cut| *cut < value) as u8
    }
}

/// A node of a tree: a cut, or a leaf with its answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Node {
    /// Rows whose feature is at most the threshold go left.
    Cut {
        /// The feature.
        feature: usize,
        /// The last bin that goes left.
        bin: u8,
        /// Places of the nodes below.
        below: [usize; 2],
    },
    /// What is added to the log odds.
    Leaf(f64),
}

/// A tree, its root first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tree(pub Vec<Node>);

impl Tree {
    /// The answer for a row of bins.
    pub fn of(&self, row: &[u8]) -> f64 {
        let mut at = 0;
        loop {
            match self.0.get(at) {
                Some(Node::Cut { feature, bin, below }) => at = below[usize::from(row[*feature] > *bin)],
                Some(Node::Leaf(answer)) => return *answer,
                None => return 0.0,
            }
        }
    }
}

/// Outcomes of rows and what they count.
#[derive(Debug, Clone, Copy)]
pub struct Targets<'a> {
    /// Outcomes in `[0, 1]`.
    pub labels: &'a [f32],
    /// Impressions; one a row.
    pub weights: &'a [f32],
}

impl Targets<'_> {
    /// Mean log loss of log odds.
    fn loss(&self, log_odds: &[f64]) -> f64 {
        let rows = log_odds.par_chunks(AT_ONCE).zip(self.labels.par_chunks(AT_ONCE));
        let of_part = |((log_odds, labels), weights): ((&[f64], &[f32]), &[f32])| {
            let (mut sum, mut total) = (0.0, 0.0);
            for ((z, y), w) in log_odds.iter().zip(labels).zip(weights) {
                let (y, w) = (f64::from(*y), f64::from(*w));
                sum += w * (z.max(0.0) - z * y + (-z.abs()).exp().ln_1p());
                total += w;
            }
            (sum, total)
        };
        let parts: Vec<_> = rows.zip(self.weights.par_chunks(AT_ONCE)).map(of_part).collect();
        let (sum, total) = parts.iter().fold((0.0, 0.0), |all, part| (all.0 + part.0, all.1 + part.1));
        sum / total
    }
}

/// Grows trees on the training rows from log odds of `start` on; as many as were best on the validation rows, if there are
/// any. `goes_on` is told the trees grown so far and may end it.
///
/// # Errors
/// What `goes_on` answers.
pub fn boost<E>(
    (rows, targets): (&Binned, Targets<'_>),
    (validation, outcomes): (&Binned, Targets<'_>),
    start: f64,
    growth: Growth,
    mut goes_on: impl FnMut(usize) -> Result<(), E>,
) -> Result<Vec<Tree>, E> {
    let mut trees = Vec::new();
    let mut scores = vec![start; targets.labels.len()];
    let mut unseen = vec![start; outcomes.labels.len()];
    let mut best = (outcomes.loss(&unseen), 0);
    let scale = Scale::of(targets.weights);
    let mut slopes = vec![Slope::default(); scores.len()];
    while trees.len() < growth.trees {
        goes_on(trees.len())?;
        let each = slopes.par_iter_mut().zip(&scores).zip(targets.labels.par_iter().zip(targets.weights));
        each.for_each(|((slope, z), (y, w))| *slope = scale.slope(*z, f64::from(*y), f64::from(*w)));
        let Some(tree) = Grower::new(rows, &slopes, scale, growth).grow(&mut scores) else { break };
        unseen.par_iter_mut().enumerate().for_each(|(at, z)| *z += tree.of(validation.row(at)));
        trees.push(tree);
        if unseen.is_empty() {
            continue;
        }
        let loss = outcomes.loss(&unseen);
        if loss < best.0 {
            best = (loss, trees.len());
        } else if trees.len() >= best.1 + growth.patience {
            break;
        }
    }
    if !unseen.is_empty() {
        trees.truncate(best.1);
    }
    Ok(trees)
}

/// Gradient and curvature of a row's loss as whole numbers: sums of whole numbers are the same in any order.
#[derive(Debug, Clone, Copy, Default)]
struct Slope {
    gradient: i32,
    curvature: u32,
}

/// What whole numbers stand for.
#[derive(Debug, Clone, Copy)]
struct Scale {
    /// Gradients that are 1, and curvatures.
    gradient: f64,
    curvature: f64,
    /// Bits that hold the number of rows in a cell.
    count_bits: u32,
    /// Bits of a row's curvature that a cell has no room for.
    dropped: u32,
}

/// Sums over the rows of a bin: the gradient, and the curvature above the number of rows.
type Cell = [i64; 2];
/// Cells of each feature's bins.
type Histogram = Vec<[Cell; 256]>;

/// Sums over some rows.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    gradient: f64,
    curvature: f64,
    rows: f64,
}

impl Scale {
    /// The finest for rows of such weights: a row's gradient is its weight at most, its curvature a quarter of it.
    fn of(weights: &[f32]) -> Self {
        let most = weights.iter().fold(0.0_f32, |most, weight| most.max(*weight)).max(f32::MIN_POSITIVE);
        let whole = f64::from(1_u32 << 30) / f64::from(most);
        let count_bits = usize::BITS - weights.len().leading_zeros();
        Self {
            gradient: whole,
            curvature: 4.0 * whole,
            count_bits,
            dropped: (2 * count_bits).saturating_sub(33),
        }
    }

    /// Of a row with log odds `z`, outcome `y` and weight `w`.
    fn slope(&self, z: f64, y: f64, w: f64) -> Slope {
        let p = 1.0 / (1.0 + (-z).exp());
        Slope {
            gradient: (self.gradient * w * (p - y)).round() as i32,
            curvature: (self.curvature * w * p * (1.0 - p)).round() as u32,
        }
    }

    /// What a row adds to its cells.
    fn cell(&self, slope: Slope) -> Cell {
        let half = (1_u64 << self.dropped) >> 1;
        let curvature = (u64::from(slope.curvature) + half) >> self.dropped;
        [i64::from(slope.gradient), (curvature << self.count_bits | 1) as i64]
    }

    fn sums(&self, [gradient, rest]: Cell) -> Sums {
        let rows = rest & ((1 << self.count_bits) - 1);
        let curvature = (rest >> self.count_bits << self.dropped) as f64 / self.curvature;
        Sums { gradient: gradient as f64 / self.gradient, curvature, rows: rows as f64 }
    }
}

/// A tree that grows.
struct Grower<'a> {
    rows: &'a Binned,
    slopes: &'a [Slope],
    scale: Scale,
    growth: Growth,
    nodes: Vec<Node>,
    /// Places of rows, those of a leaf together and rising.
    order: Vec<u32>,
    leaves: Vec<Leaf>,
}

struct Leaf {
    node: usize,
    from: usize,
    until: usize,
    histogram: Histogram,
    cut: Option<Cut>,
}

#[derive(Clone, Copy)]
struct Cut {
    gain: f64,
    feature: usize,
    bin: u8,
}

impl<'a> Grower<'a> {
    fn new(rows: &'a Binned, slopes: &'a [Slope], scale: Scale, growth: Growth) -> Self {
        let order = (0..slopes.len() as u32).collect();
        Self { rows, slopes, scale, growth, nodes: vec![Node::Leaf(0.0)], order, leaves: Vec::new() }
    }

    /// Grows the tree and adds its answers to `scores`; `None` where no cut gains anything.
    fn grow(mut self, scores: &mut [f64]) -> Option<Tree> {
        let histogram = self.histogram(0, self.order.len());
        let cut = self.best_cut(&histogram);
        self.leaves.push(Leaf { node: 0, from: 0, until: self.order.len(), histogram, cut });
        while self.leaves.len() < self.growth.leaves {
            let gain = |leaf: &Leaf| leaf.cut.map_or(0.0, |cut| cut.gain);
            let best = (0..self.leaves.len())
                .max_by(|a, b| gain(&self.leaves[*a]).total_cmp(&gain(&self.leaves[*b])).then(b.cmp(a)))?;
            let Some(cut) = self.leaves[best].cut else { break };
            self.part(best, cut);
        }
        if self.leaves.len() < 2 {
            return None;
        }
        for leaf in &self.leaves {
            let rows = &self.order[leaf.from..leaf.until];
            let answer = self.growth.rate * self.answer(rows);
            self.nodes[leaf.node] = Node::Leaf(answer);
            rows.iter().for_each(|row| scores[*row as usize] += answer);
        }
        Some(Tree(self.nodes))
    }

    /// What lowers the loss of a leaf's rows most, to second order.
    fn answer(&self, rows: &[u32]) -> f64 {
        let of = |row: &u32| self.slopes[*row as usize];
        let add = |(g, h): (i64, u64), s: Slope| (g + i64::from(s.gradient), h + u64::from(s.curvature));
        let (g, h) = rows.iter().map(of).fold((0, 0), add);
        -(g as f64 / self.scale.gradient) / (h as f64 / self.scale.curvature + self.growth.l2)
    }

    /// Makes two leaves of one.
    fn part(&mut self, place: usize, cut: Cut) {
        let leaf = self.leaves.swap_remove(place);
        let middle = self.divide(leaf.from, leaf.until, cut);
        let left_is_smaller = middle - leaf.from <= leaf.until - middle;
        let smaller = if left_is_smaller {
            self.histogram(leaf.from, middle)
        } else {
            self.histogram(middle, leaf.until)
        };
        let mut larger = leaf.histogram;
        for (all, part) in larger.as_flattened_mut().iter_mut().zip(smaller.as_flattened()) {
            all[0] -= part[0];
            all[1] -= part[1];
        }
        let (of_left, of_right) = if left_is_smaller { (smaller, larger) } else { (larger, smaller) };
        let below = [self.nodes.len(), self.nodes.len() + 1];
        self.nodes[leaf.node] = Node::Cut { feature: cut.feature, bin: cut.bin, below };
        let parts = [(of_left, leaf.from, middle), (of_right, middle, leaf.until)];
        for (node, (histogram, from, until)) in below.into_iter().zip(parts) {
            self.nodes.push(Node::Leaf(0.0));
            let cut = self.best_cut(&histogram);
            self.leaves.push(Leaf { node, from, until, histogram, cut });
        }
    }

    /// Puts the rows that go left before those that go right, each in their order; where the latter begin.
    fn divide(&mut self, from: usize, until: usize, cut: Cut) -> usize {
        let column = &self.rows.columns[cut.feature];
        let parts: Vec<(Vec<u32>, usize)> = self.order[from..until]
            .par_chunks(AT_ONCE)
            .map(|rows| {
                // Those to the left from the front on, the others from the end back; no branch to guess wrong.
                let (mut parted, mut left) = (vec![0; rows.len()], 0);
                for (place, row) in rows.iter().enumerate() {
                    let goes_left = column[*row as usize] <= cut.bin;
                    parted[if goes_left { left } else { rows.len() - 1 - (place - left) }] = *row;
                    left += usize::from(goes_left);
                }
                (parted, left)
            })
            .collect();
        let middle = from + parts.iter().map(|(_, left)| left).sum::<usize>();
        let (mut at_left, mut at_right) = (from, middle);
        for (parted, left) in &parts {
            let (to_left, to_right) = parted.split_at(*left);
            self.order[at_left..][..to_left.len()].copy_from_slice(to_left);
            let places = self.order[at_right..].iter_mut().zip(to_right.iter().rev());
            places.for_each(|(place, row)| *place = *row);
            at_left += to_left.len();
            at_right += to_right.len();
        }
        middle
    }

    /// The histogram of some rows.
    fn histogram(&self, from: usize, until: usize) -> Histogram {
        let none = || vec![[[0; 2]; 256]; self.rows.features];
        let add = |mut histogram: Histogram, order: &[u32]| {
            let Self { rows, slopes, scale, .. } = self;
            run_widest(Adding { order, rows, slopes, scale, to: &mut histogram });
            histogram
        };
        let both = |mut one: Histogram, other: Histogram| {
            for (sum, more) in one.as_flattened_mut().iter_mut().zip(other.as_flattened()) {
                *sum = [sum[0] + more[0], sum[1] + more[1]];
            }
            one
        };
        let parts = self.order[from..until].par_chunks(AT_ONCE).fold(none, add);
        parts.reduce_with(both).unwrap_or_else(none)
    }

    /// The cut that lowers the loss most, to second order; `None` where none lowers it.
    fn best_cut(&self, histogram: &Histogram) -> Option<Cut> {
        let Growth { l2, least_rows, .. } = self.growth;
        let least_rows = least_rows as f64;
        let score = |g: f64, h: f64| g * g / (h + l2);
        let of_feature = |(feature, bins): (usize, &[Cell; 256])| {
            let all =
                self.scale.sums(bins.iter().fold([0; 2], |sum, cell| [sum[0] + cell[0], sum[1] + cell[1]]));
            let before = score(all.gradient, all.curvature);
            let (mut so_far, mut best): (Cell, Option<Cut>) = ([0; 2], None);
            for (bin, cell) in bins.iter().enumerate().take(BINS) {
                // A bin without rows changes nothing.
                if cell[1] == 0 {
                    continue;
                }
                so_far = [so_far[0] + cell[0], so_far[1] + cell[1]];
                let left = self.scale.sums(so_far);
                let (g, h) = (all.gradient - left.gradient, all.curvature - left.curvature);
                let too_few = left.rows < least_rows || all.rows - left.rows < least_rows;
                if too_few || left.curvature < LEAST_CURVE || h < LEAST_CURVE {
                    continue;
                }
                let gain = score(left.gradient, left.curvature) + score(g, h) - before;
                if gain > 1e-9 && best.is_none_or(|best| gain > best.gain) {
                    best = Some(Cut { gain, feature, bin: bin as u8 });
                }
            }
            best
        };
        let cuts: Vec<_> = histogram.par_iter().enumerate().map(of_feature).collect();
        cuts.into_iter().flatten().reduce(|best, cut| if cut.gain > best.gain { cut } else { best })
    }
}

/// Adds rows to a histogram.
struct Adding<'a> {
    order: &'a [u32],
    rows: &'a Binned,
    slopes: &'a [Slope],
    scale: &'a Scale,
    to: &'a mut [[Cell; 256]],
}

impl Kernel for Adding<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for row in self.order {
            let [gradient, rest] = self.scale.cell(self.slopes[*row as usize]);
            for (of_feature, bin) in self.to.iter_mut().zip(self.rows.row(*row as usize)) {
                let cell = &mut of_feature[usize::from(*bin)];
                // One addition of two numbers where vectors hold them.
                *cell = [cell[0] + gradient, cell[1] + rest];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    const GROWTH: Growth = Growth { trees: 1, leaves: 2, rate: 1.0, least_rows: 1, l2: 0.0, patience: 10 };

    fn boosted(rows: &Binned, labels: &[f32], start: f64, growth: Growth) -> Vec<Tree> {
        let weights = vec![1.0; labels.len()];
        let none = (&Binned::default(), Targets { labels: &[], weights: &[] });
        boost((rows, Targets { labels, weights: &weights }), none, start, growth, |_| Ok::<(), ()>(()))
            .unwrap()
    }

    #[test]
    fn one_cut_is_the_newton_step_of_its_leaves() {
        // Half of the rows have bin 1 of which 3 of 4 are clicks; of the others 1 of 4. From odds 1:1 a Newton step is
        // -sum(p - y) / sum(p (1 - p)) = (clicks - rows / 2) / (rows / 4) = +-1.
        let rows = Binned::of(vec![vec![1, 1, 1, 1, 0, 0, 0, 0]]);
        let trees = boosted(&rows, &[1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0], 0.0, GROWTH);
        assert_eq!(trees[0].0[0], Node::Cut { feature: 0, bin: 0, below: [1, 2] });
        assert!((trees[0].of(&[0]) + 1.0).abs() < 1e-6 && (trees[0].of(&[1]) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn pairs_of_features_are_found_and_threads_change_nothing() {
        let mut rng = Rng::named(3, "trees");
        let (mut columns, mut labels) = (vec![Vec::new(); 3], Vec::new());
        for _ in 0..150_000 {
            let row = [rng.below(10) as u8, rng.below(10) as u8, rng.below(200) as u8];
            labels.push(f32::from(rng.chance(if (row[0] < 3) == (row[1] < 7) { 0.7 } else { 0.1 })));
            columns.iter_mut().zip(row).for_each(|(column, bin)| column.push(bin));
        }
        let rows = Binned::of(columns);
        let growth = Growth { trees: 3, leaves: 8, rate: 0.5, least_rows: 20, ..GROWTH };
        let trees = boosted(&rows, &labels, 0.0, growth);
        let log_odds = |row: &[u8]| trees.iter().map(|tree| tree.of(row)).sum::<f64>();
        assert!(log_odds(&[0, 0, 50]) > 0.5 && log_odds(&[9, 0, 50]) < -1.0);
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(one.install(|| boosted(&rows, &labels, 0.0, growth)), trees);
    }

    #[test]
    fn cuts_part_all_values_where_there_are_few_and_equal_weights_where_many() {
        let few = Cuts::of([3.0, 1.0, 1.0, 2.0, f32::NAN].into_iter(), 5);
        assert_eq!(few.0, [1.5, 2.5]);
        assert_eq!([1.0, 1.5, 2.0, 9.0, f32::NAN].map(|x| few.bin(x)), [0, 0, 1, 2, 0]);
        let many = Cuts::of((0..100_000).map(|x| x as f32), 100_000);
        assert!(many.0.len() >= 250 && many.0.len() < 255, "{}", many.0.len());
        assert_eq!(Cuts::of(std::iter::repeat_n(1.0, 5), 5).0, [0.0f32; 0]);
    }
}

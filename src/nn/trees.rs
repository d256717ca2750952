//! How are trees boosted? Gradient boosting on histograms, leaf by leaf (Friedman 2001; Ke et al., NIPS 2017).
//!
//! Every feature is cut into at most 255 bins of about equal weight. A leaf's gradients are summed by bin, the best cut over
//! all leaves is made next, and of two new leaves the larger one's sums are the parent's less the smaller one's. Sums are
//! added in an order that the rows fix, so that the number of threads changes nothing.

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

/// Rows with their features cut into bins.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Binned {
    /// Features of a row.
    pub features: usize,
    /// `[row * features + feature]`.
    pub bins: Vec<u8>,
}

/// Upper ends of a feature's bins, but the last, rising: `x` lies in the first bin whose end is not below it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cuts(pub Vec<f32>);

/// Bins of a feature at most.
const BINS: usize = 255;
/// Values that cuts are made from at most: quantiles need no more.
const CUT_FROM: usize = 200_000;
/// Rows that a thread sums at a time.
const AT_ONCE: usize = 1 << 16;
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
        let (mut sum, mut total) = (0.0, 0.0);
        for ((z, y), w) in log_odds.iter().zip(self.labels).zip(self.weights) {
            let (y, w) = (f64::from(*y), f64::from(*w));
            sum += w * (z.max(0.0) - z * y + (-z.abs()).exp().ln_1p());
            total += w;
        }
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
    let mut gradients = vec![[0.0f32; 2]; scores.len()];
    while trees.len() < growth.trees {
        goes_on(trees.len())?;
        let each = gradients.par_iter_mut().zip(&scores).zip(targets.labels.par_iter().zip(targets.weights));
        each.for_each(|((gradient, z), (y, w))| {
            let p = 1.0 / (1.0 + (-z).exp());
            let w = f64::from(*w);
            *gradient = [(w * (p - f64::from(*y))) as f32, (w * p * (1.0 - p)) as f32];
        });
        let Some(tree) = Grower::new(rows, &gradients, growth).grow(&mut scores) else { break };
        let of = |at: usize| &validation.bins[at * validation.features..][..validation.features];
        unseen.par_iter_mut().enumerate().for_each(|(at, z)| *z += tree.of(of(at)));
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

/// Sums of gradients and curvatures and the number of rows of each bin: `[feature * 256 + bin]`.
type Histogram = Vec<[f64; 3]>;

/// A tree that grows.
struct Grower<'a> {
    rows: &'a Binned,
    gradients: &'a [[f32; 2]],
    growth: Growth,
    nodes: Vec<Node>,
    /// Places of rows, those of a leaf together.
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
    fn new(rows: &'a Binned, gradients: &'a [[f32; 2]], growth: Growth) -> Self {
        let order = (0..gradients.len() as u32).collect();
        Self { rows, gradients, growth, nodes: vec![Node::Leaf(0.0)], order, leaves: Vec::new() }
    }

    /// Grows the tree and adds its answers to `scores`; `None` where no cut gains anything.
    fn grow(mut self, scores: &mut [f64]) -> Option<Tree> {
        let histogram = self.sums(0, self.order.len());
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
            let answer = self.growth.rate * self.answer(&leaf.histogram);
            self.nodes[leaf.node] = Node::Leaf(answer);
            self.order[leaf.from..leaf.until].iter().for_each(|row| scores[*row as usize] += answer);
        }
        Some(Tree(self.nodes))
    }

    /// What lowers the loss of a leaf's rows most, to second order.
    fn answer(&self, histogram: &Histogram) -> f64 {
        let [g, h, _] = whole(histogram);
        -g / (h + self.growth.l2)
    }

    /// Makes two leaves of one.
    fn part(&mut self, place: usize, cut: Cut) {
        let leaf = self.leaves.swap_remove(place);
        let features = self.rows.features;
        let goes_left = |row: &u32| self.rows.bins[*row as usize * features + cut.feature] <= cut.bin;
        let rows = &self.order[leaf.from..leaf.until];
        let (left, right): (Vec<u32>, Vec<u32>) = rows.iter().partition(|row| goes_left(row));
        let middle = leaf.from + left.len();
        self.order[leaf.from..middle].copy_from_slice(&left);
        self.order[middle..leaf.until].copy_from_slice(&right);
        let left_is_smaller = left.len() <= right.len();
        let smaller =
            if left_is_smaller { self.sums(leaf.from, middle) } else { self.sums(middle, leaf.until) };
        let mut larger = leaf.histogram;
        for (all, part) in larger.iter_mut().zip(&smaller) {
            (0..3).for_each(|at| all[at] -= part[at]);
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

    /// The histogram of some rows.
    fn sums(&self, from: usize, until: usize) -> Histogram {
        let features = self.rows.features;
        let of = |rows: &[u32]| {
            let mut sums: Histogram = vec![[0.0; 3]; features * 256];
            for row in rows {
                let [g, h] = self.gradients[*row as usize].map(f64::from);
                let bins = &self.rows.bins[*row as usize * features..][..features];
                for (of_feature, bin) in sums.as_chunks_mut::<256>().0.iter_mut().zip(bins) {
                    let sum = &mut of_feature[usize::from(*bin)];
                    sum[0] += g;
                    sum[1] += h;
                    sum[2] += 1.0;
                }
            }
            sums
        };
        let parts: Vec<Histogram> = self.order[from..until].par_chunks(AT_ONCE).map(of).collect();
        let mut parts = parts.into_iter();
        let mut sums = parts.next().unwrap_or_else(|| vec![[0.0; 3]; features * 256]);
        for part in parts {
            for (sum, part) in sums.iter_mut().zip(&part) {
                (0..3).for_each(|at| sum[at] += part[at]);
            }
        }
        sums
    }

    /// The cut that lowers the loss most, to second order; `None` where none lowers it.
    fn best_cut(&self, histogram: &Histogram) -> Option<Cut> {
        let Growth { l2, least_rows, .. } = self.growth;
        let score = |g: f64, h: f64| g * g / (h + l2);
        let of_feature = |(feature, bins): (usize, &[[f64; 3]])| {
            let (mut g, mut h, mut n) = (0.0, 0.0, 0.0);
            let [all_g, all_h, all_n] = sum(bins);
            let mut best: Option<Cut> = None;
            for (bin, [bin_g, bin_h, bin_n]) in bins.iter().enumerate().take(BINS) {
                g += bin_g;
                h += bin_h;
                n += bin_n;
                let (right_g, right_h) = (all_g - g, all_h - h);
                let too_few = n < least_rows as f64 || all_n - n < least_rows as f64;
                if too_few || h < LEAST_CURVE || right_h < LEAST_CURVE {
                    continue;
                }
                let gain = score(g, h) + score(right_g, right_h) - score(all_g, all_h);
                if gain > 1e-9 && best.is_none_or(|best| gain > best.gain) {
                    best = Some(Cut { gain, feature, bin: bin as u8 });
                }
            }
            best
        };
        let cuts: Vec<_> = histogram.par_chunks(256).enumerate().map(of_feature).collect();
        cuts.into_iter().flatten().reduce(|best, cut| if cut.gain > best.gain { cut } else { best })
    }
}

/// The sums of a leaf, from those of its first feature.
fn whole(histogram: &Histogram) -> [f64; 3] {
    sum(histogram.get(..256).unwrap_or_default())
}

fn sum(bins: &[[f64; 3]]) -> [f64; 3] {
    bins.iter().fold([0.0; 3], |sum, bin| [sum[0] + bin[0], sum[1] + bin[1], sum[2] + bin[2]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    const GROWTH: Growth = Growth { trees: 1, leaves: 2, rate: 1.0, least_rows: 1, l2: 0.0, patience: 10 };

    fn boosted(rows: &Binned, labels: &[f32], start: f64, growth: Growth) -> Vec<Tree> {
        let weights = vec![1.0; labels.len()];
        let none = (&Binned { features: rows.features, bins: vec![] }, Targets { labels: &[], weights: &[] });
        boost((rows, Targets { labels, weights: &weights }), none, start, growth, |_| Ok::<(), ()>(()))
            .unwrap()
    }

    #[test]
    fn one_cut_is_the_newton_step_of_its_leaves() {
        // Half of the rows have bin 1 of which 3 of 4 are clicks; of the others 1 of 4. From odds 1:1 a Newton step is
        // -sum(p - y) / sum(p (1 - p)) = (clicks - rows / 2) / (rows / 4) = +-1.
        let rows = Binned { features: 1, bins: [1, 1, 1, 1, 0, 0, 0, 0].to_vec() };
        let trees = boosted(&rows, &[1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0], 0.0, GROWTH);
        assert_eq!(trees[0].0[0], Node::Cut { feature: 0, bin: 0, below: [1, 2] });
        assert!((trees[0].of(&[0]) + 1.0).abs() < 1e-6 && (trees[0].of(&[1]) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn pairs_of_features_are_found_and_threads_change_nothing() {
        let mut rng = Rng::named(3, "trees");
        let (mut bins, mut labels) = (Vec::new(), Vec::new());
        for _ in 0..150_000 {
            let row = [rng.below(10) as u8, rng.below(10) as u8, rng.below(200) as u8];
            labels.push(f32::from(rng.chance(if (row[0] < 3) == (row[1] < 7) { 0.7 } else { 0.1 })));
            bins.extend(row);
        }
        let rows = Binned { features: 3, bins };
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

//! Where in the space that a model has learnt does it fail? Regions of what leaves its last layers, found on one half of
//! the users and judged on the other.
//!
//! Slices by columns miss what no column says. Here rows are points by what the model makes of them (Eyuboglu et al.,
//! ICLR 2022, look there too). Their mixture of Gaussians parts rows by their own outcomes; of clicks, that are rare and
//! noisy, one outcome says next to nothing. So a tree parts the space instead, each time where the ratio of actual to
//! predicted clicks (or the mean loss) differs most between the two sides, as error trees do over columns (Nushi et al.,
//! HCOMP 2018). Its cuts are along the leading components and along the direction in which the mistakes lean.
//! A region that was chosen for its mistakes looks bad on the rows it was chosen on, so it is judged on others.

use super::groups::{MOST_VALUES, log_odds};
use super::sources::last_layers;
use super::subject::check_whole;
use crate::base::rng::mix;
use crate::base::{Failure, Result};
use crate::data::batch::FIRST_VALUE_ID;
use crate::data::dataset::take_known;
use crate::data::query::misfit::{Judged, Known, Misfit, MisfitQuery, MisfitReport, Mistake, apart, misfits};
use crate::data::{Dataset, LogFrame, Split};
use crate::jobs::JobContext;
use crate::maps::pca::{Components, components};
use crate::metrics::ab_test::normal_quantile;
use crate::train::TrainedModel;
use serde::Serialize;

/// Leading components that the tree looks at.
const COMPONENTS: usize = 16;
/// Cuts on the way to a region: at most eight regions.
const DEPTH: usize = 3;
/// Cuts tried along each direction.
const CUTS: usize = 31;
/// Share of the rows that a region has at least.
const LEAST_SHARE: f64 = 0.04;
/// A cut whose sides differ by less standard errors on the rows that it is chosen on is not worth a region.
const LEAST_DEVIATION: f64 = 2.0;

/// Rows that are looked at, evenly spread.
const ROWS: usize = 200_000;
/// Fewer rows than this are not parted.
const LEAST_ROWS: usize = 1_000;
/// Values told of a region.
const TOLD: usize = 6;
/// What the regions are called among the columns.
const REGION: &str = "region";

/// Where a model fails, in the space of its last layers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RegionReport {
    /// The layers whose numbers make the space.
    pub layers: Vec<String>,
    /// Rows that were asked for, of them looked at, found regions on, and judged on.
    pub rows: [usize; 4],
    /// Regions that the space was parted into.
    pub regions: usize,
    /// Those in which the model fails on the rows that judge: each slice's only part is the region's number.
    pub misfits: MisfitReport,
    /// What sets each of them apart from the other rows.
    pub features: Vec<Vec<RegionFeature>>,
}

/// A value that rows of a region have more or less often.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RegionFeature {
    /// The column.
    pub field: String,
    /// The value.
    pub value: String,
    /// Share of the region's rows.
    pub inside: f64,
    /// Share of the other rows.
    pub outside: f64,
}

/// Looks for regions of one part of a log in which a model fails.
///
/// # Errors
/// A log of which only a sample is open, too few rows, a model without hidden layers, what [`misfits`] refuses, a cancel.
pub fn regions(
    model: &TrainedModel,
    dataset: &Dataset,
    log: &LogFrame,
    (split, by): (Split, Misfit),
    context: &JobContext,
) -> Result<RegionReport> {
    let what = "cannot look for regions in which the model fails";
    check_whole(what, dataset, log)?;
    if !model.has_hidden_layers() {
        let why = format!("a {} model has no hidden layer", model.kind);
        return Err(Failure::new(what, why).hint("groups by columns, or a kind with layers such as deep_fm"));
    }
    let asked = dataset.rows_of(split);
    if asked.len() < LEAST_ROWS {
        let why = format!("{} rows are too few: half of them find regions, the others judge", asked.len());
        return Err(Failure::new(what, why).hint(format!("{LEAST_ROWS} rows or more")));
    }
    let rows = super::attention::spread(asked, ROWS);
    context.stage("scoring");
    let predicted = model.predict(dataset, &rows, context)?;
    let (points, width, layers) = last_layers(model, dataset, &rows, context)?;
    let (labels, weights) = (take_known(&dataset.label, &rows), take_known(&dataset.weight, &rows));
    if labels.len() != rows.len() {
        return Err(Failure::new(what, "the log knows no outcomes"));
    }
    context.stage("parting the space");
    let users = take_known(&dataset.users, &rows);
    // A log without users has each row for itself.
    let finds = |place: usize| finds(users.get(place).copied().unwrap_or(place as u32));
    let (found_on, judged_on): (Vec<u32>, Vec<u32>) =
        (0..rows.len() as u32).partition(|p| finds(*p as usize));
    let some = |places: &[u32]| -> Vec<f32> {
        places.iter().flat_map(|p| &points[*p as usize * width..][..width]).copied().collect()
    };
    let all = Judged { rows: &rows, predicted: &predicted, labels: &labels, weights: &weights, known: &[] };
    let mistakes: Vec<Mistake> = found_on.iter().map(|place| all.mistake(by, *place as usize)).collect();
    let regions = Regions::grow(&some(&found_on), width, &mistakes, by)?;
    context.check()?;
    let codes = regions.of(&some(&judged_on));
    let pick = |of: &[f32]| take_known(of, &judged_on);
    let judges: Vec<u32> = judged_on.iter().map(|place| rows[*place as usize]).collect();
    let known = [Known {
        name: REGION.to_owned(),
        values: (1..=regions.count).map(|region| region.to_string()).collect(),
        codes: codes.clone(),
    }];
    let (predicted, labels, weights) = (pick(&predicted), pick(&labels), pick(&weights));
    let judged =
        Judged { rows: &judges, predicted: &predicted, labels: &labels, weights: &weights, known: &known };
    let query = MisfitQuery { by, columns: vec![REGION.to_owned()], depth: 1, ..MisfitQuery::default() };
    let misfits = misfits(log, judged, &query, context)?;
    let number = |parts: &[(String, String)]| parts.first().and_then(|(_, value)| value.parse::<u32>().ok());
    let features = misfits.slices.iter().map(|slice| {
        let region = number(&slice.parts).map_or(u32::MAX, |number| number - 1);
        told(dataset, &judges, &codes, region)
    });
    Ok(RegionReport {
        layers,
        rows: [asked.len(), rows.len(), found_on.len(), judged_on.len()],
        regions: regions.count as usize,
        features: features.collect(),
        misfits,
    })
}

/// The values that set the rows of a region apart, the surest first. Which they are is told by log odds whose interval
/// excludes 0 for all values together, as if rows were independent: a hint of what the region is, not a finding.
fn told(dataset: &Dataset, rows: &[u32], codes: &[u32], region: u32) -> Vec<RegionFeature> {
    let fields = dataset.encoder.categorical.iter().zip(&dataset.categorical);
    let fields: Vec<_> = fields.filter(|(field, _)| field.cardinality() <= MOST_VALUES).collect();
    let questions: usize = fields.iter().map(|(field, _)| field.cardinality()).sum();
    let z = normal_quantile(1.0 - 0.05 / (2.0 * questions.max(1) as f64));
    let own = codes.iter().filter(|code| **code == region).count() as f64;
    let others = codes.len() as f64 - own;
    let mut found = Vec::new();
    for (field, column) in fields {
        let mut counts = vec![[0.0f64; 2]; field.cardinality()];
        for (row, code) in rows.iter().zip(codes) {
            counts[column[*row as usize] as usize][usize::from(*code != region)] += 1.0;
        }
        for (id, [inside, outside]) in counts.into_iter().enumerate().skip(FIRST_VALUE_ID as usize) {
            let odds = log_odds((inside, own), (outside, others), z);
            let sure = odds.low.max(-odds.high);
            if sure > 0.0 {
                let feature = RegionFeature {
                    field: field.name.clone(),
                    value: field.name_of(id as u32),
                    inside: inside / own.max(1.0),
                    outside: outside / others.max(1.0),
                };
                found.push((sure, feature));
            }
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    // A campaign, its advertiser and its category often say the same.
    let mut told: Vec<RegionFeature> = Vec::new();
    for (_, feature) in found {
        let says_the_same =
            |known: &RegionFeature| (known.inside, known.outside) == (feature.inside, feature.outside);
        if told.len() < TOLD && !told.iter().any(says_the_same) {
            told.push(feature);
        }
    }
    told
}

/// Regions of a space.
#[derive(Debug, Clone, PartialEq)]
struct Regions {
    components: Components,
    nodes: Vec<Node>,
    /// How many there are.
    count: u32,
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Cut { direction: Vec<f64>, at: f64, below: usize, above: usize },
    Region(u32),
}

impl Regions {
    /// Parts the space of `points` (row-major, `width` wide) by the rows' mistakes.
    ///
    /// # Errors
    /// Fewer than two points, numbers that are not finite, points that are all equal.
    fn grow(points: &[f32], width: usize, mistakes: &[Mistake], by: Misfit) -> Result<Self> {
        let components = components(points, width)?;
        let kept = components.directions.len().min(COMPONENTS);
        let places = components.project_all(points, kept);
        let mut grown = Grown { places: &places, width: kept, mistakes, by, nodes: Vec::new(), count: 0 };
        grown.grow((0..mistakes.len()).collect(), DEPTH);
        let (nodes, count) = (grown.nodes, grown.count);
        Ok(Self { components, nodes, count })
    }

    /// The region of each point.
    fn of(&self, points: &[f32]) -> Vec<u32> {
        let kept = self.components.directions.len().min(COMPONENTS);
        let places = self.components.project_all(points, kept);
        places.chunks(kept.max(1)).map(|place| self.region(place)).collect()
    }

    fn region(&self, place: &[f32]) -> u32 {
        let mut at = 0;
        loop {
            match self.nodes.get(at) {
                Some(Node::Cut { direction, at: cut, below, above }) => {
                    at = if along(direction, place) < *cut { *below } else { *above };
                }
                Some(Node::Region(region)) => return *region,
                None => return 0,
            }
        }
    }
}

fn along(direction: &[f64], place: &[f32]) -> f64 {
    direction.iter().zip(place).map(|(d, x)| d * f64::from(*x)).sum()
}

/// A tree that grows.
struct Grown<'a> {
    places: &'a [f32],
    width: usize,
    mistakes: &'a [Mistake],
    by: Misfit,
    nodes: Vec<Node>,
    count: u32,
}

/// How far apart the two sides of a cut are, and the cut.
struct Cut {
    deviation: f64,
    direction: Vec<f64>,
    at: f64,
}

impl Grown<'_> {
    /// Grows the tree under some rows; answers with its place.
    fn grow(&mut self, rows: Vec<usize>, depth: usize) -> usize {
        let here = self.nodes.len();
        let cut = if depth > 0 { self.best(&rows) } else { None };
        let Some(cut) = cut.filter(|cut| cut.deviation >= LEAST_DEVIATION) else {
            self.nodes.push(Node::Region(self.count));
            self.count += 1;
            return here;
        };
        self.nodes.push(Node::Region(0));
        let is_below = |row: &usize| along(&cut.direction, self.place(*row)) < cut.at;
        let (low, high): (Vec<usize>, Vec<usize>) = rows.into_iter().partition(is_below);
        let below = self.grow(low, depth - 1);
        let above = self.grow(high, depth - 1);
        self.nodes[here] = Node::Cut { direction: cut.direction, at: cut.at, below, above };
        here
    }

    fn place(&self, row: usize) -> &[f32] {
        &self.places[row * self.width..][..self.width]
    }

    fn best(&self, rows: &[usize]) -> Option<Cut> {
        let axes = (0..self.width).map(|axis| {
            let mut direction = vec![0.0; self.width];
            direction[axis] = 1.0;
            direction
        });
        let all = axes.chain([self.leaning(rows)]).filter_map(|direction| self.cut(rows, direction));
        all.max_by(|a, b| a.deviation.total_cmp(&b.deviation))
    }

    /// Where the mistakes lean: their regression on the components, which are nearly uncorrelated.
    fn leaning(&self, rows: &[usize]) -> Vec<f64> {
        let mut sums = [0.0; 3];
        rows.iter().for_each(|row| add(&mut sums, &self.mistakes[*row]));
        // What is wrong in a row, against what is wrong in all: its mean is 0.
        let wrong = |mistake: &Mistake| match self.by {
            Misfit::Calibration => mistake[1] - mistake[2] * sums[1] / sums[2].max(f64::MIN_POSITIVE),
            Misfit::Loss => mistake[1] - mistake[0] * sums[1] / sums[0].max(f64::MIN_POSITIVE),
        };
        let count = rows.len().max(1) as f64;
        (0..self.width)
            .map(|axis| {
                let at = |row: usize| f64::from(self.place(row)[axis]);
                let mean = rows.iter().map(|row| at(*row)).sum::<f64>() / count;
                let (mut joint, mut spread) = (0.0, 0.0);
                for &row in rows {
                    let off = at(row) - mean;
                    joint += off * wrong(&self.mistakes[row]);
                    spread += off * off;
                }
                if spread > 0.0 { joint / spread } else { 0.0 }
            })
            .collect()
    }

    /// The best cut across a direction, at one of some quantiles.
    fn cut(&self, rows: &[usize], direction: Vec<f64>) -> Option<Cut> {
        let mut order: Vec<(f64, usize)> =
            rows.iter().map(|row| (along(&direction, self.place(*row)), *row)).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        let least = (LEAST_SHARE * self.mistakes.len() as f64).ceil().max(1.0) as usize;
        let mut total = [0.0; 3];
        order.iter().for_each(|(_, row)| add(&mut total, &self.mistakes[*row]));
        let mut best: Option<(f64, f64)> = None;
        let (mut below, mut done) = ([0.0; 3], 0);
        for step in 1..=CUTS {
            let end = order.len() * step / (CUTS + 1);
            order[done..end].iter().for_each(|(_, row)| add(&mut below, &self.mistakes[*row]));
            done = end;
            // Rows at the same place stay together.
            if end < least || order.len() - end < least || order[end - 1].0 >= order[end].0 {
                continue;
            }
            let above = std::array::from_fn(|part| total[part] - below[part]);
            let Some(deviation) = apart(self.by, [below, above]).map(f64::abs) else { continue };
            if best.is_none_or(|(known, _)| deviation > known) {
                best = Some((deviation, 0.5 * (order[end - 1].0 + order[end].0)));
            }
        }
        best.map(|(deviation, at)| Cut { deviation, direction, at })
    }
}

fn add(sums: &mut Mistake, mistake: &Mistake) {
    sums.iter_mut().zip(mistake).for_each(|(sum, part)| *sum += part);
}

/// True for users on whose rows regions are found; the others judge them.
fn finds(user: u32) -> bool {
    mix(u64::from(user)).is_multiple_of(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    /// Three clouds in six dimensions; where `off`, the rows of the second are clicked twice as often as predicted.
    fn clouds(rows: usize, seed: u64, off: bool) -> (Vec<f32>, Vec<Mistake>, Vec<usize>) {
        let mut rng = Rng::named(seed, "regions");
        let (mut points, mut mistakes, mut cloud) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rows {
            let of = rng.below(3);
            points.extend((0..6).map(|axis| (rng.normal() + if axis == 2 * of { 4.0 } else { 0.0 }) as f32));
            let predicted = 0.04 + 0.04 * rng.uniform();
            let chance = if off && of == 1 { 2.0 * predicted } else { predicted };
            mistakes.push([1.0, f64::from(u8::from(rng.chance(chance))), predicted]);
            cloud.push(of);
        }
        (points, mistakes, cloud)
    }

    #[test]
    fn the_planted_region_is_parted_from_the_rest() {
        let (points, mistakes, cloud) = clouds(12_000, 1, true);
        let regions = Regions::grow(&points, 6, &mistakes, Misfit::Calibration).unwrap();
        let codes = regions.of(&points);
        // Regions in which most of the planted rows are hold few others.
        let mut counts = vec![[0.0f64; 2]; regions.count as usize];
        codes.iter().zip(&cloud).for_each(|(code, of)| counts[*code as usize][usize::from(*of == 1)] += 1.0);
        let planted = counts.iter().filter(|[others, own]| own > others);
        let (others, own) = planted.fold((0.0, 0.0), |sum, [others, own]| (sum.0 + others, sum.1 + own));
        let all = cloud.iter().filter(|of| **of == 1).count() as f64;
        assert!(own > 0.85 * all && others < 0.1 * own, "{own} of {all}, {others} others");
        assert_eq!(regions.of(&points[..60]), codes[..10]);
    }

    #[test]
    fn where_nothing_is_wrong_the_other_half_says_so_at_its_level() {
        // Regions that were grown on one half are judged on the other: the ratio of actual to predicted clicks in the
        // region that looked worst is not another one there. At 5 % with a correction for the regions, at most 6 of 40
        // tries say otherwise with a probability of 99.7 % (binomial).
        let mut wrong = 0;
        for seed in 0..40 {
            let (points, mistakes, _) = clouds(4_000, 100 + seed, false);
            let half = mistakes.len() / 2;
            let regions =
                Regions::grow(&points[..6 * half], 6, &mistakes[..half], Misfit::Calibration).unwrap();
            let codes = regions.of(&points[6 * half..]);
            let mut sums = vec![[0.0; 3]; regions.count as usize];
            codes.iter().zip(&mistakes[half..]).for_each(|(code, of)| add(&mut sums[*code as usize], of));
            let mut total = [0.0; 3];
            sums.iter().for_each(|of| add(&mut total, of));
            let bar = normal_quantile(1.0 - 0.025 / f64::from(regions.count));
            let far = |of: &Mistake| {
                let rest = std::array::from_fn(|part| total[part] - of[part]);
                apart(Misfit::Calibration, [*of, rest]).map_or(0.0, f64::abs)
            };
            wrong += usize::from(sums.iter().any(|of| far(of) > bar));
        }
        assert!(wrong <= 6, "{wrong} of 40");
    }

    #[test]
    fn losses_are_parted_where_they_differ_and_equal_points_are_refused() {
        let mut rng = Rng::named(5, "regions of losses");
        let points: Vec<f32> = (0..8_000).map(|_| rng.normal() as f32).collect();
        let mistakes: Vec<Mistake> = points
            .chunks(2)
            .map(|point| {
                let loss = if point[0] + point[1] > 1.0 { 0.6 } else { 0.2 } + 0.1 * rng.uniform();
                [1.0, loss, loss * loss]
            })
            .collect();
        let regions = Regions::grow(&points, 2, &mistakes, Misfit::Loss).unwrap();
        let codes = regions.of(&[2.0, 2.0, -2.0, -2.0, 0.0, 0.1]);
        assert_ne!(codes[0], codes[1]);
        assert!(Regions::grow(&[1.0; 80], 2, &mistakes[..40], Misfit::Loss).is_err());
    }
}

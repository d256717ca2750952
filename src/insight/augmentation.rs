//! Do made rows help a thin segment? A generator learns what rows look like, draws more of the segment, and models with and
//! without them are judged on the real test rows. Beside them stands what needs no generator: as many of the segment's own
//! rows with the same outcomes, taken twice.
//!
//! A [generator](crate::train::gan) draws the user, the ad and what is of the moment, told whether a row is of the segment and
//! whether it was clicked; what belongs to a user or an ad, histories among it, is that of a real row of theirs. How like
//! the real rows they are is told by what the discriminator can still tell apart on rows that it was not trained on, by how
//! far each column lies from the real one and by pairs of columns, each beside what chance alone would make of it.

use crate::base::rng::Rng;
use crate::base::{Failure, Result};
use crate::data::array::Array;
use crate::data::batch::RARE_ID;
use crate::data::dataset::{SequenceColumn, take_known};
use crate::data::encode::Side;
use crate::data::{Dataset, Split};
use crate::jobs::{JobContext, Latest};
use crate::metrics::Rate;
use crate::metrics::gains::Gains;
use crate::train::gan::{Cells, Game, Gan};
use crate::train::newcomers::id_fields;
use crate::train::{TrainSpec, fit};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;

const WHAT: &str = "cannot make rows of the segment";
/// Values of a column that are drawn apart, the most frequent ones of the segment; the others are one.
const VALUES: usize = 150;
/// Groups that a number is drawn as.
const BINS: usize = 8;
/// Rows of the segment that it takes at least.
const LEAST: usize = 50;
/// One in so many rows is kept from the game, for the discriminator to be judged on.
const KEPT_OUT: usize = 5;

/// What is tried.
#[derive(Debug, Clone, PartialEq)]
pub struct AugmentPlan {
    /// What is trained with and without.
    pub spec: TrainSpec,
    /// How the generator is trained.
    pub game: Game,
    /// Rows made, as a share of the segment's training rows.
    pub share: f64,
    /// Seeds.
    pub seeds: usize,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Augmented {
    /// The kind.
    pub kind: String,
    /// Training rows of the segment.
    pub rows: usize,
    /// Rows that were made.
    pub made: usize,
    /// How often the discriminator was right on real rows that it was not trained on and as many made ones: one half where
    /// it cannot tell.
    pub told_apart: Rate,
    /// The value of the game on these: `-ln 4` (-1.386) where it cannot tell.
    pub game_value: f64,
    /// How far the made rows lie from the segment's, column by column.
    pub columns: Vec<Distance>,
    /// The same for pairs of columns, the farthest first.
    pub pairs: Vec<Distance>,
    /// On the segment's test rows.
    pub segment: Judged,
    /// On all test rows.
    pub whole: Judged,
}

/// What more rows bring on some test rows: made ones, or as many real ones of the segment repeated.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// Test rows.
    pub rows: usize,
    /// Without any and with made ones.
    pub made: Gains,
    /// Without any and with repeated ones.
    pub repeated: Gains,
    /// With repeated ones and with made ones.
    pub made_over_repeated: Gains,
}

impl Judged {
    /// Weighs the scores that each seed has without more rows, with repeated and with made ones.
    fn of(dataset: &Dataset, rows: &[u32], runs: &[[Vec<f32>; 3]]) -> Self {
        let (labels, weights) = (take_known(&dataset.label, rows), take_known(&dataset.weight, rows));
        let users = take_known(&dataset.users, rows);
        let gains = |first: usize, second: usize| {
            let runs: Vec<[Vec<f32>; 2]> =
                runs.iter().map(|run| [run[first].clone(), run[second].clone()]).collect();
            Gains::of(&runs, &labels, &weights, &users)
        };
        Self { rows: rows.len(), made: gains(0, 2), repeated: gains(0, 1), made_over_repeated: gains(1, 2) }
    }

    /// What is set against what, in words, with its gains.
    pub fn lines(&self) -> [(&'static str, &Gains); 3] {
        [
            ("made rows, over none", &self.made),
            ("real rows repeated, over none", &self.repeated),
            ("made rows, over repeated ones", &self.made_over_repeated),
        ]
    }
}

/// Half the sum of the absolute differences of shares (total variation): 0 for the same shares, 1 for nothing in common.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Distance {
    /// The column, or two of them.
    pub of: String,
    /// From the segment's real rows to the made ones.
    pub distance: f64,
    /// From the real rows to as many drawn from them: what chance alone makes of it.
    pub by_chance: f64,
}

impl Augmented {
    /// Whether it helps, in plain words.
    pub fn verdict(&self) -> String {
        let known = self.segment.made.auc_gain.zip(self.segment.made_over_repeated.auc_gain);
        let Some((gain, over_repeated)) = known else {
            return "The segment's test rows cannot tell whether made rows help.".to_owned();
        };
        let says = if gain.low > 0.0 {
            "Made rows help here"
        } else if gain.high < 0.0 {
            "Made rows do harm here"
        } else {
            "Made rows do not help here: the difference is within chance"
        };
        let beside = if over_repeated.low > 0.0 {
            "They do more than"
        } else if over_repeated.high < 0.0 {
            "They do less than"
        } else {
            "They are not to be told from"
        };
        format!(
            "{says} (AUC on the segment's test rows higher by {}). {beside} as many real rows of the segment repeated (AUC higher \
             by {}).",
            gain.in_words(4),
            over_repeated.in_words(4)
        )
    }
}

/// Trains the generator, makes rows, trains with and without them, and with rows repeated.
///
/// # Errors
/// A segment of too few rows or with one outcome only, shares or seeds that make no sense, or a cancel.
pub fn augmentation(
    dataset: &Dataset,
    segment: &[u32],
    plan: &AugmentPlan,
    context: &JobContext,
) -> Result<Augmented> {
    let spec = plan.spec.completed()?;
    let mut is_of_segment = vec![false; dataset.rows];
    segment.iter().for_each(|row| is_of_segment[*row as usize] = true);
    let of_segment = |rows: &[u32]| -> Vec<u32> {
        rows.iter().copied().filter(|row| is_of_segment[*row as usize]).collect()
    };
    let own = of_segment(&dataset.train);
    let judged = of_segment(dataset.rows_of(Split::Test));
    check(dataset, plan, &own, &judged)?;
    context.stage("Training generator and discriminator");
    let form = Form::of(dataset, &own);
    let (kept_out, learnt): (Vec<u32>, Vec<u32>) =
        dataset.train.iter().partition(|row| (**row as usize).is_multiple_of(KEPT_OUT));
    let condition =
        |row: &u32| u32::from(is_of_segment[*row as usize]) * 2 + u32::from(clicked(dataset, *row));
    let conditions = |rows: &[u32]| rows.iter().map(condition).collect::<Vec<u32>>();
    let game = Game { seed: spec.seed()?, ..plan.game };
    let gan = Gan::fit(&form.cells(dataset, &learnt, conditions(&learnt)), game, context)?;
    let mut rng = Rng::named(game.seed, "made rows");
    // Told apart on rows of the segment alone, where it has kept enough of them.
    let judges = of_segment(&kept_out);
    let real = form.cells(dataset, &judges, conditions(&judges));
    let faked = Cells { columns: gan.draw(&real.condition, &mut rng)?, ..real.clone() };
    let right = gan.judged(&real)?.iter().filter(|z| **z > 0.0).count()
        + gan.judged(&faked)?.iter().filter(|z| **z <= 0.0).count();
    let told_apart = Rate::wilson(right as f64, 2.0 * judges.len() as f64);
    let game_value = gan.value(&real, &faked)?;
    let count = (plan.share * own.len() as f64).round().max(1.0) as usize;
    let real = form.cells(dataset, &own, conditions(&own));
    let picked: Vec<usize> = (0..count).map(|_| rng.below(own.len())).collect();
    let wanted: Vec<u32> = picked.iter().map(|place| real.condition[*place]).collect();
    let again = picked.iter().map(|place| own[*place]);
    let repeated = Dataset { train: dataset.train.iter().copied().chain(again).collect(), ..dataset.clone() };
    let made = Cells { columns: gan.draw(&wanted, &mut rng)?, condition: wanted, ..real.clone() };
    let longer = form.appended(dataset, &made, &mut rng);
    let (columns, pairs) = form.distances(&real, &made, &mut rng);
    let test = dataset.rows_of(Split::Test).clone();
    let mut runs = [Vec::new(), Vec::new()];
    for place in 0..plan.seeds as u64 {
        let mut spec = spec.clone();
        spec.set("seed", &(game.seed.wrapping_add(place) & i64::MAX as u64).to_string())?;
        context.stage(&format!("Training without, with repeated and with made rows, seed {}", place + 1));
        let fitted = |rows: &Dataset| fit(rows, &spec, &Latest::default(), context);
        let models = [fitted(dataset)?, fitted(&repeated)?, fitted(&longer)?];
        for (rows, runs) in [&judged[..], &test[..]].into_iter().zip(&mut runs) {
            let [without, repeated, made] =
                models.each_ref().map(|model| model.predict(dataset, rows, context));
            runs.push([without?, repeated?, made?]);
        }
    }
    Ok(Augmented {
        kind: spec.kind.clone(),
        rows: own.len(),
        made: count,
        told_apart,
        game_value,
        columns,
        pairs,
        segment: Judged::of(dataset, &judged, &runs[0]),
        whole: Judged::of(dataset, &test, &runs[1]),
    })
}

fn clicked(dataset: &Dataset, row: u32) -> bool {
    dataset.label[row as usize] > 0.0
}

fn check(dataset: &Dataset, plan: &AugmentPlan, own: &[u32], judged: &[u32]) -> Result<()> {
    let refuse = |why: String, hint: &str| Err(Failure::new(WHAT, why).hint(hint));
    if !(plan.share > 0.0 && plan.share <= 20.0) {
        return refuse(
            format!("{} times the segment's rows cannot be made", plan.share),
            "1, and 20 at most",
        );
    }
    if !(1..=20).contains(&plan.seeds) {
        return refuse(
            format!("{} seeds cannot be tried", plan.seeds),
            "1 to 20; 3 tell how much luck there is",
        );
    }
    if dataset.label.is_empty() {
        return refuse(
            "the log does not say what was clicked".into(),
            "give the click column the role label",
        );
    }
    if !dataset.weight.is_empty() {
        let why = "a row of this log stands for several impressions, and made rows would be single ones";
        return refuse(why.into(), "a log with a row an impression");
    }
    let clicks = own.iter().filter(|row| clicked(dataset, **row)).count();
    if own.len() < LEAST || clicks == 0 || clicks == own.len() || judged.is_empty() {
        let why = format!(
            "the segment has {} training rows with {clicks} clicks, and {} test rows",
            own.len(),
            judged.len()
        );
        return refuse(why, "a segment of at least 50 training rows, clicked and not, and with test rows");
    }
    Ok(())
}

/// What is drawn of a row, and how it is read back.
struct Form {
    names: Vec<String>,
    fields: Vec<Drawn>,
    /// Fields of the user, of the ad: categorical, numeric, and sequences that are histories of users.
    of_side: Vec<(Side, Vec<usize>, Vec<usize>)>,
}

/// A column that is drawn.
enum Drawn {
    /// A categorical field: the ids drawn apart, then those that are one, with all their rows; and whose it is, where it is an
    /// id.
    Values { place: usize, ids: Vec<u32>, place_of: HashMap<u32, u32>, others: Vec<u32>, side: Option<Side> },
    /// A numeric field: upper ends of the groups, and their means.
    Number { place: usize, ends: Vec<f32>, means: Vec<f32> },
}

impl Form {
    /// Columns as the rows of the segment suggest.
    fn of(dataset: &Dataset, own: &[u32]) -> Self {
        let encoder = &dataset.encoder;
        let ids = id_fields(encoder);
        // Users and ads whose ids are hashed, or that have no column, are drawn by their attributes.
        let known = |side: Side| ids.iter().any(|(_, other)| *other == side);
        let is_drawn = |place: usize, side: Side| {
            side == Side::Context || !known(side) || ids.iter().any(|(other, _)| *other == place)
        };
        let (mut fields, mut names) = (Vec::new(), Vec::new());
        for (place, field) in
            encoder.categorical.iter().enumerate().filter(|(place, field)| is_drawn(*place, field.side))
        {
            let mut count: HashMap<u32, usize> = HashMap::new();
            own.iter()
                .for_each(|row| *count.entry(dataset.categorical[place][*row as usize]).or_default() += 1);
            let mut order: Vec<(u32, usize)> = count.into_iter().collect();
            order.sort_by_key(|(id, count)| (std::cmp::Reverse(*count), *id));
            order.truncate(VALUES);
            let values: Vec<u32> = order.into_iter().map(|(id, _)| id).collect();
            let place_of: HashMap<u32, u32> =
                values.iter().enumerate().map(|(at, id)| (*id, at as u32)).collect();
            let cells = dataset.train.iter().map(|row| dataset.categorical[place][*row as usize]);
            let others: Vec<u32> = cells.filter(|id| !place_of.contains_key(id)).collect();
            let side = ids.iter().find(|(other, _)| *other == place).map(|(_, side)| *side);
            names.push(field.name.clone());
            fields.push(Drawn::Values { place, ids: values, place_of, others, side });
        }
        for (place, field) in encoder
            .numeric
            .iter()
            .enumerate()
            .filter(|(_, field)| field.side == Side::Context || !known(field.side))
        {
            names.push(field.name.clone());
            fields.push(binned(dataset, place, own));
        }
        let of_side = ids.iter().map(|(place, side)| {
            let categorical = (0..encoder.categorical.len())
                .filter(|other| other != place && encoder.categorical[*other].side == *side);
            let numeric = (0..encoder.numeric.len()).filter(|other| encoder.numeric[*other].side == *side);
            (*side, categorical.collect(), numeric.collect())
        });
        let of_side = of_side.collect();
        Self { names, fields, of_side }
    }

    /// Rows of the log as the generator sees them.
    fn cells(&self, dataset: &Dataset, rows: &[u32], condition: Vec<u32>) -> Cells {
        let column = |field: &Drawn| -> Vec<u32> {
            match field {
                Drawn::Values { place, ids, place_of, .. } => {
                    let cell = |row: &u32| place_of.get(&dataset.categorical[*place][*row as usize]);
                    rows.iter().map(|row| cell(row).copied().unwrap_or(ids.len() as u32)).collect()
                }
                Drawn::Number { place, ends, .. } => {
                    let group =
                        |row: &u32| ends.partition_point(|end| *end < dataset.numeric[*place][*row as usize]);
                    rows.iter().map(|row| group(row) as u32).collect()
                }
            }
        };
        Cells {
            sizes: self.fields.iter().map(Drawn::size).collect(),
            columns: self.fields.iter().map(column).collect(),
            conditions: 4,
            condition,
        }
    }

    /// The log with made rows behind its own, which only take part in training.
    fn appended(&self, dataset: &Dataset, made: &Cells, rng: &mut Rng) -> Dataset {
        let count = made.condition.len();
        // A real row of the same user, and one of the same ad, lends what belongs to them.
        let mut by_id: HashMap<(Side, u32), Vec<u32>> = HashMap::new();
        for field in &self.fields {
            if let Drawn::Values { place, side: Some(side), .. } = field {
                for row in dataset.train.iter() {
                    by_id.entry((*side, dataset.categorical[*place][*row as usize])).or_default().push(*row);
                }
            }
        }
        let mut categorical: Vec<Vec<u32>> =
            dataset.categorical.iter().map(|column| column.to_vec()).collect();
        let mut numeric: Vec<Vec<f32>> = dataset.numeric.iter().map(|column| column.to_vec()).collect();
        let mut lenders: HashMap<Side, Vec<Option<u32>>> = HashMap::new();
        for (field, cells) in self.fields.iter().zip(&made.columns) {
            match field {
                Drawn::Values { place, ids, others, side, .. } => {
                    let drawn: Vec<u32> = cells
                        .iter()
                        .map(|cell| match ids.get(*cell as usize) {
                            Some(id) => *id,
                            None if others.is_empty() => RARE_ID,
                            None => others[rng.below(others.len())],
                        })
                        .collect();
                    if let Some(side) = side {
                        let mut lender =
                            |id: &u32| by_id.get(&(*side, *id)).map(|rows| rows[rng.below(rows.len())]);
                        lenders.insert(*side, drawn.iter().map(&mut lender).collect());
                    }
                    categorical[*place].extend(drawn);
                }
                Drawn::Number { place, means, .. } => {
                    numeric[*place].extend(cells.iter().map(|cell| means[*cell as usize]));
                }
            }
        }
        for (side, of_side, numbers) in &self.of_side {
            let lenders = lenders.get(side);
            let lender = |at: usize| lenders.and_then(|rows| rows[at]);
            for place in of_side {
                let lent = (0..count)
                    .map(|at| lender(at).map_or(RARE_ID, |row| dataset.categorical[*place][row as usize]));
                categorical[*place].extend(lent);
            }
            for place in numbers {
                let lent =
                    (0..count).map(|at| lender(at).map_or(0.0, |row| dataset.numeric[*place][row as usize]));
                numeric[*place].extend(lent);
            }
        }
        let of_users = lenders.get(&Side::User);
        let sequences = dataset.sequences.iter().map(|column| {
            let (mut offsets, mut ids) = (column.offsets.to_vec(), column.ids.to_vec());
            for at in 0..count {
                if let Some(row) = of_users.and_then(|rows| rows[at]) {
                    ids.extend_from_slice(column.of_row(row));
                }
                offsets.push(ids.len() as u64);
            }
            Arc::new(SequenceColumn { offsets: offsets.into(), ids: ids.into() })
        });
        let labels = made.condition.iter().map(|condition| (condition % 2) as f32);
        let rows = dataset.rows as u32;
        let longer = |known: &Array<f32>, fill: f32| -> Array<f32> {
            let more = if known.is_empty() { 0 } else { count };
            known.iter().copied().chain(std::iter::repeat_n(fill, more)).collect()
        };
        let users = if dataset.users.is_empty() { 0 } else { count };
        Dataset {
            rows: dataset.rows + count,
            sequences: sequences.collect(),
            categorical: categorical.into_iter().map(Array::from).collect(),
            numeric: numeric.into_iter().map(Array::from).collect(),
            label: dataset.label.iter().copied().chain(labels).collect(),
            // Whether a made click converts is not drawn.
            conversion: longer(&dataset.conversion, 0.0),
            truth: Vec::new().into(),
            users: dataset.users.iter().copied().chain(std::iter::repeat_n(u32::MAX, users)).collect(),
            train: dataset.train.iter().copied().chain(rows..rows + count as u32).collect(),
            ads: None,
            ..dataset.clone()
        }
    }

    /// How far made rows lie from real ones: by column, and by pair of columns.
    fn distances(&self, real: &Cells, made: &Cells, rng: &mut Rng) -> (Vec<Distance>, Vec<Distance>) {
        let names = &self.names;
        let again: Vec<usize> = (0..made.condition.len()).map(|_| rng.below(real.condition.len())).collect();
        let distance = |of: String, key: &dyn Fn(&Cells, usize) -> u64| {
            let shares = |rows: &mut dyn Iterator<Item = u64>| {
                let mut count: HashMap<u64, f64> = HashMap::new();
                let mut total = 0.0;
                rows.for_each(|key| {
                    *count.entry(key).or_default() += 1.0;
                    total += 1.0;
                });
                count.values_mut().for_each(|n| *n /= total);
                count
            };
            let whole = shares(&mut (0..real.condition.len()).map(|row| key(real, row)));
            let apart = |other: &HashMap<u64, f64>| {
                let here: f64 = whole.iter().map(|(key, n)| (n - other.get(key).unwrap_or(&0.0)).abs()).sum();
                let new: f64 = other.iter().filter(|(key, _)| !whole.contains_key(key)).map(|(_, n)| n).sum();
                0.5 * (here + new)
            };
            Distance {
                of,
                distance: apart(&shares(&mut (0..made.condition.len()).map(|row| key(made, row)))),
                by_chance: apart(&shares(&mut again.iter().map(|row| key(real, *row)))),
            }
        };
        let columns: Vec<Distance> = (0..names.len())
            .map(|at| distance(names[at].clone(), &|cells, row| u64::from(cells.columns[at][row])))
            .collect();
        let mut pairs = Vec::new();
        for first in 0..names.len() {
            for second in first + 1..names.len() {
                let key = |cells: &Cells, row: usize| {
                    u64::from(cells.columns[first][row]) << 32 | u64::from(cells.columns[second][row])
                };
                pairs.push(distance(format!("{} x {}", names[first], names[second]), &key));
            }
        }
        pairs.sort_by(|a, b| b.distance.total_cmp(&a.distance));
        (columns, pairs)
    }
}

impl Drawn {
    fn size(&self) -> usize {
        match self {
            Self::Values { ids, .. } => ids.len() + 1,
            Self::Number { means, .. } => means.len(),
        }
    }
}

/// A numeric field in groups of about as many rows of the segment each.
fn binned(dataset: &Dataset, place: usize, own: &[u32]) -> Drawn {
    let mut numbers: Vec<f32> = own.iter().map(|row| dataset.numeric[place][*row as usize]).collect();
    numbers.sort_by(f32::total_cmp);
    let mut ends: Vec<f32> = (1..BINS).map(|bin| numbers[bin * numbers.len() / BINS]).collect();
    ends.dedup();
    let mut sums = vec![(0.0_f64, 0.0_f64); ends.len() + 1];
    for number in &numbers {
        let sum = &mut sums[ends.partition_point(|end| end < number)];
        *sum = (sum.0 + f64::from(*number), sum.1 + 1.0);
    }
    let means = sums.iter().map(|(sum, count)| (sum / count.max(1.0)) as f32).collect();
    Drawn::Number { place, ends, means }
}

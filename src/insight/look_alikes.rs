//! Who else is like the people of a segment? Users whose learnt vectors lie on the segment's side of the space.
//!
//! The side is Fisher's linear discriminant between the segment's users and all others (1936), on the model's user
//! vectors. That it tells anything is measured on half of the users by a side that the other half found: where it does not,
//! nobody is called alike. (Users kept out in turn would all say it, but of nothing too often: pooled folds vary by 0.032
//! where DeLong's error says 0.022, on 1,000 users of which 200 are meant and that do not differ.) Their vectors were learnt from their own rows all the same: what is measured is whether they can be found
//! by how they behaved, not before they did. What the people who come in do is told by rows that the model was not
//! fitted on.

use super::subject::check_whole;
use crate::base::rng::mix;
use crate::base::{Failure, Result};
use crate::data::batch::FIRST_VALUE_ID;
use crate::data::{Dataset, LogFrame};
use crate::domain::Segment;
use crate::domain::segment::{Literal, Test};
use crate::jobs::JobContext;
use crate::metrics::ranking::auc_estimate;
use crate::metrics::{Estimate, Rate};
use crate::nn::inverse::solve;
use crate::train::TrainedModel;
use serde::Serialize;

const WHAT: &str = "cannot find who is alike";
/// Added to the spread along each direction, in parts of the mean spread: vectors may have more numbers than users.
const RIDGE: f64 = 0.05;
/// Users of the segment that it takes at least.
const LEAST_SEED: usize = 20;

/// What has to be said of a segment that is told by clicks.
pub const BY_OUTCOME: &str =
    "The segment is told by clicks: the click rate of its own people was chosen to be high and says nothing.";

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct LookAlikeQuestion {
    /// Whose people others should be like.
    pub segment: Segment,
    /// People to add.
    pub most: usize,
    /// Fewer people than this make no audience.
    pub k: usize,
}

/// People who are like those of a segment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LookAlikes {
    /// The field of users.
    pub field: String,
    /// Users of the segment whom the model knows, those whom it does not, and other users.
    pub users: [usize; 3],
    /// Chance that a user of the segment who was kept out is told from another user: 0.5 is none.
    pub auc: Estimate,
    /// Among the kept-out users, the share of the segment in the most alike, as many as are asked for in proportion.
    pub share_of_most_alike: Rate,
    /// The share of the segment in all users.
    pub share_of_all: f64,
    /// True where the segment is told by clicks, so that the click rate of its people was chosen to be high.
    pub by_outcome: bool,
    /// Those added, the most alike first.
    pub added: Vec<String>,
    /// Click rates on rows that the model was not fitted on: of the segment's users, those added, the others.
    pub click_rates: [Rate; 3],
    /// The people of the segment with those added, to be used as an audience.
    pub audience: Segment,
}

/// Finds users who are like those of a segment.
///
/// # Errors
/// A model without vectors of users, a segment of too few or of all users, vectors that do not tell its people from
/// others, fewer people than the floor; a sample of a log, a cancel.
pub fn look_alikes(
    model: &TrainedModel,
    dataset: &Dataset,
    log: &LogFrame,
    (rows, question): (&[u32], &LookAlikeQuestion),
    context: &JobContext,
) -> Result<LookAlikes> {
    check_whole(WHAT, dataset, log)?;
    let field =
        dataset.encoder.keys.user.clone().ok_or_else(|| Failure::new(WHAT, "the log names no users"))?;
    let table = model.table(&field)?;
    let place = dataset.encoder.position(&field);
    let column = place.and_then(|place| dataset.categorical.get(place));
    let column =
        column.filter(|_| place.is_some_and(|place| dataset.encoder.categorical[place].hash_buckets == 0));
    let column = column.ok_or_else(|| {
        Failure::new(WHAT, "the users' names are hashed together, so nobody can be named")
            .hint("train without hashing of the users")
    })?;
    let mut in_segment = vec![false; table.names.len()];
    let mut unknown = false;
    for row in rows {
        let id = column[*row as usize];
        in_segment[id as usize] = true;
        unknown |= id < FIRST_VALUE_ID;
    }
    let learnt = learnt(dataset, column, table.names.len());
    let users: Vec<u32> =
        (FIRST_VALUE_ID..table.names.len() as u32).filter(|id| learnt[*id as usize]).collect();
    let is_seed: Vec<bool> = users.iter().map(|id| in_segment[*id as usize]).collect();
    let seeds = is_seed.iter().filter(|seed| **seed).count();
    let others = users.len() - seeds;
    let not_learnt =
        (FIRST_VALUE_ID as usize..table.names.len()).filter(|id| in_segment[*id] && !learnt[*id]).count()
            + usize::from(unknown);
    check_counts(seeds, others, question)?;
    let vectors: Vec<&[f32]> =
        users.iter().map(|id| &table.values[*id as usize * table.width..][..table.width]).collect();
    context.stage("half of the users judge the other half's side");
    let (scores, labels) = kept_out(&vectors, &is_seed, &users)?;
    context.check()?;
    let auc = auc_estimate(&scores, &labels, &[])
        .filter(|auc| auc.low > 0.5)
        .ok_or_else(|| nothing_told(auc_estimate(&scores, &labels, &[])))?;
    let side = Side::of(&vectors, &is_seed)?;
    let mut alike: Vec<(f64, u32)> = (0..users.len())
        .filter(|place| !is_seed[*place])
        .map(|place| (side.score(vectors[place]), users[place]))
        .collect();
    alike.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    alike.truncate(question.most);
    let mut group = vec![2u8; table.names.len()];
    users.iter().zip(&is_seed).filter(|(_, seed)| **seed).for_each(|(id, _)| group[*id as usize] = 0);
    alike.iter().for_each(|(_, id)| group[*id as usize] = 1);
    let added: Vec<String> = alike.iter().map(|(_, id)| table.names[*id as usize].clone()).collect();
    Ok(LookAlikes {
        users: [seeds, not_learnt, others],
        auc,
        share_of_most_alike: share_of_first(&scores, &labels, question.most, others),
        by_outcome: question.segment.columns().contains(&dataset.encoder.label.as_str()),
        share_of_all: seeds as f64 / users.len() as f64,
        click_rates: click_rates(dataset, column, &group),
        audience: either(&question.segment, &field, &added),
        added,
        field,
    })
}

fn check_counts(seeds: usize, others: usize, question: &LookAlikeQuestion) -> Result<()> {
    let refuse = |why: String, hint: &str| Err(Failure::new(WHAT, why).hint(hint));
    let floor = question.k.max(LEAST_SEED);
    if seeds < floor {
        let why =
            format!("the model knows {seeds} people of the segment; fewer than {floor} are not told of");
        return refuse(why, "a wider segment");
    }
    if others < question.k.max(1) {
        return refuse(format!("only {others} people are not in the segment"), "a narrower segment");
    }
    if question.most < question.k {
        let why = format!("{} people are fewer than the {} of the privacy floor", question.most, question.k);
        return refuse(why, "ask for more");
    }
    Ok(())
}

fn nothing_told(auc: Option<Estimate>) -> Failure {
    let known = auc.map_or_else(|| "unknown".to_owned(), |auc| auc.in_words(3));
    let why =
        format!("the vectors do not tell the segment's people from others: AUC of users kept out {known}");
    Failure::new(WHAT, why).hint("a segment of what people click, or a model that was trained longer")
}

/// Users of training rows: vectors of others were never moved.
fn learnt(dataset: &Dataset, column: &[u32], size: usize) -> Vec<bool> {
    let mut learnt = vec![false; size];
    dataset.train.iter().for_each(|row| learnt[column[*row as usize] as usize] = true);
    learnt
}

/// Scores of one half of the users by the side that the other half found, and who of them is of the segment.
fn kept_out(vectors: &[&[f32]], is_seed: &[bool], users: &[u32]) -> Result<(Vec<f32>, Vec<f32>)> {
    let (find, judge): (Vec<usize>, Vec<usize>) =
        (0..vectors.len()).partition(|place| mix(u64::from(users[*place])).is_multiple_of(2));
    let found: Vec<&[f32]> = find.iter().map(|place| vectors[*place]).collect();
    let seeds: Vec<bool> = find.iter().map(|place| is_seed[*place]).collect();
    let side = Side::of(&found, &seeds)?;
    let label = |place: &usize| f32::from(u8::from(is_seed[*place]));
    Ok((
        judge.iter().map(|place| side.score(vectors[*place]) as f32).collect(),
        judge.iter().map(label).collect(),
    ))
}

/// A direction in which the users of a segment differ from the others.
struct Side(Vec<f64>);

impl Side {
    fn of(vectors: &[&[f32]], is_seed: &[bool]) -> Result<Self> {
        let width = vectors.first().map_or(0, |vector| vector.len());
        let mut means = [vec![0.0f64; width], vec![0.0f64; width]];
        let mut counts = [0.0f64; 2];
        for (vector, seed) in vectors.iter().zip(is_seed) {
            let group = usize::from(*seed);
            counts[group] += 1.0;
            means[group].iter_mut().zip(*vector).for_each(|(sum, x)| *sum += f64::from(*x));
        }
        for (mean, count) in means.iter_mut().zip(counts) {
            mean.iter_mut().for_each(|sum| *sum /= count.max(1.0));
        }
        let mut within = vec![0.0f64; width * width];
        for (vector, seed) in vectors.iter().zip(is_seed) {
            let mean = &means[usize::from(*seed)];
            let off: Vec<f64> = vector.iter().zip(mean).map(|(x, m)| f64::from(*x) - m).collect();
            for (line, a) in within.chunks_exact_mut(width.max(1)).zip(&off) {
                line.iter_mut().zip(&off).for_each(|(cell, b)| *cell += a * b);
            }
        }
        let count = (counts[0] + counts[1] - 2.0).max(1.0);
        within.iter_mut().for_each(|cell| *cell /= count);
        let apart: Vec<f64> = means[1].iter().zip(&means[0]).map(|(a, b)| a - b).collect();
        Ok(Self(ridged(within, apart)?))
    }

    /// The further, the more like the segment's users.
    fn score(&self, vector: &[f32]) -> f64 {
        self.0.iter().zip(vector).map(|(d, x)| d * f64::from(*x)).sum()
    }
}

/// `(matrix + ridge)^-1 vector` for a symmetric matrix without negative eigenvalues.
fn ridged(mut matrix: Vec<f64>, mut vector: Vec<f64>) -> Result<Vec<f64>> {
    let width = vector.len();
    let mean = (0..width).map(|i| matrix[i * width + i]).sum::<f64>() / width.max(1) as f64;
    // Vectors that are all alike have no spread, and nothing that tells people apart either.
    let ridge = (RIDGE * mean).max(f64::MIN_POSITIVE.sqrt());
    (0..width).for_each(|i| matrix[i * width + i] += ridge);
    solve(&mut matrix, &mut vector)?;
    Ok(vector)
}

/// How many of the most alike of the users that judge are of the segment, as many as are asked for in proportion.
fn share_of_first(scores: &[f32], labels: &[f32], most: usize, others: usize) -> Rate {
    let share = most as f64 / others.max(1) as f64;
    let count = ((scores.len() as f64 * share).round() as usize).clamp(1, scores.len());
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let found: f64 = order[..count].iter().map(|place| f64::from(labels[*place])).sum();
    Rate::wilson(found, count as f64)
}

/// Click rates of groups of users on the rows that the model was not fitted on.
fn click_rates(dataset: &Dataset, column: &[u32], group: &[u8]) -> [Rate; 3] {
    let mut sums = [[0.0f64; 2]; 3];
    for row in dataset.test.iter().map(|row| *row as usize) {
        let weight = dataset.weight.get(row).map_or(1.0, |weight| f64::from(*weight));
        let [clicks, shown] = &mut sums[usize::from(group[column[row] as usize])];
        *clicks += weight * dataset.label.get(row).map_or(0.0, |label| f64::from(*label));
        *shown += weight;
    }
    sums.map(|[clicks, shown]| Rate::wilson(clicks, shown))
}

/// Rows of the segment, or of the people who are added.
fn either(segment: &Segment, field: &str, added: &[String]) -> Segment {
    let names = added.iter().map(|name| Literal::Text(name.clone())).collect();
    let people = Segment::Where { column: field.to_owned(), test: Test::In(names) };
    match segment {
        Segment::Or(parts) => Segment::Or(parts.iter().cloned().chain([people]).collect()),
        segment => Segment::Or(vec![segment.clone(), people]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    fn people(apart: f32, count: usize, seed: u64) -> (Vec<Vec<f32>>, Vec<bool>, Vec<u32>) {
        let mut rng = Rng::named(seed, "alike");
        let is_seed: Vec<bool> = (0..count).map(|place| place % 5 == 0).collect();
        let vector = |seed: &bool| {
            (0..8).map(|axis| rng.normal() as f32 + if *seed && axis < 2 { apart } else { 0.0 }).collect()
        };
        (is_seed.iter().map(vector).collect(), is_seed, (0..count as u32).collect())
    }

    #[test]
    fn people_who_differ_are_told_apart_as_well_as_theory_says() {
        // Two normal clouds `d` apart in all: AUC = Phi(d / sqrt 2); here d = sqrt(2), so Phi(1) = 0.8413.
        let (vectors, is_seed, users) = people(1.0, 4_000, 7);
        let vectors: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
        let (scores, labels) = kept_out(&vectors, &is_seed, &users).unwrap();
        let auc = auc_estimate(&scores, &labels, &[]).unwrap();
        assert!(auc.low < 0.8413 && 0.8413 < auc.high + 0.01, "{auc:?}");
        let share = share_of_first(&scores, &labels, 400, 3_200);
        assert!(share.rate > 0.45, "{share:?}");
    }

    #[test]
    fn people_who_do_not_differ_are_seldom_called_alike() {
        // At 2.5 % a side, more than 8 of 100 draws say otherwise with a probability of 0.4 % (binomial).
        let said = (0..100)
            .filter(|seed| {
                let (vectors, is_seed, users) = people(0.0, 600, *seed);
                let vectors: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
                let (scores, labels) = kept_out(&vectors, &is_seed, &users).unwrap();
                auc_estimate(&scores, &labels, &[]).is_some_and(|auc| auc.low > 0.5)
            })
            .count();
        assert!(said <= 8, "{said}");
        assert!(nothing_told(None).why.contains("do not tell"));
    }

    #[test]
    fn the_discriminant_solves_its_equations() {
        // (A + r) x = b with A = [[2, 1], [1, 3]], r = 0.05 x 2.5.
        let x = ridged(vec![2.0, 1.0, 1.0, 3.0], vec![1.0, 2.0]).unwrap();
        let r = 0.125;
        assert!(((2.0 + r) * x[0] + x[1] - 1.0).abs() < 1e-12);
        assert!((x[0] + (3.0 + r) * x[1] - 2.0).abs() < 1e-12);
    }

    #[test]
    fn the_audience_is_the_segment_or_those_people() {
        let segment = Segment::parse("city = 'Berlin' or city = '上海'").unwrap();
        let found = either(&segment, "user", &["u1".into(), "u'2".into()]);
        assert_eq!(Segment::parse(&found.to_string()).unwrap(), found);
        let question = LookAlikeQuestion { segment, most: 10, k: 50 };
        assert!(check_counts(100, 100, &question).unwrap_err().why.contains("privacy floor"));
        assert!(check_counts(10, 100, &question).unwrap_err().hint.contains("wider"));
    }
}

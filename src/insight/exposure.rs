//! Whom does a model show what? Exposure of ads and of their groups, by groups of people, and whether lists become narrower
//! than what people were shown before.
//!
//! Every ad of the log is scored for a user in the user's last moment; the first `k` are the list. Exposure is the share of
//! all places (Singh & Joachims, KDD 2018, take places as equal where all of a list is seen). How wide a list is: the
//! exponential of the entropy of its groups, the number of groups that equal shares would have (Jost 2006).

use crate::base::{Failure, Result};
use crate::data::encode::Side;
use crate::data::{Dataset, Encoder};
use crate::jobs::JobContext;
use crate::metrics::{Estimate, Rate};
use crate::train::TrainedModel;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

const WHAT: &str = "cannot tell whom the model shows what";
/// Users whose lists are made, at most.
const MAX_USERS: usize = 500;
/// Pairs of a user and an ad that are scored, about.
const MAX_PAIRS: usize = 2_000_000;
/// Pairs scored together.
const BATCH_PAIRS: usize = 4096;
/// Values of a field that are told one by one; rarer ones are put together.
const GROUPS: usize = 12;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExposureQuestion {
    /// The field of ads whose values are the groups.
    pub by: String,
    /// The field of users whose values are told apart; `None` for no such table.
    pub people: Option<String>,
    /// Length of a list.
    pub k: usize,
}

/// Whom the model shows what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exposure {
    /// What was asked.
    pub question: ExposureQuestion,
    /// Users whose lists were made, evenly spread over those of the test rows.
    pub users: usize,
    /// Users of the test rows.
    pub users_known: usize,
    /// Ads that were scored.
    pub ads: usize,
    /// Ads that are in any list.
    pub ads_shown: usize,
    /// Gini coefficient of the places of ads: 0 where all have as many, near 1 where few have all.
    pub gini: f64,
    /// The same of the impressions of the test rows.
    pub gini_logged: f64,
    /// Share of a list that another user's list has too, mean over pairs of users.
    pub alike: f64,
    /// Groups of ads, most places first.
    pub groups: Vec<GroupExposure>,
    /// How wide lists are; `None` with fewer than two users.
    pub width: Option<Estimate>,
    /// How much wider than the last `k` impressions of the same user, of those who have so many; below 0 they are narrower.
    pub wider_than_past: Option<Estimate>,
    /// Users that this is a mean over.
    pub users_with_past: usize,
    /// Groups of people, largest first.
    pub people: Vec<PeopleExposure>,
}

/// A group of ads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupExposure {
    /// The value that its ads share.
    pub name: String,
    /// Its ads.
    pub ads: usize,
    /// Share of the impressions of the test rows.
    pub logged: Rate,
    /// Share of places in lists, mean over users.
    pub shown: Option<Estimate>,
}

/// A group of people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeopleExposure {
    /// The value that they share.
    pub name: String,
    /// Users whose lists were made.
    pub users: usize,
    /// Share of each group of ads in their lists, in the order of [`Exposure::groups`].
    pub shown: Vec<Option<Estimate>>,
    /// The same less that of the largest group of people; users are the units. Nothing for the largest itself.
    pub more: Vec<Option<Estimate>>,
}

/// Fields of ads by which lists can be told, with a handful of values.
pub fn ad_fields(encoder: &Encoder) -> Vec<String> {
    named_fields(encoder, Side::Ad, encoder.keys.ad.as_ref())
}

/// Fields of users by which people can be told apart.
pub fn people_fields(encoder: &Encoder) -> Vec<String> {
    named_fields(encoder, Side::User, encoder.keys.user.as_ref())
}

fn named_fields(encoder: &Encoder, side: Side, key: Option<&String>) -> Vec<String> {
    let fields = encoder.categorical.iter();
    let of_side =
        fields.filter(|field| field.side == side && Some(&field.name) != key && field.values.len() > 1);
    of_side.map(|field| field.name.clone()).collect()
}

/// Makes the lists of users of the test rows.
///
/// # Errors
/// A log without users or ads, a field that is none of ads or of users, a `k` of 0, the device fails, a cancel.
pub fn exposure(
    model: &TrainedModel,
    dataset: &Dataset,
    question: &ExposureQuestion,
    context: &JobContext,
) -> Result<Exposure> {
    let places = Places::new(dataset, question)?;
    let moments = last_rows(dataset);
    if moments.is_empty() {
        return Err(Failure::new(WHAT, "the log names no users").hint("give a column the role user"));
    }
    let chosen = super::attention::spread(&moments, (MAX_PAIRS / places.ads).clamp(1, MAX_USERS));
    context.stage("making lists");
    let mut lists: Vec<Vec<u32>> = Vec::with_capacity(chosen.len());
    for row in &chosen {
        context.check()?;
        context.progress(lists.len() as u64, chosen.len() as u64);
        lists.push(list(model, dataset, *row, (places.ads, question.k))?);
    }
    Ok(places.told(dataset, question, (&chosen, moments.len()), &lists))
}

/// The last test row of each user, in the order of rows.
pub(super) fn last_rows(dataset: &Dataset) -> Vec<u32> {
    let mut last: HashMap<u32, u32> = HashMap::new();
    for row in dataset.test.iter() {
        let user = dataset.users.get(*row as usize).copied();
        if let Some(user) = user.filter(|user| *user != crate::metrics::grouped::NO_GROUP) {
            let known = last.entry(user).or_insert(*row);
            *known = (*known).max(*row);
        }
    }
    let mut rows: Vec<u32> = last.into_values().collect();
    rows.sort_unstable();
    rows
}

/// The first ads of a user in the moment of a row; equal scores in the order of the catalogue.
fn list(model: &TrainedModel, dataset: &Dataset, row: u32, (ads, k): (usize, usize)) -> Result<Vec<u32>> {
    let all: Vec<u32> = (0..ads as u32).collect();
    let mut scores = Vec::with_capacity(ads);
    for some in all.chunks(BATCH_PAIRS) {
        scores.extend(model.predict_batch(&dataset.batch_with_ads(&vec![row; some.len()], some))?);
    }
    let mut order = all;
    let first = k.min(order.len());
    let by_score = |a: &u32, b: &u32| scores[*b as usize].total_cmp(&scores[*a as usize]).then(a.cmp(b));
    if first < order.len() {
        order.select_nth_unstable_by(first, by_score);
        order.truncate(first);
    }
    order.sort_by(by_score);
    Ok(order)
}

/// The groups of ads and people of a question.
struct Places {
    ads: usize,
    /// Place of each ad's group.
    of_ad: Vec<usize>,
    names: Vec<String>,
    /// The field of people and the names of its values.
    people: Option<usize>,
    /// The field of ads.
    field: usize,
    /// Place of the group of each value of the field.
    of_value: HashMap<u32, usize>,
}

impl Places {
    fn new(dataset: &Dataset, question: &ExposureQuestion) -> Result<Self> {
        let encoder = &dataset.encoder;
        if question.k == 0 {
            return Err(Failure::new(WHAT, "lists of no ads show nothing").hint("a length of 1 or more"));
        }
        let known = dataset.ads.as_ref().filter(|ads| !ads.names.is_empty());
        let catalogue = known
            .ok_or_else(|| Failure::new(WHAT, "the log names no ads").hint("give a column the role ad"))?;
        let none = |name: &str, of: &str, known: &[String]| {
            Failure::new(WHAT, format!("the model reads no field '{name}' of {of}"))
                .hint(format!("one of: {}", known.join(", ")))
        };
        let field = encoder.position(&question.by);
        let found = field.and_then(|field| catalogue.categorical.iter().find(|(at, _)| *at == field));
        let (field, ids) = found.ok_or_else(|| none(&question.by, "ads", &ad_fields(encoder)))?;
        let people = match &question.people {
            None => None,
            Some(name) if people_fields(encoder).contains(name) => encoder.position(name),
            Some(name) => return Err(none(name, "users", &people_fields(encoder))),
        };
        // The values with most ads; the others together.
        let mut counts: HashMap<u32, usize> = HashMap::new();
        ids.iter().for_each(|id| *counts.entry(*id).or_default() += 1);
        let mut order: Vec<(u32, usize)> = counts.into_iter().collect();
        order.sort_unstable_by_key(|(id, n)| (std::cmp::Reverse(*n), *id));
        let told = if order.len() > GROUPS { GROUPS - 1 } else { order.len() };
        let mut names: Vec<String> =
            order[..told].iter().map(|(id, _)| encoder.categorical[*field].name_of(*id)).collect();
        if order.len() > told {
            names.push(format!("{} others", order.len() - told));
        }
        let of_value: HashMap<u32, usize> =
            order.iter().enumerate().map(|(place, (id, _))| (*id, place.min(told))).collect();
        let of_ad = ids.iter().map(|id| of_value.get(id).copied().unwrap_or(told)).collect();
        Ok(Self { ads: catalogue.names.len(), of_ad, names, people, field: *field, of_value })
    }

    fn told(
        &self,
        dataset: &Dataset,
        question: &ExposureQuestion,
        (rows, users_known): (&[u32], usize),
        lists: &[Vec<u32>],
    ) -> Exposure {
        let groups = self.names.len();
        let shares: Vec<Vec<f64>> =
            lists.iter().map(|list| shares(list.iter().map(|ad| self.of_ad[*ad as usize]), groups)).collect();
        let mut places = vec![0.0; self.ads];
        lists.iter().flatten().for_each(|ad| places[*ad as usize] += 1.0);
        let (logged, logged_ads, shown) = self.logged(dataset);
        let share = |group: usize| shares.iter().map(|of| of[group]).collect::<Vec<f64>>();
        let group = |place: usize| GroupExposure {
            name: self.names[place].clone(),
            ads: self.of_ad.iter().filter(|of| **of == place).count(),
            logged: Rate::wilson(logged[place], shown),
            shown: mean(&share(place)),
        };
        let mut order: Vec<usize> = (0..groups).collect();
        let total = |place: &usize| share(*place).iter().sum::<f64>();
        order.sort_by(|a, b| total(b).total_cmp(&total(a)).then(a.cmp(b)));
        let (wider, users_with_past) = self.wider(dataset, rows, &shares, question.k);
        Exposure {
            question: question.clone(),
            users: lists.len(),
            users_known,
            ads: self.ads,
            ads_shown: places.iter().filter(|n| **n > 0.0).count(),
            gini: gini(&places),
            gini_logged: gini(&logged_ads),
            alike: alike(lists),
            groups: order.iter().map(|place| group(*place)).collect(),
            width: mean(&shares.iter().map(|of| width(of)).collect::<Vec<f64>>()),
            wider_than_past: wider,
            users_with_past,
            people: self.people(dataset, rows, &shares, &order),
        }
    }

    /// Impressions of the test rows by group and by ad, and all of them.
    fn logged(&self, dataset: &Dataset) -> (Vec<f64>, Vec<f64>, f64) {
        let (mut groups, mut ads, mut all) = (vec![0.0; self.names.len()], vec![0.0; self.ads], 0.0);
        let of_row = dataset.ads.as_ref().map(|catalogue| &catalogue.of_row);
        for row in dataset.test.iter() {
            let row = *row as usize;
            let ad = of_row.and_then(|of_row| of_row.get(row)).map(|ad| *ad as usize);
            if let Some(ad) = ad.filter(|ad| *ad < self.ads) {
                let weight = dataset.weight.get(row).map_or(1.0, |weight| f64::from(*weight));
                groups[self.of_ad[ad]] += weight;
                ads[ad] += weight;
                all += weight;
            }
        }
        (groups, ads, all)
    }

    /// How much wider lists are than the last impressions of the same users.
    fn wider(
        &self,
        dataset: &Dataset,
        rows: &[u32],
        shares_of_lists: &[Vec<f64>],
        k: usize,
    ) -> (Option<Estimate>, usize) {
        let wanted: HashMap<u32, usize> =
            rows.iter().enumerate().map(|(place, row)| (dataset.users[*row as usize], place)).collect();
        let mut past: Vec<Vec<u32>> = vec![Vec::new(); rows.len()];
        for row in 0..dataset.rows as u32 {
            let place = dataset.users.get(row as usize).and_then(|user| wanted.get(user));
            if let Some(place) = place.filter(|place| row < rows[**place]) {
                past[*place].push(dataset.categorical[self.field][row as usize]);
            }
        }
        let groups = self.names.len();
        let more: Vec<f64> = past
            .iter()
            .zip(shares_of_lists)
            .filter(|(past, _)| past.len() >= k)
            .map(|(past, of_list)| {
                let last = past[past.len() - k..].iter();
                // Values that no ad of the catalogue has now count with the last group.
                let groups_of = last.map(|id| self.of_value.get(id).copied().unwrap_or(groups - 1));
                width(of_list) - width(&shares(groups_of, groups))
            })
            .collect();
        (mean(&more), more.len())
    }

    /// The lists of groups of people.
    fn people(
        &self,
        dataset: &Dataset,
        rows: &[u32],
        shares: &[Vec<f64>],
        order: &[usize],
    ) -> Vec<PeopleExposure> {
        let Some(field) = self.people else { return Vec::new() };
        let mut by_value: HashMap<u32, Vec<usize>> = HashMap::new();
        for (place, row) in rows.iter().enumerate() {
            by_value.entry(dataset.categorical[field][*row as usize]).or_default().push(place);
        }
        let mut groups: Vec<(u32, Vec<usize>)> = by_value.into_iter().collect();
        groups.sort_unstable_by_key(|(id, places)| (std::cmp::Reverse(places.len()), *id));
        groups.truncate(GROUPS);
        let of = |places: &[usize]| -> Vec<Option<Estimate>> {
            order
                .iter()
                .map(|group| mean(&places.iter().map(|place| shares[*place][*group]).collect::<Vec<f64>>()))
                .collect()
        };
        let first = groups.first().map(|(_, places)| of(places)).unwrap_or_default();
        let less = |a: &Option<Estimate>, b: &Option<Estimate>| {
            let (a, b) = (a.as_ref()?, b.as_ref()?);
            let error = a.standard_error().hypot(b.standard_error());
            // Where all lists of both are alike the difference is nothing but rounding.
            let gap = a.value - b.value;
            Some(Estimate::normal(if gap.abs() < 1e-9 { 0.0 } else { gap }, error))
        };
        let told = |(at, (id, places)): (usize, &(u32, Vec<usize>))| {
            let shown = of(places);
            let more = if at == 0 {
                Vec::new()
            } else {
                shown.iter().zip(&first).map(|(a, b)| less(a, b)).collect()
            };
            PeopleExposure {
                name: dataset.encoder.categorical[field].name_of(*id),
                users: places.len(),
                shown,
                more,
            }
        };
        groups.iter().enumerate().map(told).collect()
    }
}

/// Share of each group among the groups of a list.
fn shares(groups_of: impl Iterator<Item = usize>, groups: usize) -> Vec<f64> {
    let (mut counts, mut all) = (vec![0.0; groups], 0.0);
    for group in groups_of {
        counts[group] += 1.0;
        all += 1.0;
    }
    counts.iter_mut().for_each(|count| *count /= f64::max(all, 1.0));
    counts
}

/// `exp(-sum p ln p)`: groups that a list of equal shares as wide as this would have.
fn width(shares: &[f64]) -> f64 {
    shares.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum::<f64>().exp()
}

/// Mean over users with its normal interval; `None` with fewer than two.
fn mean(numbers: &[f64]) -> Option<Estimate> {
    crate::metrics::paired::mean_over_users(numbers, &[], &[])
}

/// `sum (2 i - n - 1) x_i / (n sum x)` over rising `x` (Sen 1973); 0 where there is nothing.
fn gini(counts: &[f64]) -> f64 {
    let mut rising = counts.to_vec();
    rising.sort_by(f64::total_cmp);
    let (n, sum) = (rising.len() as f64, rising.iter().sum::<f64>());
    let weighed: f64 = rising.iter().enumerate().map(|(at, x)| (2.0 * (at + 1) as f64 - n - 1.0) * x).sum();
    if sum > 0.0 { weighed / (n * sum) } else { 0.0 }
}

/// Share of a list that another one has too, mean over all pairs of lists.
fn alike(lists: &[Vec<u32>]) -> f64 {
    let mut counts: HashMap<u32, f64> = HashMap::new();
    lists.iter().flatten().for_each(|ad| *counts.entry(*ad).or_default() += 1.0);
    let places: f64 = counts.values().sum();
    let others = lists.len() as f64 - 1.0;
    // An ad in m lists is shared by each of them with m - 1 others.
    let shared: f64 = counts.values().map(|m| m * (m - 1.0)).sum();
    if places > 0.0 && others > 0.0 { shared / (places * others) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inequality_and_width_by_hand() {
        assert!(gini(&[5.0, 5.0, 5.0]).abs() < 1e-12);
        // One of four has all: (n - 1) / n.
        assert!((gini(&[0.0, 0.0, 8.0, 0.0]) - 0.75).abs() < 1e-12);
        // 1 2 3: (-2 + 0 + 6) / (3 x 6).
        assert!((gini(&[3.0, 1.0, 2.0]) - 4.0 / 18.0).abs() < 1e-12);
        assert!((width(&[0.25; 4]) - 4.0).abs() < 1e-12 && (width(&[1.0, 0.0]) - 1.0).abs() < 1e-12);
        assert_eq!(shares([0, 0, 2, 2].into_iter(), 3), [0.5, 0.0, 0.5]);
        // Pairs share 1 of 2, 0 and 1 of 2 places: mean 1/3.
        assert!((alike(&[vec![1, 2], vec![2, 3], vec![3, 4]]) - 1.0 / 3.0).abs() < 1e-12);
    }
}

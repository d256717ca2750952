//! Which items would a generator show a person, if a judge tells them from those that the person clicked? A minimax game.
//!
//! IRGAN (Wang et al., SIGIR 2017, arXiv 1705.10513). The generator shows item `i` with `p(i) = softmax(s)_i`; the judge says
//! with `sigma(f_i)` that the person clicked it. Both score by the product of a person's and an item's vector and a bias of the
//! item. The judge learns clicked items against drawn ones, the generator climbs the expected reward `sum_i p(i) r(i)`. As in
//! the authors' program (geek-ai/irgan) the reward is `2 sigma(f) - 1`, the generator draws from a mixture with what the
//! person clicked and weighs back, and the judge's rivals are drawn with sharpened shares. The generator begins with vectors
//! that were ranked against the best scored of a few drawn items (dynamic negatives, Zhang et al., SIGIR 2013).

use super::factors::{Factors, Search, rank};
use super::neighbours::Interactions;
use crate::base::Result;
use crate::base::rng::Rng;
use crate::jobs::JobContext;

/// Items among which the hardest is taken when vectors are ranked.
const RIVALS: usize = 5;
/// The generator's scores are divided by this where it draws for the judge.
const TEMPERATURE: f64 = 0.2;
/// Passes of the judge on the same draws.
const SAME_DRAWS: usize = 5;
/// What a person's clicked items have of the draws by which the generator learns.
const OWN_SHARE: f64 = 0.2;

/// How the two play.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Game {
    /// Turns of judge and generator.
    pub rounds: usize,
    /// Passes of the judge over all clicks in a round.
    pub judge_passes: usize,
    /// Passes of the generator over all people in a round.
    pub generator_passes: usize,
    /// Length of the judge's steps.
    pub judge_rate: f64,
    /// Length of the generator's steps.
    pub generator_rate: f64,
    /// Penalty on the squares of the judge's vectors, in each step.
    pub penalty: f64,
}

/// Ranks the items of `catalogue` for each person by their clicks against dynamic negatives, with steps of `rate`;
/// `each_pass` sees the vectors after every pass.
///
/// The last number of a vector is an item's bias, and 1 for every person with a click; who has none has zeros. `catalogue`
/// is in order and holds what was clicked.
///
/// # Errors
/// A cancel.
pub fn ranked(
    clicks: &Interactions,
    catalogue: &[u32],
    search: Search,
    rate: f64,
    context: &JobContext,
    mut each_pass: impl FnMut(&Factors),
) -> Result<Factors> {
    let mut rng = Rng::named(search.seed, "dynamic negatives");
    let mut found = drawn(clicks, search, "ranked");
    let mut pairs = clicks.all_pairs();
    for pass in 0..search.passes {
        context.progress(pass as u64, search.passes as u64);
        rng.shuffle(&mut pairs);
        for (step, (person, item)) in pairs.iter().enumerate() {
            if step % 4096 == 0 {
                context.check()?;
            }
            let Some(rival) = hardest(&found, clicks, catalogue, *person, &mut rng) else { continue };
            let triple = (*person as usize, *item as usize, rival as usize);
            rank(&mut found, triple, rate as f32, search.penalty as f32);
            keep_bias(&mut found, triple.0);
        }
        each_pass(&found);
    }
    Ok(found)
}

/// Plays from the vectors `start` of a generator; `each_round` sees it after every round.
///
/// # Errors
/// A cancel.
pub fn irgan(
    clicks: &Interactions,
    catalogue: &[u32],
    start: Factors,
    (game, seed): (Game, u64),
    context: &JobContext,
    mut each_round: impl FnMut(usize, &Factors),
) -> Result<Factors> {
    let mut rng = Rng::named(seed, "minimax");
    let mut generator = start;
    let search = Search { width: generator.width, passes: 0, penalty: game.penalty, seed };
    let mut judge = drawn(clicks, search, "judge");
    let passes = game.judge_passes + game.generator_passes;
    for round in 0..game.rounds {
        let mut rivals = Vec::new();
        for pass in 0..passes {
            context.progress((round * passes + pass) as u64, (game.rounds * passes) as u64);
            if pass >= game.judge_passes {
                climb(&mut generator, &judge, clicks, catalogue, game.generator_rate, &mut rng, context)?;
                continue;
            }
            if pass % SAME_DRAWS == 0 {
                rivals = drawn_for_judge(&generator, clicks, catalogue, &mut rng, context)?;
            }
            context.check()?;
            for ((person, item), rival) in clicks.all_pairs().into_iter().zip(&rivals) {
                judge_one(&mut judge, (person, item, 1.0), game);
                judge_one(&mut judge, (person, *rival, 0.0), game);
            }
        }
        each_round(round + 1, &generator);
    }
    Ok(generator)
}

/// Small random vectors, with a bias of 0.
fn drawn(clicks: &Interactions, search: Search, name: &str) -> Factors {
    let mut rng = Rng::named(search.seed, name);
    let mut draw = |rows: usize| -> Vec<f32> {
        (0..rows * search.width).map(|_| (0.1 * rng.uniform() - 0.05) as f32).collect()
    };
    let mut found =
        Factors { width: search.width, people: draw(clicks.rows()), items: draw(clicks.columns()) };
    for person in 0..clicks.rows() {
        if clicks.of_row(person).is_empty() {
            found.people[person * search.width..][..search.width].fill(0.0);
        } else {
            keep_bias(&mut found, person);
        }
    }
    found.items.chunks_exact_mut(search.width).for_each(|item| item[search.width - 1] = 0.0);
    found
}

/// What an item's bias is multiplied with stays 1.
fn keep_bias(factors: &mut Factors, person: usize) {
    factors.people[(person + 1) * factors.width - 1] = 1.0;
}

/// Of a few drawn items that a person did not click the one that scores highest; none where nearly all are clicked.
fn hardest(
    factors: &Factors,
    clicks: &Interactions,
    catalogue: &[u32],
    person: u32,
    rng: &mut Rng,
) -> Option<u32> {
    let draws: Vec<u32> = (0..RIVALS).map(|_| catalogue[rng.below(catalogue.len())]).collect();
    let open = draws.into_iter().filter(|item| !clicks.has(person, *item));
    let score = |item: &u32| factors.score(person as usize, *item as usize);
    open.max_by(|one, other| score(one).total_cmp(&score(other)))
}

/// With what share the generator shows a person each item of the catalogue.
fn shares(factors: &Factors, person: usize, catalogue: &[u32], temperature: f64) -> Vec<f64> {
    let scores = catalogue.iter().map(|item| f64::from(factors.score(person, *item as usize)) / temperature);
    let mut shares: Vec<f64> = scores.collect();
    let most = shares.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    shares.iter_mut().for_each(|share| *share = (*share - most).exp());
    let sum: f64 = shares.iter().sum();
    shares.iter_mut().for_each(|share| *share /= sum);
    shares
}

/// Draws places by their shares.
fn draws(shares: &[f64], count: usize, rng: &mut Rng) -> Vec<usize> {
    let mut sum = 0.0;
    let below: Vec<f64> = shares
        .iter()
        .map(|share| {
            sum += share;
            sum
        })
        .collect();
    let last = shares.len() - 1;
    (0..count)
        .map(|_| {
            let at = rng.uniform() * sum;
            below.partition_point(|below| *below <= at).min(last)
        })
        .collect()
}

/// For each click an item that the generator draws for the same person.
fn drawn_for_judge(
    generator: &Factors,
    clicks: &Interactions,
    catalogue: &[u32],
    rng: &mut Rng,
    context: &JobContext,
) -> Result<Vec<u32>> {
    let mut rivals = Vec::with_capacity(clicks.pairs());
    for person in 0..clicks.rows() {
        let own = clicks.of_row(person).len();
        if own > 0 {
            context.check()?;
            let shares = shares(generator, person, catalogue, TEMPERATURE);
            rivals.extend(draws(&shares, own, rng).into_iter().map(|place| catalogue[place]));
        }
    }
    Ok(rivals)
}

/// A step down the judge's cross entropy of a pair that was clicked (1) or drawn (0).
fn judge_one(judge: &mut Factors, (person, item, label): (u32, u32, f32), game: Game) {
    let (person, item, width) = (person as usize, item as usize, judge.width);
    let off = label - sigma(judge.score(person, item));
    let (rate, penalty) = (game.judge_rate as f32, game.penalty as f32);
    for at in 0..width {
        let (p, i) = (person * width + at, item * width + at);
        let (of_p, of_i) = (judge.people[p], judge.items[i]);
        judge.people[p] += rate * (off * of_i - penalty * of_p);
        judge.items[i] += rate * (off * of_p - penalty * of_i);
    }
    keep_bias(judge, person);
}

fn sigma(score: f32) -> f32 {
    1.0 / (1.0 + (-score).exp())
}

/// The reward for each item of the catalogue that a judge gives.
fn rewards(judge: &Factors, person: usize, catalogue: &[u32]) -> Vec<f64> {
    let reward = |item: &u32| 2.0 * f64::from(sigma(judge.score(person, *item as usize))) - 1.0;
    catalogue.iter().map(reward).collect()
}

/// A step of the generator for each person, up the expected reward as draws tell it.
fn climb(
    generator: &mut Factors,
    judge: &Factors,
    clicks: &Interactions,
    catalogue: &[u32],
    rate: f64,
    rng: &mut Rng,
    context: &JobContext,
) -> Result<()> {
    for person in 0..clicks.rows() {
        let own = clicks.of_row(person);
        if own.is_empty() {
            continue;
        }
        context.check()?;
        let shares = shares(generator, person, catalogue, 1.0);
        let mixed = mixed(&shares, own, catalogue);
        let rewards = rewards(judge, person, catalogue);
        let drawn = draws(&mixed, 2 * own.len(), rng);
        let weighed = drawn.into_iter().map(|place| (place, rewards[place] * shares[place] / mixed[place]));
        let slope = slope_of_scores(&shares, &weighed.collect::<Vec<_>>());
        step_up(generator, person, catalogue, &slope, rate);
    }
    Ok(())
}

/// The generator's shares, and some for what the person clicked.
fn mixed(shares: &[f64], own: &[(u32, f32)], catalogue: &[u32]) -> Vec<f64> {
    let mut mixed: Vec<f64> = shares.iter().map(|share| (1.0 - OWN_SHARE) * share).collect();
    for (item, _) in own {
        if let Ok(place) = catalogue.binary_search(item) {
            mixed[place] += OWN_SHARE / own.len() as f64;
        }
    }
    mixed
}

/// The policy gradient by a person's scores: the mean over draws of `weight (e_drawn - p)`, of which the expectation is
/// `p_i (r_i - sum_j p_j r_j)`.
fn slope_of_scores(shares: &[f64], drawn: &[(usize, f64)]) -> Vec<f64> {
    let each = 1.0 / drawn.len().max(1) as f64;
    let whole: f64 = each * drawn.iter().map(|(_, weight)| weight).sum::<f64>();
    let mut slope: Vec<f64> = shares.iter().map(|share| -whole * share).collect();
    drawn.iter().for_each(|(place, weight)| slope[*place] += each * weight);
    slope
}

/// A step along a slope by a person's scores.
fn step_up(generator: &mut Factors, person: usize, catalogue: &[u32], slope: &[f64], rate: f64) {
    let width = generator.width;
    let own = generator.people[person * width..][..width].to_vec();
    let mut moved = vec![0.0; width];
    for (item, slope) in catalogue.iter().zip(slope) {
        let step = (rate * slope) as f32;
        let item = &mut generator.items[*item as usize * width..][..width];
        for ((moved, of_item), own) in moved.iter_mut().zip(item).zip(&own) {
            *moved += step * *of_item;
            *of_item += step * own;
        }
    }
    generator.people[person * width..][..width].iter_mut().zip(moved).for_each(|(own, moved)| *own += moved);
    keep_bias(generator, person);
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAME: Game = Game {
        rounds: 1,
        judge_passes: 10,
        generator_passes: 5,
        judge_rate: 0.01,
        generator_rate: 0.01,
        penalty: 0.01,
    };

    /// One person who clicked items 1 and 3 of five, and lively vectors.
    fn small() -> (Interactions, Vec<u32>, Factors) {
        let clicks = Interactions::of(vec![(0, 1, 1.0), (0, 3, 1.0)], 1, 5);
        let mut rng = Rng::named(3, "lively");
        let mut factors = drawn(&clicks, Search { width: 4, passes: 0, penalty: 0.0, seed: 1 }, "small");
        factors.people.iter_mut().chain(&mut factors.items).for_each(|x| *x += rng.normal() as f32);
        keep_bias(&mut factors, 0);
        (clicks, (0..5).collect(), factors)
    }

    fn expected_reward(factors: &Factors, catalogue: &[u32], rewards: &[f64]) -> f64 {
        shares(factors, 0, catalogue, 1.0).iter().zip(rewards).map(|(share, reward)| share * reward).sum()
    }

    #[test]
    fn the_expectation_of_the_drawn_slope_is_the_slope_of_the_expected_reward() {
        let (clicks, catalogue, generator) = small();
        let judge = drawn(&clicks, Search { width: 4, passes: 0, penalty: 0.0, seed: 9 }, "judge");
        let mut rewards = rewards(&judge, 0, &catalogue);
        rewards.iter_mut().zip([0.3, -0.7, 0.9, 0.1, -0.2]).for_each(|(reward, more)| *reward += more);
        let shares = shares(&generator, 0, &catalogue, 1.0);
        let mixed = mixed(&shares, clicks.of_row(0), &catalogue);
        assert!((mixed.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{mixed:?}");
        // The mean over what can be drawn, each as often as it is drawn: a sum of five.
        let mut slope = vec![0.0; 5];
        for (place, often) in mixed.iter().enumerate() {
            let one = slope_of_scores(&shares, &[(place, rewards[place] * shares[place] / mixed[place])]);
            slope.iter_mut().zip(one).for_each(|(sum, one)| *sum += often * one);
        }
        let mean = expected_reward(&generator, &catalogue, &rewards);
        for (place, slope) in slope.iter().enumerate() {
            let exact = shares[place] * (rewards[place] - mean);
            assert!((slope - exact).abs() < 1e-12, "{place}: {slope} against {exact}");
        }
        // By the weights: a step of length 1 along it, against central differences of the finite sum.
        let mut moved = generator.clone();
        step_up(&mut moved, 0, &catalogue, &slope, 1.0);
        let weights = |factors: &Factors| [factors.people.clone(), factors.items.clone()].concat();
        let steps =
            weights(&moved).into_iter().zip(weights(&generator)).map(|(after, before)| after - before);
        for (at, step) in steps.enumerate() {
            if at == 3 {
                assert_eq!(step, 0.0, "what the bias is multiplied with stays");
                continue;
            }
            let shifted = |shift: f32| {
                let mut near = generator.clone();
                *near.people.iter_mut().chain(&mut near.items).nth(at).unwrap() += shift;
                expected_reward(&near, &catalogue, &rewards)
            };
            let numeric = (shifted(5e-3) - shifted(-5e-3)) / 1e-2;
            assert!((numeric - f64::from(step)).abs() < 2e-4, "{at}: {numeric} against {step}");
        }
    }

    #[test]
    fn a_judge_that_has_learnt_says_what_share_of_the_rows_was_clicked() {
        // With a fixed generator the best judge is p_clicked / (p_clicked + p_drawn) (Goodfellow et al. 2014, proposition 1),
        // and the game is worth -ln 4 + 2 JSD(p_clicked, p_drawn).
        let (clicks, catalogue, mut generator) = small();
        generator.items.iter_mut().for_each(|x| *x *= 0.1);
        let drawn_shares = shares(&generator, 0, &catalogue, TEMPERATURE);
        let clicked = |place: usize| if [1, 3].contains(&place) { 0.5 } else { 0.0 };
        let context = JobContext::detached();
        let mut rng = Rng::named(5, "judged");
        let mut judge = generator.clone();
        for pass in 0..6000 {
            let game = Game { judge_rate: if pass < 3000 { 0.05 } else { 0.005 }, penalty: 0.0, ..GAME };
            let rivals = drawn_for_judge(&generator, &clicks, &catalogue, &mut rng, &context).unwrap();
            for ((person, item), rival) in clicks.all_pairs().into_iter().zip(rivals) {
                judge_one(&mut judge, (person, item, 1.0), game);
                judge_one(&mut judge, (person, rival, 0.0), game);
            }
        }
        let (mut value, mut best) = (0.0, 0.0);
        for (place, drawn) in drawn_shares.iter().enumerate() {
            let exact = clicked(place) / (clicked(place) + drawn);
            let said = f64::from(sigma(judge.score(0, place)));
            assert!((said - exact).abs() < 0.04, "{place}: {said} against {exact}");
            let worth = |d: f64| clicked(place) * d.max(1e-12).ln() + drawn * (1.0 - d).max(1e-12).ln();
            value += worth(said);
            best += worth(exact);
        }
        assert!((value - best).abs() < 0.02 && best > -(4.0_f64).ln(), "{value} of {best}");
    }

    #[test]
    fn draws_come_as_often_as_their_shares() {
        let mut rng = Rng::named(1, "draws");
        let shares = [0.5, 0.0, 0.2, 0.3];
        let mut counts = [0.0; 4];
        draws(&shares, 20_000, &mut rng).into_iter().for_each(|place| counts[place] += 1.0);
        for (count, share) in counts.iter().zip(shares) {
            assert!((count / 20_000.0 - share).abs() < 0.015, "{counts:?}");
        }
    }

    /// Groups of people with tastes of their own beside items that everybody likes; a part is kept out.
    fn planted() -> (Interactions, Interactions) {
        let mut rng = Rng::named(5, "planted clicks");
        let (mut train, mut test) = (Vec::new(), Vec::new());
        for person in 0..60u32 {
            for item in 0..30u32 {
                let chance = if item % 3 == person % 3 { 0.6 } else { 0.04 };
                if rng.chance(chance) {
                    let to = if rng.chance(0.25) { &mut test } else { &mut train };
                    to.push((person, item, 1.0));
                }
            }
        }
        (Interactions::of(train, 60, 30), Interactions::of(test, 60, 30))
    }

    /// Share of the first three new items that were clicked later.
    fn precision(train: &Interactions, test: &Interactions, score: impl Fn(usize, usize) -> f32) -> f64 {
        let hits = (0..60).map(|person| {
            let is_new = |item: usize| !train.has(person as u32, item as u32);
            let scores: Vec<f32> = (0..30)
                .map(|item| if is_new(item) { score(person, item) } else { f32::NEG_INFINITY })
                .collect();
            let first = crate::metrics::top_k::highest(&scores, 3);
            first.into_iter().filter(|item| test.has(person as u32, *item)).count()
        });
        hits.sum::<usize>() as f64 / 180.0
    }

    #[test]
    fn the_generator_beats_popularity_and_is_the_same_for_a_seed() {
        let (train, test) = planted();
        let catalogue: Vec<u32> = (0..30).collect();
        let search = Search { width: 6, passes: 150, penalty: 0.03, seed: 2 };
        let context = JobContext::detached();
        let play = || {
            let start = ranked(&train, &catalogue, search, 0.05, &context, |_| {}).unwrap();
            let mut rounds = Vec::new();
            let game = Game { rounds: 2, ..GAME };
            let end = irgan(&train, &catalogue, start, (game, 2), &context, |round, now| {
                rounds.push((round, now.clone()));
            });
            let end = end.unwrap();
            assert_eq!(rounds.len(), 2);
            assert_eq!(rounds.last(), Some(&(2, end.clone())));
            end
        };
        let found = play();
        assert_eq!(found, play());
        let turned = train.transposed();
        let popular = precision(&train, &test, |_, item| turned.of_row(item).len() as f32);
        let by_generator = precision(&train, &test, |person, item| found.score(person, item));
        assert!(by_generator > popular + 0.1, "{by_generator} against {popular}");
    }

    #[test]
    fn nobody_and_people_without_clicks_are_no_fault() {
        let context = JobContext::detached();
        let search = Search { width: 3, passes: 2, penalty: 0.01, seed: 1 };
        for (clicks, catalogue) in
            [(Interactions::of(vec![], 2, 3), vec![]), (Interactions::of(vec![(1, 2, 1.0)], 2, 3), vec![2])]
        {
            let start = ranked(&clicks, &catalogue, search, 0.1, &context, |_| {}).unwrap();
            let found = irgan(&clicks, &catalogue, start, (GAME, 1), &context, |_, _| {}).unwrap();
            assert_eq!(found.people[..3], [0.0; 3], "who clicked nothing has no vector");
            assert!(found.items.iter().all(|x| x.is_finite()));
        }
    }
}

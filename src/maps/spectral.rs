//! Where do moving maps begin? At the gentlest ways in which the ties themselves part the points (Belkin & Niyogi 2003).
//!
//! Points that are tied start side by side, so that no cluster has to cross another. The leading eigenvectors of the
//! normalised ties are found by subspace iteration with Chebyshev's polynomials as filter (Zhou & Saad 2007); a map needs
//! them to a few per cent only. Parts that no tie joins have their own eigenvectors each, computed in the same sweeps, and
//! lie as discs around the middle of their principal components, pushed apart until none covers another.

use super::pca::eigen;
use super::symmetric::Ties;
use crate::base::Result;
use crate::base::rng::keyed_uniform;
use crate::jobs::JobContext;
use rayon::prelude::*;

/// Vectors that are turned at once: more than are used, so that those come out soon.
const BLOCK: usize = 8;
/// Degree of the filter, and how often it is applied.
const DEGREE: usize = 20;
const ROUNDS: usize = 6;
/// A part of fewer points has no shape of its own worth finding.
const SMALL: usize = 4 * BLOCK;
/// An eigenvector carried by a smaller share of its part shows a few stray points and nothing of the rest.
const CARRIED: f64 = 0.02;
/// Coordinates end at so many standard deviations.
const REACH: f64 = 3.0;
/// Share of the picture that discs of parts fill.
const FILLED: f32 = 0.5;
/// Parts that are pushed apart, the largest first; the others stay at their principal components.
const PUSHED: usize = 600;
const PUSHES: usize = 200;
/// Rows summed as one piece, so that sums are the same on any number of threads.
const PIECE: usize = 4096;

type Row = [f32; BLOCK];
type Square = [[f64; BLOCK]; BLOCK];

/// First places by the ties: within `extent` of the middle. `given` are places by principal components, which say where
/// parts that no tie joins belong, and which way up a part lies.
///
/// # Errors
/// A cancel.
pub(super) fn first_places<const D: usize>(
    ties: &Ties,
    given: &[[f32; D]],
    extent: f32,
    seed: u64,
    context: &JobContext,
) -> Result<Vec<[f32; D]>> {
    let parts = Parts::of(ties);
    let vectors = Sweep::new(ties, &parts, seed).run(context)?;
    let discs = discs(&parts, given, extent, seed);
    let mut places = vec![[0.0; D]; given.len()];
    for (members, disc) in parts.iter().zip(&discs) {
        for (member, place) in members.iter().zip(laid_out(members, &vectors, given, disc)) {
            // Equal points have to part.
            let noise = |axis: usize| keyed_uniform(seed, 90 + axis as u64, u64::from(*member)) as f32 - 0.5;
            places[*member as usize] = std::array::from_fn(|axis| place[axis] + 2e-4 * extent * noise(axis));
        }
    }
    Ok(places)
}

/// Points by the part that ties join.
struct Parts {
    /// All points, part by part, by rising place within each.
    members: Vec<u32>,
    /// Where each part starts in `members`, and the end.
    starts: Vec<usize>,
    /// Part of each point.
    of: Vec<u32>,
}

impl Parts {
    fn of(ties: &Ties) -> Self {
        let n = ties.starts.len() - 1;
        let (mut of, mut members, mut starts) = (vec![u32::MAX; n], Vec::with_capacity(n), vec![0]);
        for from in 0..n {
            if of[from] != u32::MAX {
                continue;
            }
            let (part, first) = (starts.len() as u32 - 1, members.len());
            of[from] = part;
            members.push(from as u32);
            let mut at = first;
            while at < members.len() {
                for &other in ties.of(members[at] as usize).0 {
                    if of[other as usize] == u32::MAX {
                        of[other as usize] = part;
                        members.push(other);
                    }
                }
                at += 1;
            }
            members[first..].sort_unstable();
            starts.push(members.len());
        }
        Self { members, starts, of }
    }

    fn len(&self) -> usize {
        self.starts.len() - 1
    }

    fn members(&self, part: usize) -> &[u32] {
        &self.members[self.starts[part]..self.starts[part + 1]]
    }

    fn iter(&self) -> impl Iterator<Item = &[u32]> {
        (0..self.len()).map(|part| self.members(part))
    }
}

/// The block of vectors while it turns towards the leading eigenvectors of each part.
struct Sweep<'a> {
    ties: &'a Ties,
    parts: &'a Parts,
    /// `1 / sqrt(sum of ties)` of each point.
    scale: Vec<f32>,
    /// Ties over the roots of the sums at both ends: the matrix whose largest eigenvalue is 1.
    matrix: Vec<f32>,
    vectors: Vec<Row>,
    /// What the filter damps ends here, part by part: the last of the eigenvalues of the block.
    damped_to: Vec<f32>,
}

impl<'a> Sweep<'a> {
    fn new(ties: &'a Ties, parts: &'a Parts, seed: u64) -> Self {
        let n = parts.of.len();
        let total = |place: usize| ties.of(place).1.iter().sum::<f32>();
        let scale: Vec<f32> =
            (0..n).into_par_iter().map(|place| total(place).max(f32::MIN_POSITIVE).sqrt().recip()).collect();
        let row = |place: usize| {
            let (ids, weights) = ties.of(place);
            let own = scale[place];
            ids.iter().zip(weights).map(|(id, weight)| own * weight * scale[*id as usize]).collect::<Vec<_>>()
        };
        let matrix = (0..n).into_par_iter().with_min_len(256).flat_map_iter(row).collect();
        let start = |place: usize| {
            std::array::from_fn(|axis| keyed_uniform(seed, 64 + axis as u64, place as u64) as f32 - 0.5)
        };
        let vectors = (0..n).into_par_iter().map(start).collect();
        Self { ties, parts, scale, matrix, vectors, damped_to: vec![0.0; parts.len()] }
    }

    /// Coordinates of each point: eigenvectors over the root of the sum of ties, most gentle first.
    fn run(mut self, context: &JobContext) -> Result<Vec<Row>> {
        self.settle();
        for round in 0..ROUNDS {
            context.check()?;
            context.progress(round as u64, ROUNDS as u64);
            self.filter(context)?;
            self.settle();
        }
        let Self { mut vectors, scale, .. } = self;
        vectors.par_iter_mut().zip(&scale).for_each(|(row, scale)| row.iter_mut().for_each(|v| *v *= scale));
        Ok(vectors)
    }

    /// `factor (A x - centre x) - back y` for each point, the first two by its part.
    fn step(&self, x: &[Row], y: &mut [Row], by: &[[f32; 3]]) {
        y.par_iter_mut().enumerate().with_min_len(1024).for_each(|(place, y)| {
            let [factor, centre, back] = by[self.parts.of[place] as usize];
            let mut sum = [0.0f32; BLOCK];
            let weights = &self.matrix[self.ties.starts[place] as usize..];
            for (id, weight) in self.ties.of(place).0.iter().zip(weights) {
                let other = &x[*id as usize];
                for axis in 0..BLOCK {
                    sum[axis] += weight * other[axis];
                }
            }
            for axis in 0..BLOCK {
                y[axis] = factor * (sum[axis] - centre * x[place][axis]) - back * y[axis];
            }
        });
    }

    /// Chebyshev's polynomial of the matrix on the block: small from -1 to what is damped, growing fast beyond; scaled so
    /// that it is 1 at 1 (Zhou & Saad 2007, algorithm 3.1 with scaling).
    fn filter(&mut self, context: &JobContext) -> Result<()> {
        let mut x = std::mem::take(&mut self.vectors);
        let mut y = vec![[0.0; BLOCK]; x.len()];
        let half = |end: f32| (end + 1.0) / 2.0;
        let first: Vec<f32> =
            self.damped_to.iter().map(|end| half(*end) / (1.0 - (end - 1.0) / 2.0)).collect();
        let mut sigma = first.clone();
        for degree in 0..DEGREE {
            context.check()?;
            let by: Vec<[f32; 3]> = (0..self.parts.len())
                .map(|part| {
                    let (end, before) = (self.damped_to[part], sigma[part]);
                    let centre = (end - 1.0) / 2.0;
                    if degree == 0 {
                        return [before / half(end), centre, 0.0];
                    }
                    let next = 1.0 / (2.0 / first[part] - before);
                    sigma[part] = next;
                    [2.0 * next / half(end), centre, before * next]
                })
                .collect();
            self.step(&x, &mut y, &by);
            std::mem::swap(&mut x, &mut y);
        }
        self.vectors = x;
        Ok(())
    }

    /// Takes away the even eigenvector of each part, and turns the rest of the block to its own best approximations
    /// (Rayleigh and Ritz).
    fn settle(&mut self) {
        self.take_even();
        let mut turned = vec![[0.0; BLOCK]; self.vectors.len()];
        self.step(&self.vectors, &mut turned, &vec![[1.0, 0.0, 0.0]; self.parts.len()]);
        let ritz: Vec<(Square, f32)> = (0..self.parts.len())
            .into_par_iter()
            .map(|part| {
                let members = self.parts.members(part);
                ritz(&inner(members, &self.vectors, &self.vectors), &inner(members, &self.vectors, &turned))
            })
            .collect();
        for (damped, (_, least)) in self.damped_to.iter_mut().zip(&ritz) {
            *damped = least.clamp(-0.9, 0.999);
        }
        self.vectors.par_iter_mut().zip(&self.parts.of).for_each(|(row, part)| {
            let by = &ritz[*part as usize].0;
            let old = row.map(f64::from);
            *row =
                std::array::from_fn(|to| (0..BLOCK).map(|from| old[from] * by[from][to]).sum::<f64>() as f32);
        });
    }

    /// The eigenvector of 1 is the root of the sums of ties; it says nothing.
    fn take_even(&mut self) {
        let along: Vec<Row> = (0..self.parts.len())
            .into_par_iter()
            .map(|part| {
                let members = self.parts.members(part);
                let (mut along, mut length) = ([0.0f64; BLOCK], 0.0f64);
                for &member in members {
                    let even = f64::from(self.scale[member as usize]).recip();
                    length += even * even;
                    for (along, value) in along.iter_mut().zip(&self.vectors[member as usize]) {
                        *along += even * f64::from(*value);
                    }
                }
                along.map(|along| (along / length) as f32)
            })
            .collect();
        self.vectors.par_iter_mut().zip(&self.scale).zip(&self.parts.of).for_each(|((row, scale), part)| {
            row.iter_mut().zip(&along[*part as usize]).for_each(|(value, along)| *value -= along / scale);
        });
    }
}

/// Inner products of the columns of two blocks over the members of a part.
fn inner(members: &[u32], a: &[Row], b: &[Row]) -> Square {
    let pieces: Vec<Square> = members
        .par_chunks(PIECE)
        .map(|some| {
            let mut sums = [[0.0; BLOCK]; BLOCK];
            for &member in some {
                let (a, b) = (a[member as usize].map(f64::from), b[member as usize].map(f64::from));
                for (sums, a) in sums.iter_mut().zip(a) {
                    sums.iter_mut().zip(b).for_each(|(sum, b)| *sum += a * b);
                }
            }
            sums
        })
        .collect();
    pieces.into_iter().fold([[0.0; BLOCK]; BLOCK], |mut total, piece| {
        total.as_flattened_mut().iter_mut().zip(piece.as_flattened()).for_each(|(to, from)| *to += from);
        total
    })
}

/// From the block's own products and its products with the matrix: the combinations that approximate eigenvectors best,
/// as columns, the largest first, and the least of their eigenvalues. Directions that the block has lost are nothing.
fn ritz(own: &Square, with: &Square) -> (Square, f32) {
    let product = |a: &Square, b: &Square| -> Square {
        std::array::from_fn(|i| std::array::from_fn(|j| (0..BLOCK).map(|k| a[i][k] * b[k][j]).sum()))
    };
    let transposed = |a: &Square| -> Square { std::array::from_fn(|i| std::array::from_fn(|j| a[j][i])) };
    let columns =
        |flat: Vec<Vec<f64>>| -> Square { std::array::from_fn(|i| std::array::from_fn(|j| flat[j][i])) };
    let (directions, lengths) = eigen(&mut own.as_flattened().to_vec(), BLOCK);
    let most = lengths.first().copied().unwrap_or_default();
    let mut white = columns(directions);
    for (axis, length) in lengths.iter().enumerate() {
        let by = if *length > 1e-10 * most && most > 0.0 { length.sqrt().recip() } else { 0.0 };
        white.iter_mut().for_each(|row| row[axis] *= by);
    }
    let within = product(&transposed(&white), &product(with, &white));
    // Rounding leaves it a little uneven.
    let even: Square = std::array::from_fn(|i| std::array::from_fn(|j| (within[i][j] + within[j][i]) / 2.0));
    let (turn, values) = eigen(&mut even.as_flattened().to_vec(), BLOCK);
    (product(&white, &columns(turn)), values.last().copied().unwrap_or_default() as f32)
}

/// Room of a part in the picture.
#[derive(Debug, Clone, Copy)]
struct Disc<const D: usize> {
    /// The middle of the part by principal components.
    given: [f32; D],
    middle: [f32; D],
    radius: f32,
}

/// A disc for each part, as large as its share of the points, none over another as far as so many pushes go.
fn discs<const D: usize>(parts: &Parts, given: &[[f32; D]], extent: f32, seed: u64) -> Vec<Disc<D>> {
    let n = given.len() as f32;
    let mut discs: Vec<Disc<D>> = parts
        .iter()
        .map(|members| {
            let size = members.len() as f32;
            let mean =
                |axis: usize| members.iter().map(|member| given[*member as usize][axis]).sum::<f32>() / size;
            let middle = std::array::from_fn(mean);
            Disc { given: middle, middle, radius: extent * (FILLED * size / n).powf(1.0 / D as f32) }
        })
        .collect();
    if let [all] = &mut discs[..] {
        (all.middle, all.radius) = ([0.0; D], extent);
        return discs;
    }
    let mut order: Vec<usize> = (0..discs.len()).collect();
    order.sort_by_key(|&part| (std::cmp::Reverse(parts.members(part).len()), part));
    order.truncate(PUSHED);
    for (at, part) in order.iter().enumerate() {
        // Equal middles could not be told which way to go.
        for axis in 0..D {
            discs[*part].middle[axis] +=
                1e-3 * extent * (keyed_uniform(seed, 80 + axis as u64, at as u64) as f32 - 0.5);
        }
    }
    for _ in 0..PUSHES {
        if !push(&mut discs, &order) {
            break;
        }
    }
    let far =
        |disc: &Disc<D>| disc.middle.iter().fold(0.0f32, |most, value| most.max(value.abs())) + disc.radius;
    let farthest = discs.iter().map(far).fold(f32::MIN_POSITIVE, f32::max);
    for disc in &mut discs {
        disc.middle.iter_mut().for_each(|value| *value *= extent / farthest);
        disc.radius *= extent / farthest;
    }
    discs
}

/// Moves discs that cover one another apart, each by half; false when none does.
fn push<const D: usize>(discs: &mut [Disc<D>], order: &[usize]) -> bool {
    let mut any = false;
    for (at, &one) in order.iter().enumerate() {
        for &other in &order[at + 1..] {
            let apart: [f32; D] =
                std::array::from_fn(|axis| discs[other].middle[axis] - discs[one].middle[axis]);
            let distance = apart.iter().map(|v| v * v).sum::<f32>().sqrt();
            let covered = discs[one].radius + discs[other].radius - distance;
            if covered > 1e-3 * (discs[one].radius + discs[other].radius) && distance > 0.0 {
                any = true;
                for (axis, apart) in apart.iter().enumerate() {
                    let step = 0.5 * covered * apart / distance;
                    discs[one].middle[axis] -= step;
                    discs[other].middle[axis] += step;
                }
            }
        }
    }
    any
}

/// The members of a part within its disc: by the first eigenvectors that most of them carry, each with the sign that
/// agrees with the principal components; a small part by those components themselves.
fn laid_out<const D: usize>(
    members: &[u32],
    vectors: &[Row],
    given: &[[f32; D]],
    disc: &Disc<D>,
) -> Vec<[f32; D]> {
    let from_given = |member: &u32| -> [f32; D] {
        std::array::from_fn(|axis| given[*member as usize][axis] - disc.given[axis])
    };
    let mut offsets: Vec<[f32; D]> = members.iter().map(from_given).collect();
    if members.len() >= SMALL {
        let chosen = carried::<D>(members, vectors);
        for (axis, from) in chosen.into_iter().enumerate() {
            let value = |member: &u32| vectors[*member as usize][from];
            let agrees: f64 = members.iter().zip(&offsets).map(|(m, o)| f64::from(value(m) * o[axis])).sum();
            let sign = if agrees < 0.0 { -1.0 } else { 1.0 };
            members.iter().zip(&mut offsets).for_each(|(member, offset)| offset[axis] = sign * value(member));
        }
    }
    for axis in 0..D {
        let squares: f64 = offsets.iter().map(|offset| f64::from(offset[axis]).powi(2)).sum();
        let deviation = (squares / members.len() as f64).sqrt().max(f64::from(f32::MIN_POSITIVE));
        let scale = f64::from(disc.radius) / REACH;
        for offset in &mut offsets {
            let at = (f64::from(offset[axis]) / deviation).clamp(-REACH, REACH);
            offset[axis] = disc.middle[axis] + (scale * at) as f32;
        }
    }
    offsets
}

/// The first vectors that more than a few of the members carry; where there are too few of them, the first others.
fn carried<const D: usize>(members: &[u32], vectors: &[Row]) -> [usize; D] {
    let share = |axis: usize| {
        let (mut squares, mut fourths) = (0.0f64, 0.0f64);
        for &member in members {
            let square = f64::from(vectors[member as usize][axis]).powi(2);
            squares += square;
            fourths += square * square;
        }
        if fourths > 0.0 { squares * squares / (fourths * members.len() as f64) } else { 0.0 }
    };
    let mut order: Vec<usize> = (0..BLOCK).collect();
    order.sort_by_key(|&axis| share(axis) < CARRIED);
    std::array::from_fn(|axis| order[axis])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    /// Ties of equal weight between the pairs.
    fn tied(n: usize, pairs: &[(u32, u32)]) -> Ties {
        let mut rows = vec![Vec::new(); n];
        for (a, b) in pairs {
            rows[*a as usize].push(*b);
            rows[*b as usize].push(*a);
        }
        let mut ties = Ties { starts: vec![0], ..Ties::default() };
        for mut row in rows {
            row.sort_unstable();
            ties.weights.extend(row.iter().map(|_| 1.0));
            ties.ids.extend(row);
            ties.starts.push(ties.ids.len() as u32);
        }
        ties
    }

    fn ring(from: u32, n: u32) -> Vec<(u32, u32)> {
        (0..n).map(|i| (from + i, from + (i + 1) % n)).collect()
    }

    fn scattered(n: usize) -> Vec<[f32; 2]> {
        let mut rng = Rng::named(4, "scattered");
        (0..n).map(|_| [rng.normal() as f32, rng.normal() as f32]).collect()
    }

    fn placed(ties: &Ties, given: &[[f32; 2]]) -> Vec<[f32; 2]> {
        first_places(ties, given, 5.0, 1, &JobContext::detached()).unwrap()
    }

    #[test]
    fn a_ring_is_laid_out_as_a_circle() {
        // The eigenvectors of a ring are sines and cosines (Chung 1997, example 1.5): neighbours lie at equal angles on a
        // circle, whatever the places that were given.
        let n = 120;
        let places = placed(&tied(n, &ring(0, n as u32)), &scattered(n));
        let radii: Vec<f32> = places.iter().map(|[x, y]| x.hypot(*y)).collect();
        let mean = radii.iter().sum::<f32>() / n as f32;
        assert!(radii.iter().all(|radius| (radius / mean - 1.0).abs() < 0.02), "{radii:?}");
        let step = |i: usize| {
            let (a, b) = (places[i], places[(i + 1) % n]);
            (a[0] * b[1] - a[1] * b[0]).atan2(a[0] * b[0] + a[1] * b[1]).abs()
        };
        let even = std::f32::consts::TAU / n as f32;
        assert!((0..n).all(|i| (step(i) / even - 1.0).abs() < 0.1));
    }

    #[test]
    fn parts_that_no_tie_joins_lie_apart() {
        // Three rings and a pair, all given in one heap.
        let sizes = [100u32, 60, 40];
        let mut pairs = vec![(200, 201)];
        let mut from = 0;
        for size in sizes {
            pairs.extend(ring(from, size));
            from += size;
        }
        let places = placed(&tied(202, &pairs), &scattered(202));
        let part = |i: usize| [100, 160, 200, 202].iter().position(|end| i < *end).unwrap();
        let apart = |a: [f32; 2], b: [f32; 2]| (a[0] - b[0]).hypot(a[1] - b[1]);
        for i in 0..202 {
            assert!(places[i].iter().all(|value| value.abs() <= 5.01), "{:?}", places[i]);
            let nearest = (0..202)
                .filter(|j| *j != i)
                .min_by(|a, b| apart(places[i], places[*a]).total_cmp(&apart(places[i], places[*b])))
                .unwrap();
            assert_eq!(part(i), part(nearest), "{i} {nearest}");
        }
    }

    #[test]
    fn two_heaps_with_one_bridge_part_along_the_first_axis() {
        // Two complete graphs joined by one tie: the gentlest cut goes through the bridge (Fiedler 1973).
        let complete = |from: u32| (0..30).flat_map(move |i| (i + 1..30).map(move |j| (from + i, from + j)));
        let mut pairs: Vec<_> = complete(0).chain(complete(30)).collect();
        pairs.push((0, 30));
        let places = placed(&tied(60, &pairs), &scattered(60));
        let side = |i: usize| places[i][0] > 0.0;
        assert!((0..30).all(|i| side(i) == side(1)) && (30..60).all(|i| side(i) != side(1)), "{places:?}");
    }

    #[test]
    fn a_cancel_ends_it() {
        let cancelled = JobContext::watched(std::sync::Arc::new(true.into()), |_| {});
        let ties = tied(120, &ring(0, 120));
        assert!(first_places(&ties, &scattered(120), 5.0, 1, &cancelled).is_err());
    }
}

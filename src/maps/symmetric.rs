//! How do one-sided ties between points become two-sided ones?

use rayon::prelude::*;

/// Ties of each point to others, both ways: row `i` is `starts[i]..starts[i + 1]`, by rising id.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Ties {
    pub starts: Vec<u32>,
    pub ids: Vec<u32>,
    pub weights: Vec<f32>,
}

impl Ties {
    /// From `[points, k]` ids and one-sided weights; `join(w_ij, w_ji)` is symmetric and gets 0 where there is no tie.
    pub fn new(ids: &[u32], weights: &[f32], k: usize, join: impl Fn(f32, f32) -> f32 + Sync) -> Self {
        let n = ids.len().checked_div(k).unwrap_or(0);
        let (back_starts, back) = reversed(ids, weights, n, k);
        let rows: Vec<Vec<(u32, f32)>> = (0..n)
            .into_par_iter()
            .with_min_len(256)
            .map(|place| {
                let ahead = ids[place * k..][..k].iter().zip(&weights[place * k..][..k]);
                let mut ahead: Vec<(u32, f32)> = ahead.map(|(id, weight)| (*id, *weight)).collect();
                ahead.sort_unstable_by_key(|(id, _)| *id);
                let back = &back[back_starts[place] as usize..back_starts[place + 1] as usize];
                merged(&ahead, back, &join)
            })
            .collect();
        let mut ties = Self { starts: vec![0; n + 1], ..Self::default() };
        let total = rows.iter().map(Vec::len).sum();
        (ties.ids, ties.weights) = (Vec::with_capacity(total), Vec::with_capacity(total));
        for (place, row) in rows.into_iter().enumerate() {
            ties.starts[place + 1] = ties.starts[place] + row.len() as u32;
            for (id, weight) in row {
                ties.ids.push(id);
                ties.weights.push(weight);
            }
        }
        ties
    }

    /// The ties of one point.
    #[inline(always)]
    pub fn of(&self, place: usize) -> (&[u32], &[f32]) {
        let range = self.starts[place] as usize..self.starts[place + 1] as usize;
        (&self.ids[range.clone()], &self.weights[range])
    }
}

/// Who points at each point, by rising id.
fn reversed(ids: &[u32], weights: &[f32], n: usize, k: usize) -> (Vec<u32>, Vec<(u32, f32)>) {
    let mut starts = vec![0u32; n + 1];
    ids.iter().for_each(|id| starts[*id as usize + 1] += 1);
    for place in 0..n {
        starts[place + 1] += starts[place];
    }
    let mut next = starts[..n].to_vec();
    let mut back = vec![(0, 0.0); ids.len()];
    for (at, (id, weight)) in ids.iter().zip(weights).enumerate() {
        let to = &mut next[*id as usize];
        back[*to as usize] = ((at / k) as u32, *weight);
        *to += 1;
    }
    (starts, back)
}

fn merged(a: &[(u32, f32)], b: &[(u32, f32)], join: &impl Fn(f32, f32) -> f32) -> Vec<(u32, f32)> {
    let mut all = Vec::with_capacity(a.len() + b.len());
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        let one = a.get(i).map_or(u32::MAX, |(id, _)| *id);
        let other = b.get(j).map_or(u32::MAX, |(id, _)| *id);
        let id = one.min(other);
        let mut pair = (0.0, 0.0);
        if one == id {
            pair.0 = a[i].1;
            i += 1;
        }
        if other == id {
            pair.1 = b[j].1;
            j += 1;
        }
        let weight = join(pair.0, pair.1);
        if weight > 0.0 {
            all.push((id, weight));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_carry_the_same_weight() {
        // 0 -> 1 (0.5), 1 -> 2 (0.4), 2 -> 0 (1.0), with k = 1, joined as fuzzy sets are: a + b - a b.
        let ties = Ties::new(&[1, 2, 0], &[0.5, 0.4, 1.0], 1, |a, b| a + b - a * b);
        assert_eq!(ties.starts, [0, 2, 4, 6]);
        assert_eq!(ties.of(0), (&[1, 2][..], &[0.5, 1.0][..]));
        assert_eq!(ties.of(2), (&[0, 1][..], &[1.0, 0.4][..]));
        let mutual = Ties::new(&[1, 0], &[0.5, 0.5], 1, |a, b| a + b - a * b);
        assert_eq!(mutual.of(1), (&[0][..], &[0.75][..]));
    }
}

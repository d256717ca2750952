//! Do neighbours and graph filters find on Gowalla what was published?
//!
//! The split of LightGCN's authors (`data/gowalla` of gusye1234/LightGCN-PyTorch: `s_adj_mat.npz`, the graph of 810,128
//! training pairs, and `test.txt`, a user and the items held out on each line); every item a user does not have yet is
//! ranked, and the first 20 are judged. BARS publishes its knobs beside its figures (reczoo/BARS, `matching`): we take the same.

use super::ranking::ranked;
use super::{Comparison, Row};
use crate::base::failure::Explain;
use crate::base::{Failure, Result};
use crate::data::npz::Pattern;
use crate::jobs::JobContext;
use crate::metrics::top_k::TopK;
use crate::nn::graph_filter::GraphFilter;
use crate::nn::neighbours::{Interactions, Likeness, Neighbours, shares};
use rayon::prelude::*;
use serde_json::json;
use std::path::Path;

/// What figures without luck may differ by.
pub(super) fn exact(_: f64) -> f64 {
    0.001
}

const SHOWN: usize = 20;

/// Fits, ranks and compares.
///
/// # Errors
/// Files that are missing or of another form, or a cancel.
pub(super) fn compare(folder: &Path, context: &JobContext) -> Result<Comparison> {
    let clicks = training_pairs(&folder.join("s_adj_mat.npz"))?;
    let held_out = held_out(&folder.join("test.txt"), &clicks)?;
    let mut comparison = Comparison::default();
    context.stage("fitting the graph filter");
    let filter = GraphFilter::fit(clicks.clone(), 256, 0.3, context)?;
    context.stage("ranking by the graph filter");
    let found = ranked(&clicks, &held_out, SHOWN, context, |people, scores| {
        scores.copy_from_slice(&filter.scores(people));
    })?;
    drop(filter);
    let source = "Shen et al., CIKM 2021, as in BARS (Gowalla_m1)";
    tell(&mut comparison, "GF-CF, 256 vectors", found, (0.1849, 0.1518), (source, exact))?;
    let found = by_neighbours(&clicks, &held_out, context)?;
    let source = "BARS (ItemCF_gowalla_m1)";
    tell(
        &mut comparison,
        "ItemCF, cosine, shares of 100 neighbours",
        found,
        (0.156_994, 0.121_364),
        (source, exact),
    )?;
    Ok(comparison)
}

/// `mean_i + sum_j s_ij (x_uj - mean_j)` over the 100 neighbours `j` of item `i` by cosine, `s_i` their shares.
fn by_neighbours(clicks: &Interactions, held_out: &[Vec<u32>], context: &JobContext) -> Result<TopK> {
    context.stage("counting neighbours among items");
    let neighbours = Neighbours { likeness: Likeness::Cosine, most: 100, shrinkage: 0.0 };
    let mut near = neighbours.of_columns(clicks, context)?;
    shares(&mut near);
    let (people, items) = (clicks.rows(), clicks.columns());
    let turned = clicks.transposed();
    let mean = |item: usize| turned.of_row(item).len() as f32 / people as f32;
    let expected =
        |near: &[(u32, f32)]| near.iter().map(|(other, share)| share * mean(*other as usize)).sum::<f32>();
    let above: Vec<f32> = near.iter().enumerate().map(|(item, near)| mean(item) - expected(near)).collect();
    // Whose neighbour an item is, to walk along what a person has.
    let triples = near
        .iter()
        .enumerate()
        .flat_map(|(item, near)| near.iter().map(move |(other, share)| (*other, item as u32, *share)));
    let of_item = Interactions::of(triples.collect(), items, items);
    context.stage("ranking by neighbours among items");
    ranked(clicks, held_out, SHOWN, context, |people, scores| {
        scores.par_chunks_mut(items).zip(people).for_each(|(scores, person)| {
            scores.copy_from_slice(&above);
            for (item, _) in clicks.of_row(person) {
                for (other, share) in of_item.of_row(*item as usize) {
                    scores[*other as usize] += share;
                }
            }
        });
    })
}

const WHAT: &str = "cannot read Gowalla";

/// The graph has people before items, each pair in both directions.
pub(super) fn training_pairs(path: &Path) -> Result<Interactions> {
    let graph = Pattern::read(path)?;
    let all = graph.shape[0];
    // People point at items only, so the first person's least neighbour stands behind the last person.
    let people = (0..all).scan(all, |least, row| {
        *least = graph.of_row(row).iter().copied().fold(*least, usize::min);
        (row < *least).then_some(row)
    });
    let people = people.count();
    let is_split = (0..people).all(|row| graph.of_row(row).iter().all(|column| *column >= people));
    if people == 0 || people == all || !is_split {
        let why = "the matrix is no graph of people before items";
        return Err(Failure::new(WHAT, why).at(path.display()));
    }
    let pairs = (0..people).flat_map(|person| {
        graph.of_row(person).iter().map(move |item| (person as u32, (item - people) as u32, 1.0))
    });
    Ok(Interactions::of(pairs.collect(), people, all - people))
}

/// What each person did later.
pub(super) fn held_out(path: &Path, clicks: &Interactions) -> Result<Vec<Vec<u32>>> {
    let text = std::fs::read_to_string(path).explain(WHAT).map_err(|failure| failure.at(path.display()))?;
    let mut held_out = vec![Vec::new(); clicks.rows()];
    for (number, line) in text.lines().enumerate() {
        let numbers: Option<Vec<u32>> = line.split_whitespace().map(|word| word.parse().ok()).collect();
        let place = format!("{} line {}", path.display(), number + 1);
        let refuse = |why: &str| Failure::new(WHAT, why).at(&place);
        let numbers = numbers.ok_or_else(|| refuse("it holds something else than numbers"))?;
        let Some((person, items)) = numbers.split_first() else { continue };
        let own = held_out.get_mut(*person as usize).ok_or_else(|| refuse("there is no such person"))?;
        if items.iter().any(|item| *item as usize >= clicks.columns()) {
            return Err(refuse("there is no such item"));
        }
        own.extend(items);
    }
    Ok(held_out)
}

/// Recall and NDCG beside the published ones; `allowed` says what ours may differ by.
pub(super) fn tell(
    comparison: &mut Comparison,
    what: &str,
    found: TopK,
    (recall, ndcg): (f64, f64),
    (source, allowed): (&str, fn(f64) -> f64),
) -> Result<()> {
    let found = found.measures().ok_or_else(|| Failure::new(WHAT, "nobody has anything held out"))?;
    for (name, published, ours) in [("Recall@20", recall, found.recall), ("NDCG@20", ndcg, found.ndcg)] {
        let (low, high) = (published - allowed(published), published + allowed(published));
        comparison.rows.push(Row {
            quantity: format!("{what}: {name} ({} people)", found.people),
            published: json!(published),
            source: source.to_owned(),
            ours: json!((ours.value * 1e5).round() / 1e5),
            low: Some(low),
            high: Some(high),
            within: low <= ours.value && ours.value <= high,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_people_and_items_are_read_and_others_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.txt");
        let clicks = Interactions::of(vec![(0, 0, 1.0), (1, 2, 1.0)], 2, 3);
        std::fs::write(&path, "0 1 2\n\n1 0\n").unwrap();
        assert_eq!(held_out(&path, &clicks).unwrap(), [vec![1, 2], vec![0]]);
        for (text, words) in [("2 0", "no such person"), ("0 3", "no such item"), ("0 x", "numbers")] {
            std::fs::write(&path, text).unwrap();
            let failure = held_out(&path, &clicks).unwrap_err();
            assert!(failure.why.contains(words) && failure.place.contains("line 1"), "{failure}");
        }
    }
}

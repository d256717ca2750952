//! Which ads make a page that is good and not all the same? Re-ranking by MMR and by DPP.

/// Maximal marginal relevance (Carbonell & Goldstein 1998): picks `count` items one by one, each with the highest
/// `lambda x relevance - (1 - lambda) x similarity to the nearest item picked`. Places in order of picking.
pub fn mmr(
    relevance: &[f64],
    similarity: impl Fn(usize, usize) -> f64,
    lambda: f64,
    count: usize,
) -> Vec<usize> {
    let mut picked: Vec<usize> = Vec::new();
    // Similarity of each item to the nearest one picked.
    let mut nearest = vec![0.0f64; relevance.len()];
    while picked.len() < count.min(relevance.len()) {
        let marginal = |item: usize| lambda * relevance[item] - (1.0 - lambda) * nearest[item];
        let left = (0..relevance.len()).filter(|item| !picked.contains(item));
        // Of equal items the first: max_by would take the last.
        let Some(best) = left.rev().max_by(|a, b| marginal(*a).total_cmp(&marginal(*b))) else { break };
        for (item, nearest) in nearest.iter_mut().enumerate() {
            let alike = similarity(item, best);
            *nearest = if picked.is_empty() { alike } else { nearest.max(alike) };
        }
        picked.push(best);
    }
    picked
}

/// Greedy MAP of a determinantal point process with kernel `l` (symmetric, positive semi-definite): each pick
/// multiplies the determinant most. By Cholesky updates, `O(items x count^2)` (Chen, Zhang & Zhou 2018). Stops
/// early where nothing adds volume.
pub fn greedy_dpp(l: &[Vec<f64>], count: usize) -> Vec<usize> {
    let n = l.len();
    let mut gain: Vec<f64> = (0..n).map(|item| l[item][item]).collect();
    let mut rows: Vec<Vec<f64>> = vec![Vec::new(); n];
    let mut picked: Vec<usize> = Vec::new();
    while picked.len() < count.min(n) {
        let left = (0..n).filter(|item| !picked.contains(item));
        let Some(best) = left.rev().max_by(|a, b| gain[*a].total_cmp(&gain[*b])) else { break };
        if gain[best] <= 0.0 {
            break;
        }
        let root = gain[best].sqrt();
        let pivot = rows[best].clone();
        for item in (0..n).filter(|item| *item != best && !picked.contains(item)) {
            let along: f64 = pivot.iter().zip(&rows[item]).map(|(a, b)| a * b).sum();
            let entry = (l[best][item] - along) / root;
            rows[item].push(entry);
            gain[item] -= entry * entry;
        }
        picked.push(best);
    }
    picked
}

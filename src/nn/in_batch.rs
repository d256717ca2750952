//! Which of the ads that others clicked did this user click? A softmax over a batch that stands for one over the catalogue.
//!
//! Yi et al., RecSys 2019 (sampling-bias-corrected neural modelling): the ads of a batch's clicks come as often as they are
//! popular, so each score is lowered by `ln Q(ad)`, the log of the ad's share of clicks, before the softmax. Scores then
//! learn what a softmax over all ads would; without it popular ads are pushed down, with the wrong sign twice as much.

/// Mean loss over the clicks of a batch, and its derivative by each score.
#[derive(Debug, Clone, PartialEq)]
pub struct InBatchLoss {
    /// `-sum w ln softmax(s_i - ln Q)_i / sum w`, in nats.
    pub mean: f64,
    /// `[clicks, clicks]`: `w_i (p_ij - [i = j]) / sum w`.
    pub gradient: Vec<f32>,
}

/// The loss of `scores`, `[clicks, clicks]`: of each click's user with the ad of every click, its own on the diagonal.
/// `ln_shares` are of the ads and `counts` what each click counts, `[clicks]` both.
pub fn in_batch_softmax(scores: &[f32], ln_shares: &[f32], counts: &[f32]) -> InBatchLoss {
    let clicks = counts.len();
    let total: f64 = counts.iter().copied().map(f64::from).sum();
    let mut loss = InBatchLoss { mean: 0.0, gradient: vec![0.0; clicks * clicks] };
    if total <= 0.0 {
        return loss;
    }
    let rows = scores.chunks_exact(clicks).zip(loss.gradient.chunks_exact_mut(clicks)).zip(counts);
    for (own, ((scores, gradient), count)) in rows.enumerate() {
        let lowered = || scores.iter().zip(ln_shares).map(|(score, share)| f64::from(score - share));
        let most = lowered().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = lowered().map(|score| (score - most).exp()).sum();
        let weight = f64::from(*count) / total;
        for (place, (gradient, score)) in gradient.iter_mut().zip(lowered()).enumerate() {
            let share = (score - most).exp() / sum;
            *gradient = (weight * (share - f64::from(u8::from(place == own)))) as f32;
            if place == own {
                loss.mean -= weight * (score - most - sum.ln());
            }
        }
    }
    loss
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn three_clicks_by_hand_and_the_derivative() {
        let (shares, counts) = ([0.5_f32.ln(), 0.3_f32.ln(), 0.2_f32.ln()], [1.0, 2.0, 0.5]);
        let scores = [0.3_f32, -0.2, 0.9, 0.1, 0.4, -0.6, 0.0, 0.7, 0.2];
        let loss = in_batch_softmax(&scores, &shares, &counts);
        // e^s / Q: the first row is e^0.3/0.5, e^-0.2/0.3, e^0.9/0.2.
        let by_hand: f64 = (0..3)
            .map(|own| {
                let odds = |ad: usize| f64::from(scores[own * 3 + ad]).exp() / [0.5, 0.3, 0.2][ad];
                -f64::from(counts[own]) / 3.5 * (odds(own) / (odds(0) + odds(1) + odds(2))).ln()
            })
            .sum();
        assert!((loss.mean - by_hand).abs() < 1e-6, "{} against {by_hand}", loss.mean);
        for at in 0..9 {
            let moved = |by: f32| {
                let mut scores = scores;
                scores[at] += by;
                in_batch_softmax(&scores, &shares, &counts).mean
            };
            let numeric = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!((numeric - f64::from(loss.gradient[at])).abs() < 1e-4, "{at}");
        }
        assert_eq!(in_batch_softmax(&[], &[], &[]).mean, 0.0);
        assert_eq!(in_batch_softmax(&[1.0], &[0.0], &[0.0]).gradient, [0.0], "no click counts");
    }

    /// Ads that users of two sorts click with these chances; `[user][ad]`.
    const TASTES: [[f64; 4]; 2] = [[0.7, 0.15, 0.1, 0.05], [0.5, 0.05, 0.05, 0.4]];

    /// Scores `[user][ad]` learnt on batches of a simulator, with `sign` times `ln Q` added.
    fn learnt(sign: f32) -> [[f64; 4]; 2] {
        let mut rng = Rng::named(7, "in batch");
        let ln_share: Vec<f32> =
            (0..4).map(|ad| sign * (((TASTES[0][ad] + TASTES[1][ad]) / 2.0) as f32).ln()).collect();
        let mut scores = [[0.0_f64; 4]; 2];
        const BATCH: usize = 64;
        for step in 0..3000 {
            let clicks: Vec<(usize, usize)> = (0..BATCH)
                .map(|_| {
                    let user = rng.below(2);
                    let mut left = rng.uniform();
                    let chosen = TASTES[user].iter().position(|chance| {
                        left -= chance;
                        left < 0.0
                    });
                    (user, chosen.unwrap_or(3))
                })
                .collect();
            let matrix: Vec<f32> = clicks
                .iter()
                .flat_map(|(user, _)| clicks.iter().map(|(_, ad)| scores[*user][*ad] as f32))
                .collect();
            let shares: Vec<f32> = clicks.iter().map(|(_, ad)| ln_share[*ad]).collect();
            let loss = in_batch_softmax(&matrix, &shares, &[1.0; BATCH]);
            let rate = if step < 1500 { 1.0 } else { 0.1 };
            for (gradient, (user, _)) in loss.gradient.chunks_exact(BATCH).zip(&clicks) {
                gradient
                    .iter()
                    .zip(&clicks)
                    .for_each(|(g, (_, ad))| scores[*user][*ad] -= rate * f64::from(*g));
            }
        }
        scores
    }

    /// How far the softmax of scores lies from the chances, at most.
    fn off(scores: &[[f64; 4]; 2]) -> f64 {
        let of_user = |(scores, tastes): (&[f64; 4], &[f64; 4])| {
            let sum: f64 = scores.iter().map(|score| score.exp()).sum();
            scores.iter().zip(tastes).map(|(score, p)| (score.exp() / sum - p).abs()).fold(0.0, f64::max)
        };
        scores.iter().zip(&TASTES).map(of_user).fold(0.0, f64::max)
    }

    #[test]
    fn with_log_q_scores_are_those_of_the_full_softmax_and_the_wrong_sign_is_not() {
        let right = off(&learnt(1.0));
        assert!(right < 0.04, "{right}");
        let [without, wrong] = [0.0, -1.0].map(|sign| off(&learnt(sign)));
        assert!(without > 0.15 && wrong > without, "without {without}, wrong sign {wrong}");
    }
}

//! Which slots of a page are looked at, and by whom? Position bias.

use crate::base::{Failure, Result};
use crate::metrics::Estimate;
use serde::{Deserialize, Serialize};

/// How a visitor goes through a page. Each slot has a share of looks between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Examination {
    /// Each slot is looked at by its own share of visitors: the position-based model (Craswell et al. 2008).
    #[default]
    Each,
    /// A slot is looked at only by those who looked at the one before it; its share says how many go on.
    Chain,
    /// As a chain, and who clicks is gone: the cascade model (Craswell et al. 2008).
    Cascade,
}

impl Examination {
    /// Every one, in the order of choosers.
    pub const ALL: [Self; 3] = [Self::Each, Self::Chain, Self::Cascade];

    /// The words in a chooser.
    pub fn label(self) -> &'static str {
        match self {
            Self::Each => "each slot for itself",
            Self::Chain => "one after the other",
            Self::Cascade => "one after the other until a click",
        }
    }

    /// How often each slot is looked at before anyone knows what stands in it: what an auction can know.
    pub fn looks(self, shares: &[f64]) -> Vec<f64> {
        match self {
            Self::Each => shares.to_vec(),
            Self::Chain | Self::Cascade => shares
                .iter()
                .scan(1.0, |reach, share| {
                    *reach *= share;
                    Some(*reach)
                })
                .collect(),
        }
    }
}

/// One visitor on the way down a page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visit {
    examination: Examination,
    /// The probability that the next slot is looked at, before any luck is known.
    reach: f64,
    /// Whether this visitor is still there.
    here: bool,
    next_slot: usize,
}

/// What a visitor does with one filled slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Look {
    /// The probability of a click over all luck.
    pub p_click: f64,
    pub clicked: bool,
}

impl Look {
    /// What the log says of the ad that it shows.
    pub fn logged(clicked: bool) -> Self {
        Self { p_click: f64::from(u8::from(clicked)), clicked }
    }
}

impl Visit {
    pub fn new(examination: Examination) -> Self {
        Self { examination, reach: 1.0, here: true, next_slot: 0 }
    }

    /// Comes to `slot`, whose ad is clicked with probability `attractive` when it is looked at. `luck(slot)` gives
    /// two uniforms, for the look and for the click. Slots are visited in order; empty ones may be left out.
    pub fn slot(
        &mut self,
        slot: usize,
        shares: &[f64],
        attractive: f64,
        luck: impl Fn(usize) -> (f64, f64),
    ) -> Look {
        if self.examination == Examination::Each {
            let p_click = shares[slot] * attractive;
            return Look { p_click, clicked: luck(slot).1 < p_click };
        }
        while self.next_slot <= slot {
            let share = shares[self.next_slot];
            self.reach *= share;
            self.here = self.here && luck(self.next_slot).0 < share;
            self.next_slot += 1;
        }
        let p_click = self.reach * attractive;
        let clicked = self.here && luck(slot).1 < attractive;
        if self.examination == Examination::Cascade {
            self.reach *= 1.0 - attractive;
            self.here = self.here && !clicked;
        }
        Look { p_click, clicked }
    }
}

/// Looks of each position relative to the first, from a log in which ads were put into positions by chance: the
/// ratio of click rates (Joachims, Swaminathan & Schnabel 2017). Intervals by the delta method, 95 %.
///
/// # Errors
/// Lists of different lengths, or a first position without clicks: then nothing can be compared to it.
pub fn looks_from_swaps(shown: &[f64], clicked: &[f64]) -> Result<Vec<Estimate>> {
    let refuse = |why: &str| Failure::new("cannot measure how often slots are looked at", why);
    let (Some(&shown_first), Some(&clicked_first)) = (shown.first(), clicked.first()) else {
        return Err(refuse("there are no positions"));
    };
    if shown.len() != clicked.len() {
        return Err(refuse("positions and clicks have different lengths"));
    }
    if clicked_first <= 0.0 {
        return Err(refuse("the first position has no clicks").hint("use a longer log"));
    }
    let first = clicked_first / shown_first;
    let relative_variance = |rate: f64, n: f64| if rate > 0.0 { (1.0 - rate) / (rate * n) } else { 0.0 };
    let mut looks = vec![Estimate { value: 1.0, low: 1.0, high: 1.0 }];
    for (&shown, &clicked) in shown.iter().zip(clicked).skip(1) {
        if shown <= 0.0 {
            looks.push(Estimate::normal(0.0, f64::INFINITY));
            continue;
        }
        let rate = clicked / shown;
        let ratio = rate / first;
        let variance = relative_variance(rate, shown) + relative_variance(first, shown_first);
        looks.push(Estimate::normal(ratio, ratio * variance.sqrt()));
    }
    Ok(looks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_auction_can_know_of_looks() {
        assert_eq!(Examination::Each.looks(&[1.0, 0.6]), [1.0, 0.6]);
        let chain = Examination::Chain.looks(&[1.0, 0.8, 0.6]);
        assert!((chain[2] - 0.48).abs() < 1e-12, "{chain:?}");
    }

    #[test]
    fn a_first_position_without_clicks_is_refused() {
        assert!(looks_from_swaps(&[10.0, 10.0], &[0.0, 3.0]).is_err());
        assert!(looks_from_swaps(&[], &[]).is_err());
        let unknown = looks_from_swaps(&[10.0, 0.0], &[3.0, 0.0]).unwrap();
        assert!(unknown[1].high.is_infinite());
    }
}

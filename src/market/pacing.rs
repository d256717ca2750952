//! How does a budget last to the end of the run?
//!
//! Every controller sees what its campaign spent page by page and aims at `budget / pages` a page. The three
//! ways differ in what they turn: whether to enter an auction (throttling), or how much to bid
//! (multiplicative pacing by dual descent, PID). With second prices the best of all is to bid `v / (1 + mu)`
//! in every auction (Balseiro & Gur 2019): for v and rival on U`[0, 1]` and a budget of `rho` an auction
//! `alpha = 1 / (1 + mu) = sqrt(6 rho)`.

use crate::domain::Pacing;

/// One campaign's controller.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pacer {
    kind: Pacing,
    /// Nanos that a page may cost on average.
    target: f64,
    /// Nanos of the whole budget, and pages of the whole run.
    budget: f64,
    pages: f64,
    done: f64,
    spent: f64,
    /// Shadow price of money, `mu` (dual descent).
    shadow_price: f64,
    /// Share of the auctions entered (throttling) or of the worth that is bid (PID).
    share: f64,
    /// Pages entered, and what they cost, with old ones forgotten slowly (throttling).
    entered: f64,
    entered_cost: f64,
    window: Window,
}

/// What a PID controller remembers.
#[derive(Debug, Clone, PartialEq, Default)]
struct Window {
    pages: f64,
    spent: f64,
    last_error: f64,
    sum: f64,
}

/// Step of the dual descent, in shares of the target: `1 / sqrt(200,000)`, the step of the regret bound for a
/// run of that length; longer runs only gain.
const STEP: f64 = 0.002_236;
/// A price of money beyond which hardly anything is bid: keeps a start with dear auctions recoverable.
const DEAREST: f64 = 100.0;
/// A PID controller looks this many times in a run.
const LOOKS: f64 = 500.0;
const PROPORTIONAL: f64 = 0.20;
const INTEGRAL: f64 = 0.02;
const DERIVATIVE: f64 = 0.02;
/// Pages over which throttling averages the cost of an auction entered.
const MEMORY: f64 = 5_000.0;

impl Pacer {
    /// A controller for a budget over so many pages; without a budget nothing is paced.
    pub fn new(kind: Pacing, budget_nanos: Option<i64>, pages: u64) -> Self {
        let kind = if budget_nanos.is_some_and(|budget| budget > 0) { kind } else { Pacing::HardStop };
        let (budget, pages) = (budget_nanos.unwrap_or(0) as f64, (pages as f64).max(1.0));
        Self {
            kind,
            target: budget / pages,
            budget,
            pages,
            done: 0.0,
            spent: 0.0,
            shadow_price: 0.0,
            share: 1.0,
            entered: 0.0,
            entered_cost: 0.0,
            window: Window::default(),
        }
    }

    /// Whether it enters an auction, given a uniform.
    pub fn enters(&self, luck: f64) -> bool {
        self.kind != Pacing::Throttle || luck < self.share
    }

    /// What share of its worth it bids.
    pub fn factor(&self) -> f64 {
        match self.kind {
            Pacing::HardStop | Pacing::Throttle => 1.0,
            Pacing::Multiplicative => 1.0 / (1.0 + self.shadow_price),
            Pacing::Pid => self.share,
        }
    }

    /// True when it has something to learn from each page.
    pub fn learns(&self) -> bool {
        self.kind != Pacing::HardStop
    }

    /// One page passed, in which the campaign entered or not; so much of the budget is gone now.
    pub fn page(&mut self, entered: bool, spent_nanos: i64) {
        let paid = spent_nanos as f64 - self.spent;
        self.done += 1.0;
        self.spent = spent_nanos as f64;
        match self.kind {
            Pacing::HardStop => {}
            Pacing::Multiplicative => {
                let over = paid / self.target - 1.0;
                self.shadow_price = (self.shadow_price + STEP * over).clamp(0.0, DEAREST);
            }
            Pacing::Throttle => self.throttle(entered, paid),
            Pacing::Pid => self.steer(paid),
        }
    }

    /// Enters as many of the pages left as the money left pays for at the usual cost of an auction entered.
    fn throttle(&mut self, entered: bool, paid: f64) {
        if entered {
            let keep = 1.0 - 1.0 / MEMORY;
            self.entered = self.entered * keep + 1.0;
            self.entered_cost = self.entered_cost * keep + paid;
        }
        let cost = self.entered_cost / self.entered.max(1.0);
        if cost > 0.0 {
            let left = (self.budget - self.spent) / (self.pages - self.done).max(1.0);
            self.share = (left / cost).clamp(0.0, 1.0);
        }
    }

    /// Once a window: the error is how far the spend fell short of what the rest of the budget allows.
    fn steer(&mut self, paid: f64) {
        let window = &mut self.window;
        window.pages += 1.0;
        window.spent += paid;
        if window.pages < (self.pages / LOOKS).max(1.0) {
            return;
        }
        let left = (self.budget - self.spent).max(0.0) / (self.pages - self.done).max(1.0);
        let aim = left.max(self.target * 0.01) * window.pages;
        let error = (1.0 - window.spent / aim).clamp(-2.0, 1.0);
        window.sum = (window.sum + error).clamp(-20.0, 20.0);
        let change = PROPORTIONAL * error + INTEGRAL * window.sum + DERIVATIVE * (error - window.last_error);
        self.share = (self.share * change.clamp(-0.5, 0.5).exp()).clamp(0.001, 1.0);
        if self.share >= 1.0 {
            // Nothing to wind up while the bid cannot go higher.
            window.sum = window.sum.min(0.0);
        }
        *window = Window { last_error: error, sum: window.sum, ..Window::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_budget_nothing_is_paced() {
        for kind in Pacing::ALL {
            let mut pacer = Pacer::new(kind, None, 10);
            for page in 1..=100 {
                pacer.page(true, page * 1_000_000);
            }
            assert!((pacer.factor() - 1.0).abs() < 1e-12 && pacer.enters(0.999_999));
        }
    }

    #[test]
    fn a_budget_larger_than_the_market_is_not_held_back() {
        for kind in Pacing::ALL {
            let mut pacer = Pacer::new(kind, Some(1_000_000), 1_000);
            for page in 1..=1_000 {
                pacer.page(true, page * 500);
            }
            assert!(pacer.factor() > 0.95 && pacer.enters(0.95), "{pacer:?}");
        }
    }
}

//! Does a person's vector point where the ad's does? Factors of who clicked on what, solved for or ranked.
//!
//! [`Explicit`](Way::Explicit) fits vectors and biases to how often who was shown what clicked on it (Koren, Bell & Volinsky 2009),
//! [`Als`](Way::Als) solves for the vectors by least squares in turns (Hu, Koren & Volinsky 2008), [`Bpr`](Way::Bpr) by
//! ranking what was clicked above what was not (Rendle et al. 2009), [`LightGcn`](Way::LightGcn) by ranking vectors that are
//! smoothed over the graph of clicks (He et al. 2020), [`Irgan`](Way::Irgan) by a generator's game against a judge (Wang et al.
//! 2017): all before the first step of training. Whoever was not in the training rows has a vector of zeros.

use super::counted::{Counting, ScaledSum};
use super::features::{EMBEDDING_WIDTH, FieldRows, LINEAR_FLOW, NEEDS_USER_AND_AD, need_user_and_ad};
use super::{Flow, Inputs, Model, ModelKind, Network, Output};
use crate::base::Result;
use crate::base::params::{ParamSpec, Params};
use crate::data::batch::FIRST_VALUE_ID;
use crate::data::{Batch, Encoder};
use crate::nn::factors::{self, Factors, Search};
use crate::nn::irgan::{self, Game};
use crate::nn::light_gcn::{Draws, Smoothing, light_gcn};
use crate::nn::neighbours::Interactions;
use crate::nn::rated::rated;
use crate::nn::tables::Lookup;
use crate::nn::weights::Builder;
use crate::nn::{Computed, Pass};

/// Table of all vectors.
const FACTORS: &str = "factors";

pub(super) const PASSES: ParamSpec = ParamSpec::integer(
    "passes",
    "Passes",
    (1, 15, 500),
    "Passes over all clicks that the vectors are found in, before training.",
);

/// Vectors of users and ads, found in this way.
#[derive(Debug)]
pub struct Factorised(pub Way);

/// How the vectors are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Explicit values with biases, by steps.
    Explicit,
    /// Implicit alternating least squares.
    Als,
    /// Bayesian personalised ranking.
    Bpr,
    /// Graph convolution without weights.
    LightGcn,
    /// A generator that plays against a judge.
    Irgan,
}

const EXPLICIT_KNOBS: &[ParamSpec] = &[
    EMBEDDING_WIDTH,
    PASSES,
    ParamSpec::log_real(
        "penalty",
        "Penalty",
        (1e-6, 0.05, 10.0),
        "On the squares of vectors and biases, in each step.",
    ),
    ParamSpec::log_real("fitting_rate", "Rate of fitting", (1e-4, 0.01, 1.0), "Length of a step."),
];

const ALS_KNOBS: &[ParamSpec] = &[
    EMBEDDING_WIDTH,
    PASSES,
    ParamSpec::log_real(
        "penalty",
        "Penalty",
        (1e-3, 10.0, 1e4),
        "On the squares of the vectors. Turn up when clicks are few.",
    ),
    ParamSpec::log_real(
        "click_weight",
        "Weight of a click",
        (0.1, 20.0, 1000.0),
        "What a click counts above a pair without one (alpha).",
    ),
];

const BPR_KNOBS: &[ParamSpec] = &[
    EMBEDDING_WIDTH,
    PASSES,
    ParamSpec::log_real(
        "penalty",
        "Penalty",
        (1e-6, 0.01, 1.0),
        "On the squares of the vectors, in each step.",
    ),
    ParamSpec::log_real("ranking_rate", "Rate of ranking", (1e-4, 0.05, 1.0), "Length of a ranking step."),
];

const LIGHT_GCN_KNOBS: &[ParamSpec] = &[
    EMBEDDING_WIDTH,
    ParamSpec::integer(
        "graph_layers",
        "Graph layers",
        (0, 3, 6),
        "How many steps along clicks a vector hears from. Without any it is plain matrix factorisation.",
    ),
    PASSES,
    ParamSpec::log_real(
        "penalty",
        "Penalty",
        (1e-6, 1e-4, 1.0),
        "On the squares of the vectors before they are smoothed.",
    ),
    ParamSpec::log_real(
        "ranking_rate",
        "Rate of ranking",
        (1e-4, 0.01, 1.0),
        "Length of a ranking step (Adam).",
    ),
];

const IRGAN_KNOBS: &[ParamSpec] = &[
    EMBEDDING_WIDTH,
    ParamSpec::integer(
        "passes",
        "Passes",
        (0, 30, 500),
        "Passes over all clicks in which vectors are ranked against hard rivals, before the game.",
    ),
    ParamSpec::log_real(
        "penalty",
        "Penalty",
        (1e-6, 0.03, 1.0),
        "On the squares of the vectors, in each step.",
    ),
    ParamSpec::log_real("ranking_rate", "Rate of ranking", (1e-4, 0.05, 1.0), "Length of a ranking step."),
    ParamSpec::integer(
        "rounds",
        "Rounds of the game",
        (0, 3, 100),
        "Turns of judge and generator. Without any the vectors stay as they were ranked.",
    ),
    ParamSpec::log_real(
        "game_rate",
        "Rate of the game",
        (1e-5, 0.01, 1.0),
        "Length of a step of judge and generator. High rates forget what was ranked.",
    ),
];

/// Passes of judge and generator in a round: a tenth of those of IRGAN's authors, whose steps are a tenth as long.
const ROUND: [usize; 2] = [10, 5];

/// Triples of a step of LightGCN.
const TRIPLES: usize = 1024;

/// The drawing of a kind whose vectors are found in this way.
pub(super) const fn product_flow(does: &'static str) -> [Flow; 4] {
    [
        LINEAR_FLOW,
        Flow::of(FACTORS, &["fields"], does),
        Flow::of("scale", &[FACTORS], "user times ad, and what it counts"),
        Flow::click(&["linear", "scale"]),
    ]
}

impl ModelKind for Factorised {
    fn id(&self) -> &'static str {
        match self.0 {
            Way::Explicit => "biased_mf",
            Way::Als => "als",
            Way::Bpr => "bpr_mf",
            Way::LightGcn => "light_gcn",
            Way::Irgan => "irgan",
        }
    }

    fn label(&self) -> &'static str {
        match self.0 {
            Way::Explicit => "Biased factors (SVD)",
            Way::Als => "Implicit ALS",
            Way::Bpr => "BPR factors",
            Way::LightGcn => "LightGCN",
            Way::Irgan => "IRGAN",
        }
    }

    fn summary(&self) -> &'static str {
        match self.0 {
            Way::Explicit => {
                "Biases and vectors of people and ads, fitted to clicks and to impressions without one: who saw an ad and did \
                 not click tells something too."
            }
            Way::Als => {
                "Vectors of people and ads from who clicked on what, solved for exactly in turns. Fast on many clicks."
            }
            Way::Bpr => "Vectors of people and ads that put what a person clicked above what they did not.",
            Way::LightGcn => {
                "Vectors smoothed over the graph of who clicked on what: says something of people with one click."
            }
            Way::Irgan => {
                "Vectors of a generator that shows ads so that a judge takes them for clicked ones (GAN). Compare it with its own \
                 start, 0 rounds: vectors that are ranked well are often better without the game."
            }
        }
    }

    fn params(&self) -> &'static [ParamSpec] {
        match self.0 {
            Way::Explicit => EXPLICIT_KNOBS,
            Way::Als => ALS_KNOBS,
            Way::Bpr => BPR_KNOBS,
            Way::LightGcn => LIGHT_GCN_KNOBS,
            Way::Irgan => IRGAN_KNOBS,
        }
    }

    fn needs(&self) -> &'static str {
        NEEDS_USER_AND_AD
    }

    fn flow(&self) -> &'static [Flow] {
        match self.0 {
            Way::Explicit => const { &product_flow("biases and vectors of users and ads, fitted") },
            Way::Als => const { &product_flow("vectors of users and ads, solved for") },
            Way::Bpr => const { &product_flow("vectors of users and ads, ranked") },
            Way::LightGcn => {
                const { &product_flow("vectors of users and ads, smoothed over the graph of clicks") }
            }
            Way::Irgan => const { &product_flow("vectors of users and ads, of a generator against a judge") },
        }
    }

    fn check(&self, encoder: &Encoder) -> Result<()> {
        need_user_and_ad(encoder, self.id()).map(|_| ())
    }

    fn count(&self, rows: &Counting<'_>, network: &mut Network) -> Result<()> {
        let params = rows.params;
        let explicit = self.0 == Way::Explicit;
        fill(rows, network, (self.id(), explicit), |clicks, search| match self.0 {
            Way::Explicit => Ok(rated(clicks, search, params.real("fitting_rate")?, rows.context)?.factors),
            Way::Als => factors::als(clicks, search, params.real("click_weight")?, rows.context),
            Way::Bpr => factors::bpr(clicks, search, params.real("ranking_rate")?, rows.context),
            Way::LightGcn => {
                let how = Smoothing {
                    layers: params.count("graph_layers")?,
                    rate: params.real("ranking_rate")?,
                    batch: TRIPLES,
                    draws: Draws::Clicks,
                };
                light_gcn(clicks, search, how, rows.context)
            }
            Way::Irgan => play(rows, clicks, search),
        })
    }

    fn build(&self, encoder: &Encoder, params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        Ok(Box::new(Product::new(encoder, params, builder, self.id())?))
    }
}

/// Ranks, and plays from there.
fn play(rows: &Counting<'_>, clicks: &Interactions, search: Search) -> Result<Factors> {
    let params = rows.params;
    let rate = params.real("game_rate")?;
    let [judge_passes, generator_passes] = ROUND;
    let game = Game {
        rounds: params.count("rounds")?,
        judge_passes,
        generator_passes,
        judge_rate: rate,
        generator_rate: rate,
        penalty: search.penalty,
    };
    let catalogue: Vec<u32> = (FIRST_VALUE_ID..clicks.columns() as u32).collect();
    let ranking_rate = params.real("ranking_rate")?;
    let start = irgan::ranked(clicks, &catalogue, search, ranking_rate, rows.context, |_| {})?;
    irgan::irgan(clicks, &catalogue, start, (game, search.seed), rows.context, |_, _| {})
}

/// Finds the vectors and puts them into the table; of clicks, or with `all` of the click rates of pairs.
pub(super) fn fill(
    rows: &Counting<'_>,
    network: &mut Network,
    (kind, all): (&str, bool),
    find: impl Fn(&Interactions, Search) -> Result<Factors>,
) -> Result<()> {
    let [user, ad] = need_user_and_ad(&rows.dataset.encoder, kind)?;
    let clicks = rows.by_user(user, ad, all);
    let width = rows.params.count("embedding_width")?;
    let (passes, penalty) = (rows.params.count("passes")?, rows.params.real("penalty")?);
    let search = Search { width, passes, penalty, seed: rows.seed };
    let found = find(&clicks, search)?;
    let table = network.table_mut(FACTORS)?;
    for (field, vectors) in [(user, &found.people), (ad, &found.items)] {
        let start = table.start(field);
        for (id, vector) in (0..).zip(vectors.chunks_exact(width)) {
            table.row_mut(start + id).copy_from_slice(vector);
        }
    }
    Ok(())
}

/// The product of a user's and an ad's vector, beside a linear part.
pub(super) struct Product {
    sum: ScaledSum,
    pair: [usize; 2],
    factors: FieldRows,
}

impl Product {
    pub(super) fn new(encoder: &Encoder, params: &Params, builder: &mut Builder, kind: &str) -> Result<Self> {
        Ok(Self {
            sum: ScaledSum::new(encoder, builder, 1.0)?,
            pair: need_user_and_ad(encoder, kind)?,
            factors: FieldRows::counted(encoder, builder, FACTORS, params.count("embedding_width")?)?,
        })
    }
}

impl Model for Product {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        vec![self.sum.lookup(batch), self.factors.some(batch, &self.pair)]
    }

    fn forward(&self, inputs: &Inputs<'_>, _pass: &mut Pass<'_>) -> Computed<Output> {
        let side = |place| inputs.gathered[1].narrow(1, place, 1)?.squeeze(1);
        self.sum.forward(inputs, &(side(0)? * side(1)?)?.sum(1)?)
    }
}

#[cfg(test)]
mod tests {
    use crate::models::check::{dot, equals_loops};

    #[test]
    fn equal_the_linear_part_and_the_product_of_two_vectors() {
        for kind in ["biased_mf", "als", "bpr_mf", "light_gcn", "gcn", "irgan"] {
            equals_loops(kind, &[("embedding_width", "3")], |weights, batch, row| {
                let user = weights.row("factors.user", batch.categorical[0][row]).to_vec();
                let ad = weights.row("factors.ad", batch.categorical[1][row]);
                weights.linear_part(batch, row) + weights.of("scale")[0] * dot(&user, ad)
            });
        }
    }
}

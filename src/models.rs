//! Which models are there, and what must each be able to do?
//!
//! A [`ModelKind`] describes itself, says what data it needs and builds a [`Model`]; the [`Network`] holds the
//! model with its weights and runs it on batches. Adding a kind is one file and one entry in [`MODELS`]: form,
//! command line, training, saving, evaluation and the tests over all kinds follow. Start with [`logistic`].

pub mod deep_fm;
pub mod din;
pub mod features;
pub mod logistic;
pub mod network;

pub use network::{Forward, Network};

use crate::base::params::{ParamSpec, Params};
use crate::base::{Failure, Result};
use crate::data::{Batch, Encoder};
use crate::nn::tables::Lookup;
use crate::nn::weights::Builder;
use crate::nn::{Computed, Pass};
use candle_core::Tensor;

/// Every kind, in the order in which menus list them.
pub const MODELS: &[&dyn ModelKind] = &[&logistic::Logistic, &deep_fm::DeepFm, &din::Din];

/// A kind of model: what it is, what it needs, how it is built.
pub trait ModelKind: Sync {
    /// Stable word in files, flags and JSON.
    fn id(&self) -> &'static str;

    /// The words in menus.
    fn label(&self) -> &'static str;

    /// One line: what it can see that others cannot.
    fn summary(&self) -> &'static str;

    /// Its knobs, beside those of training.
    fn params(&self) -> &'static [ParamSpec];

    /// Defaults of training's real knobs that suit this kind better than the common ones.
    fn training_defaults(&self) -> &'static [(&'static str, f64)] {
        &[]
    }

    /// True when it can say which past behaviours it weighed.
    fn exposes_attention(&self) -> bool {
        false
    }

    /// Refuses data that the kind cannot work with.
    ///
    /// # Errors
    /// What is missing, why it is needed, and what to try.
    fn check(&self, encoder: &Encoder) -> Result<()>;

    /// Draws a model for data of this encoding.
    ///
    /// # Errors
    /// A parameter is missing, or the device is out of memory.
    fn build(&self, encoder: &Encoder, params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>>;
}

/// A built model: which table rows a batch needs, and what it makes of them.
pub trait Model: Send + Sync {
    /// The lookups of a batch; `Inputs::gathered` holds their answers in the same order.
    fn lookups(&self, batch: &Batch) -> Vec<Lookup>;

    /// Scores a batch.
    ///
    /// # Errors
    /// Shapes that do not fit, or the device is out of memory.
    fn forward(&self, inputs: &Inputs<'_>, pass: &mut Pass<'_>) -> Computed<Output>;
}

/// What a model sees of a batch.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// The batch itself, for lengths of sequences.
    pub batch: &'a Batch,
    /// `[rows, numeric fields]`.
    pub numeric: Tensor,
    /// One tensor a lookup: its shape, then the table's width.
    pub gathered: &'a [Tensor],
}

/// What a model answers.
#[derive(Debug)]
pub struct Output {
    /// `[rows]`: log odds of a click.
    pub logits: Tensor,
    /// `[sequence]` of `[rows, positions]` weights; empty for kinds without attention.
    pub attention: Vec<Tensor>,
}

/// The kind called `id`.
///
/// # Errors
/// There is none; the known ids are listed.
pub fn kind(id: &str) -> Result<&'static dyn ModelKind> {
    MODELS.iter().copied().find(|kind| kind.id() == id).ok_or_else(|| {
        let known: Vec<_> = MODELS.iter().map(|kind| kind.id()).collect();
        Failure::new("cannot choose a model", format!("there is no model '{id}'"))
            .hint(format!("one of: {}", known.join(", ")))
    })
}

//! Which models are there, and what must each be able to do?
//!
//! A [`ModelKind`] describes itself, says what data it needs and builds a [`Model`]; the [`Network`] holds the
//! model with its weights and runs it on batches. Adding a kind is one file and one entry in [`MODELS`]: form,
//! command line, training, saving, evaluation and the tests over all kinds follow. Start with [`logistic`].

pub mod auto_int;
pub mod bst;
pub mod content_cf;
pub mod counted;
pub mod dcn_v2;
pub mod deep_fm;
pub mod dien;
pub mod din;
pub mod direct;
pub mod ease;
pub mod esmm;
pub mod factors;
pub mod features;
pub mod ffm;
pub mod final_mlp;
pub mod fm;
pub mod gbdt;
pub mod gcn;
pub mod hybrid;
pub mod integrated;
pub mod item_cf;
pub mod logistic;
pub mod looked;
pub mod mask_net;
pub mod memory;
pub mod mmoe;
pub mod network;
pub mod neu_mf;
pub mod newcomers;
pub mod on_vectors;
pub mod outline;
pub mod ple;
pub mod rates;
pub mod recurrent;
pub mod sas_rec;
pub mod two_tower;
pub mod user_cf;
pub mod wide_deep;

pub use counted::Counting;
pub use direct::DirectModel;
pub use looked::{Look, Looked};
pub use network::{Attack, Forward, Gradients, Network};
pub use outline::Flow;

use crate::base::params::{ParamSpec, Params};
use crate::base::{Failure, Result};
use crate::data::{Batch, Encoder};
use crate::nn::recurrent::Cell;
use crate::nn::tables::Lookup;
use crate::nn::weights::Builder;
use crate::nn::{Computed, Pass};
use candle_core::Tensor;
use factors::Way;
use features::need_features;

/// Every kind, in the order in which menus list them.
pub const MODELS: &[&dyn ModelKind] = &[
    &rates::GlobalRate,
    &rates::SegmentRate,
    &logistic::Logistic,
    &gbdt::Gbdt,
    &item_cf::ItemCf,
    &user_cf::UserCf,
    &ease::Ease,
    &content_cf::ContentCf,
    &hybrid::Hybrid,
    &factors::Factorised(Way::Explicit),
    &factors::Factorised(Way::Als),
    &factors::Factorised(Way::Bpr),
    &factors::Factorised(Way::LightGcn),
    &gcn::Gcn,
    &factors::Factorised(Way::Irgan),
    &fm::Fm,
    &ffm::Ffm,
    &wide_deep::WideDeep,
    &deep_fm::DeepFm,
    &dcn_v2::DcnV2,
    &auto_int::AutoInt,
    &mask_net::MaskNet,
    &final_mlp::FinalMlp,
    &neu_mf::NeuMf,
    &two_tower::TwoTower,
    &recurrent::ReadsInOrder(Cell::Lstm),
    &recurrent::ReadsInOrder(Cell::Gru),
    &din::Din,
    &dien::Dien,
    &bst::Bst,
    &memory::MemoryNetwork,
    &sas_rec::SasRec,
    &esmm::Esmm,
    &mmoe::Mmoe,
    &ple::Ple,
];

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

    /// The steps of its computation, for the drawing; the last is [`outline::CLICK`].
    fn flow(&self) -> &'static [Flow] {
        &[]
    }

    /// The data that it takes, in words.
    fn needs(&self) -> &'static str {
        "an outcome (clicked or not), and a column to learn from"
    }

    /// True when it can say which past behaviours it weighed.
    fn exposes_attention(&self) -> bool {
        false
    }

    /// True when it has attention heads, over past behaviours or among fields.
    fn has_heads(&self) -> bool {
        self.exposes_attention()
    }

    /// The stacks of layers that end in a vector of the user and in one of the ad, of kinds whose score is their product.
    fn towers(&self) -> Option<[&'static str; 2]> {
        None
    }

    /// True when it learns what follows a click as a second task.
    fn learns_conversions(&self) -> bool {
        false
    }

    /// True for kinds that only say what others must beat: they cannot learn rows by heart.
    fn is_baseline(&self) -> bool {
        false
    }

    /// Fills the weights that are counted or solved for on the training rows before the first step, and that no step
    /// moves, of kinds that have such.
    ///
    /// # Errors
    /// Rows that do not allow it, or a cancel.
    fn count(&self, _rows: &Counting<'_>, _network: &mut Network) -> Result<()> {
        Ok(())
    }

    /// Refuses data that the kind cannot work with: for most, data without a feature.
    ///
    /// # Errors
    /// What is missing, why it is needed, and what to try.
    fn check(&self, encoder: &Encoder) -> Result<()> {
        need_features(encoder)
    }

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

    /// The same sums without a graph, where the kind has them; the processor's way.
    fn direct(&self) -> Option<Box<dyn DirectModel>> {
        None
    }
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
    /// What kinds with a second task say of it.
    pub conversions: Option<Conversions>,
    /// What kinds learn beside clicks from other scores of a batch.
    pub beside: Option<Beside>,
}

impl Output {
    /// Log odds of a click, and nothing else.
    pub fn of(logits: Tensor) -> Self {
        Self { logits, attention: Vec::new(), conversions: None, beside: None }
    }
}

/// The second task of kinds that [learn conversions](ModelKind::learns_conversions).
#[derive(Debug, Clone)]
pub struct Conversions {
    /// `[rows]`: log odds of a conversion, given a click.
    pub logits: Tensor,
    /// What its loss counts beside that of clicks.
    pub weight: f64,
}

/// Scores of a batch that are no clicks and are learnt as well.
#[derive(Debug, Clone)]
pub struct Beside {
    /// The scores.
    pub scores: Tensor,
    /// What this loss counts beside that of clicks.
    pub weight: f64,
    /// What they should say.
    pub wanted: Wanted,
}

/// What scores beside those of clicks should say.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// Which ad each click's user clicked, of those of every click of the batch, for [`in_batch`](crate::nn::in_batch):
    /// scores `[clicks, clicks]` with the click's own ad on the diagonal.
    OwnAd {
        /// `[clicks]`: log of each ad's share of the clicks.
        ln_shares: Vec<f32>,
        /// `[clicks]`: what each counts.
        counts: Vec<f32>,
    },
    /// Whether each pair of `[pairs]` is a real one: scores are log odds.
    Real {
        /// `[pairs]`: 1 for real ones, 0 for drawn ones.
        targets: Vec<f32>,
        /// `[pairs]`: what each counts.
        counts: Vec<f32>,
    },
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

/// Place in [`MODELS`] of the strong first choice, which menus show first.
pub fn first_choice() -> usize {
    MODELS.iter().position(|kind| kind.id() == "deep_fm").unwrap_or_default()
}

/// The kinds that are worth a first try on data of this encoding, best known first: from the simplest to those that use
/// what only some data has.
pub fn recommended(encoder: &Encoder) -> Vec<&'static dyn ModelKind> {
    const RECOMMENDED: usize = 5;
    // A baseline, pairs of values, the strong first choice; then histories, conversions, and crossing without either.
    let order = ["logistic", "fm", "deep_fm", "din", "esmm", "dcn_v2", "two_tower", "mask_net"];
    let fits = |id: &&str| kind(id).ok().filter(|kind| kind.check(encoder).is_ok());
    order.iter().filter_map(fits).take(RECOMMENDED).collect()
}

#[cfg(test)]
pub(crate) mod check {
    //! A few rows and lively weights, so that a kind can be compared with its equation written as plain loops.

    use super::{Forward, Network, kind};
    use crate::base::params::Params;
    use crate::base::rng::Rng;
    use crate::data::batch::SequenceBatch;
    use crate::data::encode::{CategoricalField, KeyColumns, NumericField, SequenceField, Side};
    use crate::data::{Batch, Encoder};
    use crate::nn::Pass;
    use candle_core::Device;
    use std::collections::BTreeMap;

    /// Three rows of a user, an ad, an hour, a number and a history of ads.
    pub(crate) fn tiny() -> (Encoder, Batch) {
        let field = |name: &str, side, n: usize| CategoricalField {
            name: name.into(),
            side,
            values: (0..n).map(|i| i.to_string()).collect(),
            hash_buckets: 0,
        };
        let encoder = Encoder {
            label: "click".into(),
            conversion: Some("bought".into()),
            keys: KeyColumns { time: None, user: Some("user".into()), ad: Some("ad".into()) },
            categorical: vec![
                field("user", Side::User, 3),
                field("ad", Side::Ad, 2),
                field("hour", Side::Context, 2),
            ],
            numeric: vec![NumericField {
                name: "number".into(),
                side: Side::Ad,
                log: false,
                mean: 0.0,
                deviation: 1.0,
            }],
            sequences: vec![SequenceField {
                name: "history".into(),
                target: 1,
                max_len: 3,
                from_user_history_of: None,
                clicked_only: false,
            }],
            ..Encoder::default()
        };
        let batch = Batch {
            rows: 3,
            categorical: vec![vec![2, 4, 1], vec![3, 2, 3], vec![2, 3, 3]],
            numeric: vec![vec![0.5, -1.5, 0.0]],
            sequences: vec![SequenceBatch {
                max_len: 3,
                ids: vec![2, 3, 3, 3, 0, 0, 0, 0, 0],
                lengths: vec![3, 1, 0],
            }],
            label: vec![1.0, 0.0, 1.0],
            conversion: vec![0.0, 0.0, 1.0],
            weight: vec![],
        };
        (encoder, batch)
    }

    /// The weights of a network by their names in files.
    pub(crate) struct Weights(BTreeMap<String, (Vec<usize>, Vec<f64>)>);

    impl Weights {
        /// All numbers of a tensor.
        pub(crate) fn of(&self, name: &str) -> &[f64] {
            &self.0[name].1
        }

        /// A row of a matrix, or of a field's table.
        pub(crate) fn row(&self, name: &str, row: u32) -> &[f64] {
            let (shape, values) = &self.0[name];
            &values[row as usize * shape[1]..][..shape[1]]
        }

        /// `W x + b` of a dense layer.
        pub(crate) fn linear(&self, name: &str, x: &[f64]) -> Vec<f64> {
            let bias = self.of(&format!("{name}.bias"));
            let weight = format!("{name}.weight");
            bias.iter().enumerate().map(|(i, b)| b + dot(self.row(&weight, i as u32), x)).collect()
        }

        /// Two hidden layers with relu and a linear output.
        pub(crate) fn deep(&self, name: &str, x: &[f64]) -> Vec<f64> {
            let mut x = x.to_vec();
            for layer in 0..2 {
                x = self.linear(&format!("{name}.{layer}"), &x).into_iter().map(|v| v.max(0.0)).collect();
            }
            self.linear(&format!("{name}.out"), &x)
        }

        /// The linear part of a row of [`tiny`].
        pub(crate) fn linear_part(&self, batch: &Batch, row: usize) -> f64 {
            let of_values: f64 = ["user", "ad", "hour"]
                .iter()
                .zip(&batch.categorical)
                .map(|(field, ids)| self.row(&format!("linear.{field}"), ids[row])[0])
                .sum();
            of_values + self.of("numeric.weight")[0] * f64::from(batch.numeric[0][row]) + self.of("bias")[0]
        }

        /// Embeddings of a row of [`tiny`]: user, ad, hour, and the mean of the history.
        pub(crate) fn embeddings(&self, batch: &Batch, row: usize) -> Vec<Vec<f64>> {
            let mut vectors: Vec<Vec<f64>> = ["user", "ad", "hour"]
                .iter()
                .zip(&batch.categorical)
                .map(|(field, ids)| self.row(&format!("embedding.{field}"), ids[row]).to_vec())
                .collect();
            let past = self.history(batch, row);
            let mut mean = vec![0.0; vectors[0].len()];
            for event in &past {
                mean.iter_mut().zip(event).for_each(|(m, v)| *m += v / past.len() as f64);
            }
            vectors.push(mean);
            vectors
        }

        /// The embeddings of a row of [`tiny`] and its number, side by side.
        pub(crate) fn inputs(&self, batch: &Batch, row: usize) -> Vec<f64> {
            let mut all = self.embeddings(batch, row).concat();
            all.push(f64::from(batch.numeric[0][row]));
            all
        }

        /// Embeddings of the past ads of a row of [`tiny`].
        pub(crate) fn history(&self, batch: &Batch, row: usize) -> Vec<Vec<f64>> {
            let sequence = &batch.sequences[0];
            let ids = &sequence.ids[row * sequence.max_len..][..sequence.lengths[row] as usize];
            ids.iter().map(|id| self.row("embedding.ad", *id).to_vec()).collect()
        }
    }

    pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    /// Scores [`tiny`] by a kind with lively weights and compares each log odds of a click with
    /// `by_loops(weights, batch, row)`.
    pub(crate) fn equals_loops(
        id: &str,
        settings: &[(&str, &str)],
        by_loops: impl Fn(&Weights, &Batch, usize) -> f64,
    ) {
        compare(id, settings, |forward| forward.logits.clone(), by_loops);
    }

    /// The same for the log odds of a conversion.
    pub(crate) fn conversions_equal_loops(
        id: &str,
        settings: &[(&str, &str)],
        by_loops: impl Fn(&Weights, &Batch, usize) -> f64,
    ) {
        compare(id, settings, |forward| forward.conversions().unwrap().to_vec(), by_loops);
    }

    fn compare(
        id: &str,
        settings: &[(&str, &str)],
        scores: impl Fn(&Forward) -> Vec<f32>,
        by_loops: impl Fn(&Weights, &Batch, usize) -> f64,
    ) {
        let (encoder, batch) = tiny();
        let kind = kind(id).unwrap();
        let mut params = Params::defaults(kind.params());
        for (name, value) in settings {
            params.set(kind.params(), name, value).unwrap();
        }
        let mut network = Network::new(kind, &encoder, &params, 3, Device::Cpu).unwrap();
        let mut rng = Rng::named(4, "lively");
        for parameter in &mut network.parameters {
            parameter.values.iter_mut().for_each(|value| *value += (0.2 * rng.normal()) as f32);
            parameter.upload().unwrap();
        }
        for table in &mut network.tables {
            for row in 0..table.rows() as u32 {
                table.row_mut(row).iter_mut().for_each(|value| *value += (0.5 * rng.normal()) as f32);
            }
        }
        let doubled = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect();
        let weights = Weights(
            network
                .tensors()
                .into_iter()
                .map(|tensor| (tensor.name.clone(), (tensor.shape.clone(), doubled(&tensor.values()))))
                .collect(),
        );
        let logits = scores(&network.forward(&batch, &mut Pass::Predict).unwrap());
        for (row, logit) in logits.iter().enumerate() {
            let wanted = by_loops(&weights, &batch, row);
            assert!((f64::from(*logit) - wanted).abs() < 1e-4, "{id}, row {row}: {logit}, by loops {wanted}");
        }
    }
}

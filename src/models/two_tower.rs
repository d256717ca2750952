//! How near are this user and this ad? Two towers that meet only in an inner product.
//!
//! Covington et al., RecSys 2016; Yi et al., RecSys 2019: one network turns user and moment into a vector, another the
//! ad, both of length 1; score = `<u, a> / temperature` + linear part. Since every term belongs to one side, the
//! vectors of all ads can be made once and searched for the nearest. Trained on clicks and non-clicks, and, where asked for,
//! to tell a user's clicked ad from those that others of the batch clicked ([`in_batch`](crate::nn::in_batch)).

use super::direct::{DirectModel, Weights};
use super::features::{
    DROPOUT, EMBEDDING_FLOW, EMBEDDING_START, EMBEDDING_WIDTH, FieldRows, GENTLE_PENALTY, HIDDEN_LAYERS,
    HIDDEN_UNITS, LINEAR_FLOW, LinearPart, NORMALISE, TAPER, deep_shape, side_by_side,
};
use super::on_vectors::OnVectors;
use super::{
    Beside, Counting, Flow, Gradients, Inputs, Model, ModelKind, Network as WithWeights, Output, Wanted,
};
use crate::base::params::{ParamSpec, Params};
use crate::base::{Failure, Result};
use crate::data::encode::Side;
use crate::data::{Batch, Dataset, Encoder};
use crate::nn::deep::{DeepPass, Plain};
use crate::nn::mlp::Mlp;
use crate::nn::normalise::{TINY, unit_length};
use crate::nn::row_vectors::RowVectors;
use crate::nn::tables::{Lookup, Read};
use crate::nn::weights::{Builder, Init};
use crate::nn::{Computed, Pass};
use candle_core::Tensor;

/// A tower for the user and the moment, a tower for the ad.
#[derive(Debug)]
pub struct TwoTower;

const PARAMS: &[ParamSpec] = &[
    EMBEDDING_WIDTH,
    ParamSpec::integer(
        "tower_width",
        "Tower width",
        (2, 16, 256),
        "Numbers in the vector that each tower ends in: what is kept of a user and of an ad.",
    ),
    ParamSpec::log_real(
        "temperature",
        "Temperature",
        (0.02, 0.5, 2.0),
        "The cosine of the two vectors is divided by this. Lower tells near ads from nearest ones more sharply.",
    ),
    ParamSpec::real(
        "in_batch",
        "Other users' ads",
        (0.0, 0.0, 10.0),
        "What it counts to tell the ad that a user clicked from those that others clicked in the same batch, popularity taken \
         off (logQ). 0 learns clicks and non-clicks only. Turn up where the model is to find ads rather than to predict.",
    ),
    HIDDEN_UNITS,
    HIDDEN_LAYERS,
    TAPER,
    DROPOUT,
    NORMALISE,
];

/// Table of the log of each ad's share of the clicks.
const SHARES: &str = "ln_share";

impl ModelKind for TwoTower {
    fn id(&self) -> &'static str {
        "two_tower"
    }

    fn label(&self) -> &'static str {
        "Two towers"
    }

    fn summary(&self) -> &'static str {
        "A vector per user and one per ad; near means a likely click. Fit to search among very many ads."
    }

    fn needs(&self) -> &'static str {
        "an outcome, a column that describes the ad, and one that describes the user or the moment"
    }

    fn flow(&self) -> &'static [Flow] {
        const {
            &[
                LINEAR_FLOW,
                EMBEDDING_FLOW,
                Flow::of("user", &["embedding", "numbers"], "hidden layers of the user"),
                Flow::of("ad", &["embedding", "numbers"], "hidden layers of the ad"),
                Flow::of("match", &["user", "ad"], "inner product of both"),
                Flow::click(&["linear", "match"]),
            ]
        }
    }

    fn params(&self) -> &'static [ParamSpec] {
        PARAMS
    }

    fn towers(&self) -> Option<[&'static str; 2]> {
        Some(["user", "ad"])
    }

    fn training_defaults(&self) -> &'static [(&'static str, f64)] {
        GENTLE_PENALTY
    }

    fn check(&self, encoder: &Encoder) -> Result<()> {
        let missing = |tower: &Tower| tower.categorical.is_empty() && tower.numeric.is_empty();
        let (of_user, of_ad) = sides(encoder);
        let (absent, hint) = if missing(&of_ad) {
            ("describes the ad", "give a column the role ad, or train fm")
        } else if missing(&of_user) && !of_user.history {
            ("describes the user or the moment", "give a column the role user, or train logistic")
        } else {
            return Ok(());
        };
        Err(Failure::new(
            "cannot train two_tower",
            format!("each tower needs a field, and no feature {absent}"),
        )
        .hint(hint))
    }

    /// Counts how often each ad is clicked, where the ads of a batch are told apart.
    fn count(&self, rows: &Counting<'_>, network: &mut WithWeights) -> Result<()> {
        let ad = rows.dataset.encoder.ad_field();
        let Some(ad) = ad.filter(|_| network.tables.iter().any(|table| table.name == SHARES)) else {
            return Ok(());
        };
        let Dataset { categorical, label, encoder, train, .. } = rows.dataset;
        // Half a click each, so that an ad without one has a logarithm.
        let mut clicks = vec![0.5_f64; encoder.categorical[ad].cardinality()];
        for row in train.iter().map(|row| *row as usize) {
            clicks[categorical[ad][row] as usize] += f64::from(label[row]);
        }
        let total: f64 = clicks.iter().sum();
        let table = network.table_mut(SHARES)?;
        for (id, clicks) in (0..).zip(clicks) {
            table.row_mut(id)[0] = (clicks / total).ln() as f32;
        }
        Ok(())
    }

    fn build(&self, encoder: &Encoder, params: &Params, builder: &mut Builder) -> Result<Box<dyn Model>> {
        let width = params.count("embedding_width")?;
        let outputs = params.count("tower_width")?;
        let linear = LinearPart::new(encoder, builder)?;
        let rows = FieldRows::new(encoder, builder, "embedding", width, Init::Normal(EMBEDDING_START))?;
        let (user, ad) = sides(encoder);
        let targets: Vec<usize> = encoder.sequences.iter().map(|sequence| sequence.target).collect();
        let shape = deep_shape(params)?;
        let of_user = (user.categorical.len() + targets.len()) * width + user.numeric.len();
        let of_ad = ad.categorical.len() * width + ad.numeric.len();
        let apart = Apart::new(encoder, params, builder)?;
        Ok(Box::new(Network {
            apart,
            user_deep: Mlp::tower(builder, "user", of_user, shape, outputs)?,
            ad_deep: Mlp::tower(builder, "ad", of_ad, shape, outputs)?,
            temperature: params.real("temperature")?,
            width,
            outputs,
            linear,
            rows,
            targets,
            user,
            ad,
        }))
    }
}

/// Which fields a tower stands on.
#[derive(Debug, Default)]
struct Tower {
    categorical: Vec<usize>,
    numeric: Vec<u32>,
    /// True for the tower that also sees the behaviour sequences.
    history: bool,
}

/// Fields of user and moment, and fields of the ad.
fn sides(encoder: &Encoder) -> (Tower, Tower) {
    let tower = |of_ad: bool| {
        let belongs = |side: Side| (side == Side::Ad) == of_ad;
        let categorical = encoder.categorical.iter().enumerate().filter(|(_, field)| belongs(field.side));
        let numeric = encoder.numeric.iter().enumerate().filter(|(_, field)| belongs(field.side));
        Tower {
            categorical: categorical.map(|(place, _)| place).collect(),
            numeric: numeric.map(|(place, _)| place as u32).collect(),
            history: !of_ad && !encoder.sequences.is_empty(),
        }
    };
    (tower(false), tower(true))
}

impl Tower {
    /// What it sees, side by side: `[rows, n]`.
    fn inputs(&self, embeddings: &Tensor, means: &[Tensor], numeric: &Tensor) -> Computed<Tensor> {
        let mut parts = vec![embeddings.flatten_from(1)?];
        parts.extend_from_slice(means);
        if !self.numeric.is_empty() {
            let places = Tensor::new(self.numeric.as_slice(), numeric.device())?;
            parts.push(numeric.index_select(&places, 1)?);
        }
        side_by_side(&parts)
    }
}

/// How the ads of a batch's clicks are told apart.
struct Apart {
    /// Field of the ad, and place of the table of shares.
    ad: usize,
    shares: usize,
    weight: f64,
}

impl Apart {
    fn new(encoder: &Encoder, params: &Params, builder: &mut Builder) -> Result<Option<Self>> {
        let weight = params.real("in_batch")?;
        if weight <= 0.0 {
            return Ok(None);
        }
        let ad = encoder.ad_field().ok_or_else(|| {
            let why =
                "to tell the ads of a batch apart it must know which ad each is, and no column names it";
            Failure::new("cannot train two_tower", why).hint("give a column the role ad, or set in_batch=0")
        })?;
        let field = &encoder.categorical[ad];
        let shares = builder.counted(SHARES, 1, &[(field.name.clone(), field.cardinality())])?;
        Ok(Some(Self { ad, shares, weight }))
    }

    fn lookup(&self, batch: &Batch) -> Lookup {
        let read = |(slot, row): (u32, &u32)| Read { row: *row, slot, weight: 1.0 };
        let reads = (0..).zip(&batch.categorical[self.ad]).map(read).collect();
        Lookup { table: self.shares, reads, shape: vec![batch.rows] }
    }

    /// Each click's user with the ad of every click; `None` for a batch with fewer than two.
    fn matches(
        &self,
        batch: &Batch,
        shares: &Tensor,
        (user, ad): (&Tensor, &Tensor),
        temperature: f64,
    ) -> Computed<Option<Beside>> {
        let count = |row: u32| {
            let row = row as usize;
            batch.label.get(row).map_or(0.0, |label| label * batch.weight.get(row).unwrap_or(&1.0))
        };
        let clicks: Vec<u32> = (0..batch.rows as u32).filter(|row| count(*row) > 0.0).collect();
        if clicks.len() < 2 {
            return Ok(None);
        }
        let places = Tensor::new(clicks.as_slice(), user.device())?;
        let of_clicks = |all: &Tensor| all.index_select(&places, 0);
        let scores = (of_clicks(user)?.matmul(&of_clicks(ad)?.t()?)? / temperature)?;
        let ln_shares = of_clicks(shares)?.flatten_all()?.to_vec1()?;
        let counts = clicks.iter().map(|row| count(*row)).collect();
        let wanted = Wanted::OwnAd { ln_shares, counts };
        Ok(Some(Beside { scores, weight: self.weight, wanted }))
    }
}

struct Network {
    apart: Option<Apart>,
    linear: LinearPart,
    rows: FieldRows,
    /// The categorical field whose vocabulary each sequence shares.
    targets: Vec<usize>,
    user: Tower,
    ad: Tower,
    user_deep: Mlp,
    ad_deep: Mlp,
    temperature: f64,
    width: usize,
    outputs: usize,
}

impl Model for Network {
    fn lookups(&self, batch: &Batch) -> Vec<Lookup> {
        let of_user = self.rows.some(batch, &self.user.categorical);
        let of_ad = self.rows.some(batch, &self.ad.categorical);
        let sequences = batch.sequences.iter().zip(&self.targets);
        let means = sequences.map(|(sequence, target)| self.rows.mean(sequence, *target));
        let shares = self.apart.iter().map(|apart| apart.lookup(batch));
        [self.linear.lookup(batch), of_user, of_ad].into_iter().chain(means).chain(shares).collect()
    }

    fn forward(&self, inputs: &Inputs<'_>, pass: &mut Pass<'_>) -> Computed<Output> {
        let linear = self.linear.forward(&inputs.gathered[0], &inputs.numeric)?;
        let [of_user, of_ad] = [&inputs.gathered[1], &inputs.gathered[2]];
        let means = &inputs.gathered[3..3 + self.targets.len()];
        let user = self.user.inputs(of_user, means, &inputs.numeric)?;
        let ad = self.ad.inputs(of_ad, &[], &inputs.numeric)?;
        let user = unit_length(&self.user_deep.vectors(&user, pass)?)?;
        let ad = unit_length(&self.ad_deep.vectors(&ad, pass)?)?;
        let beside = match (&self.apart, inputs.gathered.last()) {
            (Some(apart), Some(shares)) => {
                apart.matches(inputs.batch, shares, (&user, &ad), self.temperature)?
            }
            _ => None,
        };
        let near = ((user * ad)?.sum(1)? / self.temperature)?;
        Ok(Output { beside, ..Output::of((linear + near)?) })
    }

    fn direct(&self) -> Option<Box<dyn DirectModel>> {
        if self.apart.is_some() {
            return None;
        }
        let numbers = |tower: &Tower| tower.numeric.iter().map(|field| *field as usize).collect();
        let set = |tower: &Tower, targets: &[usize]| {
            RowVectors::new(self.width, tower.categorical.clone(), targets.to_vec(), 0, numbers(tower))
        };
        let sets = vec![set(&self.user, &self.targets), set(&self.ad, &[])];
        let (rows, linear) = (self.rows.clone(), self.linear.direct());
        Some(Box::new(Direct {
            vectors: OnVectors::new(rows, self.targets.clone(), None, linear, sets),
            towers: [self.user_deep.direct(), self.ad_deep.direct()],
            units: [Vec::new(), Vec::new()],
            inverse: [Vec::new(), Vec::new()],
            of_out: Vec::new(),
            temperature: self.temperature as f32,
            outputs: self.outputs,
        }))
    }
}

/// The same without a graph: user first, then ad.
struct Direct {
    vectors: OnVectors,
    towers: [DeepPass; 2],
    /// `[rows, outputs]`, of length 1, and what they were multiplied with to be so, `[rows]`.
    units: [Vec<f32>; 2],
    inverse: [Vec<f32>; 2],
    /// The gradient by a tower's output.
    of_out: Vec<f32>,
    temperature: f32,
    outputs: usize,
}

impl DirectModel for Direct {
    fn forward(&mut self, weights: Weights<'_>, batch: &Batch, pass: &mut Pass<'_>, logits: &mut [f32]) {
        let Self { vectors, towers, units, inverse, temperature, outputs, .. } = self;
        vectors.read(weights, batch, logits);
        for ((set, tower), (unit, inverse)) in
            vectors.sets.iter().zip(towers).zip(units.iter_mut().zip(inverse))
        {
            let mut input = Plain { x: &set.x, width: set.stride(), of_x: None };
            let out = tower.forward(weights.dense, &mut input, batch.rows, pass);
            unit.clear();
            inverse.clear();
            for out in out.chunks_exact(*outputs) {
                let squared: f32 = out.iter().map(|v| v * v).sum();
                let factor = 1.0 / (squared + TINY as f32).sqrt();
                unit.extend(out.iter().map(|v| v * factor));
                inverse.push(factor);
            }
        }
        let [user, ad] = units;
        let pairs = user.chunks_exact(*outputs).zip(ad.chunks_exact(*outputs));
        for (logit, (user, ad)) in logits.iter_mut().zip(pairs) {
            *logit += user.iter().zip(ad).map(|(u, a)| u * a).sum::<f32>() / *temperature;
        }
    }

    fn backward(&mut self, weights: Weights<'_>, batch: &Batch, of_logits: &[f32], out: &mut Gradients) {
        let Self { vectors, towers, units, inverse, of_out, temperature, outputs } = self;
        for (side, (set, tower)) in vectors.sets.iter_mut().zip(towers).enumerate() {
            let (own, other) = (&units[side], &units[1 - side]);
            of_out.clear();
            let rows = own.chunks_exact(*outputs).zip(other.chunks_exact(*outputs));
            for ((own, other), (factor, g)) in rows.zip(inverse[side].iter().zip(of_logits)) {
                // d<u, a>/d(out) = (a - u <u, a>) / |out|.
                let along: f32 = own.iter().zip(other).map(|(u, a)| u * a).sum();
                let factor = g * factor / *temperature;
                of_out.extend(own.iter().zip(other).map(|(u, a)| factor * (a - u * along)));
            }
            let width = set.stride();
            let mut input = Plain { x: &set.x, width, of_x: Some(&mut set.of_x) };
            tower.backward(weights.dense, &mut input, of_out, &mut out.dense);
        }
        vectors.collect(batch, of_logits, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;
    use crate::models::check::{dot, equals_loops, tiny};
    use candle_core::Device;

    #[test]
    fn equals_the_cosine_written_as_loops() {
        let settings = [("embedding_width", "3"), ("hidden_units", "5"), ("temperature", "0.5")];
        equals_loops("two_tower", &settings, |weights, batch, row| {
            let vectors = weights.embeddings(batch, row);
            let user = [&vectors[0][..], &vectors[2], &vectors[3]].concat();
            let ad = [&vectors[1][..], &[f64::from(batch.numeric[0][row])]].concat();
            let (user, ad) = (weights.deep("user", &user), weights.deep("ad", &ad));
            let cosine = dot(&user, &ad) / (dot(&user, &user) * dot(&ad, &ad)).sqrt();
            weights.linear_part(batch, row) + cosine / 0.5
        });
    }

    /// Towers on [`tiny`] that also tell the ads of a batch apart, where `in_batch` is above 0.
    fn towers(in_batch: &str) -> WithWeights {
        let (encoder, _) = tiny();
        let mut params = Params::defaults(PARAMS);
        for (name, value) in [("embedding_width", "3"), ("hidden_units", "5"), ("in_batch", in_batch)] {
            params.set(PARAMS, name, value).unwrap();
        }
        let mut network = WithWeights::new(&TwoTower, &encoder, &params, 3, Device::Cpu).unwrap();
        // Of a size that matters: a vector near 0 turns with every step.
        let mut rng = Rng::named(4, "lively");
        for parameter in &mut network.parameters {
            parameter.values.iter_mut().for_each(|value| *value += (0.2 * rng.normal()) as f32);
            parameter.upload().unwrap();
        }
        for table in network.tables.iter_mut().filter(|table| !table.is_fixed) {
            for row in 0..table.rows() as u32 {
                table.row_mut(row).iter_mut().for_each(|value| *value += (0.5 * rng.normal()) as f32);
            }
        }
        if let Ok(shares) = network.table_mut(SHARES) {
            [-2.0, -2.0, -0.3, -1.4]
                .into_iter()
                .zip(0..)
                .for_each(|(share, row)| shares.row_mut(row)[0] = share);
        }
        network
    }

    #[test]
    fn telling_the_ads_of_a_batch_apart_adds_its_loss_and_slopes_agree_with_central_differences() {
        let (_, batch) = tiny();
        let (plain, mut network) = (towers("0"), towers("1.5"));
        assert!(plain.is_direct() && !network.is_direct());
        for (without, with) in plain.logits(&batch).unwrap().iter().zip(network.logits(&batch).unwrap()) {
            assert!((without - with).abs() < 1e-5, "scores are the same: {without} {with}");
        }
        let (loss, gradients) = network.gradients(&batch, &mut Pass::Predict).unwrap();
        assert!(loss > plain.loss(&batch).unwrap() + 0.1);
        assert!(gradients.tables.last().unwrap().rows.is_empty(), "no step moves the shares");
        for place in 0..network.parameters.len() {
            for at in [0, network.parameters[place].values.len() - 1] {
                let mut moved = |by: f32| {
                    network.parameters[place].values[at] += by;
                    network.parameters[place].upload().unwrap();
                    network.loss(&batch).unwrap()
                };
                let (above, below) = (moved(2e-3), moved(-4e-3));
                moved(2e-3);
                let (numeric, own) = ((above - below) / 4e-3, f64::from(gradients.dense[place][at]));
                let name = &network.parameters[place].name;
                assert!((numeric - own).abs() < 2e-3 * (1.0 + own.abs()), "{name} {at}: {numeric} and {own}");
            }
        }
        let one_click = Batch { label: vec![1.0, 0.0, 0.0], ..batch };
        assert!((network.loss(&one_click).unwrap() - plain.loss(&one_click).unwrap()).abs() < 1e-6);
    }

    #[test]
    fn ads_that_no_column_names_cannot_be_told_apart() {
        let (mut encoder, _) = tiny();
        encoder.keys.ad = None;
        let mut params = Params::defaults(PARAMS);
        params.set(PARAMS, "in_batch", "1").unwrap();
        let failure = WithWeights::new(&TwoTower, &encoder, &params, 3, Device::Cpu).unwrap_err();
        assert!(failure.why.contains("no column names it"), "{failure}");
    }

    #[test]
    fn a_side_without_a_field_is_refused_by_name() {
        let (mut encoder, _) = tiny();
        encoder.categorical.remove(1);
        encoder.sequences.clear();
        assert!(TwoTower.check(&encoder).is_ok(), "a number describes the ad");
        encoder.numeric.clear();
        let failure = TwoTower.check(&encoder).unwrap_err();
        assert!(failure.why.contains("describes the ad"), "{failure}");
        let (mut encoder, _) = tiny();
        encoder.categorical.retain(|field| field.side == Side::Ad);
        assert!(TwoTower.check(&encoder).is_ok(), "the history describes the user");
        encoder.sequences.clear();
        let failure = TwoTower.check(&encoder).unwrap_err();
        assert!(failure.why.contains("describes the user"), "{failure}");
    }
}

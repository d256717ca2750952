//! What does each attention head look at, and would the model miss it?

mod roll;
mod sums;
pub mod text;

use crate::base::{Failure, Result};
use crate::data::dataset::take_known;
use crate::data::{Dataset, Encoder};
use crate::jobs::JobContext;
use crate::metrics::Estimate;
use crate::metrics::calibration::losses;
use crate::metrics::paired::mean_over_users;
use crate::models::{Look, Looked, MODELS, kind};
use crate::nn::probe::Members;
use crate::train::TrainedModel;
use roll::JoinedSums;
use serde::{Deserialize, Serialize};
use sums::LayerSums;

const WHAT: &str = "cannot look at attention heads";
/// Rows whose maps are averaged at most.
const MAP_ROWS: usize = 4096;
/// Rows on which a silent head is measured at most.
const ABLATION_ROWS: usize = 20_000;
/// Rows of one forward pass.
const BATCH_ROWS: usize = 512;
/// Events back that are told one by one at most.
pub const EVENTS_TOLD: usize = 24;

/// All heads of a model over some rows.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Atlas {
    /// Rows that were asked for.
    pub rows_asked: usize,
    /// Rows whose maps were averaged, evenly spread.
    pub rows_run: usize,
    /// Rows with outcomes on which each head was switched off, evenly spread; 0 where the log knows none.
    pub rows_measured: usize,
    /// Log loss of the whole model on those rows, in nats.
    pub log_loss: Option<f64>,
    /// Attention layers, in the order in which they are passed.
    pub layers: Vec<AtlasLayer>,
    /// All layers of a stack put together.
    pub joined: Vec<JoinedMaps>,
}

/// One attention layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AtlasLayer {
    /// Its name among the parameters.
    pub name: String,
    /// Who asks, a line of a map each.
    pub questions: Vec<String>,
    /// Who is asked, a column of a map each.
    pub members: Vec<String>,
    /// Rows behind each cell of a map.
    pub counts: Vec<u32>,
    /// Its heads.
    pub heads: Vec<Head>,
}

/// One attention head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// Mean weight, `[question * members + member]`; NaN where the two were never in one row.
    pub map: Vec<f64>,
    /// How evenly it looks: the entropy of a question's weights over that of equal ones, mean over questions and rows.
    /// 1 looks at all alike, 0 at one alone.
    pub evenness: Option<Estimate>,
    /// Events between who asks and who is looked at, mean; of heads over a past.
    pub distance: Option<Estimate>,
    /// Weight that members give themselves, mean; of heads in which they can.
    pub own: Option<Estimate>,
    /// How far a row's log odds depend on the head: mean of `|sum over cells of weight * d log odds / d weight|` (after
    /// Michel, Levy & Neubig, NeurIPS 2019, arXiv 1905.10650).
    pub pull: f64,
    /// Log loss without the head less that with it, the same rows: above 0 the model misses it. Nothing is trained anew.
    pub loss_without: Option<Estimate>,
}

/// The layers of a stack put together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JoinedMaps {
    /// The stack.
    pub name: String,
    /// Who asks.
    pub questions: Vec<String>,
    /// Who is asked.
    pub members: Vec<String>,
    /// Attention rollout (Abnar & Zuidema, ACL 2020, arXiv 2005.00928): products of `(A + I) / 2`, `A` the mean of heads.
    /// Empty for a layer in which the asker is no member.
    pub rollout: Vec<f64>,
    /// Gradient-weighted relevance (Chefer, Gur & Wolf, ICCV 2021, arXiv 2103.15679, equations 5 and 6): only what raises
    /// or lowers the log odds counts, from `R = I` by `R + mean over heads of max(A * d log odds / dA, 0) R`, and `I` taken off at the end.
    pub weighted: Vec<f64>,
}

/// What one row's heads look at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowHeads {
    /// The layer.
    pub layer: String,
    /// Who asks.
    pub questions: Vec<String>,
    /// Who is asked, by name.
    pub members: Vec<String>,
    /// `[head][question * members + member]`.
    pub heads: Vec<Vec<f64>>,
}

/// Looks at all heads over `rows`.
///
/// # Errors
/// No rows, a model without attention, or a cancel.
pub fn atlas(model: &TrainedModel, dataset: &Dataset, rows: &[u32], context: &JobContext) -> Result<Atlas> {
    check(model)?;
    if rows.is_empty() {
        return Err(Failure::new(WHAT, "no row of the log is in this segment").hint("choose a wider segment"));
    }
    let chosen = super::attention::spread(rows, MAP_ROWS);
    context.stage("attention heads");
    let mut layers: Vec<LayerSums> = Vec::new();
    let mut joined: Vec<JoinedSums> = Vec::new();
    for (done, part) in chosen.chunks(BATCH_ROWS).enumerate() {
        context.check()?;
        context.progress((done * BATCH_ROWS) as u64, chosen.len() as u64);
        let batch = dataset.batch(part);
        let looked = model.look(&batch, Look { gradients: true, ..Look::default() })?;
        if layers.is_empty() {
            layers = looked.heads.iter().map(|of_layer| LayerSums::new(of_layer, &model.encoder)).collect();
            joined =
                stacks(&looked).iter().map(|stack| JoinedSums::new(&looked, stack, &model.encoder)).collect();
        }
        let users = take_known(&dataset.users, part);
        layers.iter_mut().zip(&looked.heads).for_each(|(sums, of_layer)| sums.add(of_layer, &users));
        joined.iter_mut().for_each(|sums| sums.add(&looked));
    }
    let mut layers: Vec<AtlasLayer> = layers.into_iter().map(LayerSums::finish).collect();
    let (rows_measured, log_loss) = without_each(model, dataset, rows, &mut layers, context)?;
    Ok(Atlas {
        rows_asked: rows.len(),
        rows_run: chosen.len(),
        rows_measured,
        log_loss,
        layers,
        joined: joined.into_iter().map(JoinedMaps::from).collect(),
    })
}

/// The heads of one row, with everybody's name: with its own ad, or another one of the catalogue in its place. Nothing
/// for a model without attention.
///
/// # Errors
/// No such row.
pub fn of_row(model: &TrainedModel, dataset: &Dataset, row: u32, ad: Option<u32>) -> Result<Vec<RowHeads>> {
    if !kind(&model.kind)?.has_heads() {
        return Ok(Vec::new());
    }
    if row as usize >= dataset.rows {
        return Err(Failure::new(WHAT, format!("the log has {} rows and no row {row}", dataset.rows)));
    }
    let batch = match ad {
        None => dataset.batch(&[row]),
        Some(ad) => dataset.batch_with_ads(&[row], &[ad]),
    };
    let looked = model.look(&batch, Look::default())?;
    Ok(looked.heads.iter().map(|of_layer| sums::named(of_layer, &model.encoder, &batch)).collect())
}

fn check(model: &TrainedModel) -> Result<()> {
    if kind(&model.kind)?.has_heads() {
        return Ok(());
    }
    let able: Vec<_> = MODELS.iter().filter(|kind| kind.has_heads()).map(|kind| kind.id()).collect();
    Err(Failure::new(WHAT, format!("a {} model has none", model.kind))
        .hint(format!("train one of {}", able.join(", "))))
}

/// The places of the layers that follow each other over the same members.
fn stacks(looked: &Looked) -> Vec<Vec<usize>> {
    let mut stacks: Vec<Vec<usize>> = Vec::new();
    for (place, of_layer) in looked.heads.iter().enumerate() {
        let last = stacks.last_mut().filter(|stack| looked.heads[stack[0]].members == of_layer.members);
        match last {
            Some(stack) => stack.push(place),
            None => stacks.push(vec![place]),
        }
    }
    stacks
}

/// Switches each head off in turn; answers on how many rows and the log loss of the whole model there.
fn without_each(
    model: &TrainedModel,
    dataset: &Dataset,
    rows: &[u32],
    layers: &mut [AtlasLayer],
    context: &JobContext,
) -> Result<(usize, Option<f64>)> {
    if dataset.label.is_empty() {
        return Ok((0, None));
    }
    let rows = super::attention::spread(rows, ABLATION_ROWS);
    let (weights, users) = (take_known(&dataset.weight, &rows), take_known(&dataset.users, &rows));
    let loss = |silent: Option<(&str, usize)>| -> Result<Vec<f64>> {
        let mut all = Vec::with_capacity(rows.len());
        for part in rows.chunks(BATCH_ROWS) {
            context.check()?;
            let batch = dataset.batch(part);
            all.extend(losses(&model.look(&batch, Look { silent, ..Look::default() })?.logits, &batch.label));
        }
        Ok(all)
    };
    let whole = loss(None)?;
    let heads: usize = layers.iter().map(|layer| layer.heads.len()).sum();
    let mut done = 0;
    for layer in layers {
        for place in 0..layer.heads.len() {
            context.stage(&format!("without head {} of {heads}", done + 1));
            context.progress(done as u64, heads as u64);
            let without = loss(Some((&layer.name, place)))?;
            let more: Vec<f64> = without.iter().zip(&whole).map(|(without, with)| without - with).collect();
            layer.heads[place].loss_without = mean_over_users(&more, &weights, &users);
            done += 1;
        }
    }
    let weight = |row: usize| weights.get(row).map_or(1.0, |weight| f64::from(*weight));
    let total: f64 = (0..rows.len()).map(weight).sum();
    let sum: f64 = whole.iter().enumerate().map(|(row, loss)| loss * weight(row)).sum();
    Ok((rows.len(), (total > 0.0).then(|| sum / total)))
}

/// Names of a layer's members, and of those who ask.
fn names(members: Members, shape: [usize; 3], encoder: &Encoder) -> [Vec<String>; 2] {
    let events = |n: usize| (1..=n).map(|back| format!("{back} ago"));
    let target = |sequence: usize| {
        let of = encoder.sequences.get(sequence);
        let field = of.and_then(|of| encoder.categorical.get(of.target));
        field.map_or_else(|| "shown now".to_owned(), |field| format!("{} now", field.name))
    };
    let [_, _, asked] = shape;
    match members {
        Members::Fields => {
            let fields = encoder.categorical.iter().map(|field| field.name.clone());
            let sequences = encoder.sequences.iter().map(|sequence| sequence.name.clone());
            let numbers = encoder.numeric.iter().map(|field| field.name.clone());
            let all: Vec<String> = fields.chain(sequences).chain(numbers).take(asked).collect();
            [all.clone(), all]
        }
        Members::AdThenPast(sequence) => {
            let told = encoder.sequences.get(sequence).map_or(0, |of| of.max_len).min(EVENTS_TOLD);
            let all: Vec<String> = std::iter::once(target(sequence)).chain(events(told)).collect();
            [all.clone(), all]
        }
        Members::NewestFirst(sequence) => {
            let told = encoder.sequences.get(sequence).map_or(0, |of| of.max_len).min(EVENTS_TOLD);
            let all: Vec<String> = events(told).collect();
            [all.clone(), all]
        }
        Members::PastForAd(sequence) => {
            let told = encoder.sequences.get(sequence).map_or(0, |of| of.max_len).min(EVENTS_TOLD);
            [vec![target(sequence)], events(told).collect()]
        }
    }
}

/// The line or column of a map for a member of a row with `length` real ones; `None` for those too long ago to be told.
fn place_of(members: Members, member: usize, length: usize) -> Option<usize> {
    match members {
        Members::Fields => Some(member),
        Members::AdThenPast(_) if member == 0 => Some(0),
        Members::AdThenPast(_) => Some(length - member).filter(|back| *back <= EVENTS_TOLD),
        Members::NewestFirst(_) => Some(member).filter(|back| *back < EVENTS_TOLD),
        Members::PastForAd(_) => Some(length - 1 - member).filter(|back| *back < EVENTS_TOLD),
    }
}

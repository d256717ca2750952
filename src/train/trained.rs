//! What can be asked of a trained model? Scores, tables, attention; and it travels as a folder.

use super::adapters::Adapters;
use super::calibrating::{Calibration, log_odds};
use super::card::{ModelCard, hash_of};
use super::conversions;
use super::epochs::{EpochTables, shown_table};
use crate::base::failure::Explain;
use crate::base::params::Params;
use crate::base::{Failure, Result};
use crate::data::{Batch, Dataset, Encoder};
use crate::jobs::JobContext;
use crate::metrics::Measures;
use crate::models::integrated::Integrated;
use crate::models::looked::{Look, Looked, WeightSizes};
use crate::models::{self, Attack, Network};
use crate::nn::losses::sigmoid;
use crate::nn::stored::Stored;
use crate::nn::{Pass, device};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// Rows scored at once.
pub(super) const SCORE_ROWS: usize = 2048;

/// A model with its weights, the encoder of its data and its card.
#[derive(Debug)]
pub struct TrainedModel {
    /// Id of the kind.
    pub kind: String,
    /// Its knobs, training included.
    pub params: Params,
    /// Turns any log into what the model was trained on.
    pub encoder: Arc<Encoder>,
    /// Where it comes from and how good it was.
    pub card: ModelCard,
    network: Arc<Network>,
    /// The members of an ensemble, the first included; empty for a model of its own.
    pub(super) members: Vec<Arc<TrainedModel>>,
    /// What makes it of another model, whose weights stay.
    adapter: Option<Arc<Adapters>>,
    /// The embeddings by epoch, where its training was seen; no file holds them.
    moments: Option<Arc<EpochTables>>,
}

/// One embedding table that can be looked at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TableInfo {
    /// The categorical field.
    pub field: String,
    /// Values, the two reserved ones included.
    pub rows: usize,
    /// Numbers per value.
    pub width: usize,
}

/// The embeddings of one field.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddingTable {
    /// The categorical field.
    pub field: String,
    /// The value behind each row, for people.
    pub names: Vec<String>,
    /// Numbers per row.
    pub width: usize,
    /// Row-major.
    pub values: Vec<f32>,
}

/// How a batch's behaviour sequence was weighed.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionMap {
    /// Index in the encoder's sequences.
    pub sequence: usize,
    /// Row stride of `weights`, as in the batch.
    pub max_len: usize,
    /// `[row * max_len + position]`, 0 on padding.
    pub weights: Vec<f32>,
}

impl TrainedModel {
    pub(super) fn new(card: ModelCard, encoder: Arc<Encoder>, mut network: Network) -> Result<Self> {
        if let Some(newcomers) = &card.newcomers {
            network.welcome(newcomers)?;
        }
        Ok(Self::around(card, encoder, Arc::new(network), Vec::new()))
    }

    pub(super) fn around(
        card: ModelCard,
        encoder: Arc<Encoder>,
        network: Arc<Network>,
        members: Vec<Arc<Self>>,
    ) -> Self {
        Self {
            kind: card.kind.clone(),
            params: card.params.clone(),
            encoder,
            card,
            network,
            members,
            adapter: None,
            moments: None,
        }
    }

    /// Where it runs now: cpu, cuda or metal.
    pub fn device(&self) -> &'static str {
        device::name(&self.network.device)
    }

    /// Click probabilities of some rows.
    ///
    /// # Errors
    /// The dataset was encoded for another model, the job was cancelled, or the device fails.
    pub fn predict(&self, dataset: &Dataset, rows: &[u32], context: &JobContext) -> Result<Vec<f32>> {
        self.check_encoder(dataset)?;
        if !self.members.is_empty() {
            return self.mean_of(|member| member.predict(dataset, rows, context));
        }
        predict_rows(&self.network, self.card.calibration.as_ref(), dataset, rows, context)
    }

    /// The same before calibration: without its layer, and without the shift of the average.
    ///
    /// # Errors
    /// As for [`predict`](Self::predict).
    pub fn predict_uncalibrated(
        &self,
        dataset: &Dataset,
        rows: &[u32],
        context: &JobContext,
    ) -> Result<Vec<f32>> {
        self.check_encoder(dataset)?;
        if !self.members.is_empty() {
            return self.mean_of(|member| member.predict_uncalibrated(dataset, rows, context));
        }
        let mut predicted = predict_rows(&self.network, None, dataset, rows, context)?;
        let shift = self.card.training.log_odds_shift.unwrap_or(0.0);
        predicted.iter_mut().for_each(|p| *p = sigmoid(log_odds(f64::from(*p)) - shift) as f32);
        Ok(predicted)
    }

    /// Click probabilities of some rows after an attack on each, which knows its outcome.
    ///
    /// # Errors
    /// As for [`predict`](Self::predict); the rows have no outcomes, or the kind has no rows that a gradient moves.
    pub fn predict_attacked(
        &self,
        dataset: &Dataset,
        rows: &[u32],
        attack: Attack,
        context: &JobContext,
    ) -> Result<Vec<f32>> {
        let what = "cannot attack the model";
        self.check_encoder(dataset)?;
        self.network.check_attackable(what)?;
        if !self.members.is_empty() {
            return Err(Failure::new(what, "it is an ensemble, whose members have embeddings of their own")
                .hint("attack a member"));
        }
        if dataset.label.is_empty() {
            return Err(Failure::new(what, "the log does not say what was clicked")
                .hint("give the click column the role label"));
        }
        let mut predicted = Vec::with_capacity(rows.len());
        for rows in rows.chunks(SCORE_ROWS) {
            context.check()?;
            let batch = dataset.batch(rows);
            let mut log_odds = self.network.attacked_logits(&batch, attack)?;
            if let Some(calibration) = &self.card.calibration {
                calibration.apply(&batch, &mut log_odds);
            }
            predicted.extend(log_odds.iter().map(|z| sigmoid(f64::from(*z)) as f32));
        }
        Ok(predicted)
    }

    /// Lengths of what an attack may move of a batch's impressions.
    pub fn gathered_lengths(&self, batch: &Batch) -> Vec<f64> {
        self.network.gathered_lengths(batch)
    }

    /// True when its scores were calibrated on validation rows.
    pub fn is_calibrated(&self) -> bool {
        self.card.calibration.is_some() || self.card.training.log_odds_shift.is_some()
    }

    /// Measures clicks with a conversion on some rows whose click probabilities are `clicks`; `None` when the kind does
    /// not learn them or the log does not tell.
    ///
    /// # Errors
    /// As for [`predict`](Self::predict).
    pub fn measure_conversions(
        &self,
        dataset: &Dataset,
        rows: &[u32],
        clicks: &[f32],
        context: &JobContext,
    ) -> Result<Option<Measures>> {
        self.check_encoder(dataset)?;
        if !self.members.is_empty() {
            // Means of conditional probabilities are none of the mean.
            return Ok(None);
        }
        conversions::measured(&self.network, dataset, rows, clicks, context)
    }

    fn check_encoder(&self, dataset: &Dataset) -> Result<()> {
        if dataset.encoder == self.encoder {
            return Ok(());
        }
        Err(Failure::new("cannot score the rows", "they were encoded for another model")
            .hint("encode the log with this model's own encoder"))
    }

    /// Probabilities of a conversion given a click for a batch made with this model's encoder; `None` when the kind does
    /// not learn them.
    ///
    /// # Errors
    /// The device fails.
    pub fn predict_conversions_batch(&self, batch: &Batch) -> Result<Option<Vec<f32>>> {
        if !self.members.is_empty() {
            return self.conversions_of(|member| member.predict_conversions_batch(batch));
        }
        self.network.predict_conversions(batch)
    }

    /// Probabilities of a conversion given a click for some rows; `None` when the kind does not learn them.
    ///
    /// # Errors
    /// As for [`predict`](Self::predict).
    pub fn predict_conversions(
        &self,
        dataset: &Dataset,
        rows: &[u32],
        context: &JobContext,
    ) -> Result<Option<Vec<f32>>> {
        self.check_encoder(dataset)?;
        if !self.members.is_empty() {
            return self.conversions_of(|member| member.predict_conversions(dataset, rows, context));
        }
        conversions::predict(&self.network, dataset, rows, context)
    }

    /// Click probabilities of a batch made with this model's encoder.
    ///
    /// # Errors
    /// The device fails.
    pub fn predict_batch(&self, batch: &Batch) -> Result<Vec<f32>> {
        Ok(self.logits(batch)?.iter().map(|z| sigmoid(f64::from(*z)) as f32).collect())
    }

    /// Log odds of a batch, before the logistic function.
    ///
    /// # Errors
    /// The device fails.
    pub fn logits(&self, batch: &Batch) -> Result<Vec<f32>> {
        if !self.members.is_empty() {
            let mean = self.mean_of(|member| member.predict_batch(batch))?;
            return Ok(mean.iter().map(|p| log_odds(f64::from(*p)) as f32).collect());
        }
        let mut log_odds = self.network.logits(batch)?;
        if let Some(calibration) = &self.card.calibration {
            calibration.apply(batch, &mut log_odds);
        }
        Ok(log_odds)
    }

    /// Its embeddings by epoch; `None` where its training was not seen by this program.
    pub fn epoch_tables(&self) -> Option<&EpochTables> {
        self.moments.as_deref()
    }

    /// Told how its embeddings were by epoch.
    pub(super) fn with_moments(self, moments: EpochTables) -> Self {
        Self { moments: Some(Arc::new(moments)), ..self }
    }

    /// True when it averages others.
    pub fn is_ensemble(&self) -> bool {
        !self.members.is_empty()
    }

    /// True when it has a stack of dense layers before its output.
    pub fn has_hidden_layers(&self) -> bool {
        self.network.parameters.iter().any(|parameter| parameter.name.contains(".out."))
    }

    /// The embedding tables, widest part first: those of kinds without embeddings are the linear weights.
    pub fn tables(&self) -> Vec<TableInfo> {
        let Some(table) = self.shown_table() else {
            return Vec::new();
        };
        let rows = (0..).map(|place| table.rows_of(place));
        table
            .fields()
            .zip(rows)
            .map(|(field, rows)| TableInfo { field: field.to_owned(), rows, width: table.width })
            .collect()
    }

    /// The embeddings of one field.
    ///
    /// # Errors
    /// The model has no embeddings for it; those it has are listed.
    pub fn table(&self, field: &str) -> Result<EmbeddingTable> {
        let place = |table: &crate::nn::tables::Table| table.fields().position(|name| name == field);
        let found = self.shown_table().and_then(|table| Some((table, place(table)?)));
        let Some((table, place)) = found else {
            let known: Vec<_> = self.tables().into_iter().map(|info| info.field).collect();
            return Err(Failure::new("cannot show embeddings", format!("the model has none for '{field}'"))
                .hint(format!("one of: {}", known.join(", "))));
        };
        let names = self
            .encoder
            .categorical
            .get(place)
            .map(|field| (0..field.cardinality() as u32).map(|id| field.name_of(id)).collect())
            .unwrap_or_default();
        Ok(EmbeddingTable {
            field: field.to_owned(),
            names,
            width: table.width,
            values: table.read(place, 0..table.width),
        })
    }

    /// Which past behaviours the model weighed, per sequence.
    ///
    /// # Errors
    /// The kind has no attention, or the device fails.
    pub fn attention(&self, batch: &Batch) -> Result<Vec<AttentionMap>> {
        let what = "cannot show attention";
        if !models::kind(&self.kind)?.exposes_attention() {
            let able: Vec<_> =
                models::MODELS.iter().filter(|kind| kind.exposes_attention()).map(|kind| kind.id()).collect();
            return Err(Failure::new(what, format!("a {} model does not weigh behaviours", self.kind))
                .hint(format!("train {}", able.join(" or "))));
        }
        let forward = self.network.forward(batch, &mut Pass::Predict)?;
        forward
            .attention
            .iter()
            .zip(&batch.sequences)
            .enumerate()
            .map(|(sequence, (weights, of_batch))| {
                let rows = weights.to_vec2::<f32>().explain(what)?;
                let max_len = of_batch.max_len;
                let mut weights = vec![0.0; rows.len() * max_len];
                for (to, from) in weights.chunks_mut(max_len.max(1)).zip(&rows) {
                    for (to, from) in to.iter_mut().zip(from) {
                        *to = *from;
                    }
                }
                Ok(AttentionMap { sequence, max_len, weights })
            })
            .collect()
    }

    /// Scores a batch and tells what its layers did; log odds are those after the calibration layer.
    ///
    /// # Errors
    /// An ensemble, or the device fails.
    pub fn look(&self, batch: &Batch, look: Look<'_>) -> Result<Looked> {
        self.check_alone()?;
        let mut looked = self.network.look(batch, look)?;
        if let Some(calibration) = &self.card.calibration {
            calibration.apply(batch, &mut looked.logits);
        }
        Ok(looked)
    }

    /// The sizes of the weights and of the loss's slopes by them on a batch, before calibration.
    ///
    /// # Errors
    /// An ensemble, or the device fails.
    pub fn sizes(&self, batch: &Batch) -> Result<Vec<WeightSizes>> {
        self.check_alone()?;
        self.network.sizes(batch)
    }

    /// What each input of a row adds to the log odds before the calibration layer, along the straight way from the average
    /// of `background`: see [`Network::integrated`].
    ///
    /// # Errors
    /// An ensemble, or as there.
    pub fn integrated(&self, row: &Batch, background: &Batch, complete: f64) -> Result<Integrated> {
        self.check_alone()?;
        self.network.integrated(&self.encoder, row, background, complete)
    }

    /// Refuses an ensemble, whose members have layers of their own.
    fn check_alone(&self) -> Result<()> {
        if self.members.is_empty() {
            return Ok(());
        }
        let why = format!("it is an ensemble of {}, each with layers of its own", self.members.len());
        Err(Failure::new("cannot look into the model", why).hint("look into a model that was trained alone"))
    }

    /// A dense tensor by its name: its dimensions and its numbers.
    pub fn parameter(&self, name: &str) -> Option<(&[usize], &[f32])> {
        self.network.parameter(name)
    }

    /// Writes `weights.safetensors` and `card.json` into a folder, making it if need be. A model that was there
    /// is replaced whole or not at all.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        if let Some(adapter) = &self.adapter {
            return adapter.save(folder, &self.card, &self.network);
        }
        self.save_members(folder)?;
        self.card.save(folder, &self.encoder, &self.network)
    }

    /// Opens a folder written by [`save`](Self::save).
    ///
    /// # Errors
    /// A file is missing or broken, or card and weights do not belong together.
    pub fn load(folder: &Path) -> Result<Self> {
        if Adapters::is_in(folder) {
            let (adapter, model) = Adapters::load(folder)?;
            return Ok(model.adapted_by(Some(adapter)));
        }
        let (card, encoder, network) = ModelCard::load(folder)?;
        Self::new(card, Arc::new(encoder), network)?.with_members_of(folder)
    }

    /// The same weights with another card, and members.
    pub(super) fn among(&self, card: ModelCard, members: Vec<Arc<Self>>) -> Self {
        Self::around(card, Arc::clone(&self.encoder), Arc::clone(&self.network), members)
    }

    /// Told what it is made by, where an adapter made it.
    pub(super) fn adapted_by(self, adapter: Option<Adapters>) -> Self {
        Self { adapter: adapter.map(Arc::new), ..self }
    }

    /// The rank of the adapter that it is made by; `None` for a model of its own.
    pub fn adapter_rank(&self) -> Option<usize> {
        self.adapter.as_ref().map(|adapter| adapter.rank())
    }

    /// A field's rows of a table by its name.
    pub(super) fn rows_of(&self, table: &str, place: usize) -> Option<Vec<f32>> {
        let table = self.network.tables.iter().find(|known| known.name == table)?;
        (place < table.fields().count()).then(|| table.read(place, 0..table.width))
    }

    /// Writes the weights as they lie in its folder.
    pub(super) fn write_weights(&self, out: &mut impl Write) -> io::Result<()> {
        self.card.write_weights(out, &self.network)
    }

    pub(super) fn network(&self) -> &Network {
        &self.network
    }

    /// A copy of the weights, as a safetensors file.
    pub(super) fn weights(&self) -> Result<Stored> {
        self.network.copied()
    }

    /// A network of its own with the same weights, on the processor.
    pub(super) fn copied_network(&self) -> Result<Network> {
        let kind = models::kind(&self.kind)?;
        let mut network = Network::new(kind, &self.encoder, &self.params, 0, device::choose("cpu")?)?;
        network.set_bytes(&self.weights()?)?;
        Ok(network)
    }

    /// Hash of its weights.
    pub(super) fn hash(&self) -> String {
        hash_of(&self.network)
    }

    /// The same model without others beside it: the first member of an ensemble.
    pub(super) fn alone(&self) -> Self {
        self.among(ModelCard { members: Vec::new(), ..self.card.clone() }, Vec::new())
    }

    /// The widest table: embeddings where there are any, else the linear weights.
    fn shown_table(&self) -> Option<&crate::nn::tables::Table> {
        shown_table(&self.network, &self.encoder)
    }
}

/// Click probabilities of some rows, in batches.
pub(super) fn predict_rows(
    network: &Network,
    calibration: Option<&Calibration>,
    dataset: &Dataset,
    rows: &[u32],
    context: &JobContext,
) -> Result<Vec<f32>> {
    let mut predicted = Vec::with_capacity(rows.len());
    for rows in rows.chunks(SCORE_ROWS) {
        context.check()?;
        let batch = dataset.batch(rows);
        let mut log_odds = network.logits(&batch)?;
        if let Some(calibration) = calibration {
            calibration.apply(&batch, &mut log_odds);
        }
        predicted.extend(log_odds.iter().map(|z| sigmoid(f64::from(*z)) as f32));
    }
    Ok(predicted)
}

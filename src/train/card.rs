//! Where does a model come from, how good was it, and what is in its folder?

use super::calibrating::Calibration;
use super::compress::Recipe;
use super::history::History;
use super::spec::specs_of;
use super::trained::SCORE_ROWS;
use super::trainer::Happened;
use crate::base::failure::Explain;
use crate::base::files::{disk_failure, write_atomically};
use crate::base::params::Params;
use crate::base::rng::mix;
use crate::base::{Failure, Result};
use crate::data::{Dataset, Encoder};
use crate::metrics::Measures;
use crate::models::newcomers::Newcomers;
use crate::models::{self, Network};
use crate::nn::device;
use crate::nn::stored::Stored;
use crate::nn::tables::Table;
use crate::nn::weights::Parameter;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Version of the folder's layout.
const FORMAT: u32 = 2;
const WEIGHTS: &str = "weights.safetensors";
const CARD: &str = "card.json";

/// Everything about a model that a person wants to read. In the folder it is `card.json`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ModelCard {
    /// Id of the kind.
    pub kind: String,
    /// Its knobs, training included.
    pub params: Params,
    /// What it was trained on.
    pub data: DataCard,
    /// Hashes of the weights of the members beyond the first, of ensembles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// How the training went.
    pub training: TrainingCard,
    /// What makes true probabilities of the network's scores, where it was fitted.
    #[serde(default)]
    pub calibration: Option<Calibration>,
    /// Numbers on the test rows; `None` when there were none.
    pub test: Option<Measures>,
    /// The same before the calibration, where there is one.
    #[serde(default)]
    pub uncalibrated: Option<Measures>,
    /// The same for clicks with a conversion, of kinds that learn them; `clicks` counts those.
    #[serde(default)]
    pub conversions: Option<Measures>,
    /// What was done to the weights after training, where it was made smaller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Recipe>,
    /// Those who were learnt, where new users and ads are read as those who are alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newcomers: Option<Newcomers>,
    /// Versions of what made it.
    pub versions: BTreeMap<String, String>,
}

/// The data behind a model.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DataCard {
    /// What the log is called.
    pub source: String,
    /// Rows of the log.
    pub rows: usize,
    /// Rows that weights were fitted on.
    pub train: usize,
    /// Rows that decided when to stop.
    pub validation: usize,
    /// Rows that the test numbers come from.
    pub test: usize,
    /// Tells whether another dataset is the same: a hash of sizes, split and labels.
    pub fingerprint: String,
    /// What encoding dropped or changed, in words.
    pub notes: Vec<String>,
}

/// How a training went.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TrainingCard {
    /// Seed of every random draw.
    pub seed: u64,
    /// Where it ran.
    pub device: String,
    /// Epochs that were run.
    pub epochs: u32,
    /// The epoch whose weights were kept.
    pub best_epoch: u32,
    /// Numbers trained.
    pub weights: usize,
    /// Added to all log odds for the objective's class weights and left-out non-clicks, exactly.
    #[serde(default)]
    pub objective_shift: f64,
    /// Added to all log odds after training, so that the average fits the validation rows; `None` when nothing was.
    #[serde(default)]
    pub log_odds_shift: Option<f64>,
    /// Bytes that training held beside the log: weights, what the optimiser remembers of them, gradients of what stands
    /// outside tables, and the best epoch's copy; 0 where it was not told.
    #[serde(default)]
    pub memory_bytes: u64,
    /// Time taken, validation included.
    pub seconds: f64,
    /// Training examples per second.
    pub examples_per_second: f64,
    /// Share of the steps' time that their matrix products would take at this machine's full rate: how near the training
    /// came to what no other arrangement of the same sums could beat. `None` where a graph or a card ran, whose products
    /// are not counted, and of kinds without any.
    #[serde(default)]
    pub floor_share: Option<f64>,
    /// Its curves.
    pub history: History,
}

/// Bytes that training holds of a network: weights with what the optimiser remembers, and gradients of what stands outside
/// tables.
pub(super) fn bytes_in_training(network: &Network) -> u64 {
    let numbers = |known: &Parameter| 2 * known.values.len() + known.memory.len();
    let dense: usize = network.parameters.iter().map(numbers).sum();
    network.tables.iter().map(Table::bytes).sum::<u64>() + (dense * size_of::<f32>()) as u64
}

/// `card.json`: the card, and what belongs to the weights beside it.
#[derive(Debug, Serialize, Deserialize)]
struct CardFile<C, E> {
    /// Version of this layout.
    format: u32,
    #[serde(flatten)]
    card: C,
    /// FNV-1a hash of the weights file, in hexadecimal.
    weights_hash: String,
    encoder: E,
}

impl DataCard {
    pub(super) fn of(dataset: &Dataset, source: &str) -> Self {
        Self {
            source: source.to_owned(),
            rows: dataset.rows,
            train: dataset.train.len(),
            validation: dataset.validation.len(),
            test: dataset.test.len(),
            fingerprint: fingerprint(dataset),
            notes: dataset.notes.clone(),
        }
    }
}

impl DataCard {
    /// True when the model was trained on just these rows.
    pub fn is_of(&self, dataset: &Dataset) -> bool {
        self.fingerprint == fingerprint(dataset)
    }
}

/// A hash over the vocabularies' sizes, the split and every label: other data give another text.
pub(super) fn fingerprint(dataset: &Dataset) -> String {
    let fields = dataset.encoder.categorical.iter().map(|field| field.cardinality() as u64);
    let split = [&dataset.train, &dataset.validation, &dataset.test]
        .into_iter()
        .flat_map(|rows| rows.iter().map(|row| u64::from(*row)).chain([u64::MAX]));
    let labels = dataset.label.iter().map(|label| u64::from(label.to_bits()));
    let hash = fields.chain(split).chain(labels).fold(0, |hash, value| mix(hash ^ value));
    format!("{hash:016x}")
}

/// Measures predictions for `rows` of a labelled dataset.
pub fn measure(dataset: &Dataset, rows: &[u32], predicted: &[f32]) -> Measures {
    let outcomes = Happened::of(dataset, rows);
    Measures::of(outcomes.beside(predicted))
}

impl ModelCard {
    pub(super) fn save(&self, folder: &Path, encoder: &Encoder, network: &Network) -> Result<()> {
        let what = "cannot save the model";
        fs::create_dir_all(folder).map_err(|error| disk_failure(what, folder, &error))?;
        let mut card = self.clone();
        card.versions = versions();
        let mut hash = Fnv::default();
        // Into a hash nothing can fail to be written.
        let _ = self.write_weights(&mut hash, network);
        let file = CardFile { format: FORMAT, card, weights_hash: hash.text(), encoder };
        let text = serde_json::to_vec_pretty(&file).explain(what)?;
        // The card is complete on disk before the weights replace the old ones, so a full disk loses nothing.
        let card_path = folder.join(CARD);
        let weights_path = folder.join(WEIGHTS);
        write_atomically(&card_path, |out| {
            let written = out.write_all(&text).and_then(|()| out.flush());
            written
                .and_then(|()| out.get_ref().sync_all())
                .map_err(|error| disk_failure(what, &card_path, &error))?;
            write_atomically(&weights_path, |out| {
                let written = self.write_weights(out, network);
                written.map_err(|error| disk_failure(what, &weights_path, &error))
            })
        })
    }

    /// Writes the weights as they lie in the folder: packed where the model was made smaller.
    pub(super) fn write_weights(&self, out: &mut impl Write, network: &Network) -> io::Result<()> {
        match self.compression {
            Some(recipe) => network.write_packed(out, recipe.packing),
            None => network.write(out),
        }
    }

    pub(super) fn load(folder: &Path) -> Result<(Self, Encoder, Network)> {
        let what = "cannot open the model";
        let read = |name: &str| {
            let path = folder.join(name);
            Stored::read(&path).map_err(|error| {
                Failure::new(what, error)
                    .at(path.display())
                    .hint("a folder made by 'train --out' or Save model")
            })
        };
        let (text, weights) = (read(CARD)?, read(WEIGHTS)?);
        let at = |failure: Failure| failure.at(folder.display());
        let remedy = "save the model again, or train it anew";
        let disagree = |why: String| at(Failure::new(what, why).hint(remedy));
        let file: CardFile<Self, Encoder> = serde_json::from_slice(&text)
            .and_then(|card| serde_json::from_value(without_former_numbers(card)))
            .explain(what)
            .map_err(|failure| at(failure.at(CARD).hint(remedy)))?;
        if file.format != FORMAT {
            return Err(disagree(format!(
                "the folder has layout {} and this program reads layout {FORMAT}",
                file.format
            )));
        }
        let mut weights_hash = Fnv::default();
        weights_hash.add(&weights);
        if weights_hash.text() != file.weights_hash {
            return Err(disagree(format!(
                "{CARD} and {WEIGHTS} do not belong together: the card describes other weights"
            )));
        }
        let mut card = file.card;
        // A model of an earlier version lacks the knobs that came since; their defaults are what it was made with.
        let specs = specs_of(&card.kind).map_err(at)?;
        for spec in &specs {
            if card.params.get(spec.id).is_none() {
                card.params.put(spec.id, spec.default_value());
            }
        }
        let kind = models::kind(&card.kind).map_err(at)?;
        // Every weight is replaced below, so the seed does not matter.
        let draw = |device| {
            let drawn = Network::new(kind, &file.encoder, &card.params, 0, device);
            drawn.map_err(|failure| at(failure.hint(remedy)))
        };
        let mut network = draw(device::choose("cpu")?)?;
        if let Some(graphics_card) = device::worth_it(network.dense_count() * SCORE_ROWS) {
            network = draw(graphics_card)?;
        }
        network
            .set_bytes(&weights)
            .map_err(|failure| disagree(format!("{CARD} and {WEIGHTS} disagree: {}", failure.why)))?;
        Ok((card, file.encoder, network))
    }
}

/// Layout 1 had numbers without intervals and other curves: the model is as good as ever, its numbers are unknown
/// until they are measured again.
fn without_former_numbers(mut card: serde_json::Value) -> serde_json::Value {
    if card["format"] == 1 {
        card["format"] = FORMAT.into();
        card["test"] = serde_json::Value::Null;
        card["conversions"] = serde_json::Value::Null;
        card["training"]["history"] = serde_json::json!(History::default());
    }
    card
}

/// Hash of the weights, as it stands in cards.
pub(super) fn hash_of(network: &Network) -> String {
    let mut hash = Fnv::default();
    // Into a hash nothing can fail to be written.
    let _ = network.write(&mut hash);
    hash.text()
}

fn versions() -> BTreeMap<String, String> {
    [("adloupe", env!("CARGO_PKG_VERSION")), ("candle", "0.11.1")]
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .into()
}

/// 64-bit FNV-1a (Fowler, Noll & Vo) of what is written to it: tells files apart that were mixed up, not forged.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn text(&self) -> String {
        format!("{:016x}", self.0)
    }
}

impl Write for Fnv {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Fnv;

    #[test]
    fn fnv_matches_its_published_test_vectors() {
        // http://www.isthe.com/chongo/tech/comp/fnv: FNV-1a 64 of "" and "a".
        let hash = |text: &str| {
            let mut hash = Fnv::default();
            hash.add(text.as_bytes());
            hash.text()
        };
        assert_eq!(hash(""), "cbf29ce484222325");
        assert_eq!(hash("a"), "af63dc4c8601ec8c");
    }
}

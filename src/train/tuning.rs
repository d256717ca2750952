//! How does a training begin with what a model knows? All of its weights go on, or some parts stay, or only an adapter
//! learns.

use super::adapters::Adapters;
use super::spec::{TrainSpec, specs_of};
use super::trained::TrainedModel;
use super::trainer::Trainer;
use crate::base::{Failure, Result};
use crate::data::Dataset;
use serde::{Deserialize, Serialize};

const WHAT: &str = "cannot go on from the model";

/// What of a model goes on learning.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Tuning {
    /// Parts that stay: names of tensors, or what their names begin with (`embedding`, `deep`).
    pub frozen: Vec<String>,
    /// Rank of an adapter, which alone learns then.
    pub rank: Option<usize>,
}

impl Trainer {
    /// A training that begins with the weights of `base`, on data encoded as it reads them.
    ///
    /// # Errors
    /// As [`within`](Self::within); another kind or other knobs of the kind, data encoded otherwise, a part that is not
    /// there, or nothing that could learn.
    pub fn tuning(
        memory: u64,
        dataset: &Dataset,
        spec: &TrainSpec,
        (base, tuning): (&TrainedModel, &Tuning),
    ) -> Result<Self> {
        check(base, dataset, spec)?;
        let mut trainer = Self::within(memory, dataset, spec)?;
        trainer.network.set_bytes(&base.weights()?)?;
        trainer.take_up(tuning)?;
        Ok(trainer)
    }

    /// Has only that learn which `tuning` leaves to learn; the weights are those to begin with.
    pub(super) fn take_up(&mut self, tuning: &Tuning) -> Result<()> {
        if let Some(rank) = tuning.rank {
            if !tuning.frozen.is_empty() {
                let why = "beside an adapter everything stays as it is";
                return Err(Failure::new(WHAT, why).hint("either parts that stay, or an adapter"));
            }
            let (seed, rule) = (self.spec.seed()?, self.spec.rule()?);
            self.adapters = Some(Adapters::on(&self.network, rank, seed, rule)?);
        }
        for part in &tuning.frozen {
            let is_of = |name: &str| {
                name == part || name.strip_prefix(part.as_str()).is_some_and(|rest| rest.starts_with('.'))
            };
            let network = &mut self.network;
            let dense = network.parameters.iter_mut().filter(|known| is_of(&known.name));
            let dense = dense.map(|known| known.is_fixed = true).count();
            let tables = network.tables.iter_mut().filter(|known| is_of(&known.name));
            if dense + tables.map(|known| known.is_fixed = true).count() == 0 {
                let parts = parts(self);
                return Err(Failure::new(WHAT, format!("it has no part '{part}'"))
                    .hint(format!("one of: {}", parts.join(", "))));
            }
        }
        let network = &self.network;
        let learns = network.parameters.iter().any(|known| !known.is_fixed)
            || network.tables.iter().any(|known| !known.is_fixed);
        if !learns {
            return Err(Failure::new(WHAT, "no part is left that could learn").hint("keep fewer parts"));
        }
        self.tuning = Some(tuning.clone());
        Ok(())
    }
}

/// What the names of a network's weights begin with.
fn parts(trainer: &Trainer) -> Vec<String> {
    let names = trainer.network.parameters.iter().map(|known| &known.name);
    let names = names.chain(trainer.network.tables.iter().map(|known| &known.name));
    let mut parts: Vec<String> =
        names.filter_map(|name| name.split('.').next()).map(ToOwned::to_owned).collect();
    parts.sort();
    parts.dedup();
    parts
}

fn check(base: &TrainedModel, dataset: &Dataset, spec: &TrainSpec) -> Result<()> {
    if base.members() > 1 {
        return Err(Failure::new(WHAT, "it is an ensemble").hint("one of its members"));
    }
    if base.kind != spec.kind {
        let why = format!("it is a {}, not a {}", base.kind, spec.kind);
        return Err(Failure::new(WHAT, why).hint(format!("--model {}, or none", base.kind)));
    }
    if dataset.encoder != base.encoder {
        return Err(Failure::new(WHAT, "the log is encoded for another model")
            .hint("encode it with this model's own encoder"));
    }
    let (own, specs) = (crate::models::kind(&spec.kind)?.params(), specs_of(&spec.kind)?);
    let completed = spec.params.completed(&specs)?;
    let differs = own.iter().find(|knob| completed.get(knob.id) != base.params.get(knob.id));
    match differs.filter(|knob| knob.id != "dropout") {
        Some(knob) => {
            let why = format!("its {} is another one", knob.id);
            Err(Failure::new(WHAT, why).hint("the knobs of the kind that it was trained with"))
        }
        None => Ok(()),
    }
}

impl TrainSpec {
    /// What a training that goes on from a model begins with: its kind and the kind's own knobs, training's at their
    /// defaults.
    ///
    /// # Errors
    /// An unknown kind.
    pub fn going_on(base: &TrainedModel) -> Result<Self> {
        let mut spec = Self::new(&base.kind)?;
        for knob in crate::models::kind(&base.kind)?.params() {
            if let Some(value) = base.params.get(knob.id) {
                spec.params.put(knob.id, value.clone());
            }
        }
        Ok(spec)
    }
}

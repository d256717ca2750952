//! How well is a model prepared for users and ads that no training row has? What they share with others gets a say.
//!
//! Two things, alone or together: while training, a share of the rows forgets who saw it or what was shown, so that the
//! row of rare values and everything beside it learn to do without (DropoutNet, Volkovs et al., NIPS 2017); and after it,
//! new ids are read as the mean of the learnt rows of those who share their attributes ([`Newcomers`]).

use super::trained::TrainedModel;
use super::trainer::Trainer;
use crate::base::params::Params;
use crate::base::rng::{keyed_uniform, mix};
use crate::base::{Failure, Result};
use crate::data::batch::{FIRST_VALUE_ID, RARE_ID};
use crate::data::encode::Side;
use crate::data::{Batch, Dataset, Encoder};
use crate::models::Network;
use crate::models::newcomers::{LearntIds, Newcomers};
use std::sync::Arc;

/// How ids are read that no training row had, the default first.
pub const WAYS: &[&str] = &["rare", "alike"];
/// Purpose of the draw of rows that forget.
const FORGET: u64 = 0x636F_6C64_206D_6173;

/// The fields of ids that a log may have new ones of: users, ads.
pub fn id_fields(encoder: &Encoder) -> Vec<(usize, Side)> {
    let users = encoder.user_field().map(|place| (place, Side::User));
    let ads = encoder.ad_field().map(|place| (place, Side::Ad));
    // Of a field that is hashed every new value falls into some bucket, and none can be told from those that were learnt.
    let listed = |(place, _): &(usize, Side)| encoder.categorical[*place].hash_buckets == 0;
    users.into_iter().chain(ads).filter(listed).collect()
}

/// Refuses what the log or the kind cannot have: better now than after the last epoch.
///
/// # Errors
/// Neither users nor ads have a column of ids, or the kind's rows are counted.
pub(super) fn check(params: &Params, encoder: &Encoder, network: &Network) -> Result<()> {
    let what = "cannot prepare the model for new users and ads";
    if params.real("cold_mask")? == 0.0 && params.choice("newcomers")? == WAYS[0] {
        return Ok(());
    }
    network.check_attackable(what)?;
    if id_fields(encoder).is_empty() {
        let why = "the log has no column of users or ads, or their ids are so many that they are hashed";
        return Err(Failure::new(what, why).hint("give a column the role user or ad"));
    }
    Ok(())
}

/// The users and ads of the training rows, with the attributes of their latest.
///
/// # Errors
/// The log has neither.
pub fn learnt(dataset: &Dataset) -> Result<Newcomers> {
    let encoder = &dataset.encoder;
    let fields = id_fields(encoder).into_iter().map(|(place, side)| {
        let mut attributes: Vec<usize> = (0..encoder.categorical.len())
            .filter(|other| *other != place && encoder.categorical[*other].side == side)
            .collect();
        attributes.sort_by_key(|other| std::cmp::Reverse(encoder.categorical[*other].cardinality()));
        let mut latest = vec![None; encoder.categorical[place].cardinality()];
        for row in dataset.train.iter() {
            latest[dataset.categorical[place][*row as usize] as usize] = Some(*row as usize);
        }
        let mut field = LearntIds { place, attributes, ..LearntIds::default() };
        for (id, row) in latest.iter().enumerate().skip(FIRST_VALUE_ID as usize) {
            let Some(row) = row else { continue };
            field.ids.push(id as u32);
            field.of_ids.extend(field.attributes.iter().map(|place| dataset.categorical[*place][*row]));
        }
        field
    });
    let fields: Vec<LearntIds> = fields.collect();
    if fields.is_empty() {
        let why = "the log has no column of users or ads whose ids are told apart";
        return Err(
            Failure::new("cannot give new users and ads rows", why).hint("give a column the role user or ad")
        );
    }
    Ok(Newcomers { fields })
}

/// Has a share of a batch's rows forget who saw it, with what is remembered of that person, and a share what was shown;
/// the draw depends on nothing but seed, epoch and row.
pub(super) fn forget(
    batch: &mut Batch,
    encoder: &Encoder,
    rows: &[u32],
    (seed, epoch, share): (u64, u32, f64),
) {
    for (place, side) in id_fields(encoder) {
        let draw = mix(FORGET ^ u64::from(epoch) << 8 ^ place as u64);
        for (at, row) in rows.iter().enumerate() {
            if keyed_uniform(seed, draw, u64::from(*row)) >= share {
                continue;
            }
            batch.categorical[place][at] = RARE_ID;
            if side != Side::User {
                continue;
            }
            for (sequence, field) in batch.sequences.iter_mut().zip(&encoder.sequences) {
                if field.from_user_history_of.is_some() {
                    sequence.lengths[at] = 0;
                }
            }
        }
    }
}

impl Trainer {
    /// Has the finished network read new ids as was asked for. Returns what the card must remember.
    pub(super) fn welcome(&mut self) -> Result<Option<Newcomers>> {
        if self.spec.params.choice("newcomers")? == WAYS[0] {
            return Ok(None);
        }
        let newcomers = learnt(&self.dataset)?;
        self.network.welcome(&newcomers)?;
        Ok(Some(newcomers))
    }

    /// Has rows of a batch forget their ids as was asked for.
    pub(super) fn forget(&self, batch: &mut Batch, rows: &[u32]) -> Result<()> {
        let share = self.spec.params.real("cold_mask")?;
        if share > 0.0 {
            let draw = (self.spec.seed()?, self.position.epoch, share);
            forget(batch, &self.dataset.encoder, rows, draw);
        }
        Ok(())
    }
}

impl TrainedModel {
    /// The same model, which reads new users and ads as those of `dataset`'s training rows who are alike.
    ///
    /// # Errors
    /// An ensemble, data encoded for another model, a kind whose rows are counted, or there is no room.
    pub fn welcoming(&self, dataset: &Dataset) -> Result<Self> {
        let what = "cannot give new users and ads rows";
        self.check_single(what)?;
        if dataset.encoder != self.encoder {
            return Err(Failure::new(what, "the rows were encoded for another model")
                .hint("encode the log with this model's own encoder"));
        }
        let mut card = self.card.clone();
        card.newcomers = Some(learnt(dataset)?);
        (card.test, card.uncalibrated, card.conversions) = (None, None, None);
        Self::new(card, Arc::clone(&self.encoder), self.copied_network()?)
    }
}

impl TrainedModel {
    /// All that its tables hold of an id: the rows of the field at `place`, one after another.
    ///
    /// # Errors
    /// An ensemble, or a kind whose rows are counted.
    pub fn id_vector(&self, place: usize, id: u32) -> Result<Vec<f64>> {
        let what = "cannot tell what the model knows of an id";
        self.check_single(what)?;
        let network = self.network();
        network.check_attackable(what)?;
        let rows = network.tables.iter().flat_map(|table| table.row(table.start(place) + id));
        Ok(rows.map(|number| f64::from(*number)).collect())
    }

    /// The same model with other rows of some ids, laid out as [`id_vector`](Self::id_vector) answers.
    ///
    /// # Errors
    /// As there; vectors of another length.
    pub fn with_id_vectors(&self, place: usize, ids: &[u32], vectors: &[Vec<f64>]) -> Result<Self> {
        let what = "cannot give ids other rows";
        self.check_single(what)?;
        let mut network = self.copied_network()?;
        network.check_attackable(what)?;
        let numbers: usize = network.tables.iter().map(|table| table.width).sum();
        for (id, vector) in ids.iter().zip(vectors) {
            if vector.len() != numbers {
                let why = format!("a vector has {} numbers and the model's rows {numbers}", vector.len());
                return Err(Failure::new(what, why));
            }
            let mut from = vector.iter();
            for table in &mut network.tables {
                let row = table.start(place) + id;
                table.row_mut(row).iter_mut().zip(from.by_ref()).for_each(|(to, from)| *to = *from as f32);
            }
        }
        let mut card = self.card.clone();
        (card.test, card.uncalibrated, card.conversions) = (None, None, None);
        Self::new(card, Arc::clone(&self.encoder), network)
    }

    fn check_single(&self, what: &str) -> Result<()> {
        match self.is_ensemble() {
            true => {
                Err(Failure::new(what, "it is an ensemble").hint("its members, before they are averaged"))
            }
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::check::tiny;

    #[test]
    fn the_asked_for_share_of_rows_forgets_and_each_epoch_others() {
        let (mut encoder, mut batch) = tiny();
        // Nobody is new yet.
        batch.categorical[0] = vec![2, 3, 4];
        encoder.sequences[0].from_user_history_of = Some("ad".into());
        let rows: Vec<u32> = (0..3000).collect();
        let long = Batch {
            rows: 3000,
            categorical: batch.categorical.iter().map(|ids| ids.repeat(1000)).collect(),
            sequences: vec![crate::data::batch::SequenceBatch {
                ids: batch.sequences[0].ids.repeat(1000),
                lengths: vec![2; 3000],
                ..batch.sequences[0].clone()
            }],
            ..batch
        };
        let forgot = |epoch| {
            let mut masked = long.clone();
            forget(&mut masked, &encoder, &rows, (7, epoch, 0.3));
            masked
        };
        let first = forgot(0);
        for place in [0, 1] {
            let share = first.categorical[place].iter().filter(|id| **id == RARE_ID).count();
            assert!((800..1150).contains(&share), "{share}");
        }
        assert_eq!(first.categorical[2], long.categorical[2], "hours are no ids");
        for (length, user) in first.sequences[0].lengths.iter().zip(&first.categorical[0]) {
            assert_eq!(*length == 0, *user == RARE_ID, "what somebody did goes with who it was");
        }
        assert_ne!(forgot(1).categorical[0], first.categorical[0]);
        assert_eq!(forgot(0), first);
    }
}

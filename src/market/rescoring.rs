//! What does the user's own model predict once the user has done something here? Histories that grow as pages are served.
//!
//! What a user clicks on a simulated page (and sees, for a history that remembers what was merely shown) is appended to
//! the behaviour sequences that the model reads, and the model scores all ads anew for that user. So the loop between
//! what is shown and what is predicted is that of the model itself, not of an assumed factor.

use super::scoring::Inputs;
use super::scoring::edits::Set;
use crate::base::{Failure, Result};
use crate::data::Batch;
use std::collections::HashMap;

/// Scores ads for users whose histories have grown.
#[derive(Debug)]
pub struct Rescorer {
    inputs: Inputs,
    /// The log's row behind each pooled row.
    rows: Vec<u32>,
    /// The catalogue's place of each ad.
    columns: Vec<u32>,
    /// What each world sets, and for whom.
    edits: [Vec<Set>; 2],
    sequences: Vec<Remembered>,
}

/// What one behaviour sequence remembers of an ad.
#[derive(Debug)]
struct Remembered {
    /// Id of each ad in the sequence's vocabulary.
    items: Vec<u32>,
    /// Whether it remembers clicks only.
    clicked_only: bool,
}

/// Something that a user did on a simulated page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Column of the ad in the score matrix.
    pub ad: u32,
    /// Whether it was clicked; else it was merely shown.
    pub clicked: bool,
}

impl Rescorer {
    /// Prepares the model for pooled rows and ads.
    ///
    /// # Errors
    /// A model that reads no history: its predictions cannot follow.
    pub fn new(inputs: Inputs, rows: Vec<u32>, columns: Vec<u32>, edits: [Vec<Set>; 2]) -> Result<Self> {
        let encoder = &inputs.dataset.encoder;
        let catalogue = inputs.dataset.ads.as_ref();
        let items_of = |target: usize| {
            let ids = catalogue?.categorical.iter().find(|(field, _)| *field == target)?;
            Some(columns.iter().map(|ad| ids.1[*ad as usize]).collect::<Vec<u32>>())
        };
        let sequences: Vec<Remembered> = (encoder.sequences.iter())
            .map(|field| Remembered {
                // A list about something else than ads stays as logged.
                items: items_of(field.target).unwrap_or_default(),
                // A list column of the log is taken for what users did, which a mere impression is not.
                clicked_only: field.from_user_history_of.is_none() || field.clicked_only,
            })
            .collect();
        let rescorer = Self { inputs, rows, columns, edits, sequences };
        if rescorer.reads_history()? {
            return Ok(rescorer);
        }
        let kind = &rescorer.inputs.model.kind;
        Err(Failure::new(
            "cannot let histories grow",
            format!("the model ({kind}) predicts the same whatever a user clicked before"),
        )
        .at("feedback")
        .hint("train a kind that reads the history of ads or categories, such as din, bst or gru; or let predictions follow the drift"))
    }

    /// True when a click counts as something to remember, or a mere impression does.
    pub fn remembers(&self, event: Event) -> bool {
        self.sequences.iter().any(|sequence| sequence.keeps(event))
    }

    /// Click probabilities of every ad for a pooled row whose user did `events` since, in one world.
    ///
    /// # Errors
    /// The device fails.
    pub fn scores(&self, world: usize, row: usize, events: &[Event]) -> Result<Vec<f32>> {
        let rows = vec![self.rows[row]; self.columns.len()];
        let mut batch = self.inputs.dataset.batch_with_ads(&rows, &self.columns);
        for set in self.edits[world.min(1)].iter().filter(|set| set.is_for(row)) {
            batch.categorical[set.field].fill(set.id);
        }
        self.append(&mut batch, events);
        self.inputs.model.predict_batch(&batch)
    }

    fn append(&self, batch: &mut Batch, events: &[Event]) {
        for (sequence, remembered) in batch.sequences.iter_mut().zip(&self.sequences) {
            let kept = events.iter().filter(|event| remembered.keeps(**event));
            let new: Vec<u32> = kept.map(|event| remembered.items[event.ad as usize]).collect();
            if new.is_empty() {
                continue;
            }
            for (slots, length) in sequence.ids.chunks_exact_mut(sequence.max_len).zip(&mut sequence.lengths)
            {
                let all: Vec<u32> = slots[..*length as usize].iter().chain(&new).copied().collect();
                let last = &all[all.len().saturating_sub(slots.len())..];
                slots[..last.len()].copy_from_slice(last);
                *length = last.len() as u32;
            }
        }
    }

    /// Asks the model itself: do a few clicks change what it predicts for anyone?
    fn reads_history(&self) -> Result<bool> {
        const ASKED: usize = 8;
        for row in 0..self.rows.len().min(ASKED) {
            let before = self.scores(0, row, &[])?;
            let ad = (row % self.columns.len().max(1)) as u32;
            if before != self.scores(0, row, &[Event { ad, clicked: true }; 3])? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Remembered {
    fn keeps(&self, event: Event) -> bool {
        !self.items.is_empty() && (event.clicked || !self.clicked_only)
    }
}

/// What users have done in one world, and what the model makes of it.
#[derive(Debug, Default)]
pub(super) struct Histories {
    events: HashMap<u32, Vec<Event>>,
    /// Scores of a pooled row, with the number of events that they know of.
    known: HashMap<u32, (usize, Vec<f32>)>,
    /// Why the model could not answer, once it could not.
    pub failure: Option<Failure>,
}

impl Histories {
    /// Something happened to a user.
    pub fn saw(&mut self, rescorer: &Rescorer, user: u32, event: Event) {
        if rescorer.remembers(event) {
            self.events.entry(user).or_default().push(event);
        }
    }

    /// Brings the scores of a pooled row up to date with its user's history.
    pub fn refresh(&mut self, rescorer: &Rescorer, world: usize, row: usize, user: u32) {
        let Some(events) = self.events.get(&user) else { return };
        let row_key = row as u32;
        if self.known.get(&row_key).is_some_and(|(seen, _)| *seen == events.len()) {
            return;
        }
        match rescorer.scores(world, row, events) {
            Ok(scores) => drop(self.known.insert(row_key, (events.len(), scores))),
            Err(failure) => drop(self.failure.get_or_insert(failure)),
        }
    }

    /// The scores of a pooled row whose user has a history here.
    pub fn scores(&self, row: usize) -> Option<&[f32]> {
        self.known.get(&(row as u32)).map(|(_, scores)| scores.as_slice())
    }
}

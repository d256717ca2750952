//! How is a column of texts read by a model? As the vectors of an encoder that was fitted on its training rows.
//!
//! Each text column becomes a few numeric fields, `text:headline:0` and so on, scaled like any other number, so every kind
//! of model takes them as it is. A text that no training row had has a vector too: what is new is not unknown. Where it is asked
//! for, what the user's earlier rows said stands beside them as `interest:headline:0` and so on ([`super::interests`]).

use super::interests::{Interest, Stories, scaled};
use super::{Encoder, NumericField, Side};
use crate::base::Result;
use crate::data::cells::NO_CODE;
use crate::data::columns::{Codes, Columns};
use crate::jobs::JobContext;
use crate::language::{self, EncoderOptions, Vectors};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;

/// Features of texts that are kept with a model at most: they go into its folder.
const MOST_FEATURES: usize = 1 << 14;

/// A text column and what reads it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextField {
    /// Column.
    pub name: String,
    /// Whose property it is.
    pub side: Side,
    /// Place in [`Encoder::numeric`] of its first number.
    pub first: usize,
    /// What makes the vectors.
    pub encoder: Arc<language::Encoder>,
    /// Where it stands for the texts of the user's earlier rows: how they count. `None`: the text of the row itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interest: Option<Interest>,
}

impl TextField {
    /// Its numbers in [`Encoder::numeric`].
    pub fn numbers(&self) -> Range<usize> {
        self.first..self.first + self.encoder.width()
    }
}

/// Fits the encoder of one column on the distinct texts of `train`. Answers it with the scales of its numbers; `None` where
/// they hold fewer than two different texts.
pub(super) fn fit(
    column: (&str, Side),
    cells: &Codes,
    train: &[u32],
    (first, width): (usize, usize),
    context: &JobContext,
) -> Result<Option<(TextField, Vec<NumericField>)>> {
    let counts = cells.counts(train);
    let met: Vec<&str> = (cells.values.iter().zip(&counts))
        .filter(|(text, count)| **count > 0 && !text.trim().is_empty())
        .map(|(text, _)| text.as_str())
        .collect();
    if met.len() < 2 {
        return Ok(None);
    }
    let options = EncoderOptions { features: MOST_FEATURES, ..EncoderOptions::for_rankers(width, 1) };
    let encoder = language::Encoder::fit(&met, options, context)?;
    let vectors = encoder.encode(&texts(cells));
    let total: f64 = counts.iter().map(|count| f64::from(*count)).sum();
    let (name, side) = column;
    let scales = (0..width).map(|at| {
        let each = || vectors.values.chunks(width).map(|row| f64::from(row[at])).zip(&counts);
        let mean = each().map(|(x, count)| x * f64::from(*count)).sum::<f64>() / total;
        let spread = each().map(|(x, count)| (x - mean).powi(2) * f64::from(*count)).sum::<f64>() / total;
        // A direction that these texts do not have stays 0.
        let deviation = spread.sqrt().max(1e-6);
        NumericField { name: format!("text:{name}:{at}"), side, log: false, mean, deviation }
    });
    let scales = scales.collect();
    let field = TextField { name: name.to_owned(), side, first, encoder: Arc::new(encoder), interest: None };
    Ok(Some((field, scales)))
}

/// The same texts as their readers' interests: what the rows of `train` say of the scales.
pub(super) fn fit_interest(
    field: &TextField,
    (cells, stories): (Codes, &Arc<Stories>),
    train: &[u32],
    (first, half_life_days): (usize, u32),
) -> (TextField, Vec<NumericField>) {
    let interest = Interest::of(field.side, half_life_days);
    let vectors = field.encoder.encode(&texts(&cells));
    let read = Read { cells, vectors, past: Some((Arc::clone(stories), interest)) };
    let scales = (0..field.encoder.width()).map(|at| {
        scaled(format!("interest:{}:{at}", field.name), &read.numbers(at).collect::<Vec<_>>(), train)
    });
    let scales = scales.collect();
    (TextField { first, side: Side::User, interest: Some(interest), ..field.clone() }, scales)
}

/// The texts behind the codes.
fn texts(cells: &Codes) -> Vec<&str> {
    cells.values.iter().map(String::as_str).collect()
}

/// A text column of a log as vectors: one per distinct text.
pub(super) struct Read {
    cells: Codes,
    vectors: Vectors,
    /// Where earlier rows are told of.
    past: Option<(Arc<Stories>, Interest)>,
}

impl Read {
    /// One number of each row's vector, unscaled; NaN where the text is missing.
    pub(super) fn numbers(&self, at: usize) -> Box<dyn Iterator<Item = f64> + '_> {
        let number = move |code: &u32| match *code {
            NO_CODE => f64::NAN,
            code => f64::from(self.vectors.row(code as usize)[at]),
        };
        match &self.past {
            None => Box::new(self.cells.codes.iter().map(number)),
            Some((stories, interest)) => {
                Box::new(stories.means(*interest, |row| number(&self.cells.codes[row])).into_iter())
            }
        }
    }
}

impl Encoder {
    /// The text columns of a log as vectors, where it has them.
    pub(super) fn read_texts(
        &self,
        log: &dyn Columns,
        stories: Option<&Arc<Stories>>,
        context: &JobContext,
    ) -> Result<Vec<Option<Read>>> {
        let read = |field: &TextField| {
            context.check()?;
            if !log.has(&field.name) || (field.interest.is_some() && stories.is_none()) {
                return Ok(None);
            }
            let cells = log.coded(&field.name)?;
            let vectors = field.encoder.encode(&texts(&cells));
            let past = field.interest.and_then(|interest| Some((Arc::clone(stories?), interest)));
            Ok(Some(Read { cells, vectors, past }))
        };
        self.texts.iter().map(read).collect()
    }

    /// The rows of a log user by user, where any field asks for what users read before.
    pub(super) fn stories(&self, log: &dyn Columns, label: &[f32]) -> Result<Option<Arc<Stories>>> {
        let mut interests = self.texts.iter().map(|field| field.interest);
        match interests.any(|interest| interest.is_some()) {
            true => Ok(Stories::of(log, &self.keys, label)?.map(Arc::new)),
            false => Ok(None),
        }
    }
}

//! What happens before the first step of a kind that counts or solves? Its table is filled, and how much it counts is found.

use super::trained::predict_rows;
use super::trainer::{Happened, Trainer};
use crate::base::Result;
use crate::data::Split;
use crate::jobs::JobContext;
use crate::models::counted::{SCALE, fitted_scale};
use crate::models::{self, Counting};
use std::time::Instant;

impl Trainer {
    /// Fills what the kind counts or solves for, before the first step.
    pub(super) fn count(&mut self, context: &JobContext) -> Result<()> {
        if self.position.step > 0 {
            return Ok(());
        }
        let begun = Instant::now();
        let dataset = self.spec.objective()?.counted(&self.dataset);
        let rows =
            Counting { dataset: &dataset, params: &self.spec.params, seed: self.spec.seed()?, context };
        models::kind(&self.spec.kind)?.count(&rows, &mut self.network)?;
        self.fit_scale(context)?;
        self.position.total_secs += begun.elapsed().as_secs_f64();
        Ok(())
    }

    /// Finds on the validation rows what counts what was counted on others, of kinds that have such a scale.
    fn fit_scale(&mut self, context: &JobContext) -> Result<()> {
        let rows = self.dataset.rows_of(Split::Validation).clone();
        let has_scale = self.network.parameters.iter().any(|known| known.name == SCALE && known.is_fixed);
        if rows.is_empty() || !has_scale {
            return Ok(());
        }
        // Log odds are a constant and what was counted, as long as no step was taken.
        self.network.set_scale(1.0)?;
        let predicted = predict_rows(&self.network, None, &self.dataset, &rows, context)?;
        let counted: Vec<f32> = predicted.iter().map(|p| (p / (1.0 - p)).ln().clamp(-30.0, 30.0)).collect();
        let happened = Happened::of(&self.dataset, &rows);
        let scale = fitted_scale(&counted, &happened.labels, &happened.weights);
        self.network.set_scale(scale.unwrap_or(0.0))
    }
}

//! Which other ways to learn can be tried on the open log?

use super::cold::ColdStarting;
use crate::train::TrainSpec;
use crate::ui::PanelContext;
use egui::Ui;

/// The trials, one of which is in view.
#[derive(Debug, Default)]
pub(super) struct Trials {
    cold: ColdStarting,
}

impl Trials {
    /// The trial in view, of the kind that is chosen.
    pub fn show(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, spec: TrainSpec) {
        self.cold.show(ui, cx, spec);
    }
}

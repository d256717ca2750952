//! Which arm of the test did better, and was the test assigned by chance?

use crate::data::profile::{Experiment, Profile};
use crate::ui::{Theme, widgets};
use egui::{RichText, Ui};

/// Arms that chance would make so uneven in fewer than 1 of 100 tests.
const SUSPECT_P: f64 = 0.01;

/// The arms and each outcome by arm.
pub(super) fn show(ui: &mut Ui, theme: &Theme, profile: &Profile) {
    let Some(test) = &profile.experiment else {
        ui.weak("No column assigns arms of a test.");
        return;
    };
    ui.label(format!("'{}' assigns the arms.", test.column));
    if let (Some(z), Some(p)) = (test.ratio_z, test.ratio_p) {
        let text = format!("Sizes of the arms: z = {z:.2}, p = {p:.2e} if chances were even.");
        let colour = if p < SUSPECT_P { theme.bad } else { theme.weak_text };
        ui.label(RichText::new(text).color(colour));
        if p < SUSPECT_P {
            ui.label("The arms are not of the size that chance would make them: do not trust the difference below.");
        }
    }
    ui.add_space(6.0);
    egui::ScrollArea::both().id_salt("experiment").auto_shrink(false).show(ui, |ui| table(ui, test));
}

fn table(ui: &mut Ui, test: &Experiment) {
    egui::Grid::new("experiment").striped(true).spacing([18.0, 6.0]).show(ui, |ui| {
        ui.strong("Outcome (95 %)");
        for arm in &test.arms {
            ui.strong(format!("{} (n {})", arm.name, widgets::grouped(arm.rows as f64)));
        }
        ui.strong("z");
        ui.strong("p");
        ui.end_row();
        for outcome in &test.outcomes {
            ui.label(&outcome.column);
            for rate in &outcome.rates {
                ui.label(widgets::percent_with_interval(rate));
            }
            ui.label(outcome.z.map_or_else(|| "n/a".to_owned(), |z| format!("{z:.2}")));
            ui.label(outcome.p.map_or_else(|| "n/a".to_owned(), |p| format!("{p:.2e}")));
            ui.end_row();
        }
    });
}

//! Would what all other rows tell of a user help in a part of the log where nobody met that user?

use super::cold::ways_table;
use super::trials::part_field;
use crate::insight::mapping::{Mapped, MappingPlan};
use crate::session::commands::TrainCommand;
use crate::session::{Command, Purpose};
use crate::tasks::trial::{Trial, Tried};
use crate::train::TrainSpec;
use crate::train::mapping::Form;
use crate::ui::{PanelContext, widgets};
use egui::{DragValue, Ui};

/// The question as it stands on the screen.
#[derive(Debug)]
pub(super) struct MappingUsers {
    form: Form,
    ridge: f64,
    share: f64,
}

impl Default for MappingUsers {
    fn default() -> Self {
        Self { form: Form::Linear, ridge: 0.01, share: 0.3 }
    }
}

impl MappingUsers {
    /// The question, and the answer once there is one.
    pub fn show(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, spec: TrainSpec, part: &mut String) {
        ui.horizontal_wrapped(|ui| {
            let second = part_field(ui, "second domain", part);
            let label = ui.label("map").id;
            egui::ComboBox::from_id_salt("form of the map")
                .selected_text(self.form.word())
                .show_ui(ui, |ui| {
                    for (word, form) in Form::WORDS {
                        ui.selectable_value(&mut self.form, form, word);
                    }
                })
                .response
                .labelled_by(label);
            if self.form == Form::Linear {
                let label = ui.label("penalty").id;
                ui.add(DragValue::new(&mut self.ridge).range(0.0..=100.0).speed(0.001))
                    .labelled_by(label)
                    .on_hover_text("A share of the vectors' mean square");
            }
            let label = ui.label("hold out of the users").id;
            widgets::percent(ui, &mut self.share, 0.05..=0.9).labelled_by(label);
            let busy = cx.session.jobs.of(Purpose::TryOut).is_some();
            let words = format!("Map users of {}", spec.kind);
            let button = ui.add_enabled(!busy && second.is_some(), egui::Button::new(words));
            if let Some(second) = second.filter(|_| button.clicked()) {
                let plan = MappingPlan { spec, form: self.form, ridge: self.ridge, share: self.share };
                cx.send(Command::Train(TrainCommand::TryOut(Box::new(Trial::Mapping(plan, second)))));
            }
            if busy {
                ui.spinner();
            }
        });
        let found = cx.session.store.training.tried(|tried| match tried {
            Tried::Mapping(found) => Some(found),
            _ => None,
        });
        match found {
            Some(found) => answer(ui, found),
            None => {
                ui.weak(
                    "One model learns from the second domain and one from all other rows; a map between their user vectors is \
                     learnt on users of both (EMCDR), and judged on users whom the second domain never met.",
                );
            }
        }
    }
}

fn answer(ui: &mut Ui, found: &Mapped) {
    let [learnt, out] = found.users.map(|users| widgets::grouped(users as f64));
    let form = found.form.word();
    ui.label(format!(
        "A {form} map of {} numbers ({}), learnt on {learnt} users of both domains. It explains {:.1} % of the second \
         domain's vectors, on users kept out of it in five folds.",
        found.numbers,
        found.kind,
        100.0 * found.explained
    ));
    ui.strong(format!(
        "{out} users whom the second domain never met: {} rows of theirs there, {} clicks",
        widgets::grouped(found.rows as f64),
        widgets::grouped(found.clicks)
    ));
    ways_table(ui, "mapped users", "scored with", &found.ways);
    ui.weak("Intervals of differences draw users again.");
}

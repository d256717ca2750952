//! How is a list of knobs drawn? From its [`ParamSpec`]s alone: label, control, bounds, help.

use crate::base::params::{ParamKind, ParamSpec, ParamValue, Params};
use egui::{Slider, Ui};

/// Draws every knob of `specs`; true when a value changed.
pub fn params_form(ui: &mut Ui, id: &str, specs: &[ParamSpec], params: &mut Params) -> bool {
    let mut changed = false;
    egui::Grid::new(("form", id)).num_columns(2).spacing([12.0, 6.0]).show(ui, |ui| {
        for spec in specs {
            let label = ui.label(spec.label).on_hover_text(help(spec));
            let value = params.get(spec.id).cloned().unwrap_or_else(|| spec.default_value());
            let mut edited = value.clone();
            control(ui, spec, &mut edited, label.id);
            if edited != value && spec.allows(&edited) {
                params.put(spec.id, edited);
                changed = true;
            }
            ui.end_row();
        }
    });
    changed
}

fn help(spec: &ParamSpec) -> String {
    format!("{}\n{} = {}, default {}", spec.help, spec.id, spec.bounds(), spec.default_value())
}

fn control(ui: &mut Ui, spec: &ParamSpec, value: &mut ParamValue, label: egui::Id) {
    let response = match (&spec.kind, value) {
        (ParamKind::Integer { min, max, .. }, ParamValue::Integer(v)) => {
            let wide = *max - *min > 1000;
            ui.add(Slider::new(v, *min..=*max).logarithmic(wide && *min >= 0))
        }
        (ParamKind::Real { min, max, log, .. }, value) => {
            let mut real = match value {
                ParamValue::Real(v) => *v,
                ParamValue::Integer(v) => *v as f64,
                _ => *min,
            };
            let response = ui.add(Slider::new(&mut real, *min..=*max).logarithmic(*log).max_decimals(6));
            if response.changed() {
                *value = ParamValue::Real(real);
            }
            response
        }
        (ParamKind::Choice(options), ParamValue::Choice(v)) => {
            egui::ComboBox::from_id_salt(("choice", spec.id))
                .selected_text(v.as_str())
                .show_ui(ui, |ui| {
                    for option in *options {
                        ui.selectable_value(v, (*option).to_owned(), *option);
                    }
                })
                .response
        }
        (ParamKind::Flag(_), ParamValue::Flag(v)) => ui.checkbox(v, ""),
        // A value of another type than its knob can't come from `Params::set`; show it as it is.
        (_, value) => ui.label(value.to_string()),
    };
    response.labelled_by(label).on_hover_text(help(spec));
}

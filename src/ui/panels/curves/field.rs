//! What does the model make of a field: its values one after another in the same rows?

use crate::data::Split;
use crate::insight::dependence::Dependence;
use crate::session::commands::inspect::InspectCommand;
use crate::session::{Command, Purpose};
use crate::tasks::evaluate::Evaluated;
use crate::train::TrainedModel;
use crate::ui::charts::{self, bands, curve};
use crate::ui::{PanelContext, Theme, widgets};
use egui::{RichText, Ui};
use std::sync::Arc;

/// The field as it stands on the screen.
#[derive(Debug, Default)]
pub(super) struct Field {
    name: Option<String>,
    asked: Option<(Split, String, Arc<TrainedModel>)>,
}

impl Field {
    /// Draws the choice of a field and what its values do.
    pub fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, shown: &Evaluated) {
        let encoder = &shown.model.encoder;
        let numbers = encoder.numeric.iter().map(|field| &field.name);
        let names: Vec<&String> =
            encoder.categorical.iter().map(|field| &field.name).chain(numbers).collect();
        if self.name.as_ref().is_none_or(|name| !names.contains(&name)) {
            // The ids of users and ads have many values without an order; a person asks for others first.
            let keys = [&encoder.keys.user, &encoder.keys.ad];
            let first = names.iter().find(|name| !keys.iter().any(|key| key.as_ref() == Some(**name)));
            self.name = first.or(names.first()).map(|name| (*name).clone());
        }
        let Some(mut name) = self.name.clone() else { return };
        ui.horizontal_wrapped(|ui| {
            let label = ui.label(RichText::new("What the model makes of").strong()).id;
            let menu = egui::ComboBox::from_id_salt("curves field").selected_text(&name).height(320.0);
            let menu = menu.show_ui(ui, |ui| {
                for known in &names {
                    ui.selectable_value(&mut name, (*known).clone(), known.as_str());
                }
            });
            menu.response.labelled_by(label);
        });
        self.name = Some(name.clone());
        let asked = (shown.split, name, Arc::clone(&shown.model));
        let known = self.asked.as_ref().is_some_and(|(split, name, model)| {
            *split == asked.0 && *name == asked.1 && Arc::ptr_eq(model, &asked.2)
        });
        let answer = cx.session.store.inspect.field_tried.clone();
        if !known || (answer.is_none() && cx.session.jobs.of(Purpose::TryField).is_none()) {
            cx.send(Command::Inspect(InspectCommand::TryField(asked.0, asked.1.clone())));
            self.asked = Some(asked.clone());
        }
        let fits = |split: Split, field: &str| split == asked.0 && *field == asked.1;
        match answer.filter(|a| fits(a.split, &a.field) && Arc::ptr_eq(&a.model, &shown.model)) {
            None => drop(ui.weak("Trying values …")),
            Some(answer) => match &answer.found {
                Err(failure) => drop(ui.colored_label(cx.theme.bad, failure.to_string())),
                Ok(found) => show(ui, cx.theme, found),
            },
        }
    }
}

fn show(ui: &mut Ui, theme: &Theme, found: &Dependence) {
    let x = |place: usize| if found.is_number { found.values[place].x } else { place as f64 };
    let line = |values: Vec<[f64; 3]>| -> Vec<[f64; 4]> {
        let points = values.into_iter().enumerate();
        points.map(|(place, [p, low, high])| [x(place), 100.0 * p, 100.0 * low, 100.0 * high]).collect()
    };
    let mut lines: Vec<bands::Band> = Vec::new();
    if found.is_number {
        lines.extend(found.single.iter().map(|row| bands::Band {
            name: "single rows".to_owned(),
            colour: theme.faint(theme.weak_text),
            points: line(row.iter().map(|p| [*p; 3]).collect()),
        }));
    }
    let means = found.values.iter().map(|value| [value.mean.value, value.mean.low, value.mean.high]);
    lines.push(bands::Band {
        name: "mean of the rows, 95 %".to_owned(),
        colour: theme.series(0),
        points: line(means.collect()),
    });
    let local: Option<Vec<[f64; 3]>> = found.values.iter().map(|value| Some([value.local?; 3])).collect();
    if let Some(local) = local {
        let name = "accumulated local effects".to_owned();
        lines.push(bands::Band { name, colour: theme.series(1), points: line(local) });
    }
    let name = format!("Probability by {}", found.field);
    let frame = charts::Frame {
        name: &name,
        x: &found.field,
        y: "predicted click rate (%)",
        height: super::CHART_HEIGHT,
    };
    if found.is_number {
        bands::show_numbers(ui, theme, frame, curve::LegendCorner::RightTop, &lines);
    } else {
        let names: Vec<String> = found.values.iter().map(|value| value.name.clone()).collect();
        bands::show(ui, theme, frame, &names, &lines);
    }
    let untried = if found.untried > 0 {
        format!(" The {} most frequent values; {} more were not tried.", found.values.len(), found.untried)
    } else {
        String::new()
    };
    ui.weak(format!(
        "{} of {} rows, drawn evenly, each given every value in turn with all else as it was: what the model says, not what \
         would happen.{untried}",
        widgets::grouped(found.rows as f64),
        widgets::grouped(found.all_rows as f64),
    ));
}

//! Who else is like the people of the group in view? Asked of the model in view, told with how far it can be believed.

use crate::domain::Segment;
use crate::insight::look_alikes::{BY_OUTCOME, LookAlikes};
use crate::session::commands::{PrivacyCommand, SegmentCommand};
use crate::session::{Command, Purpose};
use crate::ui::{PanelContext, widgets};
use egui::containers::menu::{MenuButton, MenuConfig};
use egui::{PopupCloseBehavior, Ui};
use std::sync::Arc;

/// How many people are asked for, and what they are to be called.
pub(super) struct Alike {
    most: usize,
    name: String,
}

impl Default for Alike {
    fn default() -> Self {
        Self { most: 200, name: String::new() }
    }
}

impl Alike {
    /// A menu with the question and its answer.
    pub fn menu(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, segment: &Segment) {
        let known = cx.session.store.training.model().is_some();
        ui.add_enabled_ui(known && *segment != Segment::All, |ui| {
            let stays = MenuConfig::new().close_behavior(PopupCloseBehavior::CloseOnClickOutside);
            let (_, menu) = MenuButton::new("Look-alikes").config(stays).ui(ui, |ui| {
                ui.set_min_width(420.0);
                self.question(ui, cx, segment);
            });
            drop(menu);
        })
        .response
        .on_disabled_hover_text("Train a model with vectors of users, and choose a group")
        .on_hover_text("People who are like those of the group, by the vectors of the model in view");
    }

    fn question(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, segment: &Segment) {
        ui.horizontal(|ui| {
            let label = ui.label("People to add").id;
            ui.add(egui::DragValue::new(&mut self.most).range(1..=1_000_000)).labelled_by(label);
            if widgets::main_button(ui, cx.theme, "Find").clicked() {
                cx.send(Command::Segment(SegmentCommand::FindAlike(segment.clone(), self.most)));
            }
        });
        let model = cx.session.store.training.model().cloned();
        let found = cx.session.store.inspect.alike.clone().filter(|found| {
            found.question.segment == *segment && model.is_some_and(|model| Arc::ptr_eq(&model, &found.model))
        });
        match found {
            _ if cx.session.jobs.of(Purpose::Alike).is_some() => drop(ui.weak("Looking …")),
            None => drop(ui.weak("Users with vectors on the group's side; how well they are told is measured on half of the users.")),
            Some(found) => match &found.found {
                Err(failure) => drop(ui.colored_label(cx.theme.bad, failure.to_string())),
                Ok(found) => self.answer(ui, cx, found),
            },
        }
    }

    fn answer(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, found: &LookAlikes) {
        let [seeds, unknown, others] = found.users.map(|users| widgets::grouped(users as f64));
        ui.label(format!(
            "{seeds} people of the group, {others} others; {unknown} of the group unknown to the model"
        ));
        ui.label(format!(
            "Half of them, by what the other half shows: AUC {} (0.5 tells nothing)",
            found.auc.in_words(3)
        ));
        ui.label(format!(
            "Of the most alike {} are of the group, of all {:.1} %",
            widgets::percent_with_interval(&found.share_of_most_alike),
            100.0 * found.share_of_all
        ));
        ui.add_space(4.0);
        ui.weak("CTR on rows that the model was not fitted on");
        for (name, rate) in ["the group", "added", "others"].iter().zip(&found.click_rates) {
            let rate_words = widgets::percent_with_interval(rate);
            ui.label(format!("{name}: {rate_words} of {} impressions", widgets::grouped(rate.trials)));
        }
        if found.by_outcome {
            ui.colored_label(cx.theme.warn, BY_OUTCOME);
        }
        ui.horizontal(|ui| {
            let label = ui.label("Name them").id;
            ui.add(egui::TextEdit::singleline(&mut self.name).desired_width(160.0)).labelled_by(label);
            let name = self.name.trim().to_owned();
            let words = format!("Keep with {} added", widgets::grouped(found.added.len() as f64));
            if ui.add_enabled(!name.is_empty(), egui::Button::new(words)).clicked() {
                let segment = found.audience.clone();
                cx.send(Command::Privacy(PrivacyCommand::SaveAudience { name, segment }));
                self.name.clear();
            }
        });
    }
}

//! Which views are there? The [`Panel`] trait and the list of all panels.
//!
//! A new panel is one file and one line in [`all`]; navigation, empty states and screenshot tests follow.

pub mod activity;
pub mod attention;
pub mod curves;
pub mod data;
pub mod drift;
pub mod embeddings;
pub mod evidence;
pub mod experiment;
pub mod fairness;
pub mod gallery;
pub mod layers;
pub mod prediction;
pub mod privacy;
pub mod rows;
pub mod segments;
pub mod slices;
pub mod slots;
pub mod studio;
pub mod subjects;
pub mod training;
pub mod welcome;

use super::{PanelContext, widgets};
use crate::session::Command;
use crate::session::commands::ViewCommand;
use crate::session::commands::inspect::model_in_view;
use crate::train::TrainedModel;
use std::sync::Arc;

/// One view of the session.
pub trait Panel {
    /// Stable name: in files, commands and screenshots.
    fn id(&self) -> &'static str;

    /// The words in the navigation.
    fn title(&self) -> &'static str;

    /// What a person finds there, in one sentence: the tooltip of the navigation.
    fn summary(&self) -> &'static str;

    /// Draws itself.
    fn ui(&mut self, ui: &mut egui::Ui, cx: &mut PanelContext<'_>);
}

/// The model in view; without one says `why` the panel is empty and offers to train one.
fn model_or_offer(ui: &mut egui::Ui, cx: &mut PanelContext<'_>, why: &str) -> Option<Arc<TrainedModel>> {
    let model = model_in_view(cx.session).cloned();
    if model.is_none() && widgets::empty_state(ui, cx.theme, why, "Train a model") {
        cx.send(Command::View(ViewCommand::Show("training")));
    }
    model
}

/// A menu of the rows that a question is about: all test rows, or those of an audience, as the text form of its segment.
fn choose_rows(ui: &mut egui::Ui, cx: &PanelContext<'_>, (words, id): (&str, &str), segment: &mut String) {
    let label = ui.label(words).id;
    let audiences = &cx.session.workspace.audiences;
    let menu = egui::ComboBox::from_id_salt(id).selected_text(rows_named(cx, segment)).show_ui(ui, |ui| {
        ui.selectable_value(segment, String::new(), ALL_TEST_ROWS);
        for audience in audiences {
            ui.selectable_value(segment, audience.segment.clone(), &audience.name);
        }
    });
    menu.response.labelled_by(label);
}

/// What [`choose_rows`] calls the rows of a segment.
fn rows_named(cx: &PanelContext<'_>, segment: &str) -> String {
    let known = cx.session.workspace.audiences.iter().find(|audience| audience.segment == segment);
    match known {
        Some(audience) => audience.name.clone(),
        None if segment.is_empty() => ALL_TEST_ROWS.to_owned(),
        None => segment.to_owned(),
    }
}

const ALL_TEST_ROWS: &str = "all test rows";

/// All panels in the order of the navigation, which is the order of the work.
pub fn all() -> Vec<Box<dyn Panel>> {
    vec![
        Box::new(welcome::WelcomePanel::default()),
        Box::<data::DataPanel>::default(),
        Box::<rows::RowsPanel>::default(),
        Box::new(segments::SegmentsPanel::default()),
        Box::<subjects::SubjectsPanel>::default(),
        Box::<drift::DriftPanel>::default(),
        Box::new(experiment::ExperimentPanel::default()),
        Box::<privacy::PrivacyPanel>::default(),
        Box::<gallery::GalleryPanel>::default(),
        Box::new(training::TrainingPanel::default()),
        Box::<curves::CurvesPanel>::default(),
        Box::<slices::SlicesPanel>::default(),
        Box::<fairness::FairnessPanel>::default(),
        Box::new(embeddings::EmbeddingsPanel::default()),
        Box::<prediction::PredictionPanel>::default(),
        Box::new(attention::AttentionPanel::default()),
        Box::<layers::LayersPanel>::default(),
        Box::new(slots::SlotsPanel::default()),
        Box::<evidence::EvidencePanel>::default(),
        Box::<studio::StudioPanel>::default(),
        Box::new(activity::ActivityPanel),
    ]
}

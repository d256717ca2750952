//! How does an advertisement get its words? A brief, candidates with their checks and forecasts, and the library in which a
//! second person reviews them.

mod brief;
mod candidates;
mod creative;
mod encoder;
mod library;
mod model;
mod shelf;
mod trial;
mod tuning;

use super::Panel;
use crate::session::commands::CopyCommand;
use crate::session::{Command, Purpose};
use crate::train::copy_tuning::TuneSpec;
use crate::ui::{PanelContext, widgets};
use egui::Ui;
use std::collections::BTreeSet;

/// Width of the brief.
const BRIEF_WIDTH: f32 = 330.0;

/// The draft of a brief, what is chosen, and who sits here.
#[derive(Default)]
pub struct StudioPanel {
    form: brief::Form,
    page: Page,
    /// Words of the candidates that are ticked.
    chosen: BTreeSet<String>,
    /// Words of a person's own.
    own: String,
    /// Who sits here, and where that is written.
    person: String,
    person_field: Option<egui::Id>,
    review: library::Review,
    /// How the language model is tuned.
    tuning: TuneSpec,
    /// True where words that nobody approved compete too.
    with_drafts: bool,
    /// True once the library was asked for.
    asked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Page {
    #[default]
    Candidates,
    Library,
    Model,
}

impl Panel for StudioPanel {
    fn id(&self) -> &'static str {
        "studio"
    }

    fn title(&self) -> &'static str {
        "Studio"
    }

    fn summary(&self) -> &'static str {
        "Words for ads: written from what is true, checked, forecast for an audience, approved by a second person"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        widgets::heading(ui, cx.theme, self.title(), self.summary());
        if cx.session.store.copy.brief.is_none() && self.page == Page::Candidates {
            self.pages(ui, cx);
            let why = "There is no brief yet: what is true of a product, and whom it is for.";
            if widgets::empty_state(ui, cx.theme, why, "Begin with the sample sheet") {
                cx.send(Command::Copy(CopyCommand::SampleBrief(false)));
                cx.send(Command::Copy(CopyCommand::Write));
            }
            return;
        }
        ui.horizontal_top(|ui| {
            let height = ui.available_height();
            if self.page == Page::Candidates {
                ui.allocate_ui(egui::vec2(BRIEF_WIDTH, height), |ui| {
                    ui.vertical(|ui| {
                        egui::ScrollArea::vertical().id_salt("brief").auto_shrink(false).show(ui, |ui| {
                            self.form.ui(ui, cx);
                        });
                    });
                });
                ui.separator();
            }
            ui.vertical(|ui| {
                self.pages(ui, cx);
                egui::ScrollArea::vertical().id_salt("studio").auto_shrink(false).show(ui, |ui| {
                    match self.page {
                        Page::Candidates => self.candidates(ui, cx),
                        Page::Library => self.library(ui, cx),
                        Page::Model => self.language_model(ui, cx),
                    }
                });
            });
        });
    }
}

impl StudioPanel {
    /// Which part is in view, and who sits here.
    fn pages(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        ui.horizontal_wrapped(|ui| {
            ui.selectable_value(&mut self.page, Page::Candidates, "Candidates");
            let held = cx.session.store.copy.library.as_ref().map_or(0, |library| library.items().len());
            ui.selectable_value(&mut self.page, Page::Library, format!("Library and review ({held})"));
            ui.selectable_value(&mut self.page, Page::Model, "Language model");
            ui.separator();
            let label = ui.label("You are").id;
            let field =
                egui::TextEdit::singleline(&mut self.person).hint_text("your name").desired_width(120.0);
            let field = ui.add(field).labelled_by(label);
            self.person_field = Some(field.id);
            field.on_hover_text("Stands in the audit. Nobody approves words of one's own.");
            if cx.session.jobs.of(Purpose::Library).is_some() {
                ui.weak("writing the library …");
            }
        });
        ui.add_space(4.0);
        // The texts that there are belong to every page: candidates may not be copies of them.
        if !self.asked && cx.session.store.copy.library.is_none() {
            self.asked = true;
            cx.send(Command::Copy(CopyCommand::OpenLibrary(None)));
        }
    }
}

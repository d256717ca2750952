//! What is true, whom is it for, where is it shown? The form of a brief.

use crate::adcopy::brief::{Language, Tone};
use crate::adcopy::{Brief, Fact, Rulebook};
use crate::domain::segment::Segment;
use crate::session::commands::CopyCommand;
use crate::session::{Command, Purpose};
use crate::ui::panels::segments::complain;
use crate::ui::widgets::filter_field;
use crate::ui::{DialogKind, DialogRequest, PanelContext, widgets};
use egui::Ui;
use std::path::PathBuf;

/// A brief that is being changed.
#[derive(Default)]
pub(super) struct Form {
    brief: Brief,
    /// Version of the session's brief that it began from.
    version: u64,
    audience: String,
    must: String,
    must_not: String,
    path: String,
    pub(super) model: super::model::Choice,
}

impl Form {
    /// Draws the brief; what is changed is told at once.
    pub(super) fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        let known = &cx.session.store.copy;
        if let Some(brief) = known.brief.as_ref().filter(|_| known.brief_version != self.version) {
            self.begin(brief.clone(), known.brief_version);
        }
        let before = self.brief.clone();
        self.sources(ui, cx);
        ui.add_space(4.0);
        let running = cx.session.jobs.of(Purpose::WriteCopy).is_some();
        ui.horizontal(|ui| {
            if widgets::main_button(ui, cx.theme, "Write candidates").clicked() {
                cx.send(Command::Copy(CopyCommand::Write));
            }
            if running {
                ui.weak("writing …");
            }
        });
        ui.add_space(4.0);
        self.sheet(ui);
        ui.add_space(6.0);
        ui.strong("Whom it is for");
        filter_field(ui, cx, &mut self.audience);
        match Segment::parse(&self.audience) {
            Ok(segment) => self.brief.audience = segment,
            Err(failure) => complain(ui, cx.theme, &failure),
        }
        ui.add_space(6.0);
        self.manner(ui);
        ui.add_space(6.0);
        self.model.ui(ui, cx);
        if self.brief != before {
            cx.send(Command::Copy(CopyCommand::SetBrief(Box::new(self.brief.clone()))));
        }
    }

    fn begin(&mut self, brief: Brief, version: u64) {
        self.audience = brief.audience.to_string();
        self.must = brief.must.join(", ");
        self.must_not = brief.must_not.join(", ");
        (self.brief, self.version) = (brief, version);
    }

    fn sources(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        ui.horizontal_wrapped(|ui| {
            for (words, chinese) in [("Sample, English", false), ("Sample, Chinese", true)] {
                if widgets::small_button(ui, words).clicked() {
                    cx.send(Command::Copy(CopyCommand::SampleBrief(chinese)));
                }
            }
            if widgets::small_button(ui, "Open a brief …").clicked() {
                let then = |path| Command::Copy(CopyCommand::ReadBrief(path));
                cx.ask(DialogRequest::open(DialogKind::OpenFile, "Open a brief", then));
            }
            let field =
                egui::TextEdit::singleline(&mut self.path).hint_text("or its path").desired_width(90.0);
            let field = ui.add(field);
            if field.lost_focus()
                && ui.input(|input| input.key_pressed(egui::Key::Enter))
                && !self.path.is_empty()
            {
                cx.send(Command::Copy(CopyCommand::ReadBrief(PathBuf::from(self.path.trim()))));
            }
        });
    }

    fn sheet(&mut self, ui: &mut Ui) {
        let sheet = &mut self.brief.sheet;
        ui.strong("The product");
        egui::Grid::new("product").num_columns(2).spacing([6.0, 4.0]).show(ui, |ui| {
            for (words, value) in [
                ("Name", &mut sheet.product),
                ("Advertiser", &mut sheet.advertiser),
                ("Category", &mut sheet.category),
            ] {
                let label = ui.label(words).id;
                ui.add(egui::TextEdit::singleline(value).desired_width(230.0)).labelled_by(label);
                ui.end_row();
            }
        });
        ui.add_space(4.0);
        ui.strong("What is true of it").on_hover_text("Every claim of a text must follow from one of these");
        let mut gone = None;
        for (place, fact) in sheet.facts.iter_mut().enumerate() {
            ui.horizontal(|ui| {
                let field = ui.add(egui::TextEdit::singleline(&mut fact.text).desired_width(268.0));
                let said = fact.say.join("\n");
                let proof =
                    if fact.proof.is_empty() { String::new() } else { format!("\nproof: {}", fact.proof) };
                field.on_hover_text(format!("fact '{}'\n{said}{proof}", fact.id));
                if widgets::small_button(ui, "x").on_hover_text("Not true, or not to be said").clicked() {
                    gone = Some(place);
                }
            });
        }
        if let Some(place) = gone {
            sheet.facts.remove(place);
        }
        if widgets::small_button(ui, "Another fact").clicked() {
            let mut number = sheet.facts.len() + 1;
            while sheet.facts.iter().any(|fact| fact.id == format!("fact {number}")) {
                number += 1;
            }
            sheet.facts.push(Fact { id: format!("fact {number}"), ..Fact::default() });
        }
    }

    fn manner(&mut self, ui: &mut Ui) {
        let brief = &mut self.brief;
        egui::Grid::new("manner").num_columns(2).spacing([6.0, 4.0]).show(ui, |ui| {
            let label = ui.label("Placement").id;
            if let Ok(book) = Rulebook::built_in() {
                let shown = book.placement(&brief.placement).map_or("", |placement| placement.label.as_str());
                let menu = egui::ComboBox::from_id_salt("placement").selected_text(shown).width(220.0);
                menu.show_ui(ui, |ui| {
                    for one in &book.placements {
                        let words = format!("{}, {} units", one.label, one.units);
                        ui.selectable_value(&mut brief.placement, one.id.clone(), words)
                            .on_hover_text(&one.source);
                    }
                })
                .response
                .labelled_by(label);
            }
            ui.end_row();
            ui.label("Language");
            ui.horizontal(|ui| {
                ui.selectable_value(&mut brief.language, Language::En, "English");
                ui.selectable_value(&mut brief.language, Language::Zh, "中文");
            });
            ui.end_row();
            ui.label("Tone");
            ui.horizontal(|ui| {
                for (tone, words) in [(Tone::Plain, "plain"), (Tone::Warm, "warm"), (Tone::Brisk, "brisk")] {
                    ui.selectable_value(&mut brief.tone, tone, words);
                }
            });
            ui.end_row();
            for (words, text, list) in [
                ("Must say", &mut self.must, &mut brief.must),
                ("Must not", &mut self.must_not, &mut brief.must_not),
            ] {
                let label = ui.label(words).id;
                let field =
                    egui::TextEdit::singleline(text).hint_text("words, with commas").desired_width(220.0);
                if ui.add(field).labelled_by(label).changed() {
                    let each = text.split([',', '，']).map(str::trim).filter(|word| !word.is_empty());
                    *list = each.map(str::to_owned).collect();
                }
                ui.end_row();
            }
            let label = ui.label("Candidates").id;
            ui.horizontal(|ui| {
                ui.add(egui::DragValue::new(&mut brief.candidates).range(1..=100)).labelled_by(label);
                let label = ui.label("seed").id;
                ui.add(egui::DragValue::new(&mut brief.seed)).labelled_by(label);
            });
            ui.end_row();
        });
    }
}

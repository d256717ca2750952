//! What is known of one creative, and what may a person do to it? How it did before whom, its picture, its versions, its
//! review.

use super::StudioPanel;
use super::candidates::interval;
use super::library::colour;
use crate::adcopy::Item;
use crate::adcopy::library::{Performance, Picture};
use crate::adcopy::review::{Action, Status};
use crate::session::Command;
use crate::session::commands::CopyCommand;
use crate::ui::{DialogKind, DialogRequest, PanelContext, Theme, widgets};
use egui::{Color32, RichText, Sense, TextureOptions, Ui, Vec2};
use std::path::PathBuf;
use std::sync::Arc;

/// Side of a part of a picture's layout, and of a colour.
const PART: f32 = 16.0;
const SWATCH: Vec2 = Vec2::new(20.0, 16.0);
/// Audiences that are told at most.
const MOST: usize = 40;

impl StudioPanel {
    /// One creative with what a person may do to it.
    pub(super) fn one(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, item: &Arc<Item>) {
        ui.separator();
        ui.horizontal_wrapped(|ui| {
            ui.label(RichText::new(&item.text).size(17.0));
            ui.label(RichText::new(item.status.name()).strong().color(colour(cx.theme, item.status)));
        });
        let facts = if item.facts.is_empty() { "no facts".to_owned() } else { item.facts.join(", ") };
        ui.weak(format!(
            "{}, for {}; rests on {facts}; by {}{}{}",
            item.product,
            if item.audience.is_empty() { "everybody" } else { &item.audience },
            item.authors.join(", "),
            if item.origin.is_empty() { String::new() } else { format!(" ({})", item.origin) },
            if item.reviewer.is_empty() { String::new() } else { format!("; reviewed by {}", item.reviewer) },
        ));
        if !item.disclosure.is_empty() {
            ui.weak(format!("{} {}", item.disclosure, item.rights));
        }
        self.performance(ui, cx, item);
        self.picture(ui, cx, item);
        for version in item.versions.iter().rev().take(5) {
            let picture = match version.picture.as_str() {
                "" => String::new(),
                file => format!(", picture {}", name_of(file)),
            };
            ui.weak(format!(
                "until {} ({}): {}{picture}",
                widgets::moment(version.until as i64),
                version.by,
                version.text
            ));
        }
        let mut wanted = None;
        ui.horizontal_wrapped(|ui| {
            let named = !self.person.trim().is_empty();
            let mut button = |ui: &mut Ui, words: &str, enabled: bool, action: Action| {
                let button = ui.add_enabled(named && enabled, egui::Button::new(words));
                let why = if named { "Not in this state" } else { "Write above who you are" };
                if button.on_disabled_hover_text(why).clicked() {
                    wanted = Some(action);
                }
            };
            button(ui, "Ask for review", item.status == Status::Checked, Action::Submit);
            let waits = item.status == Status::InReview;
            button(ui, "Approve", waits, Action::Approve);
            let reasoned = !self.review.reason.trim().is_empty();
            button(ui, "Reject", waits && reasoned, Action::Reject(self.review.reason.clone()));
            if waits {
                let field = egui::TextEdit::singleline(&mut self.review.reason);
                ui.add(field.hint_text("why it is rejected").desired_width(160.0));
            }
            button(ui, "Retire", item.status != Status::Retired, Action::Retire);
        });
        ui.horizontal(|ui| {
            let label = ui.label("Other words").id;
            let width = (ui.available_width() - 110.0).max(120.0);
            ui.add(egui::TextEdit::singleline(&mut self.review.edit).desired_width(width)).labelled_by(label);
            let changed = self.review.edit != item.text && !self.person.trim().is_empty();
            let button = ui.add_enabled(changed, egui::Button::new("Change"));
            if button.on_hover_text("They are checked; any change leads back to checked").clicked() {
                wanted = Some(Action::Edit(self.review.edit.trim().to_owned()));
            }
        });
        if let Some(action) = wanted {
            let who = self.person.trim().to_owned();
            cx.send(Command::Copy(CopyCommand::Review(item.id.clone(), action, who)));
        }
    }

    /// How it did, audience by audience.
    fn performance(&self, ui: &mut Ui, cx: &mut PanelContext<'_>, item: &Item) {
        if item.performance.is_empty() {
            ui.weak("It never ran: nothing is known of its clicks.");
            return;
        }
        let widest = item.performance.iter().map(|did| did.rate.high).fold(0.0, f64::max);
        egui::Grid::new("performance").num_columns(3).spacing([10.0, 3.0]).show(ui, |ui| {
            for did in item.performance.iter().take(MOST) {
                let audience = if did.audience.is_empty() { "everybody" } else { &did.audience };
                ui.label(audience);
                interval(ui, cx.theme, did.rate.estimate(), widest, audience);
                ui.label(told(did));
                ui.end_row();
            }
        });
        if item.performance.len() > MOST {
            ui.weak(format!("and {} audiences more", item.performance.len() - MOST));
        }
    }

    /// Its picture with what it looks like, or the way to one.
    fn picture(&self, ui: &mut Ui, cx: &mut PanelContext<'_>, item: &Item) {
        let named = !self.person.trim().is_empty();
        ui.horizontal_wrapped(|ui| {
            if let Some(picture) = &item.picture {
                shown(ui, cx, picture);
            }
            let (id, who) = (item.id.clone(), self.person.trim().to_owned());
            let words = if item.picture.is_some() { "Another picture …" } else { "Add a picture …" };
            let button = ui.add_enabled(named, widgets::small(words));
            let button =
                button.on_hover_text("PNG or JPEG; a creative with another picture is reviewed again");
            if button.on_disabled_hover_text("Write above who you are").clicked() {
                let then = move |path: PathBuf| {
                    Command::Copy(CopyCommand::Illustrate(id.clone(), Some(path), who.clone()))
                };
                cx.ask(DialogRequest::open(DialogKind::OpenFile, "Choose a picture (PNG or JPEG)", then));
            }
        });
    }
}

/// A picture, its colours, where its detail stands, and its numbers.
fn shown(ui: &mut Ui, cx: &mut PanelContext<'_>, picture: &Picture) {
    let path = PathBuf::from(&picture.file);
    match cx.session.store.copy.picture.as_ref().filter(|seen| seen.path == path) {
        None => cx.send(Command::Copy(CopyCommand::ShowPicture(path))),
        Some(seen) => match &seen.seen {
            Err(failure) => drop(ui.colored_label(cx.theme.warn, failure.to_string())),
            Ok((now, _)) if now.hash != picture.hash => {
                ui.colored_label(cx.theme.warn, "the file holds another picture now");
            }
            Ok((_, small)) => {
                let key = egui::Id::unique(("picture", &picture.hash));
                let known = ui.data(|data| data.get_temp::<egui::TextureHandle>(key));
                let texture = known.unwrap_or_else(|| {
                    let image = egui::ColorImage::from_rgba_unmultiplied(small.size, &small.rgba);
                    let made = ui.ctx().load_texture("picture", image, TextureOptions::LINEAR);
                    ui.data_mut(|data| data.insert_temp(key, made.clone()));
                    made
                });
                ui.image((texture.id(), texture.size_vec2()));
            }
        },
    }
    let look = &picture.look;
    for colour in &look.colours {
        let (area, response) = ui.allocate_exact_size(SWATCH, Sense::hover());
        let [r, g, b] = colour.rgb;
        ui.painter().rect_filled(area, 2.0, Color32::from_rgb(r, g, b));
        ui.painter().rect_stroke(area, 2.0, egui::Stroke::new(1.0, cx.theme.line), egui::StrokeKind::Inside);
        response.on_hover_text(format!("{}: {:.0} % of the picture", colour.hex(), 100.0 * colour.share));
    }
    layout(ui, cx.theme, &look.layout);
    ui.label(look.words()).on_hover_text(
        "Brightness: mean light, 0 to 1. Contrast: its standard deviation. Colourfulness: Hasler & Suesstrunk 2003. Lettering: \
         the share of small squares in which dark and light change as letters make them.",
    );
}

/// Where the detail of a picture stands, in three by three parts.
fn layout(ui: &mut Ui, theme: &Theme, shares: &[f64; 9]) {
    let (area, response) = ui.allocate_exact_size(Vec2::splat(3.0 * PART), Sense::hover());
    let most = shares.iter().copied().fold(1e-9, f64::max);
    for (place, share) in shares.iter().enumerate() {
        let corner = area.min + PART * Vec2::new((place % 3) as f32, (place / 3) as f32);
        let part = egui::Rect::from_min_size(corner, Vec2::splat(PART - 1.0));
        ui.painter().rect_filled(part, 1.0, theme.raised.lerp_to_gamma(theme.accent, (share / most) as f32));
    }
    let words: Vec<String> = shares
        .chunks(3)
        .map(|row| row.iter().map(|share| format!("{:.0} %", 100.0 * share)).collect::<Vec<_>>().join("  "))
        .collect();
    response.on_hover_text(format!("Where its edges stand, of all of them:\n{}", words.join("\n")));
}

fn told(did: &Performance) -> String {
    let shared = match did.shared {
        0 | 1 => String::new(),
        texts => format!("; shown with others, {texts} together"),
    };
    let simulated = if did.simulated { "; SIMULATED" } else { "" };
    let (rate, count) = (widgets::percent_with_interval(&did.rate), widgets::grouped(did.rate.trials));
    format!("{rate}, n {count}{shared}{simulated}")
}

fn name_of(file: &str) -> String {
    PathBuf::from(file)
        .file_name()
        .map_or_else(|| file.to_owned(), |name| name.to_string_lossy().into_owned())
}

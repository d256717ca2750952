//! Which other ways to learn can be tried on the open log?

use super::augmentation::Augmenting;
use super::cold::ColdStarting;
use super::mapping::MappingUsers;
use super::transfer::Transferring;
use crate::data::encode::Side;
use crate::domain::Segment;
use crate::session::store::Store;
use crate::train::TrainSpec;
use crate::ui::PanelContext;
use egui::Ui;

/// The trials, one of which is in view.
#[derive(Debug, Default)]
pub(super) struct Trials {
    view: Trial,
    /// The part of the log that is a target, a domain or a thin segment, as text.
    part: Option<String>,
    cold: ColdStarting,
    transferring: Transferring,
    mapping: MappingUsers,
    augmenting: Augmenting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Trial {
    #[default]
    Cold,
    Transfer,
    Mapping,
    Augmentation,
}

impl Trials {
    /// The trial in view, of the kind that is chosen.
    pub fn show(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, spec: TrainSpec) {
        ui.horizontal_wrapped(|ui| {
            for (view, words) in [
                (Trial::Cold, "New users and ads"),
                (Trial::Transfer, "Transfer"),
                (Trial::Mapping, "Map users"),
                (Trial::Augmentation, "Made rows"),
            ] {
                ui.selectable_value(&mut self.view, view, words);
            }
        });
        if cx.session.store.dataset.is_none() {
            ui.weak("No log with clicks is open, so there is nothing to learn from.");
            return;
        }
        let part = self.part.get_or_insert_with(|| usual_part(&cx.session.store));
        match self.view {
            Trial::Cold => self.cold.show(ui, cx, spec),
            Trial::Transfer => self.transferring.show(ui, cx, spec, part),
            Trial::Mapping => self.mapping.show(ui, cx, spec, part),
            Trial::Augmentation => self.augmenting.show(ui, cx, spec, part),
        }
    }
}

/// A text field for a part of the log; what it says, where that can be read.
pub(super) fn part_field(ui: &mut Ui, label: &str, part: &mut String) -> Option<Segment> {
    let label = ui.label(label).id;
    let field = egui::TextEdit::singleline(part).hint_text("category = 'games'").desired_width(240.0);
    ui.add(field).labelled_by(label);
    match Segment::parse(part) {
        Ok(Segment::All) => None,
        Ok(segment) => Some(segment),
        Err(failure) => {
            ui.weak(failure.why);
            None
        }
    }
}

/// The group that is chosen, or else the first value of what ads have in common most.
fn usual_part(store: &Store) -> String {
    if let Some(chosen) = store.chosen.as_ref().filter(|chosen| **chosen != Segment::All) {
        return chosen.to_string();
    }
    let Some(dataset) = &store.dataset else { return String::new() };
    let encoder = &dataset.encoder;
    let of_ads = encoder.categorical.iter().enumerate().filter(|(place, field)| {
        field.side == Side::Ad && Some(*place) != encoder.ad_field() && field.values.len() > 1
    });
    let fewest = of_ads.min_by_key(|(_, field)| field.values.len());
    fewest
        .and_then(|(_, field)| Some(Segment::equals(field.name.clone(), field.values.first()?.clone())))
        .map_or_else(String::new, |segment| segment.to_string())
}

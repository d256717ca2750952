//! Do new rows come to the file? The button that watches it, and what came so far.

use crate::session::{Command, Purpose, commands::DataCommand};
use crate::ui::{PanelContext, widgets};
use egui::{RichText, Ui};

/// Begins to follow, or says how many rows came and ends it.
pub(super) fn bar(ui: &mut Ui, cx: &mut PanelContext<'_>) {
    let begins = cx.session.jobs.of(Purpose::Follow).is_some();
    ui.horizontal_wrapped(|ui| match cx.session.store.following {
        Some(following) => {
            let rows = match following.arrived {
                1 => "1 row".to_owned(),
                many => format!("{} rows", widgets::grouped(many as f64)),
            };
            ui.label(RichText::new(format!("Following: {rows} came since")).color(cx.theme.good));
            if ui.button("Stop following").on_hover_text("The rows that came stay").clicked() {
                cx.send(Command::Data(DataCommand::StopFollowing));
            }
        }
        None if begins => {
            ui.weak("Looking how far the file was read …");
        }
        None => {
            let meaning = "Rows that are written to it from now on are taken in, and groups counted again";
            if ui.button("Follow this file").on_hover_text(meaning).clicked() {
                cx.send(Command::Data(DataCommand::Follow));
            }
        }
    });
}

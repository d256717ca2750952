//! What went wrong just now? A bar above the panel that stays until it is read.

use crate::session::{Command, NoticeKind, commands::ViewCommand};
use crate::ui::PanelContext;
use egui::{RichText, Ui};
use std::time::Duration;

/// Good news leaves by itself after so long; failures and warnings wait for a person.
const DONE_SHOWN: Duration = Duration::from_secs(8);
/// Bars at once; the rest is in the Activity panel.
const SHOWN: usize = 3;

/// Draws the newest unread notices.
pub fn notice_bars(ui: &mut Ui, cx: &mut PanelContext<'_>) {
    let unread = cx.session.notices.all().iter().enumerate().rev().filter(|(_, notice)| {
        !notice.dismissed && (notice.kind != NoticeKind::Done || notice.at.elapsed() < DONE_SHOWN)
    });
    for (index, notice) in unread.take(SHOWN).collect::<Vec<_>>() {
        let (word, colour) = match notice.kind {
            NoticeKind::Done => ("Done", cx.theme.good),
            NoticeKind::Warning => ("Note", cx.theme.warn),
            NoticeKind::Failure => ("Failed", cx.theme.bad),
        };
        let frame = egui::Frame::new()
            .fill(cx.theme.raised)
            .stroke(egui::Stroke::new(1.0, colour))
            .corner_radius(4)
            .inner_margin(egui::Margin::symmetric(8, 4));
        frame.show(ui, |ui| {
            ui.horizontal(|ui| {
                ui.label(RichText::new(word).strong().color(colour));
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                    if super::small_button(ui, "Close").clicked() {
                        cx.send(Command::View(ViewCommand::Dismiss(index)));
                    }
                    ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
                        ui.add(egui::Label::new(&notice.text).wrap());
                    });
                });
            });
        });
    }
}

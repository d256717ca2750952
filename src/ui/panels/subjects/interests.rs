//! What is a user interested in, by texts? Topics with their weights, what they rest on, and ads that are near.

use crate::insight::interests::{ToldInterests, USUAL_HALF_LIFE};
use crate::ui::charts::bars::{self, BarStyle};
use crate::ui::{PanelContext, widgets};
use egui::{RichText, Ui};

/// Topics and texts that are told.
const TOPICS: usize = 8;
const TEXTS: usize = 5;
/// Half-lives that are offered, in days.
const HALF_LIVES: [f64; 5] = [1.0, 3.0, 7.0, 14.0, 30.0];

/// The interests of the user in view. Answers the half-life that is asked for, where it is another one.
pub(super) fn show(ui: &mut Ui, cx: &PanelContext<'_>, told: &ToldInterests) -> Option<f64> {
    let mut wanted = None;
    ui.horizontal_wrapped(|ui| {
        ui.strong("Interests by texts");
        let label = ui.label("half as much after").id;
        let now = cx.session.store.half_life.unwrap_or(USUAL_HALF_LIFE);
        let mut days = now;
        let chooser = egui::ComboBox::from_id_salt("half-life").selected_text(format!("{now:.0} days"));
        let chooser = chooser.show_ui(ui, |ui| {
            for choice in HALF_LIVES {
                ui.selectable_value(&mut days, choice, format!("{choice:.0} days"));
            }
        });
        chooser.response.labelled_by(label);
        wanted = (days != now).then_some(days);
        let from = told.columns.join(", ");
        ui.weak(format!("{} texts from {from}", widgets::grouped(told.count as f64)));
    });
    if told.interests.tags.is_empty() {
        ui.weak("No topic of the list is near to any of them.");
    } else {
        let row = |tag: &crate::language::topics::Tag| bars::Row {
            name: format!("{} {}", tag.labels[0], tag.labels[1]),
            value: 100.0 * tag.weight,
            interval: None,
            text: match tag.words.is_empty() {
                true => format!("{:.0} %, by likeness", 100.0 * tag.weight),
                false => format!("{:.0} %: {}", 100.0 * tag.weight, tag.words.join(", ")),
            },
        };
        let rows: Vec<bars::Row> = told.interests.tags.iter().take(TOPICS).map(row).collect();
        let style = BarStyle {
            name: "Topics, share of the interest in %",
            colour: cx.theme.series(2),
            reference: None,
            marked: None,
        };
        ui.weak(style.name);
        bars::show(ui, cx.theme, style, &rows);
    }
    for text in told.texts.iter().take(TEXTS) {
        let words =
            format!("counts {:.2} · {:.0} days before the end · {}", text.weight, text.days_ago, text.column);
        ui.horizontal(|ui| {
            ui.weak(words);
            ui.add(egui::Label::new(&text.text).truncate());
        });
    }
    if !told.near.is_empty() {
        ui.add_space(4.0);
        ui.strong("Ads that are near and were not clicked")
            .on_hover_text("Cosine of the vectors, word by word");
    }
    for near in &told.near {
        let mut words = near.words.clone();
        words.sort_by(|a, b| b.share.total_cmp(&a.share));
        let words: Vec<String> =
            words.iter().take(4).map(|word| format!("{} {:+.2}", word.word, word.share)).collect();
        ui.horizontal(|ui| {
            ui.label(RichText::new(format!("{:.2}", near.cosine)).monospace());
            ui.label(&near.ad);
            ui.label(&near.text);
            ui.weak(words.join("  "));
        });
    }
    wanted
}

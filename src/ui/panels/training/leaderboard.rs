//! Which of all runs is the best, surely, and at what cost? Sorted by any column; who is beaten in all is greyed.

use super::progress::{unknown, with_interval};
use crate::insight::leaderboard::{Entry, Leaderboard};
use crate::metrics::Estimate;
use crate::metrics::significance::p_words;
use crate::session::commands::{InspectCommand, TrainCommand};
use crate::session::{Command, Purpose};
use crate::ui::charts;
use crate::ui::{PanelContext, Theme, widgets};
use egui::{RichText, Ui};

const TABLE_HEIGHT: f32 = 330.0;

/// What the entries are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum SortBy {
    #[default]
    Auc,
    AucWithinUsers,
    LogLoss,
    Training,
    Bytes,
    Memory,
    Scoring,
}

impl SortBy {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Auc, "AUC"),
        (Self::AucWithinUsers, "AUC within users"),
        (Self::LogLoss, "log loss"),
        (Self::Training, "training time"),
        (Self::Bytes, "size"),
        (Self::Memory, "memory of training"),
        (Self::Scoring, "rows scored per second"),
    ];

    /// What is smaller stands first.
    fn key(self, entry: &Entry) -> f64 {
        let value = |estimate: Option<Estimate>| estimate.map_or(f64::NEG_INFINITY, |known| known.value);
        match self {
            Self::Auc => -value(entry.measures.auc),
            Self::AucWithinUsers => -value(entry.measures.gauc),
            Self::LogLoss => entry.measures.log_loss.map_or(f64::INFINITY, |loss| loss.value),
            Self::Training => entry.cost.training_s,
            Self::Bytes => entry.cost.bytes,
            Self::Memory => entry.cost.memory.unwrap_or(f64::INFINITY),
            Self::Scoring => -entry.cost.scored_per_s,
        }
    }
}

/// The table once it was asked for.
pub(super) fn show(ui: &mut Ui, cx: &mut PanelContext<'_>, sort_by: &mut SortBy) {
    let runs = cx.session.store.training.models.len();
    if runs < 2 {
        ui.weak("Two models or more are ranked: train another, or a set of five in the Models panel.");
        return;
    }
    let ranked = cx.session.store.inspect.ranked.clone();
    let current = ranked.as_ref().is_some_and(|ranked| ranked.entries.len() + ranked.left_out.len() == runs);
    ui.horizontal_wrapped(|ui| {
        let busy = cx.session.jobs.of(Purpose::Rank).is_some();
        let words = if current { format!("Rank {runs} models again") } else { format!("Rank {runs} models") };
        if ui.add_enabled(!busy, egui::Button::new(words)).clicked() {
            cx.send(Command::Inspect(InspectCommand::Rank));
        }
        if busy {
            ui.spinner();
        }
        let label = ui.label("sorted by").id;
        let shown = SortBy::ALL.iter().find(|(known, _)| known == sort_by).map_or("", |(_, words)| *words);
        let menu = egui::ComboBox::from_id_salt("sort models by").selected_text(shown);
        let menu = menu.show_ui(ui, |ui| {
            for (known, words) in SortBy::ALL {
                ui.selectable_value(sort_by, known, words);
            }
        });
        menu.response.labelled_by(label);
    });
    if let Some(ranked) = ranked {
        table(ui, cx, &ranked, *sort_by);
    }
}

fn table(ui: &mut Ui, cx: &mut PanelContext<'_>, ranked: &Leaderboard, sort_by: SortBy) {
    let mut order: Vec<&Entry> = ranked.entries.iter().collect();
    order.sort_by(|a, b| sort_by.key(a).total_cmp(&sort_by.key(b)));
    let heads = [
        ("model", 130.0),
        ("AUC (95 %)", 165.0),
        ("difference to the leader", 190.0),
        ("p", 76.0),
        ("AUC within users (95 %)", 165.0),
        ("log loss (95 %)", 165.0),
        ("pred./actual", 82.0),
        ("training, s", 74.0),
        ("size, MB", 66.0),
        ("memory, MB", 84.0),
        ("rows scored/s", 96.0),
        ("Pareto front", 86.0),
    ];
    let mut looked_at = None;
    widgets::data_table(ui, "leaderboard", &heads, order.len(), TABLE_HEIGHT, |ui, row, column| {
        if let Some(place) = cell(ui, cx.theme, order[row], column) {
            looked_at = Some(place);
        }
    });
    if let Some(place) = looked_at {
        cx.send(Command::Train(TrainCommand::Select(place)));
    }
    ui.weak(format!(
        "{} test rows, the same for all. The leader is the best on these rows, by luck too; differences to it are by \
         DeLong, p corrected for all models (Holm). On the Pareto front: no other is as good, as quick to train and as \
         small, and better in one of these. Memory is what training held beside the log: weights, what the optimiser remembers, \
         gradients, the best epoch's copy. Scoring was timed here and now.",
        widgets::grouped(ranked.rows as f64)
    ));
    for (place, why) in &ranked.left_out {
        ui.colored_label(cx.theme.warn, format!("Run {} is left out: {why}", place + 1));
    }
}

/// Draws a cell; the place of a model that was clicked.
fn cell(ui: &mut Ui, theme: &Theme, entry: &Entry, column: usize) -> Option<usize> {
    let is_leader = entry.p.is_none();
    let text = match column {
        0 => {
            let words = format!("{} {}", entry.place + 1, entry.model.kind);
            let link = ui.link(words).on_hover_text("Look at this model in all panels");
            return link.clicked().then_some(entry.place);
        }
        1 => with_interval(entry.measures.auc),
        2 if is_leader => "leader".to_owned(),
        2 => entry
            .differences
            .auc
            .map_or_else(unknown, |e| format!("{:+.4} ({:+.4} to {:+.4})", e.value, e.low, e.high)),
        3 => entry.p.map_or_else(String::new, |p| p_words(p).trim_start_matches("p ").replace("= ", "")),
        4 => with_interval(entry.measures.gauc),
        5 => with_interval(entry.measures.log_loss),
        6 => entry.measures.predicted_over_actual.map_or_else(unknown, |e| charts::short(e.value)),
        7 => charts::short(entry.cost.training_s),
        8 => charts::short(entry.cost.bytes / 1e6),
        9 => entry.cost.memory.map_or_else(unknown, |bytes| charts::short(bytes / 1e6)),
        10 => widgets::grouped(entry.cost.scored_per_s.round()),
        _ => if entry.on_front { "yes" } else { "no" }.to_owned(),
    };
    let sure = column == 2 && entry.p.is_some_and(|p| p < 0.05);
    let colour = match (sure, entry.on_front) {
        (true, _) => theme.bad,
        (false, true) => theme.text,
        (false, false) => theme.weak_text,
    };
    ui.add(egui::Label::new(RichText::new(text).color(colour)).truncate());
    None
}

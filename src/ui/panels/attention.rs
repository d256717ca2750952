//! What did the model look at: which past behaviours for one impression and ad, averaged over a segment, and what does
//! each of its attention heads do?

mod average;
mod heads;
mod texts;

use super::{Panel, model_or_offer};
use crate::data::Dataset;
use crate::insight::attention::WeighedHistory;
use crate::metrics::Estimate;
use crate::session::commands::ViewCommand;
use crate::session::commands::inspect::InspectCommand;
use crate::session::{Command, Purpose};
use crate::tasks::explain::Explained;
use crate::train::TrainedModel;
use crate::ui::charts::bars;
use crate::ui::charts::heatmap::Heatmap;
use crate::ui::{PanelContext, Theme, widgets};
use egui::{RichText, Ui};
use std::sync::Arc;

/// Attention of the model in view.
#[derive(Default)]
pub struct AttentionPanel {
    /// Place of the chosen impression among the test rows, from 1.
    place: usize,
    ad: Option<String>,
    ad_filter: String,
    segment: String,
    heatmap: Heatmap,
    view: View,
    heads: heads::Heads,
    texts: texts::Texts,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum View {
    /// Past behaviours that were weighed.
    #[default]
    Past,
    /// Heads.
    Heads,
    /// Heads of a sentence encoder.
    Texts,
}

/// Ads listed in the menu at most; the filter finds the others.
const ADS_LISTED: usize = 60;

impl Panel for AttentionPanel {
    fn id(&self) -> &'static str {
        "attention"
    }

    fn title(&self) -> &'static str {
        "Attention"
    }

    fn summary(&self) -> &'static str {
        "What the model looked at: past behaviours, and each attention head"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        widgets::heading(ui, cx.theme, self.title(), self.summary());
        ui.horizontal(|ui| {
            let views = [
                (View::Past, "Past behaviours", "Which past behaviours the model weighed"),
                (View::Heads, "Heads", "What each head looks at, and what the model loses without it"),
                (View::Texts, "Texts", "What the heads of a sentence encoder look at in a text"),
            ];
            for (view, words, meaning) in views {
                ui.selectable_value(&mut self.view, view, words).on_hover_text(meaning);
            }
        });
        ui.add_space(4.0);
        if self.view == View::Texts {
            egui::ScrollArea::vertical().auto_shrink(false).id_salt("texts").show(ui, |ui| {
                ui.set_max_width(ui.available_width() - 12.0);
                self.texts.ui(ui, cx);
            });
            return;
        }
        let Some(model) = model_or_offer(ui, cx, "There is no model to ask yet.") else { return };
        if let Some(why) = no_attention(&model).filter(|_| !has_heads(&model)) {
            if widgets::empty_state(ui, cx.theme, &why, "Train a model with attention") {
                cx.send(Command::View(ViewCommand::Show("training")));
            }
            return;
        }
        let Some(dataset) = cx.session.store.dataset.clone() else {
            if widgets::empty_state(
                ui,
                cx.theme,
                "The open log is not encoded for models.",
                "Look at the data",
            ) {
                cx.send(Command::View(ViewCommand::Show("data")));
            }
            return;
        };
        if no_attention(&model).is_some() {
            self.view = View::Heads;
        }
        egui::ScrollArea::vertical().auto_shrink(false).id_salt(self.view as u8).show(ui, |ui| {
            ui.set_max_width(ui.available_width() - 12.0);
            if self.view == View::Heads {
                return self.heads.ui(ui, cx, &model);
            }
            ui.columns(2, |columns| {
                self.one(&mut columns[0], cx, &model, &dataset);
                self.averaged(&mut columns[1], cx, &model);
            });
        });
    }
}

fn has_heads(model: &TrainedModel) -> bool {
    crate::models::kind(&model.kind).is_ok_and(|kind| kind.has_heads())
}

/// Why this model has nothing to show here; `None` when it has.
fn no_attention(model: &TrainedModel) -> Option<String> {
    let able = crate::models::kind(&model.kind).is_ok_and(|kind| kind.exposes_attention());
    if !able {
        return Some(format!("A {} model does not weigh past behaviours.", model.kind));
    }
    model
        .encoder
        .sequences
        .is_empty()
        .then(|| "The log has no behaviour sequence, so there is nothing to weigh.".to_owned())
}

impl AttentionPanel {
    fn one(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, model: &Arc<TrainedModel>, dataset: &Dataset) {
        ui.strong("One impression");
        let rows = dataset.test.len();
        if rows == 0 {
            ui.weak("The log has no test rows.");
            return;
        }
        let known = cx.session.store.inspect.explained.as_ref().map(|known| known.explanation.row);
        if let (0, Some(row)) = (self.place, known) {
            self.place = dataset.test.iter().position(|&test| test == row).map_or(1, |place| place + 1);
        }
        self.place = self.place.clamp(1, rows);
        let before = (self.place, self.ad.clone());
        ui.horizontal_wrapped(|ui| {
            let label = ui.label("Test row");
            let range = 1..=rows;
            ui.add(egui::DragValue::new(&mut self.place).range(range).suffix(format!(" of {rows}")))
                .labelled_by(label.id);
            if ui.button("Next").on_hover_text("The next test row").clicked() {
                self.place = self.place % rows + 1;
            }
            self.choose_ad(ui, dataset);
        });
        let shown = cx.session.store.inspect.explained.clone();
        let stale = shown.as_ref().is_none_or(|shown| !Arc::ptr_eq(&shown.model, model));
        let running = cx.session.jobs.of(Purpose::Explain).is_some();
        if before != (self.place, self.ad.clone()) {
            let row = dataset.test[self.place - 1];
            cx.send(Command::Inspect(InspectCommand::Explain(row, self.ad.clone())));
        }
        match shown {
            Some(shown) => {
                if stale && !running {
                    ui.horizontal(|ui| {
                        ui.colored_label(cx.theme.warn, "of an earlier model");
                        if ui.button("Ask the present one").clicked() {
                            let row = dataset.test[self.place - 1];
                            cx.send(Command::Inspect(InspectCommand::Explain(row, self.ad.clone())));
                        }
                    });
                }
                explained(ui, cx.theme, &shown);
            }
            None if running => {
                ui.weak("Asking the model …");
            }
            None => {
                if widgets::main_button(ui, cx.theme, "Explain this impression").clicked() {
                    let row = dataset.test[self.place - 1];
                    cx.send(Command::Inspect(InspectCommand::Explain(row, self.ad.clone())));
                }
            }
        }
    }

    fn choose_ad(&mut self, ui: &mut Ui, dataset: &Dataset) {
        let Some(ads) = &dataset.ads else { return };
        let label = ui.label("Ad");
        let own = "the one shown";
        egui::ComboBox::from_id_salt("ad")
            .selected_text(self.ad.as_deref().unwrap_or(own))
            .close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside)
            .show_ui(ui, |ui| {
                ui.text_edit_singleline(&mut self.ad_filter)
                    .on_hover_text("Show ads whose name contains this");
                ui.selectable_value(&mut self.ad, None, own);
                let fitting = ads.names.iter().filter(|name| name.contains(self.ad_filter.trim()));
                let (mut listed, mut more) = (0, 0);
                for name in fitting {
                    if listed < ADS_LISTED {
                        ui.selectable_value(&mut self.ad, Some(name.clone()), name);
                        listed += 1;
                    } else {
                        more += 1;
                    }
                }
                if more > 0 {
                    ui.weak(format!("{more} more: type a part of the name"));
                }
            })
            .response
            .labelled_by(label.id);
    }
}

/// The prediction, the weights over the history, and the row's fields.
fn explained(ui: &mut Ui, theme: &Theme, shown: &Explained) {
    let explanation = &shown.explanation;
    let outcome = match shown.clicked {
        Some(label) if label > 0.0 => "; it was clicked",
        Some(_) => "; it was not clicked",
        None => "",
    };
    let ad = explanation.ad.as_deref().map_or_else(|| "its own ad".to_owned(), |ad| format!("ad {ad}"));
    ui.label(format!(
        "Row {} with {ad}: predicted click rate {} by {}{outcome}",
        explanation.row,
        Estimate::score_in_percent(explanation.p_click, explanation.interval, 2),
        shown.model.name()
    ));
    for history in &explanation.histories {
        ui.add_space(6.0);
        weighed(ui, theme, history);
    }
    ui.add_space(8.0);
    heads::of_row(ui, theme, &shown.heads);
    egui::CollapsingHeader::new("The row as the model sees it").show(ui, |ui| {
        egui::Grid::new("fields of the row").striped(true).num_columns(2).show(ui, |ui| {
            for (field, value) in &shown.fields {
                ui.weak(field);
                ui.label(value);
                ui.end_row();
            }
        });
    });
}

fn weighed(ui: &mut Ui, theme: &Theme, history: &WeighedHistory) {
    let title = format!("{} weighed for {}", history.sequence, history.target);
    ui.label(RichText::new(&title).strong());
    if history.items.is_empty() {
        ui.weak("This user has no past behaviour: the prediction rests on the other fields.");
        return;
    }
    let row = |item: &crate::insight::attention::HistoryItem| bars::Row {
        name: format!("{}  {}", item.steps_back, item.name),
        value: item.weight,
        interval: None,
        text: format!("{:.3}", item.weight),
    };
    let rows: Vec<bars::Row> = history.items.iter().map(row).collect();
    let even = history.items.iter().map(|item| item.weight).sum::<f64>() / history.items.len() as f64;
    let style = bars::BarStyle { name: &title, colour: theme.series(0), reference: Some(even), marked: None };
    bars::show(ui, theme, style, &rows);
    ui.small("Most recent first; the dashed line is the average weight of this history.");
}

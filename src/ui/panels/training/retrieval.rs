//! What would each model show this user, and where do they disagree?

use super::ticked_or_in_view;
use crate::insight::retrieval::{RankedAd, Retrieval};
use crate::insight::shortlist::{Shortlist, ShortlistQuestion};
use crate::metrics::Estimate;
use crate::models::kind;
use crate::session::commands::InspectCommand;
use crate::session::{Command, Purpose};
use crate::train::TrainedModel;
use crate::ui::{PanelContext, Theme, widgets};
use egui::{RichText, Ui};
use std::collections::BTreeSet;
use std::sync::Arc;

const TABLE_HEIGHT: f32 = 330.0;
const SHORT_HEIGHT: f32 = 170.0;
/// Users whose lists a search is judged by.
const USERS: usize = 200;

/// The question as it stands on the screen.
#[derive(Debug)]
pub(super) struct Asking {
    user: String,
    k: usize,
}

impl Default for Asking {
    fn default() -> Self {
        Self { user: String::new(), k: 10 }
    }
}

impl Asking {
    /// The question, and the answer once there is one.
    pub fn show(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, chosen: &BTreeSet<usize>) {
        let training = &cx.session.store.training;
        if training.models.is_empty() {
            ui.weak("No model is trained yet, so none can choose ads.");
            return;
        }
        let places = ticked_or_in_view(training, chosen);
        ui.horizontal_wrapped(|ui| {
            let label = ui.label("User").id;
            let hint = "as the log writes it";
            ui.add(egui::TextEdit::singleline(&mut self.user).hint_text(hint).desired_width(130.0))
                .labelled_by(label);
            let label = ui.label("ads for each model").id;
            ui.add(egui::DragValue::new(&mut self.k).range(1..=200)).labelled_by(label);
            let busy = cx.session.jobs.of(Purpose::Retrieve).is_some();
            let user = self.user.trim().to_owned();
            let words = format!("Ask {} model{}", places.len(), if places.len() == 1 { "" } else { "s" });
            if ui.add_enabled(!busy && !user.is_empty(), egui::Button::new(words)).clicked() {
                cx.send(Command::Inspect(InspectCommand::Retrieve(places.clone(), user, self.k)));
            }
            if busy {
                ui.spinner();
            } else {
                ui.weak("Those ticked in the list below; the one in view where none is.");
            }
        });
        search(ui, cx, self.k);
        let Some(retrieved) = cx.session.store.inspect.retrieved.clone() else {
            ui.weak("Every ad of the log is scored in the user's last moment, with the user's own history.");
            return;
        };
        match &retrieved.found {
            Ok(found) => answer(ui, cx.theme, found),
            Err(failure) => drop(ui.colored_label(cx.theme.bad, failure.to_string())),
        }
    }
}

/// How few ads the model in view must score, where its score is a product of two vectors.
fn search(ui: &mut Ui, cx: &mut PanelContext<'_>, k: usize) {
    let training = &cx.session.store.training;
    let Some(model) = training.model() else { return };
    let has_towers = kind(&model.kind).is_ok_and(|kind| kind.towers().is_some()) && model.members() == 1;
    let listed = cx.session.store.inspect.shortlisted.clone();
    if !has_towers && listed.is_none() {
        return;
    }
    let busy = cx.session.jobs.of(Purpose::Shortlist).is_some();
    ui.horizontal_wrapped(|ui| {
        let words = format!("Search among the ads with model {}", training.selected + 1);
        let button = ui.add_enabled(has_towers && !busy, egui::Button::new(words));
        let button = button.on_hover_text(
            "Puts the ads into cells by their vectors and scores only those that point the user's way: how many of the best are found",
        );
        if button.clicked() {
            let question = ShortlistQuestion { k, users: USERS };
            cx.send(Command::Inspect(InspectCommand::Shortlist(question)));
        }
        if busy {
            ui.spinner();
        }
    });
    let Some(listed) = listed else { return };
    match &listed.found {
        Ok(found) => shortlisted(ui, found),
        Err(failure) => drop(ui.colored_label(cx.theme.bad, failure.to_string())),
    }
}

fn shortlisted(ui: &mut Ui, found: &Shortlist) {
    let heads =
        [("cells looked into", 130.0), ("ads scored", 90.0), ("recall (95 %)", 170.0), ("ms a user", 90.0)];
    let rows = found.ways.len() + 1;
    widgets::data_table(ui, "shortlist", &heads, rows, SHORT_HEIGHT, |ui, row, column| {
        let text = match (found.ways.get(row), column) {
            (Some(way), 0) => format!("{} of {}", way.probed, found.cells),
            (Some(way), 1) => format!("{:.1} %", 100.0 * way.looked_at),
            (Some(way), 2) => way.recall.in_words(3),
            (Some(way), _) => format!("{:.3}", way.ms),
            (None, 0) => "all ads".to_owned(),
            (None, 1) => "100 %".to_owned(),
            (None, 2) => "1".to_owned(),
            (None, _) => format!("{:.3}", found.all_ms),
        };
        ui.add(egui::Label::new(text).truncate());
    });
    ui.weak(format!(
        "Lists of {} of {} ads for {} users of the test rows. Recall is the share of the best of all ads that is found. The cells \
         were made in {:.2} s.",
        found.k,
        widgets::grouped(found.ads as f64),
        widgets::grouped(found.users as f64),
        found.index_s
    ));
    ui.separator();
}

fn answer(ui: &mut Ui, theme: &Theme, found: &Retrieval) {
    ui.label(format!(
        "{} ads scored for {} (row {}); {} of them are among the first {} of some model",
        widgets::grouped(found.scored as f64),
        found.user,
        widgets::grouped(f64::from(found.row) + 1.0),
        found.ads.len(),
        found.k
    ));
    let names: Vec<String> =
        found.models.iter().enumerate().map(|(at, model)| format!("{} {}", at + 1, model.name())).collect();
    let mut heads = vec![("ad", 120.0), ("CTR in the log, 95 %", 180.0), ("n", 70.0), ("seen by user", 84.0)];
    let fixed = heads.len();
    let width = |model: &Arc<TrainedModel>| if model.members() > 1 { 190.0 } else { 130.0 };
    heads.extend(names.iter().zip(&found.models).map(|(name, model)| (name.as_str(), width(model))));
    widgets::data_table(ui, "retrieved", &heads, found.ads.len(), TABLE_HEIGHT, |ui, row, column| {
        let ad = &found.ads[row];
        let text = match column {
            0 => RichText::new(&ad.name),
            1 => RichText::new(
                ad.rate.as_ref().map_or_else(|| "n/a".to_owned(), widgets::percent_with_interval),
            ),
            2 => {
                RichText::new(ad.rate.as_ref().map_or_else(String::new, |rate| widgets::grouped(rate.trials)))
            }
            3 => RichText::new(ad.seen.to_string()),
            _ => rank(theme, ad, column - fixed, found.k),
        };
        ui.add(egui::Label::new(text).truncate());
    });
    for (place, model) in found.models.iter().enumerate().skip(1) {
        ui.weak(format!(
            "{} and {}: {} of {} ads shared, ranks of all {} ads agree to {:.2} (Spearman's rho)",
            found.models[0].kind,
            model.kind,
            found.shared[0][place],
            found.k.min(found.scored),
            widgets::grouped(found.scored as f64),
            found.agreement[place]
        ));
    }
    ui.weak(
        "Scores are click probabilities as each model predicts them; what the user would have done is not known. Those of an \
         ensemble have the interval in which one more member would come out.",
    );
}

/// `3.  2.14 %`, loud where the model would show the ad.
fn rank(theme: &Theme, ad: &RankedAd, model: usize, k: usize) -> RichText {
    let score = Estimate::score_in_percent(f64::from(ad.scores[model]), ad.intervals[model], 2);
    let text = RichText::new(format!("{}.  {score}", ad.ranks[model]));
    if ad.ranks[model] <= k { text.color(theme.accent).strong() } else { text.color(theme.weak_text) }
}

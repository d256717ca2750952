//! How would a kind do on users and ads that it never met, and what helps?

use super::progress::with_interval;
use crate::insight::cold_start::{AdPriors, ColdGroup, ColdPlan, ColdStart, GivenUp};
use crate::insight::ways::Way;
use crate::session::commands::TrainCommand;
use crate::session::{Command, Purpose};
use crate::tasks::trial::{Trial, Tried};
use crate::train::TrainSpec;
use crate::ui::{PanelContext, widgets};
use egui::Ui;

const TABLE_HEIGHT: f32 = 150.0;
const ADS_HEIGHT: f32 = 180.0;

/// The question as it stands on the screen.
#[derive(Debug)]
pub(super) struct ColdStarting {
    share: f64,
    mask: f64,
}

impl Default for ColdStarting {
    fn default() -> Self {
        Self { share: 0.2, mask: 0.2 }
    }
}

impl ColdStarting {
    /// The question, and the answer once there is one.
    pub fn show(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, spec: TrainSpec) {
        if cx.session.store.dataset.is_none() {
            ui.weak("No log with clicks is open, so nobody can be held out.");
            return;
        }
        ui.horizontal_wrapped(|ui| {
            let label = ui.label("hold out of users and ads").id;
            widgets::percent(ui, &mut self.share, 0.01..=0.9).labelled_by(label);
            let label = ui.label("rows that forget an id").id;
            widgets::percent(ui, &mut self.mask, 0.01..=0.9).labelled_by(label);
            let busy = cx.session.jobs.of(Purpose::TryOut).is_some();
            let words = format!("Try {} on new users and ads", spec.kind);
            if ui.add_enabled(!busy, egui::Button::new(words)).clicked() {
                let plan = ColdPlan { spec, share: self.share, mask: self.mask };
                cx.send(Command::Train(TrainCommand::TryOut(Box::new(Trial::ColdStart(plan)))));
            }
            if busy {
                ui.spinner();
            }
        });
        let found = cx.session.store.training.tried(|tried| match tried {
            Tried::ColdStart(found) => Some(found),
            _ => None,
        });
        match found {
            Some(found) => answer(ui, found),
            None => {
                ui.weak(
                    "Trains twice without the users and ads that are held out, once forgetting ids, and reads them on their \
                     test rows as one row of rare values or as the mean of those who share their attributes.",
                );
            }
        }
    }
}

fn answer(ui: &mut Ui, found: &ColdStart) {
    for group in &found.groups {
        of_group(ui, group);
    }
    if let Some(priors) = &found.priors {
        of_priors(ui, priors);
    }
}

fn of_group(ui: &mut Ui, group: &ColdGroup) {
    ui.strong(format!(
        "New {}: {} of them, {} test rows, {} clicks",
        group.column,
        widgets::grouped(group.ids as f64),
        widgets::grouped(group.rows as f64),
        widgets::grouped(group.clicks)
    ));
    ways_table(ui, &format!("cold {}", group.column), "read as", &group.ways);
    let fell_back: Vec<String> = group.given_up.iter().map(fallen_back).collect();
    ui.weak(format!(
        "Intervals of differences draw whole values of {} again. Means: {}.",
        group.column,
        fell_back.join("; ")
    ));
    ui.add_space(6.0);
}

/// A line for each way to score the same rows.
pub(super) fn ways_table(ui: &mut Ui, id: &str, head: &str, ways: &[Way]) {
    let heads = [
        (head, 210.0),
        ("AUC (95 %)", 160.0),
        ("log loss (95 %)", 160.0),
        ("AUC higher by (95 %)", 180.0),
        ("log loss higher by (95 %)", 180.0),
    ];
    widgets::data_table(ui, id, &heads, ways.len(), TABLE_HEIGHT, |ui, row, column| {
        let way = &ways[row];
        let text = match column {
            0 => way.way.clone(),
            1 => with_interval(way.measures.auc),
            2 => with_interval(way.measures.log_loss),
            _ if row == 0 => "-".to_owned(),
            3 => with_interval(way.auc_gain),
            _ => with_interval(way.loss_gain),
        };
        ui.add(egui::Label::new(text).truncate());
    });
}

fn fallen_back(one: &GivenUp) -> String {
    let rows = widgets::grouped(one.rows as f64);
    match (one.is_mean, one.shared.is_empty()) {
        (false, _) => format!("{rows} rows too few were learnt for"),
        (true, true) => format!("{rows} rows of all"),
        (true, false) => format!("{rows} rows of those with the same {}", one.shared.join(", ")),
    }
}

fn of_priors(ui: &mut Ui, priors: &AdPriors) {
    ui.strong(format!(
        "Priors of new ads: of {} ads {} came to lie in the 95 % that was foretold",
        priors.ads, priors.inside
    ));
    let heads = [
        ("ad", 110.0),
        ("ads alike", 70.0),
        ("prior a, b", 110.0),
        ("expected click rate (95 %)", 190.0),
        ("impressions", 90.0),
        ("clicks", 70.0),
        ("click rate now (95 %)", 190.0),
    ];
    widgets::data_table(ui, "ad priors", &heads, priors.listed.len(), ADS_HEIGHT, |ui, row, column| {
        let ad = &priors.listed[row];
        let text = match column {
            0 => ad.ad.clone(),
            1 => ad.from.to_string(),
            2 => format!("{:.2}, {:.1}", ad.prior.a, ad.prior.b),
            3 => with_interval(Some(ad.expected)),
            4 => widgets::grouped(ad.shown),
            5 => widgets::grouped(ad.clicks),
            _ => with_interval(Some(ad.posterior)),
        };
        let label = ui.add(egui::Label::new(text).truncate());
        if column == 1 {
            label.on_hover_text(format!("They share: {}", ad.shared.join(", ")));
        }
    });
}

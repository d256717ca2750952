//! A plan: curves over a lever of the last simulated market, and the split of its budgets.

use super::ask;
use crate::market::planner::{Curve, Effect, Lever, Point, Sensitivity, Split};
use crate::metrics::Estimate;
use crate::session::commands::ViewCommand;
use crate::session::{Command, Purpose};
use crate::tasks::evidence::EvidenceQuestion;
use crate::ui::charts::{self, curve};
use crate::ui::panels::segments::complain;
use crate::ui::{PanelContext, Theme, widgets};
use egui::{Grid, RichText, Ui};

/// The question on the screen.
#[derive(Default)]
pub struct PlanView {
    lever: Lever,
}

impl PlanView {
    pub fn show(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>) {
        if cx.session.store.market.result.is_none() {
            let why = "A plan turns a lever of a simulated market, and none was run yet.";
            if widgets::empty_state(ui, cx.theme, why, "Go to Slots") {
                cx.send(Command::View(ViewCommand::Show("slots")));
            }
            return;
        }
        let busy = cx.session.jobs.of(Purpose::Evidence).is_some();
        ui.horizontal(|ui| {
            for lever in Lever::ALL {
                ui.selectable_value(&mut self.lever, lever, lever.label());
            }
            if ui.add_enabled(!busy, egui::Button::new("Draw the curve")).clicked() {
                ask(cx, EvidenceQuestion::Plan(self.lever));
            }
            let hint = "So that the next unit brings as many clicks wherever it goes";
            if ui.add_enabled(!busy, egui::Button::new("Split the budgets")).on_hover_text(hint).clicked() {
                ask(cx, EvidenceQuestion::Split);
            }
        });
        ui.horizontal(|ui| {
            let hint =
                "Who comes, what they are like, how slots are sold: what each brings after the ones before";
            if ui
                .add_enabled(!busy, egui::Button::new("Take the what-if apart"))
                .on_hover_text(hint)
                .clicked()
            {
                ask(cx, EvidenceQuestion::Parts);
            }
            let hint = "A fifth less and a fifth more of bids, budgets, reserve and looks";
            if ui.add_enabled(!busy, egui::Button::new("Try what matters")).on_hover_text(hint).clicked() {
                ask(cx, EvidenceQuestion::Sensitivity);
            }
        });
        ui.weak("Every point is a run of the last simulation's baseline on the same seed.");
        let evidence = &cx.session.store.evidence;
        if let Some(so_far) = evidence.live.get().filter(|_| busy) {
            ui.label(format!(
                "{} of {} points, {} requests each …",
                so_far.points.len(),
                so_far.places,
                widgets::grouped(so_far.requests as f64)
            ));
            show_curve(ui, cx.theme, so_far.lever, &so_far.points);
            return;
        }
        match &evidence.plan {
            None => {}
            Some(Err(failure)) => complain(ui, cx.theme, failure),
            Some(Ok(found)) => {
                show_curve(ui, cx.theme, found.lever, &found.points);
                points(ui, found);
            }
        }
        match &evidence.split {
            None => {}
            Some(Err(failure)) => complain(ui, cx.theme, failure),
            Some(Ok(split)) => show_split(ui, split),
        }
        match &evidence.parts {
            None => {}
            Some(Err(failure)) => complain(ui, cx.theme, failure),
            Some(Ok(parts)) => show_parts(ui, cx.theme, parts),
        }
        match &evidence.sensitivity {
            None => {}
            Some(Err(failure)) => complain(ui, cx.theme, failure),
            Some(Ok(found)) => show_sensitivity(ui, found),
        }
    }
}

fn show_curve(ui: &mut Ui, theme: &Theme, lever: Lever, points: &[Point]) {
    let line = |of: &dyn Fn(&Point) -> f64| points.iter().map(|p| [p.at, of(p)]).collect::<Vec<_>>();
    let chart = |ui: &mut Ui, name: &str, y: &str, lines: &[(&str, Vec<[f64; 2]>, bool)]| {
        let series: Vec<charts::Series<'_>> = lines
            .iter()
            .enumerate()
            .map(|(place, (name, points, dashed))| charts::Series {
                name,
                points,
                colour: theme.series(if *dashed { 0 } else { place }),
                dashed: *dashed,
            })
            .collect();
        let frame = charts::Frame { name, x: lever.unit(), y, height: 240.0 };
        curve::show(ui, theme, frame, curve::LegendCorner::RightBottom, &series);
    };
    ui.columns(2, |columns| {
        let revenue = [
            ("revenue", line(&|p| p.revenue_per_mille.value), false),
            ("95 %, from", line(&|p| p.revenue_per_mille.low), true),
            ("95 %, to", line(&|p| p.revenue_per_mille.high), true),
        ];
        chart(&mut columns[0], "Revenue over the lever", "revenue per 1000 requests", &revenue);
        match lever {
            Lever::Cap => {
                let reach = [("users reached", line(&|p| p.reach as f64), false)];
                chart(&mut columns[1], "Reach over the lever", "users of a campaign, summed", &reach);
            }
            Lever::Reserve | Lever::Budget => {
                let clicks = [("clicks", line(&|p| p.clicks as f64), false)];
                chart(&mut columns[1], "Clicks over the lever", "clicks", &clicks);
            }
        }
    });
}

fn points(ui: &mut Ui, found: &Curve) {
    Grid::new("plan points").num_columns(8).striped(true).spacing([16.0, 3.0]).show(ui, |ui| {
        let heads =
            [found.lever.label(), "impressions", "filled", "clicks", "CTR", "spend", "reach", "frequency"];
        heads.iter().for_each(|head| drop(ui.weak(*head)));
        ui.end_row();
        let mut row = |name: String, point: &Point| {
            ui.label(name);
            ui.label(widgets::grouped(point.impressions as f64));
            ui.label(format!("{:.1} %", 100.0 * point.fill.rate));
            ui.label(widgets::grouped(point.clicks as f64));
            ui.label(widgets::percent_with_interval(&point.ctr));
            ui.label(format!("{:.2}", point.spend));
            ui.label(widgets::grouped(point.reach as f64));
            ui.label(format!("{:.2}", point.frequency));
            ui.end_row();
        };
        row("as it is".to_owned(), &found.now);
        for point in &found.points {
            row(charts::short(point.at), point);
        }
    });
    ui.weak(format!("{} requests a point.", widgets::grouped(found.requests as f64)));
    if let Some(check) = &found.check {
        ui.label(format!(
            "Forecast against actual: of the log's last {} rows, unseen in training, the model forecasts {:.2} % clicks; \
             {} came.",
            widgets::grouped(check.actual.trials),
            100.0 * check.forecast,
            widgets::percent_with_interval(&check.actual)
        ));
    }
}

fn show_parts(ui: &mut Ui, theme: &Theme, parts: &[Effect]) {
    ui.add_space(8.0);
    ui.strong("The what-if in parts (95 %)");
    Grid::new("parts").num_columns(4).striped(true).spacing([18.0, 3.0]).show(ui, |ui| {
        ["part", "revenue per 1000 requests", "clicks per 1000 requests", "CTR, percentage points"]
            .iter()
            .for_each(|head| drop(ui.weak(*head)));
        ui.end_row();
        for part in parts {
            ui.label(part.part);
            let mut told = |estimate: Option<Estimate>, scale: f64| {
                let Some(estimate) = estimate else { return drop(ui.weak("n/a")) };
                let colour = if estimate.excludes(0.0) { theme.accent } else { theme.weak_text };
                let [value, low, high] =
                    [estimate.value, estimate.low, estimate.high].map(|number| scale * number);
                ui.label(RichText::new(format!("{value:+.2} ({low:+.2} to {high:+.2})")).color(colour));
            };
            told(Some(part.revenue_per_mille), 1.0);
            told(Some(part.clicks_per_mille), 1.0);
            told(part.ctr, 100.0);
            ui.end_row();
        }
    });
}

fn show_sensitivity(ui: &mut Ui, found: &Sensitivity) {
    ui.add_space(8.0);
    ui.strong("What matters: revenue (currency units) with a fifth less and a fifth more");
    Grid::new("sensitivity").num_columns(4).striped(true).spacing([18.0, 3.0]).show(ui, |ui| {
        ["", "a fifth less", "as it is", "a fifth more"].iter().for_each(|head| drop(ui.weak(*head)));
        ui.end_row();
        for (name, less, more) in &found.things {
            ui.label(*name);
            [less, &found.now, more].iter().for_each(|point| drop(ui.label(format!("{:.2}", point.spend))));
            ui.end_row();
        }
    });
    let luck: Vec<String> = found.luck.iter().map(|point| format!("{:.2}", point.spend)).collect();
    ui.weak(format!("With other seeds: {}. What moves less than these is luck.", luck.join(", ")));
}

fn show_split(ui: &mut Ui, split: &Split) {
    ui.add_space(8.0);
    ui.strong("Budgets, split by what the next unit brings");
    Grid::new("split").num_columns(3).striped(true).spacing([18.0, 3.0]).show(ui, |ui| {
        ["campaign", "budget", "in the split"].iter().for_each(|head| drop(ui.weak(*head)));
        ui.end_row();
        for (name, now, then) in &split.budgets {
            ui.label(name);
            ui.label(format!("{now:.2}"));
            ui.label(format!("{then:.2}"));
            ui.end_row();
        }
    });
    for (name, point) in [("As it is", &split.now), ("The split", &split.then)] {
        ui.label(format!(
            "{name}: {} clicks, CTR {}, spend {:.2}",
            widgets::grouped(point.clicks as f64),
            widgets::percent_with_interval(&point.ctr),
            point.spend
        ));
    }
    if split.left_out > 0 {
        ui.weak(format!("{} campaigns have no budget and are no part of it.", split.left_out));
    }
}

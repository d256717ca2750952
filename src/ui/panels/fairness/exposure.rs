//! Whom does the model show what, and are its lists narrower than what people saw before?

use crate::insight::exposure::{Exposure, ExposureQuestion, PeopleExposure, ad_fields, people_fields};
use crate::metrics::Estimate;
use crate::session::commands::inspect::InspectCommand;
use crate::session::{Command, Purpose};
use crate::train::TrainedModel;
use crate::ui::charts::bars::{self, BarStyle};
use crate::ui::widgets::short_table::{Title, short_table};
use crate::ui::{PanelContext, Theme, widgets};
use egui::Ui;
use std::sync::Arc;

/// Lists of the model in view.
pub(super) struct ExposureView {
    by: Option<String>,
    people: Option<String>,
    k: usize,
    asked: Option<(ExposureQuestion, Arc<TrainedModel>)>,
}

impl Default for ExposureView {
    fn default() -> Self {
        Self { by: None, people: None, k: 10, asked: None }
    }
}

impl ExposureView {
    pub(super) fn ui(&mut self, ui: &mut Ui, cx: &mut PanelContext<'_>, model: &Arc<TrainedModel>) {
        let of_ads = ad_fields(&model.encoder);
        if of_ads.is_empty() {
            ui.weak("The model reads no field of ads but their names, so there are no groups to tell exposure by.");
            return;
        }
        self.question(ui, model, &of_ads);
        let question = ExposureQuestion {
            by: self.by.clone().unwrap_or_default(),
            people: self.people.clone(),
            k: self.k,
        };
        let known =
            self.asked.as_ref().is_some_and(|(asked, of)| *asked == question && Arc::ptr_eq(of, model));
        let lost =
            cx.session.store.inspect.exposure.is_none() && cx.session.jobs.of(Purpose::Exposure).is_none();
        if !known || lost {
            cx.send(Command::Inspect(InspectCommand::Exposure(question.clone())));
            self.asked = Some((question.clone(), Arc::clone(model)));
        }
        let answer = cx.session.store.inspect.exposure.clone();
        match answer.filter(|answer| Arc::ptr_eq(&answer.model, model)) {
            None => drop(ui.weak("Making lists …")),
            Some(answer) => match &answer.found {
                Err(failure) if answer.question == question => {
                    ui.colored_label(cx.theme.bad, failure.to_string());
                }
                Err(_) => drop(ui.weak("Making lists …")),
                Ok(found) => show(ui, cx.theme, found),
            },
        }
    }

    fn question(&mut self, ui: &mut Ui, model: &TrainedModel, of_ads: &[String]) {
        if self.by.as_ref().is_none_or(|by| !of_ads.contains(by)) {
            self.by = of_ads.first().cloned();
        }
        let of_people = people_fields(&model.encoder);
        if self.people.as_ref().is_some_and(|people| !of_people.contains(people)) {
            self.people = None;
        }
        ui.horizontal_wrapped(|ui| {
            ui.strong(&model.kind);
            let label = ui.label("first").id;
            ui.add(egui::DragValue::new(&mut self.k).range(1..=100).speed(0.1)).labelled_by(label);
            let label = ui.label("ads by").id;
            let shown = self.by.clone().unwrap_or_default();
            let menu = egui::ComboBox::from_id_salt("exposure by").selected_text(shown).show_ui(ui, |ui| {
                for name in of_ads {
                    ui.selectable_value(&mut self.by, Some(name.clone()), name);
                }
            });
            menu.response.labelled_by(label);
            let label = ui.label("for people by").id;
            let shown = self.people.clone().unwrap_or_else(|| "nothing".to_owned());
            let menu =
                egui::ComboBox::from_id_salt("exposure people").selected_text(shown).show_ui(ui, |ui| {
                    ui.selectable_value(&mut self.people, None, "nothing");
                    for name in &of_people {
                        ui.selectable_value(&mut self.people, Some(name.clone()), name);
                    }
                });
            menu.response.labelled_by(label);
        });
        ui.add_space(4.0);
    }
}

fn show(ui: &mut Ui, theme: &Theme, found: &Exposure) {
    egui::ScrollArea::vertical().auto_shrink(false).id_salt("exposure").show(ui, |ui| {
        ui.set_max_width(ui.available_width() - 12.0);
        let count = |n: usize| widgets::grouped(n as f64);
        ui.weak(format!(
            "Every one of {} ads was scored for {} of {} users of the test rows, evenly spread, each in the user's last moment; the first {} are the list.",
            count(found.ads),
            count(found.users),
            count(found.users_known),
            found.question.k
        ));
        ui.add_space(4.0);
        cards(ui, theme, found);
        ui.add_space(8.0);
        groups(ui, theme, found);
        if !found.people.is_empty() {
            ui.add_space(8.0);
            people(ui, theme, found);
        }
    });
}

fn cards(ui: &mut Ui, theme: &Theme, found: &Exposure) {
    let interval = |known: Option<Estimate>| {
        known.map_or_else(|| "too few users".to_owned(), |e| format!("95 %: {:.2} to {:.2}", e.low, e.high))
    };
    let value =
        |known: Option<Estimate>| known.map_or_else(|| "unknown".to_owned(), |e| format!("{:.2}", e.value));
    ui.horizontal_wrapped(|ui| {
        let shown = widgets::grouped(found.ads_shown as f64);
        widgets::metric_card(
            ui,
            theme,
            "Ads shown to anybody",
            &shown,
            &format!("of {}", widgets::grouped(found.ads as f64)),
        );
        let logged = format!("logged impressions {:.3}", found.gini_logged);
        widgets::metric_card(ui, theme, "Gini of ads' places", &format!("{:.3}", found.gini), &logged);
        let alike = format!("{:.1} %", 100.0 * found.alike);
        widgets::metric_card(ui, theme, "Alike", &alike, "of a list, mean over pairs of users");
        let by = format!("in {}; {}", found.question.by, interval(found.width));
        widgets::metric_card(ui, theme, "Width of a list", &value(found.width), &by);
        let past = format!("{}; {} users", interval(found.wider_than_past), found.users_with_past);
        widgets::metric_card(ui, theme, "Wider than the past", &value(found.wider_than_past), &past);
    });
    ui.weak(format!(
        "Width: the number of groups that a list with equal shares would have. Below 0 a list is narrower than the last {} impressions of the same user: a filter bubble grows.",
        found.question.k
    ));
}

fn groups(ui: &mut Ui, theme: &Theme, found: &Exposure) {
    let title = format!("Share of lists by {} (%), 95 % intervals", found.question.by);
    ui.strong(&title);
    let row = |group: &crate::insight::exposure::GroupExposure| {
        let percent = |share: f64| 100.0 * share;
        bars::Row {
            name: group.name.clone(),
            value: percent(group.shown.map_or(0.0, |shown| shown.value)),
            interval: group.shown.map(|shown| (percent(shown.low), percent(shown.high))),
            text: format!(
                "{:.1} %  (logged {:.1} %, {} ads)",
                percent(group.shown.map_or(0.0, |shown| shown.value)),
                percent(group.logged.rate),
                group.ads
            ),
        }
    };
    let rows: Vec<bars::Row> = found.groups.iter().map(row).collect();
    let style = BarStyle { name: &title, colour: theme.series(0), reference: None, marked: None };
    bars::show(ui, theme, style, &rows);
}

fn people(ui: &mut Ui, theme: &Theme, found: &Exposure) {
    let by = found.question.people.clone().unwrap_or_default();
    ui.strong(format!("Who is shown what: shares of lists by {by}"));
    let first = found.people.first().map_or("", |people| people.name.as_str());
    ui.weak(format!(
        "Percent of a list; in brackets points more than {first} (the largest group). Coloured where the 95 % interval excludes 0; users are the units."
    ));
    let mut titles: Vec<Title<'_>> =
        vec![("Group", 120.0, "Value of the field"), ("Users", 60.0, "Users whose lists were made")];
    titles.extend(found.groups.iter().map(|group| (group.name.as_str(), 110.0, group.name.as_str())));
    let rows: Vec<Vec<(String, bool)>> = found.people.iter().map(|people| cells(found, people)).collect();
    short_table(ui, theme, "people", &titles, &rows);
}

fn cells(found: &Exposure, people: &PeopleExposure) -> Vec<(String, bool)> {
    let mut cells = vec![(people.name.clone(), false), (people.users.to_string(), false)];
    for place in 0..found.groups.len() {
        let shown = people.shown.get(place).copied().flatten();
        let more = people.more.get(place).copied().flatten();
        let share = shown.map_or_else(|| "n/a".to_owned(), |shown| format!("{:.1} %", 100.0 * shown.value));
        let gap = more.map_or_else(String::new, |more| format!(" ({:+.1})", 100.0 * more.value));
        cells.push((format!("{share}{gap}"), more.is_some_and(|more| more.excludes(0.0))));
    }
    cells
}

//! Who comes, what changes, and by which rules are slots sold? The controls at the left.

use super::draft::{self, Draft, MixColumn};
use crate::auctions::{self, AUCTIONS};
use crate::domain::Pricing;
use crate::domain::money::{micros_from_units, units_from_micros};
use crate::market::Scenario;
use crate::session::Command;
use crate::session::commands::MarketCommand;
use crate::ui::dialogs::{DialogKind, DialogRequest};
use crate::ui::{PanelContext, form};
use egui::{ComboBox, DragValue, Slider, Ui};

/// Draws every control; what changes is found by the draft itself.
pub fn show(ui: &mut Ui, cx: &mut PanelContext<'_>, draft: &mut Draft) {
    let columns = draft::mix_columns(cx.session);
    audience(ui, cx, draft);
    what_if_mix(ui, draft, &columns);
    edit_user(ui, draft, &columns);
    rules(ui, draft);
    campaigns(ui, draft);
    run_options(ui, cx, draft);
}

fn audience(ui: &mut Ui, cx: &PanelContext<'_>, draft: &mut Draft) {
    let label = ui.strong("Audience");
    let edit = egui::TextEdit::singleline(&mut draft.audience_text)
        .hint_text("everyone; or city = '上海' and hour >= 18")
        .desired_width(f32::INFINITY);
    let response = ui.add(edit).labelled_by(label.id);
    let entered = response.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
    ui.horizontal(|ui| {
        if ui.button("Apply audience").clicked() || entered {
            draft.audience_text.trim().clone_into(&mut draft.spec.audience);
        }
        let saved = &cx.session.workspace.audiences;
        if !saved.is_empty() {
            ui.menu_button("Saved", |ui| {
                for audience in saved {
                    if ui.button(&audience.name).on_hover_text(&audience.segment).clicked() {
                        audience.segment.clone_into(&mut draft.audience_text);
                        audience.segment.clone_into(&mut draft.spec.audience);
                    }
                }
            });
        }
    });
    ui.add_space(6.0);
}

fn what_if_mix(ui: &mut Ui, draft: &mut Draft, columns: &[MixColumn]) {
    ui.horizontal(|ui| {
        ui.strong("What if the mix were different?");
        let changed = draft.mix.values().any(|factor| *factor != 1.0);
        if ui.add_enabled(changed, egui::Button::new("As logged").small()).clicked() {
            draft.mix.clear();
        }
    });
    ui.weak("Factor of each part in the what-if; 1 is as logged.");
    for (place, column) in columns.iter().enumerate() {
        egui::CollapsingHeader::new(&column.name).default_open(place == 0).show(ui, |ui| {
            egui::Grid::new(("mix", &column.name)).num_columns(2).show(ui, |ui| {
                for (name, segment) in &column.parts {
                    let label = ui.label(name);
                    let factor = draft.mix.entry(segment.clone()).or_insert(1.0);
                    ui.spacing_mut().slider_width = 90.0;
                    ui.add(Slider::new(factor, 0.0..=5.0).max_decimals(1).step_by(0.1)).labelled_by(label.id);
                    ui.end_row();
                }
            });
        });
    }
    ui.add_space(6.0);
}

fn edit_user(ui: &mut Ui, draft: &mut Draft, columns: &[MixColumn]) {
    egui::CollapsingHeader::new("Edit the user").show(ui, |ui| {
        ui.weak("Sets a column for everyone in the audience; narrow the audience to one user to edit one.");
        egui::Grid::new("user edits").num_columns(2).show(ui, |ui| {
            for column in columns.iter().filter(|column| column.editable) {
                let label = ui.label(&column.name);
                edit_column(ui, draft, column).labelled_by(label.id);
                ui.end_row();
            }
        });
    });
    ui.add_space(6.0);
}

fn edit_column(ui: &mut Ui, draft: &mut Draft, column: &MixColumn) -> egui::Response {
    const AS_LOGGED: &str = "as logged";
    let current = draft.edits.get(&column.name).map_or(AS_LOGGED, String::as_str).to_owned();
    let mut chosen = current.clone();
    let combo = ComboBox::from_id_salt(("edit", &column.name)).selected_text(&current).show_ui(ui, |ui| {
        ui.selectable_value(&mut chosen, AS_LOGGED.to_owned(), AS_LOGGED);
        for (value, _) in &column.parts {
            ui.selectable_value(&mut chosen, value.clone(), value);
        }
    });
    if chosen == AS_LOGGED {
        draft.edits.remove(&column.name);
    } else {
        draft.edits.insert(column.name.clone(), chosen);
    }
    combo.response
}

fn rules(ui: &mut Ui, draft: &mut Draft) {
    ui.strong("Auction");
    scenario(ui, "baseline", &mut draft.spec.baseline);
    scenario(ui, "what-if", draft.what_if());
    ui.horizontal(|ui| {
        let label = ui.label("Slots a page");
        let mut slots = draft.spec.slots.len();
        ui.add(Slider::new(&mut slots, 1..=4)).labelled_by(label.id);
        if slots != draft.spec.slots.len() {
            // Lower slots are looked at less: 1, 2/3, 1/2, 2/5 of the first, a stand-in for the page's own shares.
            draft.spec.slots = (0..slots).map(|slot| 1.0 / (1.0 + 0.5 * slot as f64)).collect();
        }
    });
    ui.add_space(6.0);
}

fn scenario(ui: &mut Ui, whose: &str, scenario: &mut Scenario) {
    ui.weak(format!("In the {whose}"));
    ui.spacing_mut().slider_width = 80.0;
    egui::Grid::new(("rule", whose)).num_columns(2).show(ui, |ui| {
        let label = ui.label("Rule").on_hover_text(format!("How the {whose} sells a slot"));
        let title = auctions::find(&scenario.auction.id).map_or("?", |rule| rule.label());
        let combo = ComboBox::from_id_salt(("auction", whose)).selected_text(title).show_ui(ui, |ui| {
            for rule in AUCTIONS {
                let chosen = scenario.auction.id == rule.id();
                if ui.selectable_label(chosen, rule.label()).on_hover_text(rule.summary()).clicked() {
                    rule.id().clone_into(&mut scenario.auction.id);
                    scenario.auction.params = crate::base::Params::default();
                }
            }
        });
        combo.response.labelled_by(label.id);
        ui.end_row();
        let label = ui.label("Reserve CPM").on_hover_text("Nobody buys a thousand impressions for less");
        let mut units = units_from_micros(scenario.reserve_cpm_micros);
        if ui.add(Slider::new(&mut units, 0.0..=100.0).max_decimals(1)).labelled_by(label.id).changed() {
            scenario.reserve_cpm_micros = micros_from_units(units);
        }
        ui.end_row();
    });
    if let Ok(rule) = auctions::find(&scenario.auction.id) {
        form::params_form(ui, whose, rule.params(), &mut scenario.auction.params);
    }
}

fn campaigns(ui: &mut Ui, draft: &mut Draft) {
    egui::CollapsingHeader::new("Campaigns").show(ui, |ui| {
        if !draft.spec.campaigns.is_empty() && ui.button("As in the log").clicked() {
            draft.spec.campaigns.clear();
        }
        let mut edited = draft.campaigns.clone();
        for campaign in &mut edited {
            ui.label(&campaign.name);
            ui.horizontal(|ui| {
                let mut bid = units_from_micros(campaign.bid_micros);
                let named = format!("Bid of {}", campaign.name);
                let drag = ui.add(DragValue::new(&mut bid).range(0.01..=10_000.0).speed(0.1).prefix("bid "));
                drag.widget_info(|| egui::WidgetInfo::labeled(egui::Role::SpinButton, true, &named));
                if drag.changed() {
                    campaign.bid_micros = micros_from_units(bid);
                }
                for pricing in [Pricing::Cpm, Pricing::Cpc] {
                    ui.selectable_value(&mut campaign.pricing, pricing, pricing.label());
                }
            });
            ui.horizontal(|ui| {
                let mut limited = campaign.budget_micros.is_some();
                ui.checkbox(&mut limited, "budget").on_hover_text("Stop when it is spent");
                let mut budget = units_from_micros(campaign.budget_micros.unwrap_or(100_000_000));
                let named = format!("Budget of {}", campaign.name);
                let drag = ui.add_enabled(limited, DragValue::new(&mut budget).range(0.0..=1e9).speed(1.0));
                drag.widget_info(|| egui::WidgetInfo::labeled(egui::Role::SpinButton, limited, &named));
                if limited != campaign.budget_micros.is_some() || drag.changed() {
                    campaign.budget_micros = limited.then(|| micros_from_units(budget));
                }
            });
        }
        if edited != draft.campaigns {
            draft.spec.campaigns.clone_from(&edited);
            draft.campaigns = edited;
        }
    });
    ui.add_space(6.0);
}

fn run_options(ui: &mut Ui, cx: &mut PanelContext<'_>, draft: &mut Draft) {
    ui.strong("Run");
    egui::Grid::new("run options").num_columns(2).show(ui, |ui| {
        let label = ui.label("Requests");
        ui.add(Slider::new(&mut draft.spec.requests, 1_000..=1_000_000).logarithmic(true))
            .labelled_by(label.id);
        ui.end_row();
        let label = ui.label("Seed").on_hover_text("Same seed, same luck in both worlds");
        ui.add(DragValue::new(&mut draft.spec.seed)).labelled_by(label.id);
        ui.end_row();
    });
    let export = ui.button("Export spec …").on_hover_text("A file for `adloupe simulate`");
    if export.clicked() {
        cx.ask(DialogRequest {
            kind: DialogKind::SaveFile,
            title: "Export the simulation's spec",
            file_name: "simulation.json",
            then: |path| Command::Market(MarketCommand::Export(path)),
        });
    }
}

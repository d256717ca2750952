//! Who comes, what changes, and by which rules are slots sold? The controls at the left.

mod learning;
mod rivals;
mod shares;
mod single;

use super::draft::{self, Draft, MixColumn};
use crate::auctions::myerson::MyersonMark;
use crate::auctions::{self, AUCTIONS};
use crate::domain::money::{micros_from_units, units_from_micros};
use crate::domain::{Campaign, Pacing, Pricing, Shading};
use crate::market::Scenario;
use crate::market::diversity::Diversity;
use crate::market::exploration::Exploration;
use crate::market::position::Examination;
use crate::market::spec::{ClickSource, ModelSource};
use crate::session::Command;
use crate::session::commands::MarketCommand;
use crate::ui::dialogs::DialogRequest;
use crate::ui::{PanelContext, form, widgets};
use egui::{ComboBox, DragValue, Slider, Ui};

/// Draws every control; what changes is found by the draft itself.
pub fn show(ui: &mut Ui, cx: &mut PanelContext<'_>, draft: &mut Draft) {
    let columns = draft::mix_columns(cx.session);
    audience(ui, cx, draft);
    what_if_mix(ui, draft, &columns);
    shares::show(ui, draft, &columns);
    edit_user(ui, draft, &columns);
    rules(ui, draft);
    learning::show(ui, draft);
    campaigns(ui, draft);
    rivals::show(ui, &mut draft.spec.rivals);
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
        if ui.add_enabled(changed, widgets::small("As logged")).clicked() {
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
        ui.weak("Sets a column for everyone in the audience.");
        egui::Grid::new("user edits").num_columns(2).show(ui, |ui| {
            for column in columns.iter().filter(|column| column.editable) {
                let label = ui.label(&column.name);
                edit_column(ui, draft, column).labelled_by(label.id);
                ui.end_row();
            }
        });
        single::show(ui, draft, columns);
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
    let slots = draft.spec.slots.len();
    let mark = draft.myerson;
    scenario(ui, "baseline", &mut draft.spec.baseline, slots, mark);
    scenario(ui, "what-if", draft.what_if(), slots, mark);
    ui.horizontal(|ui| {
        let label = ui.label("Slots a page");
        let mut slots = draft.spec.slots.len();
        ui.add(Slider::new(&mut slots, 1..=4)).labelled_by(label.id);
        if slots != draft.spec.slots.len() {
            // Lower slots are looked at less: 1, 2/3, 1/2, 2/5 of the first, a stand-in for the page's own shares.
            draft.spec.slots = (0..slots).map(|slot| 1.0 / (1.0 + 0.5 * slot as f64)).collect();
        }
    });
    if draft.spec.slots.len() > 1 {
        looks(ui, draft);
    }
    ui.add_space(6.0);
    users(ui, draft);
    ui.add_space(6.0);
}

/// How visitors go down the page.
fn looks(ui: &mut Ui, draft: &mut Draft) {
    egui::CollapsingHeader::new("Who looks at which slot").show(ui, |ui| {
        let label = ui.label("Visitors look at");
        let examination = &mut draft.spec.examination;
        let combo =
            ComboBox::from_id_salt("examination").selected_text(examination.label()).show_ui(ui, |ui| {
                for each in Examination::ALL {
                    ui.selectable_value(examination, each, each.label());
                }
            });
        combo.response.labelled_by(label.id);
        egui::Grid::new("looks").num_columns(2).show(ui, |ui| {
            for (slot, share) in draft.spec.slots.iter_mut().enumerate() {
                let label = ui.label(format!("Slot {} share", slot + 1));
                ui.add(Slider::new(share, 0.0..=1.0).max_decimals(2)).labelled_by(label.id);
                ui.end_row();
            }
        });
        fitted_looks(ui, draft);
    });
}

/// What the log says about it, and a button that takes it over.
fn fitted_looks(ui: &mut Ui, draft: &mut Draft) {
    let Some(looks) = draft.looks.clone() else { return };
    let fitted = match &*looks {
        Err(failure) => {
            ui.weak(format!("The log does not say: {}.", failure.why));
            return;
        }
        Ok(fitted) => fitted,
    };
    ui.weak(format!("In the log, by '{}' (position-based model, 95 %):", fitted.column));
    egui::Grid::new("fitted looks").num_columns(3).show(ui, |ui| {
        for (place, (slot, look)) in fitted.slots.iter().zip(&fitted.looks).enumerate() {
            ui.weak(format!("slot {slot}"));
            // All others are told relative to the first, which has no interval of its own.
            ui.label(if place == 0 {
                "1, the measure".to_owned()
            } else {
                format!("{:.2} ({:.2} to {:.2})", look.value, look.low, look.high)
            })
            .on_hover_text(format!(
                "From {} clicks on {} impressions in this slot",
                widgets::grouped(fitted.clicks[place]),
                widgets::grouped(fitted.impressions[place])
            ));
            ui.weak(format!("n = {}", widgets::grouped(fitted.impressions[place])));
            ui.end_row();
        }
    });
    let hint = "Fitted with the quality of the ads; assumes that who sees an ad in which slot is chance";
    if ui.button("Use the log's shares").on_hover_text(hint).clicked() {
        let shares = fitted.shares();
        let slots = draft.spec.slots.len().min(shares.len());
        draft.spec.slots = shares[..slots].to_vec();
        draft.spec.examination = Examination::Each;
    }
}

/// How users change by what they see.
fn users(ui: &mut Ui, draft: &mut Draft) {
    egui::CollapsingHeader::new("Users over time").show(ui, |ui| {
        ui.weak("Assumptions, in both worlds; 0 leaves everyone as they are.");
        let effects = &mut draft.spec.feedback;
        egui::Grid::new("users over time").num_columns(2).show(ui, |ui| {
            let label =
                ui.label("Fatigue").on_hover_text("Share that each impression of a campaign takes away");
            ui.add(Slider::new(&mut effects.fatigue, 0.0..=0.5).max_decimals(2)).labelled_by(label.id);
            ui.end_row();
            let label =
                ui.label("Drift").on_hover_text("Share by which a click raises the liking for its category");
            ui.add(Slider::new(&mut effects.drift, 0.0..=0.5).max_decimals(2)).labelled_by(label.id);
            ui.end_row();
        });
        if ui
            .checkbox(&mut effects.follows, "Predictions follow the drift")
            .on_hover_text("As those of a model that reads the user's history")
            .changed()
        {
            effects.rescores = false;
        }
        if ui
            .checkbox(&mut effects.rescores, "The model reads what users do here")
            .on_hover_text(
                "Clicks are appended to the history, and the model itself predicts anew (din, bst, gru ...)",
            )
            .changed()
        {
            effects.follows = false;
        }
    });
}

fn scenario(ui: &mut Ui, whose: &str, scenario: &mut Scenario, slots: usize, mark: Option<MyersonMark>) {
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
        let label = ui.label("New ads").on_hover_text("How campaigns try ads that they know little of");
        exploration(ui, whose, &mut scenario.exploration).labelled_by(label.id);
        ui.end_row();
        if slots > 1 {
            let label = ui.label("Mix of ads").on_hover_text("How unlike the ads of one page are to be");
            diversity(ui, whose, &mut scenario.diversity).labelled_by(label.id);
            ui.end_row();
        }
    });
    if let Some(mark) = mark {
        myerson_mark(ui, scenario, mark);
    }
    if let Ok(rule) = auctions::find(&scenario.auction.id) {
        form::params_form(ui, whose, rule.params(), &mut scenario.auction.params);
    }
    if slots > 1 {
        floors(ui, whose, scenario, slots);
    }
}

/// The reserve that theory would set, as a mark that a click takes over.
fn myerson_mark(ui: &mut Ui, scenario: &mut Scenario, mark: MyersonMark) {
    let units = |micros: f64| micros / 1e6;
    let words = format!(
        "Myerson's mark {:.1} ({:.1} to {:.1})",
        units(mark.reserve),
        units(mark.from),
        units(mark.to)
    );
    let hint = format!(
        "The reserve that would earn most if all campaigns drew their worth from the {} offers of this audience; \
         reserves in brackets earn as much to within two standard errors. A click sets it.",
        mark.n
    );
    if widgets::small_button(ui, words).on_hover_text(hint).clicked() {
        scenario.reserve_cpm_micros = mark.reserve.round() as i64;
    }
}

fn exploration(ui: &mut Ui, whose: &str, exploration: &mut Exploration) -> egui::Response {
    const CHOICES: [(&str, Exploration); 7] = [
        ("as predicted", Exploration::None),
        ("any ad, 1 in 10", Exploration::Epsilon(0.1)),
        ("optimism (UCB)", Exploration::Ucb(1.0)),
        ("optimism for new ads", Exploration::Fresh(1.0)),
        ("Thompson", Exploration::Thompson(20.0)),
        ("optimism, by rate (LinUCB)", Exploration::LinUcb(1.0)),
        ("Thompson, by rate", Exploration::LinThompson(1.0)),
    ];
    let chosen =
        CHOICES.iter().find(|(_, choice)| choice == exploration).map_or("as in the file", |(name, _)| name);
    let combo = ComboBox::from_id_salt(("exploration", whose)).selected_text(chosen).show_ui(ui, |ui| {
        for (name, choice) in CHOICES {
            ui.selectable_value(exploration, choice, name);
        }
    });
    combo.response
}

/// How strongly ads of one category push each other off a page.
fn diversity(ui: &mut Ui, whose: &str, diversity: &mut Diversity) -> egui::Response {
    let title = match diversity {
        Diversity::None => "best offers",
        Diversity::Mmr(_) => "varied (MMR)",
        Diversity::Dpp(_) => "varied (DPP)",
    };
    let row = ui.horizontal(|ui| {
        let combo =
            ComboBox::from_id_salt(("diversity", whose)).width(90.0).selected_text(title).show_ui(ui, |ui| {
                for (name, choice) in [
                    ("best offers", Diversity::None),
                    ("varied (MMR)", Diversity::Mmr(0.7)),
                    ("varied (DPP)", Diversity::Dpp(0.8)),
                ] {
                    ui.selectable_value(diversity, choice, name);
                }
            });
        match diversity {
            Diversity::None => {}
            Diversity::Mmr(weight) => {
                ui.add(DragValue::new(weight).range(0.05..=1.0).speed(0.01).max_decimals(2))
                    .on_hover_text("Weight of the offer; the rest is for being unlike the ads above");
            }
            Diversity::Dpp(alike) => {
                ui.add(DragValue::new(alike).range(0.0..=0.99).speed(0.01).max_decimals(2))
                    .on_hover_text("How alike two ads of one category are");
            }
        }
        combo.response
    });
    row.inner
}

fn floors(ui: &mut Ui, whose: &str, scenario: &mut Scenario, slots: usize) {
    egui::CollapsingHeader::new("Floors per slot").id_salt(("floors", whose)).show(ui, |ui| {
        let floors = &mut scenario.floors_cpm_micros;
        for slot in 0..slots {
            ui.horizontal(|ui| {
                let label = ui.label(format!("Slot {}", slot + 1));
                let mut units = units_from_micros(floors.get(slot).copied().unwrap_or(0));
                if ui
                    .add(Slider::new(&mut units, 0.0..=100.0).max_decimals(1))
                    .labelled_by(label.id)
                    .changed()
                {
                    floors.resize(slots.max(floors.len()), 0);
                    floors[slot] = micros_from_units(units);
                }
            });
        }
        if floors.iter().all(|floor| *floor == 0) {
            floors.clear();
        }
    });
}

fn campaigns(ui: &mut Ui, draft: &mut Draft) {
    egui::CollapsingHeader::new("Campaigns").show(ui, |ui| {
        if !draft.spec.campaigns.is_empty() && ui.button("As in the log").clicked() {
            draft.spec.campaigns.clear();
        }
        conversions(ui, draft);
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
                for pricing in Pricing::ALL {
                    ui.selectable_value(&mut campaign.pricing, pricing, pricing.label());
                }
                if campaign.pricing == Pricing::Cpa {
                    // A stand-in until the person says better: one click in twenty converts.
                    campaign.conversion_rate.get_or_insert(0.05);
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
            manner(ui, campaign);
        }
        if edited != draft.campaigns {
            draft.spec.campaigns.clone_from(&edited);
            draft.campaigns = edited;
        }
    });
    ui.add_space(6.0);
}

/// Who says how likely a click is to convert, for campaigns that pay per conversion.
fn conversions(ui: &mut Ui, draft: &mut Draft) {
    if draft.learns_conversions() {
        ui.weak("Conversions per click come from the model itself, which learns both.");
        return;
    }
    let mut by_model = draft.spec.conversions.is_some();
    let hint =
        "For CPA: a logistic model trained on the clicks of this log, in place of each campaign's own rate";
    if ui.checkbox(&mut by_model, "Conversions by a model of the log").on_hover_text(hint).changed() {
        let source =
            || ModelSource::Train { kind: "logistic".to_owned(), params: crate::base::Params::default() };
        draft.spec.conversions = by_model.then(source);
    }
}

/// How a campaign spends and how often it is seen.
fn manner(ui: &mut Ui, campaign: &mut Campaign) {
    ui.horizontal(|ui| {
        let named = |response: egui::Response, what: &str| {
            let name = format!("{what} of {}", campaign.name);
            response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::ComboBox, true, &name));
        };
        let combo = ComboBox::from_id_salt(("pacing", &campaign.name)).width(110.0);
        let shown = combo.selected_text(campaign.pacing.label()).show_ui(ui, |ui| {
            let mut pacing = campaign.pacing;
            for each in Pacing::ALL {
                ui.selectable_value(&mut pacing, each, each.label());
            }
            pacing
        });
        named(shown.response, "Pacing");
        let mut pacing = campaign.pacing;
        if let Some(chosen) = shown.inner {
            pacing = chosen;
        }
        let mut learns = campaign.shading == Shading::Learnt;
        let hint = "Bids less than its worth where winners pay their own bid, as past prices suggest";
        if ui.checkbox(&mut learns, "shades").on_hover_text(hint).changed() {
            campaign.shading = if learns { Shading::Learnt } else { Shading::None };
        }
        campaign.pacing = pacing;
    });
    ui.horizontal(|ui| {
        let mut capped = campaign.frequency_cap.is_some();
        ui.checkbox(&mut capped, "at most").on_hover_text("Impressions that one user sees");
        let mut cap = campaign.frequency_cap.unwrap_or(3);
        let name = format!("Frequency cap of {}", campaign.name);
        let drag = ui.add_enabled(capped, DragValue::new(&mut cap).range(1..=1_000).suffix(" a user"));
        drag.widget_info(|| egui::WidgetInfo::labeled(egui::Role::SpinButton, capped, &name));
        campaign.frequency_cap = capped.then_some(cap);
    });
}

fn clicks_from(ui: &mut Ui, cx: &PanelContext<'_>, draft: &mut Draft) -> egui::Response {
    let spec = &mut draft.spec;
    let others = draft::other_models(cx.session);
    let named = others.iter().find(|(_, source)| Some(source) == spec.click_model.as_ref());
    let shown = named.map_or(spec.clicks.label(), |(name, _)| name.as_str());
    let combo = ComboBox::from_id_salt("clicks from").selected_text(shown).show_ui(ui, |ui| {
        for source in ClickSource::ALL {
            let chosen = spec.click_model.is_none() && spec.clicks == source;
            if ui.selectable_label(chosen, source.label()).clicked() {
                (spec.clicks, spec.click_model) = (source, None);
            }
        }
        for (name, source) in &others {
            let chosen = spec.click_model.as_ref() == Some(source);
            if ui.selectable_label(chosen, name).on_hover_text("Another model than the bidders'").clicked() {
                (spec.clicks, spec.click_model) = (ClickSource::Model, Some(source.clone()));
            }
        }
    });
    combo.response
}

fn run_options(ui: &mut Ui, cx: &mut PanelContext<'_>, draft: &mut Draft) {
    ui.strong("Run");
    egui::Grid::new("run options").num_columns(2).show(ui, |ui| {
        let label = ui.label("Requests");
        ui.add(Slider::new(&mut draft.spec.requests, 1_000..=1_000_000).logarithmic(true))
            .labelled_by(label.id);
        ui.end_row();
        let label = ui.label("Days").on_hover_text(
            "Pages come through so many days, as many an hour as the audience's own hours (UTC) say; \
             0: in no order of time",
        );
        ui.add(DragValue::new(&mut draft.spec.days).range(0..=366)).labelled_by(label.id);
        ui.end_row();
        let label = ui.label("Clicks from").on_hover_text("The line above the page says what was used");
        clicks_from(ui, cx, draft).labelled_by(label.id);
        ui.end_row();
        let label = ui.label("Users at least").on_hover_text(
            "Fewer users than this in an audience are not simulated: the figures would speak of single people",
        );
        ui.add(DragValue::new(&mut draft.spec.fewest_users).range(1..=1_000_000)).labelled_by(label.id);
        ui.end_row();
        let label = ui.label("Seed").on_hover_text("Same seed, same luck in both worlds");
        ui.add(DragValue::new(&mut draft.spec.seed)).labelled_by(label.id);
        ui.end_row();
    });
    if draft.spec.clicks == ClickSource::Replay {
        ui.weak(
            "A replay goes through the log once and keeps the pages where the auction picks the ad that was logged. \
             It needs the probability of each logged choice (a propensity column), one slot and unedited users.",
        );
    }
    let export = ui.button("Export spec …").on_hover_text("A file for `adloupe simulate`");
    if export.clicked() {
        cx.ask(DialogRequest::save("Export the simulation's spec", "simulation.json", |path| {
            Command::Market(MarketCommand::Export(path))
        }));
    }
    let hint = "Every recorded auction as a line of OpenRTB 2.6 JSON, with the reason of each loss";
    if ui.button("Export auctions …").on_hover_text(hint).clicked() {
        cx.ask(DialogRequest::save("Export the auctions as OpenRTB", "auctions.ndjson", |path| {
            Command::Market(MarketCommand::ExportAuctions(path))
        }));
    }
}

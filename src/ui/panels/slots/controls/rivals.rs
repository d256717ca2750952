//! Which unknown advertisers bid beside the campaigns? How many, what they bid, how often their ads are clicked.

use crate::domain::{BidSpread, Rivals};
use egui::{ComboBox, DragValue, Slider, Ui};

/// Draws one group of rivals; a file may have several, of which the first is edited here.
pub fn show(ui: &mut Ui, all: &mut Vec<Rivals>) {
    egui::CollapsingHeader::new("Rivals").default_open(!all.is_empty()).show(ui, |ui| {
        ui.weak("Advertisers that the log does not know; each draws a bid anew for every page.");
        egui::Grid::new("rivals").num_columns(2).show(ui, |ui| {
            let label = ui.label("How many");
            let mut bidders = all.first().map_or(0, |rivals| rivals.bidders);
            ui.spacing_mut().slider_width = 90.0;
            if ui.add(Slider::new(&mut bidders, 0..=50)).labelled_by(label.id).changed() {
                match all.first_mut() {
                    Some(_) if bidders == 0 => drop(all.remove(0)),
                    Some(rivals) => rivals.bidders = bidders,
                    None if bidders == 0 => {}
                    None => all.push(Rivals { bidders, ..Rivals::default() }),
                }
            }
            ui.end_row();
            if let Some(rivals) = all.first_mut() {
                bids(ui, &mut rivals.bids);
                let label = ui.label("Clicked, %").on_hover_text("Assumed: of their ads that are looked at");
                let mut percent = 100.0 * rivals.click_rate;
                let drag = DragValue::new(&mut percent).range(0.0..=100.0).speed(0.05).max_decimals(2);
                if ui.add(drag).labelled_by(label.id).changed() {
                    rivals.click_rate = percent / 100.0;
                }
                ui.end_row();
            }
        });
    });
    ui.add_space(6.0);
}

fn bids(ui: &mut Ui, bids: &mut Option<BidSpread>) {
    const AS_CAMPAIGNS: &str = "as the campaigns";
    const SPREADS: [BidSpread; 3] = [
        BidSpread::Lognormal { log_mean: 0.0, log_deviation: 1.0 },
        BidSpread::Exponential { mean: 1.0 },
        BidSpread::Uniform { low: 0.0, high: 2.0 },
    ];
    let label = ui.label("Their bids").on_hover_text("Currency units per thousand impressions");
    let chosen = bids.as_ref().map_or(AS_CAMPAIGNS, BidSpread::label);
    let combo = ComboBox::from_id_salt("rivals' bids").selected_text(chosen).show_ui(ui, |ui| {
        for (name, spread) in
            std::iter::once((AS_CAMPAIGNS, None)).chain(SPREADS.map(|spread| (spread.label(), Some(spread))))
        {
            if ui.selectable_label(chosen == name, name).clicked() {
                *bids = spread;
            }
        }
    });
    combo.response.labelled_by(label.id);
    ui.end_row();
    let mut number = |name: &str, hint: &str, value: &mut f64, range: std::ops::RangeInclusive<f64>| {
        let label = ui.label(name).on_hover_text(hint);
        ui.add(DragValue::new(value).range(range).speed(0.02).max_decimals(3)).labelled_by(label.id);
        ui.end_row();
    };
    match bids {
        None => {}
        Some(BidSpread::Lognormal { log_mean, log_deviation }) => {
            number("Mean of the log", "0: half of the bids are above 1.00 CPM", log_mean, -10.0..=10.0);
            number("Spread of the log", "Standard deviation of the logarithm", log_deviation, 0.0..=5.0);
        }
        Some(BidSpread::Exponential { mean }) => number("Mean, CPM", "Mean bid", mean, 0.001..=1e5),
        Some(BidSpread::Uniform { low, high }) => {
            number("Lowest, CPM", "No bid is lower", low, 0.0..=*high);
            number("Highest, CPM", "No bid is higher", high, *low..=1e5);
        }
    }
}

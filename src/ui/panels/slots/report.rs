//! What came of it so far? Totals side by side, the difference with its interval, campaigns, spend.

use crate::market::Outcome;
use crate::market::feedback::Bubble;
use crate::market::outcome::{CampaignOutcome, HourOutcome, WorldOutcome};
use crate::market::winners::correction;
use crate::metrics::{Estimate, Rate};
use crate::tasks::simulate::Simulated;
use crate::ui::charts::{self, curve};
use crate::ui::widgets::short_table;
use crate::ui::{Theme, widgets};
use egui::{Grid, RichText, Ui};

/// Both worlds' totals and what-if minus baseline.
pub fn totals(ui: &mut Ui, theme: &Theme, outcome: &Outcome) {
    ui.strong(format!("After {} requests", widgets::grouped(outcome.requests as f64)));
    Grid::new("totals").num_columns(4).striped(true).spacing([14.0, 4.0]).show(ui, |ui| {
        for head in ["", "baseline", "what-if", "difference (95 %)"] {
            ui.weak(head);
        }
        ui.end_row();
        let difference = outcome.difference.as_ref();
        let row = |ui: &mut Ui,
                   name: &str,
                   text: &dyn Fn(&WorldOutcome) -> String,
                   estimate: Option<String>,
                   excludes: bool| {
            ui.label(name);
            ui.label(text(&outcome.baseline));
            ui.label(outcome.what_if.as_ref().map_or_else(String::new, text));
            let colour = if excludes { theme.accent } else { theme.weak_text };
            ui.label(RichText::new(estimate.unwrap_or_default()).color(colour));
            ui.end_row();
        };
        let told = |estimate: Option<Estimate>, scale: f64| {
            let text = estimate.map(|estimate| interval_text(&estimate, scale));
            (text, estimate.is_some_and(|estimate| estimate.excludes(0.0)))
        };
        if outcome.baseline.coverage.is_some() {
            row(ui, "pages that count", &|w| widgets::grouped(w.pages as f64), None, false);
        }
        row(ui, "impressions", &|w| widgets::grouped(w.totals.impressions as f64), None, false);
        let (text, sure) = told(difference.map(|d| d.impressions_per_mille), 1.0);
        row(ui, "  per 1000 requests", &|w| per_mille(w.totals.impressions, w), text, sure);
        row(ui, "slots filled", &|w| format!("{:.1} %", 100.0 * w.totals.fill.rate), None, false);
        row(ui, "clicks", &|w| widgets::grouped(w.totals.clicks as f64), None, false);
        let (text, sure) = told(difference.map(|d| d.clicks_per_mille), 1.0);
        row(ui, "  per 1000 requests", &|w| per_mille(w.totals.clicks, w), text, sure);
        let (text, sure) = told(difference.and_then(|d| d.ctr), 100.0);
        row(ui, "CTR %", &|w| rate_text(&w.totals.ctr), text, sure);
        row(ui, "  predicted %", &|w| format!("{:.2}", 100.0 * w.totals.predicted_ctr), None, false);
        row(ui, "  drawn with %", &|w| format!("{:.2}", 100.0 * w.totals.expected_ctr), None, false);
        let marked_down =
            |w: &WorldOutcome| Estimate::known_in_words(correction(w.totals.predicted_ctr, &w.totals.ctr), 3);
        row(ui, "  clicked / predicted", &marked_down, None, false);
        row(ui, "revenue = spend", &|w| format!("{:.2}", w.totals.revenue), None, false);
        let (text, sure) = told(difference.map(|d| d.revenue_per_mille), 1.0);
        row(ui, "  per 1000 requests", &|w| format!("{:.2}", w.totals.revenue_per_mille.value), text, sure);
        row(ui, "average CPM", &|w| format!("{:.2}", w.totals.average_price_cpm), None, false);
        if outcome.baseline.totals.conversions > 0 {
            row(ui, "conversions", &|w| widgets::grouped(w.totals.conversions as f64), None, false);
        }
        for (name, hint, text) in BUBBLE {
            ui.label(*name).on_hover_text(*hint);
            ui.label(text(&outcome.baseline.bubble));
            ui.label(outcome.what_if.as_ref().map_or_else(String::new, |world| text(&world.bubble)));
            ui.end_row();
        }
    });
    curse(ui, theme, outcome);
    if difference_is_approximate(outcome) {
        ui.weak("A budget ran out: requests then depend on each other and the intervals are approximate.");
    }
    let worlds = [Some(&outcome.baseline), outcome.what_if.as_ref()];
    let short = |world: &&WorldOutcome| world.coverage.is_some_and(|coverage| coverage.is_short());
    if worlds.into_iter().flatten().any(|world| short(&world)) {
        let words = "Not identified: far fewer pages count than should. The auction picks ads that the log does not \
                     show to this audience, so these figures do not hold for it.";
        ui.label(RichText::new(words).color(theme.warn));
    }
}

/// A warning where what won was overrated.
fn curse(ui: &mut Ui, theme: &Theme, outcome: &Outcome) {
    let worlds = [("baseline", Some(&outcome.baseline)), ("what-if", outcome.what_if.as_ref())];
    for (name, world) in worlds {
        let Some(totals) = world.map(|world| &world.totals) else { continue };
        let Some(factor) = correction(totals.predicted_ctr, &totals.ctr).filter(|factor| factor.high < 1.0)
        else {
            continue;
        };
        let words = format!(
            "Winner's curse in the {name}: what won was clicked {} times as often as predicted. Whoever pays by the \
             prediction pays too much; marked down by that factor it pays for what comes.",
            factor.in_words(2)
        );
        ui.label(RichText::new(words).color(theme.warn));
    }
}

/// What the recorded pages say of all that was offered.
pub fn winners(ui: &mut Ui, simulated: &Simulated) {
    for (name, found) in ["Baseline", "What-if"].into_iter().zip(&simulated.winners) {
        ui.weak(match found {
            Ok(found) => format!(
                "{name}: {}, on {} recorded pages.",
                found.in_words(),
                widgets::grouped(found.pages as f64)
            ),
            Err(why) => format!("{name}: whether only the winners are overrated cannot be told: {why}."),
        });
    }
}

/// Which words for an ad were shown how often, and what came of it.
pub fn variants(ui: &mut Ui, theme: &Theme, simulated: &Simulated, outcome: &Outcome) {
    let worlds = [("baseline", Some(&outcome.baseline)), ("what-if", outcome.what_if.as_ref())];
    if outcome.baseline.variants.is_empty() {
        return;
    }
    ui.add_space(8.0);
    ui.strong("Words that compete for a place");
    const TITLES: [short_table::Title<'_>; 6] = [
        ("words", 300.0, "The words; those of the ad whose place it is are said so"),
        (
            "forecast %",
            130.0,
            "Click rate that was forecast, with the interval of words that nobody has seen",
        ),
        ("baseline shown", 110.0, "Share of the place's impressions"),
        ("CTR %, 95 %", 130.0, "Clicks per impression in the baseline"),
        ("what-if shown", 110.0, "Share of the place's impressions"),
        ("CTR %, 95 %", 130.0, "Clicks per impression in the what-if"),
    ];
    let in_percent = |told: Estimate| {
        format!("{:.2} ({:.2} to {:.2})", 100.0 * told.value, 100.0 * told.low, 100.0 * told.high)
    };
    let rows: Vec<Vec<(String, bool)>> = (outcome.baseline.variants.iter().enumerate())
        .map(|(place, own)| {
            let known = simulated.spec.variants.iter().find(|variant| variant.name == own.name);
            let text = simulated.creatives.get(&own.name).map_or("", |creative| creative.text.as_str());
            let is_draft = known.is_some_and(|variant| variant.draft);
            let mark = if own.is_own {
                " (the ad itself)"
            } else if is_draft {
                " DRAFT"
            } else {
                ""
            };
            let mut row = vec![
                (format!("{text}{mark}"), is_draft),
                (known.map_or_else(String::new, |variant| in_percent(variant.forecast)), false),
            ];
            for (_, world) in worlds {
                let of = world.and_then(|world| world.variants.get(place));
                row.push((
                    of.map_or_else(String::new, |of| format!("{:.1} %", 100.0 * of.share.rate)),
                    false,
                ));
                row.push((of.map_or_else(String::new, |of| rate_text(&of.ctr)), false));
            }
            row
        })
        .collect();
    short_table::short_table(ui, theme, "variants", &TITLES, &rows);
}

/// What the bidders learnt while ads were shown.
pub fn learning(ui: &mut Ui, theme: &Theme, outcome: &Outcome) {
    let worlds = [("Baseline", Some(&outcome.baseline)), ("What-if", outcome.what_if.as_ref())];
    for (name, learnt) in worlds.into_iter().filter_map(|(name, world)| Some((name, world?.learnt.as_ref()?)))
    {
        ui.add_space(8.0);
        ui.strong(format!("{name}: learning while ads are shown"));
        ui.label(format!(
            "{} impressions taught. Each scored before it taught, the log loss is {} below that of the frozen model.",
            widgets::grouped(learnt.updates as f64),
            learnt.gain.in_words(4)
        ));
        if learnt.held_back > 0 {
            let now = if learnt.is_held_back { " It is held back now." } else { "" };
            let words = format!(
                "The guard held back what was learnt at {} impressions, where it predicted worse than the frozen model.{now}",
                widgets::grouped(learnt.held_back as f64)
            );
            ui.label(RichText::new(words).color(theme.warn));
        }
        if let (Some(first), Some(last)) = (learnt.alarms.first(), learnt.alarms.last()) {
            let words = format!(
                "Drift: {} alarms, the first after {} impressions ({}, {} from {:.3} to {:.3}), the last after {}; the learner's \
                 steps became large again.",
                learnt.alarms.len(),
                widgets::grouped(first.row as f64),
                first.detector,
                first.of,
                first.from_to[0],
                first.from_to[1],
                widgets::grouped(last.row as f64)
            );
            ui.label(RichText::new(words).color(theme.warn));
        }
        let line = |of: usize| learnt.curve.iter().map(|point| [point[0], point[of]]).collect::<Vec<_>>();
        let (frozen, learner) = (line(1), line(2));
        let series = [
            charts::Series { name: "frozen model", points: &frozen, colour: theme.series(0), dashed: true },
            charts::Series {
                name: "with what was learnt",
                points: &learner,
                colour: theme.series(1),
                dashed: false,
            },
        ];
        let frame = charts::Frame {
            name: "Log loss while learning",
            x: "impressions so far",
            y: "log loss of the stretch",
            height: 190.0,
        };
        curve::show(ui, theme, frame, egui_plot::Corner::RightTop, &series);
    }
}

/// Per thousand pages that count.
fn per_mille(count: u64, world: &WorldOutcome) -> String {
    format!("{:.2}", 1_000.0 * count as f64 / (world.pages as f64).max(1.0))
}

/// How narrow the world is for its users: a name, what it means, and its words.
type BubbleRow = (&'static str, &'static str, fn(&Bubble) -> String);
const BUBBLE: &[BubbleRow] = &[
    (
        "variety a user sees",
        "Entropy of the categories that a user was shown, 1 for all alike; over users with 10 impressions or more",
        |bubble| match bubble.entropy {
            Some(entropy) => format!("{entropy:.2} ({} users)", widgets::grouped(bubble.users as f64)),
            None => "n/a".to_owned(),
        },
    ),
    ("ads ever shown", "Share of all ads that were shown at least once", |bubble| {
        format!("{:.0} %", 100.0 * bubble.coverage)
    }),
    ("concentration (Gini)", "Of impressions over ads: 0 all alike, towards 1 all on one ad", |bubble| {
        format!("{:.2}", bubble.concentration)
    }),
];

fn difference_is_approximate(outcome: &Outcome) -> bool {
    outcome.difference.is_some_and(|difference| difference.approximate)
}

/// `+0.31 (+0.12 to +0.50)`.
fn interval_text(estimate: &Estimate, scale: f64) -> String {
    if !(estimate.low.is_finite() && estimate.high.is_finite()) {
        return "too few requests".to_owned();
    }
    let (value, low, high) = (scale * estimate.value, scale * estimate.low, scale * estimate.high);
    format!("{value:+.2} ({low:+.2} to {high:+.2})")
}

/// `4.21 (4.05 to 4.37)`, in percent.
fn rate_text(rate: &Rate) -> String {
    if rate.is_known() {
        format!("{:.2} ({:.2} to {:.2})", 100.0 * rate.rate, 100.0 * rate.low, 100.0 * rate.high)
    } else {
        "n/a".to_owned()
    }
}

/// Every campaign of one world; the person chooses which.
pub fn campaigns(ui: &mut Ui, theme: &Theme, outcome: &Outcome, world: &mut usize) {
    ui.add_space(8.0);
    ui.horizontal(|ui| {
        ui.strong("Campaigns");
        for (index, name) in ["Baseline campaigns", "What-if campaigns"].into_iter().enumerate() {
            if index == 0 || outcome.what_if.is_some() {
                ui.selectable_value(world, index, name);
            }
        }
    });
    let shown: &WorldOutcome = match &outcome.what_if {
        Some(what_if) if *world == 1 => what_if,
        _ => &outcome.baseline,
    };
    egui::ScrollArea::horizontal().id_salt("campaign table").show(ui, |ui| {
        Grid::new("campaigns").num_columns(11).striped(true).spacing([14.0, 4.0]).show(ui, |ui| {
            for head in [
                "campaign",
                "impressions",
                "users reached",
                "clicks",
                "CTR",
                "clicked / predicted",
                "spend",
                "of budget",
                "price",
                "pages won",
            ] {
                ui.weak(head);
            }
            ui.weak("pages lost: outbid / reserve / caps and pacing / budget / targeting");
            ui.end_row();
            for campaign in &shown.campaigns {
                campaign_row(ui, theme, campaign);
            }
        });
    });
}

fn campaign_row(ui: &mut Ui, theme: &Theme, campaign: &CampaignOutcome) {
    ui.label(&campaign.name);
    ui.label(widgets::grouped(campaign.impressions as f64));
    ui.label(widgets::grouped(campaign.reach as f64));
    ui.label(widgets::grouped(campaign.clicks as f64));
    ui.label(widgets::percent_with_interval(&campaign.ctr));
    let factor = correction(campaign.predicted_ctr, &campaign.ctr);
    let cursed = factor.is_some_and(|factor| factor.high < 1.0);
    let text = RichText::new(Estimate::known_in_words(factor, 2));
    ui.label(if cursed { text.color(theme.warn) } else { text })
        .on_hover_text("Below 1: its winners were overrated, and its bids by prediction pay too much");
    ui.label(format!("{:.2}", campaign.spend));
    match campaign.budget {
        Some(budget) if budget > 0.0 => {
            let share = campaign.spend / budget;
            let colour = if campaign.exhausted_at.is_some() { theme.warn } else { theme.text };
            ui.label(RichText::new(format!("{:.0} %", 100.0 * share)).color(colour));
        }
        Some(_) => {
            ui.label("no budget");
        }
        None => {
            ui.weak("no limit");
        }
    }
    let price = campaign.average_price.map(|price| format!("{price:.2} {}", campaign.pricing.label()));
    ui.label(price.unwrap_or_else(|| "n/a".to_owned()));
    let won = if campaign.win_rate.is_known() {
        format!("{:.1} %", 100.0 * campaign.win_rate.rate)
    } else {
        "n/a".to_owned()
    };
    ui.label(won);
    let lost = campaign.lost;
    ui.weak(format!(
        "{} / {} / {} / {} / {}",
        widgets::grouped((lost.outbid + lost.lost_to_deal + lost.alike) as f64),
        widgets::grouped(lost.below_reserve as f64),
        widgets::grouped((lost.capped + lost.paced + lost.exposed) as f64),
        widgets::grouped(lost.no_budget as f64),
        widgets::grouped(lost.not_targeted as f64)
    ));
    ui.end_row();
}

/// Spend of both worlds up to the page in view.
pub fn spend_curve(ui: &mut Ui, theme: &Theme, simulated: &Simulated, page: u64) {
    let Some(recording) = &simulated.run.recording else { return };
    let reached = recording.checkpoints.iter().take_while(|outcome| outcome.requests <= page + 1);
    let mut lines = [vec![[0.0, 0.0]], vec![[0.0, 0.0]]];
    for outcome in reached {
        let requests = outcome.requests as f64;
        lines[0].push([requests, outcome.baseline.totals.spend]);
        if let Some(what_if) = &outcome.what_if {
            lines[1].push([requests, what_if.totals.spend]);
        }
    }
    let series = [
        charts::Series { name: "baseline", points: &lines[0], colour: theme.series(0), dashed: false },
        charts::Series { name: "what-if", points: &lines[1], colour: theme.series(1), dashed: false },
    ];
    let frame =
        charts::Frame { name: "Spend so far", x: "requests", y: "spend (currency units)", height: 170.0 };
    curve::show(ui, theme, frame, egui_plot::Corner::LeftTop, &series);
}

/// Pages and spend of both worlds by the hour, where the run has days.
pub fn hours(ui: &mut Ui, theme: &Theme, outcome: &Outcome) {
    if outcome.baseline.hours.is_empty() {
        return;
    }
    let worlds = [("baseline", Some(&outcome.baseline)), ("what-if", outcome.what_if.as_ref())];
    let chart = |ui: &mut Ui, name: &str, y: &str, of: &dyn Fn(&HourOutcome) -> f64| {
        let lines: Vec<Vec<[f64; 2]>> = worlds
            .iter()
            .map(|(_, world)| {
                let hours = world.map_or(&[][..], |world| world.hours.as_slice());
                hours.iter().enumerate().map(|(hour, came)| [hour as f64, of(came)]).collect()
            })
            .collect();
        let series: Vec<charts::Series<'_>> = (worlds.iter().zip(&lines).enumerate())
            .filter(|(_, (_, points))| !points.is_empty())
            .map(|(place, ((name, _), points))| charts::Series {
                name,
                points,
                colour: theme.series(place),
                dashed: false,
            })
            .collect();
        let frame = charts::Frame { name, x: "hour of the day (UTC)", y, height: 150.0 };
        curve::show(ui, theme, frame, egui_plot::Corner::LeftTop, &series);
    };
    ui.columns(2, |columns| {
        chart(&mut columns[0], "Requests by the hour", "pages", &|hour| hour.pages as f64);
        chart(&mut columns[1], "Spend by the hour", "spend (currency units)", &|hour| hour.spend);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_says_its_sign() {
        let estimate = Estimate { value: 0.0031, low: -0.0012, high: 0.0074 };
        assert_eq!(interval_text(&estimate, 100.0), "+0.31 (-0.12 to +0.74)");
        let unknown = Estimate::normal(0.0, f64::INFINITY);
        assert_eq!(interval_text(&unknown, 1.0), "too few requests");
    }
}

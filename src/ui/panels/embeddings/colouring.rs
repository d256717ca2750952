//! Which colour has each point, and what does it mean?

use crate::insight::{Projection, Values};
use crate::maps::clusters::NONE;
use crate::metrics::Rate;
use crate::ui::Theme;
use crate::ui::charts::short;
use egui::{Color32, Rect, Sense, Ui, pos2, vec2};
use std::sync::Arc;

/// What colours the points.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ColourBy {
    /// All alike.
    #[default]
    Nothing,
    /// Impressions, on a logarithmic scale.
    Impressions,
    /// Click rate.
    ClickRate,
    /// Click rate that the model expects.
    Predicted,
    /// How much more often the model expects clicks than they came.
    Error,
    /// Heap of the map.
    Cluster,
    /// A property of the values, by field.
    Trait(String),
}

/// Steps of a ramp.
const RAMP_STEPS: usize = 256;
/// Impressions below which a click rate is not trusted with a colour of its own.
const LEAST_IMPRESSIONS: f64 = 30.0;

impl ColourBy {
    /// Everything that can colour these points.
    pub fn all(projection: &Projection) -> Vec<Self> {
        let mut choices = vec![Self::Nothing];
        let values = &projection.values;
        if known_rates(values) > 0 {
            choices.extend([Self::Impressions, Self::ClickRate]);
        }
        if !values.predicted.is_empty() {
            choices.push(Self::Predicted);
            if !values.rates.is_empty() {
                choices.push(Self::Error);
            }
        }
        if !projection.clusters.is_empty() {
            choices.push(Self::Cluster);
        }
        choices.extend(projection.values.traits.iter().map(|known| Self::Trait(known.field.clone())));
        choices
    }

    /// What is most worth seeing: a property if there is one, else the click rate.
    pub fn default_for(projection: &Projection) -> Self {
        match projection.values.traits.first() {
            Some(known) => Self::Trait(known.field.clone()),
            None if known_rates(&projection.values) == 0 => Self::Nothing,
            None => Self::ClickRate,
        }
    }

    /// True when these points can be coloured so.
    pub fn fits(&self, projection: &Projection) -> bool {
        // A map that moves has no heaps yet; it will.
        *self == Self::Cluster || Self::all(projection).contains(self)
    }

    /// The words in the menu.
    pub fn title(&self) -> String {
        match self {
            Self::Nothing => "nothing".to_owned(),
            Self::Impressions => "impressions".to_owned(),
            Self::ClickRate => "click rate".to_owned(),
            Self::Predicted => "predicted click rate".to_owned(),
            Self::Error => "error of the prediction".to_owned(),
            Self::Cluster => "heap of the map".to_owned(),
            Self::Trait(field) => field.clone(),
        }
    }
}

/// Points with enough impressions to have a click rate.
fn known_rates(values: &Values) -> usize {
    values.rates.iter().filter(|rate| rate.trials >= LEAST_IMPRESSIONS).count()
}

/// Points with colours, ready to draw.
pub struct Coloured {
    /// Palette entries.
    pub codes: Arc<Vec<u8>>,
    /// Colours by entry.
    pub palette: Arc<Vec<[u8; 3]>>,
    legend: Legend,
    of: Arc<Values>,
    /// Heaps that were coloured.
    heaps: Arc<Projection>,
    by: ColourBy,
    dark: bool,
}

enum Legend {
    None,
    Ramp { low: String, high: String, note: String },
    Names(Vec<(Color32, String)>),
}

impl Coloured {
    /// Colours the points of a projection.
    pub fn new(projection: &Arc<Projection>, by: ColourBy, theme: &Theme) -> Self {
        let (codes, palette, legend) = match &by {
            ColourBy::Nothing => (vec![0; projection.len()], vec![theme.series(0)], Legend::None),
            ColourBy::Impressions => impressions(projection, theme),
            ColourBy::ClickRate => click_rate(projection, theme),
            ColourBy::Predicted => predicted(projection, theme),
            ColourBy::Error => error(projection, theme),
            ColourBy::Cluster => of_cluster(projection, theme),
            ColourBy::Trait(field) => of_trait(projection, field, theme),
        };
        Self {
            codes: Arc::new(codes),
            palette: Arc::new(palette.iter().map(|c| [c.r(), c.g(), c.b()]).collect()),
            legend,
            of: Arc::clone(&projection.values),
            heaps: Arc::clone(projection),
            by,
            dark: theme.dark,
        }
    }

    /// True when these points were coloured, and where heaps count the heaps of this map.
    pub fn is_of(&self, projection: &Arc<Projection>) -> bool {
        let same_heaps = self.by != ColourBy::Cluster || Arc::ptr_eq(&self.heaps, projection);
        Arc::ptr_eq(&self.of, &projection.values) && same_heaps
    }

    /// True when it was made by this choice in this theme.
    pub fn is_by(&self, by: &ColourBy, dark: bool) -> bool {
        self.by == *by && self.dark == dark
    }

    /// Draws what the colours mean.
    pub fn show_legend(&self, ui: &mut Ui, theme: &Theme) {
        match &self.legend {
            Legend::None => {}
            Legend::Ramp { low, high, note } => {
                let (rect, _) =
                    ui.allocate_exact_size(vec2(ui.available_width() - 8.0, 10.0), Sense::hover());
                let steps = 48;
                for step in 0..steps {
                    let left = rect.left() + rect.width() * step as f32 / steps as f32;
                    let part = Rect::from_min_max(
                        pos2(left, rect.top()),
                        pos2(left + rect.width() / steps as f32 + 0.5, rect.bottom()),
                    );
                    ui.painter().rect_filled(part, 0.0, theme.ramp((step as f32 + 0.5) / steps as f32));
                }
                ui.horizontal(|ui| {
                    ui.small(low);
                    ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| ui.small(high));
                });
                if !note.is_empty() {
                    ui.small(note);
                }
            }
            Legend::Names(names) => {
                for (colour, name) in names {
                    ui.horizontal(|ui| {
                        let (dot, _) = ui.allocate_exact_size(vec2(10.0, 10.0), Sense::hover());
                        ui.painter().circle_filled(dot.center(), 4.5, *colour);
                        ui.small(name);
                    });
                }
            }
        }
    }
}

type Parts = (Vec<u8>, Vec<Color32>, Legend);

fn ramp(theme: &Theme) -> Vec<Color32> {
    (0..RAMP_STEPS).map(|step| theme.ramp(step as f32 / (RAMP_STEPS - 1) as f32)).collect()
}

fn step(value: f64, low: f64, high: f64) -> u8 {
    let share = if high > low { (value - low) / (high - low) } else { 0.5 };
    (share.clamp(0.0, 1.0) * (RAMP_STEPS - 1) as f64).round() as u8
}

fn impressions(projection: &Projection, theme: &Theme) -> Parts {
    let counts = || projection.values.rates.iter().map(|rate| rate.trials);
    let low = counts().fold(f64::INFINITY, f64::min).max(1.0);
    let high = counts().fold(1.0, f64::max);
    let codes = counts().map(|n| step(n.max(1.0).ln(), low.ln(), high.ln())).collect();
    let legend = Legend::Ramp {
        low: format!("{} impressions", short(low)),
        high: short(high),
        note: "logarithmic".to_owned(),
    };
    (codes, ramp(theme), legend)
}

/// The scale runs over the values with enough impressions; the others are drawn by the middle of it.
fn click_rate(projection: &Projection, theme: &Theme) -> Parts {
    let known = || projection.values.rates.iter().filter(|rate| rate.trials >= LEAST_IMPRESSIONS);
    let low = known().map(|rate| rate.rate).fold(f64::INFINITY, f64::min);
    let high = known().map(|rate| rate.rate).fold(0.0, f64::max);
    let low = if low.is_finite() { low } else { 0.0 };
    let few = projection.values.rates.len() - known().count();
    let codes = projection.values.rates.iter().map(|rate| {
        let value = if rate.trials >= LEAST_IMPRESSIONS { rate.rate } else { (low + high) / 2.0 };
        step(value, low, high)
    });
    let note = if few > 0 {
        format!("{few} values with fewer than {LEAST_IMPRESSIONS} impressions have the middle colour")
    } else {
        String::new()
    };
    let legend = Legend::Ramp {
        low: format!("CTR {:.2} %", 100.0 * low),
        high: format!("{:.2} %", 100.0 * high),
        note,
    };
    (codes.collect(), ramp(theme), legend)
}

/// The model's mean log odds, told as rates.
fn predicted(projection: &Projection, theme: &Theme) -> Parts {
    let odds = || projection.values.predicted.iter().map(|odds| f64::from(*odds));
    let known = || odds().filter(|odds| odds.is_finite());
    let (low, high) =
        known().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        return (vec![0; projection.len()], vec![theme.weak_text], Legend::None);
    }
    let codes =
        odds().map(|value| step(if value.is_finite() { value } else { (low + high) / 2.0 }, low, high));
    let percent = |odds: f64| format!("{:.2} %", 100.0 * expected(odds));
    let (scored, all) = projection.values.scored;
    let legend = Legend::Ramp {
        low: format!("predicted CTR {}", percent(low)),
        high: percent(high),
        note: format!("by mean log odds, {scored} of {all} rows scored"),
    };
    (codes.collect(), ramp(theme), legend)
}

/// Click rate at some log odds.
pub(super) fn expected(odds: f64) -> f64 {
    1.0 / (1.0 + (-odds).exp())
}

/// Log of predicted over actual clicks of the values with enough impressions, half a click added to each.
fn error(projection: &Projection, theme: &Theme) -> Parts {
    let values = &projection.values;
    if known_rates(values) == 0 {
        return error_of_rows(values, theme);
    }
    let errors: Vec<Option<f64>> = values
        .rates
        .iter()
        .zip(&values.predicted)
        .map(|(rate, odds)| {
            let clicks = expected(f64::from(*odds)) * rate.trials;
            let known = rate.trials >= LEAST_IMPRESSIONS && clicks.is_finite();
            known.then(|| ((clicks + 0.5) / (rate.successes + 0.5)).ln())
        })
        .collect();
    let widest = errors.iter().flatten().fold(1e-6f64, |most, error| most.max(error.abs()));
    let few = errors.iter().filter(|error| error.is_none()).count();
    let codes = errors.iter().map(|error| step(error.unwrap_or(0.0), -widest, widest)).collect();
    let legend = Legend::Ramp {
        low: format!("{:.1} times too few", widest.exp()),
        high: format!("{:.1} times too many", widest.exp()),
        note: format!(
            "clicks that the model expects, against those that came; {few} values with fewer than \
             {LEAST_IMPRESSIONS} impressions have the middle colour"
        ),
    };
    (codes, ramp(theme), legend)
}

/// Predicted probability less what came, of points with too few impressions for a rate: rows of the log.
fn error_of_rows(values: &Values, theme: &Theme) -> Parts {
    let of = |(rate, odds): (&Rate, &f32)| {
        let error = expected(f64::from(*odds)) - rate.successes / rate.trials;
        if error.is_finite() { error } else { 0.0 }
    };
    let errors: Vec<f64> = values.rates.iter().zip(&values.predicted).map(of).collect();
    let codes = errors.iter().map(|error| step(*error, -1.0, 1.0)).collect();
    let legend = Legend::Ramp {
        low: "clicked, not expected".to_owned(),
        high: "expected, not clicked".to_owned(),
        note: "predicted probability less the share clicked, from -1 to 1".to_owned(),
    };
    (codes, ramp(theme), legend)
}

/// The largest heaps have the theme's colours, the others and points between them one.
fn of_cluster(projection: &Projection, theme: &Theme) -> Parts {
    let own = theme.series.len().min(projection.clusters.len());
    let entry = |cluster: &u32| if *cluster == NONE { own as u8 } else { (*cluster as usize).min(own) as u8 };
    let mut palette: Vec<Color32> = (0..own).map(|place| theme.series(place)).collect();
    palette.push(theme.weak_text);
    let mut names: Vec<(Color32, String)> = (0..own)
        .map(|cluster| {
            let words = format!("{} ({})", projection.label(cluster), projection.clusters.sizes[cluster]);
            (palette[cluster], words)
        })
        .collect();
    let named: usize = projection.clusters.sizes.iter().take(own).sum();
    if named < projection.len() {
        names.push((
            theme.weak_text,
            format!("other heaps and points between ({})", projection.len() - named),
        ));
    }
    let mut codes: Vec<u8> = projection.clusters.of.iter().map(entry).collect();
    codes.resize(projection.len(), own as u8);
    (codes, palette, Legend::Names(names))
}

/// The most frequent codes have the theme's colours, the rest share the last entry.
fn of_trait(projection: &Projection, field: &str, theme: &Theme) -> Parts {
    let Some(known) = projection.values.traits.iter().find(|known| known.field == field) else {
        return (vec![0; projection.len()], vec![theme.series(0)], Legend::None);
    };
    let mut counts = vec![0usize; known.names.len()];
    for &code in &known.codes {
        counts[code as usize] += 1;
    }
    let mut order: Vec<usize> = (0..counts.len()).filter(|&code| counts[code] > 0).collect();
    order.sort_by_key(|&code| (std::cmp::Reverse(counts[code]), code));
    let own = theme.series.len().min(order.len());
    let mut entry = vec![own as u8; known.names.len()];
    for (place, &code) in order.iter().take(own).enumerate() {
        entry[code] = place as u8;
    }
    let mut palette: Vec<Color32> = (0..own).map(|place| theme.series(place)).collect();
    palette.push(theme.weak_text);
    let mut names: Vec<(Color32, String)> = order
        .iter()
        .take(own)
        .map(|&code| (palette[usize::from(entry[code])], format!("{} ({})", known.names[code], counts[code])))
        .collect();
    if order.len() > own {
        names.push((theme.weak_text, format!("{} others", order.len() - own)));
    }
    let codes = known.codes.iter().map(|&code| entry[code as usize]).collect();
    (codes, palette, Legend::Names(names))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insight::sources::Gathered;
    use crate::insight::values::Trait;
    use crate::insight::{MapQuestion, Values, project};
    use crate::jobs::JobContext;
    use crate::maps::Metric;
    use crate::train::EmbeddingTable;

    fn projection() -> Arc<Projection> {
        let names: Vec<String> = ["跑鞋", "phone", "tea"].map(str::to_owned).to_vec();
        let table = EmbeddingTable { field: "ad".into(), names, width: 1, values: vec![0.0, 1.0, 3.0] };
        let context = JobContext::detached();
        let gathered = Gathered::table(Arc::new(table), None);
        let values = Values::new(gathered, None, Metric::Euclidean, &context).unwrap();
        let values = Values {
            rates: vec![Rate::wilson(1.0, 100.0), Rate::wilson(9.0, 100.0), Rate::wilson(1.0, 2.0)],
            traits: vec![Trait {
                field: "category".into(),
                names: vec!["missing".into(), "鞋".into(), "other".into()],
                codes: vec![1, 2, 2],
                purity: 1.0,
            }],
            ..values
        };
        Arc::new(project(&Arc::new(values), &MapQuestion::of("ad"), None, |_| {}, &context).unwrap())
    }

    #[test]
    fn a_rate_of_two_impressions_does_not_stretch_the_scale() {
        let theme = Theme::load(true).unwrap();
        let coloured = Coloured::new(&projection(), ColourBy::ClickRate, &theme);
        assert_eq!(coloured.codes[..2], [0, 255]);
        // The middle of 0..=255, rounded either way.
        assert!((127..=128).contains(&coloured.codes[2]), "{:?}", coloured.codes);
    }

    #[test]
    fn frequent_traits_come_first_and_unused_ones_are_no_colour() {
        let theme = Theme::load(false).unwrap();
        let coloured = Coloured::new(&projection(), ColourBy::Trait("category".into()), &theme);
        assert_eq!(coloured.codes[..], [1, 0, 0]);
        let Legend::Names(names) = &coloured.legend else { panic!("names") };
        assert_eq!(names.iter().map(|n| n.1.as_str()).collect::<Vec<_>>(), ["other (2)", "鞋 (1)"]);
        assert_eq!(ColourBy::all(&projection()).len(), 4);
    }

    #[test]
    fn a_model_that_expects_twice_the_clicks_is_at_the_end_of_the_scale() {
        let theme = Theme::load(true).unwrap();
        let mut made = (*projection()).clone();
        let mut values = (*made.values).clone();
        // Predicted 2 % and 9 % where 1 and 9 of 100 came; the third has two impressions.
        values.predicted = [0.02f32, 0.09, 0.5].map(|p| (p / (1.0 - p)).ln()).to_vec();
        made.values = Arc::new(values);
        let made = Arc::new(made);
        let coloured = Coloured::new(&made, ColourBy::Error, &theme);
        assert_eq!(coloured.codes[0], 255);
        assert!((126..=129).contains(&coloured.codes[1]) && (126..=129).contains(&coloured.codes[2]));
        let coloured = Coloured::new(&made, ColourBy::Predicted, &theme);
        assert_eq!((coloured.codes[0], coloured.codes[2]), (0, 255));
    }
}

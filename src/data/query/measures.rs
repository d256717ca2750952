//! What does a group of rows count, cost and bring? The measures of a log, each with what it is made of.

use super::sums::Group;
use crate::base::Result;
use crate::data::cells;
use crate::data::frame::LogFrame;
use crate::data::infer::{self, Quantity};
use crate::data::memo::Memo;
use crate::data::outcome::Outcome;
use crate::data::schema::{Column, ColumnType, Role};
use crate::metrics::Rate;
use crate::metrics::significance::{p_of_z, root_of_deviance};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What each row adds to its group, in the order of [`Group`]'s sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Shown,
    Clicks,
    Conversions,
    Spend,
    Revenue,
    /// Price times impressions, and the impressions whose price is known.
    Price,
    Priced,
    /// Predicted clicks.
    Predicted,
}

/// Parts there are at most.
pub(super) const PARTS: usize = 8;

/// A figure of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Impressions.
    Impressions,
    /// Clicks.
    Clicks,
    /// Clicks per impression.
    Ctr,
    /// Conversions.
    Conversions,
    /// Conversions per click.
    Cvr,
    /// Money spent.
    Spend,
    /// Money spent per click.
    Cpc,
    /// Money spent per thousand impressions.
    Cpm,
    /// Money spent per conversion.
    Cpa,
    /// Money earned.
    Revenue,
    /// Money earned per money spent.
    Roas,
    /// Mean price of an impression, where the log knows prices and no spend.
    MeanPrice,
    /// Mean predicted click probability.
    PredictedCtr,
    /// Predicted clicks over clicks: 1 is calibrated.
    PredictedToActual,
}

/// How a measure comes from its parts.
enum Kind {
    /// A sum.
    Sum(Part),
    /// A share with Wilson's interval, where no row has more of the upper than of the lower.
    Share(Part, Part),
    /// A ratio of sums times a factor, with the interval of the delta method (`metrics::ratio`).
    Ratio(Part, Part, f64),
}

impl Measure {
    /// Every measure in the order in which they are shown.
    pub const ALL: [Self; 14] = [
        Self::Impressions,
        Self::Clicks,
        Self::Ctr,
        Self::Conversions,
        Self::Cvr,
        Self::Spend,
        Self::Cpc,
        Self::Cpm,
        Self::Cpa,
        Self::Revenue,
        Self::Roas,
        Self::MeanPrice,
        Self::PredictedCtr,
        Self::PredictedToActual,
    ];

    /// The word for it in files and flags.
    pub fn id(self) -> &'static str {
        match self {
            Self::Impressions => "impressions",
            Self::Clicks => "clicks",
            Self::Ctr => "ctr",
            Self::Conversions => "conversions",
            Self::Cvr => "cvr",
            Self::Spend => "spend",
            Self::Cpc => "cpc",
            Self::Cpm => "cpm",
            Self::Cpa => "cpa",
            Self::Revenue => "revenue",
            Self::Roas => "roas",
            Self::MeanPrice => "mean_price",
            Self::PredictedCtr => "predicted_ctr",
            Self::PredictedToActual => "predicted_to_actual",
        }
    }

    /// The words for it in tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::Impressions => "Impressions",
            Self::Clicks => "Clicks",
            Self::Ctr => "CTR",
            Self::Conversions => "Conversions",
            Self::Cvr => "CVR",
            Self::Spend => "Spend",
            Self::Cpc => "CPC",
            Self::Cpm => "CPM",
            Self::Cpa => "CPA",
            Self::Revenue => "Revenue",
            Self::Roas => "ROAS",
            Self::MeanPrice => "Mean price",
            Self::PredictedCtr => "Predicted CTR",
            Self::PredictedToActual => "Predicted/actual",
        }
    }

    /// True for figures that are told in percent.
    pub fn is_percent(self) -> bool {
        matches!(self, Self::Ctr | Self::Cvr | Self::PredictedCtr)
    }

    /// True for sums, which have no interval and are compared with nothing.
    pub fn is_sum(self) -> bool {
        matches!(self, Self::Impressions | Self::Clicks | Self::Conversions | Self::Spend | Self::Revenue)
    }

    fn kind(self, conversions_follow_clicks: bool) -> Kind {
        match self {
            Self::Impressions => Kind::Sum(Part::Shown),
            Self::Clicks => Kind::Sum(Part::Clicks),
            Self::Ctr => Kind::Share(Part::Clicks, Part::Shown),
            Self::Conversions => Kind::Sum(Part::Conversions),
            Self::Cvr if conversions_follow_clicks => Kind::Share(Part::Conversions, Part::Clicks),
            Self::Cvr => Kind::Ratio(Part::Conversions, Part::Clicks, 1.0),
            Self::Spend => Kind::Sum(Part::Spend),
            Self::Cpc => Kind::Ratio(Part::Spend, Part::Clicks, 1.0),
            Self::Cpm => Kind::Ratio(Part::Spend, Part::Shown, 1000.0),
            Self::Cpa => Kind::Ratio(Part::Spend, Part::Conversions, 1.0),
            Self::Revenue => Kind::Sum(Part::Revenue),
            Self::Roas => Kind::Ratio(Part::Revenue, Part::Spend, 1.0),
            Self::MeanPrice => Kind::Ratio(Part::Price, Part::Priced, 1.0),
            Self::PredictedCtr => Kind::Ratio(Part::Predicted, Part::Shown, 1.0),
            Self::PredictedToActual => Kind::Ratio(Part::Predicted, Part::Clicks, 1.0),
        }
    }
}

/// A measure of a group with what is known of its certainty.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figure {
    /// The figure.
    pub value: f64,
    /// Its 95 % interval; `None` for sums and where it cannot be told.
    pub interval: Option<[f64; 2]>,
    /// Observations that it rests on: trials of a share, rows that carry a ratio.
    pub n: f64,
    /// True when it rests on too little to be judged.
    pub small: bool,
    /// The figure over that of the reference.
    pub lift: Option<f64>,
    /// Chance of a difference this large from the reference if there were none; Holm's correction for all groups.
    pub p: Option<f64>,
}

/// Shares with fewer expected successes than this, and ratios carried by fewer rows, say little.
pub const MIN_EXPECTED: f64 = 5.0;

/// What each row counts for.
#[derive(Debug)]
pub(super) struct Measures {
    pub outcome: Option<Outcome>,
    /// The column of conversions and whether no row has more conversions than clicks.
    pub conversions: Option<(String, bool)>,
    pub money: Option<Money>,
    parts: [Option<Cells>; PARTS],
    sources: Vec<(Measure, String)>,
}

/// Amounts or prices of single rows.
#[derive(Debug)]
pub(super) struct Money {
    pub column: String,
    /// True for amounts that add up (spend), false for prices of which the mean is told (bids).
    pub adds_up: bool,
}

/// Cells of a part, one a row.
#[derive(Debug)]
enum Cells {
    /// 1 in every row.
    Ones,
    Small(Vec<f32>),
    Wide(Arc<Vec<f64>>),
}

impl Cells {
    fn at(&self, row: usize) -> f64 {
        match self {
            Self::Ones => 1.0,
            Self::Small(cells) => f64::from(cells[row]),
            Self::Wide(cells) => cells[row],
        }
    }
}

/// What one row adds, for those who count by themselves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    pub clicks: f64,
    pub impressions: f64,
    pub money: f64,
}

impl Measures {
    /// The measures of a log, read once.
    pub fn of(log: &LogFrame) -> Result<Arc<Self>> {
        Memo::of(log, "measures", || Self::read(log))
    }

    fn read(log: &LogFrame) -> Result<Self> {
        let outcome = Outcome::read(log)?;
        let mut parts = std::array::from_fn(|_| None);
        let mut sources = Vec::new();
        let shown = shown(log, outcome.as_ref())?;
        if let Some(outcome) = &outcome {
            parts[Part::Clicks as usize] = Some(clicks(log, outcome, &shown)?);
        }
        let conversions = conversions(log)?;
        if let Some((column, cells)) = &conversions {
            sources.push((Measure::Conversions, format!("sum of {column}")));
            parts[Part::Conversions as usize] = Some(Cells::Wide(Arc::clone(cells)));
        }
        let follow = |row: usize, cells: &[f64]| {
            parts[Part::Clicks as usize].as_ref().is_some_and(|clicks| cells[row] <= clicks.at(row))
        };
        let conversions = conversions.map(|(column, cells)| {
            let all_follow = (0..log.rows()).all(|row| follow(row, &cells));
            (column, all_follow)
        });
        let of_amounts =
            |quantity| infer::column_of(&log.schema, quantity).filter(|column| column.role == Role::Price);
        if let Some(column) = of_amounts(Quantity::Revenue) {
            sources.push((Measure::Revenue, format!("sum of {}", column.name)));
            parts[Part::Revenue as usize] = Some(Cells::Wide(known(log, &column.name)?));
        }
        // What was spent tells more than a budget or a bid.
        let money = match of_amounts(Quantity::Spend) {
            Some(column) => {
                sources.push((Measure::Spend, format!("sum of {}", column.name)));
                parts[Part::Spend as usize] = Some(Cells::Wide(known(log, &column.name)?));
                Some(Money { column: column.name.clone(), adds_up: true })
            }
            None => price(log)?,
        };
        if let Some(money) = money.as_ref().filter(|money| !money.adds_up) {
            sources.push((Measure::MeanPrice, format!("mean of {}", money.column)));
            let cells = cells::numbers(log, &money.column)?;
            let of = |row: usize| if cells[row].is_nan() { 0.0 } else { shown.at(row) };
            let amount = |row: usize| if cells[row].is_nan() { 0.0 } else { cells[row] * shown.at(row) };
            parts[Part::Priced as usize] =
                Some(Cells::Small((0..log.rows()).map(|row| of(row) as f32).collect()));
            parts[Part::Price as usize] = Some(Cells::Wide(Arc::new((0..log.rows()).map(amount).collect())));
        }
        parts[Part::Shown as usize] = Some(shown);
        Ok(Self { outcome, conversions, money, parts, sources })
    }

    /// What one row adds. A row whose outcome is unknown counts for nothing where others' are known.
    pub fn of_row(&self, row: usize) -> Counted {
        let at = |part: Part| self.parts[part as usize].as_ref().map_or(0.0, |cells| cells.at(row));
        let adds_up = self.money.as_ref().is_some_and(|money| money.adds_up);
        Counted {
            clicks: at(Part::Clicks),
            impressions: at(Part::Shown),
            money: at(if adds_up { Part::Spend } else { Part::Price }),
        }
    }

    /// Clicks, impressions and click rate of some rows.
    pub fn rate_of(&self, rows: impl Iterator<Item = usize>) -> Rate {
        let (clicks, shown) = rows.fold((0.0, 0.0), |(clicks, shown), row| {
            let counted = self.of_row(row);
            (clicks + counted.clicks, shown + counted.impressions)
        });
        Rate::wilson(clicks, shown)
    }

    /// What some column of the log makes of a measure: "sum of Amount spent".
    pub fn source(&self, measure: Measure) -> Option<&str> {
        self.sources.iter().find(|(known, _)| *known == measure).map(|(_, words)| words.as_str())
    }

    /// The measures that this log has, given predictions or not.
    pub fn present(&self, predicted: bool) -> Vec<Measure> {
        let has = |part: Part| match part {
            Part::Predicted => predicted,
            part => self.parts[part as usize].is_some(),
        };
        let all = Measure::ALL.into_iter();
        all.filter(|measure| match measure.kind(true) {
            Kind::Sum(part) => has(part),
            Kind::Share(upper, lower) | Kind::Ratio(upper, lower, _) => has(upper) && has(lower),
        })
        .collect()
    }

    /// The parts that the measures are made of, and the products that their intervals need.
    pub fn wanted(&self, measures: &[Measure]) -> (Vec<Part>, Vec<(Part, Part)>) {
        let (mut parts, mut products) = (vec![Part::Shown], Vec::new());
        for measure in measures {
            match measure.kind(self.follows()) {
                Kind::Sum(part) => parts.push(part),
                Kind::Share(upper, lower) => parts.extend([upper, lower]),
                Kind::Ratio(upper, lower, _) => {
                    parts.extend([upper, lower]);
                    products.extend([(upper, upper), (lower.min(upper), lower.max(upper)), (lower, lower)]);
                }
            }
        }
        parts.sort_unstable();
        parts.dedup();
        products.sort_unstable();
        products.dedup();
        (parts, products)
    }

    fn follows(&self) -> bool {
        self.conversions.as_ref().is_some_and(|(_, follow)| *follow)
    }

    /// Writes what each of some rows adds to a part.
    pub fn read_part(&self, part: Part, rows: &[u32], predicted: Option<&[f32]>, out: &mut Vec<f64>) {
        out.clear();
        let each = rows.iter().map(|row| *row as usize);
        match (part, &self.parts[part as usize], predicted) {
            (Part::Predicted, _, Some(predicted)) => {
                let shown = self.parts[Part::Shown as usize].as_ref();
                out.extend(
                    each.map(|row| f64::from(predicted[row]) * shown.map_or(1.0, |shown| shown.at(row))),
                );
            }
            (_, Some(Cells::Ones), _) => out.resize(rows.len(), 1.0),
            (_, Some(Cells::Small(cells)), _) => out.extend(each.map(|row| f64::from(cells[row]))),
            (_, Some(Cells::Wide(cells)), _) => out.extend(each.map(|row| cells[row])),
            (_, None, _) => out.resize(rows.len(), 0.0),
        }
    }

    /// Writes what `row` adds to each of `parts`.
    pub fn add(&self, parts: &[Part], row: usize, predicted: Option<&[f32]>, out: &mut [f64]) {
        for (place, part) in parts.iter().enumerate() {
            out[place] = match (part, &self.parts[*part as usize]) {
                (Part::Predicted, _) => {
                    let shown = self.parts[Part::Shown as usize].as_ref().map_or(1.0, |cells| cells.at(row));
                    predicted.map_or(0.0, |predicted| f64::from(predicted[row])) * shown
                }
                (_, Some(cells)) => cells.at(row),
                (_, None) => 0.0,
            };
        }
    }

    /// A measure of a group beside that of all rows together, without comparing them.
    pub fn figure(&self, measure: Measure, group: &Group<'_>, whole: &Group<'_>) -> Option<Figure> {
        let plain = |value, n| Figure { value, interval: None, n, small: false, lift: None, p: None };
        match measure.kind(self.follows()) {
            Kind::Sum(part) => Some(plain(group.sum(part), group.rows())),
            Kind::Share(upper, lower) => {
                let rate = Rate::wilson(group.sum(upper), group.sum(lower));
                let overall = Rate::wilson(whole.sum(upper), whole.sum(lower)).rate;
                rate.is_known().then(|| Figure {
                    interval: Some([rate.low, rate.high]),
                    small: rate.trials * overall < MIN_EXPECTED,
                    ..plain(rate.rate, rate.trials)
                })
            }
            Kind::Ratio(upper, lower, factor) => {
                let sums = group.ratio(upper, lower);
                let (value, spread) = sums.estimate()?;
                Some(Figure {
                    interval: spread.map(|spread| [factor * spread.low, factor * spread.high]),
                    small: sums.carriers() < MIN_EXPECTED,
                    ..plain(factor * value, sums.carriers())
                })
            }
        }
    }

    /// Chance of a difference between two groups as large as theirs if there were none.
    pub fn p_between(&self, measure: Measure, group: &Group<'_>, other: &Group<'_>) -> Option<f64> {
        match measure.kind(self.follows()) {
            Kind::Sum(_) => None,
            Kind::Share(upper, lower) => {
                let successes = [group.sum(upper), other.sum(upper)];
                root_of_deviance(successes, [group.sum(lower), other.sum(lower)]).map(p_of_z)
            }
            Kind::Ratio(upper, lower, _) => group.ratio(upper, lower).p_against(&other.ratio(upper, lower)),
        }
    }
}

/// Impressions of each row: none where the outcome is unknown though others' are known.
fn shown(log: &LogFrame, outcome: Option<&Outcome>) -> Result<Cells> {
    match outcome {
        Some(outcome) => {
            let unknown = outcome.label.iter().any(|label| label.is_nan());
            if outcome.weight.is_empty() && !unknown {
                return Ok(Cells::Ones);
            }
            let of = |row: usize| {
                let weight = outcome.weight.get(row).copied().unwrap_or(1.0);
                if outcome.label[row].is_nan() { 0.0 } else { weight }
            };
            Ok(Cells::Small((0..log.rows()).map(of).collect()))
        }
        None => match log.schema.with_role(Role::Weight) {
            Some(column) => Ok(Cells::Wide(known(log, &column.name)?)),
            None => Ok(Cells::Ones),
        },
    }
}

/// Clicks of each row, as the log counts them; no more than impressions.
fn clicks(log: &LogFrame, outcome: &Outcome, shown: &Cells) -> Result<Cells> {
    if log.schema.with_role(Role::Label).is_none() {
        let counts = known(log, &outcome.column)?;
        let of = |row: usize| counts[row].min(shown.at(row));
        return Ok(Cells::Wide(Arc::new((0..log.rows()).map(of).collect())));
    }
    let of = |row: usize| {
        if outcome.label[row].is_nan() { 0.0 } else { outcome.label[row] * shown.at(row) as f32 }
    };
    Ok(Cells::Small((0..log.rows()).map(of).collect()))
}

fn conversions(log: &LogFrame) -> Result<Option<(String, Arc<Vec<f64>>)>> {
    let counts = |column: &&Column| {
        column.role == Role::Conversion && matches!(column.kind, ColumnType::Integer | ColumnType::Boolean)
    };
    let named = infer::column_of(&log.schema, Quantity::Conversions).filter(counts);
    match named.or_else(|| log.schema.columns.iter().find(counts)) {
        Some(column) => Ok(Some((column.name.clone(), known(log, &column.name)?))),
        None => Ok(None),
    }
}

fn price(log: &LogFrame) -> Result<Option<Money>> {
    let column = log.schema.with_role(Role::Price);
    let column = column.filter(|column| matches!(column.kind, ColumnType::Integer | ColumnType::Real));
    // Revenue is told as such.
    let is_revenue = |column: &&Column| {
        infer::column_of(&log.schema, Quantity::Revenue).is_some_and(|known| known.name == column.name)
    };
    Ok(column
        .filter(|column| !is_revenue(column))
        .map(|column| Money { column: column.name.clone(), adds_up: false }))
}

/// The numbers of a column; a missing one adds nothing.
fn known(log: &LogFrame, column: &str) -> Result<Arc<Vec<f64>>> {
    let mut cells = cells::numbers(log, column)?;
    cells.iter_mut().filter(|cell| cell.is_nan()).for_each(|cell| *cell = 0.0);
    Ok(Arc::new(cells))
}

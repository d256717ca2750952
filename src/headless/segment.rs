//! `adloupe segment`: counts, rates, costs and returns of groups of rows.

use super::source::SourceArgs;
use super::{Answer, Terminal};
use crate::base::{Failure, Result};
use crate::data::export::{write_for_spreadsheets, write_table};
use crate::data::query::funnel::{self, Funnel};
use crate::data::query::people::USUAL_K;
use crate::data::query::{self, Figure, Measure, Period, SegmentQuery, SegmentTable, export};
use crate::domain::Segment;
use crate::metrics::Rate;
use crate::train::TrainedModel;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Which log, parted by what.
#[derive(Debug, clap::Args)]
#[command(about = "Counts, rates, costs and returns with intervals for groups of rows")]
pub struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// One column, or several with commas between; hour, weekday and week come from the time, frequency (the user's
    /// first, second, ... row) and first_week from the user.
    #[arg(long, value_name = "COLUMN[,COLUMN]", value_delimiter = ',', required = true)]
    by: Vec<String>,
    /// Only rows like these: "age_band in ('18-24', '25-34') and hour >= 18".
    #[arg(long = "where", value_name = "EXPRESSION", default_value = "", hide_default_value = true)]
    filter: String,
    /// Leaves smaller groups out of the list.
    #[arg(long, value_name = "N", default_value_t = 0.0)]
    min_impressions: f64,
    /// The measure that the text shows; --json has all that the log knows: impressions, clicks, ctr, conversions, cvr,
    /// spend, cpc, cpm, cpa, revenue, roas, mean_price, predicted_ctr, predicted_to_actual.
    #[arg(long, value_name = "MEASURE", default_value = "ctr", value_parser = parse_measure)]
    measure: Measure,
    /// Compares with this group rather than with all other rows: its values, each with the flag, in the order of --by.
    #[arg(long, value_name = "VALUE")]
    against: Vec<String>,
    /// Counts the last N days of the log, UTC, and compares each group with itself in the N days before.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        hide_default_value = true,
        conflicts_with = "against"
    )]
    last_days: u32,
    /// Also tells how many of the impressions became clicks and conversions, and how long that took.
    #[arg(long)]
    funnel: bool,
    /// The folder of a model whose predictions are told beside what happened.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Writes the groups to FILE (.csv, .parquet or .jsonl), without those that hold too few people.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Begins a CSV file with a byte order mark, for spreadsheets.
    #[arg(long, requires = "out")]
    bom: bool,
    /// People that each exported group must hold.
    #[arg(long, value_name = "N", default_value_t = USUAL_K, requires = "out")]
    k: usize,
}

fn parse_measure(text: &str) -> Result<Measure> {
    Measure::ALL.into_iter().find(|measure| measure.id() == text).ok_or_else(|| {
        let known: Vec<&str> = Measure::ALL.iter().map(|measure| measure.id()).collect();
        Failure::new("cannot show the measure", format!("there is no '{text}'")).hint(known.join(", "))
    })
}

/// Reads the log and counts.
///
/// # Errors
/// The log cannot be read, a column or group is unknown, the log knows no such measure, the filter makes no sense, or
/// the model does not fit the log.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let filter = Segment::parse(&args.filter).map_err(|failure| failure.at("--where"))?;
    if args.min_impressions.is_nan() || args.min_impressions < 0.0 {
        return Err(Failure::new("cannot hide small groups", "the least number of impressions is negative"));
    }
    let log = args.source.open(&context)?;
    let predicted = match &args.model {
        Some(folder) => {
            let model = TrainedModel::load(folder)?;
            // The rows that are held, which of a log larger than memory are a sample.
            let dataset = model.encoder.encode(&log, &context)?;
            let rows: Vec<u32> = (0..dataset.rows as u32).collect();
            context.stage("scoring");
            Some(model.predict(&dataset, &rows, &context)?)
        }
        None => None,
    };
    let query = SegmentQuery {
        by: args.by.clone(),
        filter,
        min_impressions: args.min_impressions,
        against: args.against.clone(),
        days: args.last_days,
    };
    let table = query::segments_predicted(&log, &query, predicted.as_deref(), &context)?;
    let mut answer = Answer { text: text(&table, args.measure)?, json: json(&table) };
    if args.funnel {
        let funnel = funnel::funnel(&log, &query.rows(&log)?)?;
        answer.text += &funnel_text(&funnel);
        answer.json["funnel"] = json!(funnel);
    }
    if let Some(out) = &args.out {
        let exported = export::table(&log, &query, &table, args.k, &context)?;
        answer.text += &format!(
            "\n{} groups written to {}; {} held back, so that none with fewer than {} {} can be told",
            exported.groups,
            out.display(),
            exported.held_back,
            args.k,
            if exported.are_users { "users" } else { "rows" }
        );
        answer.json["exported"] = json!({ "groups": exported.groups, "held_back": exported.held_back });
        if args.bom {
            write_for_spreadsheets(out, exported.columns)?;
        } else {
            write_table(out, exported.columns)?;
        }
    }
    Ok(answer)
}

fn json(table: &SegmentTable) -> Value {
    let known = |value: f64| if table.has_outcome { json!(value) } else { Value::Null };
    let clicks = |value: f64| if table.has_outcome { count(value) } else { Value::Null };
    let figures = |figures: &[Option<Figure>]| -> Value {
        table.measures.iter().zip(figures).map(|(measure, figure)| (measure.id(), json!(figure))).collect()
    };
    let counts = |rate: &Rate| {
        json!({
            "impressions": count(rate.trials),
            "clicks": clicks(rate.successes),
            "rate": known(rate.rate),
            "low": known(rate.low),
            "high": known(rate.high),
        })
    };
    let rows: Vec<Value> = table
        .rows
        .iter()
        .map(|row| {
            let ctr = table.figure(row, Measure::Ctr);
            let mut told = counts(&row.rate);
            told["values"] = json!(row.values);
            told["lift"] = json!(ctr.and_then(|ctr| ctr.lift));
            told["p"] = json!(ctr.and_then(|ctr| ctr.p));
            told["small"] = json!(ctr.is_none_or(|ctr| ctr.small));
            told["measures"] = figures(&row.figures);
            told
        })
        .collect();
    let mut total = counts(&table.total);
    total["measures"] = figures(&table.whole);
    json!({
        "by": table.by,
        "rows": rows,
        "total": total,
        "sources": table.sources.iter().map(|(m, words)| (m.id(), words.as_str())).collect::<BTreeMap<_, _>>(),
        "against": table.against,
        "period": table.period.as_ref().map(Period::words),
        "gone": table.gone,
        "hidden": table.hidden,
    })
}

/// A whole number where it is one: only weights make counts that are not.
fn count(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(value as i64) } else { json!(value) }
}

/// # Errors
/// The log does not know the measure.
fn text(table: &SegmentTable, measure: Measure) -> Result<String> {
    if !table.measures.contains(&measure) && measure != Measure::Ctr {
        let known: Vec<&str> = table.measures.iter().map(|known| known.id()).collect();
        let why = format!("this log does not know the {}", measure.title());
        return Err(Failure::new("cannot show the measure", why).hint(known.join(", ")));
    }
    let lift = if table.against.is_empty() && table.period.is_none() { "lift" } else { "ratio" };
    let title = measure.title();
    let mut lines = vec![format!(
        "{:>12} {:>10} {title:>12} {:>21} {lift:>6} {:>8}  {}",
        "impressions",
        "clicks",
        "95 % interval",
        "p",
        table.by.join(" x ")
    )];
    let mut line = |rate: &Rate, figure: Option<&Figure>, name: &str| {
        let unknown = || "n/a".to_owned();
        let clicks = if table.has_outcome { rate.successes.to_string() } else { unknown() };
        let (value, range) = figure.map_or((unknown(), unknown()), |figure| words(measure, figure));
        let lift = figure.and_then(|figure| figure.lift).map_or_else(unknown, |lift| format!("{lift:.2}"));
        let p = figure.and_then(|figure| figure.p).map_or_else(unknown, |p| format!("{p:.4}"));
        lines.push(format!(
            "{:>12} {clicks:>10} {value:>12} {range:>21} {lift:>6} {p:>8}  {name}",
            rate.trials
        ));
    };
    for row in &table.rows {
        let figure = table.figure(row, measure);
        let small = if figure.is_some_and(|figure| figure.small) { "  (too little to judge)" } else { "" };
        line(&row.rate, figure, &format!("{}{small}", row.values.join(" x ")));
    }
    line(&table.total, table.total_of(measure), "all rows");
    if table.hidden > 0 {
        lines.push(format!("{} groups are not listed", table.hidden));
    }
    let others = match (&table.period, table.against.as_slice()) {
        (Some(_), _) => "from the days before".to_owned(),
        (None, []) => "against all other rows".to_owned(),
        (None, values) => format!("against {}", values.join(" x ")),
    };
    if let Some(period) = &table.period {
        lines.push(format!("ratio: {}, UTC days", period.words()));
    }
    if !table.gone.is_empty() {
        lines.push(format!("without rows now: {}", table.gone.join(", ")));
    }
    lines.push(format!("p: chance of such a difference {others}, corrected for all groups (Holm)"));
    lines.extend(table.sources.iter().map(|(known, words)| format!("{}: {words}", known.title())));
    Ok(lines.join("\n"))
}

/// The steps to a conversion, one a line.
fn funnel_text(funnel: &Funnel) -> String {
    let mut lines = vec![String::new(), format!("{:>12} {:>28}  step", "count", "of the step before, 95 %")];
    for step in &funnel.steps {
        let rate = step.of_before.as_ref().map_or_else(String::new, |rate| {
            format!("{:.3} % ({:.3} to {:.3})", 100.0 * rate.rate, 100.0 * rate.low, 100.0 * rate.high)
        });
        lines.push(format!("{:>12} {rate:>28}  {}", step.count, step.name));
    }
    if let Some(delay) = &funnel.delay {
        let within =
            delay.quantiles.iter().map(|(share, at)| format!("{:.0} % within {at:.1}", 100.0 * share));
        let within: Vec<String> = within.collect();
        lines.push(format!("delay of {} conversions in {}: {}", delay.n, delay.unit, within.join(", ")));
    }
    lines.join("\n")
}

/// The figure and its interval as text.
fn words(measure: Measure, figure: &Figure) -> (String, String) {
    let unknown = || "n/a".to_owned();
    if measure.is_percent() {
        let range = figure.interval.map(|[l, h]| format!("{:.3} to {:.3} %", 100.0 * l, 100.0 * h));
        return (format!("{:.3} %", 100.0 * figure.value), range.unwrap_or_else(unknown));
    }
    let range = figure.interval.map(|[low, high]| format!("{low:.4} to {high:.4}"));
    let value =
        if figure.value.fract() == 0.0 { figure.value.to_string() } else { format!("{:.4}", figure.value) };
    (value, range.unwrap_or_else(unknown))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(file: std::path::PathBuf, by: &str, filter: &str) -> Args {
        let by = by.split(',').map(str::to_owned).collect();
        let source = SourceArgs { files: vec![file], ..SourceArgs::default() };
        Args {
            source,
            by,
            filter: filter.to_owned(),
            min_impressions: 0.0,
            measure: Measure::Ctr,
            against: Vec::new(),
            last_days: 0,
            funnel: false,
            model: None,
            out: None,
            bom: false,
            k: USUAL_K,
        }
    }

    #[test]
    fn groups_of_a_csv_are_counted_with_their_intervals() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.csv");
        let cells = ["上海,ios,1\n", "上海,web,0\n", "Berlin,ios,0\n", "上海,ios,1\n"];
        std::fs::write(&path, format!("city,device,click\n{}", cells.concat().repeat(50))).unwrap();
        let answer = run(&args(path.clone(), "city", "device = ios"), &Terminal::default()).unwrap();
        let rows = answer.json["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0]["values"], json!(["上海"]));
        assert_eq!((&rows[0]["impressions"], &rows[0]["clicks"]), (&json!(100), &json!(100)));
        assert_eq!(rows[0]["lift"], json!(1.5), "100 % over 100 of 150");
        // Wilson's upper bound for 0 of 50 is z^2 / (50 + z^2).
        let z2 = crate::metrics::rates::Z_95.powi(2);
        let high = rows[1]["high"].as_f64().unwrap();
        assert!((high - z2 / (50.0 + z2)).abs() < 1e-12, "{high}");
        assert!(answer.text.contains("all rows"), "{}", answer.text);

        let failure = run(&args(path, "city", "device ="), &Terminal::default()).unwrap_err();
        assert!(failure.place.starts_with("--where"), "{failure}");
    }
}

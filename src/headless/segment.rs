//! `adloupe segment`: click rates of the groups of one or two columns.

use super::source::SourceArgs;
use super::{Answer, Terminal};
use crate::base::{Failure, Result};
use crate::data::query::{self, SegmentQuery, SegmentTable};
use crate::domain::Segment;
use serde_json::{Value, json};

/// Which log, parted by what.
#[derive(Debug, clap::Args)]
#[command(about = "Click rates with intervals for the groups of one or two columns")]
pub struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// One column, or two with a comma between; hour and weekday come from the time.
    #[arg(long, value_name = "COLUMN[,COLUMN]", value_delimiter = ',', required = true)]
    by: Vec<String>,
    /// Only rows like these: "age_band in ('18-24', '25-34') and hour >= 18".
    #[arg(long = "where", value_name = "EXPRESSION", default_value = "")]
    filter: String,
    /// Leaves smaller groups out of the list.
    #[arg(long, value_name = "N", default_value_t = 0.0)]
    min_impressions: f64,
}

/// Reads the log and counts.
///
/// # Errors
/// The log cannot be read, a column is unknown, or the filter makes no sense.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let filter = Segment::parse(&args.filter).map_err(|failure| failure.at("--where"))?;
    if args.min_impressions.is_nan() || args.min_impressions < 0.0 {
        return Err(Failure::new("cannot hide small groups", "the least number of impressions is negative"));
    }
    let log = args.source.open(&context)?;
    let query = SegmentQuery { by: args.by.clone(), filter, min_impressions: args.min_impressions };
    let table = query::segments(&log, &query, &context)?;
    Ok(Answer { text: text(&table), json: json(&table) })
}

fn json(table: &SegmentTable) -> Value {
    let known = |value: f64| if table.has_outcome { json!(value) } else { Value::Null };
    let clicks = |value: f64| if table.has_outcome { count(value) } else { Value::Null };
    let rows: Vec<Value> = table
        .rows
        .iter()
        .map(|row| {
            json!({
                "values": row.values,
                "impressions": count(row.rate.trials),
                "clicks": clicks(row.rate.successes),
                "rate": known(row.rate.rate),
                "low": known(row.rate.low),
                "high": known(row.rate.high),
                "lift": row.lift,
                "conversions": row.conversions.map(count),
                "money": row.money,
                "small": row.is_small(),
            })
        })
        .collect();
    json!({
        "by": table.by,
        "rows": rows,
        "total": {
            "impressions": count(table.total.trials),
            "clicks": clicks(table.total.successes),
            "rate": known(table.total.rate),
            "low": known(table.total.low),
            "high": known(table.total.high),
        },
        "conversions_column": table.conversions_column,
        "money_meaning": table.money_meaning,
        "hidden": table.hidden,
    })
}

/// A whole number where it is one: only weights make counts that are not.
fn count(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(value as i64) } else { json!(value) }
}

fn text(table: &SegmentTable) -> String {
    let mut lines = vec![format!(
        "{:>12} {:>10} {:>9} {:>19} {:>6}  {}",
        "impressions",
        "clicks",
        "rate",
        "95 % interval",
        "lift",
        table.by.join(" x ")
    )];
    let mut line = |rate: &crate::metrics::Rate, lift: Option<f64>, name: &str| {
        lines.push(if table.has_outcome {
            format!(
                "{:>12} {:>10} {:>7.3} % {:>8.3} to {:>5.3} % {:>6}  {name}",
                rate.trials,
                rate.successes,
                100.0 * rate.rate,
                100.0 * rate.low,
                100.0 * rate.high,
                lift.map_or_else(|| "n/a".to_owned(), |lift| format!("{lift:.2}")),
            )
        } else {
            format!("{:>12} {:>10} {:>9} {:>19} {:>6}  {name}", rate.trials, "n/a", "n/a", "n/a", "n/a")
        });
    };
    for row in &table.rows {
        let small = if table.has_outcome && row.is_small() { "  (too few clicks to judge)" } else { "" };
        line(&row.rate, row.lift, &format!("{}{small}", row.values.join(" x ")));
    }
    line(&table.total, None, "all rows");
    if table.hidden > 0 {
        lines.push(format!("{} groups are not listed", table.hidden));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(file: std::path::PathBuf, by: &str, filter: &str) -> Args {
        let by = by.split(',').map(str::to_owned).collect();
        let source = SourceArgs { files: vec![file], ..SourceArgs::default() };
        Args { source, by, filter: filter.to_owned(), min_impressions: 0.0 }
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

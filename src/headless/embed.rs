//! `adloupe embed DIR --field NAME --out FILE`: what did a model learn to treat alike?

use super::evaluate::encoded;
use super::source::SourceArgs;
use super::{Answer, Terminal};
use crate::base::params::Params;
use crate::base::{Failure, Result, failure::Explain};
use crate::data::export::{self, ExportCells, ExportColumn};
use crate::data::{Dataset, LogFrame};
use crate::insight::sources::{Gathered, ROWS, Whose};
use crate::insight::values::Behind;
use crate::insight::{MapQuestion, Projection, Source, Values, project};
use crate::maps::Metric;
use crate::maps::method::{METHODS, find};
use crate::train::TrainedModel;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

/// What the points are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Of {
    /// Values of a field by the embedding table.
    Table,
    /// Users or ads by their tower (two_tower); takes a log.
    Tower,
    /// Rows of the log by the last hidden layers.
    Rows,
    /// Texts of a column by the built-in encoder or --encoder; takes a log.
    Texts,
}

/// Draws a map of vectors that a saved model or a text encoder makes and writes it as a table.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model's folder.
    pub model: PathBuf,
    /// The log that the model is asked about: colours, predictions and properties of the values come from it.
    #[arg(long, value_name = "FILE")]
    log: Vec<PathBuf>,
    /// What the points are.
    #[arg(long, value_enum, default_value = "table")]
    pub of: Of,
    /// The categorical field whose values, or the column whose texts, are the points; rows need none.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub field: String,
    /// Rows of the log that are drawn, evenly spread (with --of rows).
    #[arg(long, value_name = "N")]
    pub rows: Option<usize>,
    /// The folder of a sentence encoder that reads the texts (with --of texts).
    #[arg(long, value_name = "DIR")]
    pub encoder: Option<PathBuf>,
    /// How the map is drawn.
    #[arg(long, value_parser = METHODS.map(|method| method.id()), default_value = "pca")]
    pub method: String,
    /// What "close" means.
    #[arg(long, value_parser = ["euclidean", "cosine"], default_value = "euclidean")]
    pub metric: String,
    /// Two or three dimensions.
    #[arg(long, value_parser = clap::value_parser!(u8).range(2..=3), default_value = "2")]
    pub dimensions: u8,
    /// Start of all draws: the same seed gives the same map.
    #[arg(long, default_value = "1")]
    pub seed: u64,
    /// A knob of the method, as `--set perplexity=50`.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub settings: Vec<String>,
    /// Where to write value, x, y and cluster, and what the log says if one is given; the ending (.parquet, .csv, .jsonl)
    /// chooses the format.
    #[arg(long)]
    pub out: PathBuf,
}

/// Opens the model, draws the map and writes it.
///
/// # Errors
/// No such model or field, points of which no such map can be drawn, a log that does not fit, or what the disk answers.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let model = TrainedModel::load(&args.model)?;
    let question = question(args)?;
    let source = SourceArgs { files: args.log.clone(), ..SourceArgs::default() };
    let log = if source.files.is_empty() { None } else { Some(source.open(&context)?) };
    let encoded = match &log {
        Some(log) => Some(encoded(&model.encoder, log, &source, false, &context)?),
        None => None,
    };
    let dataset: Option<&Dataset> = encoded.as_ref().map(|encoded| &encoded.dataset);
    let log: Option<&LogFrame> = log.as_ref();
    let gathered = Gathered::of(&question.source, Whose { model: &model, dataset, log }, &context)?;
    let behind = dataset.map(|dataset| Behind { dataset, log });
    let mut values = Values::new(gathered, behind, question.metric, &context)?;
    if let Some(dataset) = dataset {
        values.predict(&model, dataset, &context)?;
    }
    let projection = project(&Arc::new(values), &question, dataset, |_| {}, &context)?;
    export::write_table(&args.out, columns(&projection))?;
    told(args, &projection)
}

/// What is drawn.
fn drawn(args: &Args) -> Result<Source> {
    let (field, refuse) = (args.field.clone(), |why: &str| Err(Failure::new("cannot draw the map", why)));
    if args.encoder.is_some() && args.of != Of::Texts {
        return refuse("--encoder reads texts: it goes with --of texts");
    }
    if args.rows.is_some() && args.of != Of::Rows {
        return refuse("--rows says how many rows are drawn: it goes with --of rows");
    }
    if field.is_empty() && args.of != Of::Rows {
        return refuse("--field says whose values or texts are drawn");
    }
    Ok(match args.of {
        Of::Table => Source::Table(field),
        Of::Tower => Source::Tower(field),
        Of::Rows => Source::Rows(args.rows.unwrap_or(ROWS)),
        Of::Texts => Source::Texts(field, args.encoder.clone()),
    })
}

fn question(args: &Args) -> Result<MapQuestion> {
    let specs = find(&args.method)?.params();
    let mut params = Params::defaults(specs);
    for setting in &args.settings {
        let (name, value) = setting.split_once('=').ok_or_else(|| {
            Failure::new("cannot set a knob", format!("'{setting}' has no '='")).hint("--set NAME=VALUE")
        })?;
        params.set(specs, name, value)?;
    }
    let metric = Metric::ALL.into_iter().find(|(_, title)| *title == args.metric);
    Ok(MapQuestion {
        method: args.method.clone(),
        metric: metric.map(|(metric, _)| metric).unwrap_or_default(),
        dimensions: usize::from(args.dimensions),
        seed: args.seed,
        params,
        source: drawn(args)?,
    })
}

fn told(args: &Args, projection: &Projection) -> Result<Answer> {
    let out = args.out.display().to_string();
    let values = &projection.values;
    let mut lines = vec![format!(
        "{} {} of '{}' ({} numbers each) written to {out}",
        projection.len(),
        values.source.unit(),
        values.source.title(),
        values.table.width
    )];
    if let Some(shown) = projection.explained() {
        lines.push(format!("the axes hold {:.1} % of the variance", 100.0 * shown));
    }
    lines.extend(projection.map.notes.iter().cloned());
    if let Some(quality) = &projection.quality {
        lines.push(quality.in_words());
        lines.extend(quality.warning());
    }
    for cluster in 0..projection.clusters.len() {
        let size = projection.clusters.sizes[cluster];
        lines.push(format!(
            "cluster {}: {size} {}, {}",
            cluster + 1,
            values.source.unit(),
            projection.label(cluster)
        ));
    }
    if !values.left_out.is_empty() {
        lines.push(values.left_out.clone());
    }
    let labels: Vec<String> =
        (0..projection.clusters.len()).map(|cluster| projection.label(cluster)).collect();
    let explained: &[f64] = projection.map.axes.as_ref().map_or(&[], |axes| axes.explained.as_slice());
    let mut json = json!({
        "field": values.source.column(),
        "source": values.source.title(),
        "method": args.method,
        "metric": args.metric,
        "seed": args.seed,
        "values": projection.len(),
        "width": values.table.width,
        "explained": explained,
        "notes": projection.map.notes,
        "left_out": values.left_out,
        "clusters": { "sizes": projection.clusters.sizes, "labels": labels },
        "out": out,
    });
    if let Some(quality) = &projection.quality {
        super::train::extend(&mut json, serde_json::to_value(quality).explain("cannot write the answer")?);
    }
    Ok(Answer { text: lines.join("\n"), json })
}

fn columns(projection: &Projection) -> Vec<ExportColumn> {
    let values = &projection.values;
    let axis = |axis: usize| {
        ExportCells::Real(projection.map.places.iter().map(|place| f64::from(place[axis])).collect())
    };
    let cluster = |point| projection.cluster(point).map_or(0, |cluster| cluster as i64 + 1);
    let mut columns = vec![
        ("value", ExportCells::Text((0..values.len()).map(|point| values.name(point).to_owned()).collect())),
        ("x", axis(0)),
        ("y", axis(1)),
    ];
    if projection.question.dimensions == 3 {
        columns.push(("z", axis(2)));
    }
    // 0 is no cluster.
    columns.push(("cluster", ExportCells::Integer((0..values.len()).map(cluster).collect())));
    if !values.rates.is_empty() {
        columns
            .push(("impressions", ExportCells::Real(values.rates.iter().map(|rate| rate.trials).collect())));
        columns.push(("clicks", ExportCells::Real(values.rates.iter().map(|rate| rate.successes).collect())));
    }
    if !values.predicted.is_empty() {
        let expected = |odds: &f32| 1.0 / (1.0 + (-f64::from(*odds)).exp());
        columns.push(("predicted", ExportCells::Real(values.predicted.iter().map(expected).collect())));
    }
    columns.into_iter().map(|(name, cells)| ExportColumn { name: name.to_owned(), cells }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::JobContext;
    use crate::train::EmbeddingTable;

    #[test]
    fn the_table_has_a_line_for_each_value() {
        let table = EmbeddingTable {
            field: "ad".into(),
            names: vec!["跑鞋".into(), "phone".into(), "tea".into()],
            width: 2,
            values: vec![1.0, 0.0, -1.0, 0.0, 0.0, 0.5],
        };
        let context = JobContext::detached();
        let gathered = Gathered::table(Arc::new(table), None);
        let values = Values::new(gathered, None, Metric::Euclidean, &context).unwrap();
        let made = project(&Arc::new(values), &MapQuestion::of("ad"), None, |_| {}, &context).unwrap();
        let columns = columns(&made);
        assert_eq!(columns[0].cells, ExportCells::Text(vec!["跑鞋".into(), "phone".into(), "tea".into()]));
        // The first direction is the x axis of the table; its sign makes its largest part positive.
        let ExportCells::Real(x) = &columns[1].cells else { panic!("numbers") };
        assert!((x[0] - 1.0).abs() < 1e-6 && (x[1] + 1.0).abs() < 1e-6, "{x:?}");
    }
}

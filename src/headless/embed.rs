//! `adloupe embed DIR --field NAME --out FILE`: which values did a model learn to treat alike?

use super::evaluate::encoded;
use super::source::SourceArgs;
use super::{Answer, Terminal};
use crate::base::params::Params;
use crate::base::{Failure, Result, failure::Explain};
use crate::data::Dataset;
use crate::data::export::{self, ExportCells, ExportColumn};
use crate::insight::{MapQuestion, Projection, Values, project};
use crate::maps::Metric;
use crate::maps::method::{METHODS, find};
use crate::train::TrainedModel;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

/// Draws the map of an embedding table of a saved model and writes it as a table.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model's folder.
    pub model: PathBuf,
    /// The log that the model is asked about: colours, predictions and properties of the values come from it.
    #[arg(long, value_name = "FILE")]
    log: Vec<PathBuf>,
    /// The categorical field whose values are embedded.
    #[arg(long)]
    pub field: String,
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
    let table = Arc::new(model.table(&args.field)?);
    let question = question(args)?;
    let source = SourceArgs { files: args.log.clone(), ..SourceArgs::default() };
    let encoded = if source.files.is_empty() {
        None
    } else {
        Some(encoded(&model.encoder, &source.open(&context)?, &source, false, &context)?)
    };
    let dataset: Option<&Dataset> = encoded.as_ref().map(|encoded| &encoded.dataset);
    let mut values = Values::new(table, dataset, question.metric, &context)?;
    if let Some(dataset) = dataset {
        values.predict(&model, dataset, &context)?;
    }
    let projection = project(&Arc::new(values), &question, dataset, |_| {}, &context)?;
    export::write_table(&args.out, columns(&projection))?;
    told(args, &projection)
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
        ..MapQuestion::of(args.field.as_str())
    })
}

fn told(args: &Args, projection: &Projection) -> Result<Answer> {
    let out = args.out.display().to_string();
    let values = &projection.values;
    let mut lines = vec![format!(
        "{} values of '{}' ({} numbers each) written to {out}",
        projection.len(),
        args.field,
        values.table.width
    )];
    if let Some(shown) = projection.explained() {
        lines.push(format!("the axes hold {:.1} % of the variance", 100.0 * shown));
    }
    lines.extend(projection.map.notes.iter().cloned());
    if let Some(quality) = &projection.quality {
        let of = |measured: crate::maps::quality::Measured| {
            format!("{:.3} ({:.3} to {:.3})", measured.value, measured.low, measured.high)
        };
        lines.push(format!(
            "trustworthiness {}, true neighbours kept {}: {} neighbours of {} sampled points of {}",
            of(quality.trustworthiness),
            of(quality.preservation),
            quality.neighbours,
            quality.sample,
            quality.points
        ));
        lines.extend(quality.warning());
    }
    for cluster in 0..projection.clusters.len() {
        let size = projection.clusters.sizes[cluster];
        lines.push(format!("cluster {}: {size} values, {}", cluster + 1, projection.label(cluster)));
    }
    if !values.left_out.is_empty() {
        lines.push(values.left_out.clone());
    }
    let labels: Vec<String> =
        (0..projection.clusters.len()).map(|cluster| projection.label(cluster)).collect();
    let explained: &[f64] = projection.map.axes.as_ref().map_or(&[], |axes| axes.explained.as_slice());
    let mut json = json!({
        "field": args.field,
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
        let values = Values::new(Arc::new(table), None, Metric::Euclidean, &context).unwrap();
        let made = project(&Arc::new(values), &MapQuestion::of("ad"), None, |_| {}, &context).unwrap();
        let columns = columns(&made);
        assert_eq!(columns[0].cells, ExportCells::Text(vec!["跑鞋".into(), "phone".into(), "tea".into()]));
        // The first direction is the x axis of the table; its sign makes its largest part positive.
        let ExportCells::Real(x) = &columns[1].cells else { panic!("numbers") };
        assert!((x[0] - 1.0).abs() < 1e-6 && (x[1] + 1.0).abs() < 1e-6, "{x:?}");
    }
}

//! `adloupe embed DIR --field NAME --out FILE`: which values did a model learn to treat alike?

use super::{Answer, Terminal};
use crate::base::Result;
use crate::data::export::{self, ExportCells, ExportColumn};
use crate::insight::{self, Projection};
use crate::train::TrainedModel;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

/// Flattens an embedding table of a saved model and writes it as a table.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model's folder.
    pub model: PathBuf,
    /// The categorical field whose values are embedded.
    #[arg(long)]
    pub field: String,
    /// How the table is flattened.
    #[arg(long, value_enum, default_value = "pca")]
    pub method: Method,
    /// Where to write `value, x, y`; the ending (.parquet, .csv, .jsonl) chooses the format.
    #[arg(long)]
    pub out: PathBuf,
}

/// The ways to flatten a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Method {
    /// Principal components: the two directions with most variance.
    Pca,
}

/// Opens the model, projects the table and writes it.
///
/// # Errors
/// No such model or field, a table without variance, or what the disk answers.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Answer> {
    let model = TrainedModel::load(&args.model)?;
    let table = Arc::new(model.table(&args.field)?);
    let projection = insight::project(table, None, &terminal.context())?;
    export::write_table(&args.out, columns(&projection))?;
    let shown: f64 = projection.explained.iter().take(2).sum();
    let out = args.out.display().to_string();
    Ok(Answer {
        text: format!(
            "{} values of '{}' ({} numbers each) written to {out}\nx and y hold {:.1} % of the variance",
            projection.ids.len(),
            args.field,
            projection.table.width,
            100.0 * shown
        ),
        json: json!({
            "field": args.field,
            "method": "pca",
            "values": projection.ids.len(),
            "width": projection.table.width,
            "explained": projection.explained,
            "out": out,
        }),
    })
}

fn columns(projection: &Projection) -> Vec<ExportColumn> {
    let names = (0..projection.ids.len()).map(|point| projection.name(point).to_owned()).collect();
    let axis = |axis: usize| projection.xy.iter().map(|xy| f64::from(xy[axis])).collect();
    [
        ("value", ExportCells::Text(names)),
        ("x", ExportCells::Real(axis(0))),
        ("y", ExportCells::Real(axis(1))),
    ]
    .map(|(name, cells)| ExportColumn { name: name.to_owned(), cells })
    .to_vec()
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
        let made = insight::project(Arc::new(table), None, &JobContext::detached()).unwrap();
        let columns = columns(&made);
        assert_eq!(columns[0].cells, ExportCells::Text(vec!["跑鞋".into(), "phone".into(), "tea".into()]));
        // The first direction is the x axis of the table; its sign makes its largest part positive.
        let ExportCells::Real(x) = &columns[1].cells else { panic!("numbers") };
        assert!((x[0] - 1.0).abs() < 1e-6 && (x[1] + 1.0).abs() < 1e-6, "{x:?}");
    }
}

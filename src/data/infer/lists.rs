//! Which texts are lists? Paths of touchpoints (`search > social > email`) and hashtags, which come in one cell.

use crate::base::Result;
use crate::base::failure::Explain;
use crate::data::enumerated::{is_text, texts};
use crate::jobs::JobContext;
use polars::prelude::{
    Column, DataFrame, IntoSeries, ListBuilderTrait, ListStringChunkedBuilder, PolarsResult, Series,
};
use std::collections::HashSet;

/// Cells that are looked at before a column is called a list.
const SAMPLE: usize = 5_000;
/// What stands between the steps of a path.
const ARROWS: [&str; 3] = [" > ", " -> ", " → "];

/// How the cells of a column are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// At an arrow.
    At(&'static str),
    /// At spaces of any kind; every item begins with `#`.
    Hashtags,
}

/// Turns such columns into lists, and says so in `notes`.
///
/// # Errors
/// A cancel, or a column that polars cannot store.
pub(super) fn split_lists(
    mut frame: DataFrame,
    notes: &mut Vec<String>,
    context: &JobContext,
) -> Result<DataFrame> {
    let mut lists = Vec::new();
    for column in frame.columns() {
        context.check()?;
        if !is_text(column.dtype()) {
            continue;
        }
        let what = format!("cannot look for lists in '{}'", column.name());
        let series = column.as_materialized_series();
        if let Some(cut) = find_cut(series).explain(&what)? {
            notes.push(match cut {
                Cut::At(arrow) => {
                    format!("'{}' holds paths: split at '{}'", column.name(), arrow.trim())
                }
                Cut::Hashtags => format!("'{}' holds hashtags: split at spaces", column.name()),
            });
            lists.push(Column::from(split(series, cut).explain(&what)?));
        }
    }
    for list in lists {
        frame.with_column(list).explain("cannot store a list column")?;
    }
    Ok(frame)
}

fn find_cut(series: &Series) -> PolarsResult<Option<Cut>> {
    let filled = texts(series)?.flatten().filter(|cell| !cell.trim().is_empty());
    let sample: Vec<&str> = filled.take(SAMPLE).collect();
    let present = sample.len();
    if present == 0 {
        return Ok(None);
    }
    for arrow in ARROWS {
        // A third of the cells: single steps are paths of one, but an arrow in a sentence is none.
        let with_arrow = sample.iter().filter(|cell| cell.contains(arrow)).count();
        if with_arrow * 3 < present {
            continue;
        }
        let steps = || sample.iter().flat_map(|cell| cell.split(arrow));
        let distinct: HashSet<&str> = steps().map(str::trim).collect();
        // The steps of paths repeat; the parts of sentences do not.
        if distinct.len() * 2 <= steps().count() || present < 20 {
            return Ok(Some(Cut::At(arrow)));
        }
    }
    let tags = || sample.iter().flat_map(|cell| cell.split_whitespace());
    let hashed = tags().filter(|tag| tag.starts_with('#')).count();
    let is_tags = hashed * 10 >= tags().count() * 9 && hashed >= present + present / 2;
    Ok(is_tags.then_some(Cut::Hashtags))
}

fn split(series: &Series, cut: Cut) -> PolarsResult<Series> {
    let rows = series.len();
    let mut lists = ListStringChunkedBuilder::new(series.name().clone(), rows, rows * 8);
    for cell in texts(series)? {
        match (cell.filter(|cell| !cell.trim().is_empty()), cut) {
            (None, _) => lists.append_null(),
            (Some(cell), Cut::At(arrow)) => lists.append_values_iter(cell.split(arrow).map(str::trim)),
            // White space by the Unicode standard, so that U+00A0 parts hashtags too.
            (Some(cell), Cut::Hashtags) => lists.append_values_iter(cell.split_whitespace()),
        }
    }
    Ok(lists.finish().into_series())
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::NamedFrom;

    fn cut(cells: &[&str]) -> Option<Cut> {
        find_cut(&Series::new("c".into(), cells)).unwrap()
    }

    #[test]
    fn paths_and_hashtags_are_lists_and_sentences_are_not() {
        assert_eq!(cut(&["a > b > a", "b", "a > a"]), Some(Cut::At(" > ")));
        assert_eq!(cut(&["#one\u{a0}#two #three", "#four #five"]), Some(Cut::Hashtags));
        assert_eq!(cut(&["#1 in town", "#2 in town"]), None);
        let sentences: Vec<String> =
            (0..60).map(|n| format!("reason {n} for item {n} > go on to page {n}")).collect();
        assert_eq!(cut(&sentences.iter().map(String::as_str).collect::<Vec<_>>()), None);
        assert_eq!(cut(&["", " "]), None);
    }

    #[test]
    fn split_cells_keep_their_rows() {
        let cells = Series::new("c".into(), [Some("a > b"), None, Some("c")]);
        let lists = split(&cells, Cut::At(" > ")).unwrap();
        assert_eq!((lists.len(), lists.null_count()), (3, 1));
        let lengths: Vec<usize> =
            lists.list().unwrap().amortized_iter().flatten().map(|list| list.as_ref().len()).collect();
        assert_eq!(lengths, [2, 1]);
    }
}

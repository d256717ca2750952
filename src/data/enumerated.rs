//! How is a column of texts stored whose cells come again and again? Each distinct text once, and one or two bytes a cell.
//!
//! polars calls that an enum. As texts one after another they would take sixteen bytes a cell, most of what a log takes.
//! Such a column is text like any other: who needs polars' own texts asks for them by [`plain`].

use super::cells::{Coded, NO_CODE};
use super::keyed::{Codes, Keyed};
use crate::base::failure::Explain;
use crate::base::{Failure, Result};
use polars::prelude::{
    Categorical8Chunked, Categorical16Chunked, Categorical32Chunked, CategoricalPhysical,
    CategoricalPhysicalDtypeExt, ChunkedArray, DataType, FrozenCategories, IntoSeries, NewChunkedArray,
    PolarsNumericType, PolarsResult, Series, StringChunked, UInt8Chunked, UInt16Chunked, UInt32Chunked,
};
use std::collections::HashMap;
use std::ops::ControlFlow;

/// Bytes that polars takes for a text that is stored as it is.
pub(in crate::data) const TEXT_BYTES: usize = 16;
/// More distinct texts than this are stored as they are.
pub(in crate::data) const MOST_WORDS: usize = 1 << 14;

const WHAT: &str = "cannot store the texts";

/// The type by which the texts of a column are known, however they are stored; any other type as it is.
pub(in crate::data) fn plain_kind(kind: &DataType) -> DataType {
    if is_enumerated(kind) { DataType::String } else { kind.clone() }
}

/// True for a column of this kind.
pub(in crate::data) fn is_enumerated(kind: &DataType) -> bool {
    matches!(kind, DataType::Enum(..))
}

/// True for the types that hold texts.
pub(in crate::data) fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::String) || is_enumerated(kind)
}

/// The texts one after another; a column of another type as it is.
///
/// # Errors
/// Only if polars refuses its own enum.
pub(in crate::data) fn plain(series: &Series) -> PolarsResult<Series> {
    if is_enumerated(series.dtype()) { series.cast(&DataType::String) } else { Ok(series.clone()) }
}

/// The texts of a column that holds texts, `None` for a missing one.
///
/// # Errors
/// A column of another type.
pub(in crate::data) fn texts(series: &Series) -> PolarsResult<Box<dyn Iterator<Item = Option<&str>> + '_>> {
    Ok(match series.dtype() {
        kind if !is_enumerated(kind) => Box::new(series.str()?.iter()),
        kind => match kind.cat_physical()? {
            CategoricalPhysical::U8 => Box::new(series.cat8()?.iter_str()),
            CategoricalPhysical::U16 => Box::new(series.cat16()?.iter_str()),
            CategoricalPhysical::U32 => Box::new(series.cat32()?.iter_str()),
        },
    })
}

/// A column whose row `r` holds `words[codes[r]]`, which is missing where the word is `None`. No two words are equal.
///
/// # Errors
/// A code without a word, or equal words.
pub(in crate::data) fn column(name: &str, words: &[Option<&str>], codes: Codes) -> Result<Series> {
    let kind = kind_of(words.iter().flatten().copied())?;
    let mut present = 0..;
    let places: Vec<Option<u32>> = words.iter().map(|word| word.and_then(|_| present.next())).collect();
    let is_whole = places.iter().all(Option::is_some);
    let cells = match (kind.cat_physical().explain(WHAT)?, codes) {
        (CategoricalPhysical::U8, Codes::Narrow(codes)) if is_whole => {
            UInt8Chunked::from_vec(name.into(), codes).into_series()
        }
        (CategoricalPhysical::U16, Codes::Middle(codes)) if is_whole => {
            UInt16Chunked::from_vec(name.into(), codes).into_series()
        }
        (physical, codes) => {
            let place = |code: u32| places.get(code as usize).copied().flatten();
            let cells = (0..codes.len()).map(|row| place(codes.get(row)));
            let cells = UInt32Chunked::from_iter_options(name.into(), cells);
            cells.into_series().cast(&physical.dtype()).explain(WHAT)?
        }
    };
    of_cells(&cells, kind)
}

/// A column whose row `r` holds `words[codes[r]]`; a missing code is a missing text.
///
/// # Errors
/// A code without a word, or equal words.
pub(in crate::data) fn of_words(words: &Series, codes: &Series) -> Result<Series> {
    let words = words.str().explain(WHAT)?;
    let kind = kind_of(words.iter().flatten())?;
    let physical = kind.cat_physical().explain(WHAT)?.dtype();
    // A code that this type does not hold has no word either.
    of_cells(&codes.strict_cast(&physical).explain(WHAT)?, kind)
}

/// The distinct texts and the codes of an enumerated column, which [`of_words`] puts together again.
pub(in crate::data) fn parts(series: &Series) -> (Series, Series) {
    let words: StringChunked = words(series).into_iter().map(Some).collect();
    (words.into_series().with_name(series.name().clone()), series.to_physical_repr().into_owned())
}

/// The type of columns of these texts, no two of which are equal.
fn kind_of<'a>(words: impl Iterator<Item = &'a str>) -> Result<DataType> {
    FrozenCategories::new(words).map(DataType::from_frozen_categories).explain(WHAT)
}

/// A column of these codes.
#[allow(unsafe_code, reason = "polars' safe way asks its table of words once more for every cell")]
fn of_cells(codes: &Series, kind: DataType) -> Result<Series> {
    let known = kind.cat_mapping().explain(WHAT)?.num_cats_upper_bound();
    if codes.max::<usize>().explain(WHAT)?.is_some_and(|most| most >= known) {
        return Err(Failure::new(WHAT, "a code has no word"));
    }
    // SAFETY: every code is that of a word, and codes are as wide as the type says, or `u8` and its like refuse them.
    Ok(unsafe {
        match kind.cat_physical().explain(WHAT)? {
            CategoricalPhysical::U8 => {
                let codes = codes.u8().explain(WHAT)?.clone();
                Categorical8Chunked::from_cats_and_dtype_unchecked(codes, kind).into_series()
            }
            CategoricalPhysical::U16 => {
                let codes = codes.u16().explain(WHAT)?.clone();
                Categorical16Chunked::from_cats_and_dtype_unchecked(codes, kind).into_series()
            }
            CategoricalPhysical::U32 => {
                let codes = codes.u32().explain(WHAT)?.clone();
                Categorical32Chunked::from_cats_and_dtype_unchecked(codes, kind).into_series()
            }
        }
    })
}

/// The distinct texts by their codes; none for a column that is not enumerated.
pub(in crate::data) fn words(series: &Series) -> Vec<&str> {
    match series.dtype() {
        DataType::Enum(words, _) => words.categories().values_iter().collect(),
        _ => Vec::new(),
    }
}

/// Visits the codes of a column until it is told to stop; `None` for a missing cell.
fn each_code(
    series: &Series,
    visit: impl FnMut(Option<u32>) -> ControlFlow<()>,
) -> PolarsResult<ControlFlow<()>> {
    fn visit_all<T: PolarsNumericType<Native: Into<u32>>>(
        codes: &ChunkedArray<T>,
        mut visit: impl FnMut(Option<u32>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match codes.cont_slice() {
            Ok(codes) => codes.iter().try_for_each(|code| visit(Some((*code).into()))),
            Err(_) => codes.iter().try_for_each(|code| visit(code.map(Into::into))),
        }
    }
    Ok(match series.dtype().cat_physical()? {
        CategoricalPhysical::U8 => visit_all(series.cat8()?.physical(), visit),
        CategoricalPhysical::U16 => visit_all(series.cat16()?.physical(), visit),
        CategoricalPhysical::U32 => visit_all(series.cat32()?.physical(), visit),
    })
}

/// The distinct texts in the order in which they first appear, and the place of each word among them.
struct FirstSeen {
    values: Vec<String>,
    places: Vec<u32>,
}

impl FirstSeen {
    fn of(series: &Series) -> PolarsResult<Self> {
        let words = words(series);
        let mut seen = Self { values: Vec::new(), places: vec![NO_CODE; words.len()] };
        let _ = each_code(series, |code| {
            if let Some(code) = code
                && seen.places[code as usize] == NO_CODE
            {
                seen.places[code as usize] = seen.values.len() as u32;
                seen.values.push(words[code as usize].to_owned());
                if seen.values.len() == words.len() {
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        })?;
        Ok(seen)
    }
}

/// As [`code_series`](super::cells::code_series), for an enumerated column.
///
/// # Errors
/// A column of another type.
pub(in crate::data) fn coded(series: &Series) -> PolarsResult<Coded> {
    let FirstSeen { values, places } = FirstSeen::of(series)?;
    let mut codes = Vec::with_capacity(series.len());
    let _ = each_code(series, |code| {
        codes.push(code.map_or(NO_CODE, |code| places[code as usize]));
        ControlFlow::Continue(())
    })?;
    Ok(Coded { values, codes })
}

/// As [`coded`], in as few bytes as the codes need.
///
/// # Errors
/// A column of another type.
pub(in crate::data) fn keyed(series: &Series) -> PolarsResult<Keyed> {
    let FirstSeen { values, places } = FirstSeen::of(series)?;
    let is_in_order = places.iter().zip(0..).all(|(place, code)| *place == code);
    if is_in_order && let Some(codes) = as_they_are(series)? {
        return Ok(Keyed { values, codes });
    }
    let missing = values.len() as u32;
    let mut codes = Codes::with_room(values.len() + 1, series.len());
    let _ = each_code(series, |code| {
        codes.push(code.map_or(missing, |code| places[code as usize]));
        ControlFlow::Continue(())
    })?;
    Ok(Keyed { values, codes })
}

/// The codes of a column without missing cells.
fn as_they_are(series: &Series) -> PolarsResult<Option<Codes>> {
    Ok(match series.dtype().cat_physical()? {
        CategoricalPhysical::U8 => {
            series.cat8()?.physical().cont_slice().ok().map(|all| Codes::Narrow(all.to_vec()))
        }
        CategoricalPhysical::U16 => {
            series.cat16()?.physical().cont_slice().ok().map(|all| Codes::Middle(all.to_vec()))
        }
        CategoricalPhysical::U32 => None,
    })
}

/// Columns of texts below each other, each text once; a column of missing cells may have any type. `None` where none is
/// enumerated, where one is stored as it is, or where there are too many texts.
///
/// # Errors
/// Only if polars refuses its own enum.
pub(in crate::data) fn stacked(name: &str, pieces: &[Series]) -> Result<Option<Series>> {
    let is_missing = |piece: &Series| piece.null_count() == piece.len();
    let is_enumerated = |piece: &Series| is_enumerated(piece.dtype());
    if !pieces.iter().any(is_enumerated)
        || !pieces.iter().all(|piece| is_enumerated(piece) || is_missing(piece))
    {
        return Ok(None);
    }
    // Code 0 is a missing cell.
    let mut all: Vec<Option<&str>> = vec![None];
    let mut places: HashMap<&str, u32> = HashMap::new();
    let mut codes = Codes::with_room(0, pieces.iter().map(|piece| piece.len()).sum());
    for piece in pieces {
        if is_missing(piece) {
            (0..piece.len()).for_each(|_| codes.push(0));
            continue;
        }
        let place = |word| {
            *places.entry(word).or_insert_with(|| {
                all.push(Some(word));
                all.len() as u32 - 1
            })
        };
        let places: Vec<u32> = words(piece).into_iter().map(place).collect();
        if all.len() > MOST_WORDS {
            return Ok(None);
        }
        let _ = each_code(piece, |code| {
            codes.push(code.map_or(0, |code| places[code as usize]));
            ControlFlow::Continue(())
        })
        .explain(WHAT)?;
    }
    column(name, &all, codes).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::cells::code_series;
    use polars::prelude::{BooleanChunked, NamedFrom};

    fn codes(all: &[u32]) -> Codes {
        let mut codes = Codes::default();
        all.iter().for_each(|code| codes.push(*code));
        codes
    }

    fn series() -> Series {
        column("c", &[Some("a"), None, Some("b")], codes(&[2, 0, 1, 2, 1])).unwrap()
    }

    fn told(series: &Series) -> Vec<Option<&str>> {
        texts(series).unwrap().collect()
    }

    #[test]
    fn cells_are_those_of_a_column_of_texts() {
        let (enumerated, cells) = (series(), [Some("b"), Some("a"), None, Some("b"), None]);
        assert!(is_enumerated(enumerated.dtype()) && enumerated.null_count() == 2);
        assert_eq!(told(&enumerated), cells);
        let plain = plain(&enumerated).unwrap();
        assert_eq!(plain, Series::new("c".into(), cells));
        assert_eq!(code_series(&enumerated).unwrap(), code_series(&plain).unwrap());
        let (one, other) = (keyed(&enumerated).unwrap(), Keyed::from(code_series(&plain).unwrap()));
        assert_eq!(format!("{one:?}"), format!("{other:?}"));
        let some =
            enumerated.filter(&BooleanChunked::from_slice("".into(), &[false, true, true, false, true]));
        assert_eq!(code_series(&some.unwrap()).unwrap().values, ["a"]);
        let (words, codes) = parts(&enumerated);
        assert_eq!(of_words(&words, &codes).unwrap(), enumerated);
    }

    #[test]
    fn many_words_take_two_bytes_and_none_are_all_missing() {
        for count in [0u32, 1, 254, 255, 256, 257, 1000] {
            let words: Vec<String> = (0..count).map(|word| word.to_string()).collect();
            let words: Vec<Option<&str>> = words.iter().map(|word| Some(word.as_str())).collect();
            let all: Vec<u32> = (0..count).rev().collect();
            let found = column("c", &words, codes(&all)).unwrap();
            let cells: Vec<Option<&str>> = words.iter().rev().copied().collect();
            assert_eq!(told(&found), cells, "{count}");
            assert_eq!(found.estimated_size(), count as usize * if count > 255 { 2 } else { 1 });
        }
        let missing = column("c", &[None], codes(&[0, 0])).unwrap();
        assert_eq!(told(&missing), [None, None]);
        assert!(keyed(&missing).unwrap().values.is_empty());
    }

    #[test]
    fn pieces_share_their_words() {
        let more = column("c", &[Some("d"), Some("b")], codes(&[1, 0])).unwrap();
        let none = Series::new("c".into(), [None::<i64>]);
        let whole = stacked("c", &[series(), none, more]).unwrap().unwrap();
        let cells = [Some("b"), Some("a"), None, Some("b"), None, None, Some("b"), Some("d")];
        assert_eq!(told(&whole), cells);
        assert_eq!(stacked("c", &[series(), Series::new("c".into(), ["x"])]).unwrap(), None);
        let none = || Series::new("c".into(), [None::<i64>]);
        assert_eq!(stacked("c", &[none(), none()]).unwrap(), None, "no texts");
    }

    #[test]
    fn codes_without_a_word_are_refused() {
        let words = Series::new("c".into(), ["a", "b"]);
        for codes in [Series::new("c".into(), [0i64, 2]), Series::new("c".into(), [-1i64, 300])] {
            assert!(of_words(&words, &codes).is_err());
        }
        assert!(column("c", &[Some("a"), Some("a")], codes(&[0])).is_err());
    }
}

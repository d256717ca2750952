//! LibSVM and LibFM text: `label id:value id:value …`, also with `qid:` and `#` comments.
//!
//! Nothing names the features, so their shape decides what becomes of them: rows of equally many ones, each place
//! with ids of its own, are categories; a few ids are numbers; anything else is a list.

use super::container::Input;
use super::guess::{Guess, LIST_MARK, Plan};
use super::lines::{each_line, head_lines, nearly_all};
use super::records::BadRows;
use super::sparse::{Cell, Row, build_rows};
use super::{Importer, Match, RawLog, RoleHint};
use crate::base::Result;
use crate::data::schema::Role;
use crate::jobs::JobContext;
use std::collections::{BTreeSet, HashMap};

/// The importer of LibSVM text.
pub struct LibSvm;

/// Ids that become columns of numbers; more of them become a list.
const MAX_DENSE: usize = 256;
/// Ids whose place is remembered, to tell whether each place has ids of its own.
const MAX_PLACED: usize = 1 << 20;

impl Importer for LibSvm {
    fn id(&self) -> &'static str {
        "libsvm"
    }

    fn summary(&self) -> &'static str {
        "LibSVM and LibFM text: label id:value id:value …"
    }

    fn sniff(&self, input: &Input) -> Option<Match> {
        let lines = head_lines(input);
        let is_clock = |line: &String| {
            let (_, value) = line.rsplit_once(':').unwrap_or_default();
            value.trim().len() == 2 && line.matches(':').count() == 1
        };
        let fits = |line: &String| parse(line).is_ok_and(|line| line.is_some_and(|line| line.has_features()));
        if !nearly_all(&lines, fits) || nearly_all(&lines, is_clock) {
            return None;
        }
        let evidence = "a number and id:value pairs on the first lines".to_owned();
        Some(Match { confidence: 91, evidence })
    }

    fn read(&self, input: &Input, context: &JobContext) -> Result<RawLog> {
        context.stage("looking at the columns");
        let mut facts = Facts::default();
        let bad = each_line(input, context, parse, |line| line.iter().for_each(|line| facts.see(line)))?;
        let shape = facts.shape();
        let (label, label_note) = facts.label.plan("label");
        let mut columns = vec![("label".to_owned(), label)];
        if facts.has_query {
            columns.push(("qid".to_owned(), Plan::Integer));
        }
        columns.extend(shape.columns());
        let first = 1 + usize::from(facts.has_query);
        let each = |visit: &mut dyn FnMut(Row<usize>)| -> Result<BadRows> {
            let row = |line: &str| Ok(parse(line)?.map(|line| line.into_row(&shape, first)));
            each_line(input, context, row, |row: Option<_>| row.into_iter().for_each(&mut *visit))
        };
        let mut notes = vec![shape.describe()];
        notes.extend(label_note);
        let rows = facts.rows as usize;
        let (frame, layout) =
            build_rows(input, context, each, &columns, rows, |place, _| Some(*place), &mut notes)?;
        let features = columns.iter().skip(first).map(|(name, _)| RoleHint {
            column: name.clone(),
            role: shape.role(),
            evidence: shape.describe(),
            is_final: true,
        });
        let format = format!("libsvm{}", input.describe());
        Ok(RawLog { frame, format, bad, notes, hints: features.collect(), layout })
    }
}

/// One line, taken apart.
struct Line {
    label: String,
    query: Option<String>,
    features: Vec<(u64, f64)>,
}

fn parse(line: &str) -> std::result::Result<Option<Line>, String> {
    let content = line.split('#').next().unwrap_or_default();
    let mut tokens = content.split_ascii_whitespace();
    let Some(label) = tokens.next() else {
        return Ok(None);
    };
    if !label.parse::<f64>().is_ok_and(f64::is_finite) {
        return Err(format!("begins with '{}' where a label should stand", shorten(label)));
    }
    let mut parsed = Line { label: label.to_owned(), query: None, features: Vec::new() };
    for token in tokens {
        let (id, value) =
            token.split_once(':').ok_or_else(|| format!("'{}' is no id:value", shorten(token)))?;
        if id == "qid" {
            parsed.query = Some(value.to_owned());
            continue;
        }
        match (id.parse(), value.parse::<f64>()) {
            (Ok(id), Ok(value)) if value.is_finite() => parsed.features.push((id, value)),
            _ => return Err(format!("'{}' is no id:value", shorten(token))),
        }
    }
    Ok(Some(parsed))
}

/// The start of a token, for messages.
pub(super) fn shorten(token: &str) -> String {
    token.chars().take(40).collect()
}

impl Line {
    fn has_features(&self) -> bool {
        !self.features.is_empty()
    }

    fn into_row(self, shape: &Shape, first: usize) -> Row<usize> {
        let mut row = vec![(0, Cell::plain(self.label))];
        row.extend(self.query.map(|query| (1, Cell::plain(query))));
        match shape {
            Shape::OneHot { .. } => {
                let ids = self.features.iter().enumerate();
                row.extend(ids.map(|(place, (id, _))| (first + place, Cell::plain(id.to_string()))));
            }
            Shape::Dense { ids } => {
                let mut values: Vec<_> = (0..ids.len()).map(|place| (first + place, 0.0)).collect();
                for (id, value) in self.features {
                    if let Ok(place) = ids.binary_search(&id) {
                        values[place].1 = value;
                    }
                }
                row.extend(values.into_iter().map(|(place, value)| (place, Cell::plain(value.to_string()))));
            }
            Shape::Sparse { all_ones } => {
                let ids = self.features.iter().map(|(id, _)| id.to_string());
                row.push((first, Cell::list(ids)));
                if !all_ones {
                    let values = self.features.iter().map(|(_, value)| value.to_string());
                    row.push((first + 1, Cell::list(values)));
                }
            }
        }
        row
    }
}

/// What all lines together look like.
#[derive(Default)]
struct Facts {
    rows: u64,
    label: Guess,
    has_query: bool,
    /// Features of the first row; other rows may differ.
    width: usize,
    is_even: bool,
    has_other_values: bool,
    /// Ids, until there are too many for columns.
    ids: BTreeSet<u64>,
    /// Lowest and highest id of each place.
    ranges: Vec<(u64, u64)>,
    /// The place of each id, until there are too many.
    places: HashMap<u64, usize>,
    is_mixed: bool,
}

impl Facts {
    fn see(&mut self, line: &Line) {
        let width = line.features.len();
        if self.rows == 0 {
            self.width = width;
            self.is_even = (1..=MAX_DENSE).contains(&width);
            self.ranges = vec![(u64::MAX, 0); width];
        }
        self.rows += 1;
        self.label.see(&line.label);
        self.has_query |= line.query.is_some();
        self.has_other_values |= line.features.iter().any(|(_, value)| *value != 1.0);
        self.is_even &= width == self.width;
        if self.ids.len() <= MAX_DENSE {
            self.ids.extend(line.features.iter().map(|(id, _)| *id).take(MAX_DENSE + 1));
        }
        if self.is_even && !self.has_other_values {
            self.see_places(line);
        }
    }

    fn see_places(&mut self, line: &Line) {
        for ((place, (id, _)), range) in line.features.iter().enumerate().zip(&mut self.ranges) {
            *range = (range.0.min(*id), range.1.max(*id));
            if self.is_mixed {
                continue;
            }
            if self.places.len() >= MAX_PLACED {
                self.is_mixed = true;
                self.places = HashMap::new();
            } else {
                self.is_mixed |= *self.places.entry(*id).or_insert(place) != place;
            }
        }
    }

    fn shape(&self) -> Shape {
        let apart = self.ranges.windows(2).all(|pair| pair[0].1 < pair[1].0);
        if self.is_even && !self.has_other_values && (apart || !self.is_mixed) {
            return Shape::OneHot { width: self.width };
        }
        if self.ids.len() <= MAX_DENSE {
            return Shape::Dense { ids: self.ids.iter().copied().collect() };
        }
        Shape::Sparse { all_ones: !self.has_other_values }
    }
}

/// What becomes of the features.
enum Shape {
    /// One category for each place.
    OneHot { width: usize },
    /// One number for each id, in order.
    Dense { ids: Vec<u64> },
    /// A list of ids, and one of values where they say anything.
    Sparse { all_ones: bool },
}

impl Shape {
    fn columns(&self) -> Vec<(String, Plan)> {
        let list = |name: &str| (name.to_owned(), Plan::List(LIST_MARK));
        match self {
            Self::OneHot { width } => {
                (1..=*width).map(|place| (format!("feature_{place}"), Plan::Integer)).collect()
            }
            Self::Dense { ids } => ids.iter().map(|id| (format!("f{id}"), Plan::Real)).collect(),
            Self::Sparse { all_ones: true } => vec![list("features")],
            Self::Sparse { all_ones: false } => vec![list("features"), list("values")],
        }
    }

    fn role(&self) -> Role {
        match self {
            Self::OneHot { .. } => Role::Categorical,
            Self::Dense { .. } => Role::Numeric,
            Self::Sparse { .. } => Role::Sequence,
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::OneHot { width } => format!(
                "every row has {width} features of value 1, each place with ids of its own: one categorical \
                 column for each place"
            ),
            Self::Dense { ids } => {
                format!("{} ids: one column of numbers for each; an id that a row lacks is 0", ids.len())
            }
            Self::Sparse { all_ones: true } => "every value is 1: the ids of a row are a list".to_owned(),
            Self::Sparse { all_ones: false } => "the ids and the values of a row are two lists".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{cells, names, opened, refused_by};
    use super::*;
    use crate::data::schema::ColumnType;

    #[test]
    fn places_with_ids_of_their_own_are_categories() {
        // The ids of the second place interleave with those of the first, but none stands in both.
        let text = "1 3:1 10:1 20:1\n-1 11:1 4:1 21:1\n-1 3:1 12:1 20:1 # comment\nbroken\n1 11:1 4:1 22:1\n";
        let log = opened(&text.replace("\n", "\r\n"));
        assert!(log.source.format.starts_with("libsvm"), "{}", log.source.format);
        assert_eq!(names(&log), ["label", "feature_1", "feature_2", "feature_3"]);
        assert_eq!(cells(&log, "feature_2"), ["10", "4", "12", "4"]);
        assert_eq!(cells(&log, "label"), ["1", "0", "0", "1"]);
        assert_eq!(log.schema.columns[1].role, Role::Categorical);
        assert_eq!((log.source.bad_rows, log.source.bad_samples[0].line), (1, 4));
        assert!(log.source.notes.iter().any(|note| note.contains("-1 and 1")), "{:?}", log.source.notes);
    }

    #[test]
    fn few_ids_are_numbers_and_what_lacks_is_0() {
        let log = opened("+1 qid:1 1:0.5 3:2\n-1 qid:1 2:-1e-3\n-1 qid:2 1:0.25\n");
        assert_eq!(names(&log), ["label", "qid", "f1", "f2", "f3"]);
        assert_eq!(cells(&log, "f1"), ["0.5", "0", "0.25"]);
        assert_eq!(cells(&log, "f2"), ["0", "-0.001", "0"]);
        assert_eq!(log.schema.column("f3").unwrap().role, Role::Numeric);
    }

    #[test]
    fn many_ids_are_lists() {
        let text: String = (0..400).map(|row| format!("{} {row}:1 {}:1\n", row % 2, row + 7)).collect();
        let log = opened(&text);
        assert_eq!(names(&log), ["label", "features"]);
        assert_eq!(log.schema.columns[1].kind, ColumnType::List);
        let text: String = (0..400).map(|row| format!("{} {row}:0.5 {}:1\n", row % 2, row + 7)).collect();
        assert_eq!(names(&opened(&text)), ["label", "features", "values"]);
    }

    #[test]
    fn numbers_and_clocks_are_something_else() {
        for text in ["1,2,3\n4,5,6\n", "17 10:30\n18 11:45\n", "0 a:1\n", "1 0:1:0.5\n", "1 2 3\n"] {
            assert!(refused_by(&LibSvm, text), "{text}");
        }
    }
}

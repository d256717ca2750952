//! `slot:value slot:value …`, as PaddleRec feeds its models: every value has a name, and a name may come again.

use super::container::Input;
use super::guess::{CellClass, Guess, LIST_MARK, Plan, classify};
use super::libsvm::shorten;
use super::lines::{each_line, head_lines, nearly_all};
use super::records::BadRows;
use super::sparse::{Cell, Row, build_rows};
use super::{Importer, Match, RawLog, RoleHint};
use crate::base::Result;
use crate::data::schema::Role;
use crate::jobs::JobContext;
use std::collections::{HashMap, HashSet};

/// The importer of `slot:value` text.
pub struct Slots;

/// Slots that become columns; more names than these are values.
const MAX_SLOTS: usize = 2048;
/// Values of a slot that may become columns of numbers.
const MAX_VECTOR: usize = 512;

impl Importer for Slots {
    fn id(&self) -> &'static str {
        "slots"
    }

    fn summary(&self) -> &'static str {
        "slot:value text (PaddleRec): every value has a name, a name may come again"
    }

    fn sniff(&self, input: &Input) -> Option<Match> {
        let lines: Vec<_> = head_lines(input).iter().map(|line| names(line)).collect();
        let first = lines.iter().flatten().next()?;
        let known: HashSet<&String> = first.iter().collect();
        let fits = |line: &Option<Vec<String>>| {
            line.as_ref().is_some_and(|names| {
                let shared = names.iter().filter(|name| known.contains(name)).count();
                names.len() >= 3 && names.first() == first.first() && shared * 3 >= names.len() * 2
            })
        };
        let evidence = "every word on the first lines is name:value".to_owned();
        nearly_all(&lines, fits).then_some(Match { confidence: 88, evidence })
    }

    fn read(&self, input: &Input, context: &JobContext) -> Result<RawLog> {
        context.stage("looking at the columns");
        let mut facts = Facts::default();
        let bad = each_line(input, context, parse, |pairs: Pairs| facts.see(&pairs))?;
        let mut notes = facts.notes();
        let mut columns = Vec::new();
        let mut hints = Vec::new();
        let mut places = HashMap::new();
        for slot in &facts.slots {
            places.insert(slot.name.clone(), Place { column: columns.len(), width: slot.vector_width() });
            slot.add_columns(&mut columns, &mut hints, &mut notes);
        }
        let each = |visit: &mut dyn FnMut(Row<usize>)| -> Result<BadRows> {
            let row = |line: &str| Ok(into_row(parse(line)?, &places));
            each_line(input, context, row, |row: Row<usize>| {
                if !row.is_empty() {
                    visit(row);
                }
            })
        };
        let rows = facts.rows as usize;
        let (frame, layout) =
            build_rows(input, context, each, &columns, rows, |place, _| Some(*place), &mut notes)?;
        Ok(RawLog { frame, format: format!("slots{}", input.describe()), bad, notes, hints, layout })
    }
}

/// Names with their values in the order of the line.
type Pairs = Vec<(String, Vec<String>)>;

/// The names of the first line's words; `None` when a word is no `name:value`.
fn names(line: &str) -> Option<Vec<String>> {
    let is_path = |value: &str| value.starts_with('/') || value.starts_with('\\');
    let is_name = |name: &str| !name.is_empty() && !name.contains(['|', '{', '"', '[', ',', ';']);
    line.split_ascii_whitespace()
        .map(|token| match token.split_once(':') {
            Some((name, value)) if is_name(name) && !is_path(value) => Some(name.to_owned()),
            _ => None,
        })
        .collect()
}

fn parse(line: &str) -> std::result::Result<Pairs, String> {
    let mut pairs = Pairs::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for token in line.split_ascii_whitespace() {
        let (name, value) =
            token.split_once(':').ok_or_else(|| format!("'{}' is no slot:value", shorten(token)))?;
        let place = *places.entry(name).or_insert(pairs.len());
        match pairs.get_mut(place) {
            Some((_, values)) => values.push(value.to_owned()),
            None => pairs.push((name.to_owned(), vec![value.to_owned()])),
        }
    }
    Ok(pairs)
}

/// Where the values of a slot go.
struct Place {
    column: usize,
    /// Columns of a vector; `None` when all values go into one cell.
    width: Option<usize>,
}

fn into_row(pairs: Pairs, places: &HashMap<String, Place>) -> Row<usize> {
    let mut row = Row::new();
    for (name, values) in pairs {
        let Some(place) = places.get(&name) else {
            continue;
        };
        match (place.width, values.as_slice()) {
            (Some(width), values) => {
                let cells = values.iter().take(width).enumerate();
                row.extend(cells.map(|(at, value)| (place.column + at, Cell::plain(value.as_str()))));
            }
            (None, [only]) => row.push((place.column, Cell::plain(only.as_str()))),
            (None, several) => row.push((place.column, Cell::list(several))),
        }
    }
    row
}

/// What all lines together look like.
#[derive(Default)]
struct Facts {
    rows: u64,
    slots: Vec<Slot>,
    places: HashMap<String, usize>,
    left_out: u64,
}

/// What one slot looks like.
struct Slot {
    name: String,
    guess: Guess,
    /// Values in the first row that has the slot.
    width: usize,
    is_even: bool,
    is_list: bool,
    are_numbers: bool,
    has_fractions: bool,
}

impl Facts {
    fn see(&mut self, pairs: &Pairs) {
        if pairs.is_empty() {
            return;
        }
        self.rows += 1;
        for (name, values) in pairs {
            let place = match self.places.get(name) {
                Some(place) => *place,
                None if self.slots.len() >= MAX_SLOTS => {
                    self.left_out += 1;
                    continue;
                }
                None => {
                    self.places.insert(name.clone(), self.slots.len());
                    self.slots.push(Slot::new(name, values.len()));
                    self.slots.len() - 1
                }
            };
            if let Some(slot) = self.slots.get_mut(place) {
                slot.see(values);
            }
        }
    }

    fn notes(&self) -> Vec<String> {
        let too_many = (self.left_out > 0)
            .then(|| format!("{} values of slots beyond the first {MAX_SLOTS} were left out", self.left_out));
        too_many.into_iter().collect()
    }
}

impl Slot {
    fn new(name: &str, width: usize) -> Self {
        Self {
            name: name.to_owned(),
            guess: Guess::default(),
            width,
            is_even: true,
            is_list: false,
            are_numbers: true,
            has_fractions: false,
        }
    }

    fn see(&mut self, values: &[String]) {
        self.is_even &= values.len() == self.width;
        self.is_list |= values.len() > 1;
        for value in values {
            self.guess.see(value);
            let class = classify(value);
            self.has_fractions |= matches!(class, CellClass::Real(_));
            self.are_numbers &= matches!(class, CellClass::Real(_) | CellClass::Integer(_));
        }
    }

    /// The length of a vector of numbers; `None` for a category or a list of them.
    fn vector_width(&self) -> Option<usize> {
        let is_vector = self.is_list && self.is_even && self.are_numbers && self.has_fractions;
        (is_vector && self.width <= MAX_VECTOR).then_some(self.width)
    }

    fn add_columns(
        &self,
        columns: &mut Vec<(String, Plan)>,
        hints: &mut Vec<RoleHint>,
        notes: &mut Vec<String>,
    ) {
        let mut hint = |column: &str, role, evidence: &str, is_final| {
            hints.push(RoleHint { column: column.to_owned(), role, evidence: evidence.to_owned(), is_final });
        };
        if let Some(width) = self.vector_width() {
            notes.push(format!("slot '{}' comes {width} times in every row: a vector of numbers", self.name));
            for number in 1..=width {
                let name = format!("{}_{number}", self.name);
                hint(&name, Role::Numeric, "part of a vector of numbers", true);
                columns.push((name, Plan::Real));
            }
        } else if self.is_list {
            columns.push((self.name.clone(), Plan::List(LIST_MARK)));
        } else {
            let (plan, note) = self.guess.plan(&self.name);
            notes.extend(note);
            if matches!(plan, Plan::Integer | Plan::Text) {
                hint(&self.name, Role::Categorical, "the id of a slot", false);
            }
            columns.push((self.name.clone(), plan));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{cells, names, opened, refused_by};
    use super::*;

    #[test]
    fn slots_are_columns_and_repeated_ones_vectors_or_lists() {
        let log = opened(
            "click:0 dense:0.5 dense:0.25 1:77 tags:3 tags:4\n\
             click:1 dense:1.5 dense:0 1:78 tags:5\n\
             \n\
             click:0 dense:0 dense:2.0 1:77 word\n\
             click:0 dense:0 dense:2.0 2:99 tags:6\n",
        );
        assert!(log.source.format.starts_with("slots"), "{}", log.source.format);
        assert_eq!(names(&log), ["click", "dense_1", "dense_2", "1", "tags", "2"]);
        assert_eq!(cells(&log, "dense_2"), ["0.25", "0", "2"]);
        assert_eq!(cells(&log, "1"), ["77", "78", "-"]);
        assert_eq!(cells(&log, "tags"), ["3 4", "5", "6"]);
        let roles: Vec<_> = log.schema.columns.iter().map(|column| column.role).collect();
        assert_eq!(roles[..4], [Role::Label, Role::Numeric, Role::Numeric, Role::Categorical]);
        assert_eq!((log.source.bad_rows, log.source.bad_samples[0].line), (1, 4));
    }

    #[test]
    fn words_with_colons_are_something_else() {
        for text in [
            "{\"a\":1, \"b\":2, \"c\":3}\n",
            "10:30 11:30 12:30\n09:15 10:15 11:15\n",
            "1 2:3 4:5\n",
            "http://a/b x:1 y:2\n",
        ] {
            assert!(refused_by(&Slots, text), "{text}");
        }
    }
}

//! LibFFM text: `label field:id:value field:id:value …`, one column for each field.

use super::container::Input;
use super::guess::{Guess, LIST_MARK, Plan};
use super::libsvm::shorten;
use super::lines::{each_line, head_lines, nearly_all};
use super::records::BadRows;
use super::sparse::{Cell, Row, build_rows};
use super::{Importer, Match, RawLog, RoleHint};
use crate::base::Result;
use crate::data::schema::Role;
use crate::jobs::JobContext;
use std::collections::BTreeMap;

/// The importer of LibFFM text.
pub struct LibFfm;

/// Fields that become columns; a file with more of them has mistaken ids for fields.
const MAX_FIELDS: usize = 2048;

impl Importer for LibFfm {
    fn id(&self) -> &'static str {
        "libffm"
    }

    fn summary(&self) -> &'static str {
        "LibFFM text: label field:id:value field:id:value …"
    }

    fn sniff(&self, input: &Input) -> Option<Match> {
        let fits =
            |line: &String| parse(line).is_ok_and(|line| line.is_some_and(|line| !line.features.is_empty()));
        let evidence = "a number and field:id:value triples on the first lines".to_owned();
        nearly_all(&head_lines(input), fits).then_some(Match { confidence: 92, evidence })
    }

    fn read(&self, input: &Input, context: &JobContext) -> Result<RawLog> {
        context.stage("looking at the columns");
        let mut facts = Facts::default();
        let bad = each_line(input, context, parse, |line| line.iter().for_each(|line| facts.see(line)))?;
        let mut notes = facts.notes();
        let (label, note) = facts.label.plan("label");
        notes.extend(note);
        let mut columns = vec![("label".to_owned(), label)];
        let mut hints = Vec::new();
        let mut places = BTreeMap::new();
        for (field, seen) in &facts.fields {
            let ids = (!seen.is_number(facts.is_normalised())).then_some(columns.len());
            let name = format!("field_{field}");
            if ids.is_some() {
                columns
                    .push((name.clone(), if seen.is_list { Plan::List(LIST_MARK) } else { Plan::Integer }));
                hints.push(seen.hint(&name));
            }
            let values = seen.has_values(facts.is_normalised()).then_some(columns.len());
            if values.is_some() {
                let name = if ids.is_some() { format!("{name}.value") } else { name };
                columns.push((name, if seen.is_list { Plan::List(LIST_MARK) } else { Plan::Real }));
            }
            places.insert(*field, Place { ids, values });
        }
        let each = |visit: &mut dyn FnMut(Row<usize>)| -> Result<BadRows> {
            let row = |line: &str| Ok(parse(line)?.map(|line| line.into_row(&places)));
            each_line(input, context, row, |row: Option<_>| row.into_iter().for_each(&mut *visit))
        };
        let rows = facts.rows as usize;
        let (frame, layout) =
            build_rows(input, context, each, &columns, rows, |place, _| Some(*place), &mut notes)?;
        Ok(RawLog { frame, format: format!("libffm{}", input.describe()), bad, notes, hints, layout })
    }
}

/// The columns of a field.
struct Place {
    ids: Option<usize>,
    values: Option<usize>,
}

/// One line, taken apart.
struct Line {
    label: String,
    /// Field, id and value.
    features: Vec<(u64, u64, f64)>,
}

fn parse(line: &str) -> std::result::Result<Option<Line>, String> {
    let mut tokens = line.split_ascii_whitespace();
    let Some(label) = tokens.next() else {
        return Ok(None);
    };
    if !label.parse::<f64>().is_ok_and(f64::is_finite) {
        return Err(format!("begins with '{}' where a label should stand", shorten(label)));
    }
    let triple = |token: &str| {
        let mut parts = token.splitn(3, ':');
        let field = parts.next()?.parse().ok()?;
        let id = parts.next()?.parse().ok()?;
        let value = parts.next()?.parse().ok().filter(|value: &f64| value.is_finite())?;
        Some((field, id, value))
    };
    let features = tokens
        .map(|token| triple(token).ok_or_else(|| format!("'{}' is no field:id:value", shorten(token))))
        .collect::<std::result::Result<_, _>>()?;
    Ok(Some(Line { label: label.to_owned(), features }))
}

impl Line {
    fn into_row(self, places: &BTreeMap<u64, Place>) -> Row<usize> {
        let mut row = vec![(0, Cell::plain(self.label))];
        let mut by_field: BTreeMap<u64, Vec<(u64, f64)>> = BTreeMap::new();
        for (field, id, value) in self.features {
            by_field.entry(field).or_default().push((id, value));
        }
        for (field, features) in by_field {
            let Some(place) = places.get(&field) else {
                continue;
            };
            let texts = |text: fn(&(u64, f64)) -> String| -> Cell {
                let texts: Vec<_> = features.iter().map(text).collect();
                match texts.as_slice() {
                    [only] => Cell::plain(only.as_str()),
                    several => Cell::list(several),
                }
            };
            row.extend(place.ids.map(|column| (column, texts(|(id, _)| id.to_string()))));
            row.extend(place.values.map(|column| (column, texts(|(_, value)| value.to_string()))));
        }
        row
    }
}

/// What all lines together look like.
#[derive(Default)]
struct Facts {
    rows: u64,
    label: Guess,
    fields: BTreeMap<u64, Field>,
    /// Features of fields beyond the limit.
    left_out: u64,
    /// True when some row has values that differ.
    differs_within_rows: bool,
    has_other_values: bool,
}

impl Facts {
    fn see(&mut self, line: &Line) {
        self.rows += 1;
        self.label.see(&line.label);
        let first = line.features.first().map_or(1.0, |(_, _, value)| *value);
        let mut before = None;
        for (field, id, value) in &line.features {
            self.differs_within_rows |= *value != first;
            self.has_other_values |= *value != 1.0;
            if self.fields.len() >= MAX_FIELDS && !self.fields.contains_key(field) {
                self.left_out += 1;
                continue;
            }
            let seen = self.fields.entry(*field).or_insert_with(|| Field::new(*id));
            seen.varies |= *id != seen.first_id;
            seen.has_other_values |= *value != 1.0;
            seen.is_list |= before == Some(*field);
            before = Some(*field);
        }
    }

    /// True when the values of a row are all the same: they scale the row to length 1 and say nothing else.
    fn is_normalised(&self) -> bool {
        self.has_other_values && !self.differs_within_rows
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = vec![format!("{} fields: one column for each", self.fields.len())];
        if self.is_normalised() {
            notes.push("the values of a row are all the same (rows scaled to length 1): left out".to_owned());
        }
        if self.left_out > 0 {
            notes.push(format!("{} features of fields beyond {MAX_FIELDS} were left out", self.left_out));
        }
        notes
    }
}

/// What one field looks like.
struct Field {
    first_id: u64,
    varies: bool,
    has_other_values: bool,
    is_list: bool,
}

impl Field {
    fn new(first_id: u64) -> Self {
        Self { first_id, varies: false, has_other_values: false, is_list: false }
    }

    fn has_values(&self, is_normalised: bool) -> bool {
        self.has_other_values && !is_normalised
    }

    /// True when one id with changing values stands for a number.
    fn is_number(&self, is_normalised: bool) -> bool {
        !self.varies && self.has_values(is_normalised)
    }

    fn hint(&self, name: &str) -> RoleHint {
        RoleHint {
            column: name.to_owned(),
            role: if self.is_list { Role::Sequence } else { Role::Categorical },
            evidence: "ids of a field".to_owned(),
            is_final: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{cells, names, opened, refused_by};
    use super::*;
    use crate::data::schema::ColumnType;

    #[test]
    fn a_field_is_a_category_a_number_or_a_list() {
        let log = opened(
            "1 0:3:1 1:7:0.5 2:20:1 2:21:1\n0 0:4:1 1:7:2.25 2:20:1\n0 0:3:1 1:7:-1\n0 0:3:1\nbad\n1 0:x:1\n",
        );
        assert!(log.source.format.starts_with("libffm"), "{}", log.source.format);
        assert_eq!(names(&log), ["label", "field_0", "field_1", "field_2"]);
        assert_eq!(cells(&log, "field_0"), ["3", "4", "3", "3"]);
        assert_eq!(cells(&log, "field_1"), ["0.5", "2.25", "-1", "-"]);
        assert_eq!(cells(&log, "field_2"), ["20 21", "20", "-", "-"]);
        let roles: Vec<_> = log.schema.columns.iter().map(|column| column.role).collect();
        assert_eq!(roles, [Role::Label, Role::Categorical, Role::Numeric, Role::Sequence]);
        assert_eq!(log.schema.columns[3].kind, ColumnType::List);
        let lines: Vec<_> = log.source.bad_samples.iter().map(|row| row.line).collect();
        assert_eq!(lines, [5, 6]);
    }

    #[test]
    fn values_that_only_scale_the_row_are_left_out() {
        let log = opened("1 0:3:0.7 1:7:0.7\n0 0:4:0.5 1:8:0.5\n");
        assert_eq!(names(&log), ["label", "field_0", "field_1"]);
        assert!(log.source.notes.iter().any(|note| note.contains("scaled")), "{:?}", log.source.notes);
    }

    #[test]
    fn pairs_are_something_else() {
        assert!(refused_by(&LibFfm, "1 3:1 4:1\n0 5:1 6:1\n"));
        assert!(refused_by(&LibFfm, "17 10:30:15\nnoon 11:00:00\n"));
    }
}

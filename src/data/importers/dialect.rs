//! How is this delimited text laid out? Delimiter, quotes, preamble and header, from the first records.

use super::guess::{CellClass, classify};
use super::numerals;
use super::records::{Cut, head_records};
use super::times;
use std::collections::HashSet;

/// The layout of a delimited text.
#[derive(Debug, Clone, PartialEq)]
pub struct Dialect {
    /// How lines are cut.
    pub cut: Cut,
    /// Names of the columns, from the header or made up.
    pub names: Vec<String>,
    /// True when the names came from the file.
    pub has_header: bool,
    /// Records before the first row, the header included.
    pub skip: usize,
    /// Share of the first records that have the usual number of fields.
    pub agreement: f64,
}

/// Delimiters that logs use. The second row is tried only where none of the first fits: colons stand in every
/// time of day and spaces in every sentence.
const USUAL: [u8; 5] = [b'\t', b';', b',', b'|', 1];
const RARE: [u8; 4] = [b'^', b'~', b':', b' '];
/// Records that decide.
const SAMPLE: usize = 500;
/// A record before the table must come this early to be a preamble.
const PREAMBLE: usize = 10;

impl Dialect {
    /// Finds the layout of a text that begins with `head`. `None` when it holds no records.
    pub fn find(head: &[u8], head_is_all: bool) -> Option<Self> {
        let candidates = |delimiters: &[u8]| -> Vec<Candidate> {
            let cuts =
                delimiters.iter().flat_map(|&delimiter| [Cut::quoted(delimiter), Cut::plain(delimiter)]);
            cuts.filter_map(|cut| Candidate::of(head, head_is_all, cut))
                .filter(|candidate| candidate.width > 1 && candidate.share >= 0.5)
                .collect()
        };
        let best = best(candidates(&USUAL)).or_else(|| {
            // Words and colons must agree everywhere to count as a table.
            let strict = candidates(&RARE).into_iter();
            best(strict.filter(|found| found.share > 0.99 && found.records.len() > 1).collect())
        });
        let one_column = || {
            let cut = Cut::lines();
            Candidate::of(head, head_is_all, cut)
        };
        best.or_else(one_column).map(Candidate::into_dialect)
    }

    /// "comma, header": the layout in words.
    pub fn describe(&self) -> String {
        let delimiter = match self.cut.delimiter {
            None => "one column".to_owned(),
            Some(b'\t') => "tab".to_owned(),
            Some(b';') => "semicolon".to_owned(),
            Some(b',') => "comma".to_owned(),
            Some(b'|') => "bar".to_owned(),
            Some(b' ') => "space".to_owned(),
            Some(1) => "control-A".to_owned(),
            Some(other) => format!("'{}'", char::from(other)),
        };
        let header = if self.has_header { "header" } else { "no header" };
        format!("{delimiter}, {header}")
    }
}

struct Candidate {
    cut: Cut,
    records: Vec<Vec<String>>,
    width: usize,
    share: f64,
}

impl Candidate {
    fn of(head: &[u8], head_is_all: bool, cut: Cut) -> Option<Self> {
        let records = head_records(head, head_is_all, cut, SAMPLE);
        let mut counts: Vec<(usize, usize)> = Vec::new();
        for record in &records {
            match counts.iter_mut().find(|(width, _)| *width == record.len()) {
                Some((_, count)) => *count += 1,
                None => counts.push((record.len(), 1)),
            }
        }
        // The header comes first, so in a tie its width wins.
        let (width, count) =
            counts.into_iter().reduce(|best, next| if next.1 > best.1 { next } else { best })?;
        let share = count as f64 / records.len() as f64;
        Some(Self { cut, records, width, share })
    }

    fn into_dialect(self) -> Dialect {
        let preamble = self
            .records
            .iter()
            .take(PREAMBLE)
            .position(|record| record.len() == self.width)
            .unwrap_or_default();
        let table: Vec<&[String]> = self.records[preamble..]
            .iter()
            .filter(|record| record.len() == self.width)
            .map(Vec::as_slice)
            .collect();
        let has_header = has_header(&table);
        let names = match table.first() {
            Some(first) if has_header => unique_names(first),
            _ => unique_names(&vec![String::new(); self.width]),
        };
        Dialect {
            cut: self.cut,
            names,
            has_header,
            skip: preamble + usize::from(has_header),
            agreement: self.share,
        }
    }
}

/// The most agreement wins; then quotes that mean something; then the earlier delimiter.
fn best(candidates: Vec<Candidate>) -> Option<Candidate> {
    let score = |candidate: &Candidate| {
        let starts_well = candidate.records.first().is_some_and(|first| first.len() == candidate.width);
        (candidate.share * 20.0).round() + f64::from(u8::from(starts_well))
    };
    candidates.into_iter().reduce(|best, next| if score(&next) > score(&best) { next } else { best })
}

/// True when the first record names the columns: a name stands above values, or it is nothing but distinct words
/// that don't come again.
fn has_header(table: &[&[String]]) -> bool {
    let Some((first, rows)) = table.split_first() else {
        return false;
    };
    let distinct: HashSet<&str> = first.iter().map(|name| name.trim()).collect();
    if distinct.len() < first.len() || rows.is_empty() {
        return rows.is_empty() && first.iter().all(|cell| !is_value(cell));
    }
    let mut names_over_values = 0;
    let mut values_over_values = 0;
    for (column, name) in first.iter().enumerate() {
        let mut present =
            rows.iter().map(|row| row[column].as_str()).filter(|cell| !is_missing(cell)).peekable();
        if present.peek().is_some() && !is_missing(name) && present.all(is_value) {
            if is_value(name) {
                values_over_values += 1;
            } else {
                names_over_values += 1;
            }
        }
    }
    if names_over_values > 0 || values_over_values > 0 {
        return names_over_values > 0;
    }
    let comes_again =
        |(column, name): (usize, &String)| !name.is_empty() && rows.iter().any(|row| row[column] == *name);
    !first.iter().enumerate().any(comes_again) && !first.iter().any(|cell| is_value(cell))
}

fn is_missing(cell: &str) -> bool {
    matches!(classify(cell), CellClass::Empty | CellClass::MissingWord)
}

fn is_value(cell: &str) -> bool {
    match classify(cell) {
        CellClass::Integer(_) | CellClass::Real(_) | CellClass::DigitName => true,
        CellClass::Boolean(_) => true,
        CellClass::Empty | CellClass::MissingWord | CellClass::Damage => false,
        CellClass::Other => times::parts(cell.trim()).is_some() || numerals::parse(cell).is_some(),
    }
}

/// Names without spaces at their ends, none empty, none twice.
fn unique_names(header: &[String]) -> Vec<String> {
    let mut taken = HashSet::new();
    header
        .iter()
        .enumerate()
        .map(|(place, name)| {
            let name = match name.trim() {
                "" => format!("column_{}", place + 1),
                name => name.to_owned(),
            };
            let mut unique = name.clone();
            let mut number = 2;
            while !taken.insert(unique.clone()) {
                unique = format!("{name}_{number}");
                number += 1;
            }
            unique
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str) -> Dialect {
        Dialect::find(text.as_bytes(), true).unwrap()
    }

    #[test]
    fn delimiters_are_found_by_agreement() {
        for (text, expected) in [
            ("a,b\n1,\"x;y\"\n2,z\n", "comma, header"),
            ("a;b\n1,5;2,5\n3,5;4,5\n", "semicolon, header"),
            ("a\tb\n1, x\t2\n3, y\t4\n", "tab, header"),
            ("when,genres\n2016-01-01 10:00:00,a|b\n2016-01-02 11:00:00,c|d\n", "comma, header"),
            (
                "1,2014-04-07T10:51:09.277Z,214536502,0\n1,2014-04-07T10:54:09.868Z,214536500,0\n",
                "comma, no header",
            ),
            ("keyword\nblue shoes\nred shoes\n", "one column, header"),
        ] {
            assert_eq!(find(text).describe(), expected, "{text}");
        }
    }

    #[test]
    fn names_are_made_where_they_lack() {
        assert_eq!(find(",item\n0,7\n1,8\n").names, ["column_1", "item"]);
        assert_eq!(find("x,x\na,1\n").names.len(), 2);
        assert_eq!(find("3,4\n5,6\n").names, ["column_1", "column_2"]);
    }

    #[test]
    fn text_only_headers_and_preambles() {
        let dialect = find("city,device\nBerlin,ios\nParis,android\n");
        assert!(dialect.has_header);
        assert!(!find("Berlin,ios\nParis,ios\nBerlin,android\n").has_header);
        let dialect = find("report of June\nad,clicks,views\na,1,2\nb,3,4\nc,5,6\n");
        assert_eq!((dialect.skip, dialect.names[0].as_str()), (2, "ad"));
    }
}

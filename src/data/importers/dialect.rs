//! How is this delimited text laid out? Delimiter, quotes, preamble and header, from the first records.
//!
//! Every delimiter is tried with and without quotes; the cut wins whose records agree most and whose cells are
//! most often values. `grid` then finds the table among its records.

mod grid;

use super::cut::{Cut, Record, records_of};
use super::reading::Reading;
use super::records::Rules;
use grid::Grid;
use memchr::memchr_iter;
use memchr::memmem;
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
    /// The records before the table as they stand in the file.
    pub preamble: Vec<String>,
    /// Physical lines before the table, blank ones included.
    pub lines_before: u64,
    /// What a person should know about the choice.
    pub notes: Vec<String>,
    /// What the table may have besides rows.
    pub(super) rules: Rules,
}

/// Delimiters that logs use. The second row is tried only where none of the first fits: colons stand in every
/// time of day and spaces in every sentence.
const USUAL: [u8; 5] = [b'\t', b';', b',', b'|', 1];
const RARE: [u8; 4] = [b'^', b'~', b':', b' '];
/// Delimiters that are seen doubled.
const DOUBLED: [u8; 2] = [b':', b'|'];
/// Records that decide.
const SAMPLE: usize = 500;
/// Share of the records that must agree.
const AGREEMENT: f64 = 0.6;
/// Characters of a line of the preamble that are kept.
const PREAMBLE_CHARS: usize = 500;

impl Dialect {
    /// Finds the layout of a text that begins with `head`, where a person may have decided some things about it.
    /// `None` when it holds no records.
    pub fn find(head: &[u8], head_is_all: bool, reading: &Reading) -> Option<Self> {
        let of = |cut: Cut| Candidate::of(head, head_is_all, cut, reading);
        let found = match &reading.delimiter {
            Some(text) => asked(text, reading).into_iter().filter_map(of).reduce(better),
            None => usual(head, reading, &of).or_else(|| of(Cut::lines())),
        };
        found.map(|candidate| {
            let before = candidate.records.iter().take(candidate.grid.start);
            let preamble = before.map(|record| line_of(head, record)).collect();
            let start = candidate.records.get(candidate.grid.start).map_or(0, |record| record.start);
            let lines_before = memchr_iter(b'\n', head.get(..start).unwrap_or_default()).count() as u64;
            Self { lines_before, ..candidate.into_dialect(preamble, reading) }
        })
    }

    /// Finds the table among rows that are cut already, as those of a sheet.
    pub(super) fn of_rows(rows: Vec<Record>, reading: &Reading) -> Option<Self> {
        let line = |record: &Record| {
            let cells = record.cells.iter().map(|cell| cell.trim()).filter(|cell| !cell.is_empty());
            cells.collect::<Vec<_>>().join(", ").chars().take(PREAMBLE_CHARS).collect()
        };
        let grid = Grid::find(&rows, reading)?;
        let preamble = rows.iter().take(grid.start).map(line).collect();
        Some(Candidate { cut: Cut::lines(), records: rows, grid }.into_dialect(preamble, reading))
    }

    /// "comma, header": the layout in words.
    pub fn describe(&self) -> String {
        let delimiter = match self.cut.delimiter {
            None => "one column".to_owned(),
            Some(delimiter) if self.cut.is_doubled => format!("double '{}'", char::from(delimiter)),
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

/// The best cut at a delimiter that logs use.
fn usual(head: &[u8], reading: &Reading, of: &impl Fn(Cut) -> Option<Candidate>) -> Option<Candidate> {
    let candidates = |delimiters: &[u8]| -> Vec<Candidate> {
        let cuts = delimiters.iter().filter(|delimiter| head.contains(delimiter));
        let best = cuts.filter_map(|delimiter| best_quoting(*delimiter, false, reading, of));
        best.filter(|found| found.grid.width > 1 && found.grid.agreement >= AGREEMENT).collect()
    };
    let doubled = DOUBLED.into_iter().filter(|byte| memmem::find(head, &[*byte, *byte]).is_some());
    let doubled = doubled.filter_map(|delimiter| best_quoting(delimiter, true, reading, of));
    // Otherwise it is a single bar with an empty cell here and there.
    let doubled = doubled.filter(|found| found.grid.width > 1 && found.grid.agreement > 0.99);
    let mut found: Vec<Candidate> = doubled.filter(is_always_doubled).collect();
    if found.is_empty() {
        found = candidates(&USUAL);
    }
    found.into_iter().reduce(better).or_else(|| {
        // Words and colons must agree everywhere to count as a table.
        let strict = candidates(&RARE).into_iter();
        strict
            .filter(|found| found.grid.rows > 1 && found.grid.rows * 100 > found.records.len() * 99)
            .reduce(better)
    })
}

/// True when the delimiter seldom stands alone, in texts.
fn is_always_doubled(found: &Candidate) -> bool {
    let Some(delimiter) = found.cut.delimiter.map(char::from) else {
        return false;
    };
    let alone =
        found.records.iter().flat_map(|record| &record.cells).map(|cell| cell.matches(delimiter).count());
    let doubled = found.records.iter().map(|record| record.cells.len() - 1);
    alone.sum::<usize>() * 3 <= doubled.sum::<usize>()
}

fn asked(text: &str, reading: &Reading) -> Vec<Cut> {
    let bytes = text.as_bytes();
    let cut = Cut {
        delimiter: bytes.first().copied(),
        is_doubled: bytes.len() == 2 && bytes[0] == bytes[1],
        quote: Some(b'"'),
    };
    match reading.has_quotes {
        Some(true) => vec![cut],
        Some(false) => vec![Cut { quote: None, ..cut }],
        None => vec![cut, Cut { quote: None, ..cut }],
    }
}

/// Whether quotes hold cells together or are characters, at one delimiter.
fn best_quoting(
    delimiter: u8,
    is_doubled: bool,
    reading: &Reading,
    of: &impl Fn(Cut) -> Option<Candidate>,
) -> Option<Candidate> {
    let quoted = Cut { is_doubled, ..Cut::quoted(delimiter) };
    let plain = Cut { is_doubled, ..Cut::plain(delimiter) };
    if let Some(has_quotes) = reading.has_quotes {
        return of(if has_quotes { quoted } else { plain });
    }
    let (Some(quoted), Some(plain)) = (of(quoted), of(plain)) else {
        return None;
    };
    let is_same = quoted.records.len() == plain.records.len() && quoted.widths().eq(plain.widths());
    let is_usual = matches!(delimiter, b',' | b';');
    // A quote that opens a cell in one line and ends one in another swallows the lines between.
    let swallows = plain.records.len() > quoted.records.len()
        && plain.grid.agreement >= quoted.grid.agreement
        && plain.grid.width == quoted.grid.width;
    let takes_quotes = if is_same { is_usual || plain.has_quoted_cells() } else { !swallows };
    let (first, second) = if takes_quotes { (quoted, plain) } else { (plain, quoted) };
    Some(if is_same { first } else { better(first, second) })
}

/// The first of equals.
fn better(best: Candidate, next: Candidate) -> Candidate {
    if next.score() > best.score() + 1e-9 { next } else { best }
}

struct Candidate {
    cut: Cut,
    records: Vec<Record>,
    grid: Grid,
}

impl Candidate {
    fn of(head: &[u8], head_is_all: bool, cut: Cut, reading: &Reading) -> Option<Self> {
        let records = records_of(head, head_is_all, cut, SAMPLE);
        let grid = Grid::find(&records, reading)?;
        Some(Self { cut, records, grid })
    }

    fn widths(&self) -> impl Iterator<Item = usize> {
        self.records.iter().map(|record| record.cells.len())
    }

    /// Agreement first; then how much of the text it explains, how many cells are values, and an early start.
    fn score(&self) -> f64 {
        let grid = &self.grid;
        let covered = grid.rows as f64 / self.records.len().max(1) as f64;
        let starts_well = if grid.start == 0 { 1.0 } else { 0.0 };
        (grid.agreement * 20.0).round() + 4.0 * grid.typed_share + 2.0 * covered + starts_well
    }

    /// True when cells of some column stand in quotes throughout, as a writer does it that quotes all texts.
    fn has_quoted_cells(&self) -> bool {
        let is_quoted = |cell: &str| cell.len() > 1 && cell.starts_with('"') && cell.ends_with('"');
        let rows = || self.records.iter().skip(self.grid.start + 1);
        (0..self.grid.width).any(|column| {
            let mut cells = rows().filter_map(|row| row.cells.get(column)).filter(|cell| !cell.is_empty());
            let filled = cells.clone().count();
            filled > 0 && cells.all(|cell| is_quoted(cell))
        })
    }

    fn into_dialect(self, preamble: Vec<String>, reading: &Reading) -> Dialect {
        let grid = &self.grid;
        let has_header = reading.has_header.unwrap_or(grid.has_header);
        let header_records = if has_header { grid.header_records().max(1) } else { 0 };
        let record = |place: usize| self.records.get(grid.start + place).map(|record| &record.cells);
        let header: Vec<String> = match (record(0), record(1)) {
            (Some(first), Some(second)) if header_records == 2 => grid.joined_header(first, second),
            (Some(first), _) if has_header => grid.header(first),
            _ => Vec::new(),
        };
        let names =
            if has_header { unique_names(&header) } else { unique_names(&vec![String::new(); grid.width]) };
        let rules = Rules {
            pads_short_rows: grid.pads_short_rows,
            has_ending: self.cut.delimiter.is_some(),
            header: if has_header && header.len() > 1 { header } else { Vec::new() },
            values: grid.values(has_header),
        };
        Dialect {
            cut: self.cut,
            names,
            has_header,
            skip: grid.start + header_records,
            agreement: grid.agreement,
            lines_before: preamble.len() as u64,
            preamble,
            notes: grid.notes.clone(),
            rules,
        }
    }
}

fn line_of(head: &[u8], record: &Record) -> String {
    let bytes = head.get(record.start..record.end).unwrap_or_default();
    String::from_utf8_lossy(bytes).trim().chars().take(PREAMBLE_CHARS).collect()
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
        Dialect::find(text.as_bytes(), true, &Reading::default()).unwrap()
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
            ("1::12::5\n1::7::3\n2::9::4\n", "double ':', no header"),
            ("id||title||views\n1||a|b||7\n2||c||8\n", "double '|', header"),
            ("id|title||views\n1|a||7\n2|c||8\n", "bar, header"),
            ("user:token\titem:token\n1\t2\n3\t4\n", "tab, header"),
            ("blue shoes\nred, white and blue\ngreen\nsocks, warm\nhats\n", "one column, header"),
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
        assert_eq!(dialect.preamble, ["report of June"]);
    }

    #[test]
    fn preambles_of_platforms() {
        let google = "Campaign report\n\"8 July 2025 - 31 July 2025\"\nCampaign,Clicks,CTR\nBrand,\"1,234\",5.1%\n\
                      Total: Campaigns,\"1,234\",5.1%\nTotal: Account,\"1,234\",5.1%\n";
        let dialect = find(google);
        assert_eq!((dialect.skip, dialect.names.len(), dialect.has_header), (3, 3, true));
        let analytics = "# ---\n# All Web Site Data\n# Campaigns, by source\n# 20240101-20240131\n# ---\n\n\
                         Campaign,Users,Sessions\nx,5,7\ny,6,8\n,11,15\n\nDay Index,Users\n1/1/24,5\n1/2/24,6\n";
        let dialect = find(analytics);
        assert_eq!((dialect.skip, dialect.names[2].as_str()), (6, "Sessions"));
        assert_eq!(dialect.preamble[2], "# Campaigns, by source");
        let pairs = "Account,Shoes\nCurrency,EUR\nPeriod,01.01.2024\n\nKeyword,Clicks\nred,5\nblue,7\n";
        let dialect = find(pairs);
        assert_eq!((dialect.skip, dialect.names[0].as_str()), (4, "Keyword"));
        let padded = "Report,,,\nJune,,,\n,,,\nad,views,clicks,cost\na,1,2,0.5\nb,3,4,0.25\n";
        let dialect = find(padded);
        assert_eq!((dialect.skip, dialect.names[3].as_str()), (3, "cost"));
        let mut long: String = (0..28).map(|line| format!("Filter {line}: all, none\n")).collect();
        long.push_str("Day,Ad,Clicks,Cost\n2024-01-01,a,5,0.5\n2024-01-02,b,6,0.7\n");
        let dialect = find(&long);
        assert_eq!((dialect.skip, dialect.names.len()), (29, 4));
    }

    #[test]
    fn headers_of_another_width() {
        let row_names = find("views clicks\n".replace(' ', ",").as_str().to_owned().as_str());
        assert_eq!(row_names.names.len(), 2);
        let dialect = find("views,clicks\nad 1,5,1\nad 2,6,0\nad 3,7,1\n");
        assert_eq!(dialect.names, ["column_1", "views", "clicks"]);
        let dialect = find("ad,views,clicks\na,5,1,\nb,6,0,\nc,7,1,\n");
        assert_eq!(dialect.names, ["ad", "views", "clicks"]);
        let dialect = find("ad,views,clicks,\na,5,1,\nb,6,0,\nc,7,1,\n");
        assert_eq!(dialect.names, ["ad", "views", "clicks"]);
        let dialect = find("ad,views,clicks,\na,5,1\nb,6,0\nc,7,1\n");
        assert_eq!(dialect.names, ["ad", "views", "clicks"]);
        let dialect = find("ad,views,clicks,note\na,5,1\nb,6,0\nc,7,1\n");
        assert_eq!(dialect.names, ["ad", "views", "clicks", "note"]);
        assert!(dialect.rules.pads_short_rows && !dialect.notes.is_empty());
        let dialect = find("#user,item,click\n1,2,0\n3,4,1\n");
        assert_eq!(dialect.names, ["user", "item", "click"]);
    }

    #[test]
    fn headers_of_two_lines() {
        let units =
            "day,views,spend\n(UTC),(count),(USD)\n2024-01-01,5,1.5\n2024-01-02,6,2.5\n2024-01-03,7,3\n";
        let dialect = find(units);
        assert_eq!(dialect.names, ["day (UTC)", "views (count)", "spend (USD)"]);
        assert_eq!((dialect.skip, dialect.has_header), (2, true));
        let groups = ",,Search,,Display,\nday,ad,views,clicks,views,clicks\n2024-01-01,a,5,1,7,2\n\
                      2024-01-02,b,6,1,8,2\n2024-01-03,a,7,1,9,2\n";
        let dialect = find(groups);
        let names = ["day", "ad", "Search views", "Search clicks", "Display views", "Display clicks"];
        assert_eq!((dialect.names.as_slice(), dialect.skip), (names.map(str::to_owned).as_slice(), 2));
        // A row with a word or two among the numbers is a row.
        let rows =
            "day,views,spend\n2024-01-01,Other,none yet\n2024-01-02,6,2.5\n2024-01-03,7,3\n2024-01-04,7,3\n";
        assert_eq!(find(rows).skip, 1);
        let texts = "city,device,views\nBerlin,ios,Other\nParis,ios,6\nRome,web,7\nOslo,web,8\n";
        assert_eq!(find(texts).skip, 1);
    }

    #[test]
    fn short_rows_are_filled_where_the_writer_leaves_out_empty_cells() {
        let mut text = String::from("ad,views,clicks,note\n");
        for row in 0..40 {
            text.push_str(if row % 3 == 0 { "a,5,1,new\n" } else { "b,6,0\n" });
        }
        assert!(find(&text).rules.pads_short_rows);
        // Where empty cells are written, a short row is damaged.
        assert!(!find(&text.replace(",new", ",")).rules.pads_short_rows);
    }

    #[test]
    fn quotes_are_text_where_they_swallow_lines() {
        let text = "id\ttitle\tviews\n1\t\"Quoted start\t5\n2\tnext\" end\"\t6\n3\tplain\t7\n4\tmore\t8\n";
        let dialect = find(text);
        assert_eq!((dialect.cut.quote, dialect.names.len()), (None, 3));
        assert_eq!(find("a\tb\n\"x\"\t\"1\"\n\"y\"\t\"2\"\n").cut.quote, Some(b'"'));
    }

    #[test]
    fn a_person_has_the_last_word() {
        let reading = Reading {
            delimiter: Some(";".to_owned()),
            has_header: Some(false),
            preamble: Some(1),
            ..Reading::default()
        };
        let dialect = Dialect::find(b"x,y\na,b;c\nd,e;f\n", true, &reading).unwrap();
        assert_eq!(dialect.names, ["column_1", "column_2"]);
        assert_eq!((dialect.skip, dialect.has_header), (1, false));
    }

    #[test]
    fn names_that_are_numbers_and_one_row() {
        assert!(find("101,109_14,click\n1,2,0\n3,4,1\n").has_header);
        assert!(find("user,ad,click\n7,8,1\n").has_header);
        assert!(!find("7,8,1\n").has_header);
    }
}

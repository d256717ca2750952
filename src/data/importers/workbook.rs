//! Workbooks of Excel and LibreOffice: the first sheet that holds a table, read as delimited text is.

use super::archive;
use super::build::ColumnBuilder;
use super::container::Input;
use super::cut::Record;
use super::delimited::{Table, finish};
use super::dialect::Dialect;
use super::guess::Guess;
use super::normalise::whole;
use super::records::BadRows;
use super::totals;
use super::{Importer, Match, RawLog, known};
use crate::base::{Failure, Result};
use crate::data::layout::Layout;
use crate::jobs::JobContext;
use calamine::{Data, ExcelDateTime, Range, Reader, Sheets};
use std::io::Cursor;

/// The importer of workbooks.
pub struct Workbook;

/// How the files of Excel before 2007 begin, and so do workbooks with a password.
const COMPOUND: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";
const ARCHIVE: &[u8] = b"PK\x03\x04";
/// Rows that decide where the table is.
const SAMPLE: usize = 500;
/// Rows between two questions whether the person has cancelled.
const BATCH: usize = 4096;
const WHAT: &str = "cannot read the workbook";

impl Importer for Workbook {
    fn id(&self) -> &'static str {
        "workbook"
    }

    fn summary(&self) -> &'static str {
        "workbooks (XLSX, XLSB, XLS, ODS): the first sheet that holds a table"
    }

    fn sniff(&self, input: &Input) -> Option<Match> {
        let evidence = match &input.head {
            head if head.starts_with(COMPOUND) => "begins as the files of older Office programs",
            head if head.starts_with(ARCHIVE) => "a zip archive with the parts of a workbook",
            _ => return None,
        };
        Some(Match { confidence: 99, evidence: evidence.to_owned() })
    }

    fn read(&self, input: &Input, context: &JobContext) -> Result<RawLog> {
        context.stage("unpacking the workbook");
        let bytes = whole(input)?;
        archive::refuse_bomb(&bytes).map_err(|failure| failure.at(input.path.display()))?;
        let mut sheets =
            calamine::open_workbook_auto_from_rs(Cursor::new(bytes.as_slice())).map_err(|_| {
                Failure::new(WHAT, "it is damaged, protected by a password, or no workbook")
                .at(input.path.display())
                .hint("open it in its program and save it again without a password, or save the sheet as CSV")
            })?;
        let sheet = first_table(&mut sheets, input, context)?;
        let kind = match &sheets {
            Sheets::Xls(_) => "xls",
            Sheets::Xlsx(_) => "xlsx",
            Sheets::Xlsb(_) => "xlsb",
            Sheets::Ods(_) => "ods",
        };
        let header = if sheet.dialect.has_header { "header" } else { "no header" };
        let format = format!("{kind}, sheet '{}', {header}{}", sheet.name, input.describe());
        sheet.read(input, format, context)
    }
}

/// A sheet with a table in it.
struct Sheet {
    name: String,
    others: Vec<String>,
    rows: Range<Data>,
    dialect: Dialect,
}

/// The sheet that was asked for, or the first that holds a header and a row.
fn first_table<R: std::io::Read + std::io::Seek>(
    sheets: &mut Sheets<R>,
    input: &Input,
    context: &JobContext,
) -> Result<Sheet> {
    let names = sheets.sheet_names();
    let asked = input.reading.part.as_ref().filter(|part| names.contains(part));
    let mut broken = None;
    for name in names.iter().filter(|name| asked.is_none_or(|asked| asked == *name)) {
        context.check()?;
        context.stage(&format!("reading sheet '{name}'"));
        let rows = match sheets.worksheet_range(name) {
            Ok(rows) => rows,
            Err(error) => {
                broken.get_or_insert(format!("sheet '{name}': {error}"));
                continue;
            }
        };
        let Some(dialect) = Dialect::of_rows(sample(&rows), &input.reading) else {
            continue;
        };
        let is_table = dialect.names.len() > 1 && rows.height() > dialect.skip;
        if is_table || asked.is_some() {
            let others = names.iter().filter(|other| *other != name).cloned().collect();
            return Ok(Sheet { name: name.clone(), others, rows, dialect });
        }
    }
    let why = broken.unwrap_or_else(|| format!("none of its {} sheets holds a table", names.len()));
    Err(Failure::new(WHAT, why).at(input.path.display()).hint("save the sheet with the table as CSV"))
}

/// The first rows that hold anything.
fn sample(rows: &Range<Data>) -> Vec<Record> {
    let mut records = Vec::new();
    let mut is_after_blank = false;
    for row in rows.rows() {
        let cells: Vec<String> = row.iter().map(text).collect();
        if is_empty(&cells) {
            is_after_blank = true;
            continue;
        }
        records.push(Record { cells, start: 0, end: 0, is_after_blank });
        is_after_blank = false;
        if records.len() == SAMPLE {
            break;
        }
    }
    records
}

impl Sheet {
    fn read(self, input: &Input, format: String, context: &JobContext) -> Result<RawLog> {
        let dialect = &self.dialect;
        let plans = known::plans(&dialect.names);
        let table = Table::of(dialect.cut, dialect.skip, dialect.names.clone(), plans);
        let Extent { rows, totals, rest } = self.extent();
        let mut notes = dialect.notes.clone();
        if let Some(first) = dialect.preamble.first() {
            notes.push(format!(
                "{} rows before the table were left out (\"{first}\")",
                dialect.preamble.len()
            ));
        }
        if !self.others.is_empty() {
            let others = self.others.join("', '");
            notes.push(format!("sheet '{}' was read; the workbook also has '{others}'", self.name));
        }
        if !totals.is_empty() {
            notes.push(format!("{} rows of totals are no data and kept to check it", totals.len()));
        }
        if let Some(first) = rest {
            notes.push(format!("row {first} begins another table: left out from there on"));
        }
        let mut guesses = vec![Guess::default(); table.names.len()];
        self.each_row(&rows, context, |cells| {
            guesses.iter_mut().zip(cells).for_each(|(guess, cell)| guess.see(cell));
        })?;
        let readings = table.settle(input, &guesses, &mut notes);
        let columns = table.names.iter().zip(&readings);
        let mut builders: Vec<ColumnBuilder> =
            columns.map(|(name, (plan, _))| ColumnBuilder::new(name, *plan, rows.len())).collect();
        self.each_row(&rows, context, |cells| {
            builders.iter_mut().zip(cells).for_each(|(builder, cell)| builder.push(cell));
        })?;
        let frame = finish(&table.names, builders, &mut notes)?;
        let totals = totals.into_iter().map(|(row, cells)| table.total_row(row, cells));
        let layout = Layout {
            part: self.name.clone(),
            has_header: dialect.has_header,
            preamble: dialect.preamble.clone(),
            lines_before: dialect.lines_before,
            totals: totals.collect(),
            columns: readings.into_iter().map(|(_, reading)| reading).collect(),
            ..Layout::default()
        };
        Ok(RawLog { frame, format, bad: BadRows::default(), notes, hints: Vec::new(), layout })
    }

    /// Which rows of the sheet are rows of the table.
    fn extent(&self) -> Extent {
        let first_row = self.rows.start().map_or(0, |(row, _)| row as usize);
        let mut extent = Extent::default();
        let mut skip = self.dialect.skip;
        let mut is_after_blank = false;
        let values = &self.dialect.rules.values;
        for (place, row) in self.rows.rows().enumerate() {
            let cells: Vec<String> = row.iter().map(text).collect();
            if is_empty(&cells) {
                is_after_blank = true;
            } else if skip > 0 {
                skip -= 1;
            } else {
                let names = |column: &usize| cells.get(*column).is_some_and(|cell| totals::is_name(cell));
                if is_after_blank && !values.is_empty() && values.iter().all(names) {
                    extent.rest = Some(first_row + place + 1);
                    break;
                }
                extent.rows.push(place);
                is_after_blank = false;
            }
        }
        while let Some(last) = extent.rows.last().copied() {
            let cells: Vec<String> = self.cells(last).collect();
            if !totals::is_total_row(&cells) {
                break;
            }
            extent.totals.insert(0, ((first_row + last + 1) as u64, cells));
            extent.rows.pop();
        }
        extent
    }

    fn cells(&self, row: usize) -> impl Iterator<Item = String> {
        (0..self.rows.width()).map(move |column| self.rows.get((row, column)).map(text).unwrap_or_default())
    }

    fn each_row(&self, rows: &[usize], context: &JobContext, mut visit: impl FnMut(&[String])) -> Result<()> {
        for (done, row) in rows.iter().enumerate() {
            if done % BATCH == 0 {
                context.check()?;
                context.progress(done as u64, rows.len() as u64);
            }
            visit(&self.cells(*row).collect::<Vec<_>>());
        }
        Ok(())
    }
}

/// What the rows of a sheet are.
#[derive(Default)]
struct Extent {
    rows: Vec<usize>,
    /// Row number in the sheet, and cells.
    totals: Vec<(u64, Vec<String>)>,
    /// Where another table begins, as a row number in the sheet.
    rest: Option<usize>,
}

fn is_empty(cells: &[String]) -> bool {
    cells.iter().all(|cell| cell.trim().is_empty())
}

/// A cell as delimited text has it.
fn text(cell: &Data) -> String {
    match cell {
        Data::Empty => String::new(),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::Int(number) => number.to_string(),
        Data::Float(number) => number.to_string(),
        Data::Bool(flag) => flag.to_string(),
        Data::DateTime(time) => time_text(time),
        Data::Error(error) => error.to_string(),
    }
}

/// Days since 1900 as a date, a clock without a day as one, and a span of time as hours, minutes and seconds.
fn time_text(time: &ExcelDateTime) -> String {
    let days = time.as_f64();
    if time.is_duration() {
        let seconds = (days * 86_400.0).round() as i64;
        let sign = if seconds < 0 { "-" } else { "" };
        let seconds = seconds.abs();
        return format!("{sign}{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }
    let (year, month, day, hour, minute, second, millis) = time.to_ymd_hms_milli();
    let clock = format!("{hour:02}:{minute:02}:{second:02}");
    match (days < 1.0, millis) {
        (true, _) => clock,
        (false, 0) if clock == "00:00:00" => format!("{year:04}-{month:02}-{day:02}"),
        (false, 0) => format!("{year:04}-{month:02}-{day:02} {clock}"),
        (false, millis) => format!("{year:04}-{month:02}-{day:02} {clock}.{millis:03}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{cells, names, try_open};
    use super::*;
    use std::fmt::Write as _;
    use std::io::Write as _;

    /// A workbook of sheets with cells; `d` before a number makes it a date, `t` a span of time.
    fn workbook(sheets: &[(&str, &[&[&str]])]) -> Vec<u8> {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let mut add = |name: &str, text: &str| {
            archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            archive.write_all(text.as_bytes()).unwrap();
        };
        let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
        let relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
        let package = "http://schemas.openxmlformats.org/package/2006/relationships";
        let (mut list, mut targets) = (String::new(), String::new());
        for (number, (name, _)) in sheets.iter().enumerate() {
            let id = number + 1;
            let _ = write!(list, "<sheet name=\"{name}\" sheetId=\"{id}\" r:id=\"r{id}\"/>");
            let _ = write!(
                targets,
                "<Relationship Id=\"r{id}\" Type=\"{relations}/worksheet\" Target=\"worksheets/sheet{id}.xml\"/>"
            );
        }
        let office = format!("Type=\"{relations}/officeDocument\" Target=\"xl/workbook.xml\"");
        let root = format!("<Relationship Id=\"r0\" {office}/>");
        add("_rels/.rels", &format!("<Relationships xmlns=\"{package}\">{root}</Relationships>"));
        let spaces = format!("xmlns=\"{main}\" xmlns:r=\"{relations}\"");
        add("xl/workbook.xml", &format!("<workbook {spaces}><sheets>{list}</sheets></workbook>"));
        let styles = format!("<Relationship Id=\"s\" Type=\"{relations}/styles\" Target=\"styles.xml\"/>");
        let parts = format!("<Relationships xmlns=\"{package}\">{targets}{styles}</Relationships>");
        add("xl/_rels/workbook.xml.rels", &parts);
        let formats = "<xf numFmtId=\"0\"/><xf numFmtId=\"22\"/><xf numFmtId=\"46\"/>";
        let styles = format!("<styleSheet xmlns=\"{main}\"><cellXfs>{formats}</cellXfs></styleSheet>");
        add("xl/styles.xml", &styles);
        for (number, (_, rows)) in sheets.iter().enumerate() {
            let mut text = format!("<worksheet xmlns=\"{main}\"><sheetData>");
            for (row, cells) in rows.iter().enumerate() {
                let _ = write!(text, "<row r=\"{}\">", row + 1);
                for (column, cell) in cells.iter().enumerate().filter(|(_, cell)| !cell.is_empty()) {
                    let place = format!("{}{}", char::from(b'A' + column as u8), row + 1);
                    let (style, number) = match (cell.strip_prefix("d:"), cell.strip_prefix("t:")) {
                        (Some(days), _) => (1, days),
                        (_, Some(days)) => (2, days),
                        _ => (0, *cell),
                    };
                    let _ = match number.parse::<f64>() {
                        Ok(_) => write!(text, "<c r=\"{place}\" s=\"{style}\"><v>{number}</v></c>"),
                        Err(_) => write!(text, "<c r=\"{place}\" t=\"inlineStr\"><is><t>{cell}</t></is></c>"),
                    };
                }
                text.push_str("</row>");
            }
            text.push_str("</sheetData></worksheet>");
            add(&format!("xl/worksheets/sheet{}.xml", number + 1), &text);
        }
        archive.finish().unwrap().into_inner()
    }

    #[test]
    fn the_first_sheet_with_a_table() {
        let bytes = workbook(&[
            ("Cover", &[&["Report of July"]]),
            (
                "Data",
                &[
                    &["Report of July"],
                    &[],
                    &["Day", "Campaign", "Clicks", "Cost", "Length"],
                    // 8 July 2025 is day 45846 of Excel.
                    &["d:45846", "Brand, new", "12", "1.5", "t:0.5"],
                    &["d:45847.5", "Other", "7", "", "t:1.25"],
                    &["Total", "", "19", "1.5", ""],
                ],
            ),
        ]);
        let log = try_open(&bytes).unwrap();
        assert_eq!(names(&log), ["Day", "Campaign", "Clicks", "Cost", "Length"]);
        assert_eq!(cells(&log, "Day"), ["1751932800000", "1752062400000"]);
        assert_eq!(cells(&log, "Clicks"), ["12", "7"]);
        assert_eq!(cells(&log, "Cost"), ["1.5", "-"]);
        assert_eq!(cells(&log, "Length"), ["43200", "108000"]);
        let layout = &log.source.layout;
        assert_eq!((layout.part.as_str(), layout.totals.len()), ("Data", 1));
        assert_eq!((layout.totals[0].line, layout.totals[0].label.as_str()), (6, "Total"));
        assert_eq!(layout.preamble, ["Report of July"]);
        assert!(log.source.notes.iter().any(|note| note.contains("'Cover'")), "{:?}", log.source.notes);
        assert!(log.source.format.starts_with("xlsx, sheet 'Data'"), "{}", log.source.format);
    }

    #[test]
    fn workbooks_without_a_table_and_damaged_ones() {
        let failure = try_open(&workbook(&[("Cover", &[&["Report of July"]])])).unwrap_err();
        assert!(failure.why.contains("none of its 1 sheets"), "{failure}");
        let mut bytes = COMPOUND.to_vec();
        bytes.extend([0; 600]);
        let failure = try_open(&bytes).unwrap_err();
        assert!(failure.why.contains("damaged") && failure.hint.contains("CSV"), "{failure}");
    }
}

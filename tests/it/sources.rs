//! Logs that are more than one small file: folders of parts, side tables, samples, files that change or are broken.

use adloupe::base::{Failure, Result};
use adloupe::data::export::{ExportCells, ExportColumn, write_table};
use adloupe::data::importers::{self, ImportOptions, JoinSpec};
use adloupe::data::profile::profile;
use adloupe::data::{ColumnType, LogFrame, Role, cells};
use adloupe::jobs::JobContext;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn open_with(paths: &[PathBuf], options: &ImportOptions) -> (Result<LogFrame>, Vec<String>) {
    let warnings = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&warnings);
    let context = JobContext::watched(Arc::default(), move |text| heard.lock().unwrap().push(text));
    let log = importers::open_all(paths, options, &context);
    let warnings = warnings.lock().unwrap().clone();
    (log, warnings)
}

fn open(path: &Path) -> LogFrame {
    open_with(&[path.to_owned()], &ImportOptions::default()).0.unwrap()
}

fn failure(path: &Path, options: &ImportOptions) -> Failure {
    open_with(&[path.to_owned()], options).0.unwrap_err()
}

fn rows(from: usize, to: usize) -> String {
    (from..to).fold(String::new(), |mut text, row| {
        let _ = writeln!(text, "{row},{},{}", row % 7 + 100, u8::from(row % 4 == 0));
        text
    })
}

fn log(from: usize, to: usize) -> String {
    format!("user_id,item_id,click\n{}", rows(from, to))
}

#[test]
fn parts_of_many_formats_are_one_log() {
    let folder = folder(&[
        ("day=2026-03-01/part-0000.csv", &log(0, 40)),
        (
            "day=2026-03-02/part-0000.jsonl",
            "{\"user_id\":40,\"click\":1,\"item_id\":9.5}\n{\"user_id\":41,\"click\":0,\"item_id\":8}\n",
        ),
        ("_SUCCESS", ""),
    ]);
    let parquet = folder.path().join("day=2026-03-02/part-0001.parquet");
    let column = |name: &str, cells| ExportColumn { name: name.into(), cells };
    write_table(
        &parquet,
        vec![
            column("click", ExportCells::Integer(vec![0, 1])),
            column("user_id", ExportCells::Integer(vec![50, 5_000_000_000])),
            column("item_id", ExportCells::Integer(vec![1, 2])),
        ],
    )
    .unwrap();
    let gz = std::fs::File::create(folder.path().join("day=2026-03-02/part-0002.csv.gz")).unwrap();
    let mut gz = flate2::write::GzEncoder::new(gz, flate2::Compression::default());
    gz.write_all(log(60, 70).as_bytes()).unwrap();
    gz.finish().unwrap();

    let log = open(folder.path());
    assert_eq!(log.rows(), 40 + 2 + 2 + 10);
    let counted: Vec<u64> = log.source.parts.iter().map(|part| part.rows).collect();
    assert_eq!(counted, [40, 2, 2, 10]);
    assert_eq!(log.schema.column("item_id").unwrap().kind, ColumnType::Real, "9.5 widens all parts");
    assert_eq!(log.schema.column("day").unwrap().kind, ColumnType::Time, "days are read from the folders");
    let users = cells::numbers(&log, "user_id").unwrap();
    assert_eq!((users[0], users[43]), (0.0, 5e9));
    assert!(log.source.notes.iter().any(|note| note.contains("1 files")), "{:?}", log.source.notes);
    let described = profile(&log, &JobContext::detached()).unwrap();
    assert_eq!((described.rows, described.parts.len()), (54, 4));
}

#[test]
fn ids_that_are_text_in_one_part_keep_their_zeros_in_all() {
    let folder = folder(&[
        ("part-1.csv", "zip,click\n12345,0\n23456,1\n34567,0\n"),
        ("part-2.csv", "zip,click\n02139,0\nAB123,1\n"),
        ("part-3.csv", "zip,click\n00001,1\n"),
    ]);
    let log = open(folder.path());
    assert_eq!(log.schema.column("zip").unwrap().kind, ColumnType::Text);
    let zips = cells::coded(&log, "zip").unwrap().values;
    assert_eq!(zips, ["12345", "23456", "34567", "02139", "AB123", "00001"]);
}

#[test]
fn a_split_file_keeps_its_header_in_the_first_part() {
    let folder = folder(&[("xaa", &log(0, 50)), ("xab", &rows(50, 90))]);
    let log = open(folder.path());
    assert_eq!((log.rows(), log.schema.columns.len()), (90, 3));
}

#[test]
fn parts_that_do_not_fit_are_told_by_name() {
    let folder = folder(&[
        ("part-1.csv", &log(0, 50)),
        ("part-2.csv", "user_id,item_id,click,added\n1,2,0,x\n2,3,1,y\n"),
        ("items.csv", "item_id,title\n100,one\n101,two\n"),
        ("empty.csv", ""),
    ]);
    let (log, warnings) = open_with(&[folder.path().to_owned()], &ImportOptions::default());
    let log = log.unwrap();
    assert_eq!((log.rows(), log.schema.columns.len()), (52, 4));
    let problems: Vec<_> = log.source.parts.iter().filter(|part| part.problem.is_some()).collect();
    assert_eq!(problems.len(), 2);
    assert!(
        warnings.iter().any(|text| text.contains("items.csv") && text.contains("--join")),
        "{warnings:?}"
    );
    assert!(warnings.iter().any(|text| text.contains("empty.csv")), "{warnings:?}");
    assert!(log.source.notes.iter().any(|note| note.contains("'added' is missing in 1 of 2")));
}

#[test]
fn side_tables_are_joined_and_no_row_is_lost() {
    let folder = folder(&[
        ("日志 1/log.csv", &log(0, 70)),
        (
            "items.csv",
            "item_id,title,click\n100,red shoes,a\n101,blue shoes,b\n102,hat,c\n103,coat,d\n104,belt,e\n",
        ),
    ]);
    let options = ImportOptions {
        joins: vec![JoinSpec { file: folder.path().join("items.csv"), key: None }],
        roles: vec![("title".into(), Role::Text)],
        ..ImportOptions::default()
    };
    let (log, _) = open_with(&[folder.path().join("日志 1/log.csv")], &options);
    let log = log.unwrap();
    assert_eq!(log.rows(), 70);
    let join = &log.source.joins[0];
    assert_eq!((join.values_matched, join.values, join.rows_matched), (5, 7, 50));
    assert_eq!(join.columns, ["title", "click_items"]);
    let titles = cells::coded(&log, "title").unwrap();
    assert_eq!(titles.codes.iter().filter(|code| **code == cells::NO_CODE).count(), 20);
    let described = profile(&log, &JobContext::detached()).unwrap();
    assert!(described.notes.iter().any(|note| note.contains("71.43 % of 70 rows")), "{:?}", described.notes);
}

#[test]
fn what_does_not_fit_into_memory_is_an_honest_sample() {
    let rows = 60_000;
    let mut text = String::from("user_id,price,city,click\n");
    for row in 0..rows {
        let _ = writeln!(text, "{},{}.25,city {},{}", row * 31, row % 90, row % 40, u8::from(row % 10 == 3));
    }
    let folder = folder(&[("log.csv", &text)]);
    let path = folder.path().join("log.csv");
    let options = ImportOptions { memory_bytes: Some(600_000), ..ImportOptions::default() };
    let (log, warnings) = open_with(std::slice::from_ref(&path), &options);
    let log = log.unwrap();
    let sample = log.source.layout.sample.clone().unwrap();
    assert_eq!((sample.rows, sample.of), (log.rows() as u64, rows));
    assert!((3_000..40_000).contains(&log.rows()), "{}", log.rows());
    assert!(warnings.iter().any(|text| text.contains("of 60000 rows")), "{warnings:?}");
    let described = profile(&log, &JobContext::detached()).unwrap();
    let label = described.label.unwrap();
    assert_eq!((label.positives, label.impressions), (rows / 10, rows), "counted over all rows");
    assert!(described.notes.iter().any(|note| note.contains("a sample of")), "{:?}", described.notes);
    // The sample is uniform: its mean user lies within 5 standard errors of the log's.
    let users = cells::numbers(&log, "user_id").unwrap();
    let mean = users.iter().sum::<f64>() / users.len() as f64;
    let spread = 31.0 * rows as f64 / 12f64.sqrt() / (users.len() as f64).sqrt();
    assert!((mean - 31.0 * rows as f64 / 2.0).abs() < 5.0 * spread, "{mean}");
    let all = ImportOptions { all_rows: true, ..options };
    assert_eq!(open_with(&[path], &all).0.unwrap().rows() as u64, rows);
}

#[test]
fn a_parquet_file_larger_than_memory_is_a_sample_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.parquet");
    let ids = (0..300_000).map(|row| row * 7919 % 1_000_003).collect();
    let clicks = (0..300_000).map(|row| i64::from(row % 9 == 0)).collect();
    let column = |name: &str, cells| ExportColumn { name: name.into(), cells: ExportCells::Integer(cells) };
    write_table(&path, vec![column("user_id", ids), column("click", clicks)]).unwrap();
    let options = ImportOptions { memory_bytes: Some(1_000_000), ..ImportOptions::default() };
    let log = open_with(&[path], &options).0.unwrap();
    let sample = log.source.layout.sample.clone().unwrap();
    assert_eq!(sample.of, 300_000);
    assert!((20_000..120_000).contains(&sample.rows), "{sample}");
}

#[test]
fn broken_and_odd_parquet_files() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let column = |place: usize| ExportColumn {
        name: format!("f{place}"),
        cells: ExportCells::Integer(vec![place as i64, 2, 3]),
    };
    write_table(&at("wide.parquet"), (0..10_000).map(column).collect()).unwrap();
    assert_eq!(open(&at("wide.parquet")).schema.columns.len(), 10_000);
    let bytes = std::fs::read(at("wide.parquet")).unwrap();
    for (name, end) in [("cut.parquet", bytes.len() / 2), ("foot.parquet", bytes.len() - 6)] {
        std::fs::write(at(name), &bytes[..end]).unwrap();
        let failure = failure(&at(name), &ImportOptions::default());
        assert!(failure.place.contains(name) && failure.hint.contains("copy"), "{failure}");
    }
    let mut broken = bytes;
    let foot = broken.len() - 4000;
    broken[foot..foot + 200].fill(0xff);
    std::fs::write(at("noise.parquet"), broken).unwrap();
    let failure = failure(&at("noise.parquet"), &ImportOptions::default());
    assert!(failure.place.contains("noise"), "{failure}");
}

#[test]
fn lists_of_lists_are_read_or_left_out_with_a_note() {
    let lines = "{\"user\":1,\"seen\":[[1,2],[3]],\"click\":0}\n{\"user\":2,\"seen\":[],\"click\":1}\n";
    let folder = folder(&[("log.jsonl", &lines.repeat(20))]);
    let log = open(&folder.path().join("log.jsonl"));
    assert_eq!(log.rows(), 40);
    profile(&log, &JobContext::detached()).unwrap();
}

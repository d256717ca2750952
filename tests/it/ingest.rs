//! What happens to the logs that people really have? Every trap of the importers, on small made-up files.

use adloupe::base::{Failure, Result};
use adloupe::data::export::{ExportCells, ExportColumn, write_table};
use adloupe::data::importers::{self, IMPORTERS, ImportOptions};
use adloupe::data::profile::{IssueKind, Profile, profile};
use adloupe::data::{ColumnType, LogFrame, Role};
use adloupe::jobs::JobContext;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

struct File {
    _folder: TempDir,
    path: PathBuf,
}

fn file(name: &str, bytes: impl AsRef<[u8]>) -> File {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    File { _folder: folder, path }
}

fn open_path(path: &Path, roles: &[(&str, Role)]) -> Result<LogFrame> {
    let roles = roles.iter().map(|(column, role)| ((*column).to_owned(), *role)).collect();
    importers::open(path, &ImportOptions { roles, ..ImportOptions::default() }, &JobContext::detached())
}

fn open(bytes: impl AsRef<[u8]>) -> LogFrame {
    open_path(&file("log.csv", bytes).path, &[]).unwrap()
}

fn refused(name: &str, bytes: impl AsRef<[u8]>) -> Failure {
    open_path(&file(name, bytes).path, &[]).unwrap_err()
}

fn profiled(log: &LogFrame) -> Profile {
    profile(log, &JobContext::detached()).unwrap()
}

fn role(log: &LogFrame, column: &str) -> Role {
    log.schema.column(column).unwrap().role
}

fn kind(log: &LogFrame, column: &str) -> ColumnType {
    log.schema.column(column).unwrap().kind
}

fn has(profile: &Profile, kind: IssueKind) -> bool {
    profile.issues.iter().any(|issue| issue.kind == kind)
}

/// A plain log of `rows` rows with a few clicks.
fn plain_log(rows: usize) -> String {
    let mut text = String::from("time,user_id,ad_id,device,bid,click\n");
    for row in 0..rows {
        let device = ["ios", "android", "web"][row % 3];
        let _ = writeln!(
            text,
            "2026-03-{:02} {:02}:00:00,{},{},{device},{}.5,{}",
            row % 28 + 1,
            row % 24,
            row * 7 % 90 + 1000,
            row * 11 % 40 + 50,
            row % 9,
            i32::from(row % 5 == 0)
        );
    }
    text
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zip(files: &[(&str, &str)], method: zip::CompressionMethod) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    for (name, text) in files {
        archive.start_file(*name, options).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

// --- What cannot be read says so, with what, where, why and what to try. ---

#[test]
fn a_missing_file_and_a_folder() {
    let failure = open_path(Path::new("/no/such/log.csv"), &[]).unwrap_err();
    assert!(failure.place.contains("/no/such/log.csv") && failure.hint.contains("path"), "{failure}");
    let folder = tempfile::tempdir().unwrap();
    let failure = open_path(folder.path(), &[]).unwrap_err();
    assert!(failure.why.contains("folder"), "{failure}");
}

#[test]
fn empty_files_and_headers_without_rows() {
    assert!(refused("log.csv", "").why.contains("empty"));
    assert!(refused("log.csv", "\n \n").why.contains("nothing but spaces"));
    let failure = refused("log.csv", "user,ad,click\n");
    assert!(failure.why.contains("no rows"), "{failure}");
    assert!(refused("log.csv", gzip(b"")).why.contains("empty"));
}

#[test]
fn a_picture_by_another_name() {
    let failure = refused("clicks.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\0");
    assert!(failure.why.contains("PNG picture"), "{failure}");
    assert!(failure.place.contains("clicks.csv"), "{failure}");
    let failure = refused("clicks.csv", b"PK\x03\x04 xl/workbook.xml");
    assert!(failure.why.contains("cut off or damaged"), "{failure}");
    let failure = refused("clicks.csv", b"\x01\x00\x02\x00\x03\x00,\x00\n");
    assert!(failure.why.contains("binary") && failure.hint.contains("parquet"), "{failure}");
}

#[test]
fn a_cut_off_archive() {
    let whole = gzip(plain_log(60_000).as_bytes());
    for cut in [30, whole.len() / 2, whole.len() - 4] {
        let failure = refused("log.csv.gz", &whole[..cut]);
        assert!(failure.why.contains("cut off or damaged"), "{cut}: {failure}");
        assert!(failure.hint.contains("again"), "{failure}");
    }
}

#[test]
fn a_cut_off_parquet_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.parquet");
    let cells = ExportCells::Integer((0..1000).collect());
    write_table(&path, vec![ExportColumn { name: "click".into(), cells }]).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let failure = refused("log.parquet", &whole[..whole.len() / 2]);
    assert!(failure.place.contains("log.parquet") && !failure.why.is_empty(), "{failure}");
}

#[test]
fn json_without_objects() {
    let failure = refused("log.json", "[1, 2, 3]\n");
    assert!(failure.why.contains("no objects that could be rows"), "{failure}");
}

#[test]
fn bytes_of_no_encoding_name_the_remedy() {
    let mut bytes = Vec::new();
    for row in 0..50 {
        bytes.extend_from_slice(format!("{row},").as_bytes());
        bytes.extend_from_slice(b"\xff\xfe,0\n");
    }
    let failure = refused("log.csv", bytes);
    assert!(failure.why.contains("UTF-8") && failure.hint.contains("UTF-8"), "{failure}");
}

#[test]
fn a_cancel_is_noticed() {
    let file = file("log.csv", plain_log(100));
    let context = JobContext::detached();
    context.cancel_flag().store(true, std::sync::atomic::Ordering::Relaxed);
    let failure = importers::open(&file.path, &ImportOptions::default(), &context).unwrap_err();
    assert!(failure.is_cancelled());
}

// --- What can be read in part is read, and the rest is counted. ---

#[test]
fn rows_with_the_wrong_number_of_fields() {
    let mut text = plain_log(40);
    text.push_str("2026-03-01 00:00:00,7,8\n2026-03-01 00:00:00,7,8,ios,1,0,9,9\n");
    text.push_str("2026-03-01 00:00:00,7,8,ios,1,0\n");
    let log = open(text);
    assert_eq!(log.rows(), 41);
    assert_eq!(log.source.bad_rows, 2);
    assert_eq!(log.source.bad_samples[0].line, 42);
    assert!(log.source.bad_samples[0].why.contains("3 fields where the table has 6"));
    let profile = profiled(&log);
    assert_eq!(profile.bad_rows, 2);
    assert!(has(&profile, IssueKind::BadRows));
}

#[test]
fn a_row_that_is_not_utf_8() {
    let mut bytes = plain_log(30).into_bytes();
    bytes.extend_from_slice(b"2026-03-01 00:00:00,7,8,\xff\xfe,1,0\n");
    let log = open(bytes);
    assert_eq!((log.rows(), log.source.bad_rows), (30, 1));
    assert_eq!(log.source.bad_samples[0].line, 32);
}

#[test]
fn a_very_long_field() {
    let long = "x".repeat(10_000);
    let mut text = plain_log(20);
    let _ = writeln!(text, "2026-03-01 00:00:00,7,8,{long},1,0");
    let log = open(text);
    assert_eq!((log.rows(), log.source.bad_rows), (21, 0));
    assert_eq!(profiled(&log).columns[3].distinct, 4);
}

#[test]
fn one_row() {
    let log = open("user_id,ad_id,click\n7,8,1\n");
    assert_eq!(log.rows(), 1);
    let profile = profiled(&log);
    assert_eq!(profile.rows, 1);
    assert!(has(&profile, IssueKind::OneClass));
    let label = profile.label.unwrap();
    assert_eq!((label.positives, label.impressions, label.rate), (1, 1, 1.0));
    assert!(label.low < 0.3, "one row proves little: {label:?}");
}

// --- Labels. ---

#[test]
fn a_label_that_is_not_0_or_1() {
    let file = file("log.csv", "user_id,item_id,stars\n1,2,5\n1,3,3\n2,2,4\n");
    let failure = open_path(&file.path, &[("stars", Role::Label)]).unwrap_err();
    assert!(failure.why.contains("not 0/1") && failure.hint.contains("stars>=4"), "{failure}");
    let log = open_path(&file.path, &[("stars>=4", Role::Label)]).unwrap();
    let label = profiled(&log).label.unwrap();
    assert_eq!((label.column.as_str(), label.positives, label.impressions), ("stars>=4", 2, 3));
    assert_eq!(role(&log, "stars"), Role::Ignored);
}

#[test]
fn one_class_only_and_files_to_be_scored() {
    let mut text = String::from("user_id,device,click\n");
    for row in 0..100 {
        let _ = writeln!(text, "{},{},0", row % 17, ["ios", "web"][row % 2]);
    }
    let file = file("log.csv", text);
    // No click at all may be a file to be scored: no rate of 0 % is claimed, and the person can insist.
    let profile = profiled(&open_path(&file.path, &[]).unwrap());
    assert!(profile.label.is_none() && has(&profile, IssueKind::NoLabel));
    let insisted = profiled(&open_path(&file.path, &[("click", Role::Label)]).unwrap());
    assert!(has(&insisted, IssueKind::OneClass));
    assert_eq!(insisted.label.unwrap().positives, 0);
}

#[test]
fn no_label_and_an_unknown_column() {
    let file = file("log.csv", "user_id,item_id,rating\n1,2,5\n1,3,3\n2,2,4\n3,4,1\n");
    let log = open_path(&file.path, &[]).unwrap();
    let profile = profiled(&log);
    assert!(profile.label.is_none());
    let issue = profile.issues.iter().find(|issue| issue.kind == IssueKind::NoLabel).unwrap();
    assert!(issue.detail.contains("rating>="), "{}", issue.detail);
    let failure = open_path(&file.path, &[("clicks", Role::Label)]).unwrap_err();
    assert!(failure.hint.contains("user_id"), "{failure}");
}

#[test]
fn true_and_false_and_signed_labels() {
    let log = open("user,variant,retention_1,retention_7\n1,a,True,False\n2,b,False,True\n3,a,False,False\n");
    assert_eq!(role(&log, "retention_7"), Role::Label);
    assert_eq!(role(&log, "retention_1"), Role::Conversion);
    assert_eq!(profiled(&log).label.unwrap().positives, 1);
    let log = open("label,x\n-1,0.5\n1,0.25\n-1,0.75\n");
    assert_eq!(profiled(&log).label.unwrap().positives, 1);
    assert!(log.source.notes.iter().any(|note| note.contains("-1 and 1")));
}

#[test]
fn a_copy_of_the_label_is_no_feature() {
    let log = open("user,clk,nonclk,age\n1,0,1,30\n2,1,0,31\n3,0,1,32\n4,1,0,60\n");
    assert_eq!(role(&log, "clk"), Role::Label);
    assert_eq!(role(&log, "nonclk"), Role::Ignored);
    assert_eq!(role(&log, "age"), Role::Numeric);
}

#[test]
fn aggregated_rows_have_weights() {
    let log = open(
        "Date,ad_id,campaign_id,age,Impressions,Clicks,Spent,Total_Conversion\n\
         31-08-2023,1,9,30-34,1000,10,3.5,2\n\
         01-08-2023,2,9,35-39,3000,20,4.25,1\n\
         02-08-2023,3,9,30-34,500,0,0,0\n",
    );
    let expected = [
        ("Date", Role::Time),
        ("ad_id", Role::Ad),
        ("campaign_id", Role::Campaign),
        ("age", Role::Categorical),
        ("Impressions", Role::Weight),
        ("Clicks", Role::Clicks),
        ("Spent", Role::Price),
        ("Total_Conversion", Role::Conversion),
    ];
    for (column, wanted) in expected {
        assert_eq!(role(&log, column), wanted, "{column}");
    }
    let profile = profiled(&log);
    let label = profile.label.clone().unwrap();
    assert_eq!((label.positives, label.impressions), (30, 4500));
    assert!((label.rate - 30.0 / 4500.0).abs() < 1e-12);
    assert!(has(&profile, IssueKind::Aggregated));
    // 1 August to 31 August 2023: the day comes first.
    assert_eq!(profile.time_range, Some((1_690_848_000_000, 1_693_440_000_000)));
}

// --- Bytes. ---

#[test]
fn the_same_rows_in_every_container() {
    let text = plain_log(200);
    let utf16: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let marked = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    let bare_utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let half = text.len() / 2;
    let streams = [bzip2(&text.as_bytes()[..half]), bzip2(&text.as_bytes()[half..])].concat();
    let beside = [("__MACOSX/._log.csv", "x"), ("data/log.csv", text.as_str()), ("README.md", "# log")];
    let variants: [(&str, Vec<u8>); 11] = [
        ("plain", text.clone().into_bytes()),
        ("gzip without its ending", gzip(text.as_bytes())),
        ("zstd without its ending", zstd::encode_all(text.as_bytes(), 1).unwrap()),
        ("byte order mark, CRLF, no last line end", marked.trim_end().as_bytes().to_vec()),
        ("utf-16", utf16),
        ("utf-16 without a mark", bare_utf16),
        ("bzip2 in two streams", streams),
        ("zip with other files beside the log", zip(&beside, zip::CompressionMethod::Deflated)),
        ("zip that only stores", zip(&[("log", &text)], zip::CompressionMethod::Stored)),
        ("carriage returns alone", text.replace('\n', "\r").into_bytes()),
        ("tabs", text.replace(',', "\t").into_bytes()),
    ];
    let reference = profiled(&open(&text));
    assert_eq!(reference.rows, 200);
    for (name, bytes) in variants {
        let read = profiled(&open(bytes));
        assert_eq!(read.columns, reference.columns, "{name}");
        assert_eq!(read.label, reference.label, "{name}");
    }
}

#[test]
fn archives_that_are_refused() {
    let deflated = zip::CompressionMethod::Deflated;
    let failure = refused("log.zip", zip(&[("a.csv", "x,y\n1,2\n"), ("b.csv", "x,y\n1,2\n")], deflated));
    assert!(failure.why.contains("2 files: a.csv, b.csv"), "{failure}");
    let failure = refused("log.zip", zip(&[("README.md", "no log")], deflated));
    assert!(failure.why.contains("no file that may be a log"), "{failure}");
    let bomb = format!("{},0\n", "0".repeat(9998)).repeat(7000);
    let failure = refused("log.zip", zip(&[("log.csv", &bomb)], deflated));
    assert!(failure.why.contains("300 times its size"), "{failure}");
    let failure = refused("log.bz2", bzip2(bomb.as_bytes()));
    assert!(failure.why.contains("300 times its size"), "{failure}");
    let mut damaged = zip(&[("log.csv", &plain_log(2000))], deflated);
    damaged[2000] ^= 0x55;
    assert!(refused("log.zip", damaged).why.contains("cut off or damaged"));
    assert!(refused("log", gzip(&gzip(b"a,b\n1,2\n"))).why.contains("another compressed file"));
}

#[test]
fn older_encodings_far_into_the_file() {
    // The head is plain ASCII; 40,000 rows later a city is not.
    let mut text = String::from("city,views,click\n");
    for row in 0..40_000 {
        let _ = writeln!(text, "Rome,{},{}", row % 90, row % 2);
    }
    text.push_str("北京,7,1\n上海,8,0\n");
    let (bytes, ..) = encoding_rs::GB18030.encode(&text);
    let log = open(bytes);
    assert_eq!((log.rows(), log.source.bad_rows), (40_002, 0));
    assert_eq!(log.source.layout.encoding, "gb18030");
    assert!(log.source.format.contains("gb18030"), "{}", log.source.format);
    let column = &profiled(&log).columns[0];
    assert_eq!(column.distinct, 3);
    let (bytes, ..) = encoding_rs::WINDOWS_1252.encode("Stadt;Klicks\nZürich;7\nKöln;8\nGenève;9\n");
    let log = open(bytes);
    assert_eq!((log.rows(), log.source.layout.encoding.as_str()), (3, "windows-1252"));
}

#[test]
fn quoted_cells_with_line_breaks() {
    let log = open("id,text,click\n1,\"two\nlines, \"\"quoted\"\"\",0\n2,\"日本語 🎉\",1\n3,plain,0\n");
    assert_eq!((log.rows(), log.source.bad_rows), (3, 0));
}

#[test]
fn no_header_is_seen_by_content() {
    let log = open("1,2014-04-07T10:51:09.277Z,214536502,0\n1,2014-04-07T10:54:09.868Z,214536500,0\n");
    assert_eq!(log.rows(), 2);
    assert_eq!(kind(&log, "column_2"), ColumnType::Time);
}

#[test]
fn json_lines_with_nested_objects_late_columns_and_a_bad_line() {
    let log = open(
        "{\"user\":{\"id\":7,\"zip\":\"02139\"},\"seen\":[\"a\",\"b\"],\"click\":1}\n\
         not json\n\
         {\"user\":{\"id\":8,\"zip\":\"94043\"},\"seen\":[],\"click\":0,\"late\":2.5}\n",
    );
    assert_eq!((log.rows(), log.source.bad_rows), (2, 1));
    assert_eq!(log.source.bad_samples[0].line, 2);
    assert_eq!(kind(&log, "user.zip"), ColumnType::Text);
    assert_eq!(kind(&log, "seen"), ColumnType::List);
    let profile = profiled(&log);
    let late = profile.columns.iter().find(|column| column.name == "late").unwrap();
    assert_eq!((late.kind, late.missing), (ColumnType::Real, 1));
    assert_eq!(profile.label.unwrap().positives, 1);
}

#[test]
fn a_platform_export_with_preamble_and_totals() {
    let log = open(
        "Campaign report\n\"8 July 2026 - 9 July 2026\"\n\
         Day,Campaign,Currency code,Impr.,Clicks,CTR,Cost,Avg. session duration,Conv.\n\
         2026-07-08,Brand,EUR,\"25,881\",12,0.05%,\"€1,058.06\",0:02:35, --\n\
         2026-07-09,\"Other, new\",EUR,\"1,119\",8,0.71%,€12.00,0:00:12,3\n\
         Total: Campaigns,,,\"27,000\",20,0.07%,\"€1,070.06\",,3\n\
         Total: Account,,,\"27,000\",20,0.07%,\"€1,070.06\",,3\n",
    );
    assert_eq!((log.rows(), log.source.bad_rows), (2, 0));
    let layout = &log.source.layout;
    assert_eq!(layout.preamble, ["Campaign report", "\"8 July 2026 - 9 July 2026\""]);
    assert_eq!((layout.totals.len(), layout.totals[1].label.as_str()), (2, "Total: Account"));
    assert_eq!(layout.totals[0].line, 6);
    assert!(layout.totals[0].cells.contains(&("Impr.".to_owned(), "27,000".to_owned())));
    let reading = |name: &str| layout.columns.iter().find(|column| column.column == name).unwrap();
    assert_eq!((reading("Cost").plan.as_str(), reading("Cost").currency.as_str()), ("money point", "EUR"));
    assert_eq!(reading("CTR").words, "percent, stored as a fraction, decimal point");
    let profile = profiled(&log);
    let column = |name: &str| profile.columns.iter().find(|column| column.name == name).unwrap();
    let highest = |name: &str| column(name).quantiles.unwrap().max;
    assert_eq!((highest("Impr."), highest("Cost"), highest("CTR")), (25_881.0, 1058.06, 0.0071));
    assert_eq!(highest("Avg. session duration"), 155.0);
    assert_eq!((column("Conv.").missing, column("Conv.").kind), (1, ColumnType::Integer));
}

#[test]
fn a_french_export_in_its_own_marks() {
    let text = "Jour;Nom de la campagne;Impressions;CTR;Montant dépensé (EUR)\r\n\
                01.07.2026;Été;25 881;0,05%;1.058,06\r\n\
                14.07.2026;Noël;1.119;12,5%;12\r\n";
    let (bytes, ..) = encoding_rs::WINDOWS_1252.encode(text);
    let log = open(bytes);
    assert_eq!(log.source.layout.encoding, "windows-1252");
    let profile = profiled(&log);
    let highest = |column: usize| profile.columns[column].quantiles.unwrap().max;
    assert_eq!((highest(2), highest(3), highest(4)), (25_881.0, 0.125, 1058.06));
    assert_eq!(log.source.layout.columns[4].currency, "EUR");
    assert_eq!(profile.time_range, Some((1_782_864_000_000, 1_783_987_200_000)));
}

#[test]
fn a_second_table_and_a_footer_are_left_out_with_a_note() {
    let log = open(
        "# Report\n# 20260101-20260103\n\nCampaign,Users,Clicks\na,5,1\nb,6,2\n合计,11,3\n\n\
         Day Index,Users\n1/1/26,5\n1/2/26,6\n",
    );
    assert_eq!((log.rows(), log.source.bad_rows), (2, 0));
    let note = log.source.notes.iter().find(|note| note.contains("Day Index")).unwrap();
    assert!(note.starts_with("3 lines from line 9"), "{note}");
    assert_eq!(log.source.layout.totals[0].label, "合计");
    // A sum without a word for it.
    let log = open("Campaign,Users,Rate\na,5,0.5\nb,6,0.25\nc,7,0.5\n,18,0.42\n");
    assert_eq!((log.rows(), log.source.layout.totals.len()), (3, 1));
    assert_eq!(log.source.layout.totals[0].cells[0], ("Users".to_owned(), "18".to_owned()));
    // The same width, told by the names above other values.
    let log = open("ad,users\na,5\nb,6\n\nday,visits\n1/1/26,5\n");
    assert_eq!(log.rows(), 2);
    // A blank line among rows ends nothing.
    let log = open("ad,users\na,5\n\nb,6\nc\nd,7\n,\ne,8\n");
    assert_eq!((log.rows(), log.source.bad_rows), (4, 1));
    assert_eq!(log.source.bad_samples[0].line, 5);
    assert!(
        log.source.notes.iter().any(|note| note.contains("1 rows hold nothing")),
        "{:?}",
        log.source.notes
    );
}

#[test]
fn totals_wait_for_the_end_of_the_file() {
    let mut text = String::from("name,views,note\n");
    for row in 0..200_000 {
        let name = if row % 7 == 0 { "Total" } else { "ad" };
        let _ = writeln!(text, "{name},{},x", row % 10);
    }
    text.push_str("Total,900000,\n");
    let log = open(&text);
    assert_eq!(log.source.layout.totals.len(), 1);
    assert_eq!(log.rows(), 200_000);
}

#[test]
fn short_rows_repeated_headers_and_zero_bytes() {
    let mut text = String::from("ad,views,clicks,note\n");
    for row in 0..40 {
        text.push_str(if row % 3 == 0 { "a,5,1,new\n" } else { "b,6,0\n" });
    }
    text.push_str("ad,views,clicks,note\nc,7,1,old,,\n");
    let log = open(&text);
    assert_eq!((log.rows(), log.source.bad_rows), (41, 0));
    let notes = log.source.notes.join("\n");
    assert!(notes.contains("26 rows are short") && notes.contains("1 rows repeat the header"), "{notes}");
    assert!(notes.contains("1 rows have empty cells beyond"), "{notes}");
    assert_eq!(profiled(&log).columns[3].missing, 26);
    let mut bytes = plain_log(20_000).into_bytes();
    bytes.extend_from_slice(b"2026-03-01 00:00:00,7,8,i\0s,1,0\n");
    let log = open(bytes);
    assert_eq!((log.rows(), log.source.bad_rows), (20_000, 1));
    assert!(log.source.bad_samples[0].why.contains("zero byte"));
}

#[test]
fn clocks_with_zone_names_and_numbers_that_are_times() {
    let log = open(
        "when,stamp,ms,user_id\n7/8/2026 3:15:00 AM PDT,20260708101500000,1783505700000,20260708\n\
         7/18/2026 3:15:00 AM PDT,20260718101500000,1784369700000,20260709\n",
    );
    for column in ["when", "stamp"] {
        assert_eq!(kind(&log, column), ColumnType::Time, "{column}");
    }
    assert_eq!(kind(&log, "user_id"), ColumnType::Integer);
    assert_eq!(profiled(&log).time_range, Some((1_783_505_700_000, 1_784_369_700_000)));
    let notes = log.source.notes.join("\n");
    assert!(notes.contains("PDT") && notes.contains("month/day/year"), "{notes}");
}

#[test]
fn double_colons_and_bars() {
    let log = open("1::Alien: the film::7\n2::Solaris::8\n3::Stalker::9\n");
    assert_eq!((log.rows(), log.schema.columns.len()), (3, 3));
}

/// Random texts of the pieces that tables are made of, and random bytes: whatever they are, they are read or
/// refused, and never more.
#[test]
fn random_bytes_are_read_or_refused() {
    const PIECES: [&str; 40] = [
        ",",
        ";",
        "\t",
        "|",
        "\n",
        "\n",
        "\r\n",
        "\r",
        "\"",
        "\"\"",
        "::",
        " ",
        "a",
        "ad",
        "click",
        "Total",
        "0",
        "1",
        "1,5",
        "1.234",
        "-",
        "--",
        "$",
        "€",
        "%",
        "2026-07-08",
        "7/8/26",
        "12:30",
        "AM",
        "null",
        "#",
        "#REF!",
        "{",
        "}",
        "[",
        "]",
        "\u{feff}",
        "北京",
        "é",
        "\0",
    ];
    let mut rng = adloupe::base::rng::Rng::named(7, "random files");
    let mut read = 0;
    for round in 0..600 {
        let mut bytes = Vec::new();
        for _ in 0..rng.below(120) + 1 {
            let piece = PIECES[rng.below(PIECES.len())];
            match round % 3 {
                0 => bytes.push(rng.bits() as u8),
                1 => bytes.extend_from_slice(piece.as_bytes()),
                _ => bytes
                    .extend_from_slice(format!("{piece};{},{}\n", rng.below(9), rng.below(90)).as_bytes()),
            }
        }
        match round % 6 {
            3 => bytes = gzip(&bytes),
            4 => bytes.splice(..0, *b"PK\x03\x04").for_each(drop),
            5 => bytes.push(0xfe),
            _ => {}
        }
        let file = file("log", &bytes);
        match open_path(&file.path, &[]) {
            Ok(log) => {
                read += 1;
                profiled(&log);
            }
            Err(failure) => assert!(!failure.why.is_empty(), "{bytes:?}"),
        }
    }
    assert!(read > 60, "{read} of 600 were read");
}

// --- Layouts of the field. ---

fn criteo_line(row: usize, label: Option<usize>) -> String {
    let counts = (1..=13).map(|column| {
        if (row + column).is_multiple_of(5) { String::new() } else { (row * column % 300).to_string() }
    });
    // All digits, digits with an e, leading zeros, and usual hashes: all are names.
    let hashes = (1..=26).map(|column| match (row + column) % 6 {
        0 => String::new(),
        1 => format!("{:08}", row * 31 + column),
        2 => format!("{:06}e0", 241_546 + column),
        _ => format!("{:08x}", 0x68fd_1e64 + row * column % 7),
    });
    let label = label.map(|label| label.to_string());
    label.into_iter().chain(counts).chain(hashes).collect::<Vec<_>>().join("\t")
}

#[test]
fn criteo_with_and_without_a_label() {
    let lines = |label: bool| {
        let rows = (0..60).map(|row| criteo_line(row, label.then_some(usize::from(row % 4 == 0))));
        rows.collect::<Vec<_>>().join("\n")
    };
    let log = open(lines(true));
    assert!(log.source.format.starts_with("criteo"), "{}", log.source.format);
    assert_eq!((log.rows(), log.schema.columns.len()), (60, 40));
    assert_eq!(role(&log, "label"), Role::Label);
    for column in &log.schema.columns[14..] {
        assert_eq!((column.kind, column.role), (ColumnType::Text, Role::Categorical), "{}", column.name);
    }
    assert_eq!(role(&log, "I2"), Role::Numeric);
    assert_eq!(profiled(&log).label.unwrap().positives, 15);
    let test = open(lines(false));
    assert_eq!(test.schema.columns.len(), 39);
    assert!(has(&profiled(&test), IssueKind::NoLabel));
}

#[test]
fn criteo_names_keep_hashes_as_text() {
    let names = std::iter::once("label".to_owned())
        .chain((1..=13).map(|column| format!("I{column}")))
        .chain((1..=26).map(|column| format!("C{column}")));
    let mut text = names.collect::<Vec<_>>().join(",");
    for row in 0..8 {
        // One row kind only: column after column holds nothing but digits.
        let hashes = (1..=26).map(|column| format!("{}", 12_345_678 + row * column));
        let counts = (1..=13).map(|column| format!("{}.0", row * column));
        let cells: Vec<_> = std::iter::once((row % 2).to_string()).chain(counts).chain(hashes).collect();
        let _ = write!(text, "\n{}", cells.join(","));
    }
    let log = open(text);
    assert_eq!(kind(&log, "C1"), ColumnType::Text);
    assert_eq!(kind(&log, "I13"), ColumnType::Integer);
    assert_eq!(role(&log, "I13"), Role::Numeric);
}

#[test]
fn typed_headers_are_used_and_left_out() {
    let log = open(
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\tclass:token_seq\n\
         196\t242\t3\t881250949\tComedy Drama\n186\t302\t3\t891717742\tThriller\n22\t377\t1\t878887116\tWar\n",
    );
    assert_eq!(role(&log, "user_id"), Role::User);
    assert_eq!(role(&log, "item_id"), Role::Ad);
    assert_eq!(kind(&log, "timestamp"), ColumnType::Time);
    assert_eq!(kind(&log, "class"), ColumnType::List);
    let profile = profiled(&log);
    assert_eq!(profile.columns[4].distinct, 4);
    assert_eq!(profile.time_range.unwrap().0, 878_887_116_000);
}

#[test]
fn ids_are_categories_and_row_numbers_are_ignored() {
    let mut text = String::from(",ip,app,os,propensity_score,is_attributed\n");
    for row in 0..300 {
        let _ = writeln!(
            text,
            "{row},{},{},{},0.0{},{}",
            row * 971 % 20_011,
            row % 13,
            row % 3 + 100,
            row % 9 + 1,
            i32::from(row % 60 == 0)
        );
    }
    let log = open(text);
    assert_eq!(role(&log, "column_1"), Role::Ignored);
    assert_eq!(role(&log, "os"), Role::Categorical);
    assert_eq!(role(&log, "ip"), Role::User);
    assert_eq!(role(&log, "propensity_score"), Role::Ignored);
    let profile = profiled(&log);
    let issue = profile.issues.iter().find(|issue| issue.kind == IssueKind::FewPositives).unwrap();
    assert!(issue.detail.starts_with("5 positives: intervals are wide"), "{}", issue.detail);
}

#[test]
fn late_surprises_do_not_break_a_column() {
    let mut text = String::from("pages,visitor,spare,click\n");
    for row in 0..2000 {
        let pages = if row == 1990 { "125.09".to_owned() } else { (row % 30).to_string() };
        let visitor = if row == 1500 { "Other".to_owned() } else { (row % 2).to_string() };
        let _ = writeln!(text, "{pages},{visitor},,{}", i32::from(row % 6 == 0));
    }
    let log = open(text);
    assert_eq!(kind(&log, "pages"), ColumnType::Real);
    assert_eq!(kind(&log, "visitor"), ColumnType::Text);
    let profile = profiled(&log);
    assert!(has(&profile, IssueKind::MixedTypes));
    assert!(has(&profile, IssueKind::AllMissing));
    assert_eq!(profile.columns[2].missing, 2000);
    assert_eq!(role(&log, "spare"), Role::Ignored);
}

#[test]
fn unique_texts_are_no_categories() {
    let mut text = String::from("headline,city,clicked\n");
    for row in 0..120 {
        let _ = writeln!(text, "Offer number {row} of today,{},{}", ["Rome", "Oslo"][row % 2], row % 2);
    }
    let log = open(text);
    assert_eq!(role(&log, "headline"), Role::Text);
    assert_eq!(role(&log, "clicked"), Role::Label);
}

// --- What is written can be read. ---

#[test]
fn exports_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    for ending in ["parquet", "csv", "jsonl"] {
        let path = folder.path().join(format!("t.{ending}"));
        let columns = vec![
            ExportColumn {
                name: "city".into(),
                cells: ExportCells::Text(vec!["a, \"b\"".into(), "上海".into()]),
            },
            ExportColumn { name: "p_click".into(), cells: ExportCells::Real(vec![0.125, 1e-7]) },
            ExportColumn { name: "click".into(), cells: ExportCells::Integer(vec![0, 1]) },
        ];
        write_table(&path, columns).unwrap();
        let log = open_path(&path, &[]).unwrap();
        assert!(log.source.format.starts_with(ending), "{}", log.source.format);
        let profile = profiled(&log);
        let lowest = profile.columns[1].quantiles.unwrap().min;
        assert!((lowest - 1e-7).abs() < 1e-12, "{ending}: {lowest}");
        assert_eq!(profile.label.unwrap().positives, 1, "{ending}");
    }
}

#[test]
fn importers_have_distinct_ids_and_a_line_each() {
    let mut ids: Vec<_> = IMPORTERS.iter().map(|importer| importer.id()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), IMPORTERS.len());
    assert!(IMPORTERS.iter().all(|importer| !importer.summary().contains('\n')));
}

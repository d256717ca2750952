//! Do the layouts of the field reach their readers, and does damage to them stay a message? Small made-up files.

use adloupe::data::importers::{self, IMPORTERS, ImportOptions, Input};
use adloupe::jobs::JobContext;
use std::path::Path;

/// A file of every text layout: the reader that must take it, and its text.
fn samples() -> Vec<(&'static str, String)> {
    let rows = |line: fn(usize) -> String| (0..12).map(line).collect::<String>();
    let ipinyou = |row: usize| {
        format!(
            "b{row}\t201306110001034{row:02}\t1\tuser{row}\tMozilla (a, b)\t61.131.48.*\t124\t129\t2\tdom\turl\tnull\t433\t\
             468\t60\t1\t0\t5\tc{}\t300\t68\tkey\t1458\t13800,10006\n",
            row % 3
        )
    };
    let decision = |row: usize| {
        format!(
            "{{\"_label_cost\":-{}.0,\"_label_probability\":0.5,\"_label_Action\":1,\"_labelIndex\":0,\"EventId\":\
             \"e{row}\",\"a\":[1,2],\"c\":{{\"os\":\"ios\",\"_multi\":[{{\"_tag\":\"x\"}},{{\"_tag\":\"y\"}}]}}}}\n",
            row % 2
        )
    };
    let request = |row: usize| {
        format!(
            "{{\"id\":\"r{row}\",\"at\":2,\"imp\":[{{\"id\":\"1\",\"banner\":{{\"w\":300,\"h\":250}}}}],\
             \"site\":{{\"domain\":\"a.example\"}}}}\n"
        )
    };
    vec![
        ("libsvm", rows(|row| format!("{} {}:1 {}:1\n", row % 2, row % 4 + 1, row % 3 + 10))),
        ("libffm", rows(|row| format!("{} 0:{}:1 1:{}:1\n", row % 2, row % 4, row % 3 + 10))),
        ("slots", rows(|row| format!("click:{} dense:0.5 dense:1.5 1:{row} 2:7\n", row % 2))),
        ("vw", rows(|row| format!("{} 'r{row} |a x{row} y |b:2 p:0.5\n", row % 2))),
        ("din", rows(|row| format!("1 2 {row};4 5 6;{row};8;{}\n", row % 2))),
        (
            "kddcup2012",
            rows(|row| format!("{}\t3\t143403901574694041{row:02}\t1\t2\t2\t1\t7\t8\t9\t10\t11\n", row % 2)),
        ),
        (
            "mind-behaviors",
            rows(|row| format!("{row}\tU{row}\t11/15/2019 10:22:32 AM\tN1 N2\tN{row}-1 N3-0\n")),
        ),
        ("mind-news", rows(|row| format!("N{row}\ta\tb\tTitle {row}\tText\thttps://a.example\t[]\t[]\n"))),
        ("movielens-dat", rows(|row| format!("{row}::{}::4::9783007{row:02}\n", row + 7))),
        ("ipinyou", (0..12).map(ipinyou).collect()),
        ("dsjson", (0..12).map(decision).collect()),
        ("openrtb", (0..12).map(request).collect()),
        (
            "jsonl",
            rows(|row| format!("{{\"user\":{{\"id\":{row}}},\"seen\":[1,2],\"click\":{}}}\n", row % 2)),
        ),
        (
            "json",
            format!("[{}]", rows(|row| format!("{{\"a\":{row},\n\"b\":[1]}},\n")).trim_end_matches(",\n")),
        ),
        ("csv", format!("user_id,ad,click\n{}", rows(|row| format!("{row},\"a, {row}\",{}\n", row % 2)))),
        ("criteo", (0..12).map(criteo_line).collect()),
    ]
}

fn criteo_line(row: usize) -> String {
    let counts: String = (1..=13).map(|column| format!("\t{}", row * column)).collect();
    let hashes: String = (1..=26).map(|column| format!("\t{:08x}", 0x68fd_1e64 + row * column)).collect();
    format!("{}{counts}{hashes}\n", row % 2)
}

fn sniffed(path: &Path) -> Option<&'static str> {
    let input = Input::open(path).ok()?;
    importers::choose(&input).ok().map(|importer| importer.id())
}

#[test]
fn every_layout_reaches_its_reader() {
    let folder = tempfile::tempdir().unwrap();
    for (id, text) in samples() {
        let path = folder.path().join(id);
        std::fs::write(&path, &text).unwrap();
        assert_eq!(sniffed(&path), Some(id), "{text}");
        let log = importers::open(&path, &ImportOptions::default(), &JobContext::detached()).unwrap();
        assert!(log.source.format.starts_with(id), "{id}: {}", log.source.format);
        assert!(log.rows() >= 12 && log.source.bad_rows == 0, "{id}: {} rows", log.rows());
    }
}

/// Every reader that takes the bytes for its own must read them or say why not.
fn read_by_all(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
    let context = JobContext::detached();
    let Ok(input) = Input::open(path) else {
        return;
    };
    for importer in IMPORTERS {
        if importer.sniff(&input).is_some() {
            let _ = importer.read(&input, &context);
        }
    }
    let _ = importers::open(path, &ImportOptions::default(), &context);
}

#[test]
fn cut_off_and_damaged_files_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    // A fixed sequence of bytes that looks like chance (the generator of Numerical Recipes).
    let mut state = 7_u32;
    let mut chance = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as usize
    };
    for (_, text) in samples() {
        let bytes = text.as_bytes();
        for _ in 0..6 {
            read_by_all(&path, &bytes[..chance() % bytes.len()]);
            let mut damaged = bytes.to_vec();
            for _ in 0..8 {
                let place = chance() % damaged.len();
                damaged[place] = b"\n\t :|,;\"{}[]-1\xff\0"[chance() % 16];
            }
            read_by_all(&path, &damaged);
        }
    }
}

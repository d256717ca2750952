//! What must hold of every file and every text? The checks that the fuzz targets and the ordinary tests share.

use adloupe::data::importers::{IMPORTERS, ImportOptions, Input, JoinSpec, Plan, open};
use adloupe::data::profile::profile;
use adloupe::data::recipe::Recipe;
use adloupe::domain::Segment;
use adloupe::jobs::JobContext;
use std::path::PathBuf;

/// Opens and describes a file: container, encoding, dialect, types, roles and profile in one go.
pub fn opens(bytes: &[u8]) {
    let context = JobContext::detached();
    if let Ok(log) = open(&file_with(bytes), &ImportOptions::default(), &context) {
        profile(&log, &context).expect("what could be opened can be described");
    }
}

/// Reads a file with the importer that the first byte chooses, whether it would take the file or not.
pub fn reads(bytes: &[u8]) {
    let Some((chosen, bytes)) = bytes.split_first() else { return };
    let Ok(input) = Input::open(&file_with(bytes)) else { return };
    let importer = IMPORTERS[*chosen as usize % IMPORTERS.len()];
    let _ = importer.sniff(&input);
    // A refusal is an answer; only a panic is none.
    let _ = importer.read(&input, &JobContext::detached());
}

/// Parses what a person or a recipe may write: segments, readings of columns, joins, recipes.
pub fn parses(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(segment) = Segment::parse(text) {
        let written = segment.to_string();
        let again = Segment::parse(&written).expect("a segment reads what it writes");
        assert_eq!(again.to_string(), written);
    }
    if let Ok(plan) = text.parse::<Plan>() {
        assert_eq!(plan.to_string().parse::<Plan>().ok(), Some(plan));
    }
    let _ = JoinSpec::parse(text);
    let _ = Recipe::load(&file_with(bytes));
}

/// Writes the bytes into the file of this thread, in memory where the system has such files.
fn file_with(bytes: &[u8]) -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    let base = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let name = format!("adloupe-fuzz-{}-{:?}", std::process::id(), std::thread::current().id());
    let path = base.join(name.replace(['(', ')'], ""));
    std::fs::write(&path, bytes).expect("the file can be written");
    path
}

//! Does the house keep its own rules? Layers, homes of foreign crates, file shapes.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules by layer, lowest first. A module may use lower layers and itself, never a sibling or a higher one.
const LAYERS: [&[&str]; 12] = [
    &["base"],
    &["domain", "metrics", "jobs", "gpu"],
    &["language", "maps"],
    &["data", "auctions"],
    &["nn"],
    &["models"],
    &["train"],
    &["insight", "market", "adcopy"],
    &["tasks"],
    &["session"],
    &["ui"],
    &["headless"],
];

/// Where a foreign crate may be named: folders or files under src/.
const HOMES: &[(&str, &[&str])] = &[
    ("polars", &["data"]),
    ("candle_core", &["nn", "models", "train", "insight", "language"]),
    ("candle_nn", &["nn", "models", "train", "insight"]),
    ("safetensors", &["nn", "train", "language"]),
    ("jieba_rs", &["language"]),
    ("tokenizers", &["language"]),
    ("egui", &["ui"]),
    ("eframe", &["ui"]),
    ("egui_plot", &["ui"]),
    ("egui_extras", &["ui"]),
    ("egui_kittest", &["ui"]),
    ("rfd", &["ui"]),
    ("wgpu", &["gpu", "ui/gpu_view"]),
    ("crossbeam", &["jobs"]),
    ("thread_priority", &["jobs"]),
    ("clap", &["headless"]),
    ("ctrlc", &["headless"]),
    ("blake3", &["data", "adcopy", "language"]),
    ("memmap2", &["nn/numbers", "nn/stored", "data"]),
    ("regex", &["adcopy"]),
    ("unicode_segmentation", &["adcopy", "language"]),
    ("unicode_width", &["adcopy"]),
    ("pdf_writer", &["insight/report/pdf"]),
    ("subsetter", &["insight/report/pdf"]),
    ("fontique", &["insight/report/pdf"]),
    ("skrifa", &["insight/report/pdf"]),
    ("epaint_default_fonts", &["insight/report/pdf"]),
    ("rand", &["base"]),
    ("rand_xoshiro", &["base"]),
];

/// Longest file without its tests, in lines.
const FILE_LINES: usize = 600;

struct SourceFile {
    /// Path under src/ without the extension: `data/encode`.
    name: String,
    /// Text without the trailing test module.
    code: String,
}

fn sources() -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(read(&root, &path));
            }
        }
    }
    assert!(files.len() > 20, "src/ was not found");
    files
}

fn read(root: &Path, path: &PathBuf) -> SourceFile {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
    let name = path.strip_prefix(root).unwrap().with_extension("");
    SourceFile { name: name.to_string_lossy().replace('\\', "/"), code }
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Every `crate::module` in a text, comments aside.
fn crate_paths(code: &str) -> impl Iterator<Item = &str> {
    code.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(|line| {
        line.match_indices("crate::").map(|(at, found)| {
            let rest = &line[at + found.len()..];
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            &rest[..end]
        })
    })
}

/// True when the text names the crate as a path root: `egui::` not preceded by a letter, `_` or `:`.
fn names_crate(code: &str, name: &str) -> bool {
    let path = format!("{name}::");
    code.lines().filter(|line| !line.trim_start().starts_with("//")).any(|line| {
        line.match_indices(&path).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
        })
    })
}

#[test]
fn imports_go_down_only() {
    let mut wrong = Vec::new();
    for file in sources() {
        let module = file.name.split('/').next().unwrap_or_default();
        let Some(own) = layer_of(module) else {
            assert!(matches!(module, "lib" | "main"), "src/{} stands in no layer", file.name);
            continue;
        };
        for used in crate_paths(&file.code) {
            match layer_of(used) {
                Some(layer) if used == module || layer < own => {}
                Some(_) => wrong.push(format!("{} uses crate::{used}", file.name)),
                None => wrong.push(format!("{} uses crate::{used}, which is no layer", file.name)),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn foreign_crates_stay_at_home() {
    let mut wrong = Vec::new();
    for file in sources().iter().filter(|file| file.name != "main") {
        for (foreign, homes) in HOMES {
            let at_home =
                homes.iter().any(|home| file.name == *home || file.name.starts_with(&format!("{home}/")));
            if !at_home && names_crate(&file.code, foreign) {
                wrong.push(format!("{} names {foreign}; its home is {homes:?}", file.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_open_with_their_question_and_stay_readable() {
    let mut wrong = Vec::new();
    for file in sources() {
        if file.name.ends_with("/mod") {
            wrong.push(format!("{}: use name.rs beside name/", file.name));
        }
        if !file.code.starts_with("//! ") {
            wrong.push(format!("{} does not open with //!", file.name));
        }
        let lines = file.code.lines().count();
        if lines > FILE_LINES {
            wrong.push(format!("{} has {lines} lines, more than {FILE_LINES}", file.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

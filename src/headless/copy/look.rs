//! `adloupe copy look | picture`: what the pictures of ads look like in numbers, as a table for any ranker or in a library.

use super::{Answer, Terminal};
use crate::adcopy::Library;
use crate::adcopy::library::Picture;
use crate::adcopy::picture::{Look, open};
use crate::adcopy::review::Action;
use crate::base::files::{disk_failure, write_atomically};
use crate::base::{Failure, Result, failure::Explain};
use serde_json::json;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Which pictures.
#[derive(Debug, clap::Args)]
#[command(
    about = "Measures pictures of ads (PNG, JPEG): colours, light, contrast, layout, lettering; --out writes a table that --join \
             puts beside a log"
)]
pub struct LookArgs {
    /// Pictures, or folders with pictures.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Writes a table (CSV) with a row a picture: ad_id is the file's name without its ending.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Which creative, and which picture.
#[derive(Debug, clap::Args)]
#[command(about = "Gives a creative of a library its picture (PNG or JPEG); it is reviewed again")]
pub struct PictureArgs {
    /// Folder of the library.
    #[arg(value_name = "DIR")]
    library: PathBuf,
    /// The creative.
    #[arg(value_name = "ID")]
    id: String,
    /// The picture; left out: it has none any more.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Who does it.
    #[arg(long, value_name = "NAME")]
    who: String,
}

/// Measures.
///
/// # Errors
/// A file that is no PNG or JPEG or cannot be read, or what the disk answers.
pub fn look(args: &LookArgs, terminal: &Terminal) -> Result<Answer> {
    let context = terminal.context();
    let files = pictures(&args.files)?;
    let mut seen = Vec::new();
    for (place, file) in files.iter().enumerate() {
        context.check()?;
        context.progress(place as u64, files.len() as u64);
        seen.push((file, open(file)?.0));
    }
    if let Some(out) = &args.out {
        write_atomically(out, |out| {
            writeln!(out, "ad_id,{},image_colour", Look::NUMBERS.join(","))
                .explain("cannot write the table")?;
            for (file, picture) in &seen {
                let numbers: Vec<String> =
                    picture.look.numbers().iter().map(|number| format!("{number:.6}")).collect();
                let (name, colour) = (quoted(&stem(file)), picture.look.main_colour());
                writeln!(out, "{name},{},{colour}", numbers.join(",")).explain("cannot write the table")?;
            }
            Ok(())
        })?;
    }
    let mut text = String::new();
    for (file, picture) in &seen {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{}\n  {}\n{}", file.display(), picture.look.words(), layout(picture));
    }
    let json: Vec<serde_json::Value> = seen
        .iter()
        .map(|(file, picture)| Ok(json!({ "file": file, "look": serde_json::to_value(&picture.look)? })))
        .collect::<std::result::Result<_, serde_json::Error>>()
        .explain("cannot write the answer")?;
    Ok(Answer { text, json: json!({ "pictures": json }) })
}

/// Gives a creative its picture.
///
/// # Errors
/// What the state or the person does not allow, a picture that cannot be read, or what the disk answers.
pub fn picture(args: &PictureArgs, terminal: &Terminal) -> Result<Answer> {
    let mut library = super::library::opened(&args.library, terminal)?;
    let picture = args.file.as_deref().map(open).transpose()?.map(|(picture, _)| Box::new(picture));
    let told = picture.as_ref().map_or("no picture".to_owned(), |picture| picture.look.words());
    let status = library.act(&args.id, &Action::Illustrate(picture), &args.who, None)?;
    let json = json!({ "creative": args.id, "status": status.name() });
    Ok(Answer { text: format!("{told}\n{} is {}", args.id, status.name()), json })
}

/// Where the detail of a picture stands, in three lines.
pub(super) fn layout(picture: &Picture) -> String {
    let row = |row: &[f64]| {
        let parts: Vec<String> = row.iter().map(|share| format!("{:>3.0} %", 100.0 * share)).collect();
        format!("    {}", parts.join(" "))
    };
    picture.look.layout.chunks(3).map(row).collect::<Vec<_>>().join("\n")
}

/// Files as they are, and the PNG and JPEG files of folders by name.
fn pictures(files: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let what = "cannot read the pictures";
    let mut all = Vec::new();
    for file in files {
        if !file.is_dir() {
            all.push(file.clone());
            continue;
        }
        let mut found: Vec<PathBuf> = std::fs::read_dir(file)
            .map_err(|error| disk_failure(what, file, &error))?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.extension().is_some_and(is_picture))
            .collect();
        if found.is_empty() {
            return Err(Failure::new(what, "the folder holds no PNG or JPEG").at(file.display()));
        }
        found.sort();
        all.append(&mut found);
    }
    Ok(all)
}

fn is_picture(ending: &OsStr) -> bool {
    ["png", "jpg", "jpeg"].iter().any(|known| ending.eq_ignore_ascii_case(known))
}

fn stem(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// A cell of CSV.
fn quoted(cell: &str) -> String {
    match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    }
}

/// One creative with all that is known of it.
#[derive(Debug, clap::Args)]
#[command(about = "Tells all of one creative: words, versions, how it did before whom, picture, review")]
pub struct ShowArgs {
    /// Folder of the library.
    #[arg(value_name = "DIR")]
    library: PathBuf,
    /// The creative.
    #[arg(value_name = "ID")]
    id: String,
}

/// Tells of one.
///
/// # Errors
/// An unknown creative, or as [`Library::open`].
pub fn show(args: &ShowArgs, terminal: &Terminal) -> Result<Answer> {
    let library: Library = super::library::opened(&args.library, terminal)?;
    let item = library.get(&args.id)?;
    let mut text = format!("{}  {}  {}\n", item.id, item.status.name(), item.text);
    // Writing into a String cannot fail.
    let _ = writeln!(
        text,
        "  {}, for {}; by {} ({}); tags: {}; facts: {}",
        item.product,
        if item.audience.is_empty() { "everybody" } else { &item.audience },
        item.authors.join(", "),
        item.origin,
        item.tags.join(", "),
        item.facts.join(", ")
    );
    for did in &item.performance {
        let _ = writeln!(text, "  {}", super::library::told_of(did));
    }
    if let Some(picture) = &item.picture {
        let _ = writeln!(text, "  {}: {}\n{}", picture.file, picture.look.words(), layout(picture));
    }
    for version in &item.versions {
        let picture =
            if version.picture.is_empty() { String::new() } else { format!(" ({})", version.picture) };
        let _ = writeln!(text, "  before {} changed it: {}{picture}", version.by, version.text);
    }
    let json = serde_json::to_value(&**item).explain("cannot write the answer")?;
    Ok(Answer { text, json: json!({ "creative": json }) })
}

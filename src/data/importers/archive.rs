//! Which file of a zip archive is the log? The only one that can be, whatever a packer has put beside it.

use super::unpack::{Bomb, Checked, is_bomb};
use crate::base::{Failure, Result};
use flate2::CrcReader;
use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;
use zip::{CompressionMethod, ZipArchive};

/// Endings of files beside a log that are none.
const BESIDE: [&str; 12] =
    ["md", "pdf", "html", "htm", "png", "jpg", "jpeg", "gif", "doc", "docx", "yaml", "yml"];

/// Where a packed file lies in its archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its name in the archive.
    pub name: String,
    /// Its first packed byte.
    pub start: u64,
    /// Packed bytes.
    pub bytes: u64,
    /// Checksum of the unpacked bytes (CRC-32).
    pub checksum: u32,
    /// True when it is stored as it is.
    pub is_stored: bool,
}

impl Entry {
    /// Its bytes, unpacked and checked; `packed` stands at its first byte.
    pub fn unpacked(&self, packed: impl Read + Send + 'static) -> Box<dyn Read + Send> {
        let packed = packed.take(self.bytes);
        let expected = self.checksum;
        if self.is_stored {
            return Box::new(Checked { inner: CrcReader::new(packed), expected });
        }
        let inner = CrcReader::new(flate2::read::DeflateDecoder::new(packed));
        Box::new(Checked { inner, expected })
    }
}

/// The log in a zip archive; `None` when the archive is an office workbook.
///
/// # Errors
/// A damaged archive; none or several files that may be the log; a password, a zip bomb, or a method of packing
/// that is not read.
pub(super) fn find_log(path: &Path) -> Result<Option<Entry>> {
    let broken = |error: &dyn std::fmt::Display| {
        let why = format!("the compressed file is cut off or damaged ({error})");
        Failure::new(WHAT, why).at(path.display()).hint("copy or download it again")
    };
    let file = File::open(path).map_err(|error| crate::base::files::disk_failure(WHAT, path, &error))?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| broken(&error))?;
    let mut names: Vec<(usize, String)> = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|error| broken(&error))?;
        let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
        if is_workbook_part(&name) {
            return Ok(None);
        }
        if !entry.is_dir() && may_be_log(&name) {
            names.push((index, name));
        }
    }
    let [(index, _)] = names.as_slice() else {
        return Err(not_one(&names).at(path.display()));
    };
    let entry = archive.by_index_raw(*index).map_err(|error| broken(&error))?;
    let method = entry.compression();
    let refused = if entry.encrypted() {
        Some(("it is protected by a password".to_owned(), "unpack it with the password"))
    } else if is_bomb(entry.compressed_size(), entry.size()) {
        Some((Bomb.to_string(), "unpack it by hand if you trust it"))
    } else if !matches!(method, CompressionMethod::Stored | CompressionMethod::Deflated) {
        Some((
            format!("it is packed in a way that is not read ({method:?})"),
            "unpack it, or pack it with gzip",
        ))
    } else {
        None
    };
    if let Some((why, hint)) = refused {
        return Err(Failure::new(WHAT, why).at(path.display()).hint(hint));
    }
    let start = entry.data_start().ok_or_else(|| broken(&"no data"))?;
    Ok(Some(Entry {
        name: String::from_utf8_lossy(entry.name_raw()).into_owned(),
        start,
        bytes: entry.compressed_size(),
        checksum: entry.crc32(),
        is_stored: method == CompressionMethod::Stored,
    }))
}

/// Refuses a workbook that unpacks to far more than workbooks do.
///
/// # Errors
/// A zip bomb. A damaged archive is left to the reader of workbooks.
pub(super) fn refuse_bomb(workbook: &[u8]) -> Result<()> {
    let Ok(mut archive) = ZipArchive::new(Cursor::new(workbook)) else {
        return Ok(());
    };
    let sizes =
        (0..archive.len()).filter_map(|index| archive.by_index_raw(index).ok().map(|part| part.size()));
    if is_bomb(workbook.len() as u64, sizes.sum()) {
        return Err(Failure::new(WHAT, Bomb).hint("unpack it by hand if you trust it"));
    }
    Ok(())
}

const WHAT: &str = "cannot read the log";

fn is_workbook_part(name: &str) -> bool {
    // OpenDocument and Office Open XML.
    matches!(name, "xl/workbook.xml" | "xl/workbook.bin" | "content.xml")
}

fn may_be_log(name: &str) -> bool {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let ending = file.rsplit_once('.').map_or("", |(_, ending)| ending).to_lowercase();
    let is_hidden = file.starts_with('.') || name.starts_with("__MACOSX");
    let is_beside = BESIDE.contains(&ending.as_str())
        || ["thumbs.db", "desktop.ini", "readme.txt", "license.txt", "readme", "license"]
            .contains(&file.to_lowercase().as_str());
    !file.is_empty() && !is_hidden && !is_beside
}

fn not_one(names: &[(usize, String)]) -> Failure {
    if names.is_empty() {
        return Failure::new(WHAT, "the archive holds no file that may be a log").hint("pack the log itself");
    }
    let shown: Vec<_> = names.iter().take(8).map(|(_, name)| name.as_str()).collect();
    let more = if names.len() > shown.len() { " ..." } else { "" };
    Failure::new(WHAT, format!("the archive holds {} files: {}{more}", names.len(), shown.join(", ")))
        .hint("unpack it and choose one file, or the folder")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_packers_add_is_no_log() {
        for name in ["__MACOSX/._log.csv", ".DS_Store", "data/", "README.md", "a/Thumbs.db"] {
            assert!(!may_be_log(name), "{name}");
        }
        assert!(may_be_log("data/log.csv") && may_be_log("日志.txt"));
    }
}

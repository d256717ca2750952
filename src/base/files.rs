//! How is a file written so that nothing that existed is ever lost?

use super::{Failure, Result};
use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Writes a file through a temporary neighbour and renames it, so a reader sees the old file or the whole new
/// one. On any failure the old file stays and the temporary one is removed.
///
/// # Errors
/// What the disk answers (full, read-only, no such folder), or what `write` answers.
pub fn write_atomically(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<()> {
    let what = format!("cannot write {}", path.file_name().unwrap_or_default().to_string_lossy());
    let temporary = temporary_name(path);
    let explain = |error: std::io::Error| disk_failure(&what, path, &error);
    let written = (|| {
        let mut out = BufWriter::new(File::create(&temporary).map_err(explain)?);
        write(&mut out)?;
        out.flush().map_err(explain)?;
        out.get_ref().sync_all().map_err(explain)?;
        fs::rename(&temporary, path).map_err(explain)
    })();
    if written.is_err() {
        // Best effort: the failure that is reported is the one that matters.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// The folder in which the system keeps what a program must remember; `None` where it names none.
pub fn state_folder() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|set| !set.is_empty()).map(PathBuf::from);
    let home = |below: &str| named("HOME").map(|home| home.join(below));
    let base = if cfg!(target_os = "windows") {
        named("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        home("Library/Application Support")
    } else {
        named("XDG_STATE_HOME").or_else(|| home(".local/state"))
    };
    base.map(|base| base.join("adloupe"))
}

/// Finds out before long work whether files can be made in `folder` or, where it does not exist yet, in the
/// nearest folder above it. Leaves nothing behind.
///
/// # Errors
/// A file stands in the way, or what the disk answers.
pub fn check_writable(what: &str, folder: &Path) -> Result<()> {
    let above = folder.ancestors().find(|place| place.exists());
    let nearest = above.filter(|place| !place.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !nearest.is_dir() {
        return Err(Failure::new(what, "it is a file and no folder")
            .at(nearest.display())
            .hint("choose another folder"));
    }
    let probe = temporary_name(&nearest.join("adloupe"));
    File::create(&probe)
        .and_then(|_file| fs::remove_file(&probe))
        .map_err(|error| disk_failure(what, folder, &error))
}

/// A [`Failure`] for an error of the file system, with the advice that fits it.
pub fn disk_failure(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    let hint = match error.kind() {
        ErrorKind::NotFound => "check the path",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "choose a folder that you may write to"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            "free some space or choose another disk"
        }
        _ => "choose another place",
    };
    Failure::new(what, error).at(path.display()).hint(hint)
}

fn temporary_name(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.part", std::process::id()));
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_keeps_the_old_file_and_leaves_no_rubbish() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("card.json");
        fs::write(&path, "old").unwrap();
        let failure = write_atomically(&path, |out| {
            out.write_all(b"half").unwrap();
            Err(Failure::new("cannot write", "broke off"))
        });
        assert!(failure.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_folder_is_told_with_its_path() {
        let failure = write_atomically(Path::new("/no/such/folder/x"), |_| Ok(())).unwrap_err();
        assert!(failure.place.contains("/no/such/folder"), "{failure}");
    }

    #[test]
    fn a_folder_is_checked_without_being_made() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = folder.path().join("models/new");
        check_writable("cannot save", &wanted).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        fs::write(folder.path().join("models"), "a file").unwrap();
        let failure = check_writable("cannot save", &wanted).unwrap_err();
        assert!(failure.place.ends_with("models") && failure.why.contains("no folder"), "{failure}");
    }
}

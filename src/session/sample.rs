//! Where is the sample data that ships with the program?

use crate::base::{Failure, Result};
use std::path::{Path, PathBuf};

/// The sample log: beside the working folder, beside the executable (or above it), or in the source tree.
///
/// # Errors
/// It is in none of these places; the hint names the command that makes it.
pub fn sample_log_path() -> Result<PathBuf> {
    let relative = Path::new("sample_data").join("log.parquet");
    let executable = std::env::current_exe().ok();
    let above = executable.iter().flat_map(|path| path.ancestors().skip(1).map(Path::to_path_buf));
    let places = std::iter::once(PathBuf::new())
        .chain(above)
        .chain(std::iter::once(PathBuf::from(env!("CARGO_MANIFEST_DIR"))));
    places.map(|place| place.join(&relative)).find(|path| path.is_file()).ok_or_else(|| {
        Failure::new("cannot open the sample", "sample_data/log.parquet is not beside the program")
            .hint("adloupe generate --rows 100000 --seed 28 --out sample_data/log.parquet")
    })
}

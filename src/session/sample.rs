//! Where is the sample data that ships with the program?

use crate::base::{Failure, Result};
use std::path::{Path, PathBuf};

/// The sample log: beside the working folder, beside the executable (or above it), or in the source tree.
///
/// # Errors
/// It is in none of these places; the hint names the command that makes it.
pub fn sample_log_path() -> Result<PathBuf> {
    beside_the_program(&Path::new("sample_data").join("log.parquet")).ok_or_else(|| {
        Failure::new("cannot open the sample", "sample_data/log.parquet is not beside the program")
            .hint("adloupe generate --rows 100000 --seed 28 --out sample_data/log.parquet")
    })
}

/// The language model that `assets/fetch-models.sh` gets, where it was got.
pub fn fetched_model() -> Option<PathBuf> {
    beside_the_program(Path::new("models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf"))
}

/// The folder of the sentence encoder that `assets/fetch-models.sh` gets, where it was got.
pub fn fetched_encoder() -> Option<PathBuf> {
    let weights = beside_the_program(Path::new("models/all-minilm-l6-v2/model.safetensors"))?;
    weights.parent().map(Path::to_path_buf)
}

/// A file in the working folder, beside the executable (or above it), or in the source tree.
fn beside_the_program(relative: &Path) -> Option<PathBuf> {
    let executable = std::env::current_exe().ok();
    let above = executable.iter().flat_map(|path| path.ancestors().skip(1).map(Path::to_path_buf));
    let places = std::iter::once(PathBuf::new())
        .chain(above)
        .chain(std::iter::once(PathBuf::from(env!("CARGO_MANIFEST_DIR"))));
    places.map(|place| place.join(relative)).find(|path| path.is_file())
}

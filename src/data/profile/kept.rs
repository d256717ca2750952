//! Has this log been described before? A log that is kept in the cache keeps its profiles, one for each choice of
//! roles.

use super::Profile;
use crate::base::Result;
use crate::base::failure::Explain;
use crate::base::files::write_atomically;
use crate::data::frame::LogFrame;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::PathBuf;
use xxhash_rust::xxh3::xxh3_64;

/// The profile of a kept log as it was opened; `None` when there is none yet or it is damaged.
pub(super) fn load(log: &LogFrame) -> Option<Profile> {
    let text = std::fs::read_to_string(place(log)?).ok()?;
    let (hash, text) = text.split_once('\n')?;
    let stored: Value = serde_json::from_str(text).ok()?;
    (hash == checksum(text)).then(|| serde_json::from_value(with_numbers(stored)).ok()).flatten()
}

/// Keeps the profile of a kept log.
///
/// # Errors
/// What the disk answers.
pub(super) fn keep(log: &LogFrame, profile: &Profile) -> Result<()> {
    let Some(path) = place(log) else {
        return Ok(());
    };
    let what = "cannot keep the profile";
    let text = with_bits(serde_json::to_value(profile).explain(what)?).to_string();
    write_atomically(&path, |out| write!(out, "{}\n{text}", checksum(&text)).explain(what))
}

fn checksum(text: &str) -> String {
    format!("{:016x}", xxh3_64(text.as_bytes()))
}

fn place(log: &LogFrame) -> Option<PathBuf> {
    let folder = log.source.kept_in.as_ref()?;
    let schema = serde_json::to_vec(&log.schema).ok()?;
    Some(folder.join(format!("profile-{:016x}.json", xxh3_64(&schema))))
}

/// The name of a real number that is stored by its bits: decimal text may lose the last of them.
const BITS: &str = "f64 bits";

fn with_bits(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            json!({ BITS: number.as_f64().unwrap_or_default().to_bits() })
        }
        Value::Array(items) => items.into_iter().map(with_bits).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, with_bits(value))).collect(),
        other => other,
    }
}

fn with_numbers(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(with_numbers).collect(),
        Value::Object(fields) => match fields.get(BITS).and_then(Value::as_u64) {
            Some(bits) if fields.len() == 1 => json!(f64::from_bits(bits)),
            _ => {
                let fields = fields.into_iter().map(|(name, value)| (name, with_numbers(value)));
                Value::Object(fields.collect::<Map<_, _>>())
            }
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Role;
    use crate::data::profile::profile;
    use crate::jobs::JobContext;
    use polars::prelude::df;
    use std::sync::Arc;

    #[test]
    fn a_kept_profile_is_the_same_to_the_last_bit() {
        let folder = tempfile::tempdir().unwrap();
        let frame = df!("x" => [0.1f64, 0.2, 1.0 / 3.0, 2.5e-17], "y" => [0i64, 1, 0, 1]).unwrap();
        let mut log = LogFrame::from_frame(frame, &[("x", Role::Numeric), ("y", Role::Label)]).unwrap();
        let source = Arc::make_mut(&mut log.source);
        source.kept_in = Some(folder.path().to_owned());
        assert_eq!(load(&log), None);
        let described = profile(&log, &JobContext::detached()).unwrap();
        keep(&log, &described).unwrap();
        assert_eq!(load(&log), Some(described));
        log.schema.set_role("x", Role::Ignored).unwrap();
        assert_eq!(load(&log), None, "other roles, another profile");
    }
}

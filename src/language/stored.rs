//! How is an encoder kept beside a model? One safetensors file, checked when it is read.

use super::encoder::{Encoder, EncoderOptions};
use super::grams::{BUCKETS, ByBucket, Frequencies};
use crate::base::failure::Explain;
use crate::base::files::{disk_failure, write_atomically};
use crate::base::{Failure, Result};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

/// Key of the options in the file's metadata.
const ABOUT: &str = "adloupe_text_encoder";

#[derive(Serialize, Deserialize)]
struct About {
    options: EncoderOptions,
    texts: u32,
}

/// Inside other JSON an encoder is its bytes in hexadecimal.
impl Serialize for Encoder {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let bytes = self.to_bytes().map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }
}

impl<'de> Deserialize<'de> for Encoder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        let bytes: Option<Vec<u8>> =
            text.as_bytes().chunks(2).map(|two| Some(digit(two[0])? << 4 | digit(*two.get(1)?)?)).collect();
        let bytes = bytes.ok_or_else(|| serde::de::Error::custom("a text encoder is hexadecimal digits"))?;
        Self::from_bytes(&bytes).map_err(serde::de::Error::custom)
    }
}

impl Encoder {
    /// The whole encoder in one piece: `features` `[n, 3]` (bucket, texts with it, row), `meaning` `[rows, width]`, `words`
    /// `[n, 2]` (bucket, row) and `company` `[rows, width]`, little-endian.
    ///
    /// # Errors
    /// It does not fit into memory.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let what = "cannot keep the text encoder";
        let mut features: Vec<[u32; 3]> = self
            .rows
            .iter()
            .map(|(bucket, row)| [*bucket, self.counts.with.get(bucket).copied().unwrap_or_default(), *row])
            .collect();
        features.sort_unstable();
        let mut words: Vec<[u32; 2]> = self.words.iter().map(|(bucket, row)| [*bucket, *row]).collect();
        words.sort_unstable();
        let whole = |numbers: &[u32]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
        let real = |numbers: &[f32]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
        let shape =
            |numbers: usize, width: usize| vec![numbers.checked_div(width).unwrap_or_default(), width];
        let EncoderOptions { meaning, company, .. } = self.options;
        let tensors = [
            ("features", Dtype::U32, vec![features.len(), 3], whole(features.as_flattened())),
            ("words", Dtype::U32, vec![words.len(), 2], whole(words.as_flattened())),
            ("meaning", Dtype::F32, shape(self.meaning.len(), meaning), real(&self.meaning)),
            ("company", Dtype::F32, shape(self.company.len(), company), real(&self.company)),
        ];
        let views: Vec<(&str, TensorView<'_>)> = tensors
            .iter()
            .map(|(name, dtype, shape, bytes)| {
                Ok((*name, TensorView::new(*dtype, shape.clone(), bytes).explain(what)?))
            })
            .collect::<Result<_>>()?;
        let about = About { options: self.options, texts: self.counts.texts };
        let about = serde_json::to_string(&about).explain(what)?;
        safetensors::serialize(views, Some(HashMap::from([(ABOUT.to_owned(), about)]))).explain(what)
    }

    /// What [`to_bytes`](Self::to_bytes) made.
    ///
    /// # Errors
    /// Bytes that are cut off, of another kind, or that contradict themselves.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let what = "cannot read the text encoder";
        let (_, metadata) = SafeTensors::read_metadata(bytes).explain(what)?;
        let about = metadata.metadata().as_ref().and_then(|all| all.get(ABOUT));
        let about = about.ok_or_else(|| Failure::new(what, "the file holds something else"))?;
        let About { options, texts } = serde_json::from_str(about).explain(what)?;
        let file = SafeTensors::deserialize(bytes).explain(what)?;
        let whole = |name: &str, width: usize| -> Result<Vec<u32>> {
            let tensor = file.tensor(name).explain(what)?;
            if tensor.dtype() != Dtype::U32 || tensor.shape().get(1) != Some(&width) {
                return Err(Failure::new(what, format!("'{name}' has another shape than is expected")));
            }
            Ok(tensor.data().as_chunks().0.iter().map(|four| u32::from_le_bytes(*four)).collect())
        };
        let real = |name: &str, width: usize| -> Result<Vec<f32>> {
            let tensor = file.tensor(name).explain(what)?;
            if tensor.dtype() != Dtype::F32 || tensor.shape().get(1) != Some(&width) {
                return Err(Failure::new(what, format!("'{name}' has another shape than is expected")));
            }
            Ok(tensor.data().as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect())
        };
        let (features, words) = (whole("features", 3)?, whole("words", 2)?);
        let (meaning, company) = (real("meaning", options.meaning)?, real("company", options.company)?);
        let inside = |bucket: u32, row: u32, values: &[f32], width: usize| {
            (bucket as usize) < BUCKETS && (values.is_empty() || (row as usize + 1) * width <= values.len())
        };
        let (features, words) = (features.as_chunks::<3>().0, words.as_chunks::<2>().0);
        if !features.iter().all(|[bucket, _, row]| inside(*bucket, *row, &meaning, options.meaning))
            || !words.iter().all(|[bucket, row]| inside(*bucket, *row, &company, options.company))
        {
            return Err(Failure::new(what, "a feature points at a row that is not there"));
        }
        let with: ByBucket<u32> = features.iter().map(|[bucket, texts, _]| (*bucket, *texts)).collect();
        Ok(Self {
            options,
            counts: Frequencies { texts, with },
            rows: features.iter().map(|[bucket, _, row]| (*bucket, *row)).collect(),
            meaning,
            words: words.iter().map(|[bucket, row]| (*bucket, *row)).collect(),
            company,
        })
    }

    /// Writes the encoder to a file; a reader sees the old one or the whole new one.
    ///
    /// # Errors
    /// What the disk answers.
    pub fn save(&self, path: &Path) -> Result<()> {
        let bytes = self.to_bytes()?;
        write_atomically(path, |out| {
            out.write_all(&bytes).map_err(|error| disk_failure("cannot keep the text encoder", path, &error))
        })
    }

    /// Reads what [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// What the disk answers, or a file that is no whole encoder.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path)
            .map_err(|error| disk_failure("cannot read the text encoder", path, &error))?;
        Self::from_bytes(&bytes).map_err(|failure| failure.at(path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::JobContext;

    #[test]
    fn what_is_read_is_what_was_written_and_damage_is_told() {
        let texts = ["red shoes", "blue shoes", "red hats", "特价 机票"];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text.safetensors");
        for options in [EncoderOptions::default(), EncoderOptions::for_rankers(8, 3)] {
            let encoder = Encoder::fit(&texts, options, &JobContext::detached()).unwrap();
            encoder.save(&path).unwrap();
            let again = Encoder::load(&path).unwrap();
            assert_eq!(again, encoder);
            assert_eq!(again.encode(&texts), encoder.encode(&texts));
            let json = serde_json::to_string(&encoder).unwrap();
            assert_eq!(serde_json::from_str::<Encoder>(&json).unwrap(), encoder);
            assert!(serde_json::from_str::<Encoder>("\"0g\"").is_err());
        }
        let nothing = Encoder::unfitted(EncoderOptions::default());
        assert_eq!(Encoder::from_bytes(&nothing.to_bytes().unwrap()).unwrap(), nothing);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.truncate(bytes.len() / 2);
        std::fs::write(&path, &bytes).unwrap();
        let failure = Encoder::load(&path).unwrap_err();
        assert!(failure.what.contains("text encoder") && failure.place.contains("text.safetensors"));
        assert!(Encoder::load(&folder.path().join("none")).unwrap_err().what.contains("text encoder"));
    }
}

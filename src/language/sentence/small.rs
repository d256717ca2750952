//! What does a sentence encoder do that knows nothing? One of a layer of eight numbers, for tests: what is done with vectors
//! does not depend on an encoder's wisdom. Tests of the whole program read this file too.

use safetensors::tensor::{Dtype, TensorView};
use std::path::Path;

/// Writes an encoder of the words `w0` to `w5` into a folder.
pub fn write(folder: &Path) {
    write_tokenizer(folder, 6);
    std::fs::write(folder.join("model.safetensors"), weights(false)).unwrap();
}

/// Writes its sizes, and a tokenizer of so many words.
pub fn write_tokenizer(folder: &Path, words: usize) {
    let config = r#"{"model_type":"bert","hidden_act":"gelu","hidden_size":8,"intermediate_size":16,"layer_norm_eps":1e-12,
        "max_position_embeddings":16,"num_attention_heads":2,"num_hidden_layers":1,"type_vocab_size":2,"vocab_size":6}"#;
    std::fs::write(folder.join("config.json"), config).unwrap();
    let vocab: Vec<String> = (0..words).map(|at| format!("\"w{at}\":{at}")).collect();
    let tokenizer = format!(
        r#"{{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,
        "pre_tokenizer":{{"type":"Whitespace"}},"post_processor":null,"decoder":null,
        "model":{{"type":"WordLevel","unk_token":"w0","vocab":{{{}}}}}}}"#,
        vocab.join(",")
    );
    std::fs::write(folder.join("tokenizer.json"), tokenizer).unwrap();
}

/// Its weights; with the values of its second head at 0 where `silenced`.
pub fn weights(silenced: bool) -> Vec<u8> {
    // Fractions of a steep sine: as good as noise here.
    let mut at = 0u32;
    let mut drawn = || {
        at += 1;
        ((at as f32 * 12.9898).sin() * 43_758.547).fract()
    };
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    let mut add = |name: &str, shape: &[usize]| {
        let count = shape.iter().product();
        let mut values: Vec<f32> = (0..count).map(|_| drawn()).collect();
        if silenced && name.contains("self.value") {
            let half = count / 2;
            values[half..].fill(0.0);
        }
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        tensors.push((name.to_owned(), shape.to_vec(), bytes));
    };
    for (name, rows) in [("word", 6), ("position", 16), ("token_type", 2)] {
        add(&format!("embeddings.{name}_embeddings.weight"), &[rows, 8]);
    }
    let layer = "encoder.layer.0";
    for (name, from, to) in [
        ("attention.self.query", 8, 8),
        ("attention.self.key", 8, 8),
        ("attention.self.value", 8, 8),
        ("attention.output.dense", 8, 8),
        ("intermediate.dense", 8, 16),
        ("output.dense", 16, 8),
    ] {
        add(&format!("{layer}.{name}.weight"), &[to, from]);
        add(&format!("{layer}.{name}.bias"), &[to]);
    }
    let norms = ["attention.output", "output"].map(|name| format!("{layer}.{name}.LayerNorm"));
    for name in norms.iter().map(String::as_str).chain(["embeddings.LayerNorm"]) {
        add(&format!("{name}.weight"), &[8]);
        add(&format!("{name}.bias"), &[8]);
    }
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

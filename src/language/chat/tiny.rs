//! What does a language model do that knows nothing? One of a layer of eight numbers, for tests: what limits do does not
//! depend on a model's wisdom. Tests of the whole program read this file too.

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use std::path::Path;

/// Writes a model of 300 words, whose tokenizer knows `known` of them, as a GGUF file.
pub fn write(path: &Path, known: usize) {
    let mut at = 0u32;
    let mut tensor = |name: &str, rows: usize, columns: usize| {
        let values: Vec<f32> = (0..rows * columns)
            .map(|_| {
                at += 1;
                // Fractions of a steep sine: as good as noise here.
                ((at as f32 * 12.9898).sin() * 43_758.547).fract()
            })
            .collect();
        let shape = if columns == 1 { vec![rows] } else { vec![rows, columns] };
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        (name.to_owned(), QTensor::quantize(&tensor, GgmlDType::F32).unwrap())
    };
    let mut tensors = vec![tensor("token_embd.weight", 300, 8), tensor("output_norm.weight", 8, 1)];
    for (name, rows, columns) in [
        ("attn_q", 8, 8),
        ("attn_k", 4, 8),
        ("attn_v", 4, 8),
        ("attn_output", 8, 8),
        ("ffn_gate", 16, 8),
        ("ffn_up", 16, 8),
        ("ffn_down", 8, 16),
        ("attn_norm", 8, 1),
        ("ffn_norm", 8, 1),
    ] {
        tensors.push(tensor(&format!("blk.0.{name}.weight"), rows, columns));
    }
    // GPT-2's bytes as letters: printable ones are themselves, the others follow from 256 on.
    let printable = |byte: &u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let mut words: Vec<String> =
        (0..256u32).filter(printable).filter_map(char::from_u32).map(String::from).collect();
    let rest = 256 - words.len() as u32;
    words.extend((256..256 + rest).filter_map(char::from_u32).map(String::from));
    words.extend((words.len()..known).map(|at| format!("<w{at}>")));
    let texts = |texts: Vec<String>| Value::Array(texts.into_iter().map(Value::String).collect());
    let counts = [
        ("llama.embedding_length", 8),
        ("llama.attention.head_count", 2),
        ("llama.attention.head_count_kv", 1),
        ("llama.feed_forward_length", 16),
        ("llama.block_count", 1),
        ("llama.context_length", 4096),
        ("tokenizer.ggml.eos_token_id", 1),
        ("tokenizer.ggml.bos_token_id", 0),
    ];
    let mut about: Vec<(&str, Value)> = counts.map(|(key, count)| (key, Value::U32(count))).to_vec();
    about.push(("general.architecture", Value::String("llama".into())));
    about.push(("tokenizer.ggml.model", Value::String("gpt2".into())));
    about.push(("tokenizer.ggml.tokens", texts(words)));
    about.push(("tokenizer.ggml.merges", texts(Vec::new())));
    let about: Vec<(&str, &Value)> = about.iter().map(|(key, value)| (*key, value)).collect();
    let tensors: Vec<(&str, &QTensor)> =
        tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let mut bytes = std::io::Cursor::new(Vec::new());
    gguf_file::write(&mut bytes, &about, &tensors).unwrap();
    std::fs::write(path, bytes.into_inner()).unwrap();
}

//! How does a model leave this program for another runtime? As an ONNX graph of the same sums (opset 13).
//!
//! Inputs are what the encoder makes of a row: for each field its id (`id.FIELD`, `int64 [rows]`), `numbers` (`float [rows,
//! numbers]`), and for each history of kinds with embeddings the ids (`past.NAME`, `int64 [rows, positions]`) beside their
//! weights (`past_weights.NAME`, one over the number of past values on each, 0 on padding). The encoder, whose vocabularies give the ids, travels in the
//! file's metadata. Outputs are `log_odds` and `probability`, both `[rows, 1]`. The layout of the file is that of
//! `onnx.proto`; so few messages need no library.

use super::trained::TrainedModel;
use crate::base::failure::Explain;
use crate::base::files::{disk_failure, write_atomically};
use crate::base::{Failure, Result};
use std::io::Write;
use std::path::Path;

const WHAT: &str = "cannot write the model as ONNX";
/// Kinds whose sums can be said in ONNX here.
pub const KINDS: [&str; 3] = ["logistic", "fm", "deep_fm"];
/// The input of numbers.
pub const NUMBERS: &str = "numbers";
/// Bytes that a message of protobuf may have.
const MOST_BYTES: usize = i32::MAX as usize;
const OUTPUTS: [&str; 2] = ["log_odds", "probability"];
const FLOAT: u64 = 1;
const INT64: u64 = 7;

/// The input of a field's ids.
pub fn id_input(field: &str) -> String {
    format!("id.{field}")
}

/// The inputs of a history: its ids and their weights.
pub fn past_inputs(sequence: &str) -> [String; 2] {
    [format!("past.{sequence}"), format!("past_weights.{sequence}")]
}

impl TrainedModel {
    /// The bytes of an `.onnx` file that scores as this model does.
    ///
    /// # Errors
    /// A kind that is not among [`KINDS`], an ensemble, normalised layers, a calibration curve, or more than 2 GB.
    pub fn onnx(&self) -> Result<Vec<u8>> {
        self.check_expressible()?;
        let mut graph = Graph::default();
        let log_odds = self.sums(&mut graph)?;
        graph.node("Identity", &[&log_odds], "log_odds", &[]);
        graph.node("Sigmoid", &[&log_odds], "probability", &[]);
        let encoder = serde_json::to_string(&*self.encoder).explain(WHAT)?;
        let bytes = graph.model(&[("encoder", &encoder), ("kind", &self.kind)]);
        if bytes.len() > MOST_BYTES {
            return Err(Failure::new(WHAT, "it is larger than 2 GB, which such a file cannot be")
                .hint("a narrower embedding, or fewer values"));
        }
        Ok(bytes)
    }

    /// Writes the `.onnx` file; answers its bytes.
    ///
    /// # Errors
    /// As [`onnx`](Self::onnx), a name that does not end in `.onnx`, or what the disk answers.
    pub fn write_onnx(&self, path: &Path) -> Result<usize> {
        if path.extension().is_none_or(|extension| extension != "onnx") {
            return Err(Failure::new(WHAT, "the file's name does not end in .onnx")
                .at(path.display())
                .hint("model.onnx"));
        }
        let bytes = self.onnx()?;
        write_atomically(path, |out| {
            let written = out.write_all(&bytes).and_then(|()| out.flush());
            written.map_err(|error| disk_failure(WHAT, path, &error))
        })?;
        Ok(bytes.len())
    }

    fn check_expressible(&self) -> Result<()> {
        let refuse = |why: String, hint: &str| Err(Failure::new(WHAT, why).hint(hint));
        if !KINDS.contains(&self.kind.as_str()) {
            let why = format!("{} has parts that are not written here", self.kind);
            return refuse(why, &format!("one of: {}", KINDS.join(", ")));
        }
        if !self.members.is_empty() {
            return refuse("it is an ensemble".to_owned(), "write its members one by one");
        }
        if self.card.newcomers.is_some() {
            let why = "it reads new users and ads as those alike, which the file could not";
            return refuse(why.to_owned(), "train with newcomers=rare");
        }
        if self.params.choice("normalise").is_ok_and(|word| word != "off") {
            return refuse("its layers are normalised".to_owned(), "train with normalise=off");
        }
        if self.card.calibration.as_ref().is_some_and(|known| known.curve.is_some() || known.each.is_some()) {
            return refuse(
                "its scores go through a curve".to_owned(),
                "train with calibrate=intercept or off",
            );
        }
        Ok(())
    }

    /// The log odds `[rows, 1]` by name.
    fn sums(&self, graph: &mut Graph) -> Result<String> {
        let encoder = &self.encoder;
        let numbers = encoder.numeric.len();
        let mut terms = Vec::new();
        for (place, field) in encoder.categorical.iter().enumerate() {
            let ids = id_input(&field.name);
            graph.input(&ids, INT64, &["rows"], &[]);
            let weights = graph.floats(&format!("linear.{}", field.name), &self.field("linear", place, 1)?);
            let name = format!("linear of {}", field.name);
            terms.push(graph.node("Gather", &[&weights, &ids], &name, &[]));
        }
        if numbers > 0 {
            graph.input(NUMBERS, FLOAT, &["rows"], &[numbers]);
            let weights = self.dense(graph, "numeric.weight")?;
            terms.push(graph.node("Gemm", &[NUMBERS, &weights], "linear of numbers", &[("transB", 1)]));
        }
        terms.push(self.dense(graph, "bias")?);
        if self.kind != "logistic" {
            let (vectors, count, width) = self.vectors(graph)?;
            terms.push(pairs(graph, &vectors));
            if self.kind == "deep_fm" {
                terms.push(self.deep(graph, &vectors, count * width)?);
            }
        }
        let mut terms = terms.into_iter();
        let mut sum = terms.next().unwrap_or_default();
        for (place, term) in terms.enumerate() {
            sum = graph.node("Add", &[&sum, &term], &format!("sum {place}"), &[]);
        }
        Ok(sum)
    }

    /// The vectors of a row `[rows, vectors, width]` by name, their number and their width.
    fn vectors(&self, graph: &mut Graph) -> Result<(String, usize, usize)> {
        let encoder = &self.encoder;
        let width = self.params.count("embedding_width")?;
        let second = graph.integers("second axis", &[1]);
        let mut vectors = Vec::new();
        let mut tables = Vec::new();
        for (place, field) in encoder.categorical.iter().enumerate() {
            let table =
                graph.floats(&format!("embedding.{}", field.name), &self.field("embedding", place, width)?);
            let name = format!("embedding of {}", field.name);
            let row = graph.node("Gather", &[&table, &id_input(&field.name)], &format!("{name}, flat"), &[]);
            vectors.push(graph.node("Unsqueeze", &[&row, &second], &name, &[]));
            tables.push(table);
        }
        for sequence in &encoder.sequences {
            let (name, [ids, weights]) = (&sequence.name, past_inputs(&sequence.name));
            graph.input(&ids, INT64, &["rows", "positions"], &[]);
            graph.input(&weights, FLOAT, &["rows", "positions"], &[]);
            let past = graph.node("Gather", &[&tables[sequence.target], &ids], &format!("past {name}"), &[]);
            let row = graph.node("Unsqueeze", &[&weights, &second], &format!("weights {name}"), &[]);
            vectors.push(graph.node("MatMul", &[&row, &past], &format!("mean of {name}"), &[]));
        }
        let numbers = encoder.numeric.len();
        if self.kind == "fm" && numbers > 0 {
            let table = self.dense(graph, "numeric.embedding")?;
            let last = graph.integers("last axis", &[2]);
            let column = graph.node("Unsqueeze", &[NUMBERS, &last], "numbers as columns", &[]);
            vectors.push(graph.node("Mul", &[&column, &table], "vectors of numbers", &[]));
        }
        let count =
            encoder.categorical.len() + encoder.sequences.len() + if self.kind == "fm" { numbers } else { 0 };
        let names: Vec<&str> = vectors.iter().map(String::as_str).collect();
        Ok((graph.node("Concat", &names, "vectors", &[("axis", 1)]), count, width))
    }

    /// The deep part `[rows, 1]` on vectors of so many numbers, and the numbers.
    fn deep(&self, graph: &mut Graph, vectors: &str, flat: usize) -> Result<String> {
        let shape = graph.integers("flat shape", &[-1, flat as i64]);
        let mut x = graph.node("Reshape", &[vectors, &shape], "flat", &[]);
        if !self.encoder.numeric.is_empty() {
            x = graph.node("Concat", &[&x, NUMBERS], "deep inputs", &[("axis", 1)]);
        }
        for layer in 0..self.params.count("hidden_layers")? {
            let name = format!("deep.{layer}");
            let (weight, bias) =
                (self.dense(graph, &format!("{name}.weight"))?, self.dense(graph, &format!("{name}.bias"))?);
            let sum = graph.node("Gemm", &[&x, &weight, &bias], &format!("{name}, sums"), &[("transB", 1)]);
            x = graph.node("Relu", &[&sum], &name, &[]);
        }
        let (weight, bias) = (self.dense(graph, "deep.out.weight")?, self.dense(graph, "deep.out.bias")?);
        Ok(graph.node("Gemm", &[&x, &weight, &bias], "deep", &[("transB", 1)]))
    }

    /// Puts a dense tensor into the graph.
    fn dense(&self, graph: &mut Graph, name: &str) -> Result<String> {
        let known = self.parameter(name);
        let (shape, values) = known.ok_or_else(|| Failure::new(WHAT, format!("it has no tensor {name}")))?;
        Ok(graph.floats(name, &(shape.to_vec(), values.to_vec())))
    }

    /// A field's rows of a table.
    fn field(&self, table: &str, place: usize, width: usize) -> Result<(Vec<usize>, Vec<f32>)> {
        let values = self.rows_of(table, place);
        let values = values.ok_or_else(|| Failure::new(WHAT, format!("it has no table {table}")))?;
        Ok((vec![values.len() / width.max(1), width], values))
    }
}

/// `1/2 sum over the width of (sum v)^2 - sum v^2`: all pairs of vectors (Rendle, ICDM 2010), `[rows, 1]`.
fn pairs(graph: &mut Graph, vectors: &str) -> String {
    let (over_vectors, over_width) =
        (graph.integers("axis of vectors", &[1]), graph.integers("axis of width", &[1]));
    let flat: &[(&str, i64)] = &[("keepdims", 0)];
    let sum = graph.node("ReduceSum", &[vectors, &over_vectors], "sum of vectors", flat);
    let of_sum = graph.node("Mul", &[&sum, &sum], "square of the sum", &[]);
    let squares = graph.node("Mul", &[vectors, vectors], "squares", &[]);
    let of_squares = graph.node("ReduceSum", &[&squares, &over_vectors], "sum of squares", flat);
    let twice = graph.node("Sub", &[&of_sum, &of_squares], "pairs twice", &[]);
    let twice = graph.node("ReduceSum", &[&twice, &over_width], "pairs twice, summed", &[("keepdims", 1)]);
    let half = graph.floats("half", &(vec![1], vec![0.5]));
    graph.node("Mul", &[&twice, &half], "pairs", &[])
}

/// Messages of protobuf, one after another.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn number(&mut self, field: u64, number: u64) {
        self.varint(field << 3);
        self.varint(number);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn of(fill: impl FnOnce(&mut Self)) -> Vec<u8> {
        let mut message = Self::default();
        fill(&mut message);
        message.0
    }
}

/// An ONNX graph while it is put together; a node is called as what it answers.
#[derive(Default)]
struct Graph {
    nodes: Vec<Vec<u8>>,
    tensors: Vec<Vec<u8>>,
    inputs: Vec<Vec<u8>>,
}

impl Graph {
    /// A node with whole numbers as attributes (AttributeProto: 1 name, 3 value, 20 type).
    fn node(&mut self, operation: &str, inputs: &[&str], output: &str, attributes: &[(&str, i64)]) -> String {
        // No name of an input begins like this.
        let output = if OUTPUTS.contains(&output) { output.to_owned() } else { format!("/{output}") };
        self.nodes.push(Message::of(|node| {
            inputs.iter().for_each(|input| node.bytes(1, input.as_bytes()));
            node.bytes(2, output.as_bytes());
            node.bytes(3, output.as_bytes());
            node.bytes(4, operation.as_bytes());
            for (name, value) in attributes {
                let attribute = Message::of(|attribute| {
                    attribute.bytes(1, name.as_bytes());
                    attribute.number(3, *value as u64);
                    attribute.number(20, 2);
                });
                node.bytes(5, &attribute);
            }
        }));
        output
    }

    fn floats(&mut self, name: &str, (shape, values): &(Vec<usize>, Vec<f32>)) -> String {
        self.tensor(name, FLOAT, shape, bytemuck::cast_slice(values))
    }

    fn integers(&mut self, name: &str, values: &[i64]) -> String {
        self.tensor(name, INT64, &[values.len()], bytemuck::cast_slice(values))
    }

    /// TensorProto: 1 dimensions, 2 type, 8 name, 9 little-endian bytes.
    fn tensor(&mut self, name: &str, kind: u64, shape: &[usize], bytes: &[u8]) -> String {
        let name = format!("/{name}, weights");
        self.tensors.push(Message::of(|tensor| {
            shape.iter().for_each(|size| tensor.number(1, *size as u64));
            tensor.number(2, kind);
            tensor.bytes(8, name.as_bytes());
            tensor.bytes(9, bytes);
        }));
        name
    }

    /// An input of open dimensions by their names, then fixed ones.
    fn input(&mut self, name: &str, kind: u64, open: &[&str], fixed: &[usize]) {
        self.inputs.push(value(name, kind, open, fixed));
    }

    /// ModelProto: 1 version of the layout, 2 producer, 7 graph, 8 operator sets, 14 metadata.
    fn model(&self, metadata: &[(&str, &str)]) -> Vec<u8> {
        let graph = Message::of(|graph| {
            self.nodes.iter().for_each(|node| graph.bytes(1, node));
            graph.bytes(2, b"adloupe");
            self.tensors.iter().for_each(|tensor| graph.bytes(5, tensor));
            self.inputs.iter().for_each(|input| graph.bytes(11, input));
            for output in OUTPUTS {
                graph.bytes(12, &value(output, FLOAT, &["rows"], &[1]));
            }
        });
        Message::of(|model| {
            model.number(1, 7);
            model.bytes(2, b"adloupe");
            model.bytes(7, &graph);
            model.bytes(8, &Message::of(|set| set.number(2, 13)));
            for (key, text) in metadata {
                let entry = Message::of(|entry| {
                    entry.bytes(1, key.as_bytes());
                    entry.bytes(2, text.as_bytes());
                });
                model.bytes(14, &entry);
            }
        })
    }
}

/// ValueInfoProto: 1 name, 2 type with 1 tensor of 1 element type and 2 shape.
fn value(name: &str, kind: u64, open: &[&str], fixed: &[usize]) -> Vec<u8> {
    let shape = Message::of(|shape| {
        open.iter().for_each(|size| shape.bytes(1, &Message::of(|named| named.bytes(2, size.as_bytes()))));
        fixed.iter().for_each(|size| shape.bytes(1, &Message::of(|fixed| fixed.number(1, *size as u64))));
    });
    let tensor = Message::of(|tensor| {
        tensor.number(1, kind);
        tensor.bytes(2, &shape);
    });
    Message::of(|value| {
        value.bytes(1, name.as_bytes());
        value.bytes(2, &Message::of(|of| of.bytes(1, &tensor)));
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_bytes_are_written_as_protobuf_has_them() {
        // The examples of the encoding's documentation: field 1 is 150; field 2 is "testing".
        let message = Message::of(|message| {
            message.number(1, 150);
            message.bytes(2, b"testing");
        });
        assert_eq!(message, [&[0x08, 0x96, 0x01, 0x12, 0x07][..], b"testing"].concat());
        // -1 as an int64 takes ten bytes.
        assert_eq!(Message::of(|message| message.number(1, -1_i64 as u64)).len(), 11);
    }
}

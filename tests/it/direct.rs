//! Do the direct forms compute what their graphs compute? Same weights in, same loss and gradients.

use super::models::{all_rows, lively_network};
use adloupe::base::rng::Rng;
use adloupe::data::batch::SequenceBatch;
use adloupe::data::encode::{CategoricalField, NumericField, SequenceField, Side};
use adloupe::data::{Batch, Encoder};
use adloupe::models::{MODELS, Network};
use adloupe::nn::Pass;
use adloupe::nn::tables::RowGradients;
use adloupe::train::TrainSpec;
use candle_core::Device;

/// Draws an encoding and a batch that fits it: some fields small, so that ids repeat, some large.
fn draw(rng: &mut Rng) -> (Encoder, Batch) {
    let rows = 1 + rng.below(300);
    let fields = 1 + rng.below(4);
    let numbers = rng.below(3);
    let sequences = rng.below(3);
    let sizes: Vec<usize> = (0..fields).map(|_| [1, 5, 40, 3000][rng.below(4)]).collect();
    let name = |kind: &str, at: usize| format!("{kind}{at}");
    let encoder = Encoder {
        label: "click".into(),
        categorical: (0..fields)
            .map(|at| CategoricalField {
                name: name("field", at),
                side: if at == 0 { Side::User } else { Side::Ad },
                values: (0..sizes[at]).map(|value| value.to_string()).collect(),
                hash_buckets: 0,
            })
            .collect(),
        numeric: (0..numbers)
            .map(|at| NumericField {
                name: name("number", at),
                side: Side::Ad,
                log: false,
                mean: 0.0,
                deviation: 1.0,
            })
            .collect(),
        sequences: (0..sequences)
            .map(|at| SequenceField {
                name: name("sequence", at),
                target: rng.below(fields),
                max_len: 4,
                from_user_history_of: None,
                clicked_only: false,
            })
            .collect(),
        ..Encoder::default()
    };
    let mut ids = |field: usize, count: usize| -> Vec<u32> {
        let size = encoder.categorical[field].cardinality();
        (0..count).map(|_| rng.below(size) as u32).collect()
    };
    let categorical = (0..fields).map(|field| ids(field, rows)).collect();
    let of_sequences: Vec<Vec<u32>> =
        encoder.sequences.iter().map(|sequence| ids(sequence.target, 4 * rows)).collect();
    let sequences = of_sequences
        .into_iter()
        .map(|ids| SequenceBatch {
            max_len: 4,
            ids,
            lengths: (0..rows).map(|_| rng.below(5) as u32).collect(),
        })
        .collect();
    let mut normals = || -> Vec<f32> { (0..rows).map(|_| rng.normal() as f32).collect() };
    let numeric = (0..numbers).map(|_| normals()).collect();
    let label = (0..rows).map(|_| f32::from(rng.chance(0.3))).collect();
    let weight =
        if rng.chance(0.5) { vec![] } else { (0..rows).map(|_| 0.5 + rng.uniform() as f32).collect() };
    (encoder.clone(), Batch { rows, categorical, numeric, sequences, label, weight, ..Batch::default() })
}

fn close(what: &str, direct: &[f32], graph: &[f32]) {
    assert_eq!(direct.len(), graph.len(), "{what}");
    let size = graph.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    let gap = direct.iter().zip(graph).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
    assert!(gap <= 1e-5 * size + 1e-7, "{what}: {gap} apart, of {size}");
}

/// Gradients of rows that only one side touches are 0.
fn close_rows(what: &str, direct: &RowGradients, graph: &RowGradients, width: usize) {
    assert_eq!(direct.rows, graph.rows, "{what}");
    assert_eq!(direct.values.len(), direct.rows.len() * width, "{what}");
    close(what, &direct.values, &graph.values);
}

/// A fresh stream for both, so that dropout has the same luck.
fn luck(seed: u64) -> Rng {
    Rng::named(seed, "dropout")
}

fn compare(what: &str, network: &Network, batch: &Batch, dropout: bool) {
    let (mut ours, mut theirs) = (luck(3), luck(3));
    let (direct, graph) = if dropout {
        (
            network.gradients(batch, &mut Pass::Train(&mut ours)).unwrap(),
            network.graph_gradients(batch, &mut Pass::Train(&mut theirs)).unwrap(),
        )
    } else {
        (
            network.gradients(batch, &mut Pass::Predict).unwrap(),
            network.graph_gradients(batch, &mut Pass::Predict).unwrap(),
        )
    };
    assert!((direct.0 - graph.0).abs() <= 1e-5 * (1.0 + graph.0), "{what}: {} {}", direct.0, graph.0);
    for (parameter, (direct, graph)) in
        network.parameters.iter().zip(direct.1.dense.iter().zip(&graph.1.dense))
    {
        close(&format!("{what}, {}", parameter.name), direct, graph);
    }
    for (table, (direct, graph)) in network.tables.iter().zip(direct.1.tables.iter().zip(&graph.1.tables)) {
        close_rows(&format!("{what}, {}", table.name), direct, graph, table.width);
    }
}

#[test]
fn direct_forms_equal_their_graphs_on_random_shapes() {
    let mut rng = Rng::named(1, "shapes");
    let mut compared = 0;
    for round in 0..12 {
        let (encoder, batch) = draw(&mut rng);
        let settings = [
            ("embedding_width", ["2", "6", "16"][round % 3]),
            ("hidden_units", ["4", "17", "64"][round / 2 % 3]),
            ("hidden_layers", ["1", "2", "3"][round / 3 % 3]),
            ("dropout", ["0", "0.3"][round % 2]),
            ("normalise", ["off", "layer"][round / 4 % 2]),
            ("vector_width", ["1", "3", "4"][round % 3]),
            ("cross_rank", ["0", "3"][round / 2 % 2]),
            ("structure", ["parallel", "stacked"][round % 2]),
        ];
        for kind in MODELS.iter().filter(|kind| kind.check(&encoder).is_ok()) {
            let mut spec = TrainSpec::new(kind.id()).unwrap();
            for (name, value) in settings {
                if spec.params.get(name).is_some() {
                    spec.set(name, value).unwrap();
                }
            }
            let network = lively_network(&spec, &encoder, &Device::Cpu);
            if !network.is_direct() {
                continue;
            }
            compared += 1;
            let what = format!("{} round {round}, {} rows", kind.id(), batch.rows);
            let logits = network.logits(&batch).unwrap();
            close(&what, &logits, &network.forward(&batch, &mut Pass::Predict).unwrap().logits);
            compare(&what, &network, &batch, false);
            compare(&what, &network, &batch, true);
            // Buffers of a larger batch must not show in a smaller one.
            let few = super::models::head(&batch, batch.rows.div_ceil(3));
            compare(&format!("{what}, then fewer"), &network, &few, false);
        }
    }
    assert!(compared >= 24, "logistic and deep_fm have direct forms: {compared}");
}

#[test]
fn scores_may_be_asked_for_from_several_threads() {
    let data = super::models::clicks(500, 30, 1);
    let batch = data.batch(&all_rows(&data));
    let network = lively_network(&TrainSpec::new("deep_fm").unwrap(), &data.encoder, &Device::Cpu);
    let alone = network.predict(&batch).unwrap();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| network.predict(&batch).unwrap())).collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), alone);
        }
    });
}

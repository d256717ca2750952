//! Does a training survive whatever ends the program, to the last bit?

use crate::models::{clicks, fit, run_until_cancelled, scores, spec};
use adloupe::data::dataset::open_prepared;
use adloupe::data::encode::Encoder;
use adloupe::data::importers::{CacheChoice, ImportOptions};
use adloupe::data::options::EncodeOptions;
use adloupe::data::{Dataset, sample};
use adloupe::jobs::{JobContext, Latest};
use adloupe::models::MODELS;
use adloupe::nn::optimiser::RULES;
use adloupe::train::Trainer;
use adloupe::train::checkpoint::{Kept, encoder_of_base};
use adloupe::train::tuning::Tuning;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const FILE: &str = "checkpoint.safetensors";
const PREVIOUS: &str = "checkpoint.previous.safetensors";

fn run(trainer: &mut Trainer) {
    trainer.run(&Latest::default(), &JobContext::detached()).unwrap();
}

fn resume(folder: &Path, data: &Dataset) -> adloupe::base::Result<Trainer> {
    Trainer::resume(folder, data, &JobContext::detached())
}

/// A folder with the checkpoints of a training of two epochs: the last one and the one before.
fn kept(data: &Dataset) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = Trainer::new(data, &spec("logistic", &[("epochs", "2"), ("patience", "0")])).unwrap();
    trainer.save_checkpoint(folder.path()).unwrap();
    run(&mut trainer);
    trainer.save_checkpoint(folder.path()).unwrap();
    folder
}

#[test]
fn twice_as_many_epochs_are_those_before_and_those_after_a_checkpoint() {
    let data = clicks(500, 20, 30);
    for kind in MODELS {
        for rule in RULES {
            let settings = |epochs| {
                let common = [("schedule", "constant"), ("patience", "0"), ("batch_size", "64")];
                // Two tasks are learnt from all rows only.
                let kept = if kind.learns_conversions() { "1" } else { "0.7" };
                let own = [("optimiser", rule.id()), ("epochs", epochs), ("keep_negatives", kept)];
                spec(kind.id(), &[common, own].concat())
            };
            let whole = scores(&fit(&data, &settings("4")), &data);
            let folder = tempfile::tempdir().unwrap();
            let mut first = Trainer::new(&data, &settings("2")).unwrap();
            first.keep_in(folder.path().to_owned(), Duration::from_secs(60));
            run(&mut first);
            drop(first);
            let mut second = resume(folder.path(), &data).unwrap();
            assert_eq!(second.epochs_done(), 2);
            second.spec.set("epochs", "4").unwrap();
            run(&mut second);
            let both = second.finish(&JobContext::detached()).unwrap();
            assert_eq!(whole, scores(&both, &data), "{} {}", kind.id(), rule.id());
        }
    }
}

#[test]
fn a_training_that_began_with_a_model_goes_on_to_the_last_bit_parts_that_stay_and_adapters_too() {
    let data = clicks(600, 20, 33);
    let base = fit(&data, &spec("deep_fm", &[("epochs", "1")]));
    let settings = |epochs| {
        spec(
            "deep_fm",
            &[("schedule", "constant"), ("patience", "0"), ("batch_size", "64"), ("epochs", epochs)],
        )
    };
    let whole = Tuning::default();
    let stays = Tuning { frozen: vec!["embedding".into()], rank: None };
    let adapter = Tuning { frozen: vec![], rank: Some(2) };
    for tuning in [whole, stays, adapter] {
        let begun = |epochs| Trainer::tuning(1 << 30, &data, &settings(epochs), (&base, &tuning)).unwrap();
        let mut alone = begun("4");
        run(&mut alone);
        let alone = alone.finish(&JobContext::detached()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut first = begun("2");
        first.keep_in(folder.path().to_owned(), Duration::from_secs(60));
        run(&mut first);
        drop(first);
        assert!(Kept::look(folder.path()).unwrap().tuned);
        assert_eq!(encoder_of_base(folder.path()).unwrap(), Some(Arc::clone(&data.encoder)));
        let mut second = resume(folder.path(), &data).unwrap();
        second.spec.set("epochs", "4").unwrap();
        run(&mut second);
        let both = second.finish(&JobContext::detached()).unwrap();
        assert_eq!(scores(&alone, &data), scores(&both, &data), "{tuning:?}");
        assert_eq!(both.adapter_rank(), tuning.rank);
        assert_ne!(scores(&base, &data), scores(&both, &data), "{tuning:?}");
    }
    let plain = kept(&data);
    assert_eq!(encoder_of_base(plain.path()).unwrap(), None);
}

#[test]
fn a_damaged_file_is_found_out_and_the_one_before_is_taken() {
    let data = clicks(400, 20, 31);
    for damage in ["cut", "flipped", "gone"] {
        let folder = kept(&data);
        let path = folder.path().join(FILE);
        let mut bytes = fs::read(&path).unwrap();
        match damage {
            "cut" => fs::write(&path, &bytes[..bytes.len() / 2]).unwrap(),
            "flipped" => {
                let last = bytes.len() - 3;
                bytes[last] ^= 1;
                fs::write(&path, &bytes).unwrap();
            }
            // Killed between the two renames.
            _ => fs::remove_file(&path).unwrap(),
        }
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        let context = JobContext::watched(Arc::default(), move |text| heard.lock().unwrap().push(text));
        let trainer = Trainer::resume(folder.path(), &data, &context).unwrap();
        assert_eq!(trainer.epochs_done(), 0, "{damage}: the checkpoint before the first epoch");
        assert_eq!(told.lock().unwrap().len(), usize::from(damage != "gone"), "{damage}");
        fs::remove_file(folder.path().join(PREVIOUS)).unwrap();
        let failure = resume(folder.path(), &data).unwrap_err();
        assert!(!failure.hint.is_empty(), "{failure}");
    }
}

#[test]
fn a_checkpoint_that_cannot_be_written_leaves_the_last_one_and_the_training_going() {
    let data = clicks(400, 20, 32);
    let folder = kept(&data);
    let before = fs::read(folder.path().join(FILE)).unwrap();
    // What stands where the new file must go makes the disk refuse it.
    fs::create_dir_all(folder.path().join("checkpoint.next.safetensors/in the way")).unwrap();
    let mut trainer = resume(folder.path(), &data).unwrap();
    let failure = trainer.save_checkpoint(folder.path()).unwrap_err();
    assert!(failure.place.contains("checkpoint"), "{failure}");
    assert_eq!(fs::read(folder.path().join(FILE)).unwrap(), before);
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let context = JobContext::watched(Arc::default(), move |text| heard.lock().unwrap().push(text));
    trainer.keep_in(folder.path().to_owned(), Duration::ZERO);
    trainer.spec.set("epochs", "3").unwrap();
    trainer.run(&Latest::default(), &context).unwrap();
    assert_eq!(trainer.epochs_done(), 3);
    assert!(told.lock().unwrap().iter().any(|text| text.contains("the training goes on")));
    assert_eq!(fs::read(folder.path().join(FILE)).unwrap(), before);
    // Who stops a training hears at once that it could not be kept.
    trainer.spec.set("epochs", "9").unwrap();
    let context = JobContext::watched(Arc::new(true.into()), |_| {});
    let failure = trainer.run(&Latest::default(), &context).unwrap_err();
    assert!(!failure.is_cancelled(), "{failure}");
}

#[test]
fn other_vocabularies_fields_and_versions_are_named() {
    let data = clicks(400, 20, 33);
    let folder = kept(&data);
    let refuse = |data: &Dataset, words: &str| {
        let failure = resume(folder.path(), data).unwrap_err();
        assert!(failure.why.contains(words), "{failure}");
        assert!(!failure.hint.is_empty() && failure.place.contains(FILE), "{failure}");
    };
    let with = |change: fn(&mut Encoder)| {
        let mut encoder = (*data.encoder).clone();
        change(&mut encoder);
        let mut numbers = data.numeric[0].to_vec();
        numbers[0] += 1.0;
        Dataset { encoder: Arc::new(encoder), numeric: vec![numbers.into()], ..data.clone() }
    };
    refuse(&with(|encoder| encoder.categorical[1].values.push("new".into())), "vocabulary of 'ad'");
    refuse(&with(|encoder| encoder.categorical[0].name = "person".into()), "field 'user'");
    refuse(&with(|_| {}), "not those that the training began with");
    let text = fs::read(folder.path().join(FILE)).unwrap();
    let place = text.windows(12).position(|bytes| bytes == br#"\"format\":2"#).unwrap();
    let mut other = text.clone();
    other[place + 11] = b'9';
    fs::write(folder.path().join(FILE), other).unwrap();
    fs::remove_file(folder.path().join(PREVIOUS)).unwrap();
    refuse(&data, "layout 9");
    fs::write(folder.path().join(FILE), b"no file of weights at all").unwrap();
    refuse(&data, "breaks off");
}

#[test]
fn what_is_kept_is_told_without_reading_it_all() {
    let data = clicks(400, 20, 34);
    let folder = kept(&data);
    let known = Kept::look(folder.path()).unwrap();
    assert_eq!((known.spec.kind.as_str(), known.epochs_done), ("logistic", 2));
    assert_eq!(Kept::look(Path::new("/no/such/folder")), None);
}

/// A training on a log that its memory holds neither as a log nor encoded, cut in its first epoch and resumed, is the
/// uncut one to the last bit; so is the one of a data set that was kept for the next time.
#[test]
fn a_training_past_its_memory_is_cut_and_resumed_to_the_last_bit() {
    const MEMORY: u64 = 1_000_000;
    let folder = tempfile::tempdir().unwrap();
    let paths = vec![folder.path().join("log.parquet")];
    let context = JobContext::detached();
    sample::generate(40_000, 3, &paths[0], &context).unwrap();
    let import = ImportOptions {
        memory_bytes: Some(MEMORY),
        cache: CacheChoice::Folder(folder.path().join("cache")),
        ..ImportOptions::default()
    };
    let open = || open_prepared(&paths, &import, &EncodeOptions::default(), &context).unwrap();
    let data = open();
    assert!(data.rows == 40_000 && data.is_mapped() && data.bytes() > 4 * MEMORY, "{}", data.bytes());
    let spec = spec("deep_fm", &[("epochs", "2"), ("patience", "0"), ("batch_size", "256")]);
    let mut whole = Trainer::within(MEMORY, &data, &spec).unwrap();
    run(&mut whole);
    let whole = whole.finish(&context).unwrap();

    let kept = folder.path().join("kept");
    let mut cut = Trainer::within(MEMORY, &data, &spec).unwrap();
    run_until_cancelled(&mut cut);
    assert_eq!(cut.epochs_done(), 0, "cut inside the first epoch");
    cut.save_checkpoint(&kept).unwrap();
    drop((cut, data));
    let data = open();
    let mut resumed = Trainer::resume_within(MEMORY, &kept, &data, &context).unwrap();
    run(&mut resumed);
    let resumed = resumed.finish(&context).unwrap();
    assert_eq!(scores(&whole, &data), scores(&resumed, &data));
    // A shuffle of all rows is another order, so windows did play a part.
    let mut at_once = Trainer::new(&data, &spec).unwrap();
    run(&mut at_once);
    assert_ne!(scores(&whole, &data), scores(&at_once.finish(&context).unwrap(), &data));
}

//! Do models learn from texts, also from texts that nobody has seen yet?

use crate::models::{fit, spec};
use adloupe::base::rng::Rng;
use adloupe::data::importers::{self, ImportOptions};
use adloupe::data::{Dataset, EncodeOptions, LogFrame, Role, dataset};
use adloupe::jobs::JobContext;
use adloupe::models::{MODELS, kind};
use adloupe::train::TrainedModel;
use std::fmt::Write;

/// What ads of a topic are about; people like one of the two.
const TOPICS: [[&str; 8]; 2] = [
    ["running", "shoes", "marathon", "trail", "jogging", "sneakers", "race", "fitness"],
    ["recipe", "kitchen", "cooking", "oven", "baking", "dinner", "soup", "spices"],
];
const FILLER: [&str; 6] = ["new", "today", "our", "best", "for", "you"];

/// A log in which every ad lives for 40 rows and has a headline of its own; people click on their topic, and more on what
/// is free.
fn headlines(rows: usize) -> LogFrame {
    let mut rng = Rng::named(4, "headlines");
    let mut text = String::from("time,user,ad,headline,click\n");
    let (mut topic, mut headline, mut is_free) = (0, String::new(), false);
    for row in 0..rows {
        if row % 40 == 0 {
            topic = rng.below(2);
            is_free = rng.chance(0.5);
            let mut words: Vec<&str> = (0..4).map(|_| TOPICS[topic][rng.below(8)]).collect();
            words.extend((0..2).map(|_| FILLER[rng.below(6)]));
            words.extend(is_free.then_some("free"));
            rng.shuffle(&mut words);
            headline = words.join(" ");
        }
        let user = rng.below(60);
        let likes = user % 2 == topic;
        let chance = if likes { 0.5 } else { 0.05 } + if is_free { 0.3 } else { 0.0 };
        let (ad, click) = (row / 40, u8::from(rng.chance(chance)));
        writeln!(text, "{},u{user},a{ad},{headline},{click}", 1_700_000_000 + row * 60).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("headlines.csv");
    std::fs::write(&path, text).unwrap();
    let roles = [("user", Role::User), ("ad", Role::Ad), ("headline", Role::Text), ("click", Role::Label)];
    let roles = roles.map(|(name, role)| (name.to_owned(), role)).to_vec();
    importers::open(&path, &ImportOptions { roles, ..ImportOptions::default() }, &JobContext::detached())
        .unwrap()
}

fn encoded(log: &LogFrame, text_vectors: usize) -> Dataset {
    let options = EncodeOptions { text_vectors, ..EncodeOptions::default() };
    dataset::prepare(log, &options, &JobContext::detached()).unwrap()
}

fn auc(model: &TrainedModel) -> f64 {
    model.card.test.unwrap().auc.unwrap().value
}

#[test]
fn text_vectors_tell_new_ads_apart_and_go_with_the_model() {
    let log = headlines(12_000);
    let (without, with) = (encoded(&log, 0), encoded(&log, 16));
    assert!(without.encoder.texts.is_empty());
    let field = &with.encoder.texts[0];
    assert_eq!((field.name.as_str(), field.numbers().len()), ("headline", 16));
    let plain = auc(&fit(&without, &spec("logistic", &[])));
    let model = fit(&with, &spec("logistic", &[]));
    assert!(auc(&model) > plain + 0.05, "{} against {plain}", auc(&model));
    let folder = tempfile::tempdir().unwrap();
    model.save(folder.path()).unwrap();
    let again = TrainedModel::load(folder.path()).unwrap();
    assert_eq!(again.encoder, model.encoder);
    let rows = again.encoder.encode(&log, &JobContext::detached()).unwrap();
    let all: Vec<u32> = (0..rows.rows as u32).collect();
    let predict = |model: &TrainedModel, data| model.predict(data, &all, &JobContext::detached()).unwrap();
    assert_eq!(predict(&again, &rows), predict(&model, &with), "the log encodes as in training");
}

#[test]
fn content_tells_who_likes_ads_that_nobody_has_clicked_yet() {
    let log = headlines(12_000);
    let (without, with) = (encoded(&log, 0), encoded(&log, 16));
    for kind in MODELS.iter().filter(|kind| matches!(kind.id(), "content_cf" | "hybrid")) {
        let refused = kind.check(&without.encoder).unwrap_err();
        assert!(refused.why.contains("but their names"), "{refused}");
    }
    // A linear model sees what is free, and not who likes what.
    let sums = auc(&fit(&with, &spec("logistic", &[])));
    for id in ["content_cf", "hybrid"] {
        assert!(kind(id).unwrap().check(&with.encoder).is_ok());
        let found = auc(&fit(&with, &spec(id, &[])));
        assert!(found > sums + 0.03, "{id}: {found} against {sums}");
    }
}

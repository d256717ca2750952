//! Do models learn from texts, also from texts that nobody has seen yet?

#[path = "../../src/language/sentence/small.rs"]
pub mod small;

use crate::models::{fit, spec};
use adloupe::base::rng::Rng;
use adloupe::data::encode::TopicReader;
use adloupe::data::importers::{self, ImportOptions};
use adloupe::data::{Dataset, EncodeOptions, LogFrame, Role, dataset};
use adloupe::jobs::JobContext;
use adloupe::language::sentence::SentenceEncoder;
use adloupe::language::topic_model::{Labelled, TopicModel};
use adloupe::models::{MODELS, kind};
use adloupe::train::TrainedModel;
use std::fmt::Write;
use std::sync::Arc;

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

/// A log whose ads are about one of two topics, in words of which the older and the newer rows share none; people click on
/// the first.
fn topical(rows: usize) -> LogFrame {
    // Words of the shipped list; the first four of each are told in the older half alone.
    const WORDS: [[&str; 8]; 2] = [
        ["flight", "beach", "trip", "airport", "hotel", "cruise", "酒店", "机票"],
        ["dog", "puppy", "leash", "kitten", "cat", "pet", "猫粮", "狗粮"],
    ];
    let mut rng = Rng::named(6, "topical");
    let mut text = String::from("time,user,ad,headline,click\n");
    let (mut topic, mut headline) = (0, String::new());
    for row in 0..rows {
        if row % 20 == 0 {
            topic = rng.below(2);
            let from = if row < rows * 7 / 10 { 0 } else { 4 };
            let words: Vec<&str> = (0..2).map(|_| WORDS[topic][from + rng.below(4)]).collect();
            headline = format!("{} {} {}", FILLER[rng.below(6)], words[0], words[1]);
        }
        let user = rng.below(40);
        let click = u8::from(rng.chance(if topic == 0 { 0.45 } else { 0.08 }));
        writeln!(text, "{},u{user},a{},{headline},{click}", 1_700_000_000 + row * 600, row / 20).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("topical.csv");
    std::fs::write(&path, text).unwrap();
    let roles = [("user", Role::User), ("ad", Role::Ad), ("headline", Role::Text), ("click", Role::Label)];
    let roles = roles.map(|(name, role)| (name.to_owned(), role)).to_vec();
    importers::open(&path, &ImportOptions { roles, ..ImportOptions::default() }, &JobContext::detached())
        .unwrap()
}

#[test]
fn what_texts_are_about_is_an_input_of_any_ranker_and_finds_a_planted_effect_in_words_never_met() {
    let log = topical(6_000);
    let context = JobContext::detached();
    let of = |topics: Option<TopicReader>| {
        let topics = topics.map(Arc::new);
        let options = EncodeOptions { text_vectors: 8, topics, ..EncodeOptions::default() };
        dataset::prepare(&log, &options, &context).unwrap()
    };
    let (without, with) = (of(None), of(Some(TopicReader::Shipped)));
    assert!(without.encoder.topics.is_empty());
    let names: Vec<&str> = with.encoder.numeric.iter().map(|field| field.name.as_str()).collect();
    assert!(names.contains(&"topic:headline:travel") && names.contains(&"topic:headline:pets"), "{names:?}");
    // The words of the newer rows say nothing to an encoder of the older ones; what they are about does.
    for id in ["logistic", "deep_fm"] {
        let found = |data: &Dataset| auc(&fit(data, &spec(id, &[("epochs", "4")])));
        let (blind, seeing) = (found(&without), found(&with));
        assert!(seeing > blind + 0.1 && seeing > 0.68, "{id}: {seeing} against {blind}");
    }
    // They go with the model, and a text alone has the numbers of its rows.
    let model = fit(&with, &spec("logistic", &[("epochs", "1")]));
    let folder = tempfile::tempdir().unwrap();
    model.save(folder.path()).unwrap();
    let again = TrainedModel::load(folder.path()).unwrap();
    assert_eq!(again.encoder, model.encoder);
    let rows = again.encoder.encode(&log, &context).unwrap();
    let place = names.iter().position(|name| *name == "topic:headline:travel").unwrap();
    assert_eq!(rows.numeric[place], with.numeric[place]);
    let field = &with.encoder.topics[0];
    let text = log_text(&log, 0);
    for (place, number) in with.encoder.numbers_of_text(field.side, &text).unwrap() {
        assert!((with.numeric[place][0] - number).abs() < 1e-5, "{}: {number}", names[place]);
    }
    // Learnt from labels in house names, they do the same; learnt on a sentence encoder they cannot go with a model.
    let labelled: Vec<Labelled> = (0..80)
        .map(|at| {
            let words = [["hotel", "cruise", "酒店", "机票"], ["cat", "pet", "猫粮", "狗粮"]][at % 2];
            let more = [["flight", "beach", "trip", "airport"], ["dog", "puppy", "leash", "kitten"]][at % 2];
            let text = format!("{} {} {at}", words[at / 2 % 4], more[at / 3 % 4]);
            Labelled { text, topic: ["远行", "毛孩子"][at % 2].into() }
        })
        .collect();
    let learnt = TopicModel::fit(&labelled, None, &context).unwrap();
    let path = folder.path().join("topics.json");
    std::fs::write(&path, serde_json::to_string(&learnt).unwrap()).unwrap();
    let data = of(Some(TopicReader::open(&path).unwrap()));
    assert!(data.encoder.numeric.iter().any(|field| field.name == "topic:headline:远行"));
    let found = auc(&fit(&data, &spec("logistic", &[("epochs", "4")])));
    assert!(found > 0.64, "{found}");
    small::write(folder.path());
    let encoder = SentenceEncoder::open(folder.path()).unwrap();
    let foreign = Box::new(TopicModel::fit(&labelled, Some(&encoder), &context).unwrap());
    let topics = Some(Arc::new(TopicReader::Learnt(foreign)));
    let options = EncodeOptions { text_vectors: 8, topics, ..EncodeOptions::default() };
    assert!(options.check().unwrap_err().hint.contains("without --encoder"));
    std::fs::write(&path, "a\tb").unwrap();
    assert!(TopicReader::open(&path).unwrap_err().place.contains("topics.json"));
}

fn log_text(log: &LogFrame, row: usize) -> String {
    let cells = adloupe::data::cells::coded(log, "headline").unwrap();
    cells.values[cells.codes[row] as usize].clone()
}

//! Do trials of other ways to learn find what was planted, and say so where there is nothing?

use crate::models::clicks;
use adloupe::base::rng::Rng;
use adloupe::data::batch::RARE_ID;
use adloupe::data::encode::{CategoricalField, Side};
use adloupe::data::{Dataset, Encoder};
use adloupe::insight::cold_start::{ColdPlan, cold_start};
use adloupe::jobs::{JobContext, Latest};
use adloupe::train::{TrainSpec, TrainedModel, fit};
use std::sync::Arc;

fn spec(kind: &str, settings: &[(&str, &str)]) -> TrainSpec {
    let mut spec = TrainSpec::new(kind).unwrap();
    for (name, value) in [("device", "cpu"), ("epochs", "4"), ("patience", "0")].iter().chain(settings) {
        spec.set(name, value).unwrap();
    }
    spec
}

/// Rows of users who live in one of eight cities, each of which likes every second ad; nothing else matters.
fn cities(rows: usize, users: u32) -> Dataset {
    let mut dataset = clicks(rows, users, 5);
    let mut rng = Rng::named(6, "cities");
    let city: Vec<u32> = dataset.categorical[0].iter().map(|user| 2 + (user * 7 + 3) % 8).collect();
    let likes = |city: &u32, ad: &u32| 0.08 + 0.5 * f64::from(city % 2 == ad % 2);
    let ads = dataset.categorical[1].iter();
    dataset.label = city.iter().zip(ads).map(|(city, ad)| f32::from(rng.chance(likes(city, ad)))).collect();
    dataset.conversion = Vec::new().into();
    dataset.sequences.clear();
    dataset.categorical.push(city.into());
    let field = CategoricalField {
        name: "city".into(),
        side: Side::User,
        values: (0..8).map(|city| format!("city{city}")).collect(),
        hash_buckets: 0,
    };
    let mut encoder = Encoder { conversion: None, ..(*dataset.encoder).clone() };
    encoder.sequences.clear();
    encoder.categorical.push(field);
    dataset.encoder = Arc::new(encoder);
    dataset
}

#[test]
fn new_users_are_read_as_their_city_where_the_city_decides() {
    let dataset = cities(24_000, 400);
    let plan = ColdPlan { spec: spec("fm", &[]), share: 0.25, mask: 0.3 };
    let found = cold_start(&dataset, &plan, &JobContext::detached()).unwrap();
    let users = &found.groups[0];
    assert_eq!((users.column.as_str(), users.ways.len()), ("user", 4));
    assert!(users.ids > 60 && users.rows > 500, "{users:?}");
    let alike = &users.ways[1];
    assert!(alike.loss_gain.unwrap().high < 0.0, "the mean of a city says more than nobody: {users:?}");
    let kept: usize = users.given_up.iter().map(|one| one.rows).sum();
    assert_eq!(kept, users.rows);
    assert_eq!(users.given_up[0].shared, ["city"], "{:?}", users.given_up);
    // Ads have no attributes here: every new one is the mean of all, and their prior that of all.
    let ads = &found.groups[1];
    assert_eq!((ads.column.as_str(), ads.ways.len()), ("ad", 5));
    assert!(ads.given_up.iter().all(|one| one.shared.is_empty() && one.is_mean));
    let priors = found.priors.unwrap();
    assert!(priors.ads == ads.ids && priors.inside <= priors.ads);
    for ad in &priors.listed {
        assert!((ad.expected.value - 0.33).abs() < 0.06, "half of the cities like each: {ad:?}");
        assert!((ad.posterior.high - ad.posterior.low) < (ad.expected.high - ad.expected.low), "{ad:?}");
    }
}

#[test]
fn a_model_that_welcomes_new_users_travels_and_others_read_as_before() {
    let context = JobContext::detached();
    let mut dataset = cities(6_000, 100);
    let settings = [("newcomers", "alike"), ("cold_mask", "0.2")];
    let model = fit(&dataset, &spec("deep_fm", &settings), &Latest::default(), &context).unwrap();
    let rows: Vec<u32> = dataset.test[..64].to_vec();
    let known = model.predict(&dataset, &rows, &context).unwrap();
    let new: Vec<u32> = vec![RARE_ID; dataset.rows];
    dataset.categorical[0] = new.into();
    let unknown = model.predict(&dataset, &rows, &context).unwrap();
    assert!(known != unknown && unknown.iter().all(|p| p.is_finite()));
    let folder = tempfile::tempdir().unwrap();
    model.save(folder.path()).unwrap();
    let back = TrainedModel::load(folder.path()).unwrap();
    assert_eq!(back.predict(&dataset, &rows, &context).unwrap(), unknown);
    assert_eq!(back.card.newcomers.as_ref().unwrap().fields[0].attributes, [2]);
    let plain = fit(&dataset, &spec("fm", &[]), &Latest::default(), &context).unwrap();
    assert_eq!(plain.card.newcomers, None);
}

#[test]
fn what_cannot_be_held_out_is_told() {
    let context = JobContext::detached();
    let dataset = cities(3_000, 50);
    let refused = |dataset: &Dataset, plan: ColdPlan| cold_start(dataset, &plan, &context).unwrap_err();
    let plan = ColdPlan { spec: spec("fm", &[]), share: 0.2, mask: 0.2 };
    assert!(refused(&dataset, ColdPlan { share: 1.0, ..plan.clone() }).why.contains("share of 1"));
    assert!(refused(&dataset, ColdPlan { mask: 0.0, ..plan.clone() }).why.contains("cannot forget"));
    let counted = ColdPlan { spec: spec("item_cf", &[]), ..plan.clone() };
    assert!(refused(&dataset, counted).why.contains("counted or solved"));
    let mut nameless = dataset.clone();
    let mut encoder = (*dataset.encoder).clone();
    (encoder.keys.user, encoder.keys.ad) = (None, None);
    nameless.encoder = Arc::new(encoder);
    assert!(refused(&nameless, plan).hint.contains("role user or ad"));
}

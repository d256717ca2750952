//! Do trials of other ways to learn find what was planted, and say so where there is nothing?

use crate::models::clicks;
use adloupe::base::rng::Rng;
use adloupe::data::batch::RARE_ID;
use adloupe::data::encode::{CategoricalField, Side};
use adloupe::data::{Dataset, Encoder};
use adloupe::insight::augmentation::{AugmentPlan, augmentation};
use adloupe::insight::cold_start::{ColdPlan, cold_start};
use adloupe::insight::mapping::{MappingPlan, map_users};
use adloupe::insight::transfer::{TransferPlan, apart, transfer};
use adloupe::jobs::{JobContext, Latest};
use adloupe::train::gan::Game;
use adloupe::train::mapping::Form;
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
    // Seven ads in place of each, alike in what they are.
    dataset.categorical[1] = dataset.categorical[1].iter().map(|ad| ad + 6 * rng.below(7) as u32).collect();
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
    encoder.categorical[1].values = (0..42).map(|ad| format!("ad{ad}")).collect();
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
    assert!(priors.ads == ads.ids && priors.ads > 3 && priors.inside <= priors.ads, "{priors:?}");
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

/// The rows whose value of a categorical field passes.
fn rows_where(dataset: &Dataset, field: usize, passes: impl Fn(u32) -> bool) -> Vec<u32> {
    (0..dataset.rows as u32).filter(|row| passes(dataset.categorical[field][*row as usize])).collect()
}

#[test]
fn a_few_rows_learn_sooner_from_a_base_that_knows_the_cities() {
    let dataset = cities(24_000, 400);
    let context = JobContext::detached();
    let [others, target] = apart(&dataset, &rows_where(&dataset, 0, |user| user >= 302));
    assert_eq!(others.train.len() + target.train.len(), dataset.train.len());
    let spec = spec("fm", &[]);
    let base = fit(&others, &spec, &Latest::default(), &context).unwrap();
    let plan = TransferPlan { spec, frozen: vec![], shares: vec![0.05, 1.0], seeds: 2 };
    let found = transfer(&base, &target, &plan, &context).unwrap();
    let [few, all] = &found.points[..] else { panic!("{found:?}") };
    assert!(few.rows < all.rows / 10 && all.rows == target.train.len(), "{found:?}");
    assert_eq!((few.gains.runs, all.gains.runs), (2, 2));
    let gain = |point: &adloupe::insight::transfer::SharePoint| point.gains.auc_gain.unwrap();
    assert!(gain(few).low > 0.0, "the base knows what 5 % of the rows do not show: {found:?}");
    assert!(gain(few).value > gain(all).value, "and is worth less the more rows there are: {found:?}");
    let frozen = TransferPlan { frozen: vec!["embedding".into()], shares: vec![0.05], ..plan.clone() };
    let stayed = transfer(&base, &target, &frozen, &context).unwrap();
    assert!(gain(&stayed.points[0]).low > 0.0, "{stayed:?}");
    let refused = |plan: TransferPlan| transfer(&base, &target, &plan, &context).unwrap_err();
    let wrong = refused(TransferPlan { frozen: vec!["tower".into()], ..plan.clone() });
    assert!(wrong.why.contains("no part 'tower'"), "{wrong}");
    assert!(refused(TransferPlan { shares: vec![1.5], ..plan.clone() }).why.contains("1.5"));
    assert!(refused(TransferPlan { seeds: 0, ..plan.clone() }).why.contains("0 seeds"));
    let nothing = transfer(&base, &apart(&dataset, &[])[1], &plan, &context).unwrap_err();
    assert!(nothing.why.contains("0 training rows"), "{nothing}");
}

/// Rows whose clicks only the user's taste decides: users of even number like even ads.
fn tastes(rows: usize, users: u32) -> Dataset {
    let mut dataset = cities(rows, users);
    let mut rng = Rng::named(8, "tastes");
    let pairs = dataset.categorical[0].iter().zip(dataset.categorical[1].iter());
    let likes = |(user, ad): (&u32, &u32)| 0.08 + 0.5 * f64::from(user % 2 == ad % 2);
    dataset.label = pairs.map(|pair| f32::from(rng.chance(likes(pair)))).collect();
    dataset.categorical.pop();
    let mut encoder = (*dataset.encoder).clone();
    encoder.categorical.pop();
    dataset.encoder = Arc::new(encoder);
    dataset
}

#[test]
fn a_taste_that_both_domains_share_is_mapped_to_users_whom_the_second_never_met() {
    let dataset = tastes(24_000, 300);
    let context = JobContext::detached();
    let ads = dataset.encoder.categorical[1].cardinality() as u32;
    let second = rows_where(&dataset, 1, |ad| ad >= ads / 2);
    let plan =
        MappingPlan { spec: spec("fm", &[("epochs", "12")]), form: Form::Linear, ridge: 0.01, share: 0.3 };
    for form in [Form::Linear, Form::Mlp] {
        let found = map_users(&dataset, &second, &MappingPlan { form, ..plan.clone() }, &context).unwrap();
        assert!(found.users[0] + found.users[1] <= 300 && found.users[1] > 60, "{found:?}");
        assert_eq!(found.ways.len(), 3);
        let mapped = &found.ways[2];
        assert!(mapped.auc_gain.unwrap().low > 0.02, "{found:?}");
        assert!(mapped.loss_gain.unwrap().high < 0.0, "{found:?}");
        assert!(found.explained > 0.05 && found.explained < 1.0, "{found:?}");
        // One vector for everybody cannot tell users apart.
        assert!(found.ways[1].measures.auc.unwrap().value < mapped.measures.auc.unwrap().low, "{found:?}");
    }
    let refused = |plan: &MappingPlan, rows: &[u32]| map_users(&dataset, rows, plan, &context).unwrap_err();
    assert!(refused(&MappingPlan { share: 0.0, ..plan.clone() }, &second).why.contains("share of 0"));
    let few = rows_where(&dataset, 0, |user| user < 12);
    assert!(refused(&plan, &few).why.contains("users are in both domains"));
    let counted = MappingPlan { spec: spec("ease", &[]), ..plan.clone() };
    assert!(refused(&counted, &second).why.contains("counted or solved"));
}

#[test]
fn made_rows_look_like_the_segment_and_whether_they_help_beside_repeated_ones_is_told_plainly() {
    let dataset = cities(16_000, 100);
    let context = JobContext::detached();
    let segment = rows_where(&dataset, 2, |city| city == 2);
    let game = Game { steps: 800, ..Game::default() };
    let plan = AugmentPlan { spec: spec("fm", &[]), game, share: 0.5, seeds: 2 };
    let found = augmentation(&dataset, &segment, &plan, &context).unwrap();
    assert_eq!(found.made, (found.rows as f64 / 2.0).round() as usize);
    assert_eq!((found.columns.len(), found.pairs.len()), (2, 1), "the city comes with the user: {found:?}");
    for column in &found.columns {
        assert!(column.distance < column.by_chance + 0.15, "{found:?}");
    }
    assert!((found.told_apart.rate - 0.5).abs() < 0.12, "{found:?}");
    assert!((found.game_value + 4.0_f64.ln()).abs() < 0.2, "{found:?}");
    let words = found.verdict();
    let [gain, repeated, over_repeated] = found.segment.lines().map(|(_, gains)| gains.auc_gain.unwrap());
    assert_eq!(words.contains("do not help"), gain.low <= 0.0 && gain.high >= 0.0, "{words}: {gain:?}");
    // Three ways on the same rows and seeds: what lies between two of them is what lies between them and the third.
    assert!((gain.value - repeated.value - over_repeated.value).abs() < 1e-9, "{found:?}");
    assert_eq!(found.segment.made.auc[0], found.segment.repeated.auc[0]);
    assert_eq!(
        found.segment.made.auc[1].unwrap().value,
        found.segment.made_over_repeated.auc[1].unwrap().value
    );
    assert_eq!(words.contains("not to be told from"), !over_repeated.excludes(0.0), "{words}");
    assert_eq!((found.segment.made.runs, found.whole.rows), (2, dataset.test.len()));
    let refused =
        |plan: &AugmentPlan, rows: &[u32]| augmentation(&dataset, rows, plan, &context).unwrap_err();
    assert!(refused(&AugmentPlan { share: 0.0, ..plan.clone() }, &segment).why.contains("0 times"));
    assert!(refused(&AugmentPlan { seeds: 0, ..plan.clone() }, &segment).why.contains("0 seeds"));
    assert!(refused(&plan, &segment[..20]).why.contains("training rows"));
    let mut many = dataset.clone();
    many.weight = vec![2.0; dataset.rows].into();
    assert!(augmentation(&many, &segment, &plan, &context).unwrap_err().why.contains("several impressions"));
}

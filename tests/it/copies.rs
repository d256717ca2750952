//! Do words of the library meet the market and what came of them come back: arms in the auctions, results in the ranking and
//! the prompts, pictures, tags, what users are interested in?

use crate::support::{self, LIMIT};
use adloupe::adcopy::Brief;
use adloupe::adcopy::library::{Addition, Item, Library, Performance};
use adloupe::adcopy::review::{Action, Status};
use adloupe::data::importers::{self, ImportOptions};
use adloupe::data::{EncodeOptions, LogFrame, Role, dataset};
use adloupe::domain::Segment;
use adloupe::insight::interests::interests_of;
use adloupe::jobs::JobContext;
use adloupe::language::topics::Topics;
use adloupe::metrics::Rate;
use adloupe::session::commands::CopyCommand;
use adloupe::session::{Command, Session};
use adloupe::ui::panels::slots::SlotsPanel;
use adloupe::ui::panels::studio::StudioPanel;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;

fn copy(session: &mut Session, command: CopyCommand) {
    session.apply(Command::Copy(command));
    assert!(session.settle(LIMIT));
}

/// A session with a trained model, an empty library of its own and a round of the sample brief for everybody.
fn written(folder: &tempfile::TempDir) -> Session {
    let mut session = support::trained(folder, "logistic");
    session.workspace.library = Some(folder.path().join("library"));
    session.workspace.privacy.k = 5;
    copy(&mut session, CopyCommand::SampleBrief(false));
    let brief = Brief { audience: Segment::All, ..session.store.copy.brief.clone().unwrap() };
    copy(&mut session, CopyCommand::SetBrief(Box::new(brief)));
    copy(&mut session, CopyCommand::Write);
    session
}

/// Keeps candidates; the first `approved` of them go through a second person.
fn kept(session: &mut Session, count: usize, approved: usize) {
    let round = session.store.copy.round.clone().unwrap().unwrap();
    let texts: Vec<String> = round.candidates.iter().take(count).map(|one| one.draft.text.clone()).collect();
    copy(session, CopyCommand::Keep(texts, "mei".into()));
    for place in 1..=approved {
        let id = format!("c{place:06}");
        copy(session, CopyCommand::Review(id.clone(), Action::Submit, "mei".into()));
        copy(session, CopyCommand::Review(id, Action::Approve, "tom".into()));
    }
}

#[test]
fn approved_variants_are_arms_of_the_auctions_and_what_they_did_is_noted_as_simulated() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = written(&folder);
    copy(&mut session, CopyCommand::PutOnPages(false));
    assert!(session.store.market.result.is_none(), "nothing unapproved reaches a page unasked");
    kept(&mut session, 3, 2);
    copy(&mut session, CopyCommand::PutOnPages(false));
    assert_eq!(session.workspace.panel, "slots");
    let run = session.store.market.result.clone().unwrap();
    assert_eq!(run.spec.variants.len(), 2, "the approved ones");
    copy(&mut session, CopyCommand::PutOnPages(true));
    let run = session.store.market.result.clone().unwrap();
    let names: Vec<&str> = run.spec.variants.iter().map(|variant| variant.name.as_str()).collect();
    assert_eq!(names, ["c000001", "c000002", "c000003"]);
    assert!(
        run.creatives.get("c000003").unwrap().is_draft && !run.creatives.get("c000001").unwrap().is_draft
    );
    let outcome = &run.run.outcome;
    let (baseline, tried) = (&outcome.baseline.variants, &outcome.what_if.as_ref().unwrap().variants);
    assert!(tried.len() == 4 && tried.iter().filter(|one| one.is_own).count() == 1, "{tried:?}");
    let shares: f64 = tried.iter().map(|one| one.share.rate).sum();
    assert!((shares - 1.0).abs() < 1e-9, "of the place's impressions each has its share");
    // By Thompson sampling every variant is tried; the best forecast alone shows few of them.
    let shown = |all: &[adloupe::market::variants::VariantOutcome]| {
        all.iter().filter(|one| one.impressions > 0).count()
    };
    assert!(shown(tried) == 4 && shown(tried) > shown(baseline), "{tried:?} and {baseline:?}");
    assert!(tried.iter().all(|one| one.ctr.low <= one.ctr.rate && one.ctr.rate <= one.ctr.high));
    copy(&mut session, CopyCommand::NoteRun("mei".into()));
    let library = session.store.copy.library.clone().unwrap();
    let did = &library.get("c000001").unwrap().performance[0];
    assert!(did.simulated && did.rate.trials > 0.0 && did.audience.is_empty(), "{did:?}");
    assert!(library.get("c000001").unwrap().did("").is_none(), "no person clicked");
    let entry = library.audit().unwrap().pop().unwrap();
    assert!(entry.action == "results" && entry.note.contains("a simulation of"), "{entry:?}");
    // The table tells who was shown how often.
    let mut harness = support::harness::<SlotsPanel>(session, look_dark());
    harness.run_steps(4);
    harness.get_by_label("Words that compete for a place");
    look(&mut harness, "slots");
}

/// Pictures to look at go into the folder that the environment names.
fn look<P>(harness: &mut Harness<'_, support::Parts<P>>, name: &str) {
    if let Ok(folder) = std::env::var("ADLOUPE_LOOK") {
        let kind = if look_dark() { "dark" } else { "light" };
        harness.render().unwrap().save(format!("{folder}/{name}_{kind}.png")).unwrap();
    }
}

fn look_dark() -> bool {
    std::env::var("ADLOUPE_LIGHT").is_err()
}

#[test]
fn results_of_people_move_the_forecast_and_narrow_it_and_reach_the_material() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = written(&folder);
    kept(&mut session, 2, 0);
    let before = session.store.copy.round.clone().unwrap().unwrap();
    let text = session.store.copy.library.as_ref().unwrap().get("c000001").unwrap().text.clone();
    let forecast = |round: &adloupe::tasks::write_copy::Round| {
        round.forecaster.as_ref().unwrap().forecast(&text).unwrap()
    };
    // It ran elsewhere before the same people: three times as many clicks as forecast.
    let first = forecast(&before);
    let rate = Rate::wilson((3.0 * first.value * 20_000.0).round(), 20_000.0);
    let mut library = Library::open(&folder.path().join("library")).unwrap();
    let did = |simulated| vec![Performance { rate, simulated, ..Performance::default() }];
    library.learn("tom", "simulated", vec![("c000002".into(), did(true))]).unwrap();
    library.learn("tom", "an export", vec![("c000001".into(), did(false))]).unwrap();
    copy(&mut session, CopyCommand::OpenLibrary(None));
    copy(&mut session, CopyCommand::Write);
    let after = session.store.copy.round.clone().unwrap().unwrap();
    let second = forecast(&after);
    assert_eq!(after.basis.as_ref().unwrap().of_library, 1, "a simulation says nothing new");
    let times = second.value / first.value;
    assert!((1.5..3.2).contains(&times), "{second:?} after {first:?}");
    let unseen = after.forecaster.as_ref().unwrap().forecast("words that nobody wrote").unwrap();
    let width = |one: adloupe::metrics::Estimate| one.high.ln() - one.low.ln();
    assert!(width(second) < 0.7 * width(unseen), "{second:?} and {unseen:?}");
    assert!(
        after.best.iter().any(|phrase| phrase.text == text && phrase.low == rate.low),
        "prompts hear of it"
    );
}

#[test]
fn tags_are_learnt_from_those_that_there_are_and_kept_with_who_did_it() {
    let folder = tempfile::tempdir().unwrap();
    let words = [["shoe", "trail", "run", "sole"], ["茶", "茶叶", "新茶", "春茶"]];
    let item = |at: usize, tag: &str| Item {
        text: format!("{} {} {at}", words[at % 2][at / 2 % 4], words[at % 2][at / 3 % 4]),
        tags: if tag.is_empty() { Vec::new() } else { vec![tag.to_owned()] },
        ..Item::default()
    };
    let mut items: Vec<Item> = (0..30).map(|at| item(at, ["shoes", "food"][at % 2])).collect();
    items.extend((30..34).map(|at| item(at, "")));
    let mut library = Library::open(folder.path()).unwrap();
    library.import("mei", "list", items).unwrap();
    let mut session = support::session();
    copy(&mut session, CopyCommand::OpenLibrary(Some(folder.path().to_owned())));
    copy(&mut session, CopyCommand::LearnTags);
    let learnt = session.store.copy.tags.clone().unwrap().unwrap();
    assert!(learnt.judged.trained.rate > 0.9 && learnt.judged.texts == 30, "{:?}", learnt.judged);
    assert_eq!((learnt.proposed.len(), learnt.unsure), (4, 0));
    copy(&mut session, CopyCommand::Tag("mei".into()));
    let library = session.store.copy.library.clone().unwrap();
    let tags: Vec<&str> = library.items()[30..].iter().map(|item| item.tags[0].as_str()).collect();
    assert_eq!(tags, ["shoes", "food", "shoes", "food"]);
    assert_eq!(library.audit().unwrap().pop().unwrap().action, "tag");
}

#[test]
fn a_creative_shows_whom_it_pleased_and_what_its_picture_looks_like() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("新茶.png");
    image::RgbaImage::from_fn(160, 90, |x, y| {
        let letters = y > 60 && (x / 3).is_multiple_of(2);
        image::Rgba(if letters { [20, 20, 20, 255] } else { [240, (60 + x) as u8, 40, 255] })
    })
    .save(&path)
    .unwrap();
    let mut session = support::session();
    session.workspace.library = Some(folder.path().join("library"));
    let mut library = Library::open(&folder.path().join("library")).unwrap();
    let did = |audience: &str, clicks: f64, shared| Performance {
        audience: audience.into(),
        rate: Rate::wilson(clicks, 2_000.0),
        shared,
        ..Performance::default()
    };
    let mut item =
        Item { text: "春天的新茶，限时上新".into(), product: "新茶".into(), ..Item::default() };
    item.learn(vec![did("", 90.0, 1), did("city = '上海'", 120.0, 1), did("age_band = '18-24'", 40.0, 3)]);
    library.add("mei", vec![Addition { item, ..Addition::default() }]).unwrap();
    copy(&mut session, CopyCommand::OpenLibrary(None));
    copy(&mut session, CopyCommand::Illustrate("c000001".into(), Some(path.clone()), "mei".into()));
    let library = session.store.copy.library.clone().unwrap();
    assert!(library.get("c000001").unwrap().picture.as_ref().unwrap().look.lettering > 0.1);
    let mut harness = support::harness::<StudioPanel>(session, look_dark());
    harness.run_steps(2);
    harness.get_by_label_contains("Library and review").click();
    harness.run_steps(3);
    harness.get_by_label("c000001").click();
    harness.run_steps(3);
    harness.get_by_label_contains("city = '上海' 6.000 %");
    harness.get_by_label_contains("shown with others, 3 together");
    harness.get_by_label_contains("160 x 90");
    assert!(harness.state_mut().0.settle(LIMIT), "the picture is read");
    harness.run_steps(3);
    look(&mut harness, "creative");
    let session = &mut harness.state_mut().0;
    // A picture that is gone is told, and the window lives on.
    std::fs::remove_file(&path).unwrap();
    copy(session, CopyCommand::ShowPicture(path));
    assert!(session.store.copy.picture.as_ref().unwrap().seen.is_err());
    assert_eq!(library.get("c000001").unwrap().status, Status::Draft);
}

/// A log of searches and clicked ads: users like what they searched for a day before, and turn to the other topic halfway.
fn searches(users: usize) -> LogFrame {
    let topics = [["hotel", "flight", "beach", "trip"], ["shoes", "running", "sneakers", "trail"]];
    let mut rng = adloupe::base::rng::Rng::named(2, "searches");
    let mut text = String::from("time,user,ad,headline,query,click\n");
    for day in 0..40usize {
        for user in 0..users {
            // Half of them turn to the other topic after half of the time.
            let liked = (user + usize::from(day >= 20 && user % 4 < 2)) % 2;
            let ad = rng.below(8);
            let of_ad = ad % 2;
            let chance = if of_ad == liked { 0.5 } else { 0.05 };
            let (query, headline) = (topics[liked][rng.below(4)], topics[of_ad][ad / 2]);
            let click = u8::from(rng.chance(chance));
            let time = 1_700_000_000 + day * 86_400 + user;
            text += &format!("{time},u{user},a{ad},{headline} for you,{query} near me,{click}\n");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("searches.csv");
    std::fs::write(&path, text).unwrap();
    let roles = [
        ("user", Role::User),
        ("ad", Role::Ad),
        ("headline", Role::Text),
        ("query", Role::Text),
        ("click", Role::Label),
    ];
    let roles = roles.map(|(name, role)| (name.to_owned(), role)).to_vec();
    let options = ImportOptions { roles, ..ImportOptions::default() };
    importers::open(&path, &options, &JobContext::detached()).unwrap()
}

#[test]
fn interests_are_features_of_any_ranker_by_one_switch_and_go_with_the_model() {
    use crate::models::{fit, spec};
    let log = searches(100);
    let options =
        |interest_days| EncodeOptions { text_vectors: 8, interest_days, ..EncodeOptions::default() };
    let context = JobContext::detached();
    let with = dataset::prepare(&log, &options(7), &context).unwrap();
    let names: Vec<&str> = with.encoder.numeric.iter().map(|field| field.name.as_str()).collect();
    assert!(names.contains(&"interest:query:0") && names.contains(&"interest:headline:7"), "{names:?}");
    let kinds: Vec<(String, bool)> = (with.encoder.texts.iter())
        .filter_map(|field| Some((field.name.clone(), field.interest?.clicked_only)))
        .collect();
    assert_eq!(kinds, [("headline".to_owned(), true), ("query".to_owned(), false)], "ads count when clicked");
    // The first row of each user has no past: the mean of the scale.
    let place = names.iter().position(|name| *name == "interest:query:0").unwrap();
    assert!((0..100).all(|row| with.numeric[place][row] == 0.0));
    let auc = |data: &adloupe::data::Dataset| {
        fit(data, &spec("deep_fm", &[("epochs", "6")])).card.test.unwrap().auc.unwrap().value
    };
    let model = fit(&with, &spec("logistic", &[]));
    let folder = tempfile::tempdir().unwrap();
    model.save(folder.path()).unwrap();
    let again = adloupe::train::TrainedModel::load(folder.path()).unwrap();
    assert_eq!(again.encoder, model.encoder);
    let rows = again.encoder.encode(&log, &context).unwrap();
    assert_eq!(rows.numeric[place], with.numeric[place], "the log encodes as in training");
    // Past searches tell what the row's own text does not say where searches are left out of it.
    let blind = |interest_days| EncodeOptions { leave_out: vec!["user".into()], ..options(interest_days) };
    let of = |options: EncodeOptions| dataset::prepare(&log, &options, &context).unwrap();
    let (without, with) = (auc(&of(blind(0))), auc(&of(blind(7))));
    assert!(with > without - 0.03, "{with} and {without}");
    let wrong = EncodeOptions { interest_days: 7, ..EncodeOptions::default() };
    assert!(dataset::prepare(&log, &wrong, &context).unwrap_err().why.contains("not read as vectors"));
}

#[test]
fn what_a_user_is_interested_in_fades_and_is_told_with_its_texts() {
    let log = searches(12);
    let context = JobContext::detached();
    let topics = Topics::shipped().unwrap();
    let first = |half_life: f64, user: &str| {
        let told = interests_of(&log, user, half_life, &topics, &context).unwrap();
        (told.interests.tags[0].topic.clone(), told)
    };
    // u0 liked travel for 20 days and shoes for 20: with a short memory shoes, and travel still counts with a long one.
    let (topic, told) = first(3.0, "u0");
    assert_eq!(topic, "shoes", "{:?}", told.interests.tags);
    let weight = |told: &adloupe::insight::interests::ToldInterests| {
        told.interests.tags.iter().find(|tag| tag.topic == "travel").map_or(0.0, |tag| tag.weight)
    };
    assert!(weight(&first(100.0, "u0").1) > 5.0 * weight(&told));
    assert_eq!(told.columns, ["headline (of clicked ads)", "query (of every row)"]);
    assert!(told.texts[0].weight > 0.7 && told.texts.windows(2).all(|two| two[0].weight >= two[1].weight));
    let own: f32 = told.near.first().map_or(0.0, |near| near.words.iter().map(|word| word.share).sum());
    assert!(told.near.first().is_none_or(|near| (own - near.cosine).abs() < 1e-3), "{:?}", told.near);
    let nobody = interests_of(&log, "nobody", 3.0, &topics, &context).unwrap_err();
    assert!(nobody.why.contains("no 'nobody'"), "{nobody}");
    assert!(interests_of(&log, "u0", 0.0, &topics, &context).unwrap_err().why.contains("half-life"));
}

#[test]
fn interests_stand_in_the_window_and_models_read_them_by_a_switch() {
    use adloupe::session::commands::TrainCommand;
    use adloupe::ui::panels::subjects::SubjectsPanel;
    use adloupe::ui::panels::training::TrainingPanel;
    let folder = tempfile::tempdir().unwrap();
    let mut harness = support::harness::<SubjectsPanel>(support::opened(&folder, 3000), look_dark());
    let settle = |harness: &mut Harness<'_, support::Parts<SubjectsPanel>>| {
        for _ in 0..3 {
            harness.run_ok();
            assert!(harness.state_mut().0.settle(LIMIT));
        }
        harness.run_ok();
    };
    settle(&mut harness);
    let first =
        harness.state().0.store.subjects.clone().unwrap().list.as_ref().unwrap().listed[0].name.clone();
    harness.get_by_label(&first).click();
    settle(&mut harness);
    harness.get_by_label("Interests by texts");
    harness.get_by_label_contains("creative_text (of clicked ads)");
    let told = harness.state().0.store.subjects.clone().unwrap();
    let told = told.interests.as_ref().unwrap().as_ref().unwrap();
    assert!(told.count > 0 && !told.interests.tags.is_empty() && told.half_life == 14.0, "{told:?}");
    look(&mut harness, "interests");
    let session = &mut harness.state_mut().0;
    session.apply(Command::Rows(adloupe::session::commands::RowsCommand::FadeInterests(3.0)));
    settle(&mut harness);
    let told = harness.state().0.store.subjects.clone().unwrap();
    assert_eq!(told.interests.as_ref().unwrap().as_ref().unwrap().half_life, 3.0);
    drop(harness);
    let mut harness = support::harness::<TrainingPanel>(support::opened(&folder, 3000), look_dark());
    harness.run_ok();
    assert!(harness.query_by_label("and each user's interests").is_none(), "texts first");
    harness.get_by_label("Read texts as vectors").click();
    harness.run_ok();
    assert!(harness.state_mut().0.settle(LIMIT));
    harness.run_ok();
    harness.get_by_label("and what they are about");
    harness.get_by_label("and each user's interests").click();
    harness.run_ok();
    assert!(harness.state_mut().0.settle(LIMIT));
    harness.run_ok();
    look(&mut harness, "training_interests");
    let session = &mut harness.state_mut().0;
    let dataset = session.store.dataset.clone().unwrap();
    let named = |name: &str| dataset.encoder.numeric.iter().any(|field| field.name == name);
    assert!(named("interest:creative_text:0"), "the log is encoded anew");
    let about = |dataset: &adloupe::data::Dataset, of: &str| {
        dataset.encoder.numeric.iter().filter(|field| field.name.starts_with(of)).count()
    };
    let topics = about(&dataset, "topic:creative_text:");
    assert!(topics > 3 && about(&dataset, "interest:creative_text:") == 16 + topics, "{topics} topics");
    session.apply(Command::Train(TrainCommand::ReadTopics(false)));
    assert!(session.settle(LIMIT));
    assert_eq!(about(session.store.dataset.as_ref().unwrap(), "topic:"), 0);
    session.apply(Command::Train(TrainCommand::TopicsOf("/nowhere/topics.json".into())));
    assert!(
        session.notices.all().last().unwrap().text.contains("topics.json"),
        "{:?}",
        session.notices.all()
    );
    session.apply(Command::Train(TrainCommand::ReadTexts(0)));
    assert!(session.settle(LIMIT));
    assert_eq!(session.store.training.encoding().interest_days, 0, "no interests without vectors");
}

#[test]
fn a_sentence_encoder_reads_the_library_in_the_background_and_finds_what_means_the_same() {
    use crate::language::small;
    let folder = tempfile::tempdir().unwrap();
    let encoder = folder.path().join("tiny-encoder");
    std::fs::create_dir_all(&encoder).unwrap();
    small::write(&encoder);
    let place = folder.path().join("library");
    let item = |text: &str| Item { text: text.into(), product: "w1".into(), ..Item::default() };
    let mut library = Library::open(&place).unwrap();
    let texts = ["w1 w2 w3", "w4 w5", "w5 w5 w5 w5", "新茶上市，清香回甘"];
    library.import("mei", "list", texts.map(item).to_vec()).unwrap();
    let mut session = support::session();
    session.workspace.library = Some(place.clone());
    copy(&mut session, CopyCommand::OpenLibrary(None));
    // Chosen before or after the library is opened, it reads; until then and without it the built-in one answers.
    copy(&mut session, CopyCommand::Search("w4".into()));
    let found = session.store.copy.found.clone().unwrap().unwrap();
    assert!(found.index.by() == "the built-in encoder" && !found.hits[0].words.is_empty());
    copy(&mut session, CopyCommand::ChooseEncoder(Some(encoder.clone())));
    let read = session.store.copy.meanings.clone().unwrap().unwrap();
    assert_eq!((read.left, read.foreign), (0, 1), "no Chinese for an encoder that knows none");
    copy(&mut session, CopyCommand::Search("w5 w4".into()));
    let found = session.store.copy.found.clone().unwrap().unwrap();
    assert_eq!((found.index.by(), found.index.unread()), ("tiny-encoder", 1));
    assert!(found.hits[0].words.is_empty(), "it reads a text whole: {:?}", found.hits[0]);
    copy(&mut session, CopyCommand::Search("新茶".into()));
    let failure = session.store.copy.found.clone().unwrap().err().unwrap();
    assert!(failure.why.contains("knows no Chinese") && failure.hint.contains("built-in"), "{failure}");
    // Its files vanish; what was opened goes on, and a new creative is read when it comes.
    std::fs::remove_dir_all(&encoder).unwrap();
    let mut library = Library::open(&place).unwrap();
    library.import("mei", "list", vec![item("w2 w2")]).unwrap();
    copy(&mut session, CopyCommand::OpenLibrary(None));
    let read = session.store.copy.meanings.clone().unwrap().unwrap();
    assert!(read.left == 0 && read.meanings.of("w2 w2").is_some(), "{read:?}");
    // A copy that only means the same is a copy, with the encoder's name; by its letters alone it is none.
    let library = session.store.copy.library.clone().unwrap();
    let by_meaning = library.originals([], Some(read.meanings.clone()));
    let words = ["w1", "w2", "w3", "w4", "w5"];
    let some =
        (0..625).map(|at| [at % 5, at / 5 % 5, at / 25 % 5, at / 125].map(|place| words[place]).join(" "));
    let only_meant = some.into_iter().find_map(|text| {
        let by_letters = by_meaning.by_letters().nearest(&text, |_| false);
        let near = by_meaning.nearest(&text, |_| false)?;
        (near.copied && !by_letters.is_some_and(|near| near.copied)).then_some(near)
    });
    let (name, cosine) = only_meant.clone().unwrap().meaning.unwrap();
    assert!(name == "tiny-encoder" && cosine >= 0.92, "{only_meant:?}");
    assert!(
        by_meaning.nearest("alpha beta gamma", |_| false).is_none_or(|near| !near.copied),
        "unknown words"
    );
    let chinese = by_meaning.nearest("新茶上市，清香回甘", |_| false).unwrap();
    assert!(chinese.copied && chinese.meaning.is_none(), "by its letters: {chinese:?}");
    // The screen says which is in use; a folder that is none is told there.
    let mut harness = support::harness::<StudioPanel>(session, look_dark());
    harness.run_steps(2);
    harness.get_by_label_contains("Library and review").click();
    harness.run_steps(3);
    harness.get_by_label_contains("it has read every text but 1");
    look(&mut harness, "encoder");
    let session = &mut harness.state_mut().0;
    copy(session, CopyCommand::ChooseEncoder(Some(folder.path().join("nothing"))));
    let failure = session.store.copy.meanings.clone().unwrap().err().unwrap();
    assert!(failure.hint.contains("fetch-models"), "{failure}");
    copy(session, CopyCommand::ChooseEncoder(None));
    copy(session, CopyCommand::Search("新茶".into()));
    let found = session.store.copy.found.clone().unwrap().unwrap();
    assert_eq!((found.index.by(), found.hits[0].id.as_str()), ("the built-in encoder", "c000004"));
}

//! Is it told right where a model fails, how it treats groups, and do report and commands say the same?

use crate::support::{self, LIMIT};
use adloupe::data::query::misfit::{Misfit, MisfitQuery};
use adloupe::data::{LogFrame, Split};
use adloupe::domain::Segment;
use adloupe::insight::by_column::by_column;
use adloupe::insight::dependence::dependence;
use adloupe::insight::fairness::{FairnessQuestion, fairness};
use adloupe::insight::regions::regions;
use adloupe::insight::report::{ReportPlan, report, write};
use adloupe::insight::slices::{known, slices};
use adloupe::jobs::JobContext;
use adloupe::session::commands::inspect::InspectCommand;
use adloupe::session::commands::{DataCommand, TrainCommand};
use adloupe::session::{Command, Session};
use adloupe::ui::panels::Panel;
use adloupe::ui::panels::curves::CurvesPanel;
use adloupe::ui::panels::fairness::FairnessPanel;
use adloupe::ui::panels::slices::SlicesPanel;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;

/// A session over the shipped sample with a logistic regression, which cannot know what joins two columns.
fn shipped() -> Session {
    let mut session = support::session();
    session.apply(Command::Data(DataCommand::OpenSample));
    assert!(session.settle(LIMIT) && session.store.dataset.is_some(), "{:?}", session.notices.all());
    session.apply(Command::Train(TrainCommand::Start(support::spec("logistic", "4"))));
    assert!(session.settle(LIMIT) && session.store.training.model().is_some(), "{:?}", session.notices.all());
    session
}

fn log_of(session: &Session) -> LogFrame {
    session.store.log.as_ref().unwrap().frame.clone()
}

#[test]
fn the_planted_slices_of_the_sample_are_recovered() {
    let session = shipped();
    let (log, dataset) = (log_of(&session), session.store.dataset.clone().unwrap());
    let model = session.store.training.model().unwrap();
    // The truth joins gender and category (sample_data/README.md); a logistic regression adds them.
    for by in [Misfit::Calibration, Misfit::Loss] {
        let query = MisfitQuery { by, ..MisfitQuery::default() };
        let found = slices(model, &dataset, &log, (Split::Test, &query), &JobContext::detached()).unwrap();
        let columns = |slice: &adloupe::data::query::misfit::Slice| -> Vec<String> {
            slice.parts.iter().map(|(column, _)| column.clone()).collect()
        };
        assert!(
            found.slices.iter().any(|s| columns(s) == ["gender", "category"]),
            "{by:?}: {:?}",
            found.slices
        );
        // The figures of a slice are those of the rows that its segment names.
        for slice in &found.slices {
            let Some(segment) = &slice.segment else { continue };
            let all = adloupe::data::query::matching_rows(&log, segment).unwrap();
            let test: std::collections::HashSet<u32> = dataset.test.iter().copied().collect();
            let inside = all.iter().filter(|row| test.contains(row)).count();
            assert_eq!(inside as f64, slice.fit.actual.trials, "{segment}");
        }
    }
}

#[test]
fn what_the_model_never_met_is_known_of_each_row() {
    let folder = tempfile::tempdir().unwrap();
    let session = support::trained(&folder, "logistic");
    let dataset = session.store.dataset.clone().unwrap();
    let found = known(&dataset, &dataset.test);
    let users = found.iter().find(|known| known.name == "training rows of user_id").unwrap();
    // By hand: a user of a test row whose code stands in no training row has none.
    for (place, row) in dataset.test.iter().enumerate().take(300) {
        let user = dataset.users[*row as usize];
        let seen = dataset.train.iter().filter(|other| dataset.users[**other as usize] == user).count();
        let least = [0, 1, 10, 100][users.codes[place] as usize];
        assert!(seen >= least || users.codes[place] == 0, "{seen} {}", users.codes[place]);
        assert!(seen > 0 || users.codes[place] == 0, "{seen} {}", users.codes[place]);
    }
}

#[test]
fn groups_and_columns_add_up_to_all_test_rows() {
    let folder = tempfile::tempdir().unwrap();
    let session = support::trained(&folder, "logistic");
    let (log, dataset) = (log_of(&session), session.store.dataset.clone().unwrap());
    let model = session.store.training.model().unwrap().clone();
    let context = JobContext::detached();
    let question = FairnessQuestion {
        column: "age_band".into(),
        threshold: Some(0.05),
        value_over_cost: Some(20.0),
        min_impressions: 1.0,
    };
    let found = fairness(&model, &dataset, &log, (Split::Test, &question), &context).unwrap();
    let judged: f64 = found.groups.iter().map(|group| group.fit.actual.trials).sum();
    let left: f64 = found.left_out.iter().map(|(_, rate, _)| rate.trials).sum();
    assert_eq!(judged + left, dataset.test.len() as f64);
    let predicted = model.predict(&dataset, &dataset.test, &context).unwrap();
    let selected: f64 = found.chosen.groups.iter().map(|group| group.selected.successes).sum();
    if left == 0.0 {
        assert_eq!(selected, predicted.iter().filter(|p| **p >= 0.05).count() as f64);
    }
    let told =
        by_column(std::slice::from_ref(&model), &[&*dataset], &log, (Split::Test, None, "hour"), &context)
            .unwrap();
    let shown: f64 = told.groups.iter().map(|group| group.actual.trials).sum();
    assert_eq!(shown, dataset.test.len() as f64);
    let expected: f64 = told.groups.iter().map(|group| group.predicted[0] * group.actual.trials).sum();
    let sum: f64 = predicted.iter().map(|p| f64::from(*p)).sum();
    assert!((expected - sum).abs() < 1e-6 * sum, "{expected} {sum}");
    let unknown = FairnessQuestion { column: "planet".into(), ..question };
    let failure = fairness(&model, &dataset, &log, (Split::Test, &unknown), &context).unwrap_err();
    assert!(failure.to_string().contains("planet"), "{failure}");
}

/// A session over a log with a number in it, and a logistic regression of it.
fn with_numbers(folder: &tempfile::TempDir) -> Session {
    let path = folder.path().join("numbers.csv");
    let mut rng = adloupe::base::rng::Rng::named(9, "numbers");
    let mut text = "user_id,city,income,click\n".to_owned();
    for row in 0..3000 {
        let (city, income) = (["Köln", "上海", "Lyon"][rng.below(3)], 10.0 + 90.0 * rng.uniform());
        let click = i32::from(rng.chance(0.02 + 0.002 * income));
        text += &format!("u{},{city},{income:.2},{click}\n", row % 300);
    }
    std::fs::write(&path, text).unwrap();
    let mut session = support::session();
    session.apply(Command::Data(DataCommand::Open(path)));
    assert!(session.settle(LIMIT) && session.store.dataset.is_some(), "{:?}", session.notices.all());
    session.apply(Command::Train(TrainCommand::Start(support::spec("logistic", "3"))));
    assert!(session.settle(LIMIT) && session.store.training.model().is_some(), "{:?}", session.notices.all());
    session
}

#[test]
fn single_rows_of_a_linear_model_are_straight_and_parallel() {
    let folder = tempfile::tempdir().unwrap();
    let session = with_numbers(&folder);
    let dataset = session.store.dataset.clone().unwrap();
    let model = session.store.training.model().unwrap().clone();
    let context = JobContext::detached();
    let log_odds = |p: f64| (p / (1.0 - p)).ln();
    let number = dataset.encoder.numeric.first().expect("the sample has a number");
    let found = dependence(&model, &dataset, (Split::Test, &number.name), &context).unwrap();
    let x: Vec<f64> = found.values.iter().map(|value| f64::from(number.scale(value.x))).collect();
    let slope = |row: &[f64], k: usize| (log_odds(row[k]) - log_odds(row[0])) / (x[k] - x[0]);
    let last = x.len() - 1;
    assert!(last > 3, "{found:?}");
    for row in &found.single {
        for k in 1..last {
            assert!((slope(row, k) - slope(row, last)).abs() < 2e-3, "{row:?}");
        }
        assert!((slope(row, last) - slope(&found.single[0], last)).abs() < 2e-3);
    }
    // Local effects have no other shape than the mean where nothing is joined, up to the bend of the sigmoid.
    let (first, end) = (&found.values[0], &found.values[last]);
    let rise = end.mean.value - first.mean.value;
    let local = end.local.unwrap() - first.local.unwrap();
    assert!((rise - local).abs() < 0.2 * rise.abs() + 1e-3, "{rise} {local}");
    // Categories: the lines of all rows are parallel in log odds.
    let found = dependence(&model, &dataset, (Split::Test, "city"), &context).unwrap();
    let step = |row: &[f64]| log_odds(row[1]) - log_odds(row[0]);
    for row in &found.single {
        assert!((step(row) - step(&found.single[0])).abs() < 2e-3);
    }
    assert_eq!(found.values.iter().map(|value| value.rows_here).sum::<usize>(), dataset.test.len());
    let failure = dependence(&model, &dataset, (Split::Test, "planet"), &context).unwrap_err();
    assert!(failure.hint.contains("city"), "{failure}");
}

#[test]
fn regions_are_found_on_some_users_and_judged_on_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let session = support::trained(&folder, "deep_fm");
    let (log, dataset) = (log_of(&session), session.store.dataset.clone().unwrap());
    let model = session.store.training.model().unwrap().clone();
    let context = JobContext::detached();
    for by in [Misfit::Calibration, Misfit::Loss] {
        let found = regions(&model, &dataset, &log, (Split::Train, by), &context).unwrap();
        let [asked, looked, finding, judging] = found.rows;
        assert_eq!((asked, finding + judging), (dataset.train.len(), looked));
        assert!(finding.abs_diff(judging) < looked / 3, "{:?}", found.rows);
        assert!(!found.layers.is_empty() && found.regions <= 8);
        assert_eq!(found.misfits.total.actual.trials, judging as f64);
        assert_eq!(found.features.len(), found.misfits.slices.len());
    }
    let mut harness = drawn::<SlicesPanel>(session);
    harness.get_by_label("training rows").click();
    harness.run_steps(2);
    harness.get_by_label("regions of its last layers").click();
    for _ in 0..3 {
        harness.run_steps(2);
        assert!(harness.state_mut().0.settle(LIMIT));
    }
    harness.get_by_label_contains("The regions were found on ");
    let session = support::trained(&folder, "logistic");
    let (log, dataset) = (log_of(&session), session.store.dataset.clone().unwrap());
    let model = session.store.training.model().unwrap().clone();
    let failure = regions(&model, &dataset, &log, (Split::Test, Misfit::Calibration), &context).unwrap_err();
    assert!(failure.hint.contains("by columns"), "{failure}");
}

#[test]
fn a_report_is_written_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let session = support::trained(&folder, "logistic");
    let (log, dataset) = (log_of(&session), session.store.dataset.clone().unwrap());
    let model = session.store.training.model().unwrap().clone();
    let plan = ReportPlan {
        columns: vec!["city".into(), "planet".into()],
        fairness: Some("gender".into()),
        folders: vec!["model".into()],
        files: vec!["sample.parquet".into()],
    };
    let made = report(&[model.clone(), model], &[&*dataset, &*dataset], &log, &plan, &JobContext::detached())
        .unwrap();
    assert!(made.left_out.iter().any(|why| why.contains("planet")), "{:?}", made.left_out);
    // A model beside itself differs by nothing.
    assert_eq!(made.others[0].differences.auc.unwrap().value, 0.0);
    let path = folder.path().join("报告 1.html");
    let [page, paper, figures] = write(&made, &path).unwrap();
    assert!(std::fs::read(paper).unwrap().starts_with(b"%PDF-1."));
    let page = std::fs::read_to_string(page).unwrap();
    for words in
        ["Reliability", "Actual and predicted by city", "Groups of gender", "Limits", &made.commands.slices]
    {
        assert!(page.contains(&words.replace('&', "&amp;")), "{words}");
    }
    let figures: serde_json::Value = serde_json::from_slice(&std::fs::read(figures).unwrap()).unwrap();
    assert_eq!(figures["evaluation"]["scores"]["auc"]["value"], made.evaluation.scores.auc.value);
    // Any of the three names, or one without an ending, gives the same three.
    for name in ["报告 2.pdf", "报告 2.json", "报告 2"] {
        let paths = write(&made, &folder.path().join(name)).unwrap();
        let names = paths.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
        assert_eq!(names, ["报告 2.html", "报告 2.pdf", "报告 2.json"]);
    }
    let dotted = write(&made, &folder.path().join("model v1.2")).unwrap();
    assert!(dotted[1].ends_with("model v1.2.pdf"));
    // A folder that is not there.
    let nowhere = folder.path().join("sample.parquet").join("report.html");
    assert!(write(&made, &nowhere).is_err());
}

fn drawn<'a, P: Panel + Default + 'a>(session: Session) -> Harness<'a, (Session, P)> {
    let mut harness: Harness<'a, (Session, P)> = support::harness(session, true);
    for _ in 0..4 {
        harness.run_steps(2);
        assert!(harness.state_mut().0.settle(LIMIT));
    }
    harness
}

#[test]
fn the_panels_show_slices_and_groups_and_choose_a_slice() {
    let mut harness = drawn::<SlicesPanel>(shipped());
    let report = harness.state().0.store.inspect.sliced.clone().unwrap();
    let worst = report.report.as_ref().unwrap().slices[0].clone();
    let parts: Vec<String> = worst.parts.iter().map(|(column, value)| format!("{column} {value}")).collect();
    harness.get_by_label(&parts.join(", ")).click();
    harness.run_steps(3);
    assert!(harness.state_mut().0.settle(LIMIT));
    assert_eq!(harness.state().0.store.chosen, worst.segment);
    harness.run_steps(2);
    harness.get_by_label("Its curves").click();
    harness.run_steps(2);
    assert!(harness.state_mut().0.settle(LIMIT));
    let judged = harness.state().0.store.inspect.evaluated.clone().unwrap();
    assert_eq!(Some(judged.segment.clone()), worst.segment);
    assert_eq!(judged.evaluation.rows as f64, worst.fit.actual.trials);

    let folder = tempfile::tempdir().unwrap();
    let harness = drawn::<FairnessPanel>(support::trained(&folder, "logistic"));
    harness.get_by_label("demographic parity");
    let answer = harness.state().0.store.inspect.fairness.clone().unwrap();
    assert!(answer.found.is_ok(), "{answer:?}");
    let mut harness = harness;
    harness.get_by_label("Exposure").click();
    harness.run_steps(2);
    assert!(harness.state_mut().0.settle(LIMIT));
    harness.run_steps(2);
    harness.get_by_label_contains("Every one of ");
    assert!(harness.query_all_by_label_contains("Share of lists by ").next().is_some());
    let answer = harness.state().0.store.inspect.exposure.clone().unwrap();
    assert!(answer.found.as_ref().is_ok_and(|found| found.users > 10), "{answer:?}");
}

#[test]
fn panels_without_a_model_offer_to_train_one() {
    let harness = support::harness::<SlicesPanel>(support::session(), true);
    harness.get_by_label("Train a model");
    let harness = support::harness::<FairnessPanel>(support::session(), false);
    harness.get_by_label("Train a model");
}

#[test]
fn curves_draw_every_model_a_threshold_and_a_column() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = support::trained(&folder, "logistic");
    session.apply(Command::Train(TrainCommand::Start(support::spec("fm", "1"))));
    assert!(session.settle(LIMIT));
    session.apply(Command::Inspect(InspectCommand::Evaluate(Split::Test, String::new())));
    assert!(session.settle(LIMIT));
    let mut harness = drawn::<CurvesPanel>(session);
    harness.get_by_label("the other models as well").click();
    for _ in 0..3 {
        harness.run_steps(2);
        assert!(harness.state_mut().0.settle(LIMIT));
    }
    let beside = harness.state().0.store.inspect.beside.clone().unwrap();
    assert_eq!(beside.models.len(), 1);
    assert_eq!(beside.segment, Segment::All);
    harness.get_by_label_contains("ROC (true positive rate against false positive rate): fm");
    assert!(harness.get_all_by_label_contains("ROC (true positive").count() == 1);
    harness.get_by_label_contains("Profit (profit");
    let told = harness.state().0.store.inspect.by_column.clone().unwrap();
    assert_eq!(told.found.as_ref().unwrap().models.len(), 2);
    // A page from the window is the page of the command line.
    let path = folder.path().join("window.html");
    let command = InspectCommand::Report {
        path: path.clone(),
        beside: true,
        columns: vec!["hour".into()],
        fairness: None,
    };
    harness.state_mut().0.apply(Command::Inspect(command));
    assert!(harness.state_mut().0.settle(LIMIT));
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page.contains("FOLDER_OF_FM") && page.contains("logistic"), "{page}");
    assert!(path.with_extension("json").exists());
}

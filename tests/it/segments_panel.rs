//! Does the segments panel show what it should: empty, loaded, filtered, failed, saved?

use crate::support::{self, LIMIT, opened, session};
use adloupe::domain::Segment;
use adloupe::session::commands::{DataCommand, SegmentCommand, TrainCommand};
use adloupe::session::{Command, Session};
use adloupe::ui::charts::picture::{Form, Wanted, take};
use adloupe::ui::panels::segments::SegmentsPanel;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;

type Parts = support::Parts<SegmentsPanel>;

fn harness<'a>(session: Session, dark: bool) -> Harness<'a, Parts> {
    support::harness(session, dark)
}

/// Runs frames until what they asked for is counted and drawn.
fn settle(harness: &mut Harness<'_, Parts>) {
    harness.run_ok();
    assert!(harness.state_mut().0.settle(LIMIT));
    harness.run_ok();
}

fn write(harness: &mut Harness<'_, Parts>, field: &str, text: &str) {
    harness.get_by_label(field).focus();
    harness.run_ok();
    harness.get_by_label(field).type_text(text);
    settle(harness);
}

#[test]
fn an_empty_session_says_why_and_offers_the_sample() {
    for dark in [true, false] {
        let harness = harness(session(), dark);
        harness.get_by_label_contains("No log is open");
        harness.get_by_label("Open the sample");
    }
}

#[test]
fn a_log_is_counted_and_drawn_in_both_themes() {
    let folder = tempfile::tempdir().unwrap();
    for dark in [true, false] {
        let mut harness = harness(opened(&folder, 5000), dark);
        settle(&mut harness);
        let answer = harness.state().0.store.segments.clone().unwrap();
        assert_eq!(answer.query.by, ["age_band"]);
        let table = answer.table.as_ref().unwrap();
        assert_eq!((table.rows.len(), table.total.trials), (5, 5000.0));
        harness.get_by_label_contains("5 groups, 5\u{2009}000 impressions");
        harness.get_by_label_contains("Click rate in % by age_band, 95 % intervals, 5 rows: ");
        // Names rise after a click on their heading: the youngest stand first.
        harness.get_by_label("age_band").click();
        harness.run_ok();
        harness.get_by_label("age_band (up)");
    }
}

#[test]
fn a_filter_narrows_and_its_mistakes_are_told_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = harness(opened(&folder, 5000), true);
    settle(&mut harness);
    write(&mut harness, "Only where", "city = '上海'");
    let answer = harness.state().0.store.segments.clone().unwrap();
    assert_eq!(answer.query.filter.to_string(), "city = '上海'");
    assert!(answer.table.as_ref().unwrap().total.trials < 2_000.0);
    write(&mut harness, "Only where", " and and");
    harness.get_by_label_contains("character 17");
    assert!(harness.state().0.notices.all().is_empty(), "a half-written filter is no failure");
}

#[test]
fn a_question_that_no_row_answers_is_told_and_leaves_the_panel_usable() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = harness(opened(&folder, 5000), false);
    settle(&mut harness);
    write(&mut harness, "Only where", "city = 'Atlantis'");
    harness.get_by_label_contains("no row passes the filter");
    assert!(harness.state().0.notices.all().is_empty());
    harness.get_by_label("Only where");
}

#[test]
fn a_group_is_kept_as_an_audience_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = harness(opened(&folder, 5000), true);
    settle(&mut harness);
    write(&mut harness, "Only where", "device = 'ios'");
    write(&mut harness, "Name", "苹果用户");
    harness.get_by_label("Save as audience").click();
    settle(&mut harness);
    let audiences = harness.state().0.workspace.audiences.clone();
    assert_eq!((audiences[0].name.as_str(), audiences[0].segment.as_str()), ("苹果用户", "device = 'ios'"));
    harness.get_by_label("苹果用户");
}

#[test]
fn two_columns_are_crossed_and_chinese_values_are_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = harness(opened(&folder, 5000), true);
    settle(&mut harness);
    harness.state_mut().1.look_at("city", "device");
    settle(&mut harness);
    let answer = harness.state().0.store.segments.clone().unwrap();
    assert_eq!(answer.query.by, ["city", "device"]);
    // Twelve cities and four devices, nearly all of which meet in 5,000 rows.
    assert!((40..=48).contains(&answer.table.as_ref().unwrap().rows.len()));
    harness.get_by_label_contains("上海 x android");
}

#[test]
fn what_stands_out_is_found_told_with_what_was_looked_at_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    for dark in [true, false] {
        let mut harness = harness(opened(&folder, 8_000), dark);
        // Nearly everybody saw the first slot: those few who did not could be told with a larger k.
        harness.state_mut().0.workspace.privacy.k = 1;
        settle(&mut harness);
        harness.get_by_label("What stands out").click();
        settle(&mut harness);
        let answer = harness.state().0.store.findings.clone().unwrap();
        let report = answer.report.as_ref().unwrap();
        assert!(!report.findings.is_empty() && report.judged > 100);
        // The sample's slots differ most, as its README says.
        assert!(report.findings[0].parts.iter().any(|(column, _)| column == "slot_position"), "{report:?}");
        harness.get_by_label_contains("groups stand out, at 5 % after correction for all of them");
        let first =
            report.findings[0].parts.iter().map(|(c, v)| format!("{c} {v}")).collect::<Vec<_>>().join(", ");
        harness.get_by_label(&first).click();
        harness.run_ok();
        write(&mut harness, "Name", "standing out");
        harness.get_by_label("Save as audience").click();
        settle(&mut harness);
        let kept = harness.state().0.workspace.audiences.clone();
        assert_eq!(kept[0].segment, report.findings[0].segment.to_string());
    }
}

#[test]
fn every_view_asks_its_own_question_and_draws_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    for dark in [true, false] {
        let mut harness = harness(opened(&folder, 5000), dark);
        settle(&mut harness);
        for (view, by, drawn) in [
            ("Over time", vec!["time", "age_band"], "CTR by day (CTR, % against day, UTC"),
            ("Hours", vec!["weekday", "hour"], "CTR in %: weekday by hour: 7 by 24, values from"),
            ("Frequency", vec!["frequency"], "CTR by how often the user was reached"),
            ("Cohorts", vec!["first_week", "week"], "CTR in %: first_week by week: "),
            ("Bars", vec!["age_band"], "Click rate in % by age_band, 95 % intervals, 5 rows: "),
        ] {
            harness.get_by_label(view).click();
            settle(&mut harness);
            settle(&mut harness);
            let answer = harness.state().0.store.segments.clone().unwrap();
            assert_eq!(answer.query.by, by);
            assert!(answer.table.is_ok(), "{:?}", answer.table);
            harness.get_all_by_label_contains(drawn).next().unwrap();
        }
        harness.get_by_label("Funnel").click();
        settle(&mut harness);
        settle(&mut harness);
        let answer = harness.state().0.store.segments.clone().unwrap();
        let funnel = answer.funnel.as_ref().unwrap();
        assert_eq!(funnel.steps.len(), 3);
        assert!(funnel.delay.as_ref().unwrap().n > 5);
        harness.get_by_label_contains("Conversions that came within a delay");
    }
}

#[test]
fn groups_are_compared_with_the_one_that_is_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = harness(opened(&folder, 5000), true);
    settle(&mut harness);
    let answer = harness.state().0.store.segments.clone().unwrap();
    let first = answer.table.as_ref().unwrap().rows[0].values[0].clone();
    harness.get_all_by_label(&first).next().unwrap().click();
    harness.run_ok();
    harness.get_by_label(&format!("Compare all with {first}")).click();
    settle(&mut harness);
    settle(&mut harness);
    let answer = harness.state().0.store.segments.clone().unwrap();
    assert_eq!(answer.query.against, std::slice::from_ref(&first));
    harness.get_by_label(&format!("Compared with {first}."));
}

#[test]
fn a_model_s_predictions_stand_beside_what_happened() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = harness(support::trained(&folder, "logistic"), true);
    settle(&mut harness);
    harness.get_by_label("with predictions of logistic").click();
    settle(&mut harness);
    settle(&mut harness);
    let state = &harness.state().0;
    assert_eq!(state.store.scores.as_ref().unwrap().rows.len(), 3000);
    let answer = state.store.segments.clone().unwrap();
    let table = answer.table.as_ref().unwrap();
    let whole = table.total_of(adloupe::data::query::Measure::PredictedToActual).unwrap();
    let [low, high] = whole.interval.unwrap();
    assert!(low < whole.value && whole.value < high, "{whole:?}");
}

#[test]
fn drilling_down_narrows_the_filter_and_the_trail_leads_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = harness(opened(&folder, 5000), false);
    settle(&mut harness);
    let answer = harness.state().0.store.segments.clone().unwrap();
    let row = answer.table.as_ref().unwrap().rows[0].clone();
    harness.get_all_by_label(&row.values[0]).next().unwrap().click();
    harness.run_ok();
    harness.run_ok();
    assert_eq!(harness.state().0.store.chosen.as_ref(), Some(&row.segment), "all panels know what is chosen");
    harness.get_by_label(&format!("Drill down into {}", row.values[0])).click();
    settle(&mut harness);
    settle(&mut harness);
    let answer = harness.state().0.store.segments.clone().unwrap();
    assert_eq!(answer.query.filter, row.segment);
    assert_eq!(answer.table.as_ref().unwrap().total.trials, row.rate.trials);
    harness.get_by_label("all rows").click();
    settle(&mut harness);
    settle(&mut harness);
    let answer = harness.state().0.store.segments.clone().unwrap();
    assert_eq!(answer.table.as_ref().unwrap().total.trials, 5000.0);
}

#[test]
fn a_right_click_on_a_chart_gives_it_as_vectors() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = harness(opened(&folder, 5000), true);
    settle(&mut harness);
    harness.get_by_label_contains("95 % intervals, 5 rows: ").click_secondary();
    harness.run_ok();
    harness.get_by_label("or to").click();
    harness.run_ok();
    // The menu is still there: the field was clicked to write in it.
    harness.get_by_label("Save as SVG…").click();
    harness.run_ok();
    let pictures = take(&harness.ctx);
    let [Wanted { form: Form::Svg(text), path: None, .. }] = pictures.as_slice() else {
        panic!("one picture as SVG: {pictures:?}");
    };
    assert_eq!(pictures[0].file_name(), "click-rate-in-by-age-band-95-intervals.svg");
    // Every group with its name, its bar and its number.
    let table = harness.state().0.store.segments.clone().unwrap();
    for row in &table.table.as_ref().unwrap().rows {
        assert!(text.contains(&format!(">{}</text>", row.values[0])), "{text}");
    }
    assert!(text.matches("<rect ").count() >= 6, "ground and five bars: {text}");
    assert_eq!(text.matches(" % of ").count(), 5, "{text}");
    assert!(take(&harness.ctx).is_empty(), "asked for once");
    if let Some(out) = std::env::var_os("ADLOUPE_PICTURES") {
        std::fs::write(std::path::Path::new(&out).join("bars.svg"), text).unwrap();
    }
}

#[test]
fn clicks_alone_write_the_filter_and_undo_takes_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = harness(opened(&folder, 5000), false);
    settle(&mut harness);
    harness.get_by_label("Only where").focus();
    harness.run_ok();
    // The column stands in the table's head as well, below the offers.
    harness.get_all_by_label("age_band").next().unwrap().click();
    settle(&mut harness);
    harness.get_by_label("=").click();
    settle(&mut harness);
    settle(&mut harness);
    let offered = harness.get_by_label_contains("18-24  ");
    offered.click();
    settle(&mut harness);
    let asked = harness.state().0.store.segments.clone().unwrap();
    assert_eq!(asked.query.filter.to_string(), "age_band = '18-24'");
    assert_eq!(asked.table.as_ref().unwrap().rows.len(), 1);
    harness.get_by_label("done").click();
    settle(&mut harness);
    harness.get_by_label("Undo").click();
    settle(&mut harness);
    assert_eq!(harness.state().0.store.segments.clone().unwrap().query.filter.to_string(), "");
    harness.key_press_modifiers(egui::Modifiers::COMMAND | egui::Modifiers::SHIFT, egui::Key::Z);
    settle(&mut harness);
    let again = harness.state().0.store.segments.clone().unwrap();
    assert_eq!(again.query.filter.to_string(), "age_band = '18-24'");
}

#[test]
fn the_last_days_are_compared_with_those_before() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = harness(opened(&folder, 5000), true);
    settle(&mut harness);
    harness.get_by_label("in").click();
    harness.run_ok();
    harness.event(egui::Event::Text("7".to_owned()));
    harness.run_ok();
    harness.key_press(egui::Key::Enter);
    settle(&mut harness);
    let answer = harness.state().0.store.segments.clone().unwrap();
    assert_eq!(answer.query.days, 7);
    let table = answer.table.as_ref().unwrap();
    assert!(table.total.trials < 5000.0);
    let period = table.period.as_ref().unwrap();
    harness.get_by_label_contains(&period.words());
    // The choice for all panels is of these days only.
    harness.get_all_by_label_contains("18-24").next().unwrap().click();
    settle(&mut harness);
    let chosen = harness.state().0.store.chosen.clone().unwrap();
    assert!(chosen.to_string().ends_with("and age_band = '18-24'"), "{chosen}");
    let marked = harness.state().0.store.marked.clone().unwrap();
    let found = marked.found.as_ref().unwrap();
    let row = table.rows.iter().find(|row| row.values[0] == "18-24").unwrap();
    assert_eq!(found.rate, row.rate, "what is chosen is what the table shows");
}

#[test]
fn people_like_those_of_a_group_are_found_told_and_kept() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut session = session();
    session.apply(Command::Data(DataCommand::Open(root.join("sample_data/log.parquet"))));
    assert!(session.settle(LIMIT));
    session.apply(Command::Train(TrainCommand::Open(root.join("models/sample_deep_fm"))));
    assert!(session.settle(LIMIT), "{:?}", session.notices.all());
    let mut harness = harness(session, true);
    settle(&mut harness);
    let ask = |harness: &mut Harness<'_, Parts>, text: &str, most: usize| {
        let segment = Segment::parse(text).unwrap();
        harness.state_mut().0.apply(Command::Segment(SegmentCommand::FindAlike(segment, most)));
        settle(harness);
        harness.state().0.store.inspect.alike.clone().unwrap()
    };
    // Vectors know what people look at and not where they live.
    let failure = ask(&mut harness, "city = 'Berlin'", 100).found.as_ref().unwrap_err().clone();
    assert!(failure.why.contains("do not tell"), "{failure}");
    let failure = ask(&mut harness, "gender = 'female'", 10).found.as_ref().unwrap_err().clone();
    assert!(failure.why.contains("privacy floor"), "{failure}");
    let answer = ask(&mut harness, "gender = 'female'", 100);
    let found = answer.found.as_ref().unwrap();
    assert!(found.auc.low > 0.55 && !found.by_outcome, "{:?}", found.auc);
    assert_eq!(found.added.len(), 100);
    write(&mut harness, "Only where", "gender = 'female'");
    harness.get_by_label("Look-alikes").click();
    harness.run_ok();
    harness.get_by_label_contains("by what the other half shows: AUC");
    write(&mut harness, "Name them", "like women");
    harness.get_by_label("Keep with 100 added").click();
    settle(&mut harness);
    let kept = harness.state().0.workspace.audiences.last().unwrap().segment.clone();
    assert_eq!(Segment::parse(&kept).unwrap(), found.audience);
}

//! Are the maps' points what they are said to be, and does the panel do what its controls say?

use crate::support::{LIMIT, draw, opened, spec, trained};
use adloupe::gpu::{Camera, Cloud};
use adloupe::insight::sources::{Gathered, Whose};
use adloupe::insight::{MapQuestion, Projection, Source};
use adloupe::jobs::JobContext;
use adloupe::models::looked::Look;
use adloupe::session::commands::{InspectCommand, TrainCommand};
use adloupe::session::{Command, Purpose, Session};
use adloupe::ui::panels::Panel;
use adloupe::ui::panels::embeddings::EmbeddingsPanel;
use adloupe::ui::{Theme, fonts, gpu_view};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use std::sync::Arc;
use std::time::{Duration, Instant};

struct OnePanel {
    session: Session,
    panel: EmbeddingsPanel,
    theme: Theme,
}

impl eframe::App for OnePanel {
    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        draw(ui, &mut self.session, &mut self.panel as &mut dyn Panel, &self.theme);
    }
}

fn harness<'a>(session: Session) -> Harness<'a, OnePanel> {
    let builder = Harness::builder().with_size(egui::vec2(1280.0, 800.0)).wgpu();
    builder.build_eframe(move |context| {
        fonts::install(&context.egui_ctx);
        let theme = Theme::load(true).unwrap();
        theme.apply(&context.egui_ctx);
        if let Some(state) = &context.wgpu_render_state {
            gpu_view::install(state, &context.egui_ctx);
        }
        OnePanel { session, panel: EmbeddingsPanel::default(), theme }
    })
}

fn ask(session: &mut Session, question: MapQuestion) {
    session.apply(Command::Inspect(InspectCommand::Project(question)));
    assert!(session.settle(LIMIT), "{:?}", session.notices.all());
}

fn shown(harness: &Harness<'_, OnePanel>) -> Arc<Projection> {
    Arc::clone(&harness.state().session.store.inspect.projected.as_ref().unwrap().projection)
}

fn settle(harness: &mut Harness<'_, OnePanel>) {
    harness.run_steps(2);
    assert!(harness.state_mut().session.settle(LIMIT));
    harness.run_steps(4);
}

fn ads(session: &Session) -> String {
    session.store.dataset.as_ref().unwrap().encoder.keys.ad.clone().unwrap()
}

fn gathered(session: &Session, source: &Source) -> adloupe::base::Result<Gathered> {
    let store = &session.store;
    let whose = Whose {
        model: store.training.model().unwrap(),
        dataset: store.dataset.as_deref(),
        log: store.log.as_ref().map(|open| &open.frame),
    };
    Gathered::of(source, whose, &JobContext::detached())
}

#[test]
fn towers_give_each_ad_the_vector_that_the_score_is_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let session = trained(&folder, "two_tower");
    let (model, dataset) = (session.store.training.model().unwrap(), session.store.dataset.as_ref().unwrap());
    let field = ads(&session);
    let made = gathered(&session, &Source::Tower(field.clone())).unwrap();
    let column = &dataset.categorical[dataset.encoder.position(&field).unwrap()];
    for row in [0u32, 7, 1_234] {
        let looked = model.look(&dataset.batch(&[row]), Look { values: true, ..Look::default() }).unwrap();
        let out = &looked.values.iter().find(|layer| layer.layer == "ad.out").unwrap().values;
        let length = out.iter().map(|value| value * value).sum::<f32>().sqrt();
        // All that the ad's tower reads belongs to the ad, so every row of an ad gives the same vector.
        let width = made.table.width;
        let vector = &made.table.values[column[row as usize] as usize * width..][..width];
        for (ours, want) in vector.iter().zip(out) {
            assert!((ours - want / length).abs() < 1e-5, "row {row}: {ours} {}", want / length);
        }
    }
    let user = dataset.encoder.keys.user.clone().unwrap();
    let made = gathered(&session, &Source::Tower(user)).unwrap();
    let width = made.table.width;
    let lengths = made.table.values.chunks(width).map(|v| v.iter().map(|x| x * x).sum::<f32>());
    assert!(lengths.filter(|squared| squared.is_finite()).all(|squared| (squared - 1.0).abs() < 1e-5));
    let refused = gathered(&session, &Source::Tower("city".into())).unwrap_err();
    assert!(refused.why.contains("users and ads"), "{refused}");
}

#[test]
fn rows_of_the_last_layer_are_what_the_output_is_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let session = trained(&folder, "deep_fm");
    let (model, dataset) = (session.store.training.model().unwrap(), session.store.dataset.as_ref().unwrap());
    let made = gathered(&session, &Source::Rows(500)).unwrap();
    let rows = made.rows.clone().unwrap();
    assert_eq!((rows.len(), made.table.names.len()), (500, 500));
    assert_eq!(made.table.names[1], format!("row {}", rows[1] + 1));
    let (_, weight) = model.parameter("deep.out.weight").unwrap();
    let (_, bias) = model.parameter("deep.out.bias").unwrap();
    let looked = model.look(&dataset.batch(&rows), Look { values: true, ..Look::default() }).unwrap();
    let out = &looked.values.iter().find(|layer| layer.layer == "deep.out").unwrap().values;
    for (vector, out) in made.table.values.chunks(made.table.width).zip(out) {
        let sum: f32 = vector.iter().zip(weight).map(|(x, w)| x * w).sum::<f32>() + bias[0];
        assert!((sum - out).abs() < 1e-4 * (1.0 + out.abs()), "{sum} {out}");
    }
    assert!(made.note.starts_with("500 of 3000 rows, evenly spread: "), "{}", made.note);
    let refused = gathered(&session, &Source::Tower(ads(&session))).unwrap_err();
    assert!(refused.why.contains("no towers"), "{refused}");
    assert!(gathered(&session, &Source::Rows(0)).is_err());
    let refused = gathered(&trained(&folder, "logistic"), &Source::Rows(10)).unwrap_err();
    assert!(refused.why.contains("no hidden layer"), "{refused}");
}

/// The panel with a map of the ads of a DeepFM.
fn on_a_map_of_ads<'a>(folder: &tempfile::TempDir) -> Harness<'a, OnePanel> {
    let mut session = trained(folder, "deep_fm");
    let ad = ads(&session);
    ask(&mut session, MapQuestion::of(ad));
    let mut harness = harness(session);
    harness.run_steps(4);
    harness
}

#[test]
fn rows_are_drawn_at_a_click_and_tell_which_of_them_the_model_was_fitted_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = on_a_map_of_ads(&folder);
    harness.get_by_label("Map of").click();
    harness.run_steps(4);
    harness.get_by_label("rows by the last layer").click();
    settle(&mut harness);
    let made = shown(&harness);
    assert_eq!((made.len(), made.values.source.unit()), (3000, "rows"));
    assert_eq!(made.values.predicted.len(), 3000);
    harness.get_by_label_contains("the model was fitted on");
    harness.get_by_label_contains("test rows (");
}

#[test]
fn a_box_selects_adds_and_takes_away() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = on_a_map_of_ads(&folder);
    harness.get_by_label("Box").click();
    harness.run_steps(2);
    let map = harness.get_by_label_contains("Embedding map").rect();
    let size = [map.width(), map.height()];
    let made = shown(&harness);
    let cloud = Cloud { xy: made.xy(), codes: Vec::new() };
    let camera = Camera::fit(cloud.bounds().unwrap(), size);
    let on_screen: Vec<egui::Pos2> = cloud
        .xy
        .iter()
        .map(|world| map.min + egui::Vec2::from(camera.screen_from_world(*world, size)))
        .collect();
    let inside = |rect: egui::Rect| -> Vec<bool> { on_screen.iter().map(|at| rect.contains(*at)).collect() };
    let fence = |harness: &mut Harness<'_, OnePanel>, rect: egui::Rect| {
        harness.drag_at(rect.min);
        harness.run_steps(1);
        for at in [rect.center(), rect.max] {
            harness.hover_at(at);
            harness.run_steps(1);
        }
        harness.drop_at(rect.max);
        harness.run_steps(3);
    };
    let count = |bits: &[bool]| bits.iter().filter(|bit| **bit).count();
    let told = |harness: &Harness<'_, OnePanel>, selected: usize| {
        harness.get_by_label_contains(&format!(", {selected} selected"));
    };
    let left = egui::Rect::from_min_max(
        map.min + egui::vec2(3.0, 3.0),
        egui::pos2(map.center().x + 0.3, map.bottom() - 3.0),
    );
    let right = egui::Rect::from_min_max(
        egui::pos2(map.center().x + 0.3, map.top() + 3.0),
        map.max - egui::vec2(3.0, 3.0),
    );
    let (on_left, on_right) = (inside(left), inside(right));
    assert!(count(&on_left) > 0 && count(&on_right) > 0 && count(&on_left) + count(&on_right) == made.len());
    fence(&mut harness, left);
    told(&harness, count(&on_left));
    harness.get_by_label("Add").click();
    harness.run_steps(2);
    fence(&mut harness, right);
    told(&harness, made.len());
    harness.get_by_label("Subtract").click();
    harness.run_steps(2);
    fence(&mut harness, left);
    told(&harness, count(&on_right));
    harness.get_by_label("Clear selection").click();
    harness.run_steps(2);
    told(&harness, 0);
}

#[test]
fn a_map_is_stopped_where_it_is_and_names_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = trained(&folder, "deep_fm");
    let mut question = MapQuestion { method: "umap".into(), ..MapQuestion::of("user_id") };
    question.params = adloupe::base::params::Params::default();
    let user = session.store.dataset.as_ref().unwrap().encoder.keys.user.clone().unwrap();
    question.source = Source::Table(user);
    let specs = adloupe::maps::method::find("umap").unwrap().params();
    question.params = adloupe::base::params::Params::defaults(specs);
    question.params.set(specs, "epochs", "5000").unwrap();
    session.apply(Command::Inspect(InspectCommand::Project(question)));
    let begun = Instant::now();
    let moves = |session: &Session| {
        let seen = session.store.inspect.moving.get();
        seen.is_some_and(|seen| seen.projection.moving.is_some_and(|(done, _)| done > 0))
    };
    while !moves(&session) {
        assert!(begun.elapsed() < LIMIT, "{:?}", session.notices.all());
        session.absorb();
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut harness = harness(session);
    harness.run_steps(3);
    harness.get_by_label("Stop").click();
    harness.run_steps(2);
    let stopped = Instant::now();
    assert!(harness.state().session.jobs.of(Purpose::Project).is_none());
    let made = shown(&harness);
    let (done, of) = made.moving.unwrap();
    assert!(0 < done && done < of && of == 5000, "{done} of {of}");
    harness.get_by_label_contains(&format!("after {done} of 5000 passes"));
    assert!(stopped.elapsed() < Duration::from_secs(10));
    // A part of a name finds all that hold it.
    let part = made.values.name(3).to_owned();
    let holds = (0..made.len()).filter(|point| made.values.name(*point).contains(&part)).count();
    harness.get_by_label("Find").focus();
    harness.run_steps(2);
    harness.get_by_label("Find").type_text(&part);
    harness.run_steps(3);
    harness.get_by_label(&format!("{holds} found"));
    harness.get_by_label("Select them").click();
    harness.run_steps(3);
    harness.get_by_label_contains(&format!(", {holds} selected"));
}

#[test]
fn a_map_in_space_turns_and_two_maps_lie_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = trained(&folder, "deep_fm");
    let ad = ads(&session);
    ask(&mut session, MapQuestion { method: "tsne".into(), ..MapQuestion::of(ad.as_str()) });
    ask(&mut session, MapQuestion::of(ad));
    let mut harness = harness(session);
    harness.run_steps(4);
    harness.get_by_label("Beside").click();
    harness.run_steps(4);
    harness.get_by_label_contains("tsne of 1 deep_fm").click();
    harness.run_steps(4);
    let both = [harness.get_by_label_contains("Embedding map"), harness.get_by_label_contains("Map beside")];
    let [left, right] = both.map(|map| map.rect());
    assert!(left.right() < right.left() && (left.width() - right.width()).abs() < 20.0, "{left} {right}");
    harness.get_by_label_contains("turned, scaled and shifted onto the left one by");
    harness.get_by_label("3D").click();
    settle(&mut harness);
    harness.run_steps(10);
    let made = shown(&harness);
    assert!(made.question.dimensions == 3 && made.map.places.iter().any(|place| place[2] != 0.0));
    let before = harness.render().unwrap();
    let map = harness.get_by_label_contains("Embedding map").rect();
    harness.drag_at(map.center());
    harness.run_steps(1);
    harness.hover_at(map.center() + egui::vec2(90.0, 40.0));
    harness.run_steps(1);
    harness.drop_at(map.center() + egui::vec2(90.0, 40.0));
    harness.run_steps(3);
    let after = harness.render().unwrap();
    let changed = before.pixels().zip(after.pixels()).filter(|(a, b)| a != b).count();
    assert!(changed > 300, "{changed} pixels changed as the cloud was turned");
}

#[test]
fn the_space_is_watched_as_it_forms_epoch_by_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = opened(&folder, 3000);
    session.apply(Command::Train(TrainCommand::Start(spec("deep_fm", "4"))));
    assert!(session.settle(LIMIT));
    let ad = ads(&session);
    let model = session.store.training.model().unwrap().clone();
    let kept = model.epoch_tables().unwrap();
    assert_eq!((kept.epochs.as_slice(), kept.note.as_str()), ([0, 1, 2, 3, 4].as_slice(), ""));
    // The copy of the epoch whose weights were kept is the model's table, to the 11 binary digits of a copy.
    let best = model.card.training.best_epoch;
    let now = model.table(&ad).unwrap();
    let then = kept.embedding(best as usize, &model.encoder, &now).unwrap();
    for (ours, want) in then.values.iter().zip(&now.values) {
        assert!((ours - want).abs() <= 1e-3 * want.abs() + 1e-7, "{ours} {want}");
    }
    ask(&mut session, MapQuestion::of(ad));
    let mut harness = harness(session);
    harness.run_steps(4);
    harness.get_by_label("Draw after each of 5 epochs").click();
    settle(&mut harness);
    let drawn = harness.state().session.store.inspect.epochs.get().unwrap();
    let epochs: Vec<u32> = drawn.maps.moments.iter().map(|moment| moment.epoch).collect();
    assert_eq!(epochs, [0, 1, 2, 3, 4]);
    let made = shown(&harness);
    assert_eq!(*drawn.maps.moments[best as usize].places, made.map.places);
    for moment in &drawn.maps.moments {
        assert!(moment.residual.is_none_or(|share| (0.0..1.0).contains(&share)), "{:?}", moment.residual);
        assert_eq!(moment.residual.is_none(), moment.epoch == best);
    }
    // A step of training moves the table less than all of them: the neighbour fits better than the start.
    harness.get_by_label("Play epochs").click();
    harness.run_steps(2);
    harness.get_by_label("after 0 of 4 epochs");
    harness.run_steps(4);
    harness.get_by_label("after 1 of 4 epochs");
    harness.run_steps(16);
    harness.get_by_label("after 4 of 4 epochs");
    harness.get_by_label("Play epochs");
    harness.get_by_label("Back to the map").click();
    harness.run_steps(3);
    harness.get_by_label_contains("the weights that were kept");
}

#[test]
fn a_sentence_encoder_that_is_not_there_is_named_and_the_map_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = trained(&folder, "deep_fm");
    let model = session.store.training.model().cloned().unwrap();
    let sources = Source::all(&model, session.store.log.as_ref().map(|log| &log.frame));
    let texts = sources.into_iter().find(|source| matches!(source, Source::Texts(..))).unwrap();
    ask(&mut session, MapQuestion { source: texts.clone(), ..MapQuestion::of("ad") });
    let mut harness = harness(session);
    harness.run_steps(4);
    harness.get_by_label("read by the built-in encoder").click();
    harness.run_steps(4);
    let field = harness.get_by_label_contains("Folder of a sentence encoder");
    field.focus();
    harness.run_steps(2);
    harness.get_by_label_contains("Folder of a sentence encoder").type_text("no such folder");
    harness.run_steps(2);
    harness.get_by_label("Read with it").click();
    settle(&mut harness);
    assert_eq!(shown(&harness).values.source, texts);
    let notices = format!("{:?}", harness.state().session.notices.all());
    assert!(notices.contains("no such folder"), "{notices}");
}

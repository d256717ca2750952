//! Do the curves, embeddings and attention panels show what was found out: empty, loaded, failed?

use crate::support::{LIMIT, draw, session, trained};
use adloupe::data::Split;
use adloupe::data::batch::FIRST_VALUE_ID;
use adloupe::gpu::{Camera, Cloud};
use adloupe::insight::MapQuestion;
use adloupe::session::commands::InspectCommand;
use adloupe::session::commands::copy::CopyCommand;
use adloupe::session::commands::inspect::HeadsBeside;
use adloupe::session::{Command, Session};
use adloupe::ui::panels::Panel;
use adloupe::ui::panels::attention::AttentionPanel;
use adloupe::ui::panels::curves::CurvesPanel;
use adloupe::ui::panels::embeddings::EmbeddingsPanel;
use adloupe::ui::panels::layers::LayersPanel;
use adloupe::ui::{Theme, fonts, gpu_view};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;

type Parts = (Session, Box<dyn Panel>);

/// One panel in a window with a real device; commands that it sends are applied after the frame.
struct OnePanel {
    parts: Parts,
    theme: Theme,
}

impl eframe::App for OnePanel {
    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        let (session, panel) = &mut self.parts;
        draw(ui, session, panel.as_mut(), &self.theme);
    }
}

fn harness<'a>(session: Session, panel: Box<dyn Panel>, dark: bool) -> Harness<'a, OnePanel> {
    Harness::builder().with_size(egui::vec2(1400.0, 1200.0)).wgpu().build_eframe(move |context| {
        fonts::install(&context.egui_ctx);
        let theme = Theme::load(dark).unwrap();
        theme.apply(&context.egui_ctx);
        if let Some(state) = &context.wgpu_render_state {
            gpu_view::install(state, &context.egui_ctx);
        }
        OnePanel { parts: (session, panel), theme }
    })
}

fn ask(session: &mut Session, command: InspectCommand) {
    session.apply(Command::Inspect(command));
    assert!(session.settle(LIMIT), "{:?}", session.notices.all());
}

#[test]
fn without_a_model_every_panel_says_so_and_leads_to_training() {
    let panels: [Box<dyn Panel>; 3] =
        [Box::<CurvesPanel>::default(), Box::<EmbeddingsPanel>::default(), Box::<AttentionPanel>::default()];
    for panel in panels {
        let mut harness = harness(session(), panel, true);
        harness.run();
        harness.get_by_label("Train a model").click();
        harness.run();
        assert_eq!(harness.state().parts.0.workspace.panel, "training");
    }
}

#[test]
fn curves_appear_at_a_click_with_their_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = harness(trained(&folder, "logistic"), Box::<CurvesPanel>::default(), true);
    harness.run();
    harness.get_by_label("Evaluate the model").click();
    harness.run();
    assert!(harness.state_mut().parts.0.settle(LIMIT));
    harness.run();
    harness.get_by_label_contains("ROC (true positive rate against false positive rate): logistic");
    harness.get_by_label_contains("Reliability: 20 groups");
    harness.get_by_label_contains("CTR by score (%), 10 rows");
    let evaluated = harness.state().parts.0.store.inspect.evaluated.clone().unwrap();
    assert!(evaluated.evaluation.scores.auc_of_truth.is_some());
}

#[test]
fn the_map_is_drawn_in_both_themes_and_its_points_can_be_asked() {
    let folder = tempfile::tempdir().unwrap();
    for dark in [true, false] {
        let mut session = trained(&folder, "deep_fm");
        let ad = session.store.dataset.as_ref().unwrap().encoder.keys.ad.clone().unwrap();
        ask(&mut session, InspectCommand::Project(MapQuestion::of(ad)));
        let mut harness = harness(session, Box::<EmbeddingsPanel>::default(), dark);
        harness.run();
        let ground = Theme::load(dark).unwrap().background;
        let map = harness.get_by_label_contains("Embedding map");
        let rect = map.rect();
        let picture = harness.render().unwrap();
        let drawn = (rect.top() as u32..rect.bottom() as u32)
            .flat_map(|y| (rect.left() as u32..rect.right() as u32).map(move |x| (x, y)))
            .filter(|&(x, y)| picture.get_pixel(x, y).0[..3] != ground.to_array()[..3])
            .count();
        assert!(drawn > 1_000, "{drawn} pixels of the map are drawn");
        harness.get_by_label_contains("drawn as points by");
        harness.get_by_label("Density").click();
        harness.run();
        harness.get_by_label_contains("drawn as density by the processor");
    }
}

/// Where a projected point lies on the screen while the map shows all points.
fn place_of(harness: &Harness<'_, OnePanel>, point: usize) -> egui::Pos2 {
    let projection = &harness.state().parts.0.store.inspect.projected.as_ref().unwrap().projection;
    let cloud = Cloud { xy: projection.xy(), codes: Vec::new() };
    let rect = harness.get_by_label_contains("Embedding map").rect();
    let size = [rect.width(), rect.height()];
    let [x, y] = Camera::fit(cloud.bounds().unwrap(), size).screen_from_world(projection.xy()[point], size);
    rect.min + egui::vec2(x, y)
}

#[test]
fn a_point_tells_of_itself_its_neighbours_and_becomes_an_audience() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = trained(&folder, "deep_fm");
    ask(&mut session, InspectCommand::Project(MapQuestion::of("city")));
    let projection = session.store.inspect.projected.as_ref().unwrap().projection.clone();
    let point = projection.values.ids.iter().position(|id| *id >= FIRST_VALUE_ID).unwrap();
    let name = projection.values.name(point).to_owned();
    let near = projection.values.neighbours(point, 2)[1];
    let mut harness = harness(session, Box::<EmbeddingsPanel>::default(), true);
    harness.run_ok();
    let at = place_of(&harness, point);
    harness.hover_at(at);
    harness.run_steps(4);
    harness.get_by_label_contains("impressions");
    harness.drag_at(at);
    harness.drop_at(at);
    harness.run_steps(4);
    harness.get_by_label(&format!("{:.3}", near.distance));
    // A neighbour is a way on: its own neighbours are listed then.
    harness
        .get_by_role_and_label(egui::accesskit::Role::Link, projection.values.name(near.place as usize))
        .click();
    harness.run_steps(4);
    let beyond = projection.values.neighbours(near.place as usize, 1)[0];
    harness.get_by_label(&format!("{:.3}", beyond.distance));
    // Fence the point in and keep it.
    harness.get_by_label("Lasso").click();
    harness.run_steps(2);
    let corners = [(-12.0, -12.0), (12.0, -12.0), (12.0, 12.0), (-12.0, 12.0)];
    harness.drag_at(at + egui::vec2(corners[3].0, corners[3].1));
    harness.step();
    for (x, y) in corners {
        harness.hover_at(at + egui::vec2(x, y));
        harness.step();
    }
    harness.drop_at(at + egui::vec2(corners[3].0, corners[3].1));
    harness.run_steps(4);
    harness.get_by_label("Audience name").focus();
    harness.run_steps(2);
    harness.get_by_label("Audience name").type_text("near one");
    harness.run_steps(2);
    // One city of a small log holds few people.
    harness.state_mut().parts.0.workspace.privacy.k = 1;
    harness.get_by_label("Save as audience").click();
    harness.run_steps(2);
    // It is kept once it is known to hold enough people.
    assert!(harness.state_mut().parts.0.settle(LIMIT), "{:?}", harness.state().parts.0.notices.all());
    let audiences = &harness.state().parts.0.workspace.audiences;
    assert_eq!(audiences.len(), 1);
    assert!(
        audiences[0].segment.starts_with("city ") && audiences[0].segment.contains(&name),
        "{audiences:?}"
    );
}

#[test]
fn a_model_without_attention_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = harness(trained(&folder, "logistic"), Box::<AttentionPanel>::default(), true);
    harness.run();
    harness.get_by_label_contains("A logistic model does not weigh past behaviours");
}

#[test]
fn attention_is_shown_for_one_row_and_averaged() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = trained(&folder, "din");
    let row = session.store.dataset.as_ref().unwrap().test[0];
    ask(&mut session, InspectCommand::Explain(row, None));
    ask(&mut session, InspectCommand::Average(String::new()));
    ask(&mut session, InspectCommand::Evaluate(Split::Test, String::new()));
    let mut harness = harness(session, Box::<AttentionPanel>::default(), true);
    harness.run();
    harness.get_by_label_contains("predicted click rate");
    harness.get_by_label_contains("by past value and target:");
    harness.get_by_label_contains("have at least two behaviours");
    harness.get_by_label("Next").click();
    harness.run();
    assert!(harness.state_mut().parts.0.settle(LIMIT));
    let session = &harness.state().parts.0;
    let second = session.store.dataset.as_ref().unwrap().test[1];
    assert_eq!(session.store.inspect.explained.as_ref().unwrap().explanation.row, second);
}

#[test]
fn heads_are_looked_at_switched_off_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    for kind in ["auto_int", "bst", "sas_rec", "din"] {
        let mut session = trained(&folder, kind);
        let berlin = session.store.dataset.as_ref().unwrap().encoder.categorical[1].clone();
        let other = format!("{} = '{}'", berlin.name, berlin.values[0]);
        ask(&mut session, InspectCommand::Heads(String::new(), HeadsBeside::Rows(other)));
        let seen = session.store.inspect.heads.clone().unwrap();
        let atlas = &seen.atlas;
        assert!(atlas.rows_measured > 100 && atlas.log_loss.is_some(), "{kind}");
        for layer in &atlas.layers {
            for head in &layer.heads {
                let evenness = head.evenness.unwrap();
                assert!((0.0..=1.000_001).contains(&evenness.value), "{kind} {}: {evenness:?}", layer.name);
                let more = head.loss_without.unwrap();
                assert!(more.low < more.value && more.value < more.high, "{kind}: {more:?}");
                // Fields are all in every row, so their mean weights sum to 1 as each row's do.
                if kind == "auto_int" {
                    for weights in head.map.chunks_exact(layer.members.len()) {
                        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-4, "{weights:?}");
                    }
                }
            }
        }
        let mut harness = harness(session, Box::<AttentionPanel>::default(), true);
        harness.run();
        if kind != "auto_int" {
            harness.get_by_label("Heads").click();
            harness.run();
        }
        harness.get_by_label_contains("Without a head: the log loss");
        harness.get_by_label_contains("Mean weight, ");
        harness.get_by_label("Difference").click();
        harness.run();
        harness.get_by_label_contains("Difference of mean weights, ");
        harness.get_by_label("Relevance").click();
        harness.run();
        harness.get_by_label_contains("Relevance of ");
    }
}

#[test]
fn heads_of_a_text_need_no_model_and_an_encoder_that_is_not_there_says_how_to_get_one() {
    let mut harness = harness(session(), Box::<AttentionPanel>::default(), true);
    harness.run();
    harness.get_by_label("Texts").click();
    harness.run();
    harness.get_by_label_contains("fetch-models");
    let nowhere = tempfile::tempdir().unwrap().path().join("模型");
    let look = |harness: &mut Harness<'_, OnePanel>, encoder, text: &str| {
        let session = &mut harness.state_mut().parts.0;
        session.apply(Command::Copy(CopyCommand::LookAtHeads(encoder, text.to_owned())));
        assert!(session.settle(LIMIT), "{:?}", session.notices.all());
        harness.run_steps(2);
    };
    look(&mut harness, nowhere, "running shoes");
    harness.get_by_label_contains("config.json");
    let fetched = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/all-minilm-l6-v2");
    if fetched.exists() {
        look(&mut harness, fetched, "Light running shoes, 20 % off");
        harness.get_by_label_contains("tokens away");
        harness.get_by_label("Rollout of all layers").click();
        harness.run();
        harness.get_by_label("Rollout, all layers");
    }
}

#[test]
fn layers_tell_of_sizes_slopes_gates_pairs_and_cuts() {
    let folder = tempfile::tempdir().unwrap();
    for (kind, heading) in [
        ("deep_fm", "what two fields add to the log odds: "),
        ("dcn_v2", "cross.0: "),
        ("mmoe", "Mean weight of experts, gate.click"),
        ("ple", "Mean weight of experts, gate.conversion"),
        ("gbdt", "Cuts on the way of a row"),
    ] {
        let mut harness = harness(trained(&folder, kind), Box::<LayersPanel>::default(), true);
        harness.run();
        assert!(harness.state_mut().parts.0.settle(LIMIT));
        harness.run();
        assert!(harness.query_all_by_label_contains(heading).next().is_some(), "{kind}: {heading}");
        let seen = harness.state().parts.0.store.inspect.inside.clone().unwrap();
        let learnt = seen.inside.weights.iter().filter(|of| of.slope.is_some_and(|slope| slope > 0.0));
        assert!(kind == "gbdt" || learnt.count() > 3, "{kind}: {:?}", seen.inside.weights);
        for gate in &seen.inside.gates {
            let sum: f64 = gate.experts.iter().flatten().map(|expert| expert.value).sum();
            assert!((sum - 1.0).abs() < 1e-4, "{gate:?}");
        }
        assert_eq!(kind == "gbdt", !seen.inside.trees.is_empty(), "{kind}");
        for tree in &seen.inside.trees {
            // All rows come to the root, and each goes on to one of the two nodes below a cut.
            assert!((tree[0].share - 1.0).abs() < 1e-9, "{tree:?}");
            for node in tree.iter().filter(|node| node.feature.is_some()) {
                let below: f64 = node.below.iter().map(|place| tree[*place].share).sum();
                assert!((below - node.share).abs() < 1e-9, "{node:?}");
            }
        }
        if kind == "gbdt" {
            assert!(harness.query_all_by_label_contains("leaves, ").next().is_some());
        }
    }
}

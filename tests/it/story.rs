//! Is the demonstration told from its first step to its last, back, and anew by one key?

use crate::support::{LIMIT, session};
use adloupe::ui::story::STEP_COUNT;
use adloupe::ui::{AdloupeApp, Theme};
use egui::Key;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;

fn harness<'a>() -> Harness<'a, AdloupeApp> {
    let theme = Theme::load(true).unwrap();
    let session = session();
    Harness::builder()
        .with_size([1280.0, 800.0])
        .wgpu()
        .build_eframe(move |creation| AdloupeApp::with_session(creation, session, theme))
}

/// Steps the window until nothing is asked for and nothing runs.
fn settle(harness: &mut Harness<'_, AdloupeApp>) {
    for _ in 0..8 {
        harness.run_steps(2);
        assert!(harness.state_mut().session.settle(LIMIT), "a step of the story never comes to rest");
    }
    harness.run_steps(2);
}

fn press(harness: &mut Harness<'_, AdloupeApp>, key: Key) {
    harness.key_press(key);
    harness.run_steps(2);
}

#[test]
fn the_story_is_told_to_its_end_and_begins_anew_by_one_key() {
    let mut harness = harness();
    harness.get_by_label("Show me around").click();
    harness.run_steps(3);
    for step in 1..=STEP_COUNT {
        settle(&mut harness);
        harness.get_by_label(&format!("{step} of {STEP_COUNT}"));
        let store = &harness.state().session.store;
        let failed: Vec<_> = harness.state().session.notices.all().iter().map(|n| n.text.clone()).collect();
        assert!(store.log.is_some(), "step {step}: {failed:?}");
        assert_eq!(store.training.model().is_some(), step >= 3, "step {step}: {failed:?}");
        assert_eq!(store.inspect.evaluated.is_some(), step >= 4, "step {step}: {failed:?}");
        assert_eq!(store.inspect.projected.is_some(), step >= 5, "step {step}: {failed:?}");
        assert_eq!(store.market.result.is_some(), step >= 6, "step {step}: {failed:?}");
        if step >= 7 {
            let result = store.market.result.as_ref().unwrap();
            assert_eq!(result.spec.what_if.as_ref().unwrap().shifts.len(), 1);
        }
        press(&mut harness, Key::ArrowRight);
    }
    // The last step stays; one back is the what-if.
    harness.get_by_label(&format!("{STEP_COUNT} of {STEP_COUNT}"));
    press(&mut harness, Key::ArrowLeft);
    harness.get_by_label(&format!("{} of {STEP_COUNT}", STEP_COUNT - 1));
    press(&mut harness, Key::R);
    harness.get_by_label(&format!("1 of {STEP_COUNT}"));
    assert!(harness.state().session.store.training.model().is_none(), "an empty program");
    settle(&mut harness);
    assert!(harness.state().session.store.log.is_some());
    press(&mut harness, Key::Escape);
    harness.run_steps(2);
    // The window is as it was: with its navigation.
    harness.get_by_label("Welcome");
    assert!(harness.query_by_label("End the tour").is_none());
    press(&mut harness, Key::F5);
    harness.get_by_label("End the tour");
}

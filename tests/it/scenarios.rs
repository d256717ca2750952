//! Are kept scenarios what they say: the same figures again, from the file, from the exported command, in the window?

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use crate::support::{self, LIMIT, trained};
use adloupe::base::Result;
use adloupe::headless::{Terminal, scenario, simulate};
use adloupe::market::kept::Kept;
use adloupe::market::spec::{MarketSpec, ModelSource};
use adloupe::session::commands::{MarketCommand, ScenarioCommand, TrainCommand};
use adloupe::session::{Command, Session};
use adloupe::ui::panels::evidence::EvidencePanel;
use clap::Parser;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn run(words: &[&str]) -> Result<Value> {
    #[derive(clap::Parser)]
    enum Line {
        Scenario(scenario::Args),
        Simulate(simulate::Args),
    }
    let terminal = Terminal::default();
    let answer = match Line::parse_from(std::iter::once(&"adloupe").chain(words)) {
        Line::Scenario(args) => scenario::run(&args, &terminal),
        Line::Simulate(args) => simulate::run(&args, &terminal),
    }?;
    assert!(!answer.text.is_empty());
    Ok(answer.json)
}

/// A folder with a sample log, a saved model and a spec with a what-if that names both.
fn prepared(folder: &tempfile::TempDir) -> PathBuf {
    let mut session = trained(folder, "logistic");
    session.apply(Command::Train(TrainCommand::Save(folder.path().join("model"))));
    assert!(session.settle(LIMIT) && folder.path().join("model").exists(), "{:?}", session.notices.all());
    let spec = folder.path().join("spec.json");
    let text = r#"{"log": "sample.parquet", "model": {"folder": "model"}, "pool_rows": 100, "requests": 600, "seed": 4,
        "what_if": {"reserve_cpm_micros": 30000000}}"#;
    std::fs::write(&spec, text).unwrap();
    spec
}

#[test]
fn a_kept_scenario_is_compared_remarked_on_and_run_again_with_the_same_figures() {
    let folder = tempfile::tempdir().unwrap();
    let spec = prepared(&folder);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let spec = spec.display().to_string();
    run(&["scenario", "keep", &spec, "--out", &path("a.json"), "--name", "tea, with reserve"]).unwrap();
    run(&["scenario", "keep", &spec, "--out", &path("b.json"), "--name", "b", "--seeds", "4,5-6"]).unwrap();
    let kept = Kept::load(&folder.path().join("a.json")).unwrap();
    assert_eq!((kept.spec.log.as_path(), kept.spec.campaigns.len()), (Path::new("sample.parquet"), 12));
    run(&["scenario", "remark", &path("a.json"), "too dear", "--by", "Ada"]).unwrap();
    run(&["scenario", "rerun", &path("a.json"), "--seeds", "5"]).unwrap();
    let told = run(&["scenario", "show", &path("a.json"), &path("b.json")]).unwrap();
    let lines = told["lines"].as_array().unwrap();
    assert_eq!((lines.len(), &lines[2]["scenario"]), (4, &Value::from("b")));
    // Seeds 4 and 5 are common, and the two are the same market.
    let against = &lines[2]["against_first"];
    assert_eq!((&against["seeds"], &against["revenue_per_mille"]["value"]), (&2.into(), &0.0.into()));
    assert_eq!(told["scenarios"][0]["kept"]["remarks"][0]["by"], "Ada");
    // Both files bring the very same figures again.
    let checked = run(&["scenario", "check", &path("a.json"), &path("b.json")]).unwrap();
    assert_eq!(checked["runs"].as_array().unwrap().len(), 5);
    // The exported commands, run as they stand, bring the figures of the exported table.
    let exported = run(&["scenario", "export", &path("a.json"), "--out", &path("out")]).unwrap();
    let table = std::fs::read_to_string(exported["table"].as_str().unwrap()).unwrap();
    for (command, seed) in exported["commands"].as_array().unwrap().iter().zip([4, 5]) {
        let words: Vec<&str> =
            command.as_str().unwrap().split(' ').map(|word| word.trim_matches('\'')).collect();
        let [program, words @ .., json] = words.as_slice() else { panic!("{command}") };
        assert_eq!((*program, *json), ("adloupe", "--json"));
        let found = run(words).unwrap();
        let figures = [
            ("baseline,impressions", found["totals"]["impressions"].to_string()),
            ("baseline,ctr", found["totals"]["ctr"]["rate"].to_string()),
            (
                "what-if,revenue_per_mille",
                found["what_if"]["totals"]["revenue_per_mille"]["value"].to_string(),
            ),
        ];
        for (figure, value) in figures {
            let row = format!("\"tea, with reserve\",{seed},600,{figure},{value},");
            assert!(table.contains(&row), "{row} in {table}");
        }
        assert!(table.contains(command.as_str().unwrap()));
    }
}

#[test]
fn a_log_or_model_that_is_gone_or_changed_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let spec = prepared(&folder).display().to_string();
    let path = |name: &str| folder.path().join(name);
    let file = path("a.json").display().to_string();
    run(&["scenario", "keep", &spec, "--out", &file]).unwrap();
    let rerun = || run(&["scenario", "rerun", &file, "--seeds", "9"]).unwrap_err().to_string();
    let card = std::fs::read_to_string(path("model").join("card.json")).unwrap();
    std::fs::write(path("model").join("card.json"), format!("{card} ")).unwrap();
    let changed = rerun();
    assert!(changed.contains("its model has changed") && changed.contains("former one"), "{changed}");
    // It is told where scenarios are shown, too, and the figures stay.
    assert_eq!(run(&["scenario", "show", &file]).unwrap()["lines"].as_array().unwrap().len(), 2);
    std::fs::remove_dir_all(path("model")).unwrap();
    assert!(rerun().contains("its model is gone"), "{}", rerun());
    std::fs::write(path("sample.parquet"), "other").unwrap();
    assert!(rerun().contains("its log has changed"), "{}", rerun());
    std::fs::remove_file(path("sample.parquet")).unwrap();
    assert!(rerun().contains("its log is gone"), "{}", rerun());
    // Files that are no scenario, or of a newer program.
    std::fs::write(path("no.json"), "{\"format\": 1}").unwrap();
    let no = run(&["scenario", "show", path("no.json").to_str().unwrap()]).unwrap_err().to_string();
    assert!(no.contains("no.json") && no.contains("missing field"), "{no}");
    std::fs::write(path("no.json"), "{\"format\": 99}").unwrap();
    let no = run(&["scenario", "show", path("no.json").to_str().unwrap()]).unwrap_err().to_string();
    assert!(no.contains("form 99") && no.contains("newer"), "{no}");
    let nobody = run(&["scenario", "remark", &file, "x", "--by", " "]).unwrap_err();
    assert!(nobody.why.contains("nobody"), "{nobody}");
    assert!(run(&["scenario", "keep", &spec, "--out", &file, "--seeds", "1,1"]).is_err());
}

fn settle(window: &mut Harness<'_, support::Parts<EvidencePanel>>) {
    for _ in 0..3 {
        window.step();
        assert!(window.state_mut().0.settle(LIMIT));
        window.step();
    }
}

#[test]
fn the_window_keeps_compares_and_saves_scenarios() {
    let folder = tempfile::tempdir().unwrap();
    let mut session: Session = trained(&folder, "logistic");
    session.apply(Command::Scenario(ScenarioCommand::Keep("nothing".into())));
    assert!(session.notices.all().iter().any(|notice| notice.text.contains("nothing was simulated")));
    let log = session.store.log.as_ref().unwrap().frame.source.path.clone();
    let params = session.store.training.model().unwrap().card.params.clone();
    let mut spec = MarketSpec::new(log, ModelSource::Train { kind: "logistic".into(), params });
    (spec.pool_rows, spec.requests, spec.seed) = (200, 1_000, 3);
    session.apply(Command::Market(MarketCommand::Simulate(Box::new(spec))));
    assert!(session.settle(LIMIT), "{:?}", session.notices.all());
    let mut window: Harness<'_, support::Parts<EvidencePanel>> = support::harness(session, true);
    window.get_by_label("Scenarios").click();
    settle(&mut window);
    window.get_by_label("Keep the last simulation").click();
    settle(&mut window);
    window.get_by_label("scenario 1 (unsaved)");
    window.get_by_label_contains("trained anew");
    let state = |window: &Harness<'_, support::Parts<EvidencePanel>>| {
        let entry = &window.state().0.store.scenarios.entries[0];
        (entry.number, entry.kept.clone())
    };
    let (number, kept) = state(&window);
    let simulated = window.state().0.store.market.result.clone().unwrap();
    assert_eq!(kept.runs[0].baseline, simulated.run.outcome.baseline.totals);
    let file = folder.path().join("kept.json");
    for command in [
        ScenarioCommand::Remark(number, "Ada".into(), "a first try".into()),
        ScenarioCommand::Rerun(number, "8-9".into()),
    ] {
        window.state_mut().0.apply(Command::Scenario(command));
        settle(&mut window);
    }
    window.get_by_label_contains("a first try");
    assert_eq!(state(&window).1.runs.len(), 3, "{:?}", window.state().0.notices.all());
    // The model is trained anew from the file and is the same one.
    window.get_by_label("Same figures?").click();
    settle(&mut window);
    window.get_by_label("All 3 runs came out the very same.");
    window.state_mut().0.apply(Command::Scenario(ScenarioCommand::Save(number, file.clone())));
    window.state_mut().0.apply(Command::Scenario(ScenarioCommand::Open(file)));
    settle(&mut window);
    let entries = &window.state().0.store.scenarios.entries;
    assert_eq!((entries.len(), &entries[0].kept, entries[0].unsaved), (2, &entries[1].kept, false));
    window.state_mut().0.apply(Command::Scenario(ScenarioCommand::Drop(number)));
    settle(&mut window);
    assert_eq!(window.state().0.store.scenarios.entries.len(), 1);
}

//! Are pages of several ads weighed right, from a file on the command line and in the window?

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use crate::support::{self, LIMIT, session};
use adloupe::base::Result;
use adloupe::base::rng::Rng;
use adloupe::headless::{Terminal, slates};
use adloupe::market::slates::{SlateQuestion, SlateTarget};
use adloupe::session::Command;
use adloupe::session::commands::DataCommand;
use adloupe::tasks::evidence::EvidenceQuestion;
use adloupe::ui::panels::evidence::EvidencePanel;
use clap::Parser;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use std::fmt::Write;
use std::path::{Path, PathBuf};

const ITEMS: usize = 4;
/// How attractive each item is; a visitor goes down the page and stops at the first click (cascade).
const ATTRACTIVE: [f64; ITEMS] = [0.1, 0.2, 0.3, 0.5];

/// What the policy in question does at each position, whatever stands above.
fn wanted(position: usize, item: usize) -> f64 {
    [[0.0, 0.05, 0.15, 0.8], [0.4, 0.3, 0.2, 0.1]][position][item]
}

/// Clicks of a page of the policy, summed over all pages.
fn truth() -> f64 {
    let mut sum = 0.0;
    for (first, above) in ATTRACTIVE.iter().enumerate() {
        for (second, below) in ATTRACTIVE.iter().enumerate() {
            let clicks = above + (1.0 - above) * below;
            sum += wanted(0, first) * wanted(1, second) * clicks;
        }
    }
    sum
}

/// A log of pages of two ads, each position chosen evenly; the last page lacks its second row.
fn log(folder: &Path, pages: usize) -> PathBuf {
    let mut rng = Rng::named(8, "pages");
    let mut text = String::from("page,pos,item,user,clicked,propensity,wanted\n");
    for page in 0..pages {
        let shown = [rng.below(ITEMS), rng.below(ITEMS)];
        let first = rng.chance(ATTRACTIVE[shown[0]]);
        let second = !first && rng.chance(ATTRACTIVE[shown[1]]);
        for (k, clicked) in [first, second].into_iter().enumerate() {
            let (item, chance) = (shown[k], wanted(k, shown[k]));
            if page + 1 < pages || k == 0 {
                writeln!(
                    text,
                    "p{page},{},i{item},u{},{},0.25,{chance}",
                    k + 1,
                    page % 900,
                    u8::from(clicked)
                )
                .unwrap();
            }
        }
    }
    let path = folder.join("pages.csv");
    std::fs::write(&path, text).unwrap();
    path
}

const ROLES: [&str; 12] = [
    "--role",
    "pos=slot",
    "--role",
    "item=ad",
    "--role",
    "user=user",
    "--role",
    "clicked=label",
    "--role",
    "page=ignored",
    "--role",
    "wanted=ignored",
];

fn run(words: &[&str]) -> Result<serde_json::Value> {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: slates::Args,
    }
    let line = Line::parse_from([&["slates"], words, &ROLES[..]].concat());
    let answer = slates::run(&line.args, &Terminal::default())?;
    assert!(answer.text.contains("clicks a page"));
    Ok(answer.json)
}

#[test]
fn a_cascade_is_told_right_by_ways_that_allow_for_it_and_wrong_by_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = log(folder.path(), 20_001);
    let path = path.to_str().unwrap();
    let told = run(&[path, "--page", "page", "--target", "wanted"]).unwrap();
    assert_eq!((&told["pages"], &told["positions"]), (&20_000.into(), &2.into()));
    assert!(told["notes"][0].as_str().unwrap().contains("lack a position"), "{told}");
    let value = |told: &serde_json::Value, place: usize| {
        let normal = &told["values"][place]["value"]["Ok"]["normal"];
        ["value", "low", "high"].map(|key| normal[key].as_f64().unwrap())
    };
    // Whole pages and cascades hold the truth (four standard errors); IIPS and the pseudo-inverse are beyond them.
    for (place, right) in [(0, true), (1, true), (2, false)] {
        let [value, low, high] = value(&told, place);
        let error = (high - low) / 3.92;
        assert_eq!((value - truth()).abs() < 4.0 * error, right, "{place}: {value} ± {error}, {}", truth());
    }
    let [_, low, high] = value(&told, 1);
    let [_, wide_low, wide_high] = value(&told, 0);
    assert!(high - low < wide_high - wide_low);
    // The policy that is the log's own is the log's own click rate.
    let told = run(&[path, "--page", "page", "--policy", "as-logged"]).unwrap();
    for place in 0..4 {
        assert!((value(&told, place)[0] - told["logged"].as_f64().unwrap()).abs() < 1e-9);
    }
    let told = run(&[path, "--page", "page", "--dependent"]).unwrap();
    assert!(told["values"][3]["value"]["Err"].as_str().unwrap().contains("depends"), "{told}");
    // One ad at both positions: its mean by the whole page.
    let told = run(&[path, "--page", "page", "--policy", "always:i3"]).unwrap();
    let [always, low, high] = value(&told, 0);
    assert!((always - 0.75).abs() < 2.0 * (high - low), "{always}");
}

#[test]
fn pages_that_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = log(folder.path(), 2_000);
    let path = path.to_str().unwrap();
    let refused = |words: &[&str]| run(&[&[path], words].concat()).unwrap_err().to_string();
    let twice = refused(&["--page", "user"]);
    assert!(twice.contains("another row has") && twice.contains("tells pages apart"), "{twice}");
    assert!(refused(&["--page", "nothing"]).contains("nothing"));
    let position = refused(&["--page", "page", "--position", "page"]);
    assert!(position.contains("2 to 20 positions"), "{position}");
    let propensity = refused(&["--page", "page", "--propensity", "pos"]);
    assert!(propensity.contains("not above 0 and up to 1"), "{propensity}");
    let model = refused(&["--page", "page", "--policy", "best"]);
    assert!(model.contains("no model"), "{model}");
    assert!(refused(&["--page", "page", "--policy", "always:none"]).contains("no ad 'none'"));
}

#[test]
fn the_window_weighs_pages() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = session();
    session.apply(Command::Data(DataCommand::Open(log(folder.path(), 3_000))));
    assert!(session.settle(LIMIT), "{:?}", session.notices.all());
    let mut window: Harness<'_, support::Parts<EvidencePanel>> = support::harness(session, true);
    window.get_by_label("Pages").click();
    (0..3).for_each(|_| window.step());
    window.get_by_label_contains("which column says what is one page");
    let question = SlateQuestion {
        page: "page".into(),
        position: Some("pos".into()),
        propensity: Some("propensity".into()),
        target: SlateTarget::Column("wanted".into()),
        independent: true,
    };
    window.state_mut().0.apply(Command::Weigh(EvidenceQuestion::Slates(question)));
    for _ in 0..3 {
        assert!(window.state_mut().0.settle(LIMIT));
        window.step();
    }
    window.get_by_label_contains("the choices of the column 'wanted'");
    window.get_by_label("PI (pseudo-inverse)");
    window.get_by_label_contains("depends on no item below it");
}

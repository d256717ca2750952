//! Do our intervals hold the truth of the sample data as often as they say?

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use adloupe::headless::{Terminal, coverage};
use clap::Parser;

fn run(words: &[&str]) -> adloupe::base::Result<adloupe::headless::Answer> {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: coverage::Args,
    }
    coverage::run(&Line::parse_from([&["coverage"], words].concat()).args, &Terminal::default())
}

#[test]
fn every_interval_holds_the_truth_of_the_sample_as_often_as_it_says() {
    let answer = run(&["--draws", "150", "--rows", "2000"]).unwrap();
    let intervals = answer.json["intervals"].as_array().unwrap();
    assert!(intervals.len() > 30, "{}", answer.text);
    assert_eq!(answer.json["as_they_say"], intervals.len(), "{}", answer.text);
    for interval in intervals {
        assert_eq!(interval["held"]["trials"], 150.0, "{interval}");
        assert_eq!(interval["level"], 0.95);
    }
    assert!(answer.text.contains("none holds the truth less often"), "{}", answer.text);
    assert!(run(&["--draws", "0"]).unwrap_err().why.contains("0 draws"));
}

//! Does the program keep its promises to scripts? The real binary: answers, exit codes, messages, files kept.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn adloupe(folder: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_adloupe"));
    command.current_dir(folder).args(line.split_whitespace());
    command
}

/// The object on the last line of standard output of a run that succeeds.
fn answer(folder: &Path, line: &str) -> Value {
    let output = adloupe(folder, line).arg("--json").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    let value = last_line(&output);
    assert!(value.is_object(), "{line}: {value}");
    value
}

fn last_line(output: &Output) -> Value {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    serde_json::from_str(text.lines().last().unwrap_or_default())
        .unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The message of a run that fails: exit code 1, and on standard error as in the JSON it tells `parts`.
fn failure(mut command: Command, parts: &[&str]) {
    let output = command.arg("--json").output().unwrap();
    let message = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{command:?}: {message}");
    let last = message.lines().last().unwrap_or_default();
    assert!(last.starts_with("adloupe: cannot ") && last.contains("Try: "), "{command:?}: {message}");
    for part in parts {
        assert!(last.contains(part), "{command:?} does not tell '{part}': {message}");
    }
    let error = &last_line(&output)["error"];
    assert!(!error["what"].as_str().unwrap().is_empty() && !error["why"].as_str().unwrap().is_empty());
}

fn has_keys(value: &Value, keys: &[&str]) {
    for key in keys {
        assert!(value.get(key).is_some(), "no '{key}' in {value}");
    }
}

fn first<'a>(value: &'a Value, list: &str) -> &'a Value {
    value[list].get(0).unwrap_or_else(|| panic!("'{list}' is no list with entries: {value}"))
}

/// A folder with a sample log as CSV.
fn folder_with_log() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let made = answer(folder.path(), "generate --rows 3000 --seed 5 --out log.csv");
    assert_eq!(made["rows"], 3000);
    assert!(folder.path().join("log.csv").is_file());
    folder
}

/// A folder with a sample log and a model of it in `model`.
fn folder_with_model() -> TempDir {
    let folder = folder_with_log();
    answer(folder.path(), "train log.csv --model deep_fm --epochs 1 --device cpu --out model");
    folder
}

/// Every file below a folder with its bytes.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

/// The log again as `name` with each row's cells changed; `change` gets the header and a row.
fn rewrite(folder: &Path, name: &str, change: impl Fn(&[&str], Vec<&str>) -> Vec<String>) {
    let text = std::fs::read_to_string(folder.join("log.csv")).unwrap();
    // Creative texts hold commas inside quotes; nothing else in the sample is quoted.
    let mut quoted = false;
    let marked: String = text
        .chars()
        .filter_map(|letter| {
            quoted ^= letter == '"';
            match letter {
                '"' => None,
                ',' if quoted => Some(';'),
                letter => Some(letter),
            }
        })
        .collect();
    let header: Vec<&str> = marked.lines().next().unwrap().split(',').collect();
    let rows: Vec<String> =
        marked.lines().map(|line| change(&header, line.split(',').collect()).join(",")).collect();
    std::fs::write(folder.join(name), rows.join("\n") + "\n").unwrap();
}

fn without(folder: &Path, name: &str, columns: &[&str]) {
    rewrite(folder, name, |header, row| {
        let kept = header.iter().zip(row).filter(|(column, _)| !columns.contains(column));
        kept.map(|(_, cell)| cell.to_owned()).collect()
    });
}

#[test]
fn lists_answer_with_one_line_each() {
    let folder = tempfile::tempdir().unwrap();
    let models = answer(folder.path(), "models");
    let ids: Vec<_> = models["models"].as_array().unwrap().iter().map(|model| &model["id"]).collect();
    let known: Vec<_> = adloupe::models::MODELS.iter().map(|kind| kind.id()).collect();
    assert_eq!(ids, known);
    has_keys(first(&models, "models"), &["id", "summary"]);
    has_keys(first(&answer(folder.path(), "formats"), "formats"), &["id", "summary"]);
    for list in ["models", "formats"] {
        let text = adloupe(folder.path(), list).output().unwrap().stdout;
        assert!(String::from_utf8(text).unwrap().lines().count() >= 3, "{list}");
    }
}

#[test]
fn a_log_is_profiled_and_parted() {
    let folder = folder_with_log();
    let profile = answer(folder.path(), "profile log.csv");
    has_keys(&profile, &["format", "rows", "bad_rows", "columns", "label", "issues"]);
    has_keys(first(&profile, "columns"), &["name", "type", "role", "missing", "distinct"]);
    has_keys(&profile["label"], &["column", "positives", "rate", "low", "high"]);
    assert_eq!((&profile["rows"], &profile["bad_rows"]), (&3000.into(), &0.into()));
    assert_eq!(profile["label"]["column"], "click");
    // A row of the wrong width is an issue with all four keys.
    let mut text = std::fs::read_to_string(folder.path().join("log.csv")).unwrap();
    text.push_str("only,three,cells\n");
    std::fs::write(folder.path().join("bad.csv"), text).unwrap();
    let profile = answer(folder.path(), "profile bad.csv --role city=ignored");
    assert_eq!(profile["bad_rows"], 1);
    profile["issues"].as_array().unwrap().iter().for_each(|issue| {
        has_keys(issue, &["kind", "column", "count", "detail"]);
    });
    assert!(!profile["issues"].as_array().unwrap().is_empty());
    let city = profile["columns"].as_array().unwrap().iter().find(|column| column["name"] == "city");
    assert_eq!(city.unwrap()["role"], "ignored");

    let parted =
        answer(folder.path(), "segment log.csv --by city,hour --where device='ios' --min-impressions 5");
    has_keys(first(&parted, "rows"), &["values", "impressions", "clicks", "rate", "low", "high", "lift"]);
    assert_eq!(first(&parted, "rows")["values"].as_array().unwrap().len(), 2);
    assert!(parted["rows"].as_array().unwrap().iter().all(|row| row["impressions"].as_i64() >= Some(5)));
}

#[test]
fn a_model_is_trained_evaluated_used_and_shown() {
    let folder = folder_with_log();
    let line =
        "train log.csv --model deep_fm --set hidden_units=8 --epochs 2 --seed 4 --device cpu --out model";
    let trained = answer(folder.path(), line);
    let measures = ["auc", "log_loss", "normalized_entropy", "ece", "predicted_over_actual"];
    has_keys(&trained, &["model", "device", "seed", "epochs", "rows_train", "rows_validation", "rows_test"]);
    has_keys(&trained, &measures);
    has_keys(&trained, &["examples_per_second", "seconds", "out"]);
    assert_eq!((&trained["seed"], &trained["out"]), (&4.into(), &"model".into()));

    let evaluated = answer(folder.path(), "evaluate model log.csv");
    has_keys(&evaluated, &measures);
    assert_eq!(evaluated["split"], "test", "the log that it was trained on is recognised");
    let gap = evaluated["auc"].as_f64().unwrap() - trained["auc"].as_f64().unwrap();
    assert!(gap.abs() < 1e-6, "the saved model has the measured AUC: {gap}");

    let predicted = answer(folder.path(), "predict model log.csv --out scores.parquet");
    assert_eq!((&predicted["rows"], &predicted["out"]), (&3000.into(), &"scores.parquet".into()));
    let scores = answer(folder.path(), "profile scores.parquet");
    assert_eq!(scores["rows"], 3000);

    let embedded = answer(folder.path(), "embed model --field ad_id --method pca --out ads.csv");
    has_keys(&embedded, &["field", "method", "out"]);
    let table = std::fs::read_to_string(folder.path().join("ads.csv")).unwrap();
    assert!(table.starts_with("value,x,y,cluster\n") && table.contains("ad_0"), "{table}");
    // Moving maps repeat, and the one by clicks needs the log.
    for method in ["umap", "tsne"] {
        let line = format!(
            "embed model --log log.csv --field ad_id --method {method} --seed 4 --set epochs=60 --out"
        );
        let told = answer(folder.path(), &format!("{line} one.csv"));
        has_keys(&told, &["trustworthiness", "preservation", "sample", "clusters", "notes"]);
        assert!(told["trustworthiness"]["value"].as_f64().unwrap() > 0.5, "{told}");
        answer(folder.path(), &format!("{line} two.csv"));
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("one.csv"), read("two.csv"));
    }
    answer(
        folder.path(),
        "embed model --log log.csv --field ad_id --method by_ctr --dimensions 3 --out three.csv",
    );
    let table = std::fs::read_to_string(folder.path().join("three.csv")).unwrap();
    assert!(table.starts_with("value,x,y,z,cluster,impressions,clicks,predicted\n"), "{table}");
}

/// The ads of the latest rows are in no earlier one, so that nothing but the looks of their pictures tells them apart. Red ones
/// are clicked four times as often as blue ones.
#[test]
fn the_colour_of_pictures_is_learnt_from_their_table_beside_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    for ad in 0..60u32 {
        let light = (150 + ad % 7 * 15) as u8;
        let colour = if ad % 2 == 0 { [light, 30, 30, 255] } else { [30, 30, light, 255] };
        let pixel = |x, _| image::Rgba(if x < 8 + ad % 5 { [240, 240, 240, 255] } else { colour });
        image::RgbaImage::from_fn(40, 30, pixel).save(pictures.join(format!("ad_{ad}.png"))).unwrap();
    }
    let mut rng = adloupe::base::rng::Rng::named(7, "pictures");
    let mut log = String::from("timestamp,user_id,ad_id,clicked\n");
    for row in 0..4000 {
        let ad = if row < 3400 { rng.below(40) } else { 40 + rng.below(20) };
        let clicked = u8::from(rng.chance([0.4, 0.1][ad % 2]));
        log += &format!("{},user_{},ad_{ad},{clicked}\n", 1_790_000_000 + 60 * row, rng.below(200));
    }
    std::fs::write(folder.path().join("log.csv"), log).unwrap();
    let looked = answer(folder.path(), "copy look pictures --out looks.csv");
    assert_eq!(looked["pictures"].as_array().unwrap().len(), 60);
    let auc = |joined: &str| {
        let line = format!(
            "train log.csv {joined} --model logistic --epochs 8 --device cpu --out model{}",
            joined.len()
        );
        answer(folder.path(), &line)["auc"].as_f64().unwrap()
    };
    let (without, with) = (auc(""), auc("--join looks.csv"));
    // By hand: of clicked rows 4 in 5 are red, of others 2 in 5, so the colour alone has an AUC of 0.7.
    assert!(without < 0.58, "{without}: ads that nobody has seen before look alike");
    assert!((with - 0.7).abs() < 0.07, "{with}: the colour tells");
}

#[test]
fn coarser_values_are_shared_by_more_rows_and_what_does_not_fit_is_refused() {
    let folder = folder_with_log();
    let at = folder.path();
    let rows = |line: &str| answer(at, line)["rows"].as_array().unwrap().len();
    let (users, letters) = (
        rows("segment log.csv --by user_id"),
        rows("segment log.csv --by user_id --generalise user_id=prefix:2"),
    );
    assert!(letters < users, "{letters} of {users}");
    failure(adloupe(at, "segment log.csv --by city --generalise city=10"), &["city", "text"]);
    failure(adloupe(at, "segment log.csv --by city --generalise town=10"), &["town"]);
}

#[test]
fn a_prediction_is_taken_apart_and_edited() {
    let folder = folder_with_log();
    let at = folder.path();
    answer(at, "train log.csv --model logistic --set epochs=1 --out model");
    let why = answer(at, "why model log.csv --row 2900");
    let shares: f64 =
        why["inputs"].as_array().unwrap().iter().map(|input| input["log_odds"].as_f64().unwrap()).sum();
    let whole = why["log_odds"].as_f64().unwrap() - why["base"].as_f64().unwrap();
    assert!((shares - whole).abs() < 1e-3, "{why}");
    let way = first(&why, "changes");
    let line = format!(
        "why model log.csv --row 2900 --set {}={}",
        way["name"].as_str().unwrap(),
        way["highest"]["value"].as_str().unwrap()
    );
    let moved = answer(at, &line);
    let promised = way["highest"]["p_click"].as_f64().unwrap();
    assert!((moved["p_click"].as_f64().unwrap() - promised).abs() < 1e-6, "{moved}");
    let percent = 50.0 * (promised + why["p_click"].as_f64().unwrap());
    let reached = answer(at, &format!("why model log.csv --row 2900 --reach {percent}"));
    assert_eq!(reached["counterfactual"]["crossed"], true, "{reached}");
    failure(adloupe(at, "why model log.csv --row 9000"), &["3000 rows"]);
    failure(adloupe(at, "why model log.csv --row 1 --set town=x"), &["town"]);
}

#[test]
fn a_model_is_looked_into_and_compared() {
    let folder = folder_with_log();
    let at = folder.path();
    for kind in ["logistic", "auto_int"] {
        answer(at, &format!("train log.csv --model {kind} --set epochs=1 --out {kind}"));
    }
    let heads = answer(at, "heads auto_int log.csv --map attention.0");
    let first = &heads["heads"]["layers"][0]["heads"][0];
    has_keys(first, &["evenness", "pull", "loss_without"]);
    failure(adloupe(at, "heads logistic log.csv"), &["logistic", "auto_int"]);
    failure(adloupe(at, "heads auto_int log.csv --map deep.7"), &["deep.7", "attention.1"]);
    let inside = answer(at, "inside auto_int log.csv --segment device='ios'");
    let of_segment = answer(at, "segment log.csv --by device --where device='ios'");
    assert_eq!(inside["rows_asked"], of_segment["rows"][0]["impressions"], "{of_segment}");
    failure(adloupe(at, "inside auto_int log.csv --segment device='nobody'"), &["no row"]);

    let compared = answer(at, "compare log.csv --model logistic --model auto_int");
    let apart = &compared["models"][1]["disagreement"];
    let count = |name: &str| apart["right"][name].as_u64().unwrap();
    // Every one of the test rows, which are the last 15 % of 3,000.
    assert_eq!(count("both") + count("only_first") + count("only_second") + count("neither"), 450);
    assert!(compared["models"][0]["disagreement"].is_null(), "{compared}");
    failure(adloupe(at, "compare log.csv --model logistic"), &["two models"]);

    let why = answer(at, "why auto_int log.csv --row 2900");
    let slopes = &why["integrated_gradients"];
    assert!(slopes["gap"].as_f64().unwrap() <= 1e-4, "{slopes}");
    let similar = &why["similar"];
    assert_eq!(similar["rate"]["trials"].as_f64(), Some(200.0), "{similar}");
    assert!(similar["rows"][0]["likeness"].as_f64() >= similar["least"].as_f64(), "{similar}");

    let exposure = answer(at, "exposure logistic log.csv --by category --people gender --top 5");
    let shares: f64 =
        exposure["groups"].as_array().unwrap().iter().map(|of| of["shown"]["value"].as_f64().unwrap()).sum();
    assert!((shares - 1.0).abs() < 1e-9, "{exposure}");
    failure(adloupe(at, "exposure logistic log.csv --by gender"), &["gender", "category"]);
    failure(adloupe(at, "exposure logistic log.csv --people category"), &["category"]);
}

#[test]
fn models_are_ranked_and_asked_what_they_would_show() {
    let folder = folder_with_log();
    let at = folder.path();
    for kind in ["logistic", "fm"] {
        answer(at, &format!("train log.csv --model {kind} --set epochs=1 --out {kind}"));
    }
    let board = answer(at, "rank log.csv --model logistic --model fm");
    has_keys(&board, &["rows", "models", "left_out"]);
    let auc = |place: usize| board["models"][place]["measures"]["auc"].as_f64().unwrap();
    assert!(auc(0) >= auc(1), "{board}");
    assert!(board["models"][0]["p_holm"].is_null() && board["models"][1]["p_holm"].is_number(), "{board}");
    failure(adloupe(at, "rank log.csv --model logistic"), &["fewer than two"]);

    let user =
        answer(at, "segment log.csv --by user_id")["rows"][0]["values"][0].as_str().unwrap().to_owned();
    let shown = answer(at, &format!("rank log.csv --model logistic --model fm --user {user} --top 3"));
    let shared = shown["shared"][0][1].as_u64().unwrap() as usize;
    assert_eq!(shown["ads"].as_array().unwrap().len(), 6 - shared, "{shown}");
    failure(adloupe(at, "rank log.csv --model fm --user nobody"), &["no user 'nobody'"]);
}

#[test]
fn a_model_is_hardened_and_attacked() {
    let folder = folder_with_log();
    let at = folder.path();
    answer(at, "train log.csv --model fm --epochs 1 --adversarial fgm --epsilon 0.2 --out model");
    let told = answer(at, "robustness model log.csv --attack pgd --steps 3 --epsilon 0.3,0 --rows 200");
    has_keys(&told, &["model", "rows", "out_of", "length"]);
    assert_eq!((told["points"][0]["epsilon"].as_f64(), told["rows"].as_u64()), (Some(0.0), Some(200)));
    failure(adloupe(at, "robustness model log.csv --epsilon=-1"), &["-1"]);
    failure(adloupe(at, "train log.csv --model gbdt --adversarial pgd"), &["counted"]);
}

#[test]
fn a_search_out_of_time_goes_on_and_keeps_the_best_model() {
    let folder = folder_with_log();
    let at = folder.path();
    let line = "search log.csv --model fm --set epochs=1 --over learning_rate=0.001..0.05 --over l2 --trials 3 --out found";
    failure(adloupe(at, line), &["factors"]);
    let line = line.replace("--over l2", "--over embedding_width=4,8");
    let first = answer(at, &format!("{line} --minutes 0.0001"));
    assert_eq!(first["ended"], "out_of_time");
    failure(adloupe(at, &line), &["--resume"]);
    let told = answer(at, "search log.csv --resume found --minutes 5");
    assert_eq!(told["ended"], "finished");
    assert_eq!(told["trials"].as_array().unwrap().len(), 3);
    let best = answer(at, "evaluate found/best log.csv");
    assert_eq!(best["auc"], told["test"]["auc"], "the test numbers are those of the model that is kept");
}

#[test]
fn an_ensemble_gives_every_score_an_interval() {
    let folder = folder_with_log();
    let at = folder.path();
    let made = answer(at, "train log.csv --model fm --epochs 1 --members 3 --out model");
    assert_eq!(made["members"], 3);
    let why = answer(at, "why model log.csv --row 7");
    let interval: Vec<f64> = serde_json::from_value(why["p_click_interval"].clone()).unwrap();
    let p = why["p_click"].as_f64().unwrap();
    assert!(interval[0] < p && p < interval[1], "{why}");
    answer(at, "predict model log.csv --out scores.csv");
    let head = std::fs::read_to_string(at.join("scores.csv")).unwrap();
    assert!(head.starts_with("row,p_click,p_click_low,p_click_high"), "{}", head.lines().next().unwrap());
    failure(adloupe(at, "train log.csv --model fm --members 0"), &["2 to 50"]);
}

#[test]
fn a_model_is_tuned_and_adapted_beside_its_base() {
    let folder = folder_with_log();
    let at = folder.path();
    answer(at, "train log.csv --model fm --epochs 1 --out base");
    let tuned = answer(at, "train log.csv --from base --freeze linear --epochs 1 --out tuned");
    has_keys(&tuned, &["from", "before", "auc"]);
    failure(adloupe(at, "train log.csv --from base --freeze nothing"), &["embedding"]);
    failure(adloupe(at, "train log.csv --from base --model deep_fm"), &["fm"]);
    answer(at, "train log.csv --from base --adapter-rank 2 --adapter mine --epochs 1");
    let adapted = answer(at, "evaluate base/adapters/mine log.csv");
    assert!(adapted["auc"].is_number());
    answer(at, "train log.csv --model fm --epochs 1 --seed 9 --out base");
    failure(adloupe(at, "evaluate base/adapters/mine log.csv"), &["another model"]);
}

#[test]
fn a_report_holds_the_figures_of_the_commands_printed_in_it() {
    let folder = folder_with_model();
    let at = folder.path();
    let made = answer(at, "model-report model log.csv --by city --fairness gender --out report.html");
    let page = std::fs::read_to_string(at.join("report.html")).unwrap();
    let run = |command: &str| {
        assert!(page.contains(command), "{command}");
        let words = command.strip_prefix("adloupe ").unwrap();
        answer(at, words.trim_end_matches(" --json"))
    };
    let told = run(made["commands"]["evaluate"].as_str().unwrap());
    assert_eq!(told["evaluation"], made["evaluation"]);
    let told = run(made["commands"]["columns"][0].as_str().unwrap());
    assert_eq!(told["by_column"], made["columns"][0]);
    let told = run(made["commands"]["slices"].as_str().unwrap());
    assert_eq!(told["slices"], made["slices"]["slices"]);
    let told = run(made["commands"]["fairness"].as_str().unwrap());
    assert_eq!(told["groups"], made["fairness"]["groups"]);
    failure(adloupe(at, "fairness model log.csv --by planet"), &["planet"]);
    failure(adloupe(at, "slices model log.csv --depth 7"), &["7 columns"]);
    failure(adloupe(at, "model-report model log.csv --out log.csv/report.html"), &["report"]);
}

#[test]
fn a_slot_is_simulated_from_a_spec_with_a_saved_model() {
    let folder = folder_with_model();
    let spec = r#"{"log": "log.csv", "model": {"folder": "model"}, "pool_rows": 200, "requests": 2000,
        "what_if": {"shifts": [{"where": "device = 'ios'", "factor": 3.0}]}}"#;
    std::fs::write(folder.path().join("spec.json"), spec).unwrap();
    let simulated = answer(folder.path(), "simulate spec.json --requests 1500 --seed 2");
    has_keys(&simulated, &["totals", "campaigns", "difference", "clicks_from"]);
    assert_eq!((&simulated["requests"], &simulated["seed"]), (&1500.into(), &2.into()));
    for measure in ["impressions_per_mille", "clicks_per_mille", "revenue_per_mille"] {
        has_keys(&simulated["difference"][measure], &["value", "low", "high"]);
    }
    assert!(!simulated["campaigns"].as_array().unwrap().is_empty());
}

#[test]
fn a_wrong_command_line_is_usage() {
    let folder = tempfile::tempdir().unwrap();
    for line in [
        "profile",
        "profile log.csv --role click",
        "profile log.csv --role click=lable",
        "train log.csv --model logistic --set l2",
        "train log.csv --model logistic --device abacus",
        "segment log.csv",
        "predict model log.csv",
        "no-such-command --flag",
    ] {
        let output = adloupe(folder.path(), line).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{line}");
    }
}

#[test]
fn failures_tell_what_where_why_and_what_to_try() {
    let folder = folder_with_model();
    let at = folder.path();
    for (line, parts) in [
        ("profile none.csv", ["none.csv", "No such file"]),
        ("train none.csv --model logistic", ["none.csv", "No such file"]),
        ("train log.csv --model nope", ["'nope'", "deep_fm"]),
        ("train log.csv --model logistic --set depth=2", ["depth", "l2"]),
        ("train log.csv --model logistic --resume none", ["none", "--checkpoint"]),
        ("evaluate none log.csv", ["none", "card.json"]),
        ("segment log.csv --by planet", ["'planet'", "city"]),
        ("embed model --field planet --out x.csv", ["'planet'", "city"]),
        ("embed model --field ad_id --method by_ctr --out x.csv", ["no predictions", "principal components"]),
        ("embed model --field ad_id --method umap --set epochs=x --out x.csv", ["epochs", "0 to 5000"]),
        (
            "embed model --field device --method tsne --out x.csv",
            ["at least 7 points", "principal components"],
        ),
        ("predict model log.csv --out x.xlsx", ["x.xlsx", ".parquet"]),
        ("simulate none.json", ["none.json", "No such file"]),
        ("generate --rows 1 --out x.csv", ["1 rows", "100000"]),
    ] {
        failure(adloupe(at, line), &parts);
    }
    assert!(!at.join("x.csv").exists() && !at.join("x.xlsx").exists());
}

#[test]
fn logs_that_cannot_teach_or_be_scored_are_refused() {
    let folder = folder_with_model();
    let at = folder.path();
    rewrite(at, "never.csv", |header, row| {
        let cells = header.iter().zip(row);
        let never = |(column, cell): (&&str, &str)| match (*column, cell) {
            ("click" | "conversion", "1") => "0".to_owned(),
            (_, cell) => cell.to_owned(),
        };
        cells.map(never).collect()
    });
    failure(adloupe(at, "train never.csv --model logistic"), &["never.csv", "no column", "role label"]);
    failure(
        adloupe(at, "train never.csv --model logistic --role click=label"),
        &["never.csv", "outcome 0 in 'click'", "clicked"],
    );
    without(at, "unlabelled.csv", &["click", "conversion", "conversion_delay_hours"]);
    failure(adloupe(at, "train unlabelled.csv --model logistic"), &["unlabelled.csv", "role label"]);
    failure(adloupe(at, "evaluate model unlabelled.csv"), &["unlabelled.csv", "clicked"]);
    assert_eq!(answer(at, "predict model unlabelled.csv --out scored.csv")["rows"], 3000);
    // Conversions are no measure for a model of clicks, unless the person says so.
    without(at, "converted.csv", &["click"]);
    failure(adloupe(at, "evaluate model converted.csv"), &["predicts 'click'", "'conversion'", "--role"]);
    answer(at, "evaluate model converted.csv --role conversion=label");
    for (log, header) in [("log.csv", "row,p_click,label"), ("converted.csv", "row,p_click")] {
        answer(at, &format!("predict model {log} --out scored.csv"));
        let scored = std::fs::read_to_string(at.join("scored.csv")).unwrap();
        assert_eq!(scored.lines().next(), Some(header), "conversions are no clicks");
    }
    // A field that the model reads is named.
    without(at, "nowhere.csv", &["city", "page"]);
    for line in ["evaluate model nowhere.csv", "predict model nowhere.csv --out x.csv"] {
        failure(adloupe(at, line), &["nowhere.csv", "city", "page"]);
    }
    assert!(!at.join("x.csv").exists());
}

#[test]
fn a_model_folder_whose_parts_disagree_is_refused() {
    let folder = folder_with_model();
    let at = folder.path();
    answer(at, "train log.csv --model logistic --epochs 1 --out other");
    std::fs::copy(at.join("other/weights.safetensors"), at.join("model/weights.safetensors")).unwrap();
    for line in [
        "evaluate model log.csv",
        "predict model log.csv --out x.csv",
        "embed model --field ad_id --out x.csv",
    ] {
        failure(adloupe(at, line), &["model", "do not belong together", "train it anew"]);
    }
    std::fs::write(at.join("model/card.json"), "{\"format\": 1").unwrap();
    failure(adloupe(at, "evaluate model log.csv"), &["card.json", "line 1", "train it anew"]);
    // Cards that were edited by hand: the hash is right, the weights have another shape or are of another kind.
    answer(at, "train log.csv --model deep_fm --epochs 1 --out model");
    for (model, from, to, told) in [
        ("model", "\"hidden_units\": 64", "\"hidden_units\": 32", "disagree"),
        ("other", "\"kind\": \"logistic\"", "\"kind\": \"deep_fm\"", "disagree"),
    ] {
        let path = at.join(model).join("card.json");
        let card = std::fs::read_to_string(&path).unwrap();
        assert!(card.contains(from));
        std::fs::write(&path, card.replacen(from, to, 1)).unwrap();
        failure(adloupe(at, &format!("evaluate {model} log.csv")), &[model, told, "train it anew"]);
    }
    assert!(!at.join("x.csv").exists());
}

#[test]
fn a_folder_that_cannot_be_written_is_told_before_training() {
    let folder = folder_with_log();
    let at = folder.path();
    std::fs::write(at.join("taken"), "a file").unwrap();
    for option in ["--out", "--checkpoint"] {
        for place in ["taken", "taken/model"] {
            let line = format!("train log.csv --model logistic --epochs 1 {option} {place}");
            let output = adloupe(at, &line).output().unwrap();
            let message = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{line}: {message}");
            assert!(message.contains("taken") && message.contains("choose another"), "{message}");
            assert!(!message.contains("epoch 1"), "no training for nothing: {message}");
        }
    }
    failure(adloupe(at, "generate --rows 3000 --out taken/log.csv"), &["taken"]);
    assert_eq!(std::fs::read_to_string(at.join("taken")).unwrap(), "a file");
}

/// The program under a full disk: the temporary file beside `name` is a link to `/dev/full`, which answers every
/// write with "no space left". Its name holds the process's id, which the shell knows beforehand because `exec`
/// keeps it.
#[cfg(target_os = "linux")]
fn on_a_full_disk(folder: &Path, name: &str, line: &str) -> Command {
    let binary = env!("CARGO_BIN_EXE_adloupe");
    let mut command = Command::new("sh");
    let script = format!("ln -s /dev/full {name}.$$.part && exec '{binary}' {line} \"$@\"");
    command.current_dir(folder).args(["-c", &script, "sh"]);
    command
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_keeps_what_was_there() {
    let folder = folder_with_model();
    let at = folder.path();
    let before = contents(&at.join("model"));
    for part in ["card.json", "weights.safetensors"] {
        let line = "train log.csv --model logistic --epochs 1 --out model";
        let told = [part, "No space left", "free some space"];
        failure(on_a_full_disk(at, &format!("model/{part}"), line), &told);
        assert!(contents(&at.join("model")) == before, "the old model is whole and alone in its folder");
    }
    for name in ["scores.csv", "scores.parquet", "scores.jsonl"] {
        answer(at, &format!("predict model log.csv --out {name}"));
        let before = std::fs::read(at.join(name)).unwrap();
        let line = format!("predict model log.csv --out {name}");
        failure(on_a_full_disk(at, name, &line), &[name, "No space left", "free some space"]);
        assert!(std::fs::read(at.join(name)).unwrap() == before);
    }
    let log = std::fs::read(at.join("log.csv")).unwrap();
    let line = "generate --rows 4000 --seed 6 --out log.csv";
    failure(on_a_full_disk(at, "log.csv", line), &["log.csv", "No space left", "free some space"]);
    assert!(std::fs::read(at.join("log.csv")).unwrap() == log);
    let left = std::fs::read_dir(at).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.filter(|name| name.to_string_lossy().ends_with(".part")).count(), 0);
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_a_training_and_it_can_go_on() {
    let folder = folder_with_model();
    let at = folder.path();
    let before = contents(&at.join("model"));
    let line = "train log.csv --model din --set patience=0 --set batch_size=64 --epochs 1000 --device cpu \
        --out model --checkpoint kept";
    let mut child = adloupe(at, line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    let begun = told.by_ref().map(|line| line.unwrap()).find(|line| line.starts_with("epoch 1 of 1000"));
    assert!(begun.is_some(), "the training never began");
    let sent = Instant::now();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let message = told.map(|line| line.unwrap()).last().unwrap_or_default();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{message}");
    assert!(sent.elapsed() < Duration::from_secs(5), "{:?}", sent.elapsed());
    assert!(message.contains("training stopped") && message.contains("--resume kept"), "{message}");
    assert!(contents(&at.join("model")) == before, "no model is written by a training that was stopped");
    assert!(at.join("kept/checkpoint.safetensors").is_file());
    // It goes on: told epochs begin after those that were done, and a second Ctrl-C stops it again.
    let mut child = adloupe(at, "train log.csv --model din --resume kept --checkpoint kept")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines().map(|line| line.unwrap());
    let resumed = told.by_ref().filter(|line| line.starts_with("epoch ")).nth(1);
    assert!(resumed.is_some(), "the training did not go on");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let message = told.last().unwrap_or_default();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{message}");
    // Other data are refused.
    answer(at, "generate --rows 3000 --seed 6 --out other.csv");
    failure(
        adloupe(at, "train other.csv --model din --resume kept"),
        &["kept", "the vocabulary of", "another one"],
    );
}

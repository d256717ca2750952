//! Does the program understand what kind of log it was given? The first sentence, roles, shapes and health of small
//! made-up files of many kinds.

use adloupe::data::cells;
use adloupe::data::importers::{self, ImportOptions};
use adloupe::data::profile::{IssueKind, Profile, profile};
use adloupe::data::shape::Shape;
use adloupe::data::{LogFrame, Role};
use adloupe::jobs::JobContext;
use std::fmt::Write as _;

fn open_with(text: &str, options: &ImportOptions) -> LogFrame {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.csv");
    std::fs::write(&path, text).unwrap();
    importers::open(&path, options, &JobContext::detached()).unwrap()
}

fn open(text: &str) -> LogFrame {
    open_with(text, &ImportOptions::default())
}

fn profiled(text: &str) -> Profile {
    profile(&open(text), &JobContext::detached()).unwrap()
}

fn role(profile: &Profile, column: &str) -> Role {
    profile.columns.iter().find(|found| found.name == column).unwrap_or_else(|| panic!("no '{column}'")).role
}

fn issue(profile: &Profile, kind: IssueKind) -> Option<&adloupe::data::profile::Issue> {
    profile.issues.iter().find(|issue| issue.kind == kind)
}

fn total(profile: &Profile, quantity: &str) -> f64 {
    profile.totals.iter().find(|total| total.quantity == quantity).map_or(f64::NAN, |total| total.sum)
}

// --- Logs of counts, as platforms export them. ---

#[test]
fn an_export_with_ratios_and_two_kinds_of_clicks() {
    let found = profiled(
        "Day,Campaign name,Campaign delivery,Results,Reach,Cost per results,Amount spent (EUR),Impressions,Link clicks,\
         CTR (link click-through rate),Clicks (all)\n\
         2026-10-01,Autumn,active,4,900,2.5,10.25,1000,20,2,31\n\
         2026-10-02,Autumn,active,,700,,8.5,800,12,1.5,15\n\
         2026-10-01,Winter,active,1,1500,5,5,2000,15,0.75,22\n\
         2026-10-02,Winter,active,2,1200,3,6,1700,13,0.76,19\n",
    );
    assert_eq!(found.shape, Shape::Aggregated);
    assert!(
        found.reading.starts_with("aggregated log: 4 rows stand for 5,500 impressions, CTR 1.09 %"),
        "{}",
        found.reading
    );
    assert!(found.reading.contains("spend 29.75 EUR"), "{}", found.reading);
    assert_eq!(found.label.as_ref().unwrap().column, "Link clicks");
    assert_eq!(found.currency.as_deref(), Some("EUR"));
    assert_eq!(
        (total(&found, "conversions"), total(&found, "spend"), total(&found, "reach")),
        (7.0, 29.75, 4300.0)
    );
    let results = found.totals.iter().find(|total| total.column == "Results").unwrap();
    assert_eq!(results.n, 3, "an empty cell is unknown, not 0");
    for column in ["Clicks (all)", "Cost per results", "CTR (link click-through rate)", "Reach"] {
        assert_eq!(role(&found, column), Role::Ignored, "{column}");
    }
    assert_eq!(role(&found, "Campaign name"), Role::Campaign);
    assert_eq!(role(&found, "Campaign delivery"), Role::Ignored, "constant");
}

#[test]
fn exports_in_other_languages() {
    let french = profiled(
        "Jour;Nom de la campagne;Impressions;Clics sur un lien;Montant dépensé (EUR)\n\
         2026-10-01;Été;1000;20;10.25\n2026-10-02;Hiver;3000;25;12.5\n2026-10-03;Hiver;2000;31;12.5\n",
    );
    let chinese = profiled(
        "日期,广告系列,展示次数,点击量,花费（元）,转化数\n2026-10-01,春季,1000,20,10.25,2\n2026-10-02,夏季,3000,25,12.5,3\n",
    );
    let german = profiled(
        "Tag,Kampagne,Impressionen,Klicks,Kosten\n2026-10-01,Herbst,1000,20,10.25\n2026-10-02,Winter,3000,25,12.5\n",
    );
    let japanese = profiled(
        "日,キャンペーン,表示回数,クリック数,費用\n2026-10-01,春,1000,20,1025\n2026-10-02,夏,3000,25,1250\n",
    );
    for found in [&french, &chinese, &german, &japanese] {
        assert_eq!(found.shape, Shape::Aggregated, "{}", found.reading);
        assert!(found.columns.iter().any(|column| column.role == Role::Campaign), "{}", found.reading);
        assert!(total(found, "spend") > 0.0 && total(found, "clicks") >= 45.0, "{}", found.reading);
        assert!(found.time_range.is_some(), "{}", found.reading);
    }
    assert_eq!(french.currency.as_deref(), Some("EUR"));
    assert_eq!(chinese.currency.as_deref(), Some("CNY"));
    assert_eq!(total(&chinese, "conversions"), 5.0);
}

#[test]
fn clicks_of_0_and_1_beside_impressions_are_counts() {
    let found =
        profiled("ad_id,Impressions,Clicks,Spent\n1,5000,1,0.5\n2,7000,0,0\n3,2000,1,0.7\n4,100,0,0\n");
    let label = found.label.as_ref().unwrap();
    assert_eq!((label.positives, label.impressions), (2, 14_100));
}

#[test]
fn impressions_without_clicks_are_still_counted() {
    let found = profiled(
        "Date,Impressions,Saves,Caption\n2026-01-01,100,4,one\n2026-01-02,250,9,two\n2026-01-03,80,1,three\n",
    );
    assert!(
        found.reading.contains("stand for 430 impressions; no column counts clicks"),
        "{}",
        found.reading
    );
    assert!(found.label.is_none());
}

#[test]
fn impossible_rates_missing_impressions_and_mirrors_are_told() {
    let mut text = String::from("Date,Source,Campaign,Clicks,Impressions\n");
    for day in 1..=28 {
        for campaign in 0..3 {
            let (clicks, shown) = (10 + day * campaign, 1000 + 17 * day + campaign);
            for source in ["Search Ads", "Site Analytics"] {
                let _ = writeln!(text, "2026-02-{day:02},{source},c{campaign},{clicks},{shown}");
            }
        }
        let _ = writeln!(text, "2026-02-{day:02},Mail,newsletter,{},", 100 + day);
    }
    text += "2026-02-28,Search Ads,c9,50,40\n";
    let found = profiled(&text);
    let mirrored = issue(&found, IssueKind::DoubleCounting).unwrap();
    assert!(mirrored.detail.contains("'Search Ads' and 'Site Analytics'"), "{}", mirrored.detail);
    assert_eq!(mirrored.count, 84);
    assert_eq!(issue(&found, IssueKind::ClicksBeyondImpressions).unwrap().count, 1);
    assert_eq!(issue(&found, IssueKind::ClicksWithoutImpressions).unwrap().count, 28);
    assert_eq!(total(&found, "clicks_without_impressions"), 3206.0);
    let high = profiled("day,impressions,clicks\n2026-01-01,100,91\n2026-01-02,300,280\n");
    assert!(issue(&high, IssueKind::ImplausibleRate).is_some());
}

#[test]
fn two_currencies_are_not_added() {
    let found = profiled(
        "Campaign,Currency code,Cost,Impr.,Clicks\na,EUR,10.5,1000,20\nb,INR,900.5,2000,30\nc,EUR,3.5,500,4\n",
    );
    assert_eq!(found.currency, None);
    assert!(issue(&found, IssueKind::MixedCurrencies).unwrap().detail.contains("EUR, INR"));
}

// --- Shapes. ---

#[test]
fn a_wide_log_becomes_long_on_demand() {
    let mut text = String::from("Ad 1,Ad 2,Ad 3\n");
    for round in 0..40 {
        let _ = writeln!(
            text,
            "{},{},{}",
            i32::from(round % 4 == 0),
            i32::from(round % 5 == 0),
            i32::from(round % 8 == 0)
        );
    }
    let found = profiled(&text);
    assert_eq!(found.shape, Shape::Wide);
    assert!(
        found.reading.contains("40 rounds") && found.reading.contains("3 ads, 23 clicks"),
        "{}",
        found.reading
    );
    let options = ImportOptions { shape: Some("long".parse().unwrap()), ..ImportOptions::default() };
    let long = open_with(&text, &options);
    assert_eq!(long.rows(), 120);
    assert_eq!(cells::numbers(&long, "click").unwrap().iter().sum::<f64>(), 23.0);
    let found = profile(&long, &JobContext::detached()).unwrap();
    assert_eq!(found.shape, Shape::Impressions);
}

#[test]
fn an_event_stream_is_joined_on_demand() {
    let text = "user_id,item_id,timestamp,event_type\n\
                u1,a,2026-03-01 10:00:00,view\nu1,a,2026-03-01 10:05:00,click\nu2,a,2026-03-01 11:00:00,view\n\
                u2,b,2026-03-01 11:01:00,view\nu2,b,2026-03-03 11:01:00,click\nu1,a,2026-03-04 09:00:00,purchase\n";
    let found = profiled(text);
    assert_eq!(found.shape, Shape::Events);
    assert!(found.label.is_none());
    let options =
        ImportOptions { shape: Some("impressions:12".parse().unwrap()), ..ImportOptions::default() };
    let log = open_with(text, &options);
    assert_eq!(cells::numbers(&log, "click").unwrap(), [1.0, 0.0, 0.0]);
    assert_eq!(cells::numbers(&log, "conversion").unwrap(), [1.0, 0.0, 0.0]);
    assert!(log.source.notes.iter().any(|note| note.contains("1 without a view")), "{:?}", log.source.notes);
    let refused = importers::open(
        std::path::Path::new("sample_data/does-not-matter.csv"),
        &options,
        &JobContext::detached(),
    );
    assert!(refused.is_err());
}

#[test]
fn what_is_no_log_says_what_it_is() {
    let mut users = String::from("user_id,age_range,fans_range,device\n");
    let mut keywords = String::from("Keyword\n");
    let mut curve = String::from("region_id,dow,hour,traffic_share\n");
    let mut series = String::from("DATE,revenue,tv_S,search_S,search_clicks_P,facebook_I\n");
    for row in 0..60 {
        let fans = ["0", "[1,10)", "[10,100)", "[100,1k)", "[1k,5k)", "5k+"][row % 6];
        let age = ["18-24", "25-34", "35-44", "65+"][row % 4];
        let _ = writeln!(users, "{},{age},\"{fans}\",{}", 7000 + row * 3, ["ios", "android"][row % 2]);
        let _ = writeln!(keywords, "buy shoes number {row} online");
        let _ = writeln!(curve, "{},{},{},0.00{}", 640 + row % 2, row % 7, row % 24, 1 + row % 9);
        let week = row * 7;
        let _ = writeln!(
            series,
            "{}-{:02}-{:02},{}.5,{}.25,{},{},{}",
            2025 + week / 336,
            week / 28 % 12 + 1,
            week % 28 + 1,
            1000 * row,
            row * 3,
            row * 7 % 11,
            row * 5,
            row * 1000
        );
    }
    let users = profiled(&users);
    assert_eq!(users.shape, Shape::Users);
    assert!(users.reading.contains("without a log"), "{}", users.reading);
    let fans = users.columns.iter().find(|column| column.name == "fans_range").unwrap();
    let order: Vec<&str> = fans.top.iter().map(|top| top.value.as_str()).collect();
    assert_eq!(order, ["0", "[1,10)", "[10,100)", "[100,1k)", "[1k,5k)", "5k+"]);
    assert!(fans.is_ordered);
    let keywords = profiled(&keywords);
    assert_eq!(keywords.shape, Shape::Texts);
    assert!(keywords.reading.starts_with("one text column, no metrics"), "{}", keywords.reading);
    assert_eq!(profiled(&curve).shape, Shape::Curve);
    let series = profiled(&series);
    assert_eq!(series.shape, Shape::Series, "{}", series.reading);
    assert!(series.label.is_none() && series.reading.contains("2 channels"), "{}", series.reading);
}

#[test]
fn pairs_paths_and_ratings() {
    let mut pairs = String::from("ad1,ad2,count.preference_ad1,count.preference_ad2\n");
    let mut paths = String::from("path,total_conversions,total_conversion_value,total_null\n");
    let mut ratings = String::from("user_id,movie_id,rating,timestamp\n");
    for row in 0..40 {
        let _ = writeln!(
            pairs,
            "a plain offer number {row},an offer plainly numbered {row},{},{}",
            row % 10,
            10 - row % 10
        );
        let path =
            ["search > social > search", "social", "email > search", "search > email > email > social"]
                [row % 4];
        let _ = writeln!(paths, "{path},{},{}.5,{}", row % 3, row, row % 5);
        let _ = writeln!(ratings, "{},{},{},{}", row % 7, row % 11, row % 5 + 1, 968_035_345 + row * 60);
    }
    assert_eq!(profiled(&pairs).shape, Shape::Pairs);
    let paths = profiled(&paths);
    assert_eq!(paths.shape, Shape::Paths, "{}", paths.reading);
    assert!(paths.reading.contains("3 touchpoints, up to 4 in one path"), "{}", paths.reading);
    let ratings = profiled(&ratings);
    assert_eq!(ratings.shape, Shape::Ratings);
    assert!(ratings.reading.contains("--role 'rating>=4=label'"), "{}", ratings.reading);
}

// --- Tests, outliers, people. ---

#[test]
fn arms_are_compared_with_their_z() {
    let mut text = String::from("userid,test_version,rounds,kept_1,retention_7\n");
    for row in 0..3000 {
        let arm = if row % 100 < 54 { "gate_a" } else { "gate_b" };
        let kept = row % 5 == 0 || (arm == "gate_a" && row % 7 == 0);
        let rounds = if row == 77 { 49_854 } else { row * 7 % 300 };
        let _ = writeln!(text, "{},{arm},{rounds},{},{}", 10_000 + row * 3, row % 2 == 0, kept);
    }
    let found = profiled(&text);
    let test = found.experiment.as_ref().unwrap();
    assert_eq!(test.arms.iter().map(|arm| arm.rows).collect::<Vec<_>>(), [1620, 1380]);
    // (1620 - 1380) / sqrt(3000)
    assert!((test.ratio_z.unwrap() - 4.382).abs() < 1e-3);
    assert!(issue(&found, IssueKind::SampleRatioMismatch).unwrap().detail.contains("z = 4.38"));
    let outcome = test.outcomes.iter().find(|outcome| outcome.column == "retention_7").unwrap();
    assert!(outcome.z.unwrap() > 5.0 && outcome.p.unwrap() < 1e-6, "{outcome:?}");
    assert_eq!(issue(&found, IssueKind::Outliers).unwrap().column.as_deref(), Some("rounds"));
}

#[test]
fn a_tracker_that_stops_and_people_are_told() {
    let mut text = String::from("time,user_email,ip,masked_ip,city,click\n");
    for row in 0..400 {
        let day = row / 40 + 1;
        let city = if day <= 6 { ["Berlin", "Paris"][row % 2] } else { "" };
        let _ = writeln!(
            text,
            "2026-03-{day:02} 10:{:02}:00,person{row}@example.org,61.131.{}.{},61.131.{}.*,{city},{}",
            row % 60,
            row % 200,
            row % 250 + 1,
            row % 200,
            i32::from(row % 9 == 0)
        );
    }
    let found = profiled(&text);
    let stopped = issue(&found, IssueKind::MissingOverTime).unwrap();
    assert_eq!((stopped.column.as_deref(), stopped.count), (Some("city"), 160));
    assert!(stopped.detail.contains("2026-03-07"), "{}", stopped.detail);
    let people: Vec<_> = found
        .issues
        .iter()
        .filter(|issue| issue.kind == IssueKind::PersonalData)
        .map(|issue| issue.column.clone().unwrap())
        .collect();
    assert_eq!(people, ["user_email", "ip"]);
}

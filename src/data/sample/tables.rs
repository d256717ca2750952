//! How is the sample world written down? One polars frame for the log, the creatives and the users.

use super::World;
use super::draw::{HISTORY_LEN, Impression};
use super::inventory::{self, ADS, ADVERTISERS, CATEGORIES};
use super::people::user_id;
use super::truth::{AGE_BANDS, CITIES, DEVICES, GENDERS, LANGUAGES, PAGES};
use crate::base::Result;
use crate::base::failure::Explain;
use crate::data::export::TableFormat;
use polars::prelude::{
    Column, DataFrame, DataType, IntoSeries, ListBuilderTrait, ListStringChunkedBuilder, NamedFrom, Series,
    TimeUnit,
};

const WHAT: &str = "cannot make the sample tables";

/// The log, one row an impression.
pub fn log_frame(world: &World, rows: &[Impression], format: TableFormat) -> Result<DataFrame> {
    let text = |name: &str, of: &dyn Fn(&Impression) -> String| -> Column {
        Series::new(name.into(), rows.iter().map(of).collect::<Vec<_>>()).into()
    };
    let word = |name: &str, of: &dyn Fn(&Impression) -> &'static str| -> Column {
        Series::new(name.into(), rows.iter().map(of).collect::<Vec<_>>()).into()
    };
    let whole = |name: &str, of: &dyn Fn(&Impression) -> i64| -> Column {
        Series::new(name.into(), rows.iter().map(of).collect::<Vec<_>>()).into()
    };
    let person = |row: &Impression| world.user(row.user).person;
    let campaign = |row: &Impression| inventory::campaign_of(row.ad);
    let histories: Vec<&[u8]> = rows.iter().map(|row| row.history.as_slice()).collect();
    let delays: Vec<Option<f64>> = rows.iter().map(|row| row.conversion_delay_hours).collect();
    let bids: Vec<f64> = rows.iter().map(|row| row.bid_cpm_cny).collect();
    // Single precision is what models answer in, and halves the column that compresses worst.
    let truths: Vec<f32> = rows.iter().map(|row| row.p_click as f32).collect();
    let columns = vec![
        time_column(rows, format)?,
        text("user_id", &|row| user_id(row.user)),
        word("age_band", &|row| AGE_BANDS[person(row).age]),
        word("gender", &|row| GENDERS[person(row).gender]),
        word("city", &|row| CITIES[person(row).city]),
        word("language", &|row| LANGUAGES[person(row).language]),
        word("device", &|row| DEVICES[row.moment.device]),
        word("page", &|row| PAGES[row.moment.page]),
        whole("slot_position", &|row| row.moment.position as i64 + 1),
        word("campaign", &|row| campaign(row).name),
        word("advertiser", &|row| ADVERTISERS[campaign(row).advertiser]),
        text("ad_id", &|row| inventory::ad_id(row.ad)),
        word("category", &|row| CATEGORIES[campaign(row).category]),
        word("creative_text", &|row| inventory::text_of(row.ad)),
        Series::new("bid_cpm_cny".into(), bids).into(),
        history_column(&histories, format),
        whole("click", &|row| i64::from(row.click)),
        whole("conversion", &|row| i64::from(row.conversion_delay_hours.is_some())),
        Series::new("conversion_delay_hours".into(), delays).into(),
        Series::new("true_ctr".into(), truths).into(),
    ];
    DataFrame::new_infer_height(columns).explain(WHAT)
}

/// All ads.
pub fn creatives_frame() -> Result<DataFrame> {
    let text = |name: &str, of: &dyn Fn(usize) -> String| -> Column {
        Series::new(name.into(), (0..ADS).map(of).collect::<Vec<_>>()).into()
    };
    let bids: Vec<f64> = (0..ADS).map(|ad| inventory::campaign_of(ad).bid_cpm_cny).collect();
    let columns = vec![
        text("ad_id", &inventory::ad_id),
        text("campaign", &|ad| inventory::campaign_of(ad).name.to_owned()),
        text("advertiser", &|ad| ADVERTISERS[inventory::campaign_of(ad).advertiser].to_owned()),
        text("category", &|ad| CATEGORIES[inventory::campaign_of(ad).category].to_owned()),
        text("creative_text", &|ad| inventory::text_of(ad).to_owned()),
        text("language", &|ad| LANGUAGES[inventory::language_of(ad)].to_owned()),
        Series::new("bid_cpm_cny".into(), bids).into(),
    ];
    DataFrame::new_infer_height(columns).explain(WHAT)
}

/// All users who appear in the log, with their most recent categories at its end.
pub fn users_frame(world: &World, rows: &[Impression], format: TableFormat) -> Result<DataFrame> {
    let mut impressions = vec![0i64; world.users.len()];
    let mut clicks = vec![0i64; world.users.len()];
    let mut last: Vec<Option<&Impression>> = vec![None; world.users.len()];
    for row in rows {
        impressions[row.user] += 1;
        clicks[row.user] += i64::from(row.click);
        last[row.user] = Some(row);
    }
    let seen: Vec<&Impression> = last.into_iter().flatten().collect();
    let endings: Vec<Vec<u8>> = seen.iter().map(|row| history_after(row)).collect();
    let text = |name: &str, of: &dyn Fn(usize) -> String| -> Column {
        Series::new(name.into(), seen.iter().map(|row| of(row.user)).collect::<Vec<_>>()).into()
    };
    let whole = |name: &str, of: &[i64]| -> Column {
        Series::new(name.into(), seen.iter().map(|row| of[row.user]).collect::<Vec<_>>()).into()
    };
    let person = |user: usize| world.user(user).person;
    let columns = vec![
        text("user_id", &user_id),
        text("age_band", &|user| AGE_BANDS[person(user).age].to_owned()),
        text("gender", &|user| GENDERS[person(user).gender].to_owned()),
        text("city", &|user| CITIES[person(user).city].to_owned()),
        text("language", &|user| LANGUAGES[person(user).language].to_owned()),
        text("main_device", &|user| DEVICES[world.user(user).main_device].to_owned()),
        whole("impressions", &impressions),
        whole("clicks", &clicks),
        history_column(&endings.iter().map(Vec::as_slice).collect::<Vec<_>>(), format),
    ];
    DataFrame::new_infer_height(columns).explain(WHAT)
}

/// What the user had seen once this impression was over.
fn history_after(row: &Impression) -> Vec<u8> {
    let mut history = row.history.clone();
    if row.click {
        history.push(inventory::campaign_of(row.ad).category as u8);
    }
    history.split_off(history.len().saturating_sub(HISTORY_LEN))
}

fn time_column(rows: &[Impression], format: TableFormat) -> Result<Column> {
    let millis = Series::new("time".into(), rows.iter().map(|row| row.millis).collect::<Vec<_>>());
    let times = millis.cast(&DataType::Datetime(TimeUnit::Milliseconds, None)).explain(WHAT)?;
    if format == TableFormat::Parquet {
        return Ok(times.into());
    }
    let texts = times.datetime().and_then(|times| times.strftime("%Y-%m-%dT%H:%M:%S%.3f")).explain(WHAT)?;
    Ok(texts.into_series().into())
}

/// Lists of categories; CSV has no lists, so there they are texts parted by `|`.
fn history_column(histories: &[&[u8]], format: TableFormat) -> Column {
    let names = |history: &[u8]| -> Vec<&'static str> {
        history.iter().map(|&category| CATEGORIES[category as usize]).collect()
    };
    let name = "recent_categories";
    if format == TableFormat::Csv {
        let texts: Vec<String> = histories.iter().map(|history| names(history).join("|")).collect();
        return Series::new(name.into(), texts).into();
    }
    let items = histories.iter().map(|history| history.len()).sum();
    let mut lists = ListStringChunkedBuilder::new(name.into(), histories.len(), items);
    for history in histories {
        lists.append_values_iter(names(history).into_iter());
    }
    lists.finish().into_series().into()
}

//! Which campaigns and creatives does a log already have?

use crate::base::{Failure, Result};
use crate::data::cells::{self, Coded, NO_CODE};
use crate::data::outcome::Outcome;
use crate::data::{LogFrame, Role};
use crate::domain::money::{micros_from_units, units_from_micros};
use crate::domain::{Campaign, Creative, CreativeLibrary, Pricing};
use std::collections::BTreeMap;

/// Campaigns as a log knows them, and how they were read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LogCampaigns {
    /// Most shown first.
    pub campaigns: Vec<Campaign>,
    /// What was assumed or left out, in words.
    pub notes: Vec<String>,
}

/// Campaigns taken over at most, the most shown ones.
pub const MAX_CAMPAIGNS: usize = 24;
/// Ads taken over per campaign at most, the most shown ones.
pub const MAX_ADS_PER_CAMPAIGN: usize = 12;
/// The bid of every campaign where the log has no price.
const STAND_IN_BID_MICROS: i64 = 1_000_000;

/// The campaigns of a log: its campaign column, or each ad for itself where there is none.
///
/// The mean of the price column is read as what a thousand impressions are worth to the campaign, in currency
/// units. Where the log knows clicks the bid is per click, `worth / (1000 x its logged click rate)`, so that
/// ads are ranked by bid x pCTR; else it is per thousand impressions. The budget is what the campaign's share
/// of the log's impressions is worth over `requests` pages.
///
/// # Errors
/// The log names no ads.
pub fn from_log(log: &LogFrame, requests: u64) -> Result<LogCampaigns> {
    let ads = ad_cells(log)?;
    let campaign_column = log.schema.with_role(Role::Campaign).map(|column| column.name.as_str());
    let owners = match campaign_column {
        Some(column) => cells::coded(log, column)?,
        None => ads.clone(),
    };
    let prices = price_column(log).map(|column| cells::numbers(log, column)).transpose()?;
    let mut tallies: BTreeMap<u32, Tally> = BTreeMap::new();
    let outcome = Outcome::read(log)?;
    for (row, (&owner, &ad)) in owners.codes.iter().zip(&ads.codes).enumerate() {
        if owner != NO_CODE && ad != NO_CODE {
            let price = prices.as_ref().map_or(f64::NAN, |prices| prices[row]);
            tallies.entry(owner).or_default().add(row as u32, ad, price);
        }
    }
    let named = tallies.values().map(|tally| tally.rows.len() as u64).sum::<u64>().max(1);
    let mut ordered: Vec<(u32, Tally)> = tallies.into_iter().collect();
    ordered.sort_by_key(|(owner, tally)| (std::cmp::Reverse(tally.rows.len()), *owner));
    let mut notes = vec![assumption(log, campaign_column, outcome.is_some())];
    if ordered.len() > MAX_CAMPAIGNS {
        notes.push(format!("the {MAX_CAMPAIGNS} most shown of {} campaigns bid", ordered.len()));
        ordered.truncate(MAX_CAMPAIGNS);
    }
    let campaigns = ordered
        .into_iter()
        .map(|(owner, tally)| {
            let pages = tally.rows.len() as f64 / named as f64 * requests as f64;
            tally.campaign(&owners.values[owner as usize], &ads, pages, outcome.as_ref())
        })
        .collect();
    Ok(LogCampaigns { campaigns, notes })
}

/// The ads of a log as they are shown. Campaign and text come from the columns of those roles, advertiser and
/// category from columns whose names say so.
///
/// # Errors
/// The log names no ads.
pub fn creatives(log: &LogFrame) -> Result<CreativeLibrary> {
    let ads = ad_cells(log)?;
    let first_rows = first_row_of_each(&ads);
    let of_role = |role| log.schema.with_role(role).map(|column| column.name.clone());
    let campaign = values_at(log, of_role(Role::Campaign), &first_rows)?;
    let advertiser = values_at(log, named_like(log, "advertiser"), &first_rows)?;
    let category = values_at(log, named_like(log, "category"), &first_rows)?;
    let text = values_at(log, of_role(Role::Text), &first_rows)?;
    let all = ads.values.iter().enumerate().map(|(index, ad)| Creative {
        ad: ad.clone(),
        campaign: campaign[index].clone(),
        advertiser: advertiser[index].clone(),
        category: category[index].clone(),
        text: text[index].clone(),
        is_draft: false,
    });
    Ok(CreativeLibrary::new(all))
}

/// What the rows of one campaign add up to.
#[derive(Debug, Default)]
struct Tally {
    rows: Vec<u32>,
    by_ad: BTreeMap<u32, u64>,
    price_sum: f64,
    priced: u64,
}

impl Tally {
    fn add(&mut self, row: u32, ad: u32, price: f64) {
        self.rows.push(row);
        *self.by_ad.entry(ad).or_default() += 1;
        if price > 0.0 && price.is_finite() {
            self.price_sum += price;
            self.priced += 1;
        }
    }

    /// The campaign, with a budget for its part of the pages.
    fn campaign(&self, name: &str, ads: &Coded, pages: f64, outcome: Option<&Outcome>) -> Campaign {
        let worth_micros = if self.priced > 0 {
            micros_from_units(self.price_sum / self.priced as f64).max(1)
        } else {
            STAND_IN_BID_MICROS
        };
        let (bid_micros, pricing) = match outcome {
            Some(outcome) => (self.per_click(worth_micros, outcome), Pricing::Cpc),
            None => (worth_micros, Pricing::Cpm),
        };
        let mut by_ad: Vec<(u32, u64)> = self.by_ad.iter().map(|(ad, rows)| (*ad, *rows)).collect();
        by_ad.sort_by_key(|(ad, rows)| (std::cmp::Reverse(*rows), *ad));
        by_ad.truncate(MAX_ADS_PER_CAMPAIGN);
        Campaign {
            name: name.to_owned(),
            ads: by_ad.iter().map(|(ad, _)| ads.values[*ad as usize].clone()).collect(),
            bid_micros,
            pricing,
            budget_micros: Some(micros_from_units(pages * units_from_micros(worth_micros) / 1_000.0)),
            ..Campaign::default()
        }
    }

    /// A click's worth. The rate has one click in fifty added (Laplace's rule at a plain banner's rate), so that
    /// a campaign without clicks still has a bid.
    fn per_click(&self, worth_micros: i64, outcome: &Outcome) -> i64 {
        let (clicks, shown) = outcome.totals(&self.rows);
        let rate = (clicks + 1.0) / (shown + 50.0);
        micros_from_units(units_from_micros(worth_micros) / (1_000.0 * rate)).max(1)
    }
}

fn assumption(log: &LogFrame, campaign_column: Option<&str>, per_click: bool) -> String {
    let who = match campaign_column {
        Some(column) => format!("campaigns from '{column}'"),
        None => "the log has no campaign column, so each ad bids for itself".to_owned(),
    };
    let bid = match price_column(log) {
        Some(column) => format!("the mean of '{column}' is read as the price per thousand impressions"),
        None => "the log has no price, so a thousand impressions are worth 1.00 to everyone".to_owned(),
    };
    let per = if per_click {
        "bids are per click, that price over the logged click rate"
    } else {
        "bids are per thousand impressions"
    };
    format!("{who}; {bid}; {per}; budgets follow each campaign's share of the log's impressions")
}

/// A column of bids if one is named so, else the first price.
fn price_column(log: &LogFrame) -> Option<&str> {
    let prices = || log.schema.columns.iter().filter(|column| column.role == Role::Price);
    let bid = prices().find(|column| column.name.to_lowercase().contains("bid"));
    bid.or_else(|| prices().next()).map(|column| column.name.as_str())
}

fn ad_cells(log: &LogFrame) -> Result<Coded> {
    let column = log.schema.with_role(Role::Ad).ok_or_else(|| {
        Failure::new("cannot find ads to show", "no column of the log has the role ad")
            .hint("give the column with ad or item ids the role ad")
    })?;
    cells::coded(log, &column.name)
}

fn first_row_of_each(cells: &Coded) -> Vec<usize> {
    let mut rows = vec![usize::MAX; cells.values.len()];
    for (row, &code) in cells.codes.iter().enumerate() {
        if code != NO_CODE && rows[code as usize] == usize::MAX {
            rows[code as usize] = row;
        }
    }
    rows
}

fn named_like(log: &LogFrame, word: &str) -> Option<String> {
    let mut columns = log.schema.columns.iter();
    let like = columns.find(|column| {
        column.name.to_lowercase().contains(word) && matches!(column.role, Role::Categorical | Role::Ignored)
    });
    like.map(|column| column.name.clone())
}

/// The column's text at some rows; empty texts where there is no column or no value.
fn values_at(log: &LogFrame, column: Option<String>, rows: &[usize]) -> Result<Vec<String>> {
    let Some(column) = column else {
        return Ok(vec![String::new(); rows.len()]);
    };
    let cells = cells::coded(log, &column)?;
    let text_at = |row: &usize| {
        let code = cells.codes.get(*row).copied().unwrap_or(NO_CODE);
        cells.values.get(code as usize).cloned().unwrap_or_default()
    };
    Ok(rows.iter().map(text_at).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::edit;

    /// Three impressions of campaign tea (ads a1, a2), one of shoes (b1).
    fn log(columns: &[(&str, Role)]) -> LogFrame {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.csv");
        let text = "ad,campaign,bid,category,headline,click\n\
                    a1,tea,2.0,drinks,新茶上市,1\na2,tea,4.0,drinks,Tea time,0\n\
                    a1,tea,3.0,drinks,新茶上市,0\nb1,shoes,1.5,sport,Run,0\n";
        std::fs::write(&path, text).unwrap();
        let mut log = crate::data::importers::open(
            &path,
            &crate::data::importers::ImportOptions::default(),
            &crate::jobs::JobContext::detached(),
        )
        .unwrap();
        for column in &mut log.schema.columns {
            column.role = Role::Ignored;
        }
        for (name, role) in columns {
            log.schema.set_role(name, *role).unwrap();
        }
        edit::edited_rows(&log, &[0, 1, 2, 3], &[]).unwrap()
    }

    #[test]
    fn bids_are_mean_prices_and_budgets_follow_the_log() {
        let roles = [
            ("ad", Role::Ad),
            ("campaign", Role::Campaign),
            ("bid", Role::Price),
            ("headline", Role::Text),
            ("category", Role::Categorical),
        ];
        let log = log(&roles);
        let read = from_log(&log, 1_000).unwrap();
        let tea = &read.campaigns[0];
        assert_eq!((tea.name.as_str(), tea.bid_micros), ("tea", 3_000_000));
        assert_eq!(tea.ads, ["a1", "a2"]);
        // Three quarters of 1,000 pages at 3.00 per thousand: 2.25.
        assert_eq!(tea.budget_micros, Some(2_250_000));
        assert!(read.notes[0].contains("'bid'"), "{:?}", read.notes);
        let library = creatives(&log).unwrap();
        let a1 = library.get("a1").unwrap();
        assert_eq!((a1.text.as_str(), a1.category.as_str()), ("新茶上市", "drinks"));
    }

    #[test]
    fn a_log_with_clicks_gives_bids_per_click() {
        let roles =
            [("ad", Role::Ad), ("campaign", Role::Campaign), ("bid", Role::Price), ("click", Role::Label)];
        let tea = from_log(&log(&roles), 1_000).unwrap().campaigns.swap_remove(0);
        // Worth 3.00 per thousand; (1 + 1) clicks in (3 + 50) impressions: 3 x 53 / 2 / 1000 = 0.0795 a click.
        assert_eq!((tea.pricing, tea.bid_micros), (Pricing::Cpc, 79_500));
        assert_eq!(tea.budget_micros, Some(2_250_000));
    }

    #[test]
    fn without_campaigns_and_prices_each_ad_bids_the_stand_in() {
        let read = from_log(&log(&[("ad", Role::Ad)]), 100).unwrap();
        assert_eq!(read.campaigns.len(), 3);
        assert!(read.campaigns.iter().all(|c| c.bid_micros == STAND_IN_BID_MICROS));
        assert!(read.notes[0].contains("no price"));
        assert!(from_log(&log(&[]), 100).unwrap_err().hint.contains("role ad"));
    }
}

//! KDD Cup 2012 track 2, search ads: tabs, no header, 12 whole numbers, clicks and impressions first.

use super::container::Input;
use super::delimited::Table;
use super::known::{TABS, headless_table, is_headless, read_headless, tabbed_head};
use super::{Importer, Match, RawLog};
use crate::base::Result;
use crate::jobs::JobContext;

/// The importer of the KDD Cup 2012 layout.
pub struct KddCup;

const NAMES: [&str; 12] = [
    "clicks",
    "impressions",
    "display_url",
    "ad_id",
    "advertiser_id",
    "depth",
    "position",
    "query_id",
    "keyword_id",
    "title_id",
    "description_id",
    "user_id",
];

impl Importer for KddCup {
    fn id(&self) -> &'static str {
        "kddcup2012"
    }

    fn summary(&self) -> &'static str {
        "KDD Cup 2012 track 2: tabs, no header, clicks, impressions and 10 ids"
    }

    fn sniff(&self, input: &Input) -> Option<Match> {
        let records = tabbed_head(input);
        let has_hash = records.iter().filter_map(|record| record.get(2)).any(|cell| cell.len() > 15);
        let evidence =
            "tabs, no header, 12 whole numbers: clicks within impressions, a hash of 64 bits, a position \
                        within its depth"
                .to_owned();
        (has_hash && is_headless(&records, |record| fits(record)))
            .then_some(Match { confidence: 93, evidence })
    }

    fn table(&self, _input: &Input) -> Option<Table> {
        Some(headless_table(TABS, &NAMES))
    }

    fn read(&self, input: &Input, context: &JobContext) -> Result<RawLog> {
        read_headless("kddcup2012", TABS, &NAMES, input, context)
    }
}

fn fits(record: &[String]) -> bool {
    let numbers: Option<Vec<u64>> = record.iter().map(|cell| cell.parse().ok()).collect();
    let Some([clicks, impressions, _, _, _, depth, position, ..]) = numbers.as_deref() else {
        return false;
    };
    record.len() == NAMES.len()
        && *impressions > 0
        && clicks <= impressions
        && (1..=100).contains(depth)
        && (1..=*depth).contains(position)
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{cells, opened, refused_by};
    use super::*;
    use crate::data::schema::Role;

    #[test]
    fn rows_count_clicks_and_impressions() {
        let log = opened(
            "0\t3\t14340390157469404125\t4028\t234\t2\t1\t7\t8\t9\t10\t0\n\
             1\t1\t4298118681424644510\t4029\t235\t3\t3\t7\t8\t9\t10\t490\n",
        );
        assert!(log.source.format.starts_with("kddcup2012"), "{}", log.source.format);
        assert_eq!(cells(&log, "display_url")[0], "14340390157469404125");
        assert_eq!(cells(&log, "user_id"), ["-", "490"]);
        let role = |name: &str| log.schema.column(name).unwrap().role;
        assert_eq!((role("clicks"), role("impressions")), (Role::Clicks, Role::Weight));
        assert_eq!((role("ad_id"), role("user_id")), (Role::Ad, Role::User));
    }

    #[test]
    fn twelve_numbers_are_not_enough() {
        let row = (1..=12).map(|cell| cell.to_string()).collect::<Vec<_>>().join("\t");
        assert!(refused_by(&KddCup, &format!("{row}\n{row}\n")));
    }
}

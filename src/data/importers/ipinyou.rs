//! The iPinYou real-time bidding logs: tabs, no header; 21 columns are bids, 24 impressions, clicks or conversions,
//! 26 the contest's test file.

use super::container::Input;
use super::known::{TABS, is_headless, read_headless, tabbed_head};
use super::{Importer, Match, RawLog};
use crate::base::Result;
use crate::jobs::JobContext;

/// The importer of the iPinYou layout.
pub struct IPinYou;

const BID: [&str; 21] = [
    "bidid",
    "timestamp",
    "ipinyouid",
    "useragent",
    "IP",
    "region",
    "city",
    "adexchange",
    "domain",
    "url",
    "urlid",
    "slotid",
    "slotwidth",
    "slotheight",
    "slotvisibility",
    "slotformat",
    "slotprice",
    "creative",
    "bidprice",
    "advertiser",
    "usertag",
];

/// The columns of a record with so many cells.
fn names(width: usize) -> Option<Vec<&'static str>> {
    let mut names = BID.to_vec();
    match width {
        21 => {}
        24 | 26 => {
            names.insert(2, "logtype");
            let advertiser = names.len() - 2;
            names.splice(advertiser..advertiser, ["payprice", "keypage"]);
            if width == 26 {
                names.extend(["nclick", "nconversation"]);
            }
        }
        _ => return None,
    }
    Some(names)
}

impl Importer for IPinYou {
    fn id(&self) -> &'static str {
        "ipinyou"
    }

    fn summary(&self) -> &'static str {
        "iPinYou bid logs: tabs, no header, 21 columns (bids), 24 (impressions, clicks, conversions) or 26 (test)"
    }

    fn sniff(&self, input: &Input) -> Option<Match> {
        let records = tabbed_head(input);
        let width = records.first()?.len();
        let names = names(width)?;
        let evidence = format!(
            "tabs, no header, {width} columns: an id, a time of 17 digits, an address and sizes stand where iPinYou has \
             them"
        );
        is_headless(&records, |record| fits(record, &names)).then_some(Match { confidence: 96, evidence })
    }

    fn read(&self, input: &Input, context: &JobContext) -> Result<RawLog> {
        let width = tabbed_head(input).first().map(Vec::len).and_then(names);
        let names = width.ok_or_else(|| super::not_understood(input))?;
        read_headless("ipinyou", TABS, &names, input, context)
    }
}

/// True when the cells are what the names say.
fn fits(record: &[String], names: &[&str]) -> bool {
    let is_number = |cell: &str| !cell.is_empty() && cell.bytes().all(|byte| byte.is_ascii_digit());
    let is_missing = |cell: &str| cell.is_empty() || cell.eq_ignore_ascii_case("null");
    let is_address = |cell: &str| {
        let parts: Vec<_> = cell.split('.').collect();
        parts.len() == 4 && parts.iter().all(|part| *part == "*" || is_number(part))
    };
    let is_tag_list = |cell: &str| is_missing(cell) || cell.split(',').all(is_number);
    record.len() == names.len()
        && record.iter().zip(names).all(|(cell, name)| match *name {
            "timestamp" => cell.len() == 17 && is_number(cell),
            "logtype" => matches!(cell.as_str(), "1" | "2" | "3"),
            "IP" => is_missing(cell) || is_address(cell),
            "slotwidth" | "slotheight" | "bidprice" => is_number(cell),
            "region" | "city" | "slotprice" | "payprice" | "advertiser" => {
                is_missing(cell) || is_number(cell)
            }
            "usertag" => is_tag_list(cell),
            _ => true,
        })
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{cells, names, opened, refused_by};
    use super::*;
    use crate::data::schema::{ColumnType, Role};

    const BID_LINE: &str = "0a\t20130606000104008\tVh16\tmozilla/4.0 (a, b)\t10.127.189.*\t80\t87\t1\ttFK\t24\t\t\
        mm_1\t300\t250\t1\t1\t0\tc7\t227\t3427\tnull";
    const IMPRESSION: &str = "0b\t20130611000103446\t1\tZ0TH\tMozilla \"5\"\t61.131.48.*\t124\t129\t2\ttrq\t81\tnull\t\
        433\t468\t60\t1\t0\t5\t612\t300\t68\tbeb\t1458\t13800,10006";

    #[test]
    fn impressions_have_prices_and_tags() {
        let log =
            opened(&format!("{IMPRESSION}\n{}\nshort\tline\n", IMPRESSION.replace("13800,10006", "null")));
        assert!(log.source.format.starts_with("ipinyou"), "{}", log.source.format);
        assert_eq!(names(&log).len(), 24);
        assert_eq!(cells(&log, "usertag"), ["13800 10006", "-"]);
        assert_eq!(cells(&log, "urlid"), ["-", "-"]);
        assert_eq!(cells(&log, "payprice"), ["68", "68"]);
        assert_eq!(cells(&log, "IP"), ["61.131.48.*", "61.131.48.*"]);
        // `date -u -d '2013-06-11 00:01:03.446' +%s%3N`
        assert_eq!(cells(&log, "timestamp"), ["1370908863446", "1370908863446"]);
        let role = |name: &str| log.schema.column(name).unwrap().role;
        assert_eq!(role("ipinyouid"), Role::User);
        assert_eq!(role("creative"), Role::Ad);
        assert_eq!(role("advertiser"), Role::Campaign);
        assert_eq!(role("payprice"), Role::Price);
        assert_eq!(role("slotid"), Role::Slot);
        assert_eq!(log.schema.column("usertag").unwrap().kind, ColumnType::List);
        assert_eq!(log.source.bad_rows, 1);
        assert!(log.source.notes.iter().any(|note| note.contains("CNY fen")));
    }

    #[test]
    fn bids_and_test_files() {
        let log = opened(&format!("{BID_LINE}\n{BID_LINE}\n"));
        assert_eq!(names(&log)[18..], ["bidprice", "advertiser", "usertag"]);
        let test = |clicks: u32| format!("{IMPRESSION}\t{clicks}\t0\n");
        let log = opened(&format!("{}{}", test(1), test(0)));
        assert_eq!(log.schema.column("nclick").unwrap().role, Role::Label);
        let log = opened(&format!("{}{}", test(3), test(0)));
        assert_ne!(log.schema.column("nclick").unwrap().role, Role::Label);
    }

    #[test]
    fn the_number_of_columns_is_not_enough() {
        let other = (0..24).map(|cell| cell.to_string()).collect::<Vec<_>>().join("\t");
        assert!(refused_by(&IPinYou, &format!("{other}\n{other}\n")));
    }
}

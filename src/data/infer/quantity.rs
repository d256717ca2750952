//! Which quantity of a campaign does a column count? Column names of ad platforms in nine languages.
//!
//! Platforms write one thing in many ways (`Impr.`, `Amount spent (EUR)`, `Clics sur un lien`, `展示次数`), and put
//! ratios of it beside it (`CTR`, `Cost per results`), which are no counts and would give the outcome away.

use super::names::Name;
use crate::data::importers::CURRENCIES;
use crate::data::schema::{Column, ColumnType, Role, Schema};
use serde::{Deserialize, Serialize};

/// What a column of counts or money adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// How often ads were shown.
    Impressions,
    /// How often they were clicked.
    Clicks,
    /// Clicks, views and other reactions together.
    Interactions,
    /// Later outcomes: sales, installs, sign-ups.
    Conversions,
    /// Money that the advertiser paid.
    Spend,
    /// Money that the outcomes brought.
    Revenue,
    /// People who were shown an ad at least once.
    Reach,
    /// Distinct visitors.
    Users,
}

impl Quantity {
    /// The word for it in files and tables.
    pub fn id(self) -> &'static str {
        match self {
            Self::Impressions => "impressions",
            Self::Clicks => "clicks",
            Self::Interactions => "interactions",
            Self::Conversions => "conversions",
            Self::Spend => "spend",
            Self::Revenue => "revenue",
            Self::Reach => "reach",
            Self::Users => "users",
        }
    }

    /// True for money.
    pub fn is_money(self) -> bool {
        matches!(self, Self::Spend | Self::Revenue)
    }
}

/// What a name says about its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::data) enum Meaning {
    /// A sum makes sense; of two names for one quantity the higher score is the better one. 90 and above: the name
    /// says nothing else.
    Counts(Quantity, u32),
    /// A ratio of such quantities (a rate, a mean, a price per unit).
    Ratio,
    /// Neither.
    Other,
}

/// What the name of a column says about what it adds up.
pub(in crate::data) fn meaning(text: &str) -> Meaning {
    meaning_of(&Name::of(text))
}

/// As [`meaning`], for a name that was taken apart already.
pub(in crate::data) fn meaning_of(name: &Name) -> Meaning {
    let is_number = |word: &String| word.bytes().all(|byte| byte.is_ascii_digit());
    // `7 Day Total Orders`: the window of attribution, not a day.
    let is_window = |place: usize| {
        let before = place.checked_sub(1).and_then(|before| name.words().get(before));
        name.words().get(place).is_some_and(|word| word == "day") && before.is_some_and(is_number)
    };
    let mut words = name.words().iter().enumerate();
    let is_other = words.any(|(place, word)| is_in(NOT_COUNTED, word) && !is_window(place))
        || NOT_COUNTED_PARTS.split('|').any(|part| name.text.contains(part));
    if is_other {
        return Meaning::Other;
    }
    let found = TERMS.iter().filter_map(|(quantity, terms)| {
        let score = terms.split('|').filter_map(|term| score(name, term)).max()?;
        Some((*quantity, score))
    });
    // Of equals the first: `conversion value` stands before `conversion`.
    let best = found.reduce(|best, next| if next.1 > best.1 { next } else { best });
    match best {
        Some(_) if is_ratio(name) => Meaning::Ratio,
        None if is_ratio(name) && mentions(name) => Meaning::Ratio,
        None if is_in(RATIO_NAMES, name.joined()) => Meaning::Ratio,
        None if name.words().iter().any(|word| is_in(ABBREVIATIONS, word)) => Meaning::Ratio,
        Some((quantity, score)) => Meaning::Counts(quantity, score),
        None => Meaning::Other,
    }
}

/// True for names of money that is counted in millionths: `metrics.costMicros`, `cpc_bid_micros`.
pub(in crate::data) fn is_money_in_micros(text: &str) -> bool {
    let name = Name::of(text);
    let is_money =
        |word: &str| is_in("cost|spend|revenue|value|amount|price|bid|budget|cpc|cpm|cpa|cpv", word);
    name.words().iter().any(|word| word == "micros") && name.words().iter().any(|word| is_money(word))
}

/// The column that counts a quantity; the plainest name of several. Ignored columns are none.
pub(in crate::data) fn column_of(schema: &Schema, quantity: Quantity) -> Option<&Column> {
    let counts = schema.columns.iter().filter_map(|column| {
        let is_number = matches!(column.kind, ColumnType::Integer | ColumnType::Real);
        match meaning(&column.name) {
            Meaning::Counts(found, score)
                if found == quantity && is_number && column.role != Role::Ignored =>
            {
                Some((score, column))
            }
            _ => None,
        }
    });
    // Of equals the first.
    counts.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, column)| column)
}

/// True when a quantity is named somewhere in a longer name: `Lifetime Post reach by people who like your Page`.
pub(super) fn mentions(name: &Name) -> bool {
    let words = name.words();
    let terms = TERMS.iter().flat_map(|(_, terms)| terms.split('|'));
    let is_other = words.iter().any(|word| is_in(NOT_COUNTED, word));
    !is_other && terms.into_iter().any(|term| words.iter().any(|word| word == term))
}

/// True for a word of a list whose words are parted by `|`.
fn is_in(list: &str, word: &str) -> bool {
    list.split('|').any(|known| known == word)
}

fn is_ratio(name: &Name) -> bool {
    let text = &name.text;
    text.contains(['/', '%', '率'])
        || RATIO_PARTS.split('|').any(|part| text.contains(part))
        || name.words().iter().any(|word| is_in(RATIO_WORDS, word))
}

/// How well a name fits a term: 95 when it is the term, less for every word beside it; `None` when the term is not
/// in it or too much else is.
fn score(name: &Name, term: &str) -> Option<u32> {
    let is_cjk = !term.is_ascii() && term.chars().all(|letter| letter as u32 > 0x2e80);
    if is_cjk {
        return cjk_score(name, term);
    }
    let wanted: Vec<&str> = term.split(' ').collect();
    let words = name.words();
    let place = words.windows(wanted.len()).position(|some| some.iter().zip(&wanted).all(|(a, b)| a == b))?;
    let mut points: i32 = 95 + i32::try_from(wanted.len()).ok()?;
    let beside = words.iter().enumerate().filter(|(at, _)| *at < place || *at >= place + wanted.len());
    let mut unknown = 0;
    for (_, word) in beside {
        match word.as_str() {
            "total" | "link" => points += 1,
            "all" | "tous" | "alle" | "todos" => points -= 4,
            "day" => {}
            word if is_in(BESIDE, word)
                || is_currency(word)
                || word.bytes().all(|byte| byte.is_ascii_digit()) => {}
            _ => unknown += 1,
        }
    }
    if unknown > 2 {
        return None;
    }
    if unknown > 0 {
        // What is counted stands last: post-click conversions are conversions.
        points += i32::try_from(place).ok()?.min(5);
    }
    u32::try_from(points - 15 * unknown).ok()
}

/// Words are not parted in these scripts: the term may be a part of the name.
fn cjk_score(name: &Name, term: &str) -> Option<u32> {
    let beside = name.text.find(term).map(|_| name.text.replacen(term, "", 1))?;
    let beside = beside.split(['(', '（', '[']).next().unwrap_or_default().trim().to_owned();
    let known = [
        "",
        "数",
        "量",
        "次数",
        "数量",
        "总",
        "总数",
        "回数",
        "额",
        "金额",
        "額",
        "総",
        "総数",
        "のクリック",
    ];
    Some(if known.contains(&beside.as_str()) {
        96
    } else if beside.chars().count() <= 3 {
        80
    } else {
        return None;
    })
}

/// True for the codes of the currencies that ads are paid in (ISO 4217), in lower case.
pub(in crate::data) fn is_currency(word: &str) -> bool {
    CURRENCIES.contains(&word.to_ascii_uppercase().as_str())
}

/// Words that make a name something else than a count, whatever stands beside them.
const NOT_COUNTED: &str = "id|ids|timestamp|time|date|day|datetime|code|type|name|status|range|level|flag|indicator|\
     setting|settings|pos|position|rank|bid|bidding|budget|strategy|floor|delivery|window|url|label|\
     target";

/// Parts of names that do the same where words are not parted.
const NOT_COUNTED_PARTS: &str = "时间|日期|位置|类型|名称|出价|预算|時間|入札";

/// Words that turn a count into a ratio of counts.
const RATIO_WORDS: &str = "per|rate|rates|ratio|avg|average|mean|ctr|cpc|cpm|cpa|cpv|cpi|cpl|cpo|cpp|cvr|roas|roi|acos|\
     frequency|share|pct|percent|percentage|pro|par|por|durchschn|durchschnittl|durchschnittliche|\
     durchschnittlicher|moyen|moyenne|medio|promedio|gem|gemiddelde|taux|quote|tasa|prijs|unit";

/// Parts of names that do the same where words are not parted.
const RATIO_PARTS: &str = "平均|单价|単価|每次|千次|点击成本|转化成本|クリック単価|頻度|频次|占比";

/// Words that are a ratio whatever else the name says.
const ABBREVIATIONS: &str = "ctr|cpc|cpm|cpa|cpv|cpi|cpl|cpo|ecpm|ecpc|cvr|roas|acos|vtr";

/// Whole names of ratios.
const RATIO_NAMES: &str =
    "roi|frequency|frequenz|frequence|frecuencia|frequentie|engagement_rate|bounce_rate";

/// Words that may stand beside a quantity and change nothing.
const BESIDE: &str = "number|num|n|nb|count|counts|of|sum|in|the|sur|un|lien|en|el|enlace|auf|ad|ads|post|posts|\
     lifetime|local|currency|metrics|cnt|nr|volume|advertiser|adv|website|paid|nombre|anzahl|numero|\
     micros|aantal|de|des|d|gesamt|gesamtzahl|auf|link|op|links|destination|outbound|daily|account";

/// The names of each quantity. English, German, French, Spanish, Dutch, Italian, Portuguese, Chinese, Japanese; accents
/// are folded.
const TERMS: &[(Quantity, &str)] = &[
    (
        Quantity::Revenue,
        "revenue|revenues|turnover|gmv|conversion value|conv value|conversions value|purchase value|\
     purchases value|order value|umsatz|conversion wert|omzet|conversiewaarde|chiffre d affaires|\
     revenu|revenus|ingresos|valor de conversion|ricavi|fatturato|receita|收入|营收|成交额|成交金额|\
     销售额|売上|収益",
    ),
    (
        Quantity::Impressions,
        "impressions|impression|imps|imp|impr|shows|displays|views|impressionen|einblendungen|\
     impresiones|vertoningen|weergaven|impressioni|impressoes|展示|展现|曝光|インプレッション|\
     表示回数",
    ),
    (
        Quantity::Clicks,
        "clicks|click|clk|clks|clics|clic|klicks|klick|kliks|klikken|linkklicks|linkklikken|cliques|\
     clique|clickthroughs|点击|點擊|クリック",
    ),
    (Quantity::Interactions, "interactions|interaction|interaktionen|interacties|interacciones"),
    (
        Quantity::Conversions,
        "conversions|conversion|conv|convs|converted|results|purchases|purchase|purchased|installs|\
     install|orders|sales|leads|signups|transactions|konversionen|konversion|ergebnisse|conversies|\
     conversie|resultaten|conversiones|resultados|resultats|achats|kaufe|compras|aankopen|\
     conversioni|risultati|conversoes|转化|成交|コンバージョン|獲得|結果",
    ),
    (
        Quantity::Spend,
        "spend|spent|cost|costs|amount spent|total spent|media cost|payprice|win price|paying price|\
     kosten|ausgaben|ausgegebener betrag|cout|couts|montant depense|depenses|depense|gasto|gastos|\
     coste|costes|costo|importe gastado|besteed bedrag|uitgaven|spesa|importo speso|custo|\
     valor gasto|花费|消耗|费用|消费|支出|成本|費用|消化金額|利用金額|ご利用金額|コスト",
    ),
    (Quantity::Reach, "reach|reichweite|bereik|portee|couverture|alcance|copertura|覆盖|リーチ"),
    (Quantity::Users, "users|visitors|nutzer|utilisateurs|usuarios|gebruikers|用户数|访客"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(text: &str) -> Option<Quantity> {
        match meaning(text) {
            Meaning::Counts(quantity, score) if score >= 90 => Some(quantity),
            _ => None,
        }
    }

    #[test]
    fn platforms_name_one_quantity_in_many_ways() {
        let cases: [(Quantity, &[&str]); 6] = [
            (
                Quantity::Impressions,
                &[
                    "Impressions",
                    "Impr.",
                    "imp",
                    "n_impressions",
                    "Lifetime Post Total Impressions",
                    "Impressionen",
                    "Vertoningen",
                    "展示次数",
                    "曝光量",
                    "展现",
                    "インプレッション数",
                    "表示回数",
                    "Impressões",
                ],
            ),
            (
                Quantity::Clicks,
                &[
                    "Clicks",
                    "Link clicks",
                    "Clicks (all)",
                    "Clics sur un lien",
                    "Klicks",
                    "Klikken",
                    "点击量",
                    "点击",
                    "クリック数",
                    "Klicks auf Link",
                ],
            ),
            (
                Quantity::Spend,
                &[
                    "Spent",
                    "Amount spent (EUR)",
                    "Cost",
                    "cost_usd",
                    "Montant dépensé (EUR)",
                    "Kosten",
                    "花费",
                    "花费（元）",
                    "消耗",
                    "Importe gastado (EUR)",
                    "Ausgegebener Betrag (EUR)",
                    "Besteed bedrag",
                    "費用",
                    "Total Spent",
                ],
            ),
            (
                Quantity::Conversions,
                &["Total_Conversion", "Conversions", "Results", "Résultats", "转化数", "Conv."],
            ),
            (Quantity::Revenue, &["revenue", "Conv. value", "total_conversion_value", "Umsatz", "成交金额"]),
            (Quantity::Reach, &["Reach", "Reichweite", "リーチ"]),
        ];
        for (quantity, names) in cases {
            for name in names {
                assert_eq!(counts(name), Some(quantity), "{name}");
            }
        }
    }

    #[test]
    fn windows_of_attribution_change_nothing() {
        assert_eq!(counts("7 Day Total Orders (#)"), Some(Quantity::Conversions));
        assert_eq!(meaning("Total Advertising Cost of Sales (ACOS)"), Meaning::Ratio);
        assert_eq!(meaning("click_day"), Meaning::Other);
    }

    #[test]
    fn ratios_and_ids_are_no_counts() {
        let ratios = [
            "CTR",
            "CTR (link click-through rate)",
            "Cost per results",
            "Avg. cost",
            "Cost / conv.",
            "CPM (cost per 1,000 impressions) (EUR)",
            "Conv. rate",
            "Coût par résultat",
            "Kosten pro Klick",
            "点击率",
            "点击成本",
            "Frequency",
            "Interaction rate",
            "Conversion Rate",
        ];
        for name in ratios {
            assert_eq!(meaning(name), Meaning::Ratio, "{name}");
        }
        for name in
            ["click_time", "conversion_id", "Result indicator", "clicks_range", "city", "Campaign delivery"]
        {
            assert_eq!(meaning(name), Meaning::Other, "{name}");
        }
    }

    #[test]
    fn millionths_are_of_money() {
        for name in ["cost_micros", "metrics.costMicros", "cpc_bid_micros", "Cost (micros)"] {
            assert!(is_money_in_micros(name), "{name}");
        }
        assert!(matches!(meaning("metrics_cost_micros"), Meaning::Counts(Quantity::Spend, 90..)));
        for name in ["event_timestamp_micros", "latency_micros", "cost", "microsoft_cost"] {
            assert!(!is_money_in_micros(name), "{name}");
        }
    }

    #[test]
    fn the_plainest_name_wins() {
        let score = |text: &str| match meaning(text) {
            Meaning::Counts(_, score) => score,
            _ => 0,
        };
        assert!(score("Link clicks") > score("Clicks") && score("Clicks") > score("Clicks (all)"));
        assert!(score("Total_Conversion") > score("Approved_Conversion"));
        assert!(score("Impressions") > score("facebook_impressions"));
    }
}

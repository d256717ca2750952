//! What does the name of a column say? Word lists, each with the logs in mind that use them.

/// A name and its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::data) struct Name {
    /// As it stands in the file.
    pub text: String,
    words: Vec<String>,
    joined: String,
}

/// Adds a letter without its accent, so that `Montant dépensé` and `montant depense` are one name.
fn push_folded(word: &mut String, letter: char) {
    word.push(match letter {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' => 'a',
        'ç' => 'c',
        'è' | 'é' | 'ê' | 'ë' => 'e',
        'ì' | 'í' | 'î' | 'ï' => 'i',
        'ñ' => 'n',
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' => 'o',
        'ù' | 'ú' | 'û' | 'ü' => 'u',
        'ß' => return word.push_str("ss"),
        'œ' => return word.push_str("oe"),
        // A combining accent after its letter.
        '\u{300}'..='\u{36f}' => return,
        other => other,
    });
}

/// Whether a name speaks of a quantity or of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    Quantity,
    Category,
    Unknown,
}

impl Name {
    /// `Clicked on Ad`, `isClick` and `is_click` are lists of words.
    pub fn of(text: &str) -> Self {
        let mut words: Vec<String> = vec![String::new()];
        let mut was_lower = false;
        for letter in text.chars() {
            if !letter.is_alphanumeric() || (was_lower && letter.is_uppercase()) {
                words.push(String::new());
            }
            if letter.is_alphanumeric()
                && let Some(word) = words.last_mut()
            {
                letter.to_lowercase().for_each(|letter| push_folded(word, letter));
            }
            was_lower = letter.is_lowercase();
        }
        words.retain(|word| !word.is_empty());
        let joined = words.join("_");
        Self { text: text.to_owned(), words, joined }
    }

    /// Its words in lower case, accents folded.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Its words with `_` between them.
    pub fn joined(&self) -> &str {
        &self.joined
    }

    fn is(&self, names: &[&str]) -> bool {
        names.contains(&self.joined.as_str())
    }

    fn has(&self, words: &[&str]) -> bool {
        self.words.iter().any(|word| words.contains(&word.as_str()))
    }

    /// For scripts that do not part words.
    fn holds(&self, parts: &[&str]) -> bool {
        parts.iter().any(|part| self.text.contains(part))
    }

    pub fn label_score(&self) -> u32 {
        let starts_with_click = self.words.first().is_some_and(|word| word == "clicked");
        if self.is(&["label"]) {
            100
        } else if starts_with_click
            || self.is(&[
                "click",
                "clicks",
                "clk",
                "is_click",
                "is_clicked",
                "isclick",
                "click_flag",
                "点击",
                "是否点击",
                "geklickt",
                "angeklickt",
                "clique",
                "geklikt",
                "クリック",
            ])
        {
            95
        } else if self.is(&["is_attributed", "attributed"]) {
            90
        } else if self.is(&["target", "y", "outcome"]) {
            85
        } else if self.is(&["response", "responded", "is_response"]) {
            80
        } else if self.has(&["converted", "conversion", "purchase", "purchased", "bought", "buy"]) {
            75
        } else if self.is(&["revenue", "subscribed", "churn", "churned"]) {
            70
        } else if self.has(&["retention", "retained"]) || self.holds(&["是否转化", "是否购买"]) {
            60
        } else {
            0
        }
    }

    /// True where a 0/1 column could be the outcome as well: answers to other campaigns, other events.
    pub fn may_be_label(&self) -> bool {
        self.has(&[
            "accepted",
            "accept",
            "responded",
            "response",
            "converted",
            "conversion",
            "purchase",
            "purchased",
            "bought",
            "buy",
            "install",
            "installed",
            "click",
            "clicked",
            "subscribed",
            "retention",
            "like",
            "follow",
            "share",
            "winner",
            "won",
        ]) && !self.has(&["id", "time", "count", "num"])
    }

    /// The earliest moment of the row is wanted, not that of a later event.
    pub fn time_score(&self) -> u32 {
        if self.has(&["conversion", "attributed", "upload", "birth", "customer", "registered", "end", "ends"])
        {
            10
        } else if self.has(&["time", "timestamp", "datetime", "ts"]) {
            90
        } else if self.has(&[
            "date", "day", "hour", "datum", "tag", "jour", "fecha", "dia", "dag", "data", "giorno", "week",
            "woche", "semaine", "semana", "month",
        ]) || self.holds(&["日期", "时间", "日付", "日時"])
            || self.is(&["日"])
        {
            80
        } else {
            50
        }
    }

    pub fn is_truth(&self) -> bool {
        let lower = self.text.to_lowercase();
        lower.starts_with("true_") || lower.starts_with("true ") || self.is(&["p_true", "p_click_true"])
    }

    pub fn is_propensity(&self) -> bool {
        self.has(&["propensity", "pscore"]) || self.is(&["action_prob", "action_probability"])
    }

    pub fn is_conversion(&self) -> bool {
        self.has(&[
            "conversion",
            "conversions",
            "converted",
            "purchase",
            "purchases",
            "purchased",
            "install",
            "installs",
            "sales",
            "orders",
            "attribution",
            "attributed",
        ])
    }

    /// True for counts of what happened before the row: `NumWebPurchases`, `orders_last_30d`.
    pub fn is_history(&self) -> bool {
        self.has(&[
            "num",
            "number",
            "past",
            "prev",
            "previous",
            "hist",
            "history",
            "historical",
            "last",
            "prior",
        ])
    }

    pub fn is_price(&self) -> bool {
        let words = [
            "price",
            "spend",
            "spent",
            "cost",
            "bid",
            "payprice",
            "bidprice",
            "slotprice",
            "revenue",
            "cpc",
            "cpm",
            "cpa",
            "cpo",
            "budget",
        ];
        let is_time_spent = self.has(&["time", "minutes", "hours", "seconds"]);
        self.has(&words) && !is_time_spent && !self.has(&["id"])
    }

    pub fn user_score(&self) -> u32 {
        if self.is(&[
            "user_id",
            "userid",
            "user",
            "uid",
            "user_key",
            "user_hash",
            "ipinyouid",
            "用户id",
            "用户_id",
            "用户",
            "ユーザーid",
        ]) {
            100
        } else if self.is(&[
            "visitor_id",
            "visitorid",
            "fullvisitorid",
            "customerid",
            "memberid",
            "clientid",
            "client_id",
            "cookieid",
            "cookie_id",
            "cookie",
            "customer_id",
            "member_id",
            "person_id",
            "appsflyer_id",
            "apps_flyer_id",
            "customer_user_id",
            "user_pseudo_id",
            "anonymous_id",
            "distinct_id",
            "advertising_id",
            "gps_adid",
            "gaid",
            "idfa",
            "idfv",
        ]) {
            80
        } else if self.is(&["device_id"]) {
            60
        } else if self.is(&["ip", "device_ip", "ip_address"]) {
            30
        } else {
            0
        }
    }

    pub fn ad_score(&self) -> u32 {
        if self.is(&["ad_id", "adid", "ad", "ad_key", "广告id", "广告_id", "创意id", "広告id"]) {
            100
        } else if self.is(&[
            "ad_name",
            "anzeige",
            "anzeigenname",
            "name_der_anzeige",
            "nom_de_la_publicite",
            "annonce",
            "nombre_del_anuncio",
            "anuncio",
            "advertentie",
            "naam_advertentie",
            "广告",
            "广告名称",
            "创意",
            "创意名称",
            "素材",
            "広告",
            "広告名",
        ]) {
            95
        } else if self.is(&[
            "creative_id",
            "creative",
            "banner_id",
            "adgroup_id",
            "ad_group_id",
            "library_id",
        ]) {
            90
        } else if self.is(&["item_id", "itemid", "item", "iid"]) {
            85
        } else if self.is(&["movie_id", "video_id", "news_id", "article_id", "product_id", "sku"]) {
            80
        } else if self.is(&["app"]) {
            30
        } else {
            0
        }
    }

    pub fn campaign_score(&self) -> u32 {
        let is_campaign = self.has(&["campaign", "kampagne", "campagne", "campana", "campagna", "campanha"])
            || self.is(&["kampagnenname", "campagnenaam"])
            || self.holds(&["系列", "计划", "キャンペーン"]);
        let is_about = [
            "status",
            "state",
            "type",
            "delivery",
            "budget",
            "objective",
            "start",
            "starts",
            "end",
            "ends",
            "bid",
            "strategy",
            "group",
            "target",
        ];
        if is_campaign && !self.has(&is_about) { 90 } else { 0 }
    }

    pub fn slot_score(&self) -> u32 {
        let names = [
            "slot",
            "slot_id",
            "slotid",
            "position",
            "pos",
            "slot_position",
            "ad_position",
            "page_position",
            "banner_pos",
            "placement",
            "placement_id",
            "pid",
            "ad_slot",
            "platzierung",
            "emplacement",
            "ubicacion",
            "plaatsing",
            "广告位",
            "展示位置",
            "版位",
            "掲載位置",
        ];
        if self.is(&names) { 90 } else { 0 }
    }

    pub fn is_text(&self) -> bool {
        self.has(&["text", "title", "headline", "copy", "description", "body", "message", "caption", "line"])
    }

    /// True for `id`, `user id`, `row_id`.
    pub fn says_id(&self) -> bool {
        self.words
            .last()
            .is_some_and(|word| word == "id" || word == "ids" || word == "uuid" || word == "guid")
    }

    /// The last word that speaks decides: `age_level` is a code, `n_devices` is a quantity.
    pub fn measure(&self) -> Measure {
        for (from_end, word) in self.words.iter().rev().enumerate() {
            if QUANTITIES.contains(&word.as_str()) {
                return Measure::Quantity;
            }
            // In a sentence (`people who like your page and …`) a word far from the end says little.
            let is_near = from_end < 4;
            if is_near && (CATEGORIES.contains(&word.as_str()) || (word.len() > 3 && word.ends_with("id"))) {
                return Measure::Category;
            }
        }
        Measure::Unknown
    }
}

const QUANTITIES: &[&str] = &[
    "count",
    "counts",
    "num",
    "numerical",
    "numeric",
    "number",
    "amount",
    "duration",
    "time",
    "spent",
    "rounds",
    "gamerounds",
    "rate",
    "rates",
    "score",
    "ratio",
    "value",
    "values",
    "age",
    "income",
    "usage",
    "length",
    "size",
    "width",
    "height",
    "total",
    "sum",
    "avg",
    "mean",
    "min",
    "max",
    "depth",
    "days",
    "minutes",
    "seconds",
    "secs",
    "distance",
    "rating",
    "affinity",
    "delay",
    "views",
    "pages",
    "year",
    "likes",
    "shares",
    "comments",
    "n",
];

const CATEGORIES: &[&str] = &[
    "id",
    "code",
    "type",
    "category",
    "cat",
    "cate",
    "categorical",
    "class",
    "group",
    "segment",
    "region",
    "city",
    "country",
    "state",
    "province",
    "os",
    "systems",
    "system",
    "device",
    "browser",
    "channel",
    "app",
    "gender",
    "sex",
    "language",
    "lang",
    "level",
    "month",
    "weekday",
    "hour",
    "zip",
    "brand",
    "advertiser",
    "publisher",
    "site",
    "domain",
    "exchange",
    "occupation",
    "interest",
    "version",
    "arm",
    "variant",
    "tag",
    "page",
    "tier",
    "model",
    "carrier",
    "network",
    "ip",
    "tab",
    "customer",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_however_they_are_written() {
        for text in ["is_click", "isClick", "Is Click", "is-click"] {
            assert_eq!(Name::of(text).label_score(), 95, "{text}");
        }
        assert_eq!(Name::of("Clicked on Ad").label_score(), 95);
        assert_eq!(Name::of("user-item_affinity_0").user_score(), 0);
        // Who has an id of their own is not known by the address of a network.
        assert!(Name::of("AppsFlyer ID").user_score() > Name::of("IP").user_score());
        assert_eq!(Name::of("xyz_campaign_id").campaign_score(), 90);
        assert!(!Name::of("Daily Time Spent on Site").is_price());
    }

    #[test]
    fn the_last_telling_word_decides() {
        assert_eq!(Name::of("age_level").measure(), Measure::Category);
        assert_eq!(Name::of("age").measure(), Measure::Quantity);
        assert_eq!(Name::of("numerical_7").measure(), Measure::Quantity);
        assert_eq!(Name::of("storeid").measure(), Measure::Category);
        assert_eq!(Name::of("foo").measure(), Measure::Unknown);
    }
}

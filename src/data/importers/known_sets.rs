//! The public sets of the field, by the names of their columns.
//!
//! Most of a set speaks for itself; a line here is something that its cells do not show. The layouts are those that
//! the publishers describe; where documentation and data disagree the data won.

use super::guess::{Plan, TimeReading};
use super::known::{KnownColumn, KnownSet, column};
use crate::data::schema::Role;

/// Every set; the special before the general.
pub static SETS: [KnownSet; 16] = [
    CRITEO,
    CRITEO_ATTRIBUTION,
    AVAZU,
    IPINYOU,
    OPEN_BANDIT,
    KUAIRAND_LOG,
    KUAIRAND_FEATURES,
    TAOBAO_ADS,
    MIND,
    KDD_CUP_2012,
    TALKING_DATA,
    ALI_CCP,
    ALI_EXPRESS,
    YIDIAN,
    MOVIELENS_RATINGS,
    MOVIELENS_TABLES,
];

/// A column of hashes or codes that stays text.
const fn code(name: &'static str) -> KnownColumn {
    column(name).is(Role::Categorical, "a code").read_as(Plan::Text)
}

/// A column of numbers that are codes.
const fn number_code(name: &'static str) -> KnownColumn {
    column(name).is(Role::Categorical, "a code, not a quantity")
}

/// A column that is only known after the click.
const fn after_click(name: &'static str) -> KnownColumn {
    column(name).is(Role::Conversion, "happens after the impression: measured, never a feature")
}

const CRITEO: KnownSet = KnownSet {
    id: "criteo",
    summary: "Criteo click logs with a header: I1 to I13, C1 to C26",
    tables: &[&[
        "I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I10", "I11", "I12", "I13", "C1", "C2", "C3",
        "C4", "C5", "C6", "C7", "C8", "C9", "C10", "C11", "C12", "C13", "C14", "C15", "C16", "C17", "C18",
        "C19", "C20", "C21", "C22", "C23", "C24", "C25", "C26",
    ]],
    columns: &[
        column("I#").is(Role::Numeric, "a count"),
        column("C#").is(Role::Categorical, "a hashed category").read_as(Plan::Text),
    ],
    notes: &[
        "clicked and unclicked rows were sampled at different rates: the click rate is not the real one",
    ],
};

const CRITEO_ATTRIBUTION: KnownSet = KnownSet {
    id: "criteo attribution",
    summary: "Criteo attribution log: impressions with clicks, conversions and costs",
    tables: &[&[
        "timestamp",
        "uid",
        "campaign",
        "conversion",
        "conversion_id",
        "attribution",
        "click",
        "click_pos",
        "click_nb",
        "time_since_last_click",
    ]],
    columns: &[
        column("timestamp")
            .is(Role::Time, "seconds since the log began")
            .read_as(Plan::Time(TimeReading::EpochSeconds)),
        column("uid").is(Role::User, "the user"),
        column("campaign").is(Role::Campaign, "the campaign"),
        column("click").is(Role::Label, "the click"),
        after_click("conversion"),
        after_click("attribution"),
        column("conversion_timestamp")
            .is(Role::Ignored, "filled only where a conversion follows: it gives the outcome away")
            .missing(&["-1"]),
        column("conversion_id")
            .is(Role::Ignored, "filled only where a conversion follows: it gives the outcome away")
            .missing(&["-1"]),
        column("click_pos")
            .is(Role::Ignored, "the place of the click before a conversion: known only afterwards")
            .missing(&["-1"]),
        column("click_nb")
            .is(Role::Ignored, "clicks before a conversion: known only afterwards")
            .missing(&["-1"]),
        column("time_since_last_click").is(Role::Numeric, "seconds").missing(&["-1"]),
        column("cat#").is(Role::Categorical, "a code"),
    ],
    notes: &["times are seconds since the log began, shown as if it began in 1970"],
};

const AVAZU: KnownSet = KnownSet {
    id: "avazu",
    summary: "Avazu click-through rate log",
    tables: &[&["hour", "C1", "banner_pos", "site_id", "app_id", "device_id", "device_ip", "C14", "C21"]],
    columns: &[
        column("id")
            .is(Role::Ignored, "the id of the row, beyond what whole numbers hold")
            .read_as(Plan::Text),
        column("click").is(Role::Label, "the click"),
        column("hour")
            .is(Role::Time, "year, month, day and hour (UTC)")
            .read_as(Plan::Time(TimeReading::CompactHour)),
        column("banner_pos").is(Role::Slot, "the position of the banner"),
        code("site_id"),
        code("site_domain"),
        code("site_category"),
        code("app_id"),
        code("app_domain"),
        code("app_category"),
        column("device_id").is(Role::User, "the device stands for the user").read_as(Plan::Text),
        code("device_ip"),
        code("device_model"),
        number_code("device_type"),
        number_code("device_conn_type"),
        number_code("C20").missing(&["-1"]),
        number_code("C#"),
    ],
    notes: &["most rows share one device_id: it names the user only for the rest"],
};

const IPINYOU: KnownSet = KnownSet {
    id: "ipinyou",
    summary: "iPinYou real-time bidding logs: bids, impressions, clicks, conversions",
    tables: &[&[
        "bidid",
        "slotid",
        "slotwidth",
        "slotprice",
        "creative",
        "bidprice",
        "advertiser",
        "usertag",
    ]],
    columns: &[
        column("click").is(Role::Label, "the click"),
        column("nclick").is(Role::Label, "the click"),
        after_click("nconversation"),
        column("weekday").is(Role::Categorical, "the day of the week"),
        column("hour").is(Role::Categorical, "the hour of the day"),
        column("bidid").is(Role::Ignored, "the id of the bid request: joins the logs").read_as(Plan::Text),
        column("logtype").is(Role::Ignored, "1 impression, 2 click, 3 conversion"),
        column("ipinyouid").is(Role::User, "the user").read_as(Plan::Text).missing(NULL),
        column("userid").is(Role::User, "the user").read_as(Plan::Text).missing(NULL),
        column("useragent").is(Role::Text, "the browser in its own words").read_as(Plan::Text),
        column("IP").is(Role::Categorical, "the address, its end masked").read_as(Plan::Text),
        number_code("region"),
        number_code("city"),
        column("adexchange").is(Role::Categorical, "the exchange").missing(NULL),
        code("domain").missing(NULL),
        code("url").missing(NULL),
        code("urlid").missing(NULL),
        column("slotid").is(Role::Slot, "the slot").read_as(Plan::Text).missing(NULL),
        column("slotwidth").is(Role::Categorical, "a standard width, in pixels"),
        column("slotheight").is(Role::Categorical, "a standard height, in pixels"),
        column("slotvisibility").is(Role::Categorical, "above or below the fold").read_as(Plan::Text),
        column("slotformat").is(Role::Categorical, "a code").read_as(Plan::Text),
        column("slotprice").is(Role::Numeric, "the floor, known before the bid"),
        column("creative").is(Role::Ad, "the creative").read_as(Plan::Text).missing(NULL),
        column("bidprice").is(Role::Price, "the bid"),
        column("payprice").is(Role::Price, "the price paid: that of the second bid"),
        code("keypage").missing(NULL),
        column("advertiser").is(Role::Campaign, "one campaign for each advertiser"),
        column("usertag").is(Role::Sequence, "tags of the user").read_as(Plan::List(',')).missing(NULL),
    ],
    notes: &["prices are CNY fen per 1,000 impressions", "times are China time"],
};

/// The word for missing in iPinYou's logs.
const NULL: &[&str] = &["null"];

const OPEN_BANDIT: KnownSet = KnownSet {
    id: "open bandit",
    summary: "Open Bandit logs (ZOZO) with the logging policy's propensities, and their items",
    tables: &[
        &["timestamp", "item_id", "position", "click", "propensity_score", "user_feature_0"],
        &["item_id", "item_feature_0", "item_feature_1", "item_feature_2"],
    ],
    columns: &[
        column("click").is(Role::Label, "the click"),
        column("position").is(Role::Slot, "one of three places"),
        column("item_id").is(Role::Ad, "the item shown"),
        column("user_feature_#").is(Role::Categorical, "a hashed feature of the user").read_as(Plan::Text),
        column("user-item_affinity_#")
            .is(Role::Numeric, "earlier clicks of the user on one item; one column for each item"),
        column("item_feature_0").is(Role::Numeric, "a number"),
        column("item_feature_#").is(Role::Categorical, "a hashed feature of the item").read_as(Plan::Text),
    ],
    notes: &[],
};

const KUAIRAND_LOG: KnownSet = KnownSet {
    id: "kuairand",
    summary: "KuaiRand log of short videos, some of them shown at random",
    tables: &[&["user_id", "video_id", "hourmin", "time_ms", "is_click", "long_view", "play_time_ms"]],
    columns: &[
        column("time_ms").is(Role::Time, "milliseconds since 1970 (UTC)"),
        column("date").is(Role::Ignored, "the day in China; 'time_ms' says it exactly"),
        column("hourmin").is(Role::Ignored, "the hour and minute in China; 'time_ms' says it exactly"),
        column("user_id").is(Role::User, "the user"),
        column("video_id").is(Role::Ad, "the video shown"),
        column("is_click").is(Role::Label, "the click"),
        after_click("is_like"),
        after_click("is_follow"),
        after_click("is_comment"),
        after_click("is_forward"),
        after_click("is_hate"),
        after_click("long_view"),
        after_click("play_time_ms"),
        after_click("profile_stay_time"),
        after_click("comment_stay_time"),
        after_click("is_profile_enter"),
        column("duration_ms").is(Role::Numeric, "the length of the video"),
        column("is_rand")
            .is(Role::Ignored, "1 where the video was chosen at random: how, not what, was shown"),
        column("tab").is(Role::Slot, "the tab of the app"),
    ],
    notes: &["'date' and 'hourmin' are China time, 'time_ms' is UTC"],
};

const KUAIRAND_FEATURES: KnownSet = KnownSet {
    id: "kuairand features",
    summary: "KuaiRand users and videos; the log is another file",
    tables: &[
        &["user_id", "user_active_degree", "follow_user_num_range", "register_days_range"],
        &["video_id", "author_id", "video_type", "upload_dt", "music_id"],
    ],
    columns: &[
        column("onehot_feat#").is(Role::Categorical, "an encoded feature"),
        column("author_id").is(Role::Categorical, "the author"),
        column("music_id").is(Role::Categorical, "the music"),
        column("music_type").is(Role::Categorical, "a code"),
        column("visible_status").is(Role::Categorical, "a code"),
        column("tag").is(Role::Sequence, "tags of the video").read_as(Plan::List(',')),
    ],
    notes: &["these rows describe users or videos: join them to a log"],
};

const TAOBAO_ADS: KnownSet = KnownSet {
    id: "taobao ads",
    summary: "Taobao display advertising: impressions, ads, users, behaviour, or all joined",
    tables: &[
        &["time_stamp", "adgroup_id", "pid", "clk"],
        &["adgroup_id", "cate_id", "campaign_id", "customer", "brand", "price"],
        &["userid", "cms_segid", "cms_group_id", "final_gender_code", "pvalue_level"],
        &["user", "time_stamp", "btag", "cate", "brand"],
    ],
    columns: &[
        column("clk").is(Role::Label, "the click"),
        column("nonclk").is(Role::Ignored, "1 - clk: it gives the answer away"),
        column("user").is(Role::User, "the user"),
        column("userid").is(Role::User, "the user"),
        column("adgroup_id").is(Role::Ad, "the ad"),
        column("campaign_id").is(Role::Campaign, "the campaign"),
        column("customer").is(Role::Categorical, "the advertiser"),
        column("pid").is(Role::Slot, "the placement"),
        column("cate_id").is(Role::Categorical, "the category of the item"),
        column("cate").is(Role::Categorical, "the category of the item"),
        column("brand").is(Role::Categorical, "the brand"),
        column("price").is(Role::Numeric, "the price of the item, known before the click"),
        column("btag").is(Role::Categorical, "what the user did: pv, cart, fav or buy"),
        column("cms_segid").is(Role::Categorical, "a segment"),
        column("cms_group_id").is(Role::Categorical, "a segment"),
        column("final_gender_code").is(Role::Categorical, "1 male, 2 female"),
        column("age_level").is(Role::Categorical, "an age band"),
        column("pvalue_level").is(Role::Categorical, "a spending level"),
        column("shopping_level").is(Role::Categorical, "a shopping level"),
        column("occupation").is(Role::Categorical, "1 for students"),
        column("click_sequence").is(Role::Sequence, "earlier clicks").read_as(Plan::List('^')),
    ],
    notes: &["days are China days; the last day is the usual test set"],
};

const MIND: KnownSet = KnownSet {
    id: "mind",
    summary: "MIND news logs: impressions with histories, and the news",
    tables: &[
        &["impression_id", "user_id", "time", "history", "news_id"],
        &["news_id", "category", "subcategory", "title", "abstract", "title_entities"],
    ],
    columns: &[
        column("impression_id").is(Role::Ignored, "numbers the list that the rows were shown in"),
        column("user_id").is(Role::User, "the user").read_as(Plan::Text),
        column("news_id").is(Role::Ad, "the news shown").read_as(Plan::Text),
        column("history").is(Role::Sequence, "earlier clicks").read_as(Plan::List(' ')),
        column("click").is(Role::Label, "the click"),
        column("category").is(Role::Categorical, "the category"),
        column("subcategory").is(Role::Categorical, "the category below it"),
        column("title").is(Role::Text, "the headline").read_as(Plan::Text),
        column("abstract").is(Role::Text, "the abstract").read_as(Plan::Text),
        column("url").is(Role::Ignored, "the address").read_as(Plan::Text),
        column("title_entities").is(Role::Ignored, "entities as JSON").read_as(Plan::Text),
        column("abstract_entities").is(Role::Ignored, "entities as JSON").read_as(Plan::Text),
    ],
    notes: &[],
};

const KDD_CUP_2012: KnownSet = KnownSet {
    id: "kdd cup 2012",
    summary: "KDD Cup 2012 track 2: search ads, impressions and clicks counted per row",
    tables: &[&["clicks", "impressions", "display_url", "depth", "query_id", "keyword_id", "title_id"]],
    columns: &[
        column("clicks").is(Role::Clicks, "clicks of the row"),
        column("impressions").is(Role::Weight, "impressions of the row"),
        column("display_url").is(Role::Categorical, "a hash of 64 bits").read_as(Plan::Text),
        column("ad_id").is(Role::Ad, "the ad"),
        column("advertiser_id").is(Role::Categorical, "the advertiser"),
        column("depth").is(Role::Categorical, "ads on the page"),
        column("position").is(Role::Slot, "the place among them"),
        column("query_id").is(Role::Categorical, "the query"),
        column("keyword_id").is(Role::Categorical, "the bought keyword"),
        column("title_id").is(Role::Categorical, "the title"),
        column("description_id").is(Role::Categorical, "the description"),
        column("user_id").is(Role::User, "the user; 0 for unknown ones").missing(&["0"]),
    ],
    notes: &["rows count impressions and clicks of one user, ad and query"],
};

const TALKING_DATA: KnownSet = KnownSet {
    id: "talkingdata",
    summary: "TalkingData clicks on app ads and the downloads that followed",
    tables: &[&["ip", "app", "device", "os", "channel", "click_time"]],
    columns: &[
        column("is_attributed").is(Role::Label, "the download"),
        column("attributed_time")
            .is(Role::Ignored, "filled exactly where the app was downloaded: it gives the answer away"),
        number_code("device"),
        number_code("os"),
        number_code("channel"),
        column("click_time").is(Role::Time, "the click"),
    ],
    notes: &[],
};

const ALI_CCP: KnownSet = KnownSet {
    id: "ali-ccp",
    summary: "Ali-CCP: impressions, clicks and purchases of Taobao recommendations",
    tables: &[&["click", "purchase", "101", "121", "205", "206", "301"]],
    columns: &[
        column("click").is(Role::Label, "the click"),
        after_click("purchase"),
        column("D109_#").is(Role::Numeric, "a weight of the user's behaviour"),
        column("D110_#").is(Role::Numeric, "a weight of the user's behaviour"),
        column("D127_#").is(Role::Numeric, "a weight of the user's behaviour"),
        column("D150_#").is(Role::Numeric, "a weight of the user's behaviour"),
        column("D#").is(Role::Numeric, "a weight"),
        column("109_#").is(Role::Categorical, "a code"),
        column("110_#").is(Role::Categorical, "a code"),
        column("127_#").is(Role::Categorical, "a code"),
        column("150_#").is(Role::Categorical, "a code"),
        column("#").is(Role::Categorical, "a numbered field"),
    ],
    notes: &[
        "101 is the user, 205 the item, 206 its category, 207 the shop, 216 the brand, 301 the position",
        "a purchase follows a click: the funnel is impression, click, purchase",
    ],
};

const ALI_EXPRESS: KnownSet = KnownSet {
    id: "aliexpress",
    summary: "AliExpress searches: impressions, clicks and conversions",
    tables: &[&["search_id", "categorical_1", "categorical_16", "numerical_1", "click", "conversion"]],
    columns: &[
        column("click").is(Role::Label, "the click"),
        after_click("conversion"),
        column("search_id").is(Role::Ignored, "numbers the search that the rows were shown in"),
        column("categorical_#").is(Role::Categorical, "a code"),
        column("numerical_#").is(Role::Numeric, "a number"),
    ],
    notes: &["a conversion follows a click: the funnel is impression, click, conversion"],
};

const YIDIAN: KnownSet = KnownSet {
    id: "yidian",
    summary: "Yidian news: impressions and clicks with users' profiles as probabilities",
    tables: &[&["userId", "itemId", "showTime", "network", "refresh", "showPos", "click"]],
    columns: &[
        column("click").is(Role::Label, "the click"),
        column("showPos").is(Role::Slot, "the place in the list"),
        number_code("network"),
        column("refresh").is(Role::Numeric, "refreshes so far"),
        column("age#").is(Role::Numeric, "the probability of an age band"),
        column("female").is(Role::Numeric, "a probability"),
        column("male").is(Role::Numeric, "a probability: 1 - female"),
    ],
    notes: &["age and gender are probabilities"],
};

const MOVIELENS_RATINGS: KnownSet = KnownSet {
    id: "movielens",
    summary: "MovieLens ratings, also joined with users and films",
    tables: &[&["user_id", "movie_id", "rating", "timestamp"], &["userId", "movieId", "rating", "timestamp"]],
    columns: &[column("zip").read_as(Plan::Text), column("genres").read_as(Plan::List('|'))],
    notes: &["ratings are no clicks: a threshold such as 'rating>=4' makes a label"],
};

const MOVIELENS_TABLES: KnownSet = KnownSet {
    id: "movielens tables",
    summary: "MovieLens users and films; the ratings are another file",
    tables: &[
        &["user_id", "gender", "age", "occupation", "zip"],
        &["movie_id", "title", "genres"],
        &["movieId", "title", "genres"],
    ],
    columns: &[
        column("zip").read_as(Plan::Text),
        column("title").is(Role::Text, "the title").read_as(Plan::Text),
        column("genres").is(Role::Sequence, "genres").read_as(Plan::List('|')),
    ],
    notes: &[],
};

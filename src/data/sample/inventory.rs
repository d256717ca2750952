//! Who advertises what in the sample world, and with which words? All names and texts are invented.

/// What is advertised.
pub const CATEGORIES: [&str; 8] =
    ["beauty", "sports", "electronics", "travel", "food", "finance", "games", "education"];

/// Who pays. Campaigns name them by position.
pub const ADVERTISERS: [&str; 10] = [
    "青禾美妆",
    "半夏日记",
    "云帆户外",
    "Kestrel Cycles",
    "Northlight Audio",
    "远山旅行",
    "味集",
    "Tidewater Bank",
    "星野游戏",
    "Quill Academy",
];

/// A campaign of the sample world.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleCampaign {
    /// What it is called.
    pub name: &'static str,
    /// Position in [`ADVERTISERS`].
    pub advertiser: usize,
    /// Position in [`CATEGORIES`].
    pub category: usize,
    /// What it usually bids per thousand impressions, in yuan.
    pub bid_cpm_cny: f64,
    /// The words of its five ads.
    pub texts: [&'static str; ADS_PER_CAMPAIGN],
}

/// Ads in each campaign.
pub const ADS_PER_CAMPAIGN: usize = 5;

/// All campaigns; ad `k` belongs to campaign `k / ADS_PER_CAMPAIGN`.
pub const CAMPAIGNS: [SampleCampaign; 12] = [
    SampleCampaign {
        name: "秋日护肤季",
        advertiser: 0,
        category: 0,
        bid_cpm_cny: 42.0,
        texts: [
            "换季别慌，给皮肤一层温柔的水",
            "一支精华，早晚各三滴",
            "熬夜之后，先把水分补回来",
            "Autumn air is dry. Your skin need not be.",
            "敏感肌也能安心用的面霜",
        ],
    },
    SampleCampaign {
        name: "Soft Light Autumn",
        advertiser: 1,
        category: 0,
        bid_cpm_cny: 36.0,
        texts: [
            "Six shades for the shortest days",
            "奶茶色口红，素颜也好看",
            "A lighter base that stays till dinner",
            "通勤五分钟，一盘就够",
            "Soft light, all week long",
        ],
    },
    SampleCampaign {
        name: "周末上山",
        advertiser: 2,
        category: 1,
        bid_cpm_cny: 33.0,
        texts: [
            "下雨也照走的登山鞋",
            "二十升背包，装下一个周末",
            "清晨五点，山顶见",
            "Dry feet, long ridges",
            "三百克的风衣，放进口袋就走",
        ],
    },
    SampleCampaign {
        name: "Ride Further",
        advertiser: 3,
        category: 1,
        bid_cpm_cny: 30.0,
        texts: [
            "Eleven gears and one good reason to leave early",
            "通勤也可以骑得很快",
            "The hill is shorter than you remember",
            "轻两公斤，远十公里",
            "Lights included. Excuses not.",
        ],
    },
    SampleCampaign {
        name: "Quiet Hours",
        advertiser: 4,
        category: 2,
        bid_cpm_cny: 55.0,
        texts: [
            "Thirty hours of quiet on one charge",
            "地铁里，也有自己的音乐厅",
            "Hear the room, or only the song",
            "戴一整天也不累的耳机",
            "Fold it, pocket it, forget the noise",
        ],
    },
    SampleCampaign {
        name: "开学数码节",
        advertiser: 4,
        category: 2,
        bid_cpm_cny: 58.0,
        texts: [
            "学生专享，平板立减三百",
            "写论文的键盘，安静又跟手",
            "A screen that is kind to late nights",
            "一根线，三台设备都能充",
            "开学清单里最轻的一台电脑",
        ],
    },
    SampleCampaign {
        name: "国庆出发",
        advertiser: 5,
        category: 3,
        bid_cpm_cny: 64.0,
        texts: [
            "七天假期，往西走一千公里",
            "Window seats to somewhere slower",
            "带爸妈去看一次海",
            "临时起意，也订得到房间",
            "Two nights, one train, no plans",
        ],
    },
    SampleCampaign {
        name: "一日三餐",
        advertiser: 6,
        category: 4,
        bid_cpm_cny: 24.0,
        texts: [
            "二十分钟，三菜一汤",
            "今晚不想做饭？半成品已洗好切好",
            "Dinner for two, chopped and ready",
            "周三半价，米面油一起送",
            "妈妈味道的冷冻水饺",
        ],
    },
    SampleCampaign {
        name: "Late Snack Club",
        advertiser: 6,
        category: 4,
        bid_cpm_cny: 22.0,
        texts: [
            "Open until two, at your door in thirty",
            "深夜的串，趁热送到",
            "Something salty for the last episode",
            "加班的人，值得一碗热汤面",
            "Three snacks, one small price",
        ],
    },
    SampleCampaign {
        name: "Steady Savings",
        advertiser: 7,
        category: 5,
        bid_cpm_cny: 88.0,
        texts: [
            "Put away a little every payday",
            "工资到账，先存十分之一",
            "See where the month went, in one page",
            "给孩子的第一本存折",
            "A plan for the year after next",
        ],
    },
    SampleCampaign {
        name: "星海远征",
        advertiser: 8,
        category: 6,
        bid_cpm_cny: 47.0,
        texts: [
            "和老友组队，今晚八点开船",
            "新手三天，送一艘旗舰",
            "Chart a sea that nobody has sailed",
            "不用充值也能打到第七章",
            "Your crew is waiting at the dock",
        ],
    },
    SampleCampaign {
        name: "晚间一小时",
        advertiser: 9,
        category: 7,
        bid_cpm_cny: 39.0,
        texts: [
            "每天一小时，三个月读懂统计",
            "Learn to draw before the year ends",
            "下班后学一门手艺",
            "One short lesson, every evening",
            "零基础也能写出第一个程序",
        ],
    },
];

/// How many ads there are.
pub const ADS: usize = CAMPAIGNS.len() * ADS_PER_CAMPAIGN;

/// The campaign of an ad.
pub fn campaign_of(ad: usize) -> &'static SampleCampaign {
    &CAMPAIGNS[ad / ADS_PER_CAMPAIGN]
}

/// The words of an ad.
pub fn text_of(ad: usize) -> &'static str {
    campaign_of(ad).texts[ad % ADS_PER_CAMPAIGN]
}

/// The id of an ad in the log.
pub fn ad_id(ad: usize) -> String {
    format!("ad_{:03}", ad + 1)
}

/// The ad of an id.
pub fn ad_of_id(id: &str) -> Option<usize> {
    let number: usize = id.strip_prefix("ad_")?.parse().ok()?;
    (1..=ADS).contains(&number).then(|| number - 1)
}

/// The language of an ad's words: `zh` or `en`.
pub fn language_of(ad: usize) -> usize {
    usize::from(text_of(ad).is_ascii())
}

/// The day on which an ad is first shown: every ninth ad starts only in week four, so it is cold in the test part.
pub fn starts_on_day(ad: usize) -> u32 {
    if ad % 9 == 8 { 21 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_texts_and_owners_are_sound() {
        let mut texts: Vec<_> = (0..ADS).map(text_of).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), ADS, "no text is used twice");
        for ad in 0..ADS {
            assert_eq!(ad_of_id(&ad_id(ad)), Some(ad));
            assert!(campaign_of(ad).advertiser < ADVERTISERS.len());
            assert!(campaign_of(ad).category < CATEGORIES.len());
        }
        assert_eq!(ad_of_id("ad_061"), None);
        let cold = (0..ADS).filter(|&ad| starts_on_day(ad) > 0).count();
        assert_eq!(cold, 6);
    }
}

//! What does the picture of an ad look like, in numbers? Colours, light, detail and where it stands, and how much of it is
//! lettering.
//!
//! Everything is measured on the pixels as they are stored (sRGB, no light is linearised), transparent ones over white;
//! pictures with a side of more than 512 pixels are first made smaller. Nothing is guessed by a model: the share of
//! lettering is that of small squares in which dark and light change as often as letters make them.

use super::library::Picture;
use crate::base::files::disk_failure;
use crate::base::{Failure, Result, failure::Explain};
use image::{DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits, RgbaImage};
use serde::{Deserialize, Serialize};
use std::io::Cursor;
use std::path::Path;

const WHAT: &str = "cannot read the picture";
/// Bytes of a file at most, and pixels of a side.
const LARGEST: u64 = 64 << 20;
const LONGEST_SIDE: u32 = 16_384;
/// Memory of an opened picture at most.
const MOST_MEMORY: u64 = 512 << 20;
/// Pixels of a side that is measured.
const MEASURED: u32 = 512;
/// Pixels of a side of the small picture.
const SMALL: u32 = 96;
/// Steps of each of red, green and blue that count as one colour.
const STEPS: u32 = 4;
/// Colours that are told, with the least share of a colour.
const COLOURS: usize = 5;
const LEAST_SHARE: f64 = 0.02;
/// Change of light between neighbours from which on there is an edge, of 0 to 1.
const EDGE: f32 = 0.15;
/// Side of a square that is asked whether it holds lettering.
const SQUARE: usize = 16;
/// How far apart the dark and the light of lettering are, the least share of either, and edges along a row.
const LETTER_CONTRAST: f32 = 0.4;
const LETTER_SHARE: f64 = 0.1;
const LETTER_EDGES: f64 = 2.0;

/// A colour with its share of the picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Colour {
    /// Red, green and blue: the mean of the pixels that count as this colour.
    pub rgb: [u8; 3],
    /// Share of the pixels.
    pub share: f64,
}

/// What a picture looks like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Width over height.
    pub aspect: f64,
    /// The colours that cover most of it, largest first; two shades within a quarter of each channel are one.
    pub colours: Vec<Colour>,
    /// Mean light (Rec. 709 weights), 0 black to 1 white.
    pub brightness: f64,
    /// Standard deviation of the light (RMS contrast; Peli 1990), 0 to 0.5.
    pub contrast: f64,
    /// Mean saturation (HSV), 0 grey to 1 pure.
    pub saturation: f64,
    /// Hasler & Suesstrunk 2003, equation 9, of channels 0 to 255: 0 none, 33 moderate, 59 quite, 109 extremely colourful.
    pub colourfulness: f64,
    /// Share of pixels at which the light changes by more than 15 % to the right or below.
    pub edges: f64,
    /// Share of squares of 16 pixels in which dark and light change as lettering does.
    pub lettering: f64,
    /// Where the edges stand: their shares in three by three parts, row by row; zeros where there is none.
    pub layout: [f64; 9],
}

/// A picture made small, row by row: red, green, blue, alpha.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Small {
    /// Pixels across and down.
    pub size: [usize; 2],
    /// Four bytes a pixel.
    pub rgba: Vec<u8>,
}

/// Opens a picture: what it looks like, and itself made small.
///
/// # Errors
/// No such file, neither PNG nor JPEG, a broken or enormous one.
pub fn open(path: &Path) -> Result<(Picture, Small)> {
    let place = |failure: Failure| failure.at(path.display());
    let on_disk = |error: std::io::Error| disk_failure(WHAT, path, &error);
    let bytes = std::fs::metadata(path).map_err(on_disk)?.len();
    if bytes > LARGEST {
        let why = format!("it has {} MB, and {} are the most", bytes >> 20, LARGEST >> 20);
        return Err(place(Failure::new(WHAT, why).hint("make it smaller")));
    }
    let read = std::fs::read(path).map_err(on_disk)?;
    let image = decoded(&read).map_err(place)?;
    let look = Look::of(&image);
    let small = image::imageops::thumbnail(&image, fitted(&image, SMALL).0, fitted(&image, SMALL).1);
    let file = path.to_string_lossy().into_owned();
    let picture = Picture { file, hash: blake3::hash(&read).to_hex().to_string(), look };
    let size = [small.width() as usize, small.height() as usize];
    Ok((picture, Small { size, rgba: small.into_raw() }))
}

fn decoded(read: &[u8]) -> Result<RgbaImage> {
    let mut reader = ImageReader::new(Cursor::new(read)).with_guessed_format().explain(WHAT)?;
    match reader.format() {
        Some(ImageFormat::Png) => {}
        // The decoder fills what is missing with grey and says nothing.
        Some(ImageFormat::Jpeg) if !ends_as_jpeg(read) => {
            let why = "it is cut short: a JPEG ends with a mark, and this one does not";
            return Err(Failure::new(WHAT, why).hint("get the file again"));
        }
        Some(ImageFormat::Jpeg) => {}
        other => {
            let kind = other.map_or("no picture that is known".to_owned(), |kind| format!("{kind:?}"));
            return Err(Failure::new(WHAT, format!("it is {kind}, and only PNG and JPEG are read"))
                .hint("save it as PNG or JPEG"));
        }
    }
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(LONGEST_SIDE), Some(LONGEST_SIDE));
    limits.max_alloc = Some(MOST_MEMORY);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().explain(WHAT)?;
    let (width, height) = decoder.dimensions();
    // As pixels of three or four bytes, and once more with four.
    if 2 * decoder.total_bytes() > MOST_MEMORY {
        let why = format!("it has {width} x {height} pixels, and {} MB are the most", MOST_MEMORY >> 20);
        return Err(Failure::new(WHAT, why).hint("make it smaller"));
    }
    // A camera may have been held upright: the file says so beside the pixels.
    let orientation = decoder.orientation().explain(WHAT)?;
    let mut image = DynamicImage::from_decoder(decoder).explain(WHAT)?;
    image.apply_orientation(orientation);
    Ok(image.into_rgba8())
}

/// True where a JPEG comes to its end: segments by their lengths, then what follows each start of a scan up to the next mark.
fn ends_as_jpeg(read: &[u8]) -> bool {
    const END: u8 = 0xD9;
    const SCAN: u8 = 0xDA;
    let mut at = 2;
    loop {
        let Some(&[0xFF, mark]) = read.get(at..at + 2) else { return false };
        match mark {
            END => return true,
            // A fill byte, and marks without a length.
            0xFF => at += 1,
            0x01 | 0xD0..=0xD8 => at += 2,
            _ => {
                let Some(&[high, low]) = read.get(at + 2..at + 4) else { return false };
                at += 2 + usize::from(u16::from_be_bytes([high, low]));
                // In a scan 0xFF is followed by 0 where it is a number, and by one of eight marks where a part ends.
                let is_mark = |two: &[u8]| two[0] == 0xFF && !matches!(two[1], 0x00 | 0xD0..=0xD7);
                if mark == SCAN {
                    let rest = read.get(at..).unwrap_or_default();
                    let Some(next) = rest.windows(2).position(is_mark) else { return false };
                    at += next;
                }
            }
        }
    }
}

/// Width and height with no side longer than `side`, in the same proportion.
fn fitted(image: &RgbaImage, side: u32) -> (u32, u32) {
    let (width, height) = image.dimensions();
    let scale = (f64::from(side) / f64::from(width.max(height))).min(1.0);
    let scaled = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
    (scaled(width), scaled(height))
}

/// The pixels that are measured.
struct Seen {
    width: usize,
    height: usize,
    rgb: Vec<[u8; 3]>,
    /// Light of each, 0 to 1.
    light: Vec<f32>,
}

impl Seen {
    fn of(image: &RgbaImage) -> Self {
        let (width, height) = fitted(image, MEASURED);
        let scaled;
        let image = match image.dimensions() == (width, height) {
            true => image,
            false => {
                scaled = image::imageops::thumbnail(image, width, height);
                &scaled
            }
        };
        let over_white = |pixel: &image::Rgba<u8>| -> [u8; 3] {
            let [r, g, b, alpha] = pixel.0.map(u32::from);
            [r, g, b].map(|channel| ((channel * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
        };
        let rgb: Vec<[u8; 3]> = image.pixels().map(over_white).collect();
        let light = rgb
            .iter()
            .map(|[r, g, b]| {
                (0.2126 * f32::from(*r) + 0.7152 * f32::from(*g) + 0.0722 * f32::from(*b)) / 255.0
            })
            .collect();
        Self { width: width as usize, height: height as usize, rgb, light }
    }

    fn at(&self, x: usize, y: usize) -> f32 {
        self.light[y * self.width + x]
    }

    /// True where the light changes to the right or below.
    fn is_edge(&self, x: usize, y: usize) -> bool {
        let here = self.at(x, y);
        let differs = |there: f32| (there - here).abs() > EDGE;
        (x + 1 < self.width && differs(self.at(x + 1, y)))
            || (y + 1 < self.height && differs(self.at(x, y + 1)))
    }

    fn colours(&self) -> Vec<Colour> {
        let mut bins = vec![([0u64; 3], 0u64); (STEPS * STEPS * STEPS) as usize];
        for rgb in &self.rgb {
            let bin = rgb.iter().fold(0, |bin, channel| bin * STEPS + u32::from(*channel) * STEPS / 256);
            let (sums, count) = &mut bins[bin as usize];
            sums.iter_mut().zip(rgb).for_each(|(sum, channel)| *sum += u64::from(*channel));
            *count += 1;
        }
        let all = self.rgb.len().max(1) as f64;
        let mut colours: Vec<Colour> = bins
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(sums, count)| Colour {
                rgb: sums.map(|sum| ((sum + count / 2) / count) as u8),
                share: count as f64 / all,
            })
            .filter(|colour| colour.share >= LEAST_SHARE)
            .collect();
        colours.sort_by(|a, b| b.share.total_cmp(&a.share).then(a.rgb.cmp(&b.rgb)));
        colours.truncate(COLOURS);
        colours
    }

    fn saturation(&self) -> f64 {
        let of = |rgb: &[u8; 3]| {
            let (low, high) =
                (rgb.iter().min().copied().unwrap_or(0), rgb.iter().max().copied().unwrap_or(0));
            if high == 0 { 0.0 } else { f64::from(high - low) / f64::from(high) }
        };
        self.rgb.iter().map(of).sum::<f64>() / self.rgb.len().max(1) as f64
    }

    fn colourfulness(&self) -> f64 {
        let opponents = |of: &dyn Fn(f64, f64, f64) -> f64| {
            let values = self.rgb.iter().map(|[r, g, b]| of(f64::from(*r), f64::from(*g), f64::from(*b)));
            mean_and_deviation(values)
        };
        let (mean_rg, of_rg) = opponents(&|r, g, _| r - g);
        let (mean_yb, of_yb) = opponents(&|r, g, b| 0.5 * (r + g) - b);
        of_rg.hypot(of_yb) + 0.3 * mean_rg.hypot(mean_yb)
    }

    /// Share of edges, and where they stand.
    fn edges(&self) -> (f64, [f64; 9]) {
        let (mut counts, mut all) = ([0usize; 9], 0usize);
        for y in 0..self.height {
            for x in (0..self.width).filter(|x| self.is_edge(*x, y)) {
                counts[3 * (y * 3 / self.height) + x * 3 / self.width] += 1;
                all += 1;
            }
        }
        let share = all as f64 / self.light.len().max(1) as f64;
        (share, counts.map(|count| count as f64 / all.max(1) as f64))
    }

    /// Share of squares that hold lettering; what is left over at the right and below counts as a square of its size.
    fn lettering(&self) -> f64 {
        let (across, down) = (self.width.div_ceil(SQUARE), self.height.div_ceil(SQUARE));
        let squares = (0..down).flat_map(|y| (0..across).map(move |x| (x, y)));
        let (mut lettered, mut all) = (0.0, 0.0);
        for (x, y) in squares {
            let (right, below) = (((x + 1) * SQUARE).min(self.width), ((y + 1) * SQUARE).min(self.height));
            let (columns, rows) = (x * SQUARE..right, y * SQUARE..below);
            let area = (columns.len() * rows.len()) as f64;
            all += area;
            if self.is_lettering(&columns, &rows) {
                lettered += area;
            }
        }
        lettered / f64::max(all, 1.0)
    }

    fn is_lettering(&self, columns: &std::ops::Range<usize>, rows: &std::ops::Range<usize>) -> bool {
        let pixels = || rows.clone().flat_map(|y| columns.clone().map(move |x| (x, y)));
        let (low, high) = pixels().fold((1.0f32, 0.0f32), |(low, high), (x, y)| {
            let light = self.at(x, y);
            (low.min(light), high.max(light))
        });
        if high - low < LETTER_CONTRAST {
            return false;
        }
        let middle = 0.5 * (low + high);
        let dark = pixels().filter(|(x, y)| self.at(*x, *y) < middle).count() as f64;
        let all = (columns.len() * rows.len()) as f64;
        if !(LETTER_SHARE..=1.0 - LETTER_SHARE).contains(&(dark / all)) {
            return false;
        }
        // Letters change between dark and light along a row, again and again; the border of a shape does so once.
        let changes = |y: usize| {
            let is_dark = |x: usize| self.at(x, y) < middle;
            (columns.start + 1..columns.end).filter(|x| is_dark(*x) != is_dark(x - 1)).count()
        };
        let changing: Vec<usize> = rows.clone().map(changes).filter(|count| *count > 0).collect();
        2 * changing.len() >= rows.len()
            && changing.iter().sum::<usize>() as f64 >= LETTER_EDGES * changing.len() as f64
    }
}

/// Mean and standard deviation (of a population).
fn mean_and_deviation(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (count, sum, squares) =
        values.fold((0.0, 0.0, 0.0), |(count, sum, squares), v| (count + 1.0, sum + v, squares + v * v));
    let mean = sum / f64::max(count, 1.0);
    (mean, (squares / f64::max(count, 1.0) - mean * mean).max(0.0).sqrt())
}

impl Look {
    /// Names of its numbers in a table, in the order of [`numbers`](Self::numbers).
    pub const NUMBERS: [&'static str; 9] = [
        "image_aspect",
        "image_brightness",
        "image_contrast",
        "image_saturation",
        "image_colourfulness",
        "image_edges",
        "image_lettering",
        "image_detail_above",
        "image_detail_left",
    ];

    /// Measures a picture.
    pub fn of(image: &RgbaImage) -> Self {
        let (width, height) = image.dimensions();
        let seen = Seen::of(image);
        let (brightness, contrast) = mean_and_deviation(seen.light.iter().map(|light| f64::from(*light)));
        let (edges, layout) = seen.edges();
        Self {
            width,
            height,
            aspect: f64::from(width) / f64::from(height.max(1)),
            colours: seen.colours(),
            brightness,
            contrast,
            saturation: seen.saturation(),
            colourfulness: seen.colourfulness(),
            edges,
            lettering: seen.lettering(),
            layout,
        }
    }

    /// Its numbers, as a model reads them: see [`NUMBERS`](Self::NUMBERS). The last two are the shares of edges in the upper
    /// and in the left third.
    pub fn numbers(&self) -> [f64; 9] {
        let part = |places: [usize; 3]| places.iter().map(|place| self.layout[*place]).sum();
        [
            self.aspect,
            self.brightness,
            self.contrast,
            self.saturation,
            self.colourfulness,
            self.edges,
            self.lettering,
            part([0, 1, 2]),
            part([0, 3, 6]),
        ]
    }

    /// The colour that covers most, as `#rrggbb`; empty for none.
    pub fn main_colour(&self) -> String {
        self.colours.first().map_or_else(String::new, Colour::hex)
    }

    /// What it looks like, in a line.
    pub fn words(&self) -> String {
        let percent = |share: f64| format!("{:.0} %", 100.0 * share);
        let colours: Vec<String> =
            self.colours.iter().map(|colour| format!("{} {}", colour.hex(), percent(colour.share))).collect();
        format!(
            "{} x {}, {}; brightness {:.2}, contrast {:.2}, saturation {:.2}, colourfulness {:.0}; edges {}, lettering {}",
            self.width,
            self.height,
            colours.join(" "),
            self.brightness,
            self.contrast,
            self.saturation,
            self.colourfulness,
            percent(self.edges),
            percent(self.lettering)
        )
    }
}

impl Colour {
    /// `#rrggbb`.
    pub fn hex(&self) -> String {
        let [r, g, b] = self.rgb;
        format!("#{r:02x}{g:02x}{b:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgba;

    fn made(width: u32, height: u32, colour: impl Fn(u32, u32) -> [u8; 4]) -> Look {
        Look::of(&RgbaImage::from_fn(width, height, |x, y| Rgba(colour(x, y))))
    }

    #[test]
    fn a_plain_picture_has_its_colour_and_no_detail() {
        let look = made(40, 20, |_, _| [255, 0, 0, 255]);
        assert_eq!((look.width, look.height, look.aspect), (40, 20, 2.0));
        assert_eq!(look.colours, [Colour { rgb: [255, 0, 0], share: 1.0 }]);
        assert!((look.brightness - 0.2126).abs() < 1e-6 && look.contrast < 1e-6);
        assert_eq!((look.saturation, look.edges, look.lettering, look.layout), (1.0, 0.0, 0.0, [0.0; 9]));
        // Equation 9 with rg = 255 and yb = 127.5 everywhere: 0.3 sqrt(255^2 + 127.5^2).
        assert!((look.colourfulness - 0.3 * 255.0f64.hypot(127.5)).abs() < 1e-9);
        let grey = made(8, 8, |_, _| [128, 128, 128, 255]);
        assert_eq!((grey.saturation, grey.colourfulness), (0.0, 0.0));
    }

    #[test]
    fn halves_have_their_shares_contrast_and_border() {
        // Left black, right white: mean 1/2, deviation 1/2, one column of edges at the border.
        let look = made(48, 48, |x, _| if x < 24 { [0, 0, 0, 255] } else { [255, 255, 255, 255] });
        let shares: Vec<f64> = look.colours.iter().map(|colour| colour.share).collect();
        assert_eq!(shares, [0.5, 0.5]);
        assert!((look.brightness - 0.5).abs() < 1e-6 && (look.contrast - 0.5).abs() < 1e-6, "{look:?}");
        assert!((look.edges - 1.0 / 48.0).abs() < 1e-12 && look.lettering == 0.0, "a border is no lettering");
        let third = 1.0 / 3.0;
        assert_eq!(look.layout, [0.0, third, 0.0, 0.0, third, 0.0, 0.0, third, 0.0]);
        // Pure red against pure green: rg = ±255 (deviation 255, mean 0), yb = 127.5.
        let look = made(32, 32, |x, _| if x < 16 { [255, 0, 0, 255] } else { [0, 255, 0, 255] });
        assert!((look.colourfulness - (255.0 + 0.3 * 127.5)).abs() < 1e-9);
        // What cannot be seen is white.
        let clear = made(8, 8, |_, _| [0, 0, 0, 0]);
        assert!((clear.brightness - 1.0).abs() < 1e-6 && clear.main_colour() == "#ffffff");
    }

    #[test]
    fn lettering_is_where_strokes_follow_each_other() {
        // Strokes three pixels wide over the upper half of the squares, nothing below.
        let strokes = |x: u32, y: u32| if y < 32 && (x / 3).is_multiple_of(2) { 0 } else { 255 };
        let look = made(64, 64, |x, y| [strokes(x, y), strokes(x, y), strokes(x, y), 255]);
        assert!((look.lettering - 0.5).abs() < 1e-12, "{look:?}");
        assert!(look.numbers()[7] > 0.6, "detail above: {look:?}");
        // A slope from dark to light has contrast and no lettering.
        let slope = made(64, 64, |x, _| {
            [(x * 4) as u8; 3].map(|v| v).into_iter().chain([255]).collect::<Vec<_>>().try_into().unwrap()
        });
        assert_eq!((slope.lettering, slope.edges), (0.0, 0.0));
        // Made smaller first: the same shares.
        let large = made(1024, 1024, |_, y| if y < 256 { [0, 0, 255, 255] } else { [255, 255, 0, 255] });
        assert!(
            (large.colours[0].share - 0.75).abs() < 0.01 && large.main_colour() == "#ffff00",
            "{large:?}"
        );
    }

    #[test]
    fn files_that_are_no_picture_are_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ad.png");
        assert!(open(&path).unwrap_err().place.contains("ad.png"));
        std::fs::write(&path, b"GIF89a..").unwrap();
        assert!(open(&path).unwrap_err().why.contains("Gif"), "{}", open(&path).unwrap_err());
        std::fs::write(&path, b"no picture").unwrap();
        assert!(open(&path).unwrap_err().why.contains("only PNG and JPEG"));
        RgbaImage::from_fn(200, 100, |x, _| Rgba([x as u8, 0, 0, 255])).save(&path).unwrap();
        let (picture, small) = open(&path).unwrap();
        assert!(small.size == [96, 48] && small.rgba.len() == 4 * 96 * 48);
        assert!(picture.hash.len() == 64 && picture.look.aspect == 2.0);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(open(&path).is_err(), "a picture that ends half way");
    }

    #[test]
    fn a_jpeg_is_measured_like_a_png_and_a_cut_or_enormous_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (png, jpeg) = (folder.path().join("ad.png"), folder.path().join("ad.jpg"));
        let picture = RgbaImage::from_fn(160, 80, |x, y| {
            Rgba(if x < 80 { [200, 30, 30, 255] } else { [40, 40, (y * 2) as u8, 255] })
        });
        picture.save(&png).unwrap();
        DynamicImage::from(picture).into_rgb8().save(&jpeg).unwrap();
        let of = |path: &Path| open(path).unwrap().0.look;
        let (one, other) = (of(&png), of(&jpeg));
        assert!((other.width, other.height) == (160, 80));
        assert!((one.brightness - other.brightness).abs() < 0.01, "{one:?} {other:?}");
        assert!(
            (one.contrast - other.contrast).abs() < 0.01 && (one.saturation - other.saturation).abs() < 0.03
        );
        let whole = std::fs::read(&jpeg).unwrap();
        // Wherever it is cut; the decoder alone would fill the rest with grey.
        for share in [0.05, 0.5, 0.9, 0.999] {
            std::fs::write(&jpeg, &whole[..(whole.len() as f64 * share) as usize]).unwrap();
            let failure = open(&jpeg).unwrap_err();
            assert!(failure.why.contains("cut short") && failure.place.contains("ad.jpg"), "{failure}");
        }
        // Bytes behind the end are nobody's business; a side that no advertisement has is.
        std::fs::write(&jpeg, [&whole[..], b"more"].concat()).unwrap();
        assert_eq!(of(&jpeg), other);
        let frame = whole.windows(2).position(|two| two == [0xFF, 0xC0]).unwrap();
        let mut huge = whole.clone();
        huge[frame + 5..frame + 9].copy_from_slice(&[0xFF, 0xF0, 0xFF, 0xF0]);
        std::fs::write(&jpeg, huge).unwrap();
        assert!(open(&jpeg).unwrap_err().what.contains("picture"));
        let mut wide = whole;
        wide[frame + 5..frame + 9].copy_from_slice(&[0x3F, 0xFF, 0x3F, 0xFF]);
        std::fs::write(&jpeg, wide).unwrap();
        let failure = open(&jpeg).unwrap_err();
        assert!(
            failure.why.contains("16383 x 16383 pixels") && failure.hint.contains("smaller"),
            "{failure}"
        );
    }
}

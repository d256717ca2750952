//! How fast are maps of embeddings drawn and asked, beside umap-learn, openTSNE and an empty window?
//!
//! Points lie around 60 centres on bent sheets of 8 dimensions in a space of 64, with noise in all. Both sides draw the
//! same points from start to end, and both maps are judged by the same measure on the same sampled points. Without the
//! rivals (`benches/rivals/setup.sh`) only our own figures are told.

use super::{BenchRow, below, best_of, ours};
use crate::base::failure::Explain;
use crate::base::params::Params;
use crate::base::rng::Rng;
use crate::base::{Failure, Result};
use crate::gpu::density::{DensityGrid, View};
use crate::gpu::frame_rate::{counting_rate, frame_rate};
use crate::gpu::{Camera, Cloud, Lasso};
use crate::headless::Terminal;
use crate::jobs::JobContext;
use crate::maps::method::find;
use crate::maps::quality::{Quality, SAMPLE};
use crate::maps::search::nearest;
use crate::maps::{MapRequest, Metric, Points};
use crate::ui::map_cost::{self, Beside};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Points of the maps.
pub const ROWS: usize = 70_000;
const WIDTH: usize = 64;
const CENTRES: usize = 60;
const SHEET: usize = 8;
/// Neighbours by which maps are judged.
const JUDGED: usize = 15;
const SIZE: [usize; 2] = [1_280, 800];

const SCRIPT: &str = include_str!("../../../benches/rivals/maps.py");

/// All figures.
///
/// # Errors
/// A full disk, a rival that fails, Ctrl-C.
pub fn view(rows: usize, context: &JobContext) -> Result<Vec<BenchRow>> {
    let mut figures = vec![
        binned(1_000_000, 16.0, context)?,
        binned(4_000_000, 60.0, context)?,
        fenced(context)?,
        found(100_000, 5.0, context)?,
        found(1_000_000, 50.0, context)?,
    ];
    figures.extend(of_a_window(context)?);
    figures.push(idle(context)?);
    figures.extend(maps(rows, context)?);
    figures.extend(on_a_card(context)?);
    Ok(figures)
}

/// A promise for a machine that this is not.
fn not_run(work: &str, unit: &'static str, why: &str, reach: f64) -> BenchRow {
    BenchRow {
        rival: Some(format!("not run here: {why} (aim {reach} {unit})")),
        ..ours(work, f64::NAN, unit, None)
    }
}

/// Frames a second of a discrete graphics card: each point drawn, and all counted per pixel, as the window does for so many.
fn on_a_card(context: &JobContext) -> Result<[BenchRow; 2]> {
    context.check()?;
    let (cloud, size) = (cloud(4_000_000), SIZE.map(|side| side as u32));
    let row = |work: &str, found: Option<(String, f64)>| match found {
        Some((card, rate)) => BenchRow { rival: Some(card), ..ours(work, rate, "frames/s", Some(60.0)) },
        None => not_run(work, "frames/s", "no discrete GPU", 60.0),
    };
    Ok([
        row("4,000,000 points as discs, discrete GPU", frame_rate(&cloud, size, false)?),
        row("4,000,000 points counted per pixel, discrete GPU", counting_rate(&cloud, size)?),
    ])
}

/// What a program says that starts as a window does: this one has given its threads the cores that a window keeps.
fn of_a_window(context: &JobContext) -> Result<Vec<BenchRow>> {
    context.check()?;
    let what = "cannot measure whole frames";
    let program = std::env::current_exe().explain(what)?;
    let run = Command::new(program).args(["bench", super::FRAMES, "--json"]).output().explain(what)?;
    let answer: serde_json::Value = serde_json::from_slice(&run.stdout).explain(what)?;
    let Some(rows) = answer["rows"].as_array() else {
        return Err(Failure::new(what, answer["error"].to_string()));
    };
    let read = |row: &serde_json::Value| BenchRow {
        rival: row["rival"].as_str().map(str::to_owned),
        rival_value: row["rival_value"].as_f64(),
        ratio: row["ratio"].as_f64(),
        reach: row["reach"].as_f64(),
        met: row["met"].as_bool(),
        ..ours(row["work"].as_str().unwrap_or_default(), row["ours"].as_f64().unwrap_or(f64::NAN), "ms", None)
    };
    Ok(rows.iter().map(read).collect())
}

/// Milliseconds of a whole frame of the panel with a million points, beside an empty window's, deep_fm training behind both.
///
/// # Errors
/// No graphics adapter, no sample log, Ctrl-C.
pub fn frames(context: &JobContext) -> Result<Vec<BenchRow>> {
    let cost = map_cost::measure(1_000_000, context)?;
    let beside = |work: &str, cost_of: Beside| {
        let (frame, empty) = (cost_of.frame.as_secs_f64(), cost_of.empty.as_secs_f64());
        BenchRow {
            rival: Some(format!("an empty window's by {}", cost.adapter)),
            rival_value: Some(1e3 * empty),
            ratio: Some(frame / empty.max(1e-9)),
            ..below(work, 1e3 * frame, "ms", 1.3e3 * empty)
        }
    };
    Ok(vec![
        beside("whole frame, 1,000,000 points, still", cost.still),
        beside("whole frame, 1,000,000 points, under the hand", cost.moved),
    ])
}

/// Seconds that the window has to come to rest, and over which it is then watched.
const REST: [u64; 2] = [8, 10];

/// Share of one processor core that the window takes when nobody touches it.
fn idle(context: &JobContext) -> Result<BenchRow> {
    let (work, unit, reach) = ("processor time of the window at rest", "% of a core", 1.0);
    let has_display = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    if !cfg!(target_os = "linux") || !has_display {
        return Ok(not_run(work, unit, "no display (try xvfb-run -a)", reach));
    }
    let what = "cannot watch the window at rest";
    let program = std::env::current_exe().explain(what)?;
    let mut window =
        Command::new(program).stdout(Stdio::null()).stderr(Stdio::null()).spawn().explain(what)?;
    let watched = watched(window.id(), context);
    let gone = window.try_wait().explain(what)?;
    // It ends with the measurement, whatever came of that.
    let ended = window.kill().and_then(|()| window.wait()).explain(what);
    if let Some(status) = gone {
        return Err(Failure::new(what, format!("it ended by itself ({status})")));
    }
    let share = watched?;
    ended?;
    Ok(below(work, 100.0 * share, unit, reach))
}

/// Processor seconds of a process over the second of [`REST`], a second.
fn watched(process: u32, context: &JobContext) -> Result<f64> {
    let wait = |seconds: u64| {
        (0..4 * seconds).try_for_each(|_| {
            std::thread::sleep(Duration::from_millis(250));
            context.check()
        })
    };
    wait(REST[0])?;
    let before = processor_ticks(process)?;
    wait(REST[1])?;
    // Linux counts in hundredths of a second for every program (USER_HZ).
    Ok((processor_ticks(process)? - before) as f64 / 100.0 / REST[1] as f64)
}

/// Ticks that a process has run, in itself and in the system for it: the 14th and 15th field of `/proc/PID/stat`.
fn processor_ticks(process: u32) -> Result<u64> {
    let what = "cannot watch the window at rest";
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).explain(what)?;
    // The name of the program, in brackets, may hold spaces.
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<u64>().ok());
    match (ticks(14), ticks(15)) {
        (Some(own), Some(system)) => Ok(own + system),
        _ => Err(Failure::new(what, "/proc says nothing of its processor time")),
    }
}

fn cloud(points: usize) -> Cloud {
    let mut rng = Rng::named(1, "bench points");
    let xy = (0..points).map(|_| [rng.normal() as f32, rng.normal() as f32]).collect();
    Cloud { xy, codes: (0..points).map(|point| (point % 8) as u8).collect() }
}

/// Milliseconds from points to the colours of a full picture.
fn binned(points: usize, reach: f64, context: &JobContext) -> Result<BenchRow> {
    let cloud = cloud(points);
    let view = View {
        camera: Camera::fit([-4.0, -4.0, 4.0, 4.0], SIZE.map(|side| side as f32)),
        size: SIZE,
        palette: &[[200, 80, 40]; 8],
        selected: None,
    };
    let seconds = best_of(9, context, || {
        std::hint::black_box(DensityGrid::count(&cloud, view).colour(0));
        Ok(())
    })?;
    Ok(below(&format!("{points} points counted and coloured"), 1e3 * seconds, "ms", reach))
}

/// Milliseconds of a lasso of 200 corners over a million points.
fn fenced(context: &JobContext) -> Result<BenchRow> {
    let cloud = cloud(1_000_000);
    let corner = |i: usize| {
        let (angle, radius) = (i as f32 * 0.0314, 1.0 + 0.3 * (i as f32 * 0.7).sin());
        [radius * angle.cos(), radius * angle.sin()]
    };
    let outline: Vec<[f32; 2]> = (0..200).map(corner).collect();
    let seconds = best_of(9, context, || {
        std::hint::black_box(Lasso::new(outline.clone()).map(|lasso| lasso.select(&cloud)));
        Ok(())
    })?;
    Ok(below("lasso of 200 corners over 1,000,000 points", 1e3 * seconds, "ms", 10.0))
}

/// Milliseconds for the 20 exact neighbours of one vector.
fn found(points: usize, reach: f64, context: &JobContext) -> Result<BenchRow> {
    let mut rng = Rng::named(2, "bench neighbours");
    let values: Vec<f32> = (0..points * WIDTH).map(|_| rng.normal() as f32).collect();
    let points = Points::new(values, WIDTH, Metric::Cosine)?;
    let query = points.row(17).to_vec();
    let seconds = best_of(9, context, || {
        std::hint::black_box(nearest(&points, &query, 20, Some(17)));
        Ok(())
    })?;
    Ok(below(&format!("20 exact neighbours among {} x {WIDTH}", points.len()), 1e3 * seconds, "ms", reach))
}

/// Points on bent sheets.
fn sheets(rows: usize) -> Vec<f32> {
    let mut rng = Rng::named(3, "bench sheets");
    let mut normals = |count: usize, scale: f64| -> Vec<f32> {
        (0..count).map(|_| (scale * rng.normal()) as f32).collect()
    };
    let centres = normals(CENTRES * WIDTH, 1.0);
    let sheets = normals(CENTRES * SHEET * WIDTH, 0.5);
    let inside = normals(rows * SHEET, 1.0);
    let mut values = normals(rows * WIDTH, 0.2);
    for (row, (value, along)) in values.chunks_mut(WIDTH).zip(inside.chunks(SHEET)).enumerate() {
        let centre = row % CENTRES;
        for (column, value) in value.iter_mut().enumerate() {
            *value += centres[centre * WIDTH + column];
            for (axis, along) in along.iter().enumerate() {
                let bent = if column % 2 == 0 { *along } else { (2.0 * along).sin() };
                *value += bent * sheets[(centre * SHEET + axis) * WIDTH + column];
            }
        }
    }
    values
}

/// Seconds of a map and how far it can be trusted, beside the rival's.
fn maps(rows: usize, context: &JobContext) -> Result<Vec<BenchRow>> {
    let points = Points::new(sheets(rows), WIDTH, Metric::Euclidean)?;
    let folder = tempfile::tempdir().explain("cannot make a temporary folder")?;
    let python = super::rivals_python();
    write_points(&points, folder.path())?;
    let mut figures = Vec::new();
    for (id, module, name, most) in
        [("umap", "umap", "umap-learn", 1.5), ("tsne", "openTSNE", "openTSNE", 1.0)]
    {
        let Drawn { seconds, first, longest, places, notes } = drawn(id, &points, context)?;
        notes.iter().for_each(|note| Terminal::note(note));
        let title = find(id)?.title();
        let mut time = ours(&format!("{title} map of {rows} x {WIDTH}"), seconds, "s", None);
        let mut trust = ours(
            &format!("  its trustworthiness, {title}"),
            judged(&points, &places, context)?,
            "of 1",
            None,
        );
        if has(&python, module) {
            let (their_seconds, their_places) = rival(&python, folder.path(), id, rows)?;
            let their_trust = judged(&points, &their_places, context)?;
            time = BenchRow {
                rival: Some(name.to_owned()),
                rival_value: Some(their_seconds),
                ratio: Some(seconds / their_seconds),
                ..below(&time.work, seconds, "s", most * their_seconds)
            };
            trust = BenchRow {
                rival: Some(name.to_owned()),
                rival_value: Some(their_trust),
                ratio: Some(trust.ours / their_trust),
                reach: Some(their_trust),
                met: Some(trust.ours >= their_trust),
                ..trust
            };
        } else {
            Terminal::note(&format!("no {module}: run benches/rivals/setup.sh and set ADLOUPE_RIVALS"));
        }
        figures.extend([
            time,
            trust,
            below(&format!("  its first picture, {title}"), first, "s", 1.0),
            below(&format!("  longest wait for the next once it moves, {title}"), longest, "s", 0.5),
        ]);
    }
    Ok(figures)
}

/// A map and how long it took.
struct Drawn {
    seconds: f64,
    /// To the first picture.
    first: f64,
    /// The longest wait for the next picture once points move.
    longest: f64,
    places: Vec<[f32; 3]>,
    /// What the map says of itself: who walked, for one.
    notes: Vec<String>,
}

fn drawn(id: &str, points: &Points, context: &JobContext) -> Result<Drawn> {
    let method = find(id)?;
    let params = Params::defaults(method.params());
    let request = MapRequest { points, target: None, dimensions: 2, params: &params, seed: 1 };
    let begun = Instant::now();
    let (mut first, mut last, mut longest) = (None, None, Duration::ZERO);
    let mut show = |frame: crate::maps::Frame| {
        let now = Instant::now();
        first.get_or_insert(now - begun);
        if frame.done > 0 {
            if let Some(last) = last {
                longest = longest.max(now - last);
            }
            last = Some(now);
        }
        std::hint::black_box(frame);
    };
    let map = method.draw(&request, &mut show, context)?;
    let first = first.unwrap_or_else(|| begun.elapsed());
    Ok(Drawn {
        seconds: begun.elapsed().as_secs_f64(),
        first: first.as_secs_f64(),
        longest: longest.as_secs_f64(),
        places: map.places,
        notes: map.notes,
    })
}

fn judged(points: &Points, places: &[[f32; 3]], context: &JobContext) -> Result<f64> {
    let quality = Quality::measure(points, places, JUDGED, SAMPLE, 1, context)?;
    Ok(quality.map_or(f64::NAN, |quality| quality.trustworthiness.value))
}

fn has(python: &str, module: &str) -> bool {
    Command::new(python)
        .args(["-c", &format!("import {module}")])
        .output()
        .is_ok_and(|run| run.status.success())
}

fn write_points(points: &Points, folder: &Path) -> Result<()> {
    let what = "cannot write the rival's data";
    let bytes: Vec<u8> = points.values().iter().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(folder.join("points.f32"), bytes).explain(what)?;
    std::fs::write(folder.join("shape.txt"), format!("{} {}", points.len(), points.width())).explain(what)?;
    std::fs::write(folder.join("maps.py"), SCRIPT).explain(what)
}

/// Seconds of the rival, and its map.
fn rival(python: &str, folder: &Path, way: &str, rows: usize) -> Result<(f64, Vec<[f32; 3]>)> {
    let what = "cannot measure the rival";
    let run = Command::new(python).arg(folder.join("maps.py")).arg(folder).arg(way).output().explain(what)?;
    let text = String::from_utf8_lossy(&run.stdout);
    let line = text.lines().last().unwrap_or_default();
    let answer: serde_json::Value = serde_json::from_str(line).map_err(|_| {
        Failure::new(what, String::from_utf8_lossy(&run.stderr).lines().last().unwrap_or("it said nothing"))
    })?;
    let bytes = std::fs::read(folder.join("map.f32")).explain(what)?;
    let numbers: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let places: Vec<[f32; 3]> = numbers.as_chunks::<2>().0.iter().map(|[x, y]| [*x, *y, 0.0]).collect();
    if places.len() != rows {
        return Err(Failure::new(what, format!("its map has {} points of {rows}", places.len())));
    }
    Ok((answer["seconds"].as_f64().unwrap_or(f64::NAN), places))
}

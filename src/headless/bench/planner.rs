//! How long do the answers of the Evidence panel take? Estimators with their bootstrap, raking, a curve of budgets.

use super::trees::has;
use super::{BenchRow, market, ours};
use crate::base::rng::Rng;
use crate::base::{Failure, Result, failure::Explain};
use crate::headless::Terminal;
use crate::jobs::JobContext;
use crate::market::planner::{Lever, Planner};
use crate::metrics::off_policy::{self, Decisions, Estimator};
use crate::metrics::raking::{self, Margin};
use std::process::Command;
use std::time::Instant;

const SCRIPT: &str = include_str!("../../../benches/rivals/open_bandit.py");
const MILLION: usize = 1_000_000;

/// Every workload of the planner.
///
/// # Errors
/// A cancel.
pub fn planner(context: &JobContext) -> Result<Vec<BenchRow>> {
    let mut rows = vec![estimators(context)?, raked(context)?];
    rows.extend(open_bandit(context)?);
    rows.extend(budgets(context)?);
    Ok(rows)
}

/// All estimators with 1,000 draws of the bootstrap on a million decisions.
fn estimators(context: &JobContext) -> Result<BenchRow> {
    let mut rng = Rng::named(21, "planner");
    let mut list = |of: &dyn Fn(&mut Rng) -> f64| (0..MILLION).map(|_| of(&mut rng)).collect::<Vec<f64>>();
    let rewards = list(&|rng| f64::from(u8::from(rng.chance(0.02))));
    let logged = list(&|rng| 0.02 + 0.2 * rng.uniform());
    let target: Vec<f64> = logged.iter().map(|p| (p * 1.2).min(0.2)).collect();
    let predicted = list(&|rng| 0.04 * rng.uniform());
    let expected = list(&|rng| 0.04 * rng.uniform());
    let decisions = Decisions {
        rewards: &rewards,
        logged: &logged,
        target: &target,
        predicted: &predicted,
        expected: &expected,
        users: &[],
    };
    let seconds = least(3, context, || {
        off_policy::evaluate(&decisions).map_err(|why| Failure::new("cannot measure", why)).map(drop)
    })?;
    Ok(below("all off-policy estimators, 1,000 bootstrap draws, 1M decisions", seconds, 3.0))
}

/// The Open Bandit Pipeline on its own sample, and ours on the very same decisions; none where it is not installed.
fn open_bandit(context: &JobContext) -> Result<Option<BenchRow>> {
    let what = "cannot measure the Open Bandit Pipeline";
    let python = super::rivals_python();
    if !has(&python, "obp") {
        Terminal::note("no Open Bandit Pipeline: run benches/rivals/setup.sh and set ADLOUPE_RIVALS");
        return Ok(None);
    }
    context.check()?;
    let folder = tempfile::tempdir().explain("cannot make a temporary folder")?;
    let out = Command::new(&python).args(["-c", SCRIPT]).arg(folder.path()).output().explain(what)?;
    let told = String::from_utf8_lossy(&out.stdout);
    let theirs: serde_json::Value =
        serde_json::from_str(told.lines().last().unwrap_or_default()).map_err(|_| {
            let said = String::from_utf8_lossy(&out.stderr);
            Failure::new(what, said.lines().last().unwrap_or("it said nothing"))
        })?;
    let read = |name: &str| -> Result<Vec<f64>> {
        let bytes = std::fs::read(folder.path().join(name)).explain(what)?;
        Ok(bytes.as_chunks::<8>().0.iter().map(|number| f64::from_le_bytes(*number)).collect())
    };
    let [rewards, logged, target, predicted] =
        [read("rewards.bin")?, read("logged.bin")?, read("target.bin")?, read("predicted.bin")?];
    let decisions = Decisions {
        rewards: &rewards,
        logged: &logged,
        target: &target,
        predicted: &predicted,
        // A model that says the same everywhere says it of every policy.
        expected: &predicted,
        users: &[],
    };
    let mut ips = f64::NAN;
    let seconds = least(3, context, || {
        let told = off_policy::evaluate(&decisions).map_err(|why| Failure::new("cannot measure", why))?;
        ips = told.value(Estimator::Ips).map_or(f64::NAN, |value| value.normal.value);
        Ok(())
    })?;
    let number = |name: &str| theirs[name].as_f64().unwrap_or(f64::NAN);
    if (ips - number("ips")).abs() > 1e-9 {
        return Err(Failure::new(what, format!("its IPS is {} and ours {ips}", number("ips"))));
    }
    let work = "all off-policy estimators, 1,000 bootstrap draws, the Open Bandit sample of 10,000 decisions";
    Ok(Some(BenchRow {
        rival: Some("Open Bandit Pipeline 0.5.7 (five of our seven estimators)".to_owned()),
        rival_value: Some(number("seconds")),
        ratio: Some(seconds / number("seconds")),
        ..below(work, seconds, number("seconds") / 10.0)
    }))
}

/// A million users raked to five margins.
fn raked(context: &JobContext) -> Result<BenchRow> {
    let mut rng = Rng::named(5, "raking");
    let sizes = [2usize, 5, 8, 12, 30];
    let codes: Vec<Vec<u32>> =
        sizes.iter().map(|size| (0..MILLION).map(|_| rng.below(*size) as u32).collect()).collect();
    let shares: Vec<Vec<f64>> = sizes
        .iter()
        .map(|size| {
            let raw: Vec<f64> = (0..*size).map(|_| 0.2 + rng.uniform()).collect();
            let sum: f64 = raw.iter().sum();
            raw.into_iter().map(|share| share / sum).collect()
        })
        .collect();
    let margins: Vec<Margin<'_>> =
        codes.iter().zip(&shares).map(|(codes, shares)| Margin { codes, shares }).collect();
    let weights = vec![1.0; MILLION];
    let seconds = least(3, context, || {
        raking::rake(&weights, &margins).map_err(|(_, why)| Failure::new("cannot measure", why)).map(drop)
    })?;
    Ok(below("1M users raked to 5 margins", seconds, 1.0))
}

/// A curve of twenty budgets over a million requests each.
fn budgets(context: &JobContext) -> Result<[BenchRow; 2]> {
    let (mut spec, inputs) = market::sample_market(context)?;
    spec.requests = MILLION as u64;
    let planner = Planner::new(&spec, &inputs, None, context)?;
    let places = planner.places(Lever::Budget, 20)?;
    let begun = Instant::now();
    let first = std::sync::OnceLock::new();
    planner.curve_told(Lever::Budget, &places, &|_| {
        first.get_or_init(|| begun.elapsed().as_secs_f64());
    })?;
    let all = below("budget curve, 20 points over 1M requests", begun.elapsed().as_secs_f64(), 10.0);
    let first = first.get().copied().unwrap_or(f64::INFINITY);
    Ok([ours("  its first point", first, "s", None), all])
}

fn least(rounds: usize, context: &JobContext, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut least = f64::INFINITY;
    for _ in 0..rounds {
        context.check()?;
        let begun = Instant::now();
        work()?;
        least = least.min(begun.elapsed().as_secs_f64());
    }
    Ok(least)
}

fn below(work: &str, seconds: f64, reach: f64) -> BenchRow {
    BenchRow { met: Some(seconds <= reach), ..ours(work, seconds, "s", Some(reach)) }
}

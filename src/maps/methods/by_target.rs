//! A map with a meaning: its first axis is the direction along which a number of the points (their predicted click rate)
//! rises most, the second the direction across it in which they differ most.
//!
//! The direction is that of ridge regression, its penalty chosen by generalised cross-validation (Golub, Heath & Wahba
//! 1979), so the share of the number's variance that it is said to explain is that of points it has not seen.

use super::super::method::{Frame, MapMethod, MapRequest, MapState};
use super::super::pca::{self, Components};
use super::super::points::Points;
use super::pca::on_axes;
use crate::base::params::ParamSpec;
use crate::base::{Failure, Result};
use crate::jobs::JobContext;

/// The way.
#[derive(Debug)]
pub struct ByTarget;

impl MapMethod for ByTarget {
    fn id(&self) -> &'static str {
        "by_ctr"
    }

    fn title(&self) -> &'static str {
        "By predicted CTR"
    }

    fn summary(&self) -> &'static str {
        "To the right is where the model expects more clicks; upwards is what else differs most"
    }

    fn params(&self) -> &'static [ParamSpec] {
        &[]
    }

    fn needs_target(&self) -> bool {
        true
    }

    fn fewest(&self) -> usize {
        LEAST_KNOWN
    }

    fn make(
        &self,
        request: &MapRequest<'_>,
        _show: &mut dyn FnMut(Frame),
        context: &JobContext,
    ) -> Result<MapState> {
        context.stage("the direction of more clicks");
        let points = request.points;
        let target = request.target.ok_or_else(|| refuse("there are no predictions for these points"))?;
        let (direction, share) = steepest(points, target)?;
        context.check()?;
        let axes = with_rest(points, direction)?;
        let places = on_axes(&axes, points, request.dimensions);
        let note = format!(
            "the first axis explains {:.0} % of the variance of predicted log odds between points (cross-validated)",
            100.0 * share.max(0.0)
        );
        Ok(MapState { places, notes: vec![note], axes: Some(axes) })
    }
}

/// Points with a number that it takes.
const LEAST_KNOWN: usize = 8;

fn refuse(why: &str) -> Failure {
    Failure::new("cannot draw the map", why).hint("choose principal components")
}

/// The unit direction of ridge regression, and the share of the target's variance that it explains, cross-validated.
fn steepest(points: &Points, target: &[f32]) -> Result<(Vec<f64>, f64)> {
    let known: Vec<u32> = target
        .iter()
        .enumerate()
        .filter(|(place, value)| value.is_finite() && *place < points.len())
        .map(|(place, _)| place as u32)
        .collect();
    if known.len() < LEAST_KNOWN {
        return Err(refuse("fewer than 8 points have predictions"));
    }
    let some = points.subset(&known);
    let axes = pca::components(some.values(), points.width())?;
    let n = known.len();
    let mean = known.iter().map(|place| f64::from(target[*place as usize])).sum::<f64>() / n as f64;
    let y: Vec<f64> = known.iter().map(|place| f64::from(target[*place as usize]) - mean).collect();
    let total: f64 = y.iter().map(|y| y * y).sum();
    if total <= 1e-12 * n as f64 * mean * mean {
        return Err(refuse("the model predicts the same for all points"));
    }
    // Along the components regression is one number each.
    let count = axes.directions.len();
    let along = axes.project_all(some.values(), count);
    let (mut squares, mut products) = (vec![0.0; count], vec![0.0; count]);
    for (row, y) in along.chunks(count).zip(&y) {
        for ((z, square), product) in row.iter().zip(&mut squares).zip(&mut products) {
            *square += f64::from(*z).powi(2);
            *product += f64::from(*z) * y;
        }
    }
    let largest = squares.iter().copied().fold(0.0, f64::max);
    let judged = (0..=40).map(|step| {
        let penalty = largest * 10f64.powf(-8.0 + 0.25 * f64::from(step));
        (cross_validated(&squares, &products, total, n, penalty), penalty)
    });
    let (error, penalty) =
        judged.fold((f64::INFINITY, 0.0), |best, next| if next.0 < best.0 { next } else { best });
    let mut direction = vec![0.0; points.width()];
    for ((axis, square), product) in axes.directions.iter().zip(&squares).zip(&products) {
        let slope = product / (square + penalty);
        direction.iter_mut().zip(axis).for_each(|(to, from)| *to += slope * from);
    }
    let length = direction.iter().map(|v| v * v).sum::<f64>().sqrt();
    if length <= 0.0 {
        return Err(refuse("the predictions do not depend on where the points are"));
    }
    direction.iter_mut().for_each(|v| *v /= length);
    Ok((direction, 1.0 - error / (total / n as f64)))
}

/// Generalised cross-validation: the mean squared error over `(1 - degrees of freedom / n)^2`.
fn cross_validated(squares: &[f64], products: &[f64], total: f64, n: usize, penalty: f64) -> f64 {
    let (mut error, mut freedom) = (total, 1.0);
    for (square, product) in squares.iter().zip(products) {
        let slope = product / (square + penalty);
        error += slope * slope * square - 2.0 * slope * product;
        freedom += square / (square + penalty);
    }
    let left = 1.0 - freedom / n as f64;
    if left <= 0.0 { f64::INFINITY } else { error.max(0.0) / n as f64 / (left * left) }
}

/// The direction first, then the principal components of what is left without it.
fn with_rest(points: &Points, direction: Vec<f64>) -> Result<Components> {
    let width = points.width();
    let narrow: Vec<f32> = direction.iter().map(|v| *v as f32).collect();
    let mut rest = points.values().to_vec();
    for row in rest.chunks_exact_mut(width) {
        let along = super::super::points::dot(row, &narrow);
        row.iter_mut().zip(&narrow).for_each(|(value, direction)| *value -= along * direction);
    }
    // Points on one line have nothing beside it.
    let others = pca::components(&rest, width).unwrap_or_default();
    let whole = pca::components(points.values(), width)?;
    let directions = std::iter::once(direction).chain(others.directions).take(width.max(1)).collect();
    Ok(Components { mean: whole.mean, directions, explained: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::super::super::points::Metric;
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn a_planted_direction_is_found_across_that_of_most_variance() {
        let mut rng = Rng::named(2, "by target test");
        let (n, width) = (600, 12);
        // Most variance along column 3; the target rises along (column 5 + column 7) / sqrt 2.
        let values: Vec<f32> = (0..n * width)
            .map(|at| (rng.normal() * if at % width == 3 { 10.0 } else { 1.0 }) as f32)
            .collect();
        let target: Vec<f32> = values
            .chunks(width)
            .map(|row| 0.5 * (row[5] + row[7]) + 0.3 * rng.normal() as f32 - 3.0)
            .enumerate()
            .map(|(place, value)| if place % 10 == 0 { f32::NAN } else { value })
            .collect();
        let points = Points::new(values, width, Metric::Euclidean).unwrap();
        let (direction, share) = steepest(&points, &target).unwrap();
        assert!((direction[5] + direction[7]) / 2f64.sqrt() > 0.99, "{direction:?}");
        // Variance 0.5 of the slope against 0.09 of the noise.
        assert!((share - 0.5 / 0.59).abs() < 0.05, "{share}");
        let axes = with_rest(&points, direction).unwrap();
        assert!(axes.directions[1][3].abs() > 0.99);
    }

    #[test]
    fn noise_in_a_wide_table_is_not_sold_as_a_direction() {
        let mut rng = Rng::named(3, "by target noise");
        let values: Vec<f32> = (0..60 * 50).map(|_| rng.normal() as f32).collect();
        let target: Vec<f32> = (0..60).map(|_| rng.normal() as f32).collect();
        let points = Points::new(values, 50, Metric::Euclidean).unwrap();
        // Plain regression of 60 rows on 50 columns "explains" 85 %.
        let (_, share) = steepest(&points, &target).unwrap();
        assert!(share < 0.35, "{share}");
        assert!(steepest(&points, &[1.0; 60]).is_err());
        assert!(steepest(&points, &[f32::NAN; 60]).is_err());
    }
}

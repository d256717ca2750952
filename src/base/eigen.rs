//! Which directions does a symmetric matrix only stretch? Jacobi's rotations, for matrices of some hundred rows.

/// Cyclic Jacobi (Golub & Van Loan 8.5): leaves the eigenvalues on the diagonal of `a` and returns the
/// eigenvectors as columns. Quadratic convergence: ten sweeps are plenty for any symmetric matrix.
pub fn diagonalise(a: &mut [f64], n: usize) -> Vec<f64> {
    let mut vectors = vec![0.0; n * n];
    for i in 0..n {
        vectors[i * n + i] = 1.0;
    }
    for _sweep in 0..30 {
        let off: f64 =
            (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))).map(|(i, j)| a[i * n + j].powi(2)).sum();
        let size: f64 = (0..n).map(|i| a[i * n + i].powi(2)).sum();
        if off <= 1e-28 * size {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(a, &mut vectors, n, p, q);
            }
        }
    }
    vectors
}

/// One rotation in the plane of `p` and `q` that makes `a[p, q]` zero.
fn rotate(a: &mut [f64], vectors: &mut [f64], n: usize, p: usize, q: usize) {
    let apq = a[p * n + q];
    if apq == 0.0 {
        return;
    }
    let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * apq);
    let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
    let c = 1.0 / t.hypot(1.0);
    let s = t * c;
    let turn = |m: &mut [f64], i: usize, j: usize| {
        let (x, y) = (m[i], m[j]);
        m[i] = c * x - s * y;
        m[j] = s * x + c * y;
    };
    for k in 0..n {
        turn(a, k * n + p, k * n + q);
        turn(vectors, k * n + p, k * n + q);
    }
    for k in 0..n {
        turn(a, p * n + k, q * n + k);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_of_three_rows_is_taken_apart() {
        // Eigenvalues 1, 2 and 4 (characteristic polynomial (1 - x)(x^2 - 6x + 8)).
        let whole = [3.0, 1.0, 0.0, 1.0, 3.0, 0.0, 0.0, 0.0, 1.0];
        let mut a = whole;
        let vectors = diagonalise(&mut a, 3);
        let mut values: Vec<f64> = (0..3).map(|i| a[i * 4]).collect();
        for column in 0..3 {
            for row in 0..3 {
                let product: f64 = (0..3).map(|k| whole[row * 3 + k] * vectors[k * 3 + column]).sum();
                assert!((product - values[column] * vectors[row * 3 + column]).abs() < 1e-12);
            }
        }
        values.sort_by(f64::total_cmp);
        assert!(values.iter().zip([1.0, 2.0, 4.0]).all(|(found, wanted)| (found - wanted).abs() < 1e-12));
    }
}

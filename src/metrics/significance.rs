//! Is a difference more than chance? Tests of proportions, each with its formula and source.

/// Two-sided p-value of a standard normal `z`: `erfc(|z| / sqrt 2)`.
pub fn p_of_z(z: f64) -> f64 {
    erfc(z.abs() / std::f64::consts::SQRT_2).clamp(0.0, 1.0)
}

/// `p = 0.0086`, and `p < 0.0001` where more digits say nothing.
pub fn p_words(p: f64) -> String {
    if p < 0.0001 { "p < 0.0001".to_owned() } else { format!("p = {p:.4}") }
}

/// Difference of two proportions in pooled standard errors (Fleiss, Levin & Paik 2003, section 3.3); `None` when a
/// group is empty or all outcomes are the same.
pub fn z_of_two_proportions(successes: [f64; 2], trials: [f64; 2]) -> Option<f64> {
    let [first, second] = trials;
    if first <= 0.0 || second <= 0.0 {
        return None;
    }
    let pooled = (successes[0] + successes[1]) / (first + second);
    let variance = pooled * (1.0 - pooled) * (1.0 / first + 1.0 / second);
    (variance > 0.0).then(|| (successes[0] / first - successes[1] / second) / variance.sqrt())
}

/// Signed root of the likelihood-ratio statistic of two proportions, standard normal when they are equal (Wilks 1938):
/// `sign (p1 - p2) sqrt(2 sum O ln(O / E))` over the four cells. Unlike a difference in standard errors it keeps its
/// level far out in the tail with few successes. `None` when a group is empty or all outcomes are the same.
pub fn root_of_deviance(successes: [f64; 2], trials: [f64; 2]) -> Option<f64> {
    let (hits, all) = (successes[0] + successes[1], trials[0] + trials[1]);
    if trials[0] <= 0.0 || trials[1] <= 0.0 || hits <= 0.0 || hits >= all {
        return None;
    }
    let part = |observed: f64, expected: f64| {
        if observed > 0.0 { observed * (observed / expected).ln() } else { 0.0 }
    };
    let group = |successes: f64, trials: f64| {
        let expected = trials * hits / all;
        part(successes, expected) + part(trials - successes, trials - expected)
    };
    let deviance = 2.0 * (group(successes[0], trials[0]) + group(successes[1], trials[1]));
    let sign = (successes[0] / trials[0] - successes[1] / trials[1]).signum();
    Some(sign * deviance.max(0.0).sqrt())
}

/// Signed root of the likelihood-ratio statistic of two Poisson counts against what was expected of each, standard
/// normal when both have the same ratio of observed to expected: `2 sum O ln(O / (r E))` with the common ratio `r`
/// (Wilks 1938; for sums of rare events). `None` where nothing was expected of a group, or nothing observed at all.
pub fn root_of_ratio_deviance(observed: [f64; 2], expected: [f64; 2]) -> Option<f64> {
    let ratio = (observed[0] + observed[1]) / (expected[0] + expected[1]);
    if expected.iter().any(|e| *e <= 0.0) || !ratio.is_finite() || ratio <= 0.0 {
        return None;
    }
    let part = |place: usize| {
        let (seen, meant) = (observed[place], ratio * expected[place]);
        if seen > 0.0 { seen * (seen / meant).ln() } else { 0.0 }
    };
    let sign = (observed[0] / expected[0] - observed[1] / expected[1]).signum();
    Some(sign * (2.0 * (part(0) + part(1))).max(0.0).sqrt())
}

/// How far two groups are from equal chances, in standard errors: `(n1 - n2) / sqrt(n1 + n2)`.
pub fn z_of_even_split(first: f64, second: f64) -> f64 {
    if first + second > 0.0 { (first - second) / (first + second).sqrt() } else { 0.0 }
}

/// p-value of a chi-square with `freedom` degrees of freedom, by the cube-root transform of Wilson & Hilferty (1931),
/// which is within 0.001 for two and more degrees of freedom.
pub fn p_of_chi_square(chi_square: f64, freedom: usize) -> f64 {
    if freedom == 0 || chi_square <= 0.0 {
        return 1.0;
    }
    if freedom == 1 {
        return p_of_z(chi_square.sqrt());
    }
    let spread = 2.0 / (9.0 * freedom as f64);
    let z = ((chi_square / freedom as f64).cbrt() - (1.0 - spread)) / spread.sqrt();
    0.5 * erfc(z / std::f64::consts::SQRT_2)
}

/// The standard normal distribution function.
pub fn normal_cdf(z: f64) -> f64 {
    0.5 * erfc(-z / std::f64::consts::SQRT_2)
}

/// Complementary error function, relative error below 1.2e-7 (Press et al., Numerical Recipes, section 6.2).
fn erfc(x: f64) -> f64 {
    const TERMS: [f64; 9] = [
        0.170_872_77,
        -0.822_152_23,
        1.488_515_87,
        -1.135_203_98,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_68,
    ];
    let t = 1.0 / (1.0 + 0.5 * x.abs());
    let polynomial = TERMS.iter().fold(0.0, |sum, term| t * (term + sum));
    let tail = t * (-x * x - 1.265_512_23 + polynomial).exp();
    if x >= 0.0 { tail } else { 2.0 - tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_values_match_scipy() {
        // 2 * scipy.stats.norm.sf(z)
        for (z, p) in [(0.0, 1.0), (1.0, 0.317_310_5), (1.96, 0.049_995_8), (-2.63, 0.008_538_5)] {
            assert!((p_of_z(z) - p).abs() < 1e-6, "{z}: {}", p_of_z(z));
        }
        // scipy.stats.chi2.sf(x, k)
        for (x, k, p) in [(3.841_459, 1, 0.05), (5.991_465, 2, 0.05), (16.918_978, 9, 0.05)] {
            assert!((p_of_chi_square(x, k) - p).abs() < 2e-3, "{x} {k}: {}", p_of_chi_square(x, k));
        }
    }

    #[test]
    fn deviance_matches_scipy_and_keeps_its_level_in_the_tail() {
        // scipy.stats.chi2_contingency([[20, 80], [15, 185]], correction=False, lambda_="log-likelihood").statistic
        let root = root_of_deviance([20.0, 15.0], [100.0, 200.0]).unwrap();
        assert!((root * root - 9.50404).abs() < 1e-4, "{}", root * root);
        assert!((root_of_deviance([15.0, 20.0], [200.0, 100.0]).unwrap() + root).abs() < 1e-12);
        // 17 or more where 5 are expected: scipy.stats.poisson.sf(16, 5) = 1.99e-5, which 5.4 standard errors would
        // call 4e-8.
        let tail = root_of_deviance([17.0, 500_000.0], [1_000.0, 100_000_000.0]).unwrap();
        let one_sided = 0.5 * p_of_z(tail);
        assert!((0.5e-5..2.5e-5).contains(&one_sided), "{one_sided}");
        assert!(root_of_deviance([0.0, 0.0], [10.0, 10.0]).is_none());
    }

    #[test]
    fn proportions_match_statsmodels() {
        // statsmodels.stats.proportion.proportions_ztest([8502, 8279], [44700, 45489]) = 3.164
        let z = z_of_two_proportions([8_502.0, 8_279.0], [44_700.0, 45_489.0]).unwrap();
        assert!((z - 3.164).abs() < 5e-4, "{z}");
        assert!((z_of_even_split(44_700.0, 45_489.0) + 2.627).abs() < 5e-4);
        assert!(z_of_two_proportions([0.0, 0.0], [10.0, 10.0]).is_none());
    }
}

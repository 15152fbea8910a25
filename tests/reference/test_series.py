"""Models of one series by their joint normal distributions, written out, and plain sums over the parameter."""

from __future__ import annotations

import numpy as np
import pytest

from whence.stats.autoregressive import autocorrelations, autoregression
from whence.stats.local_level import local_level
from whence.stats.mixture import Mixture


def restricted(design, outcome, covariance):
    """Coefficients, their covariance given the scale, the scale, and the restricted log-likelihood with the scale and
    the coefficients integrated, from the covariance of the errors up to that scale."""
    n, k = design.shape
    inverse = np.linalg.inv(covariance)
    shape = np.linalg.inv(design.T @ inverse @ design)
    coefficients = shape @ design.T @ inverse @ outcome
    residual = outcome - design @ coefficients
    square = residual @ inverse @ residual
    log = -0.5 * (np.linalg.slogdet(covariance)[1] - np.linalg.slogdet(shape)[1] + (n - k) * np.log(square))
    return coefficients, shape, square / (n - k), log


def series(seed=0, n=30):
    rng = np.random.default_rng(seed)
    position = np.delete(np.arange(n + 3), [4, 5, 17])
    design = np.column_stack([np.ones(n), position / 10, position >= 20]).astype(float)
    return position, design, design @ [1, 2, 3] + np.cumsum(0.3 * rng.standard_normal(n)) + rng.standard_normal(n)


@pytest.mark.parametrize("seed", range(3))
def test_autoregression_is_generalised_least_squares_at_every_correlation(seed):
    position, design, outcome = series(seed)
    contrasts = np.array([[0.0, 0, 1], [1, 2, 0.5]])
    found = autoregression(design, outcome, position, contrasts)
    logs = []
    for g, rho in enumerate(found.correlation):
        made = rho ** np.abs(position[:, None] - position[None, :])
        coefficients, shape, scale, log = restricted(design, outcome, made)
        assert found.posterior.centres[g] == pytest.approx(contrasts @ coefficients, rel=1e-6, abs=1e-6)
        variances = np.diagonal(contrasts @ shape @ contrasts.T) * scale
        assert found.posterior.scales[g] ** 2 == pytest.approx(variances, rel=1e-5)
        logs.append(log)
    weights = np.exp(np.array(logs) - max(logs))
    assert found.posterior.weights == pytest.approx(weights / weights.sum(), abs=1e-8)
    assert found.posterior.df == 27
    # The rows' moves give the covariance of the contrasts at the likeliest correlation, up to the scale.
    best = int(np.argmax(logs))
    made = found.correlation[best] ** np.abs(position[:, None] - position[None, :])
    _, shape, scale, _ = restricted(design, outcome, made)
    assert found.rows.T @ found.rows == pytest.approx(contrasts @ shape @ contrasts.T, rel=1e-6)
    assert found.covariance == pytest.approx(shape * scale, rel=1e-6)


def test_without_correlation_it_is_least_squares():
    position, design, outcome = series(1)
    found = autoregression(design, outcome, position, np.eye(3))
    middle = len(found.correlation) // 2
    assert found.correlation[middle] == pytest.approx(0, abs=1e-12)
    assert found.posterior.centres[middle] == pytest.approx(np.linalg.lstsq(design, outcome, rcond=None)[0])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("columns", [0, 2])
def test_the_filter_is_the_joint_normal_distribution(seed, columns):
    """The level as a random walk with a flat start: a constant, and min(s, t) as its covariance."""
    position, design, outcome = series(seed)
    extra = design[:, 1:][:, :columns] + np.random.default_rng(seed).standard_normal((30, columns))
    before, h = 22, 8
    combinations = np.vstack([np.full(h, 1 / h), np.eye(h)[2]])
    found = local_level(extra[:before], outcome[:before], position[:before], extra[before:], position[before:],
                        combinations)
    logs = []
    with_constant = np.column_stack([np.ones(30), extra])
    for g, drift in enumerate(found.drift):
        walk = np.minimum.outer(position - position[0], position - position[0])
        made = (np.eye(30) + drift**2 * walk) / (1 + drift**2)
        early, cross, late = made[:before, :before], made[before:, :before], made[before:, before:]
        coefficients, shape, scale, log = restricted(with_constant[:before], outcome[:before], early)
        gain = cross @ np.linalg.inv(early)
        expected = with_constant[before:] @ coefficients + gain @ (outcome[:before] - with_constant[:before]
                                                                   @ coefficients)
        carried = with_constant[before:] - gain @ with_constant[:before]
        spread = late - gain @ cross.T + carried @ shape @ carried.T
        assert found.future.centres[g] == pytest.approx(combinations @ expected, rel=1e-5, abs=1e-5)
        variances = np.diagonal(combinations @ spread @ combinations.T) * scale
        assert found.future.scales[g] ** 2 == pytest.approx(variances, rel=1e-5)
        logs.append(log)
    weights = np.exp(np.array(logs) - max(logs))
    assert found.future.weights == pytest.approx(weights / weights.sum(), abs=1e-6)
    assert found.future.df == before - 1 - columns


def test_a_mixture_beside_draws_from_it():
    rng = np.random.default_rng(0)
    weights = np.array([0.2, 0.5, 0.3])
    centres, scales = rng.standard_normal((3, 2)), 0.5 + rng.random((3, 2))
    found = Mixture(weights, centres, scales, 6.0)
    at = rng.choice(3, 400_000, p=weights)
    drawn = centres[at] + scales[at] * rng.standard_t(6, (400_000, 1))
    assert found.mean == pytest.approx(drawn.mean(axis=0), abs=0.01)
    assert found.half_width(0.9) == pytest.approx(np.quantile(np.abs(drawn - found.mean), 0.9, axis=0), rel=0.01)


def test_autocorrelations_by_pairs():
    residuals, position = np.array([1.0, -2, 3, 0.5, -1]), np.array([0, 1, 2, 4, 5])
    total = (residuals**2).sum()
    assert autocorrelations(residuals, position, 3) == pytest.approx(
        [(1 * -2 + -2 * 3 + 0.5 * -1) / total, (1 * 3 + 3 * 0.5) / total, (-2 * 0.5 + 3 * -1) / total])


def test_the_filter_beside_statsmodels():
    """The same model with the variances fixed: the mean of the forecast, and its standard error given the scale."""
    components = pytest.importorskip("statsmodels.tsa.statespace.structural")
    rng = np.random.default_rng(2)
    outcome, extra = np.cumsum(0.3 * rng.standard_normal(36)) + rng.standard_normal(36), rng.standard_normal((36, 1))
    found = local_level(extra[:30], outcome[:30], np.arange(30), extra[30:], np.arange(30, 36), np.eye(6))
    point = 20
    noise = 1 / (1 + found.drift[point] ** 2)
    model = components.UnobservedComponents(outcome[:30], "llevel", exog=extra[:30], mle_regression=False,
                                            use_exact_diffuse=True)
    forecast = model.smooth([noise, 1 - noise]).get_forecast(6, exog=extra[30:])
    assert found.future.centres[point] == pytest.approx(forecast.predicted_mean, rel=1e-6, abs=1e-8)
    ours = found.future.scales[point] ** 2
    assert ours / ours[0] == pytest.approx(forecast.var_pred_mean / forecast.var_pred_mean[0], rel=1e-6)

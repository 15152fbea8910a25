"""Generalised linear models by Newton's method, with robust influence values.

Binary (or fractional) outcomes with a logit, probit or complementary log-log link; counts (or any outcome that is not
negative) with a log link. Each is the maximum of a concave quasi-log-likelihood that is right for the mean whatever the
variance; errors are robust. Separation and non-convergence come back as values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from whence.stats.regress import FULL_LEVERAGE

ITERATIONS = 50
CONVERGED = 1e-8  # largest change of a linear predictor by a full Newton step
ROUNDING = 1e-4  # a full step up to this that no longer improves the likelihood is rounding
SURE = 1e-5  # a fitted mean this close to an outcome at the edge of its range, still moving, means separation
LARGEST = 300.0  # linear predictors beyond this are cut, so that exponentials stay finite

# linear predictors (n,) -> mean, its first and its second derivative, (n,) each
Mean = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
# linear predictors and outcomes (n,) -> quasi-log-likelihood, its derivative, and minus its second derivative
Likelihood = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Family:
    """binary: outcomes lie between 0 and 1; else they are not negative and the mean is the exponential."""

    name: str
    binary: bool
    mean: Mean
    likelihood: Likelihood


@dataclass(frozen=True)
class GlmFit:
    """design: (n, k). coefficients: (k,). eta, mean: (n,). scores: (n,), weight times the derivative of the
    log-likelihood by the linear predictor. leverage: (n,). bread: (k, k), inverse of the observed information.
    dispersion: mean squared Pearson residual. problem: None, ``"separation"`` or ``"no_convergence"``; then nothing
    else has a meaning."""

    family: Family
    design: np.ndarray
    coefficients: np.ndarray
    eta: np.ndarray
    mean: np.ndarray
    scores: np.ndarray
    leverage: np.ndarray
    bread: np.ndarray
    log_likelihood: float
    dispersion: float
    iterations: int
    problem: str | None = None

    def influence(
        self, combination: np.ndarray, covariance: str = "HC3", clusters: np.ndarray | None = None
    ) -> np.ndarray:
        """Influence values (n, m) of ``combination @ coefficients`` (m, k), small-sample factors as in least squares.

        Independent rows: HC0; HC1, n / (n - k); HC2 and HC3, the leverage of the last weighted least-squares step. With
        clusters CR1.
        """
        n, k = self.design.shape
        if clusters is not None:
            groups = len(np.unique(clusters))
            scores = self.scores * np.sqrt(groups / (groups - 1) * (n - 1) / (n - k))
        elif covariance in ("HC0", "HC1"):
            scores = self.scores * (np.sqrt(n / (n - k)) if covariance == "HC1" else 1.0)
        else:
            room = np.where(self.leverage < FULL_LEVERAGE, 1 - self.leverage, 1.0)
            scores = np.where(self.leverage < FULL_LEVERAGE, self.scores, 0.0)
            scores = scores / (np.sqrt(room) if covariance == "HC2" else room)
        return n * (self.design @ (self.bread @ combination.T)) * scores[:, None]


def glm(design: np.ndarray, outcome: np.ndarray, family: Family, weights: np.ndarray | None = None) -> GlmFit:
    """Maximum quasi-likelihood of ``outcome`` (n,) on ``design`` (n, k) of full column rank, intercept included.

    Newton steps with halving. Under separation the maximum lies at infinity: linear predictors move for ever, and some
    outcomes at the edge of their range are met exactly, which is how it is recognised (Albert and Anderson 1984; for
    counts Santos Silva and Tenreyro 2010).
    """
    n, k = design.shape
    w = np.ones(n) if weights is None else weights
    beta, eta = np.zeros(k), np.zeros(n)
    if not family.binary and outcome.any():  # from zero, outcomes in the millions are out of reach of Newton's steps
        beta = np.linalg.lstsq(design, np.full(n, np.log(np.average(outcome, weights=w))), rcond=None)[0]
        eta = np.clip(design @ beta, -LARGEST, LARGEST)
    value, moved, iteration = float(w @ family.likelihood(eta, outcome)[0]), np.inf, 0
    while moved > CONVERGED and iteration < ITERATIONS:
        iteration += 1
        _, first, curve = family.likelihood(eta, outcome)
        step = _solve(design.T @ (design * (w * curve)[:, None]), design.T @ (w * first))
        if step is None:
            break
        size, trial, trial_eta, trial_value = 1.0, beta, eta, -np.inf
        while size > 1e-6:
            trial = beta + size * step
            trial_eta = np.clip(design @ trial, -LARGEST, LARGEST)
            trial_value = float(w @ family.likelihood(trial_eta, outcome)[0])
            if trial_value >= value - 1e-12 * abs(value):
                break
            size /= 2
        moved = float(np.abs(design @ step).max())
        if size <= 1e-6:  # no part of the step improves
            moved = 0.0 if moved < ROUNDING else moved
            break
        beta, eta, value = trial, trial_eta, trial_value
    return _finished(design, outcome, family, w, beta, eta, value, iteration, moved)


def _finished(
    design: np.ndarray, outcome: np.ndarray, family: Family, w: np.ndarray, beta: np.ndarray, eta: np.ndarray,
    value: float, iteration: int, moved: float,
) -> GlmFit:
    n, k = design.shape
    mean = family.mean(eta)[0]
    _, first, curve = family.likelihood(eta, outcome)
    edge = (outcome == 0) | (outcome == 1) if family.binary else outcome == 0
    problem = None
    if moved > CONVERGED:
        problem = "separation" if (np.abs(outcome - mean)[edge] < SURE).any() else "no_convergence"
    bread, leverage = np.zeros((k, k)), np.zeros(n)
    if problem is None:
        bread = np.linalg.inv(design.T @ (design * (w * curve)[:, None]))
        leverage = np.einsum("ij,ij->i", design @ bread, design) * w * curve
    variance = mean * (1 - mean) if family.binary else mean
    pearson = float(w @ ((outcome - mean) ** 2 / np.maximum(variance, 1e-300))) / max(n - k, 1) if not problem else 0.0
    return GlmFit(family, design, beta, eta, mean, w * first, leverage, bread, value, pearson, iteration, problem)


def _solve(information: np.ndarray, gradient: np.ndarray) -> np.ndarray | None:
    try:
        step = np.linalg.solve(information, gradient)
    except np.linalg.LinAlgError:
        return None
    return step if np.isfinite(step).all() else None


def _expit(eta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    small = np.exp(-np.abs(eta))
    p = np.where(eta >= 0, 1.0, small) / (1 + small)
    slope = small / (1 + small) ** 2
    return p, slope, slope * (1 - 2 * p)


def _logit(eta: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    p, slope, _ = _expit(eta)
    return y * eta - np.logaddexp(0.0, eta), y - p, slope


def _normal(eta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from scipy.special import ndtr

    density = np.exp(-(eta**2) / 2) / np.sqrt(2 * np.pi)
    return ndtr(eta), density, -eta * density


def _probit(eta: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from scipy.special import log_ndtr

    above, below = log_ndtr(eta), log_ndtr(-eta)
    density = -(eta**2) / 2 - 0.5 * np.log(2 * np.pi)
    one, zero = np.exp(density - above), np.exp(density - below)  # inverse Mills ratios
    curve = y * one * (one + eta) + (1 - y) * zero * (zero - eta)
    return y * above + (1 - y) * below, y * one - (1 - y) * zero, np.maximum(curve, 0.0)


def _gompertz(eta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    hazard = np.exp(eta)
    slope = np.exp(eta - hazard)
    return -np.expm1(-hazard), slope, slope * (1 - hazard)


def _cloglog(eta: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    hazard = np.exp(eta)
    tame = np.clip(hazard, 1e-130, 500.0)
    ratio = np.where(hazard > 500, 0.0, np.where(hazard < 1e-130, 1.0, tame / np.expm1(tame)))
    log_one = np.where(hazard > 1e-130, np.log(-np.expm1(-tame)), eta)
    curve = (1 - y) * hazard + y * ratio * np.maximum(hazard + ratio - 1, 0.0)
    return y * log_one - (1 - y) * hazard, y * ratio - (1 - y) * hazard, curve


def _exponential(eta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    mean = np.exp(eta)
    return mean, mean, mean


def _poisson(eta: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    mean = np.exp(eta)
    return y * eta - mean, y - mean, mean


FAMILIES = {f.name: f for f in (
    Family("logit", True, _expit, _logit), Family("probit", True, _normal, _probit),
    Family("cloglog", True, _gompertz, _cloglog), Family("poisson", False, _exponential, _poisson),
)}

"""A classifier made fair on a network: decisions that would hardly change if everybody's sensitive trait did.

Neighbours' traits reach a row's features, so the question is what happens when everybody's is set, not one row's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whence.core.errors import WhenceError
from whence.core.result import Refused
from whence.core.rng import generator
from whence.data.network import Network
from whence.stats.regress import ols

PENALTIES = (0.0, *np.geomspace(0.1, 1e6, 29).tolist())
RIDGE = 1e-3
DRAWS = 100  # of the bootstrap
MOVED = 9.21  # of a chi-squared with 2 degrees of freedom: a feature whose models show less than this does not move
LEARNED = 0.7  # share of the rows that the classifier is learned from
MARGIN = 0.1  # of the gap allowed that may be used where the classifier is learned; models of features err too


@dataclass(frozen=True)
class FairClassifier:
    """coefficients: intercept, then of the standardised inputs (features, then the row's own trait and the share of its
    neighbours with it, if it may see them). gap: how much the share of positive decisions would change between
    everybody with and nobody with the trait, on rows it was not learned from, judged by a model of their own;
    gap_error: its standard error, by the bootstrap, that model's included. accuracy: on the same rows. free_gap,
    free_accuracy: of the same classifier without the penalty. penalty: on the squared gap of chances."""

    coefficients: np.ndarray
    gap: float
    gap_error: float
    accuracy: float
    free_gap: float
    free_accuracy: float
    penalty: float
    centre: np.ndarray
    scale: np.ndarray
    sees_trait: bool

    def chances(self, features: np.ndarray, sensitive: np.ndarray, network: Network) -> np.ndarray:
        """Chance (n,) of a positive outcome for features (n, p) and traits (n,) of the rows of a network."""
        share = _share(network, sensitive)
        inputs = _inputs(features, sensitive, share, self.sees_trait)
        return _logistic(_standard(inputs, self.centre, self.scale) @ self.coefficients)


def fair_classifier(
    features: np.ndarray, sensitive: np.ndarray, outcome: np.ndarray, network: Network, *, gap: float = 0.05,
    sees_trait: bool = True, seed: int = 0,
) -> FairClassifier | Refused:
    """A logistic classifier whose decisions would hardly change if the trait were set for the whole network.

    features: float (n, p), numbers. sensitive, outcome: (n,), 0 or 1. gap: the largest change allowed in the share of
    positive decisions. sees_trait: whether the classifier may use the row's own trait and its neighbours'; without
    them it can only turn away from features that the trait moves.

    Every feature is taken to be linear in own trait, share of neighbours with it and the (log) degree, plus a part of
    the row's own that stays when the trait is set (abduction, action, prediction). Where the classifier is learned,
    features that show no sign of being moved (p above 1 %) are taken not to be. The loss is the cross-entropy plus a
    penalty on the squared gap of the mean chances; the smallest penalty is taken that keeps the gaps, of chances and of
    decisions, within a tenth of the limit, which leaves the rest to errors of the features' models. Learned on 70 % of
    the rows (drawn by ``seed``); judged on the others, by models of the features fitted on these alone. After
    "causally fair node classification" on network structural causal models (arXiv 2505.01652), with linear mechanisms.

    Refused: ``gap_not_reached``, ``trait_constant``, ``outcome_constant``. Raises ``WhenceError``: ``bad_input``.
    """
    x, s, y = np.asarray(features, dtype=float), np.asarray(sensitive, dtype=float), np.asarray(outcome, dtype=float)
    _check(x, s, y, network, gap)
    learned = generator(seed, "fair classifier").permutation(len(y)) < LEARNED * len(y)
    for name, values in (("trait", s), ("outcome", y)):
        if min(np.ptp(values[learned]), np.ptp(values[~learned])) == 0:
            return Refused(f"{name}_constant", f"The {name} does not vary.", {"rows": len(y)}, "More rows are needed.")
    share = _share(network, s)
    inputs = _inputs(x, s, share, sees_trait)
    centre, scale = inputs[learned].mean(axis=0), inputs[learned].std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    design = np.column_stack([np.ones(len(s)), s, share, network.degree, np.log1p(network.degree)])

    def ends(slopes: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The inputs of some rows when everybody has the trait, and when nobody does."""
        one, none = (_standard(_inputs(*_set_for_all(x, s, share, network, slopes, to), sees_trait), centre,
                               scale)[rows] for to in (1.0, 0.0))
        return one, none

    def judged(rows: np.ndarray) -> float:
        ones, zeros = ends(_slopes(design, x, rows), rows)
        return float((ones @ beta > 0).mean() - (zeros @ beta > 0).mean())

    standard = _standard(inputs, centre, scale)
    both = ends(_slopes(design, x, np.arange(len(y)), MOVED), learned)
    rest, test = np.flatnonzero(~learned), (standard[~learned], y[~learned])
    beta, free = np.zeros(inputs.shape[1] + 1), (0.0, 0.0)
    for penalty in PENALTIES:
        beta = _fitted(beta, penalty, standard[learned], *both, y[learned])
        if penalty == 0:
            free = abs(judged(rest)), _accuracy(beta, *test)
        if max(_gap(beta, *both), _chance_gap(beta, *both)) <= MARGIN * gap:
            rng = generator(seed, "fair classifier, bootstrap")
            draws = [judged(rng.choice(rest, len(rest))) for _ in range(DRAWS)]
            return FairClassifier(beta, abs(judged(rest)), float(np.std(draws)), _accuracy(beta, *test), free[0],
                                  free[1], penalty, centre, scale, sees_trait)
    return Refused("gap_not_reached", f"No penalty brings the gap to {gap:g}.", {"gap": gap},
                   "Allow a larger gap, or let the classifier see the trait.")


def _check(x: np.ndarray, s: np.ndarray, y: np.ndarray, network: Network, gap: float) -> None:
    fits = x.ndim == 2 and s.shape == y.shape == (network.n,) == (len(x),) and np.isfinite(x).all()
    if not (fits and np.isin(s, (0, 1)).all() and np.isin(y, (0, 1)).all() and 0 < gap < 1):
        raise WhenceError("Features must be finite numbers (n, p), trait and outcome 0 or 1, one of each for every row "
                          "of the network, and the gap between 0 and 1.", code="bad_input",
                          value={"features": x.shape, "trait": s.shape, "outcome": y.shape, "gap": gap})


def _share(network: Network, s: np.ndarray) -> np.ndarray:
    return network.sums(np.asarray(s, dtype=float)) / np.maximum(network.degree, 1)


def _inputs(x: np.ndarray, s: np.ndarray, share: np.ndarray, sees_trait: bool) -> np.ndarray:
    return np.column_stack([x, s, share]) if sees_trait else x


def _standard(inputs: np.ndarray, centre: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return np.column_stack([np.ones(len(inputs)), (inputs - centre) / scale])


def _slopes(design: np.ndarray, x: np.ndarray, rows: np.ndarray, least: float = 0.0) -> np.ndarray:
    """(2, p): what own trait and neighbours' share do to each feature; 0 where a Wald statistic is below ``least``."""
    found = []
    for column in x.T:
        fit = ols(design[rows], column[rows])
        both = fit.coefficients[1:3]
        spread = fit.bread[1:3, 1:3] * (fit.residuals @ fit.residuals) / max(fit.df, 1)
        shown = both @ np.linalg.pinv(spread, hermitian=True) @ both >= least
        found.append(both if shown else np.zeros(2))
    return np.column_stack(found)


def _set_for_all(
    x: np.ndarray, s: np.ndarray, share: np.ndarray, network: Network, slopes: np.ndarray, to: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, trait and share when everybody's trait is ``to``."""
    all_to, share_to = np.full(len(s), to), np.where(network.degree > 0, to, 0.0)
    return x + np.column_stack([all_to - s, share_to - share]) @ slopes, all_to, share_to


def _fitted(
    start: np.ndarray, penalty: float, inputs: np.ndarray, ones: np.ndarray, zeros: np.ndarray, y: np.ndarray
) -> np.ndarray:
    from scipy.optimize import minimize

    def loss(beta: np.ndarray) -> tuple[float, np.ndarray]:
        eta = inputs @ beta
        p, p1, p0 = _logistic(eta), _logistic(ones @ beta), _logistic(zeros @ beta)
        apart = p1.mean() - p0.mean()
        slope = (ones.T @ (p1 * (1 - p1)) - zeros.T @ (p0 * (1 - p0))) / len(y)
        value = float(np.mean(np.logaddexp(0, eta) - y * eta) + penalty * apart**2 + RIDGE / 2 * beta[1:] @ beta[1:])
        shrunk = RIDGE * np.append(0.0, beta[1:])
        return value, inputs.T @ (p - y) / len(y) + 2 * penalty * apart * slope + shrunk

    return minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500}).x


def _logistic(eta: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(eta, -500, 500)))


def _gap(beta: np.ndarray, ones: np.ndarray, zeros: np.ndarray) -> float:
    """How far the shares of positive decisions are apart."""
    return float(abs((ones @ beta > 0).mean() - (zeros @ beta > 0).mean()))


def _chance_gap(beta: np.ndarray, ones: np.ndarray, zeros: np.ndarray) -> float:
    return float(abs(_logistic(ones @ beta).mean() - _logistic(zeros @ beta).mean()))


def _accuracy(beta: np.ndarray, inputs: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean((inputs @ beta > 0) == y))

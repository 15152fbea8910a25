"""The wild cluster bootstrap with the null hypothesis imposed, from sums by cluster: no regression is fitted again."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from whence.stats.cluster_robust import adjustment

FEW = 12  # clusters; with no more, Rademacher signs give too few different draws
SIX = np.concatenate([-np.sqrt([0.5, 1.0, 1.5]), np.sqrt([0.5, 1.0, 1.5])])  # Webb's
BATCH = 2_000_000  # signs held at once
DOUBLINGS, HALVINGS = 20, 50  # of the search for an end of the interval; beyond a million errors it has none


@dataclass(frozen=True)
class WildCluster:
    """p_value: of no effect. interval: the effects that are not rejected at 1 - level; None when no effect, however
    large, is rejected on one of the sides. draws: of the signs; all there are when ``complete``. weights: rademacher or
    webb."""

    p_value: float
    interval: tuple[float, float] | None
    draws: int
    complete: bool
    weights: str


@dataclass(frozen=True)
class _Statistic:
    """|t| of the draws under the null effect estimate - shift, and of the data: numerator and denominator of each draw
    are a line and a parabola in the shift."""

    fixed: np.ndarray
    slope: np.ndarray
    square: tuple[np.ndarray, np.ndarray, np.ndarray]
    error: float
    complete: bool

    def p_value(self, shift: float) -> float:
        """Share of draws at least as far out as the data; a draw equal to the data up to rounding counts."""
        a, b, c = self.square
        below = np.sqrt(np.maximum(a + shift * b + shift * shift * c, 0.0))
        beyond = np.abs(self.fixed + shift * self.slope) * self.error >= abs(shift) * below * (1 - 1e-8)
        return float(beyond.mean()) if self.complete else float((1 + beyond.sum()) / (1 + len(beyond)))


def wild_cluster(
    q: np.ndarray, direction: np.ndarray, residuals: np.ndarray, clusters: np.ndarray, estimate: float, level: float,
    draws: int, rng: np.random.Generator,
) -> WildCluster:
    """Restricted wild cluster bootstrap of one least-squares estimate ``direction' y``.

    q: (n, k), orthonormal basis of the design. direction: (n,), in its span. residuals: (n,), of the full model. All
    rows times the root of their weights. Signs: Rademacher, or Webb's six values for up to 12 clusters; every
    combination when there are no more than ``draws``. The statistic is t with CR1 errors (Cameron, Gelbach and Miller
    2008), drawn from residuals that allow for what each cluster does to the fit (WCR-S of MacKinnon, Nielsen and Webb
    2023, whose algebra keeps everything but one pass to sums by cluster). The interval inverts the test (Roodman et al.
    2019).
    """
    _, code = np.unique(clusters, return_inverse=True)
    groups = int(code.max()) + 1
    signs = signs_for(groups, draws, rng)
    statistic = _statistic(q, direction, residuals, code, groups, signs.batches, signs.complete)
    low, high = (end(lambda shift, side=side: statistic.p_value(side * shift), statistic.error, 1 - level)
                 for side in (1, -1))
    if signs.smallest >= 1 - level:
        low = None
    interval = None if low is None or high is None else (estimate - low, estimate + high)
    return WildCluster(max(statistic.p_value(estimate), signs.smallest), interval, len(statistic.fixed), signs.complete,
                       signs.weights)


@dataclass(frozen=True)
class Signs:
    """batches: arrays (G, some) of the clusters' signs. complete: every combination once. smallest: signs that are all
    alike only scale the data, so no p-value means less than this, their share."""

    batches: Iterable[np.ndarray]
    complete: bool
    weights: str
    smallest: float


def signs_for(groups: int, draws: int, rng: np.random.Generator) -> Signs:
    """Rademacher signs, or Webb's six values for up to 12 clusters; every combination when no more than ``draws``."""
    values, weights = (np.array([-1.0, 1.0]), "rademacher") if groups > FEW else (SIX, "webb")
    complete = len(values) ** groups <= draws
    batches = _all(values, groups) if complete else _drawn(values, groups, draws, rng)
    return Signs(batches, complete, weights, float(len(values)) ** (1 - groups))


def _all(values: np.ndarray, groups: int) -> Iterator[np.ndarray]:
    yield np.array(list(itertools.product(values, repeat=groups))).T


def _drawn(values: np.ndarray, groups: int, draws: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """(G, some) at a time."""
    most = max(1, BATCH // groups)
    for start in range(0, draws, most):
        yield values[rng.integers(len(values), size=(groups, min(most, draws - start)))]


def _statistic(
    q: np.ndarray, direction: np.ndarray, residuals: np.ndarray, code: np.ndarray, groups: int,
    signs: Iterable[np.ndarray], complete: bool,
) -> _Statistic:
    along = direction / (direction @ direction)  # what one more unit of the estimate adds to restricted residuals
    own_error = sums_by((direction * residuals)[:, None], code, groups)
    loading = sums_by(direction[:, None] * q, code, groups)  # (G, k): a_g' Q_g
    drawn_from = _restricted(q, direction, np.column_stack([residuals, along]), code)
    own = sums_by(direction[:, None] * drawn_from, code, groups)  # (G, 2): a_g' e_g
    fitted = [sums_by(q * rest[:, None], code, groups) for rest in drawn_from.T]  # (G, k): Q_g' e_g
    found = []
    for v in signs:
        drawn = [own[:, [j]] * v for j in (0, 1)]
        d0, d1 = (drawn[j] - loading @ (fitted[j].T @ v) for j in (0, 1))
        found.append((drawn[0].sum(axis=0), drawn[1].sum(axis=0), (d0 * d0).sum(axis=0), 2 * (d0 * d1).sum(axis=0),
                      (d1 * d1).sum(axis=0)))
    fixed, slope, *square = (np.concatenate(parts) for parts in zip(*found, strict=True))
    error = float(np.sqrt((own_error**2).sum()))
    return _Statistic(fixed, slope, (square[0], square[1], square[2]), error, complete)


def sums_by(columns: np.ndarray, code: np.ndarray, groups: int) -> np.ndarray:
    """(G, m) sums of columns (n, m) by cluster, ``code`` int (n,)."""
    return np.column_stack([np.bincount(code, column, groups) for column in columns.T])


def _restricted(q: np.ndarray, direction: np.ndarray, residuals: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Restricted residuals (n, m), each cluster's times the inverse of its block of I - H of the restricted model: the
    residuals that the other clusters leave it (WCR-S of MacKinnon, Nielsen and Webb 2023)."""
    across = q.T @ direction
    rest = np.linalg.qr(np.column_stack([across, np.eye(len(across))]))[0][:, 1:]
    basis = q @ rest
    order = np.argsort(code, kind="stable")
    out = np.empty_like(residuals)
    for rows in np.split(order, np.searchsorted(code[order], np.arange(1, int(code.max()) + 1))):
        out[rows] = adjustment(basis[rows], lambda mu: 1 / mu)[0](residuals[rows])
    return out


def end(p_value: Callable[[float], float], error: float, alpha: float, halvings: int = HALVINGS) -> float | None:
    """How far from the estimate the null must go to be rejected; None if it never is. error: that of the estimate."""
    step = 2 * error
    if step == 0:
        return 0.0
    inside, outside = 0.0, step
    for _ in range(DOUBLINGS):
        if p_value(outside) < alpha:
            break
        inside, outside = outside, 2 * outside
    else:
        return None
    for _ in range(halvings):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if p_value(middle) >= alpha else (inside, middle)
    return outside

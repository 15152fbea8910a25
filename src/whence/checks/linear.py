"""The regression of an outcome on a treatment and its controls, with groups of controls left out.

All numbers come from one QR factorisation of the controls: leaving columns out is a small least-squares
problem on its triangular factor, never a new pass over the rows (Frisch-Waugh-Lovell).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from whence.core.errors import WhenceError
from whence.stats.regress import FULL_LEVERAGE, cluster_sums, kept_columns

# Below this share of its own variance, what the controls leave of a treatment is rounding error.
NOTHING_LEFT = 1e-10


@dataclass(frozen=True)
class Regressions:
    """The full regression (entry 0) and the one without group g (entry g + 1).

    estimate: coefficient of the treatment. standard_error: robust to unequal variances (HC3), or to
    clusters (CR1). treatment_rss: residual sum of squares of the treatment given the controls.
    outcome_rss: of the outcome given treatment and controls. freedom: rows less coefficients. Shape (G + 1,).
    """

    estimate: np.ndarray
    standard_error: np.ndarray
    treatment_rss: np.ndarray
    outcome_rss: np.ndarray
    freedom: np.ndarray

    @property
    def classical_error(self) -> np.ndarray:
        """Standard error under equal variances, the one the partial R2 of Cinelli and Hazlett goes with."""
        return np.sqrt(self.outcome_rss / self.freedom / self.treatment_rss)


def centred(columns: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Columns (n, k) less their weighted means, times the root of the weights: the intercept is partialled out."""
    if weights is None:
        return columns - columns.mean(axis=0)
    return (columns - weights @ columns / weights.sum()) * np.sqrt(weights)[:, None]


def basis(controls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal Q (n, r) and R (r, k) with ``Q @ R`` the centred controls; redundant ones add nothing to Q."""
    q, _ = np.linalg.qr(controls[:, kept_columns(controls)])
    return q, q.T @ controls


def without_groups(
    outcome: np.ndarray,
    treatment: np.ndarray,
    controls: np.ndarray,
    groups: Sequence[np.ndarray],
    weights: np.ndarray | None = None,
    clusters: np.ndarray | None = None,
) -> Regressions:
    """Regress the outcome on treatment and controls, then leave out each group of control columns in turn.

    outcome, treatment: (n,). controls: (n, k) without a constant. groups: column positions, one array a
    group. weights: (n,) positive, or None. clusters: (n,) codes, or None.
    Raises ``WhenceError``: ``no_variation`` when the controls leave nothing of the treatment,
    ``too_few_rows``.
    """
    x = centred(controls, weights)
    both = centred(np.column_stack([treatment, outcome]), weights)
    q, r = basis(x)
    seen = q.T @ both
    inside, ranks = [np.zeros_like(seen)], [len(r)]
    for group in groups:
        missed, rank = _missed(np.delete(r, group, axis=1), seen)
        inside.append(missed)
        ranks.append(rank)
    base = both - q @ seen
    stacked = np.stack(inside)  # (G + 1, r, 2): what comes back into the residuals when a group is left out
    d = base[:, :1] + q @ stacked[:, :, 0].T
    y = base[:, 1:] + q @ stacked[:, :, 1].T
    freedom = len(outcome) - np.array(ranks) - 2
    return regress_each(d, y, float(both[:, 0] @ both[:, 0]), freedom, leverage(q, weights), clusters)


def leverage(q: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Leverage (n,) of the rows in the regression on a constant and the controls with basis ``q``."""
    n = len(q)
    return np.einsum("ij,ij->i", q, q) + (1 / n if weights is None else weights / weights.sum())


def _missed(r: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, int]:
    """What columns ``r`` cannot explain of ``seen`` (r, 2), and their rank."""
    if r.shape[1] == 0 or r.shape[0] == 0:
        return seen, 0
    from scipy.linalg import lstsq

    size = np.linalg.norm(r, axis=0)
    scaled = r / np.where(size > 0, size, 1.0)
    solution, _, rank, _ = lstsq(scaled, seen, cond=1e-9, lapack_driver="gelsy")  # pyright: ignore
    return seen - scaled @ solution, int(rank)


def regress_each(
    d: np.ndarray, y: np.ndarray, total: float, freedom: np.ndarray, base: np.ndarray,
    clusters: np.ndarray | None,
) -> Regressions:
    """Slopes of residual outcomes on residual treatments, column by column.

    d: (n, m). y: (n, m) or (n, 1). total: sum of squares of the treatment before the controls.
    freedom: (m,). base: (n,), leverage of the controls; where some are left out it is still that of all,
    which errs on the wide side. Sandwich errors HC3 (MacKinnon and White 1985), or CR1 with clusters (Liang
    and Zeger 1986).
    """
    dd = np.einsum("ij,ij->j", d, d)
    if (dd <= NOTHING_LEFT * max(total, 1e-300)).any():
        raise WhenceError(
            "The controls explain the treatment completely; a regression on both says nothing.",
            code="no_variation", hint="Leave out the control that equals the treatment.",
        )
    if (freedom <= 0).any():
        raise WhenceError(
            f"A regression with {len(d)} rows has no row to spare after its coefficients.",
            code="too_few_rows", value=len(d), hint="Use more rows or fewer controls.",
        )
    estimate = np.einsum("ij,ij->j", d, np.broadcast_to(y, d.shape)) / dd
    residual = y - d * estimate
    rss = np.einsum("ij,ij->j", residual, residual)
    score = np.multiply(d, residual, out=residual)
    if clusters is None:
        room = 1 - base[:, None] - d * d / dd
        score = np.where(room > 1 - FULL_LEVERAGE, score / np.maximum(room, 1 - FULL_LEVERAGE), 0.0)
        meat = np.einsum("ij,ij->j", score, score)
    else:
        sums = cluster_sums(score, clusters)
        m = len(sums)
        meat = np.einsum("ij,ij->j", sums, sums) * (m / max(m - 1, 1)) * ((len(d) - 1) / freedom)
    return Regressions(estimate, np.sqrt(meat) / dd, dd, rss, freedom)

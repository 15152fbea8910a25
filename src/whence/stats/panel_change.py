"""The effect on the treated from changes over time, doubly robust: the two-period building block."""

from __future__ import annotations

import numpy as np

from whence.stats.logit import logit


def changes(
    change: np.ndarray, treated: np.ndarray, controls: np.ndarray, weights: np.ndarray
) -> tuple[float, np.ndarray] | None:
    """Effect on the treated of a change (n,), and influence values (n,) with mean zero; None when it cannot be had.

    treated: boolean (n,). controls: (n, k), without intercept, from before the treatment. weights: (n,), mean 1.
    Without controls the difference of two means; with them Sant'Anna and Zhao (2020), equation 2.6: a logit for the
    chance of treatment, least squares for the change of the untreated, and influence values that allow for both having
    been estimated.
    """
    d = treated.astype(float)
    if not treated.any() or treated.all():
        return None
    if not controls.shape[1]:
        means = [float(np.average(change[g], weights=weights[g])) for g in (treated, ~treated)]
        sizes = [float((weights * g).mean()) for g in (d, 1 - d)]
        psi = weights * (d * (change - means[0]) / sizes[0] - (1 - d) * (change - means[1]) / sizes[1])
        return means[0] - means[1], psi
    x = np.column_stack([np.ones(len(d)), controls])
    if (~treated).sum() <= x.shape[1] or treated.sum() < 2:
        return None
    return _doubly_robust(change, d, x, weights)


def _doubly_robust(change: np.ndarray, d: np.ndarray, x: np.ndarray, w: np.ndarray) -> tuple[float, np.ndarray] | None:
    n = len(d)
    fit = logit(x, d, w)
    if fit.problem is not None:
        return None
    chance = np.clip(fit.probabilities[:, 1], 1e-12, 1 - 1e-6)
    base = w * (1 - d)
    gram = x.T @ (x * base[:, None]) / n
    if np.linalg.matrix_rank(gram) < x.shape[1]:
        return None
    bread = np.linalg.inv(gram)
    slope = bread @ (x.T @ (base * change)) / n
    rest = change - x @ slope
    by_line = (base * rest)[:, None] * x @ bread
    curve = np.linalg.pinv(x.T @ (x * (w * chance * (1 - chance))[:, None]) / n)
    by_logit = (w * (d - chance))[:, None] * x @ curve
    own, other = w * d, w * (1 - d) * chance / (1 - chance)
    mean_own, mean_other = float(own @ rest / own.sum()), float(other @ rest / other.sum())
    psi_own = own * (rest - mean_own) - by_line @ (own @ x / n)
    psi_other = (other * (rest - mean_other) + by_logit @ ((other * (rest - mean_other)) @ x / n)
                 - by_line @ (other @ x / n))
    return mean_own - mean_other, psi_own / own.mean() - psi_other / other.mean()

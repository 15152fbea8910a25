"""The effect on the treated from changes over time, doubly robust: the two-period building block.

Sant'Anna and Zhao (2020) for units seen twice (``changes``) and for rows of two samples (``sections``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whence.stats.logit import logit

HOW = ("doubly_robust", "improved", "regression", "weighting")
LARGEST_CHANCE = 1 - 1e-6
STEPS = 60  # of Newton's method for the tilt


@dataclass(frozen=True)
class _Odds:
    """values: (n,), chance over one less chance of treatment, weights included, zero on the treated. slopes: (n, k),
    what each row does to the coefficients behind them."""

    values: np.ndarray
    slopes: np.ndarray


@dataclass(frozen=True)
class Matched:
    """Treated and others made alike in their controls, for changes of any outcome.

    x: (n, k), controls with an intercept. own, other: weights (n,), mean 1, of the treated and of the others (None
    where the line alone counts). slopes: (n, k), what each row does to the odds' coefficients, or None without
    controls. base: (n,), weights of the line. bread: (k, k), of the line, or None without one. load: (n,), what
    a row's distance from the line adds to its influence value, that on the line's slopes included.
    """

    x: np.ndarray
    own: np.ndarray
    other: np.ndarray | None
    slopes: np.ndarray | None
    base: np.ndarray
    bread: np.ndarray | None
    load: np.ndarray

    def effect(self, change: np.ndarray) -> tuple[float, np.ndarray]:
        """Effect on the treated of a change (n,), and influence values (n,) with mean zero."""
        n, rest = len(change), change
        if self.bread is not None:
            rest = change - self.x @ (self.bread @ ((self.base * change) @ self.x) / n)
        mean, psi = float(self.own @ rest) / n, self.load * rest
        psi -= mean * self.own
        if self.other is None:
            return mean, psi
        theirs = float(self.other @ rest) / n
        psi += theirs * self.other
        if self.slopes is not None:
            psi -= self.slopes @ ((self.other * (rest - theirs)) @ self.x / n)
        return mean - theirs, psi


def changes(
    change: np.ndarray, treated: np.ndarray, controls: np.ndarray, weights: np.ndarray, how: str = "doubly_robust"
) -> tuple[float, np.ndarray] | None:
    """Effect on the treated of a change (n,), and influence values (n,) with mean zero; None when it cannot be had.
    See ``match``."""
    made = match(treated, controls, weights, how)
    return None if made is None else made.effect(change)


def match(
    treated: np.ndarray, controls: np.ndarray, weights: np.ndarray, how: str = "doubly_robust"
) -> Matched | None:
    """What the effect on the treated of a change needs to know of the controls; None when it cannot be had.

    treated: boolean (n,). controls: (n, k), without intercept, from before the treatment. weights: (n,), mean 1.
    Without controls the difference of two means. With them, by ``how`` (Sant'Anna and Zhao 2020): ``"doubly_robust"``,
    equation 2.6, by a logit for the chance of treatment and least squares for the change of the untreated;
    ``"improved"``, section 3.1, where the odds balance the controls exactly and least squares uses them, so that the
    error is right when either model is; ``"regression"``, equation 2.2 with the model of the outcome alone;
    ``"weighting"``, equation 4.1, with odds that sum to one.
    """
    if not treated.any() or treated.all():
        return None
    d, n = treated.astype(float), len(treated)
    x = np.column_stack([np.ones(n), controls])
    own, others = weights * d, weights * (1 - d)
    own = own / own.mean()
    if x.shape[1] == 1:
        other = others / others.mean()
        return Matched(x, own, other, None, others, None, own - other)
    if (~treated).sum() <= x.shape[1] or treated.sum() < 2:
        return None
    odds = _odds(x, d, weights, how)
    if odds is None:
        return None
    other, slopes = (None, None) if how == "regression" else (odds.values / odds.values.mean(), odds.slopes)
    load = own if other is None else own - other
    base = odds.values if how == "improved" else others
    if how == "weighting":
        return Matched(x, own, other, slopes, base, None, load)
    bread = _bread(x, base)
    if bread is None:
        return None
    return Matched(x, own, other, slopes, base, bread, load - base * (x @ (bread @ (load @ x / n))))


def sections(
    outcome: np.ndarray, treated: np.ndarray, after: np.ndarray, controls: np.ndarray, weights: np.ndarray,
    how: str = "doubly_robust",
) -> tuple[float, np.ndarray] | None:
    """The same from two samples, one before and one ``after`` (boolean (n,)), of people whose make-up stays the same.

    The locally efficient estimator of Sant'Anna and Zhao (2020), equation 3.4, with lines of its own for each group and
    time; ``"improved"`` section 3.2; ``"regression"`` and ``"weighting"`` as above. controls: (n, k), may be without
    columns: then the difference of four means.
    """
    d, x = treated.astype(float), np.column_stack([np.ones(len(treated)), controls])
    how = how if x.shape[1] > 1 else "regression"
    corners = {(g, t): (treated == bool(g)) & (after == bool(t)) for g in (0, 1) for t in (0, 1)}
    if min(c.sum() for c in corners.values()) <= x.shape[1] - (x.shape[1] == 1):
        return None
    odds = _odds(x, d, weights, how)
    if odds is None:
        return None
    nothing = (outcome, np.zeros_like(x))
    total, psi = 0.0, np.zeros(len(d))
    for (g, t), inside in corners.items():
        sign = 1.0 if g == t else -1.0
        share = (odds.values if not g and how != "regression" else weights) * inside
        modelled = how != "weighting" and not (g and how == "regression")
        base = odds.values * inside if how == "improved" and not g else weights * inside
        line = _line(x, outcome, base) if modelled else nothing
        if line is None:
            return None
        rest, by_line = line
        if modelled:  # what the line says of all the treated
            mean, part = _mean(outcome - rest, weights * d, x, None, -by_line)
            total, psi = total + sign * mean, psi + sign * part
        if not (how == "regression" and not g):
            slopes = odds.slopes if not g else None
            mean, part = _mean(rest, share, x, slopes, by_line)
            total, psi = total + sign * mean, psi + sign * part
    return total, psi


def _mean(
    rest: np.ndarray, share: np.ndarray, x: np.ndarray, slopes: np.ndarray | None, by_line: np.ndarray
) -> tuple[float, np.ndarray]:
    """The mean of ``rest`` with weights ``share`` (n,) and its influence values, those of the odds' coefficients
    (``slopes``) and of the line taken from ``rest`` (``by_line``) included."""
    n, size = len(rest), float(share.mean())
    mean = float(share @ rest) / (n * size)
    psi = share * (rest - mean) - by_line @ (share @ x / n)
    if slopes is not None:
        psi = psi + slopes @ ((share * (rest - mean)) @ x / n)
    return mean, psi / size


def _line(x: np.ndarray, y: np.ndarray, base: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Least squares with weights ``base`` (n,): what it leaves of ``y`` in every row, and what each row does to its
    coefficients (n, k)."""
    bread = _bread(x, base)
    if bread is None:
        return None
    rest = y - x @ (bread @ (x.T @ (base * y)) / len(y))
    return rest, (base * rest)[:, None] * x @ bread


def _bread(x: np.ndarray, base: np.ndarray) -> np.ndarray | None:
    """The inverse of the mean of base * x x', or None where it has none."""
    gram = x.T @ (x * base[:, None]) / len(x)
    return None if np.linalg.matrix_rank(gram, hermitian=True) < x.shape[1] else np.linalg.inv(gram)


def _odds(x: np.ndarray, d: np.ndarray, w: np.ndarray, how: str) -> _Odds | None:
    if how == "regression":
        return _Odds(w * (1 - d), np.zeros_like(x))
    if how == "improved":
        return _tilted(x, d, w)
    fit = logit(x, d, w)
    if fit.problem is not None:
        return None
    chance = np.clip(fit.probabilities[:, 1], 1e-12, LARGEST_CHANCE)
    curve = np.linalg.pinv(x.T @ (x * (w * chance * (1 - chance))[:, None]) / len(d))
    return _Odds(w * (1 - d) * chance / (1 - chance), (w * (d - chance))[:, None] * x @ curve)


def _tilted(x: np.ndarray, d: np.ndarray, w: np.ndarray) -> _Odds | None:
    """Odds exp(x'g) of the untreated that give the sums of ``x`` among the treated (Graham, Pinto and Egel 2012), by
    Newton's method on the convex function whose slope they are."""
    n, k = x.shape
    scale = np.sqrt((x**2).mean(axis=0))
    z, target = x / scale, (w * d) @ (x / scale) / n

    def value(g: np.ndarray) -> float:
        return float((w * (1 - d)) @ np.exp(np.minimum(z @ g, 700.0)) / n - target @ g)

    g = np.zeros(k)
    g[0] = np.log((w @ d) / (w @ (1 - d)))
    for _ in range(STEPS):
        odds = w * (1 - d) * np.exp(z @ g)
        gradient, curve = odds @ z / n - target, z.T @ (z * odds[:, None]) / n
        if np.abs(gradient).max() <= 1e-12 * max(1.0, float(np.abs(target).max())):
            break
        step, size, now = np.linalg.pinv(curve, hermitian=True) @ gradient, 1.0, value(g)
        while value(g - size * step) > now - 1e-4 * size * float(gradient @ step) and size > 1e-8:
            size /= 2
        g = g - size * step
        if np.abs(z @ g).max() > 100:
            return None
    if np.abs(gradient).max() > 1e-8 * max(1.0, float(np.abs(target).max())):
        return None
    curve = np.linalg.pinv(z.T @ (z * odds[:, None]) / n, hermitian=True)
    return _Odds(odds, (w * d - odds)[:, None] * z @ curve / scale)

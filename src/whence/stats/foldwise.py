"""Out-of-fold predictions of least squares, ridge and logistic regression from sums over the folds.

Every fold's sums are made once; the fit on the rows outside a fold uses the sums of the other folds. Least squares and
ridge need one pass over the rows to fit all folds, a logit a few passes from the fit on all rows. Rows are taken in
blocks, so that no copy of the design is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from whence.stats.regress import WELL, ols

BLOCK = 32_768  # rows at a time
SMALL = 8_000_000  # numbers in a design that may be kept in a second copy, sorted by fold
ITERATIONS = 30
NEAR = 1e-4  # of the log-likelihood still to be gained; the step that follows leaves about its square
PENALTIES = np.logspace(-3, 4, 15)
SHRINKAGES = (1.0, 10.0, 100.0, 1000.0)


@dataclass(frozen=True)
class Rows:
    """The rows of a design, fold by fold, with the intercept in front.

    matrix: float (n, k). folds: int (n,), 0 .. count - 1. train: bool (n,), the rows fitted. weights: (n,). kept: the
    blocks, when the design is small.
    """

    matrix: np.ndarray
    folds: np.ndarray
    train: np.ndarray
    weights: np.ndarray
    kept: dict[int, list[tuple[np.ndarray, np.ndarray]]]

    @staticmethod
    def of(matrix: np.ndarray, folds: np.ndarray, train: np.ndarray, weights: np.ndarray) -> Rows:
        return Rows(matrix, folds, train, weights, {})

    @property
    def count(self) -> int:
        return int(self.folds.max()) + 1

    @property
    def columns(self) -> int:
        return self.matrix.shape[1] + 1

    def blocks(self, fold: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Design (b, k + 1) and positions (b,) of the fold's rows, those to be fitted first."""
        if fold in self.kept:
            yield from self.kept[fold]
            return
        inside = np.flatnonzero(self.folds == fold)
        inside = inside[np.argsort(~self.train[inside], kind="stable")]
        small, found = self.matrix.size <= SMALL, []
        for start in range(0, len(inside), BLOCK):
            at = inside[start : start + BLOCK]
            x = np.empty((len(at), self.columns))
            x[:, 0] = 1.0
            x[:, 1:] = self.matrix[at]
            if small:
                found.append((x, at))
            yield x, at
        if small:
            self.kept[fold] = found

    def fitted(self, fold: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """As ``blocks``, without the rows that are only predicted."""
        for x, at in self.blocks(fold):
            size = int(self.train[at].sum())  # they come first
            if size:
                yield x[:size], at[:size]

    def predict(self, coefficients: np.ndarray) -> np.ndarray:
        """Linear predictors (n, m) of every row by the coefficients (count, k + 1, m) of its fold."""
        out = np.empty((len(self.folds), coefficients.shape[2]))
        for fold in range(self.count):
            for x, at in self.blocks(fold):
                out[at] = x @ coefficients[fold]
        return out


@dataclass(frozen=True)
class Moments:
    """gram: (count, p, p). cross: (count, p). square, mass: (count,), of target squared and of one; weighted sums."""

    gram: np.ndarray
    cross: np.ndarray
    square: np.ndarray
    mass: np.ndarray


def gram(rows: Rows) -> np.ndarray:
    """Weighted X'X of the rows fitted, (count, p, p)."""
    equal = np.ptp(rows.weights) == 0
    out = np.zeros((rows.count, rows.columns, rows.columns))
    for fold in range(rows.count):
        for x, at in rows.fitted(fold):
            scaled = x if equal else x * np.sqrt(rows.weights[at])[:, None]
            out[fold] += scaled.T @ scaled
    return out * rows.weights[0] if equal else out


def moments(rows: Rows, target: np.ndarray, made: np.ndarray | None = None) -> Moments:
    """Sums by fold; ``made`` is the result of ``gram``, when it is known."""
    made = gram(rows) if made is None else made
    cross = np.zeros((rows.count, rows.columns))
    square, mass = np.zeros(rows.count), np.zeros(rows.count)
    for fold in range(rows.count):
        for x, at in rows.fitted(fold):
            weighted = rows.weights[at] * target[at]
            cross[fold] += weighted @ x
            square[fold] += weighted @ target[at]
            mass[fold] += rows.weights[at].sum()
    return Moments(made, cross, square, mass)


def others(parts: np.ndarray) -> np.ndarray:
    """Sum of all entries but each one along the first axis, by additions only: nothing cancels."""
    before, after = np.zeros_like(parts), np.zeros_like(parts)
    before[1:] = np.cumsum(parts[:-1], axis=0)
    after[:-1] = np.cumsum(parts[:0:-1], axis=0)[::-1]
    return before + after


def least_squares(rows: Rows, target: np.ndarray, made: np.ndarray | None = None) -> np.ndarray:
    """Predictions (n,) by least squares on the rows fitted of the other folds.

    A fold whose other rows have columns that nearly repeat each other is fitted by ``ols`` on the rows themselves,
    which leaves the redundant ones out.
    """
    m = moments(rows, target, made)
    left, cross = others(m.gram), others(m.cross)
    beta = np.zeros((rows.count, rows.columns, 1))
    for fold in range(rows.count):
        solved = _solved(left[fold], cross[fold])
        beta[fold, :, 0] = _by_rows(rows, target, fold) if solved is None else solved
    return rows.predict(beta)[:, 0]


def _solved(matrix: np.ndarray, right: np.ndarray) -> np.ndarray | None:
    """Solution of the normal equations, None when ill-conditioned. A column of zeros gets the coefficient 0."""
    length = np.sqrt(np.diagonal(matrix))
    there = length > 0
    if not there.all():
        out = np.zeros(len(right))
        solved = _solved(matrix[np.ix_(there, there)], right[there]) if there.any() else None
        if solved is None:
            return None
        out[there] = solved
        return out
    scaled = matrix / length[:, None] / length
    try:
        factor = np.linalg.cholesky(scaled)
    except np.linalg.LinAlgError:
        return None
    if np.diagonal(factor).min() < WELL:
        return None
    half = np.linalg.solve(factor, right / length)
    return np.linalg.solve(factor.T, half) / length


def _by_rows(rows: Rows, target: np.ndarray, fold: int) -> np.ndarray:
    use = rows.train & (rows.folds != fold)
    x = np.column_stack([np.ones(int(use.sum())), rows.matrix[use]])
    return ols(x, target[use], rows.weights[use]).coefficients


def ridge(rows: Rows, target: np.ndarray, scaled: bool = True) -> np.ndarray | None:
    """Predictions (n,) by ridge regression of columns standardised, or as they are unless ``scaled``; None with fewer
    than three folds.

    The penalty of each fold (one of ``PENALTIES``, beside the sum of squared errors) is the one that predicts best, in
    turn, each of the other folds from the rest of them; errors and fits come from the sums alone.
    """
    count = rows.count
    if count < 3:
        return None
    m = moments(rows, target)
    best = np.empty((count, rows.columns, 1))
    for fold in range(count):
        rest = np.delete(np.arange(count), fold)
        g, c, mass = others(m.gram[rest]), others(m.cross[rest]), others(m.mass[rest])
        loss = np.zeros(len(PENALTIES))
        for at, held in enumerate(rest):
            beta = _ridge_path(g[at], c[at], mass[at], PENALTIES, scaled)
            fitted = m.gram[held] @ beta
            loss += m.square[held] - 2 * m.cross[held] @ beta + np.einsum("ij,ij->j", beta, fitted)
        chosen = PENALTIES[[int(np.argmin(loss))]]
        best[fold] = _ridge_path(m.gram[rest].sum(axis=0), m.cross[rest].sum(axis=0), m.mass[rest].sum(), chosen,
                                 scaled)
    return rows.predict(best)[:, 0]


def _ridge_path(
    g: np.ndarray, c: np.ndarray, mass: float, penalties: np.ndarray, scaled: bool = True
) -> np.ndarray:
    """Coefficients (p, len(penalties)), intercept first and unpenalised, columns scaled to standard deviation 1 where
    ``scaled``."""
    out = np.zeros((len(c), len(penalties)))
    if mass <= 0:
        return out
    mean = g[0, 1:] / mass
    centred = g[1:, 1:] - np.outer(mean, mean) * mass
    spread = np.sqrt(np.maximum(np.diagonal(centred), 0.0) / mass)
    use = spread > 1e-9 * np.sqrt(np.maximum(np.diagonal(g)[1:] / mass, 1e-300))
    scale = np.where(use & scaled, spread, 1.0)
    inside = np.where(use, 1.0, 0.0)
    values, vectors = np.linalg.eigh(centred / np.outer(scale, scale) * np.outer(inside, inside))
    along = vectors.T @ ((c[1:] - mean * c[0]) / scale * inside)
    slopes = vectors @ (along[:, None] / (np.maximum(values, 0.0)[:, None] + penalties)) / scale[:, None]
    out[1:] = slopes * inside[:, None]
    out[0] = c[0] / mass - mean @ out[1:]
    return out


def logistic(rows: Rows, codes: np.ndarray, classes: int, penalty: float) -> np.ndarray | None:
    """Chances (n, classes) by a (multinomial) logit on the rows fitted of the other folds.

    Newton steps from the fit on all rows, so that few are needed; ``penalty`` as in ``logit.multinomial``. None when
    some class does not occur outside some fold, or a step cannot be solved.
    """
    fold_classes = np.zeros((rows.count, classes))
    np.add.at(fold_classes, (rows.folds[rows.train], codes[rows.train]), 1.0)
    if (others(fold_classes) == 0).any():
        return None
    every = range(rows.count)
    start = np.zeros((rows.columns, classes - 1))
    whole = _newton(rows, codes, start, every, penalty)
    if whole is None:
        return None
    _, beta, parts = whole
    fits = np.empty((rows.count, *start.shape))
    for fold in every:
        rest = [f for f in every if f != fold]
        found = _newton(rows, codes, beta, rest, penalty, parts)
        if found is None:
            return None
        fits[fold] = found[0]
    return _chances(rows.predict(fits))


def ridge_logistic(rows: Rows, codes: np.ndarray, classes: int) -> np.ndarray | None:
    """Chances (n, classes) by a logit whose penalty, one of ``SHRINKAGES``, predicts the other folds' rows best.

    Out-of-fold predictions under every penalty are made once; a fold uses the penalty with the least squared error on
    the rows of the others. None where ``logistic`` gives none, and with fewer than three folds.
    """
    if rows.count < 3:
        return None
    tried = [logistic(rows, codes, classes, penalty) for penalty in SHRINKAGES]
    found = [each for each in tried if each is not None]
    if len(found) < len(tried):
        return None
    hot = codes[:, None] == np.arange(classes)
    mass = rows.weights * rows.train
    loss = [np.bincount(rows.folds, mass * ((each - hot) ** 2).sum(axis=1), rows.count) for each in found]
    best = np.argmin(others(np.column_stack(loss)), axis=1)[rows.folds]
    return np.stack(found)[best, np.arange(len(codes))]


@dataclass(frozen=True)
class _Parts:
    """Log-likelihood, gradient (p, m) and negative Hessian (m p, m p) of each fold, without penalty."""

    value: dict[int, float]
    gradient: dict[int, np.ndarray]
    curvature: dict[int, np.ndarray]


def _newton(
    rows: Rows, codes: np.ndarray, beta: np.ndarray, use: list[int] | range, penalty: float,
    known: _Parts | None = None,
) -> tuple[np.ndarray, np.ndarray, _Parts] | None:
    """Penalised maximum on the folds ``use`` from ``beta``, whose parts may be known; the coefficients whose parts were
    seen last, and these parts.

    Newton's method with halving. It ends with the step that follows when less than ``NEAR`` is to be gained.
    """
    ridge = np.full(beta.shape, penalty)
    ridge[0] = 0.0
    parts = _parts(rows, codes, beta, use) if known is None else known
    for _ in range(ITERATIONS):
        gradient = sum(parts.gradient[f] for f in use) - ridge * beta
        curvature = sum(parts.curvature[f] for f in use) + np.diag(ridge.T.ravel())
        try:
            step = np.linalg.solve(curvature, gradient.T.ravel()).reshape(beta.shape[1], -1).T
        except np.linalg.LinAlgError:
            return None
        gain = float((gradient * step).sum())
        if not np.isfinite(gain) or gain < -NEAR:
            return None
        if gain < NEAR:
            return beta + step, beta, parts
        value, size = sum(parts.value[f] for f in use) - 0.5 * float((ridge * beta**2).sum()), 1.0
        while size > 1e-6:
            trial = beta + size * step
            found = _parts(rows, codes, trial, use)
            if sum(found.value[f] for f in use) - 0.5 * float((ridge * trial**2).sum()) >= value - 1e-12 * abs(value):
                break
            size /= 2
        beta, parts = trial, found
    return beta, beta, parts


def _parts(rows: Rows, codes: np.ndarray, beta: np.ndarray, use: list[int] | range) -> _Parts:
    p, m = beta.shape
    value, gradient, curvature = {}, {}, {}
    for fold in use:
        total, slope, bend = 0.0, np.zeros((p, m)), np.zeros((m * p, m * p))
        for x, at in rows.fitted(fold):
            w, chances = rows.weights[at], _chances(x @ beta)
            total += float(w @ np.log(np.maximum(chances[np.arange(len(at)), codes[at]], 1e-300)))
            slope += x.T @ (w[:, None] * ((codes[at, None] == np.arange(1, m + 1)) - chances[:, 1:]))
            _add_curvature(bend, x, w, chances[:, 1:])
        value[fold], gradient[fold], curvature[fold] = total, slope, bend
    return _Parts(value, gradient, curvature)


def _add_curvature(out: np.ndarray, x: np.ndarray, w: np.ndarray, chances: np.ndarray) -> None:
    """Adds X' diag(w p_a (1[a = b] - p_b)) X to block (a, b) of ``out``."""
    p, m = x.shape[1], chances.shape[1]
    for a in range(m):
        for b in range(a + 1):
            if a == b:
                scaled = x * np.sqrt(w * chances[:, a] * (1 - chances[:, a]))[:, None]
                block = scaled.T @ scaled
            else:
                block = x.T @ (x * (-w * chances[:, a] * chances[:, b])[:, None])
            out[a * p : (a + 1) * p, b * p : (b + 1) * p] += block
            if a != b:
                out[b * p : (b + 1) * p, a * p : (a + 1) * p] += block.T


def _chances(eta: np.ndarray) -> np.ndarray:
    """Class probabilities (n, m + 1) from linear predictors (n, m) of the classes after the first."""
    full = np.zeros((len(eta), eta.shape[1] + 1))
    full[:, 1:] = eta
    full -= full.max(axis=1, keepdims=True)
    np.exp(full, out=full)
    full /= full.sum(axis=1, keepdims=True)
    return full

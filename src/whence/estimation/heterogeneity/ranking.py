"""People in the order of a priority: what treating those at the top first would bring, and how uncertain that is.

The error is that of half samples: the curve is found again on many random halves of the rows (or clusters), and the
spread of these is that of the whole sample (Yadlowsky et al. 2025). Ties in the priority share their mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from whence.core.errors import WhenceError
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.core.rng import generator
from whence.estimation.heterogeneity.scores import Scores, as_long, finite
from whence.stats.codes import compact

GRID = np.arange(1, 101) / 100  # shares of people treated at which curves are drawn
AVERAGE, AUTOC, QINI, CURVE = 0, 1, 2, slice(3, 3 + len(GRID))
FEWEST_ROWS, FEWEST_CLUSTERS = 20, 5  # in a fold that is ranked
AT_ONCE = 65_536  # numbers worked on at a time: they stay in the cache
DRAWS = 500


@dataclass(frozen=True)
class Ranking:
    """One fold's people, first those of highest priority. tie: int (n,), 0, 1, ... in this order, equal priorities
    alike. scores: theirs, in this order."""

    scores: Scores
    tie: np.ndarray

    @cached_property
    def starts(self) -> np.ndarray:
        """Where each group of equal priorities begins."""
        return np.searchsorted(self.tie, np.arange(self.tie[-1] + 1))

    def measures(self, weights: np.ndarray) -> np.ndarray:
        """Average effect, AUTOC, Qini and TOC on ``GRID``, (b, 3 + grid), each row of ``weights`` (b, n) one sample.

        TOC(q) is the average effect of the first share q less that of all; AUTOC its mean over q, the Qini
        coefficient its mean weighted by q (Yadlowsky et al. 2025), summed over rows.
        """
        mass, gained = np.zeros((2, len(weights), self.scores.n + 1))  # from nobody to everybody
        np.cumsum(weights, axis=1, out=mass[:, 1:])
        np.cumsum(weights * self._shared(weights), axis=1, out=gained[:, 1:])
        total, reached = mass[:, -1:], mass[:, 1:]
        average = gained[:, -1:] / total
        part = np.divide(gained[:, 1:], reached, out=np.zeros_like(reached), where=reached > 0)
        part -= average
        part *= weights / total
        out = np.empty((len(weights), 3 + len(GRID)))
        out[:, AVERAGE] = average[:, 0]
        out[:, AUTOC] = part.sum(axis=1)
        out[:, QINI] = np.einsum("bn,bn->b", part, reached) / total[:, 0]
        for b, wanted in enumerate(GRID * total):
            out[b, CURVE] = np.interp(wanted, mass[b], gained[b]) / wanted
        out[:, CURVE] -= average
        return out

    def _shared(self, weights: np.ndarray) -> np.ndarray:
        """Scores with those of equal priority replaced by their mean in each sample."""
        if len(self.starts) == len(self.tie):
            return self.scores.values[None, :]
        sums = np.add.reduceat(weights * self.scores.values, self.starts, axis=1)
        mass = np.add.reduceat(weights, self.starts, axis=1)
        return np.divide(sums, mass, out=np.zeros_like(sums), where=mass > 0)[:, self.tie]

    def halves(self, draws: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """The weights of random halves of the units, 0 in the other half, (some, n) at a time."""
        units = None if self.scores.clusters is None else compact(self.scores.clusters)[0]
        many = self.scores.n if units is None else int(units.max()) + 1
        step = max(1, AT_ONCE // self.scores.n)
        for start in range(0, draws, step):
            keys = rng.random((min(step, draws - start), many))
            inside = keys <= np.partition(keys, many // 2 - 1, axis=1)[:, many // 2 - 1 : many // 2]
            yield (inside if units is None else inside[:, units]) * self.scores.weights


@dataclass(frozen=True)
class Measured:
    """What the folds say together. estimates: (m,). deviations: (draws, m), their sampling errors as drawn."""

    estimates: np.ndarray
    deviations: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        return self.deviations.std(axis=0)

    def map(self, matrix: np.ndarray) -> Measured:
        """Linear combinations, ``matrix`` (k, m) times the estimates."""
        return Measured(matrix @ self.estimates, self.deviations @ matrix.T)


@dataclass(frozen=True)
class Folds:
    """Each ranked fold's measures, the rows in them, and what should be said. df: of the t distribution, or None."""

    parts: tuple[Measured, ...]
    n: int
    df: float | None
    remarks: tuple[Remark, ...]

    def together(self, target: int) -> Measured:
        """The folds weighted by one over the error of ``target``, so that its t-value is the sum of the folds' over the
        root of their number (Wager 2024)."""
        weights = 1 / np.array([part.errors[target] for part in self.parts])
        weights = weights / weights.sum()
        return Measured(
            sum((w * p.estimates for w, p in zip(weights, self.parts, strict=True)), np.zeros(1)),
            sum((w * p.deviations for w, p in zip(weights, self.parts, strict=True)), np.zeros(1)),
        )


def ranking(scores: Scores, priorities: np.ndarray) -> Ranking:
    """The people by falling priority."""
    order = np.argsort(-priorities, kind="stable")
    placed = priorities[order]
    tie = np.append(0, np.cumsum(placed[1:] != placed[:-1]))
    return Ranking(scores.take(order), tie)


def measured(
    scores: Scores, priorities: np.ndarray, folds: np.ndarray | None, draws: int = DRAWS, seed: int = 0,
    progress: Progress = SILENT,
) -> Folds | Refused:
    """Every fold's measures with their half-sample errors; a fold whose priorities are all equal is left out.

    Raises ``WhenceError`` (``bad_shape``, ``not_finite``, ``bad_draws``, ``clusters_split``). Refused:
    ``too_few_rows``, ``constant_priorities``, ``constant_scores``.
    """
    if draws < 50:
        raise WhenceError("At least 50 half samples are needed for an error.", code="bad_draws", value=draws,
                          allowed="50 or more")
    priorities = finite(as_long(priorities, scores.n, "priorities"), "priorities")
    codes = fold_codes(scores, folds)
    few = too_few(scores)
    if few is not None:
        return few
    parts, used, flat, units = [], 0, 0, 0
    count = int(codes.max(initial=-1)) + 1
    progress.begin("half samples", count)
    for fold in range(count):
        rows = np.flatnonzero(codes == fold)
        own = scores.take(rows)
        few = too_few(own)
        if few is not None:
            progress.end()
            return few
        if np.ptp(priorities[rows]) == 0 or np.ptp(own.values) == 0:
            flat += 1
        else:
            parts.append(_one(ranking(own, priorities[rows]), draws, generator(seed, "half samples", fold)))
            used, units = used + own.n, units + own.units
        progress.step()
    progress.end()
    if not parts and np.ptp(scores.values) == 0:
        return Refused("constant_scores", "All scores are equal, so no order of the people can matter.",
                       {"rows": scores.n}, "Check the outcome and the treatment.")
    if not parts:
        return Refused("constant_priorities", "Everybody has the same priority, so there is no order to judge.",
                       {"rows": scores.n}, "The fitted effects found no differences between people; give priorities "
                       "that differ to judge another order.")
    said = () if not flat else (Remark(
        "constant_priorities", f"In {flat} of {count} folds everybody had the same priority: these say nothing and "
        "were left out.", (), {"folds": count, "left out": flat}),)
    df = None if scores.clusters is None else float(units - len(parts))
    return Folds(tuple(parts), used, df, said)


def fold_codes(scores: Scores, folds: np.ndarray | None) -> np.ndarray:
    """Folds as codes 0, 1, ...; one fold when there are none. Raises ``WhenceError`` (``clusters_split``)."""
    if folds is None:
        return np.zeros(scores.n, dtype=np.int64)
    codes, levels = compact(as_long(folds, scores.n, "folds"))
    if scores.clusters is not None and len(np.unique(scores.clusters * len(levels) + codes)) != scores.units:
        raise WhenceError("A cluster lies in more than one fold, so what ranks it was fitted on it.",
                          code="clusters_split", value=int(scores.units), hint="Make folds of whole clusters.")
    return codes


def too_few(scores: Scores) -> Refused | None:
    """Whether a fold is too small for half of it to say anything."""
    if scores.clusters is None and scores.n < FEWEST_ROWS:
        return Refused("too_few_rows", f"A fold has {scores.n:,} rows to judge an order by; {FEWEST_ROWS} are needed.",
                       {"rows": scores.n}, "Use fewer folds, or more data.")
    if scores.clusters is not None and scores.units < FEWEST_CLUSTERS:
        return Refused("too_few_rows", f"A fold has {scores.units:,} clusters to judge an order by; {FEWEST_CLUSTERS} "
                       "are needed.", {"clusters": scores.units}, "Use fewer folds, or more clusters.")
    return None


def _one(people: Ranking, draws: int, rng: np.random.Generator) -> Measured:
    units = people.scores.units
    drawn = np.vstack([people.measures(weights) for weights in people.halves(draws, rng)])
    scale = np.sqrt((units // 2) / (units - units // 2))  # 1 for exact halves
    return Measured(people.measures(people.scores.weights[None, :])[0], scale * (drawn - drawn.mean(axis=0)))


def joint_factor(measured: Measured, level: float, df: float | None) -> float:
    """How many errors a band must be wide to hold the whole curve at ``level``: by the largest of the draws."""
    from scipy.special import ndtr, ndtri, stdtrit

    errors = measured.errors
    moving = errors > 1e-9 * errors.max(initial=0.0)
    if not moving.any():
        return 0.0
    largest = np.abs(measured.deviations[:, moving] / errors[moving]).max(axis=1)
    tail = max(float(ndtr(np.quantile(largest, level))), 0.5 + level / 2)
    return float(ndtri(tail) if df is None else stdtrit(df, tail))

"""RATE: does a priority find those who benefit most? The TOC curve, AUTOC and the Qini coefficient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.effect import Comparison, summarise
from whence.estimation.heterogeneity.jointly import said
from whence.estimation.heterogeneity.ranking import (
    AUTOC,
    AVERAGE,
    CURVE,
    DRAWS,
    GRID,
    QINI,
    Measured,
    joint_factor,
    measured,
)
from whence.estimation.heterogeneity.scores import checked

CITATIONS = ("Yadlowsky, Fleming, Shah, Brunskill and Wager (2025), Evaluating treatment prioritization rules via "
             "rank-weighted average treatment effects, JASA 120",
             "Wager (2024), Sequential validation of treatment heterogeneity, arXiv 2405.05534")


@dataclass(frozen=True)
class Curve:
    """A curve over the share of people treated. low, high: pointwise interval; joint_low, joint_high: a band that holds
    the whole curve at the level. All (grid,)."""

    share: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    joint_low: np.ndarray
    joint_high: np.ndarray


@dataclass(frozen=True)
class Rate:
    """How well an order of people goes with their effects; zero for an order by chance.

    autoc: the area under ``toc``, which rewards finding few people with large effects. qini: the same weighted by the
    share treated, which rewards differences spread over many. toc: average effect of the first share of people less
    that of all, in units of the outcome. average: effect of everybody ranked. n: rows ranked. folds: that were ranked
    each by its own fit.
    """

    autoc: Comparison
    qini: Comparison
    average: Comparison
    toc: Curve
    n: int
    folds: int
    level: float
    remarks: tuple[Remark, ...] = ()

    def __str__(self) -> str:
        return "\n".join([said(self.autoc), said(self.qini), f"{self.n:,} people ranked in {self.folds} folds",
                          *(r.text for r in self.remarks)])


def rate(
    scores: np.ndarray, priorities: np.ndarray, *, folds: np.ndarray | None = None, weights: np.ndarray | None = None,
    clusters: np.ndarray | None = None, level: float = 0.95, draws: int = DRAWS, seed: int = 0,
    progress: Progress = SILENT,
) -> Rate | Refused:
    """Rank-weighted average treatment effects (Yadlowsky et al. 2025) of ``priorities`` (n,), highest first.

    scores: doubly robust, (n,). A row's priority must come from rows other than it, and with ``folds`` (int (n,), rows
    ranked by the same fit) from folds of lower number only (Wager 2024), as ``by_earlier_folds`` makes them: then
    estimate over error is normal around zero where the order has nothing to do with the effects. Rows are ranked
    within folds. Errors by ``draws`` half samples, of whole clusters where there are ``clusters``.

    Raises ``WhenceError`` (``bad_shape``, ``not_finite``, ``bad_weights``, ``bad_draws``, ``clusters_split``).
    Refused: ``too_few_rows``, ``constant_priorities``, ``constant_scores``.
    """
    found = measured(checked(scores, weights, clusters), priorities, folds, draws, seed, progress)
    if isinstance(found, Refused):
        return found
    by_autoc, by_qini = found.together(AUTOC), found.together(QINI)
    every = np.eye(len(by_autoc.estimates))
    return Rate(
        compared("AUTOC", by_autoc, AUTOC, level, found.df), compared("Qini", by_qini, QINI, level, found.df),
        compared("everybody", by_autoc, AVERAGE, level, found.df),
        curve(by_autoc.map(every[CURVE]), level, found.df), found.n, len(found.parts), level, found.remarks,
    )


def compared(label: str, found: Measured, which: int, level: float, df: float | None) -> Comparison:
    """One measure with its interval and p-value."""
    estimate, error = float(found.estimates[which]), float(found.errors[which])
    return Comparison(label, estimate, error, *summarise(estimate, error, level, df))


def curve(found: Measured, level: float, df: float | None) -> Curve:
    """The curve on ``GRID`` with its pointwise and joint bands."""
    from scipy.special import ndtri, stdtrit

    value, errors = found.estimates, found.errors
    tail = 0.5 + level / 2
    point, joint = float(ndtri(tail) if df is None else stdtrit(df, tail)), joint_factor(found, level, df)
    return Curve(GRID.copy(), value, value - point * errors, value + point * errors,
                 value - joint * errors, value + joint * errors)

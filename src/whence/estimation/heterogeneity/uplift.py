"""Uplift: what treating the first share of people, in the order of a priority, gains over treating nobody."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from whence.core.errors import WhenceError
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark
from whence.estimation.effect import Comparison
from whence.estimation.heterogeneity.ranking import AVERAGE, CURVE, DRAWS, GRID, QINI, measured
from whence.estimation.heterogeneity.rate import Curve, compared, curve
from whence.estimation.heterogeneity.scores import checked

CITATIONS = ("Radcliffe (2007), Using control groups to target on predicted lift, Direct Marketing Analytics Journal 1",
             "Yadlowsky, Fleming, Shah, Brunskill and Wager (2025), Evaluating treatment prioritization rules via "
             "rank-weighted average treatment effects, JASA 120")


@dataclass(frozen=True)
class Uplift:
    """The gain per person of the whole group when the first share is treated, in units of the outcome, less the cost.

    gain: over treating nobody; at 1 it is that of treating everybody. over_chance: over treating the same share by
    chance. area: between ``gain`` and treating by chance, the Qini coefficient. everybody: gain of treating all.
    best_share: where the curve is highest; the curve there is the highest of many and so flattering. cost: of
    treating one person. n: rows ranked.
    """

    gain: Curve
    over_chance: Curve
    area: Comparison
    everybody: Comparison
    best_share: float
    cost: float
    n: int
    folds: int
    level: float
    remarks: tuple[Remark, ...] = ()

    def __str__(self) -> str:
        lines = [f"treating {share:.0%} gains {self.gain.value[k]:.4g} per person ({self.gain.low[k]:.4g} to "
                 f"{self.gain.high[k]:.4g})" for k, share in enumerate(self.gain.share) if k in (9, 24, 49, 74, 99)]
        return "\n".join([*lines, f"highest at {self.best_share:.0%} treated; {self.n:,} people ranked in {self.folds} "
                          "folds", *(r.text for r in self.remarks)])


def uplift(
    scores: np.ndarray, priorities: np.ndarray, *, cost: float = 0.0, folds: np.ndarray | None = None,
    weights: np.ndarray | None = None, clusters: np.ndarray | None = None, level: float = 0.95, draws: int = DRAWS,
    seed: int = 0, progress: Progress = SILENT,
) -> Uplift | Refused:
    """The uplift curve with bands, from the doubly robust ``scores`` and the ``priorities`` that ``rate`` takes, under
    the same conditions: q times the average score, less ``cost``, of the first share q of people.

    Raises ``WhenceError`` (as ``rate``; ``bad_cost``). Refused: as ``rate``.
    """
    if not np.isfinite(cost):
        raise WhenceError("The cost of treating one person must be a number.", code="bad_cost", value=cost,
                          allowed="finite numbers, in units of the outcome")
    found = measured(checked(scores, weights, clusters), priorities, folds, draws, seed, progress)
    if isinstance(found, Refused):
        return found
    together = found.together(QINI)
    # q (TOC(q) + average) is the sum over the first share; the cost shifts estimates but not errors.
    over = np.zeros((len(GRID), len(together.estimates)))
    over[:, CURVE] = np.diag(GRID)
    gained = over.copy()
    gained[:, AVERAGE] = GRID
    gain = together.map(gained)
    gain = replace(gain, estimates=gain.estimates - cost * GRID)
    all_of_them = compared("everybody", gain, len(GRID) - 1, level, found.df)
    return Uplift(
        curve(gain, level, found.df), curve(together.map(over), level, found.df),
        compared("Qini", together, QINI, level, found.df), all_of_them,
        float(np.append(0.0, GRID)[np.argmax(np.append(0.0, gain.estimates))]), float(cost), found.n, len(found.parts),
        level, found.remarks,
    )

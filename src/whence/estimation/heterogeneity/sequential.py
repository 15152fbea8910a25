"""Priorities that may be tested on the rows they rank: each fold is ranked by what earlier folds taught.

The usual cross-fitted priorities, each fold ranked by a fit on all others, do not do: the fit of one fold knows the
noise of the next and the other way round, so the folds' results move together and a test that adds them up finds
differences between people too often where there are none. Fitted on earlier folds only, each fold's result has
its own chance around zero whatever came before, and the sum of their t-values is normal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from whence.core.progress import SILENT, Progress

Learn = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class HeldOut:
    """rows: int (m,), positions of the rows that were ranked, ascending. priorities: (m,), by a fit without them.
    folds: int (m,), rows with the same number were ranked by the same fit."""

    rows: np.ndarray
    priorities: np.ndarray
    folds: np.ndarray


def by_earlier_folds(learn: Learn, folds: np.ndarray, progress: Progress = SILENT) -> HeldOut:
    """Priorities of every fold but the first, by ``learn`` on the folds before it (Wager 2024).

    learn: from positions to train on and positions to rank, the priorities (len(rank),). folds: int (n,), whole
    clusters; those of lower number come first.
    """
    names = np.unique(folds)
    priorities, ranked = np.zeros(len(folds)), folds > names[0]
    progress.begin("fitting on earlier folds", len(names) - 1)
    for name in names[1:]:
        new = np.flatnonzero(folds == name)
        priorities[new] = learn(np.flatnonzero(folds < name), new)
        progress.step()
    progress.end()
    return HeldOut(np.flatnonzero(ranked), priorities[ranked], folds[ranked])

"""Tests of a jump by moving the residuals of a series around in a circle, and the values that they do not reject."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

DOUBLINGS, HALVINGS = 40, 30
TIES = 1e-10  # relative; statistics as close as this count as equal


def moving_block_p_value(residuals: np.ndarray, after: np.ndarray) -> float:
    """Share of the T circular shifts of residuals (T,) whose mean over the periods ``after`` (boolean (T,)) is as far
    from zero as that without a shift (Chernozhukov, Wuethrich and Zhu 2021, section 2.2, moving block permutations)."""
    doubled = np.concatenate([residuals, residuals])
    shifted = np.lib.stride_tricks.sliding_window_view(doubled, len(residuals))[:-1]
    means = np.abs(shifted[:, after].mean(axis=1))
    return float(np.mean(means >= means[0] * (1 - TIES)))


def accepted(p_value: Callable[[float], float], centre: float, step: float, alpha: float) -> tuple[float, float] | None:
    """The ends of the values around ``centre`` with a p-value above ``alpha``, each by doubling and halving; None where
    the centre itself is rejected. An end that is never reached is infinite."""
    if p_value(centre) <= alpha:
        return None
    ends = []
    for way in (-1.0, 1.0):
        inside, outside, reach = centre, centre, step
        for _ in range(DOUBLINGS):
            outside = centre + way * reach
            if p_value(outside) <= alpha:
                break
            inside, reach = outside, 2 * reach
        else:
            ends.append(way * np.inf)
            continue
        for _ in range(HALVINGS):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if p_value(middle) > alpha else (inside, middle)
            if abs(outside - inside) <= 1e-7 * max(step, abs(outside - centre)):
                break
        ends.append(outside)
    return float(ends[0]), float(ends[1])

"""By which columns effects differ: how much they change when a column's values are exchanged between people."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from whence.core.rng import generator
from whence.estimation.heterogeneity.sample import Designs
from whence.stats.features import Features

MOST_ROWS = 500


def importance(
    effects: Callable[[Designs], np.ndarray], designs: dict[int, Features], names: Sequence[str], seed: int
) -> dict[str, float]:
    """The part of each column in the squared change of the effects when its values are permuted (Breiman 2001, section
    10, of the function itself). effects: of rows given by their designs. Sums to 1, or to 0 where effects are equal."""
    n = len(next(iter(designs.values())).matrix)
    rows = np.sort(generator(seed, "importance").permutation(n)[:MOST_ROWS])
    blocks: dict[int, list[np.ndarray]] = {d: [made.matrix[rows]] for d, made in designs.items()}
    order = sorted(names)
    for name in order:
        moved = rows[generator(seed, "importance", name).permutation(len(rows))]
        for d, made in designs.items():
            changed, own = made.matrix[rows], np.array([source == name for source in made.sources], dtype=bool)
            changed[:, own] = made.matrix[moved][:, own]
            blocks[d].append(changed)
    found = effects({d: np.vstack(parts) for d, parts in blocks.items()}).reshape(1 + len(order), len(rows))
    change = ((found[1:] - found[0]) ** 2).mean(axis=1)
    # Rounding of effects that are all equal is no difference.
    change = np.where(change > 1e-20 * max(float((found[0] ** 2).mean()), 1e-300), change, 0.0)
    total = float(change.sum())
    return dict(zip(order, (change / total if total > 0 else change).tolist(), strict=True))
